"""Windows that begin or end while runs wait or work: what is under them is held, let go, or ended."""

from datetime import datetime

import structlog
from sqlalchemy import Connection

from engine.admission import Admissions
from engine.catalog import Catalog
from engine.standing import End, Standing, StartAt, judged_again
from journal import runs, standing
from journal.store import Journal

log = structlog.get_logger(__name__)


class Closures:
    """Judges open runs by the windows in force: when one of these opens or closes, and when a run's time has come."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._admissions: Admissions | None = None
        self._looked_at: datetime | None = None
        self.next: datetime | None = None
        """When a window opens or closes next."""

    async def heed(self, catalog: Catalog, admissions: Admissions, now: datetime) -> None:
        """Call it before waiting runs are given their places, so that none begins that may not."""
        if not await self._is_needed(catalog, admissions, now):
            return
        found = [
            (run, judged_again(run, admissions, catalog, now)) for run in await self._journal.read(standing.standing)
        ]
        changes = [(run, verdict) for run, verdict in found if verdict is not None]
        if changes:
            await self._journal.write(lambda tx: _apply(tx, changes, now))
        self._admissions, self._looked_at = admissions, now
        self.next = admissions.windows.change_after(now)

    async def _is_needed(self, catalog: Catalog, admissions: Admissions, now: datetime) -> bool:
        if self._admissions is not admissions or self._looked_at is None or now < self._looked_at:
            return True  # other definitions, or the clock was set back
        if self.next is not None and self.next <= now:
            return True
        return bool(catalog.windows) and await self._journal.read(lambda conn: standing.any_due(conn, now))


def _apply(tx: Connection, changes: list[tuple[Standing, StartAt | End]], now: datetime) -> None:
    for run, verdict in changes:
        match verdict:
            case StartAt(instant=instant):
                if standing.start_at(tx, run.run, instant, now):
                    log.info("start moved by windows", run=run.run, to=instant.isoformat())
            case End(reason=reason):
                runs.cancel(tx, run.run, reason=reason, by=None, now=now)
                log.info("ended by windows", run=run.run, reason=reason)
