"""Asking for what a scrape shows. Only here is anything read."""

import shutil
from importlib.metadata import version
from pathlib import Path

import structlog
from sqlalchemy import Connection

from journal import attendance, leadership, measures
from journal.clock import Clock
from journal.databases import leaseclock
from journal.errors import Unavailable
from journal.measures import Measures
from journal.store import JournalReader
from opsconductor.dashboard.sources import Engine
from opsconductor.metrics.meter import Meter
from opsconductor.metrics.names import Names, Others
from opsconductor.metrics.series import Company, Scrape, Sizes, series
from opsconductor.service import health

log = structlog.get_logger(__name__)


class Metrics:
    """Answers scrapes of one engine. `journal_file` is the file of its journal."""

    def __init__(
        self, engine: Engine, journal: JournalReader, clock: Clock, *, journal_file: Path, meter: Meter
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._file = journal_file
        self._version = version("opsconductor")
        self._meter = meter
        self._others = Others()

    async def scraped(self, accept: str) -> tuple[bytes, str]:
        """The answer, and its content type. Where the journal cannot be read, what it would say is absent."""
        from opsconductor.metrics.exposition import exposed

        pulse = self._engine.pulse()
        parts = health.ready(pulse, await self._engine.unwritable())
        measured: Measures | None = None
        company: Company | None = None
        try:
            measured = await self._journal.read(measures.read)
            if pulse.rank is not None:
                company = await self._journal.read(_company)
        except Unavailable as error:
            log.debug("a scrape has nothing of the journal", error=error.message)
        catalog = self._engine.catalog
        if measured is not None and catalog is not None:
            self._others = self._others.grown(measured.counts, Names.of(catalog))
        scrape = Scrape(
            at=self._clock.now(),
            version=self._version,
            pulse=pulse,
            ready=all(part.trouble is None for part in parts),
            sync=self._engine.sync(),
            catalog=catalog,
            measures=measured,
            sizes=_sizes(self._file),
            company=company,
            others=self._others,
        )
        return exposed((*series(scrape), *self._meter.series()), accept)


def _company(conn: Connection) -> Company:
    at, leads = leaseclock.at(conn), leadership.leader(conn)
    led = None if leads is None or leads.until is None else leads.name
    return Company(attendance.known_controllers(conn, at=at), attendance.known_runners(conn, at=at), led)


def _sizes(file: Path) -> Sizes:
    files = {"journal": file, "wal": file.with_name(file.name + "-wal")}
    return Sizes({name: _size(path) for name, path in files.items()}, shutil.disk_usage(file.parent).free)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # there is no write-ahead log just now
        return 0
