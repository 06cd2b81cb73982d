"""The engine: the loop, the runner and the publisher in one process, from the first claim to the drained stop."""

import asyncio
import os
import platform
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from threading import Lock

import structlog

from engine.catalog import DEFAULT_POOL, Catalog
from engine.views import SyncView
from journal import deliveries, leases
from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.reaper import Reaper
from journal.store import Journal
from opsconductor import exits
from opsconductor.committed import MirroredFiles
from opsconductor.health import Pulse, Working
from opsconductor.idle import failed_since, is_idle
from opsconductor.logkeeping import LogKeeping
from opsconductor.settings import Settings
from opsconductor.showing import Showing
from opsconductor.webhooks import WebhookDoor
from reconciler import owner, projection, rebuild
from reconciler.loop import Loop
from reconciler.mirror import Mirror
from reconciler.objects import Objects
from reconciler.publish import OtherOwner
from reconciler.resumptions import Resumptions
from reconciler.statusbranch import StatusBranch
from reconciler.statuskey import StatusKey
from reconciler.vigil import Vigil
from reconciler.wake import Wake
from runners.connections.local import LocalSettings
from runners.messenger import Messenger
from runners.pool import Runner, RunnerSettings
from runners.secrets import Secrets
from schemas.project import DEFAULT_STATUS_REF

log = structlog.get_logger(__name__)

_AWAY_PAUSE = timedelta(seconds=5)
_TURN = 0.5
"""Seconds between two signs that the event loop turns."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the engine stops, and with which exit code."""

    code: int
    reason: str = ""


