"""What pages are made of: the engine that runs, the journal's read side, the clock, the logs."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from engine.catalog import Catalog
from engine.changes.impact import Impacts
from engine.status.views import SyncView
from journal.clock import Clock
from journal.store import JournalReader
from opsconductor.dashboard.ahead import Ahead, ahead
from opsconductor.dashboard.fetched import Fetched
from opsconductor.dashboard.lately import Lately
from opsconductor.dashboard.logindex import Indexes
from opsconductor.service.health import Pulse
from runners.logstore import LogStore

Data = dict[str, Any]
"""What a page shows, as plain data: the HTML and the JSON beside it are made of one value, so they cannot disagree."""


class Engine(Protocol):
    """What the running engine knows without asking the journal. Everything it gives is frozen."""

    @property
    def catalog(self) -> Catalog | None: ...

    def sync(self) -> SyncView: ...

    def pulse(self) -> Pulse: ...

    async def unwritable(self) -> str | None: ...

    def soonest(self, count: int) -> Iterable[tuple[datetime, str]]: ...

    @property
    def source(self) -> str:
        """Where definitions come from: a path, or a URL without a login."""

    def committed(self, commit: str, path: str) -> bytes | None:
        """A file as a commit has it; None where one of them is not there."""


class Kept:
    """What is worked out of a commit once, and asked for by many pages. Two that ask at once may both work it out."""

    def __init__(self) -> None:
        self.logs = Indexes()
        """Where the lines of logs begin."""
        self.fetched = Fetched()
        """Logs that only the place for logs has."""
        self._impacts: tuple[Catalog, Impacts] | None = None
        self._ahead: tuple[Catalog, datetime, Ahead] | None = None

    def impacts(self, catalog: Catalog) -> Impacts:
        """Who leans on whom in these definitions; the first answer of a large commit takes a moment."""
        kept = self._impacts
        if kept is None or kept[0] is not catalog:
            kept = self._impacts = (catalog, Impacts(catalog))
        return kept[1]

    def ahead(self, catalog: Catalog, start: datetime, length: timedelta) -> Ahead:
        """What is due from a full hour on."""
        kept = self._ahead
        if kept is None or kept[0] is not catalog or kept[1] != start or kept[2].end != start + length:
            kept = self._ahead = (catalog, start, ahead(catalog, start, start + length))
        return kept[2]


@dataclass(frozen=True, slots=True)
class Sources:
    """What every page may ask. The journal may be read by any number of them at once."""

    engine: Engine
    journal: JournalReader
    clock: Clock
    logs: Path
    """The folder of the logs, one folder a run."""
    journal_file: Path
    lately: Lately
    log_store: LogStore | None = None
    """Where logs are kept besides, if anywhere."""
    tests: Path | None = None
    """The folder of what `target test` found last."""
    public_url: str | None = None
    """Where people open the pages, if the engine was told: for addresses in what is read elsewhere."""
    kept: Kept = field(default_factory=Kept)
