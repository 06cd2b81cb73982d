"""The status branch in use: claimed, drawn on, watched, and left for another where the definitions name one."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from engine.status.views import EngineView, SyncView
from journal.clock import Clock
from journal.errors import Refused
from journal.store import Journal
from reconciler.authority.statuskey import StatusKey
from reconciler.publication import owner, rebuild
from reconciler.publication.claim import SYNC_FILE, claim_in, named
from reconciler.publication.line import Line
from reconciler.publication.projection import Projection, Schedule
from reconciler.publication.publish import BranchGone, Foreign, OtherOwner, Publisher
from reconciler.repository.mirror import Mirror

log = structlog.get_logger(__name__)


class StatusBranch:
    """One per engine; its calls take turns. `claim` once, before anything else and before anything is decided.

    Every call may raise Unavailable (nothing is lost, come back), Refused (a person must change something) and
    OtherOwner (another engine decides now: stop). Repeating any call is harmless.
    """

    def __init__(
        self,
        mirror: Mirror,
        ref: str,
        *,
        journal: Journal,
        clock: Clock,
        engine_id: str,
        host: str,
        schedule: Schedule,
        sync: Callable[[], SyncView],
        interval: Callable[[], Awaitable[timedelta]],
        key: StatusKey | None = None,
        shared: bool = False,
    ) -> None:
        """`interval` says how long it takes at most until an engine on this source has looked at its branches.

        `shared`: other processes of this engine write the branch too, one after another. Then it is never closed: runs
        go on while nobody writes it.
        """
        self._mirror = mirror
        self._journal = journal
        self._clock = clock
        self._engine_id = engine_id
        self._host = host
        self._schedule = schedule
        self._sync = sync
        self._interval = interval
        self._key = key
        self._shared = shared
        self._use(self._publisher(ref))

    @property
    def ref(self) -> str:
        """The full name of the branch."""
        return self.publisher.ref

    async def claim(self, *, take_over: bool) -> owner.Found:
        """Make the branch this engine's, by compare-and-swap. Refused where another's claim is open."""
        return await self._claimed(self.publisher, take_over=take_over, intending=self._intending)

    async def follow(self, ref: str) -> owner.Found:
        """Go on with another branch: claim it, and have everything drawn on it. Until that is done all stays as it was.

        The branch that is left keeps its open claim: it does not say everything any more, so nobody may take it for the
        whole truth. Refused where another engine wrote the new one: only a start takes in what that engine did before
        anything is decided.
        """
        publisher = self._publisher(ref)
        await self._of_nobody_else(publisher)
        try:
            found = await self._claimed(publisher, take_over=False)
        except Refused:
            await self._of_nobody_else(publisher)
            raise
        log.warning("the status goes to another branch from now on", before=self.ref, now=ref)
        self._use(publisher)
        return found

    async def look(self) -> None:
        """Ask the remote where the branch is. A stranger's commits are set aside; a deleted branch is drawn anew."""
        try:
            await self.publisher.poll()
        except BranchGone:
            log.warning("the status branch was deleted; it is written again from the store")
            await self.projection.redraw()

    async def close(self) -> None:
        """Publish what is left, and say on the branch that this engine has drained. Call it last."""
        while await self.projection.publish():
            pass
        if self._shared:
            return
        try:
            await owner.close(self.publisher, clock=self._clock)
        except BranchGone:
            await self.projection.rewrite()
            await owner.close(self.publisher, clock=self._clock)

    def _use(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.projection = Projection(self._journal, publisher, schedule=self._schedule, sync=self._sync)

    def _publisher(self, ref: str) -> Publisher:
        return Publisher(
            self._mirror,
            ref,
            engine_id=self._engine_id,
            clock=self._clock,
            on_foreign=_said,
            key=self._key,
            shared=Line(self._journal, ref) if self._shared else None,
        )

    async def _intending(self, before: EngineView | None) -> None:
        believed = await asyncio.to_thread(self.publisher.believed)
        wanted = await rebuild.intend(self._journal, self._engine_id, before, believed=believed)
        if wanted and not believed:
            # Before our claim: a commit that we sign must not hold what we do not believe.
            log.error("the status branch is not signed by this engine's key: nothing on it is believed", ref=self.ref)
            await self.publisher.begin_anew()

    async def _claimed(
        self,
        publisher: Publisher,
        *,
        take_over: bool,
        intending: Callable[[EngineView | None], Awaitable[None]] | None = None,
    ) -> owner.Found:
        # The other looks at the branch once in this time, and must have seen the claim before we decide.
        interval = max(publisher.min_interval, await self._interval())
        return await owner.claim(
            publisher,
            clock=self._clock,
            take_over=take_over,
            host=self._host,
            sleep=asyncio.sleep,
            interval=interval,
            intending=intending,
        )

    async def _of_nobody_else(self, publisher: Publisher) -> None:
        await publisher.open(read_only=True)
        before = claim_in(publisher.read(SYNC_FILE))
        if before is None or before.id == self._engine_id:
            return
        if before.closed is None:
            raise OtherOwner(before)
        raise Refused(
            f"{publisher.ref} was written by engine {named(before)}; restart this one, so that it takes in that branch "
            "before it decides anything, or name a branch that nobody has used"
        )


def _said(foreign: Foreign) -> None:
    log.warning("a foreign commit was on the status branch", message=foreign.message)