class Engine:
    """Runs until `stop` is called, the work is done (`once`), or another engine takes the branch."""

    def __init__(
        self, settings: Settings, journal: Journal, clock: Clock, *, begun: Callable[[], None] | None = None
    ) -> None:
        self._settings = settings
        self._begun = begun
        self._journal = journal
        self._clock = clock
        self._stop = asyncio.Event()
        self._ending = Ending(exits.OK)
        self._mirror = Mirror(settings.state.mirror, settings.source.text, environment=os.environ)
        self._objects = Objects(self._mirror.path)
        # For others than the loop, who ask from threads of their own; Objects have one caller at a time.
        self._committed, self._committed_turn = Objects(self._mirror.path), Lock()
        remote = settings.status_remote
        self._status_mirror = (
            Mirror(settings.state.root / "status.git", remote, environment=os.environ) if remote else self._mirror
        )
        sign_key, own = settings.sign_key, settings.state.root / "trust"
        self._key = StatusKey(sign_key, own) if sign_key is not None else None
        self._wake = Wake(settings.source.path)
        self._bug: BaseException | None = None
        self._started = clock.now()
        self._turned = clock.monotonic()
        self._vigil: Vigil | None = None
        self._runner_here: Runner | None = None
        news = asyncio.Event()
        self._loop = Loop(
            journal=journal,
            mirror=self._mirror,
            objects=self._objects,
            wake=self._wake,
            clock=clock,
            branch=settings.branch,
            decides=not settings.paused,
            told=news.set,
            trust=settings.trust,
        )
        self._loop.statuses.source = settings.source.address
        self._loop.statuses.status_here = self._status_mirror is self._mirror
        self.showing = Showing(
            self._loop,
            journal,
            clock,
            settings.state.logs,
            news=news,
            own_source=self._status_mirror is self._mirror,
        )
        self._branch: StatusBranch | None = None
        self._door = WebhookDoor(settings)
        self.keeping = LogKeeping(settings, journal, clock)
        self.showing.logs_kept = self.keeping.store is not None

    def show_at(self, pages: str | None) -> None:
        """Where people can open the dashboard, for links in messages."""
        self._loop.notices.pages = self._loop.statuses.pages = pages

    @property
    def catalog(self) -> Catalog | None:
        """The definitions in force."""
        return self._loop.catalog

    def sync(self) -> SyncView:
        """What is known of the source. May be asked from another thread, as what follows."""
        return self.showing.view()

    def soonest(self, count: int) -> tuple[tuple[datetime, str], ...]:
        """The next due instants, each with its schedule."""
        return self._loop.schedules.soonest(count)

    def pulse(self) -> Pulse:
        """How the engine is."""
        loop, vigil, runner = self._loop, self._vigil, self._runner_here
        return Pulse(
            now=self._clock.monotonic(),
            started_at=self._started,
            turned=self._turned,
            tried=loop.tried,
            passed=loop.passed,
            seen=loop.seen,
            pace=loop.outlook.pace,
            commit=loop.sync.applied,
            paused=self._settings.paused,
            claimed=self.showing.engine is not None and vigil is not None and vigil.holds,
            stopping=self._stop.is_set(),
            working=None if runner is None else Working(len(runner.active), runner.capacity),
        )

    async def unwritable(self) -> str | None:
        """Why the journal cannot be written now; None where it can. May be asked from any thread's loop."""
        return await self._journal.unwritable()

    @property
    def source(self) -> str:
        """Where definitions come from, as anybody may see it."""
        return self._settings.source.address

    def committed(self, commit: str, path: str) -> bytes | None:
        """A file as a commit has it, as far as both are there. May be asked from another thread."""
        with self._committed_turn:
            try:
                return self._committed.file(commit, path)
            except (Refused, Unavailable):
                return None

    def stop(self) -> None:
        """Begin the drained stop: nothing new is decided or claimed, what runs may end within the grace time."""
        self._stop.set()
        self._wake.poke()

    async def run(self) -> int:
        """From the first look to the drained stop; gives the exit code. Raises Refused where it cannot start."""
        turning = asyncio.create_task(self._turn())
        try:
            async with self._wake:
                await self._begin()
                if self._begun is not None and self.showing.engine is not None:
                    self._begun()
                if self._stop.is_set() and self.showing.engine is None:
                    log.info("stopped before anything was begun")
                elif self._settings.paused:
                    await self._watch_only()
                elif self._settings.once:
                    await self._work(self._until_idle())
                else:
                    await self._work(self._stop.wait())
        finally:
            turning.cancel()
            self._door.close()
            self._mirror.close()
            self._status_mirror.close()
        if self._ending.reason:
            log.error("stopped", reason=self._ending.reason)
        return self._ending.code

    async def _turn(self) -> None:
        """Say, as long as this loop turns, that it does: whoever asks is on another thread."""
        while True:
            self._turned = self._clock.monotonic()
            await asyncio.sleep(_TURN)

    # --- beginning ----------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        await self._mirror.open()
        await self._loop.start()
        await self._look_at_first()
        if self._settings.paused or not await self._branch_is_there():
            return
        found = await self._claim_one()
        if found is None or self._branch is None:
            return
        self.showing.watch(self._branch)
        if not await self._take_in(self._branch):
            return
        self.showing.engine = found.own
        now = self._clock.now()
        lost = await self._journal.write(lambda tx: leases.void(tx, now))
        await self._journal.write(lambda tx: deliveries.reclaim(tx, None))
        for reaped in lost:
            log.warning("its runner was lost", run=reaped.run, now=str(reaped.to))
        await self._loop.heed(now)
        await self._branch.projection.begin()

    async def _claim_one(self) -> owner.Found | None:
        """Claim the status branch that the Project names, or where that is refused the one drawn on last.

        So no commit can lock the engine out: it goes on where it was, says why, and acts on the commit that mends it.
        Where another engine has the branch that is asked for still, that one decides, and this one must not.
        """
        project = await self._loop.outlook.project()
        trouble = self._loop.shared(project) if project else None
        wanted = project.spec.status.ref if project and trouble is None else None
        drawn_on = await self._journal.read(projection.drawn_on)
        refs = list(dict.fromkeys(ref for ref in (wanted, drawn_on) if ref)) or [DEFAULT_STATUS_REF]
        for ref in refs:
            branch = self._status_branch(ref)
            try:
                found = await self._claim(branch)
            except Refused as error:
                if ref == refs[-1] or (isinstance(error, owner.Taken) and await self._asked_for_still(ref)):
                    raise
                trouble = error.message
                continue
            if trouble is not None and self._loop.catalog is not None:
                log.error("the status stays where it is", ref=ref, error=trouble)
                self._loop.note_status(trouble)
                self.showing.followed = self._loop.catalog.commit
            self._branch = branch
            return found
        return None

    async def _asked_for_still(self, ref: str) -> bool:
        project = await self._loop.outlook.project_of_head()
        return project is None or project.spec.status.ref == ref

    def _status_branch(self, ref: str) -> StatusBranch:
        return StatusBranch(
            self._status_mirror,
            ref,
            journal=self._journal,
            clock=self._clock,
            engine_id=owner.engine_id(owner.machine_id(), str(self._settings.state.root)),
            host=platform.node(),
            schedule=self.showing.schedule_view,
            sync=self.showing.view,
            interval=self._loop.outlook.interval,
            key=self._key,
        )

    async def _take_in(self, branch: StatusBranch) -> bool:
        """Take in what the branch has and the store lacks, before anything is decided. False: told to stop.

        Which requests are older than this is looked up now, when nobody else can answer any more. Without that look
        nothing goes on: a request that was answered before would be answered again.
        """
        pending = await rebuild.pending(self._journal)
        if pending is None:
            return True
        await self._loop.look()
        while not self._stop.is_set() and (trouble := self._loop.outlook.unseen(acts=True)) is not None:
            log.warning("nothing is decided until the source has been seen", error=trouble)
            await self._pause(_AWAY_PAUSE)
            await self._loop.look()
        if self._stop.is_set():
            return False
        acts, now = await self._loop.all_acts(), self._clock.now()
        await rebuild.from_branch(
            self._journal,
            branch.publisher,
            before=pending.before,
            present=frozenset(one.authored.document.name for one in acts),
            now=now,
            replan=Resumptions(self._objects, head=self._loop.outlook.head, acts=acts).plans,
            in_history=self._in_history,
            believed=pending.believed,
            trusts=self._key is not None or self._settings.trust.mode == "none",
        )
        await self._loop.start()
        return True

    def _in_history(self, commit: str) -> bool:
        """Whether the branch of definitions contains the commit, as it was seen last."""
        head = self._loop.outlook.head
        return head is not None and self._objects.has(commit) and self._objects.is_ancestor(commit, head)

    async def _branch_is_there(self) -> bool:
        """Wait for the branch before anything is claimed: a mistyped name must not lock out who has it right.

        False: told to stop. Raises Refused with --once, and for a path that cannot be read: waiting mends no typo.
        """
        said = None
        outlook = self._loop.outlook
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
        await self._loop.look()
        if self._loop.catalog is None:  # the mirror was new: what the journal names could not be opened before the look
            await self._loop.start()

    def _unknown(self) -> str | None:
        """Why it cannot be known which status branch is meant: nothing is in force, and the source was not seen."""
        return self._loop.outlook.unseen(acts=False) if self._loop.catalog is None else None

    async def _claim(self, branch: StatusBranch) -> owner.Found | None:
        """Wait out a source that is away for a moment; a person must help where it refuses. None: told to stop."""
        while not self._stop.is_set():
            try:
                return await branch.claim(take_over=self._settings.take_over)
            except Unavailable as error:
                log.warning("the status branch cannot be reached", error=error.message)
                await self._pause(error.retry_after)
        return None

    # --- working ------------------------------------------------------------------------------------------------

    async def _work(self, until: Coroutine[object, object, object]) -> None:
        """All parts at once until `until` is over, one of them fails, or a stop is asked for; then drain."""
        assert self._branch is not None
        vigil = Vigil(self._clock, self._branch.look, self._longest_still)
        self._loop.sure = vigil.sure
        self._vigil = vigil
        runner = self._runner_here = self._runner(vigil)
        watching = asyncio.create_task(vigil.keep())
        deciding = asyncio.create_task(self._loop.run(self._stop))
        messenger = self._messenger(vigil)
        running = asyncio.create_task(runner.run())
        telling = asyncio.create_task(messenger.run())
        publishing = asyncio.create_task(self.showing.keep_up(self._branch))
        reaping = asyncio.create_task(Reaper(self._journal, self._clock).run())
        waiting = asyncio.ensure_future(until)
        receiving = self._door.receive(
            self._journal,
            self._clock,
            self._secrets(),
            catalog=lambda: self._loop.catalog,
            pushed=self._wake.poke,
        )
        keeping = asyncio.create_task(self.keeping.keep_up())
        parts = {deciding, running, telling, publishing, reaping, watching, keeping, *receiving}
        try:
            done, _ = await asyncio.wait({waiting, *parts}, return_when=asyncio.FIRST_COMPLETED)
            failed = next((part.exception() for part in done if part.exception() is not None), None)
            self._note(failed)
            self._stop.set()
            self._wake.poke()
            for door in receiving:
                door.cancel()
            await asyncio.gather(deciding, *receiving, return_exceptions=True)
            await asyncio.gather(runner.drain(self._settings.grace), messenger.drain(self._settings.grace))
        finally:
            for part in (*parts, waiting):
                part.cancel()
            await asyncio.gather(*parts, waiting, return_exceptions=True)
        await self._finish()
        if self._bug is not None:
            raise self._bug

    def _secrets(self) -> Secrets:
        settings = self._settings
        return Secrets(
            settings.secrets,
            settings.secret_variables,
            restricted=settings.restricted,
            host=settings.secret_host,
            identities=settings.identities,
            own=(settings.state.root, *((settings.sign_key,) if settings.sign_key else ()), *settings.own),
        )

    def _longest_still(self) -> timedelta:
        assert self._branch is not None
        return max(self._branch.publisher.min_interval, self._loop.outlook.pace)

    def _runner(self, vigil: Vigil) -> Runner:
        """One runner for every pool."""
        settings = self._settings
        return Runner(
            self._journal,
            pools=None,
            clock=self._clock,
            secrets=self._secrets(),
            logs=settings.state.logs,
            may_claim=vigil.sure,
            repository=MirroredFiles(settings.state.mirror),
            settings=RunnerSettings(
                name=f"{DEFAULT_POOL}/{token_hex(2)}",
                host=platform.node(),
                lock=settings.state.runner_lock,
                local=LocalSettings(restricted=settings.restricted),
            ),
        )

    def _messenger(self, vigil: Vigil) -> Messenger:
        """One messenger for the channels of every pool."""
        return Messenger(
            self._journal,
            name=f"{DEFAULT_POOL}/{token_hex(2)}",
            pools=None,
            clock=self._clock,
            secrets=self._secrets(),
            restricted=self._settings.restricted,
            may_claim=vigil.sure,
            repository=MirroredFiles(self._settings.state.mirror),
        )

    def _note(self, error: BaseException | None) -> None:
        match error:
            case None:
                pass
            case OtherOwner():
                self._ending = Ending(exits.FINDINGS, str(error))
            case Refused():
                self._ending = Ending(exits.FINDINGS, error.message)
            case _:
                log.error("a bug of ours: stopping in order", error=f"{type(error).__name__}: {error}")
                self._bug = error

    async def _finish(self) -> None:
        """Publish the last of it and close the claim; where the branch cannot be reached, the next start makes up."""
        assert self._branch is not None
        if self._ending.reason:
            return
        try:
            async with asyncio.timeout(max(self._settings.grace.total_seconds(), 15)):
                await self.showing.show_sync()
                await self._branch.close()
        except (Unavailable, Refused, OtherOwner, TimeoutError) as error:
            log.warning("the last status could not be published; the next start does it", error=str(error))
        await self.keeping.finish(self._settings.grace)
        log.info("stopped in order")

    async def _watch_only(self) -> None:
        """--paused: read, validate and show, without a claim, a run or a push."""
        deciding = asyncio.create_task(self._loop.run(self._stop))
        try:
            await self._stop.wait()
        finally:
            deciding.cancel()
            await asyncio.gather(deciding, return_exceptions=True)

    async def _until_idle(self) -> None:
        """--once: until a pass was made over everything and nothing is open or unpublished."""
        passes = self._loop.passes
        watch = self._journal.watch()
        while not (self._loop.passes > passes and await self._idle()):
            await watch.changed(timeout=0.5)
        failed = await self._journal.read(lambda conn: failed_since(conn, self._started))
        if failed or not self._loop.sync.clean:
            self._ending = Ending(exits.FINDINGS)

    async def _idle(self) -> bool:
        now = self._clock.now()
        telling = self._loop.notices.any
        return await self._journal.read(lambda conn: is_idle(conn, now, telling=telling))

    async def _pause(self, span: timedelta) -> None:
        try:
            async with asyncio.timeout(span.total_seconds()):
                await self._stop.wait()
        except TimeoutError:
            return
