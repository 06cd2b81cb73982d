"""What a controller knows that does not lead: the definitions in force, kept warm, and what the leader publishes."""

import asyncio
import math
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.compile import Compiled
from engine.schedules.fires import upcoming
from engine.status import readmodel
from engine.status.views import SyncView
from journal import facts, names
from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.store import Journal
from opsconductor.committed import CommittedDocuments
from opsconductor.service.mirrors import Mirrors
from opsconductor.settings import Settings
from reconciler.accepted import ACCEPTED, Accepted
from reconciler.definitions import Definitions
from reconciler.outlook import Outlook
from reconciler.publication import projection
from reconciler.publication.claim import SYNC_FILE
from reconciler.repository.objects import NoSuchCommit
from reconciler.repository.samesource import SameSource
from reconciler.wake import Wake

log = structlog.get_logger(__name__)

_AHEAD = timedelta(days=7)
_SOON = timedelta(seconds=2)
"""How long it takes at most until a commit that the leader has put in force is in force here, once it was fetched."""


class Standby:
    """`keep_warm` until it is cancelled, then `rest`. It writes nothing but the mirror; the leader decides."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        clock: Clock,
        *,
        mirrors: Mirrors,
        wake: Wake,
        definitions: Definitions,
    ) -> None:
        """`definitions` are what a leader goes on with; nobody else uses them from `keep_warm` until after `rest`."""
        self._journal = journal
        self._clock = clock
        self._mirrors = mirrors
        self._wake = wake
        self._definitions = definitions
        self._loading: asyncio.Future[Compiled] | None = None
        self._committed = CommittedDocuments(mirrors.source.path)
        self._outlook = Outlook(mirrors.source, settings.branch, settings.trust)
        self._sync = SyncView()
        self._said: str | None = None
        self._same = SameSource(journal, mirrors.source.path, settings.source.address)
        self._is_same = False
        self.catalog: Catalog | None = None
        """The definitions in force."""
        self.tried = self.passed = self.seen = -math.inf
        """As of a Loop."""

    @property
    def pace(self) -> timedelta:
        """How often the source is looked at."""
        return self._outlook.pace

    @property
    def commit(self) -> str | None:
        """The commit in force."""
        return None if self.catalog is None else self.catalog.commit

    def sync(self) -> SyncView:
        """What the leader said of the source, as the status branch has it. May be asked from another thread."""
        return self._sync

    def soonest(self, count: int) -> Iterable[tuple[datetime, str]]:
        """The next due instants, each with its schedule."""
        if self.catalog is None:
            return ()
        now = self._clock.now()
        return tuple((fire.instant, fire.schedule) for fire in upcoming(self.catalog, now, now + _AHEAD)[:count])

    def committed(self, commit: str, path: str) -> bytes | None:
        """A file as a commit has it, as far as both are there. May be asked from another thread."""
        return self._committed.file(commit, path)

    async def keep_warm(self) -> None:
        """Follow the source and the journal. Raises OtherSource where others of the database have another one."""
        while True:
            await self._look()
            woken = await self._wake.wait(timeout=min(self.pace, _SOON))
            while "interval" in woken and self._clock.monotonic() - self.seen < self.pace.total_seconds():
                await self._heed()
                woken = await self._wake.wait(timeout=min(self.pace, _SOON))

    async def rest(self) -> None:
        """After `keep_warm` was cancelled: until nothing is read any more."""
        if self._loading is not None:
            await asyncio.gather(self._loading, return_exceptions=True)

    async def _look(self) -> None:
        await self._outlook.look()
        if self._outlook.sighting.trouble is None:
            self.seen = self._clock.monotonic()
            await self._compare()
        await self._heed()

    async def _compare(self) -> None:
        try:
            self._is_same = self._is_same or await self._same.check(self._outlook.head)
        except Unavailable as error:
            log.debug("it is not known yet whether the source is the one of the others", error=error.message)

    async def _heed(self) -> None:
        """Know what is in force, and what is said of it."""
        try:
            accepted, self._outlook.status_ref = await self._journal.read(_in_force)
            await self._load(accepted)
            self._sync = await asyncio.to_thread(self._published, accepted)
        except (Unavailable, Refused) as error:
            if str(error) != self._said:
                log.warning("what is in force is not known here yet", error=str(error))
            self._said = str(error)
        else:
            self._said = None
            self.passed = self._clock.monotonic()
        finally:
            self.tried = self._clock.monotonic()

    async def _load(self, accepted: Accepted) -> None:
        applied = accepted.applied
        if applied is None or (self.catalog is not None and self.catalog.commit == applied):
            return
        try:
            self._loading = asyncio.ensure_future(self._definitions.load(applied))
            compiled = await asyncio.shield(self._loading)
        except NoSuchCommit as error:
            raise Unavailable(f"commit {applied[:12]} is in force, and was not fetched here yet") from error
        if compiled.catalog is not None:
            await asyncio.to_thread(self._mirrors.source.keep, "accepted", applied)
            self.catalog = compiled.catalog.after(await self._journal.read(names.known))
            self._outlook.in_force = compiled.catalog.project

    def _published(self, accepted: Accepted) -> SyncView:
        """What `sync.yaml` says; where the status goes to another repository, only what the journal does."""
        plain = SyncView(observed=accepted.trusted, applied=accepted.applied, last_good=accepted.applied)
        tip = self._outlook.sighting.heads.get(self._outlook.status_ref or "") if self._mirrors.one else None
        data = self.committed(tip, SYNC_FILE) if tip is not None else None
        try:
            return readmodel.parse_sync_file(data) if data is not None else plain
        except readmodel.Unreadable:
            return plain


def _in_force(conn: Connection) -> tuple[Accepted, str | None]:
    return Accepted.of(facts.get(conn, ACCEPTED, None)), projection.drawn_on(conn)
