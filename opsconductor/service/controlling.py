"""The controlling part: it reads the source, decides what must happen, and publishes what did."""

import asyncio
import platform
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from engine.catalog import Catalog
from engine.status.views import SyncView
from journal import deliveries, leases
from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.reaper import Reaper
from journal.store import Journal
from opsconductor.committed import CommittedDocuments
from opsconductor.service.idle import is_idle
from opsconductor.service.mirrors import Mirrors
from opsconductor.service.showing import Showing
from opsconductor.settings import Settings
from reconciler.authority.statuskey import StatusKey
from reconciler.definitions import Definitions
from reconciler.loop import Loop
from reconciler.publication import owner, projection, rebuild
from reconciler.publication.publish import OtherOwner
from reconciler.publication.resumptions import Resumptions
from reconciler.publication.statusbranch import StatusBranch
from reconciler.repository.objects import Objects
from reconciler.repository.samesource import SameSource
from reconciler.vigil import Vigil
from reconciler.wake import Wake
from schemas.project import DEFAULT_STATUS_REF

log = structlog.get_logger(__name__)

_AWAY_PAUSE = timedelta(seconds=5)
_SHORTEST_FINISH = 15.0
"""Seconds that the last push may take, however short the grace time is."""


class Controlling:
    """`begin` once; where it says that the branch is ours, `start` what works until it is cancelled, then `finish`.

    `stop` is the event that asks everybody to stop; the caller sets it.
    """

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        clock: Clock,
        *,
        mirrors: Mirrors,
        wake: Wake,
        stop: asyncio.Event,
        engine_id: str | None = None,
        definitions: Definitions | None = None,
        adopted: Callable[[], None] | None = None,
    ) -> None:
        """`engine_id`: of the database, whose controllers lead one after another; without it this process is alone.

        `definitions`: read already over the mirror of the source; nobody else uses them any more.
        `adopted` is called whenever other definitions have come into force.
        """
        self._alone = engine_id is None
        self._engine_id = engine_id or owner.engine_id(owner.machine_id(), str(settings.state.root))
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._mirrors = mirrors
        self._wake = wake
        self._stop = stop
        self._objects = Objects(mirrors.source.path)
        self._committed = CommittedDocuments(mirrors.source.path)
        sign_key, own = settings.sign_key, settings.state.root / "trust"
        self._key = StatusKey(sign_key, own, settings.trust.file) if sign_key is not None else None
        self._branch: StatusBranch | None = None
        self._deciding: asyncio.Task[None] | None = None
        self.vigil: Vigil | None = None
        """Whether this process was awake all the time; from `start` on."""
        self._news = asyncio.Event()
        self._adopted, self._in_force = adopted, ""
        self.loop = Loop(
            journal=journal,
            mirror=mirrors.source,
            objects=self._objects,
            wake=wake,
            clock=clock,
            branch=settings.branch,
            decides=not settings.paused,
            told=self._told,
            trust=settings.trust,
            definitions=definitions,
            engine=self._engine_id,
        )
        self.loop.statuses.source = settings.source.address
        self.loop.statuses.status_here = mirrors.one
        self.showing = Showing(self.loop, journal, clock, settings.state, news=self._news, own_source=mirrors.one)

    def show_at(self, pages: str | None) -> None:
        """Where people can open the dashboard, for links in messages."""
        self.loop.notices.pages = self.loop.statuses.pages = pages

    def _told(self) -> None:
        """What is known of the source has changed."""
        self._news.set()
        applied = self.loop.sync.applied or ""
        if applied != self._in_force:
            self._in_force = applied
            if self._adopted is not None:
                self._adopted()

    @property
    def catalog(self) -> Catalog | None:
        """The definitions in force."""
        return self.loop.catalog

    def sync(self) -> SyncView:
        """What is known of the source. May be asked from another thread, as what follows."""
        return self.showing.view()

    def soonest(self, count: int) -> tuple[tuple[datetime, str], ...]:
        """The next due instants, each with its schedule."""
        return self.loop.schedules.soonest(count)

    @property
    def claimed(self) -> bool:
        """Whether the status branch is ours, as far as is known."""
        return self.showing.engine is not None and self.vigil is not None and self.vigil.holds

    def committed(self, commit: str, path: str) -> bytes | None:
        """A file as a commit has it, as far as both are there."""
        return self._committed.file(commit, path)

    # --- beginning ----------------------------------------------------------------------------------------------

    async def begin(self) -> bool:
        """From the first look until all that the branch has is taken in. False: told to stop, or paused.

        Raises Refused where it cannot start.
        """
        await self.loop.start()
        await self._look_at_first()
        if self._settings.paused or not await self._branch_is_there():
            return False
        if not self._alone:
            await self._same_source().check(self.loop.outlook.head)
        found = await self._claim_one()
        if found is None or self._branch is None:
            return False
        self.showing.watch(self._branch)
        if not await self._take_in(self._branch):
            return False
        self.showing.engine = found.own
        now = self._clock.now()
        if self._alone:  # nobody else can be at work on what is said to be running
            await self._void(now)
        await self.loop.heed(now)
        await self._branch.projection.begin()
        return True

    def _same_source(self) -> SameSource:
        return SameSource(self._journal, self._mirrors.source.path, self._settings.source.address)

    async def _void(self, now: datetime) -> None:
        lost = await self._journal.write(lambda tx: leases.void(tx, now))
        await self._journal.write(deliveries.reclaim_all)
        for reaped in lost:
            log.warning("its runner was lost", run=reaped.run, now=str(reaped.to))

    async def _claim_one(self) -> owner.Found | None:
        """Claim the status branch that the Project names, or where that is refused the one drawn on last.

        So no commit can lock the engine out: it goes on where it was, says why, and acts on the commit that mends it.
        Where another engine has the branch that is asked for still, that one decides, and this one must not.
        """
        project = await self.loop.outlook.project()
        trouble = self.loop.shared(project) if project else None
        wanted = project.spec.status.ref if project and trouble is None else None
        drawn_on = await self._journal.read(projection.drawn_on)
        refs = list(dict.fromkeys(ref for ref in (wanted, drawn_on) if ref)) or [DEFAULT_STATUS_REF]
        for ref in refs:
            branch = self.status_branch(ref)
            try:
                found = await self._claim(branch)
            except Refused as error:
                if ref == refs[-1] or (isinstance(error, owner.Taken) and await self._asked_for_still(ref)):
                    raise
                trouble = error.message
                continue
            if trouble is not None and self.loop.catalog is not None:
                log.error("the status stays where it is", ref=ref, error=trouble)
                self.loop.note_status(trouble)
                self.showing.followed = self.loop.catalog.commit
            self._branch = branch
            return found
        return None

    async def _asked_for_still(self, ref: str) -> bool:
        project = await self.loop.outlook.project_of_head()
        return project is None or project.spec.status.ref == ref

    def status_branch(self, ref: str) -> StatusBranch:
        """The status branch of this name, unclaimed."""
        return StatusBranch(
            self._mirrors.status,
            ref,
            journal=self._journal,
            clock=self._clock,
            engine_id=self._engine_id,
            host=platform.node(),
            schedule=self.showing.schedule_view,
            sync=self.showing.view,
            interval=self.loop.outlook.interval,
            key=self._key,
            shared=not self._alone,
        )

    async def _take_in(self, branch: StatusBranch) -> bool:
        """Take in what the branch has and the store lacks, before anything is decided. False: told to stop.

        Which requests are older than this is looked up now, when nobody else can answer any more. Without that look
        nothing goes on: a request that was answered before would be answered again.
        """
        pending = await rebuild.pending(self._journal)
        if pending is None:
            return True
        await self.loop.look()
        while not self._stop.is_set() and (trouble := self.loop.outlook.unseen(acts=True)) is not None:
            log.warning("nothing is decided until the source has been seen", error=trouble)
            await self._pause(_AWAY_PAUSE)
            await self.loop.look()
        acts = await self.loop.all_acts()
        while not self._stop.is_set() and self.loop.unread is not None:
            log.warning("nothing is decided until the requests branch can be read", error=self.loop.unread)
            await self._pause(_AWAY_PAUSE)
            await self.loop.look()
            acts = await self.loop.all_acts()
        if self._stop.is_set():
            return False
        now = self._clock.now()
        await rebuild.from_branch(
            self._journal,
            branch.publisher,
            before=pending.before,
            present=frozenset(one.authored.document.name for one in acts),
            now=now,
            replan=Resumptions(self._objects, head=self.loop.outlook.head, acts=acts).plans,
            in_history=self._in_history,
            believed=pending.believed,
            trusts=self._key is not None or self._settings.trust.mode == "none",
        )
        await self.loop.start()
        return True

    def _in_history(self, commit: str) -> bool:
        """Whether the branch of definitions contains the commit, as it was seen last."""
        head = self.loop.outlook.head
        return head is not None and self._objects.has(commit) and self._objects.is_ancestor(commit, head)

    async def _branch_is_there(self) -> bool:
        """Wait for the branch before anything is claimed: a mistyped name must not lock out who has it right.

        False: told to stop. Raises Refused with --once, and for a path that cannot be read: waiting mends no typo.
        """
        said = None
        outlook = self.loop.outlook
        while not self._stop.is_set() and (message := await outlook.missing() or self._unknown()) is not None:
            unread = message == self._unknown()
            if self._settings.once or (unread and self._settings.source.is_path):
                raise Refused(message)
            if message != said:
                log.warning("waiting for the branch of definitions", message=message)
                said = message
            pause = _AWAY_PAUSE if unread else await outlook.interval()
            await self._wake.wait(timeout=pause)
            await self._look_at_first()
        return not self._stop.is_set()

    async def _look_at_first(self) -> None:
        await self.loop.look()
        if self.loop.catalog is None:  # the mirror was new: what the journal names could not be opened before the look
            await self.loop.start()

    def _unknown(self) -> str | None:
        """Why it cannot be known which status branch is meant: nothing is in force, and the source was not seen."""
        return self.loop.outlook.unseen(acts=False) if self.loop.catalog is None else None

    async def _claim(self, branch: StatusBranch) -> owner.Found | None:
        """Wait out a source that is away for a moment; a person must help where it refuses. None: told to stop."""
        while not self._stop.is_set():
            try:
                return await branch.claim(take_over=self._settings.take_over)
            except Unavailable as error:
                log.warning("the status branch cannot be reached", error=error.message)
                await self._pause(error.retry_after)
        return None

    async def _pause(self, span: timedelta) -> None:
        try:
            async with asyncio.timeout(span.total_seconds()):
                await self._stop.wait()
        except TimeoutError:
            return

    # --- working ------------------------------------------------------------------------------------------------

    def start(self) -> tuple[asyncio.Task[None], ...]:
        """All of this part at once, each until it is cancelled or fails; the loop ends in order when a stop is asked
        for."""
        assert self._branch is not None
        vigil = self.vigil = Vigil(self._clock, self._branch.look, self._longest_still)
        self.loop.sure = vigil.sure
        self._deciding = asyncio.create_task(self.loop.run(self._stop))
        return (
            self._deciding,
            asyncio.create_task(vigil.keep()),
            asyncio.create_task(self.showing.keep_up(self._branch)),
            asyncio.create_task(self._beside()),
        )

    async def _beside(self) -> None:
        if self._alone:  # of several controllers each reaps, whoever leads
            await Reaper(self._journal, self._clock).run()
        else:
            await self._same_source().remember(lambda: None if self.catalog is None else self.catalog.commit)

    async def decided(self) -> None:
        """Wait until nothing is decided any more, after a stop was asked for."""
        if self._deciding is not None:
            await asyncio.gather(self._deciding, return_exceptions=True)

    def _longest_still(self) -> timedelta:
        assert self._branch is not None
        return max(self._branch.publisher.min_interval, self.loop.outlook.pace)

    async def idle(self) -> bool:
        """Whether nothing is left to do before somebody asks for something, or a later time comes."""
        now, telling = self._clock.now(), self.loop.notices.any
        return await self._journal.read(lambda conn: is_idle(conn, now, telling=telling))

    async def finish(self) -> None:
        """Publish the last of it and close the claim; where the branch cannot be reached, the next start makes up."""
        assert self._branch is not None
        try:
            async with asyncio.timeout(max(self._settings.grace.total_seconds(), _SHORTEST_FINISH)):
                await self.showing.show_sync()
                await self._branch.close()
        except (Unavailable, Refused, OtherOwner, TimeoutError) as error:
            log.warning("the last status could not be published; the next start does it", error=str(error))

    async def watch_only(self) -> None:
        """--paused: read, validate and show, without a claim, a run or a push, until a stop is asked for."""
        deciding = asyncio.create_task(self.loop.run(self._stop))
        try:
            await self._stop.wait()
        finally:
            deciding.cancel()
            await asyncio.gather(deciding, return_exceptions=True)
