"""The state folder as pages see it while no engine is asked: a copy of its journal, and the commit in force."""

import asyncio
import math
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.schedules.fires import upcoming
from engine.status.views import SyncView
from journal import commits, facts
from journal.clock import Clock, SystemClock
from journal.errors import Refused, Unavailable
from journal.store import Journal
from opsconductor.checking.validation import validate_commit
from opsconductor.dashboard.lately import Lately
from opsconductor.dashboard.sources import Sources
from opsconductor.service.health import Pulse
from opsconductor.settings import StateFolder
from reconciler.accepted import ACCEPTED, Accepted
from reconciler.repository.objects import Objects

_AHEAD = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Still:
    """An engine that does nothing: what one knew when its journal was copied."""

    catalog: Catalog | None
    observed: str | None
    at: datetime
    mirror: Path

    def sync(self) -> SyncView:
        applied = self.catalog.commit if self.catalog is not None else None
        return SyncView(observed=self.observed or applied, applied=applied, last_good=applied)

    def pulse(self) -> Pulse:
        """Of a process that never began: no page that is exported asks."""
        never = -math.inf
        return Pulse(
            now=0.0, started_at=self.at, turned=0.0, tried=never, passed=never, seen=never, pace=timedelta(seconds=30),
            commit=None, paused=True, claimed=False, stopping=False, working=None,
        )  # fmt: skip

    async def unwritable(self) -> str | None:
        return "nothing is written here"

    def soonest(self, count: int) -> Iterable[tuple[datetime, str]]:
        if self.catalog is None:
            return ()
        found = upcoming(self.catalog, self.at, self.at + _AHEAD)
        return tuple((fire.instant, fire.schedule) for fire in found[:count])

    @property
    def source(self) -> str:
        """Not known of a state folder alone: nothing is linked to a forge."""
        return ""

    def committed(self, commit: str, path: str) -> bytes | None:
        try:
            return Objects(self.mirror).file(commit, path)
        except (Refused, Unavailable):
            return None


@asynccontextmanager
async def sources_of(state: StateFolder) -> AsyncIterator[Sources]:
    """What pages may ask of a state folder. An engine may be at work on it; it is not disturbed.

    Raises Refused where there is no journal, or the definitions of its commit cannot be read.
    """
    if not state.journal.exists():
        raise Refused(f"no engine has worked on {state.root} yet: name its state folder with --state DIR")
    with tempfile.TemporaryDirectory(prefix="opsconductor-site-") as folder:
        copy = Path(folder) / "journal.sqlite3"
        await asyncio.to_thread(_copied, state.journal, copy)
        clock: Clock = SystemClock()
        journal = Journal.open(f"sqlite:///{copy}", clock=clock)
        reader = journal.reader("site")
        try:
            applied, observed = await reader.read(_commits)
            catalog = await asyncio.to_thread(_catalog, state.mirror, applied)
            still = Still(catalog, observed, clock.now(), state.mirror)
            yield Sources(still, reader, clock, state.logs, copy, Lately(clock), tests=state.tests)
        finally:
            reader.stop_watching()
            reader.close()
            await journal.close()


def _copied(journal: Path, copy: Path) -> None:
    """As it is at one moment, whoever writes meanwhile."""
    try:
        reading = sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True)
        with closing(reading) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise Refused(f"{journal} cannot be read: {error}") from error


def _commits(conn: Connection) -> tuple[str | None, str | None]:
    """The commit in force, and the one that was looked at last."""
    applied = Accepted.of(facts.get(conn, ACCEPTED, None)).applied
    newest = commits.recent(conn, 1)
    return applied, newest[0].commit if newest else None


def _catalog(mirror: Path, applied: str | None) -> Catalog | None:
    if applied is None:
        return None
    catalog = validate_commit(mirror, applied).compiled.catalog
    if catalog is None:
        raise Refused(f"the commit in force, {applied[:12]}, cannot be read by this version; update it, or the engine")
    return catalog
