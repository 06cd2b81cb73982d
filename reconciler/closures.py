"""Windows that begin or end while runs wait or work: what is under them is held, let go, or ended."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.schedules.admission import Admissions
from engine.schedules.standing import End, Standing, StartAt, judged_again
from journal import runs, standing
from journal.store import Journal

log = structlog.get_logger(__name__)

_OVERLAP = timedelta(minutes=1)
"""So far back is looked for what is new: who came or began says by his own clock when, and was written after it."""


class Closures:
    """Judges open runs by the windows in force: all when one of these opens or closes, and between what is new."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._admissions: Admissions | None = None
        self._looked_at: datetime | None = None
        self.next: datetime | None = None
        """When a window opens or closes next."""

    async def heed(self, catalog: Catalog, admissions: Admissions, now: datetime) -> None:
        """Call it before waiting runs are given their places, so that none begins that may not."""
        since = self._since(admissions, now)
        if since is None:
            found = await self._journal.read(standing.standing)
        elif catalog.windows:
            found = await self._journal.read(lambda conn: standing.fresh(conn, since, now))
        else:
            return
        while not await self._apply(found, catalog, admissions, now):
            found = await self._journal.read(standing.standing)
        self._admissions, self._looked_at = admissions, now
        if since is None:
            self.next = admissions.windows.change_after(now)

    def _since(self, admissions: Admissions, now: datetime) -> datetime | None:
        """From when on runs are new; None: every one is judged again."""
        if self._admissions is not admissions or self._looked_at is None or now < self._looked_at:
            return None  # other definitions, or the clock was set back
        if self.next is not None and self.next <= now:
            return None
        return self._looked_at - _OVERLAP

    async def _apply(
        self, found: tuple[Standing, ...], catalog: Catalog, admissions: Admissions, now: datetime
    ) -> bool:
        """Do what is judged of them, in one transaction. False: some have changed meanwhile, and are to be read again.

        Of these nothing is done: what a runner has begun since must not end for a window that lets it finish.
        """
        verdicts = [(run, judged_again(run, admissions, catalog, now)) for run in found]
        changes = [(run, verdict) for run, verdict in verdicts if verdict is not None]
        return not changes or await self._journal.write(lambda tx: _all_applied(tx, changes, now))


def _all_applied(tx: Connection, changes: list[tuple[Standing, StartAt | End]], now: datetime) -> bool:
    done = [standing.still(tx, run) and _applied(tx, run, verdict, now) for run, verdict in changes]
    return all(done)


def _applied(tx: Connection, run: Standing, verdict: StartAt | End, now: datetime) -> bool:
    match verdict:
        case StartAt(instant=instant):
            log.info("start moved by windows", run=run.run, to=instant.isoformat())
            return standing.start_at(tx, run.run, instant, now)
        case End(reason=reason):
            log.info("ended by windows", run=run.run, reason=reason)
            runs.cancel(tx, run.run, reason=reason, by=None, now=now)
            return True
