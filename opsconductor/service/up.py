"""The engine: the controlling and the running part in one process, from the first claim to the drained stop."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from engine.catalog import Catalog
from engine.status.views import SyncView
from journal.clock import Clock
from journal.store import Journal
from opsconductor import exits
from opsconductor.committed import MirroredFiles
from opsconductor.service import ending
from opsconductor.service.controlling import Controlling
from opsconductor.service.ending import Ending
from opsconductor.service.health import TURN, Pulse
from opsconductor.service.idle import failed_since
from opsconductor.service.mirrors import Mirrors
from opsconductor.service.running import Running
from opsconductor.service.webhooks import say_unheard
from opsconductor.settings import Settings
from reconciler.wake import Wake
from runners.logstore import LogStore

if TYPE_CHECKING:  # only who receives webhooks loads what that needs
    from runners.listener.receiver import Hook

log = structlog.get_logger(__name__)


class Engine:
    """Runs until `stop` is called, the work is done (`once`), or another engine takes the branch."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        clock: Clock,
        *,
        begun: Callable[[], None] | None = None,
        adopted: Callable[[], None] | None = None,
    ) -> None:
        """`begun` is called once the branch is ours, `adopted` whenever other definitions have come into force."""
        self._settings = settings
        self._begun = begun
        self._journal = journal
        self._clock = clock
        self._stop = asyncio.Event()
        self._ending = Ending()
        self._started = clock.now()
        self._turned = clock.monotonic()
        self._mirrors = Mirrors(settings)
        self._wake = Wake(settings.source.path)
        self.controlling = Controlling(
            settings, journal, clock, mirrors=self._mirrors, wake=self._wake, stop=self._stop, adopted=adopted
        )
        files = MirroredFiles(settings.state.mirror)
        self._running = Running(settings.running, journal, clock, pools=None, repository=files)
        self.controlling.showing.logs_kept = self._running.keeping.store is not None

    @property
    def log_store(self) -> LogStore | None:
        """Where logs are kept besides the state folder."""
        return self._running.keeping.store

    def show_at(self, pages: str | None) -> None:
        """Where people can open the dashboard, for links in messages."""
        self.controlling.show_at(pages)

    @property
    def catalog(self) -> Catalog | None:
        """The definitions in force."""
        return self.controlling.catalog

    def sync(self) -> SyncView:
        """What is known of the source. May be asked from another thread, as what follows."""
        return self.controlling.sync()

    def soonest(self, count: int) -> tuple[tuple[datetime, str], ...]:
        """The next due instants, each with its schedule."""
        return self.controlling.soonest(count)

    def pulse(self) -> Pulse:
        """How the engine is."""
        loop = self.controlling.loop
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
            claimed=self.controlling.claimed,
            stopping=self._stop.is_set(),
            working=self._running.working,
            published=self.controlling.showing.published,
            unpublished=self.controlling.showing.unpublished,
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
        return self.controlling.committed(commit, path)

    def stop(self) -> None:
        """Begin the drained stop: nothing new is decided or claimed, what runs may end within the grace time."""
        self._stop.set()
        self._wake.poke()

    async def run(self) -> int:
        """From the first look to the drained stop; gives the exit code. Raises Refused where it cannot start."""
        turning = asyncio.create_task(self._turn())
        try:
            async with self._wake:
                await self._mirrors.source.open()
                claimed = await self.controlling.begin()
                if claimed and self._begun is not None:
                    self._begun()
                if self._settings.paused and not self._stop.is_set():
                    await self.controlling.watch_only()
                elif not claimed:
                    log.info("stopped before anything was begun")
                elif self._settings.once:
                    await self._work(self._until_idle())
                else:
                    await self._work(self._stop.wait())
        finally:
            turning.cancel()
            self._running.close()
            self._mirrors.close()
        if self._ending.reason:
            log.error("stopped", reason=self._ending.reason)
        return self._ending.code

    async def _turn(self) -> None:
        """Say, as long as this loop turns, that it does: whoever asks is on another thread."""
        while True:
            self._turned = self._clock.monotonic()
            await asyncio.sleep(TURN)

    async def _work(self, until: Coroutine[object, object, object]) -> None:
        """All parts at once until `until` is over, one of them fails, or a stop is asked for; then drain."""
        deciding = self.controlling.start()
        assert self.controlling.vigil is not None
        running = self._running.start(
            may_claim=self.controlling.vigil.sure,
            known=self._hooks,
            pushed=self._wake.poke,
        )
        if not self._running.receives:
            say_unheard(self.controlling.catalog)
        parts = {*deciding, *running, asyncio.ensure_future(until)}
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            failed = next((part.exception() for part in done if part.exception() is not None), None)
            if failed is not None:
                self._ending = ending.of(failed)
            self._stop.set()
            self._wake.poke()
            await asyncio.gather(self.controlling.decided(), self._running.close_door())
            await self._running.drain()
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
        await self._finish()
        if self._ending.bug is not None:
            raise self._ending.bug

    def _hooks(self) -> "Mapping[str, Hook]":
        from runners.listener.receiver import hooks

        return hooks(self.controlling.catalog)

    async def _finish(self) -> None:
        if self._ending.reason:
            return
        await self.controlling.finish()
        await self._running.finish()
        log.info("stopped in order")

    async def _until_idle(self) -> None:
        """--once: until a pass was made over everything and nothing is open or unpublished."""
        loop = self.controlling.loop
        passes, watch = loop.passes, self._journal.watch()
        while not (loop.passes > passes and await self.controlling.idle()):
            await watch.changed(timeout=0.5)
        failed = await self._journal.read(lambda conn: failed_since(conn, self._started))
        if failed or not loop.sync.clean:
            self._ending = Ending(exits.FINDINGS)
