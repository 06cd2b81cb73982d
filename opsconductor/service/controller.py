"""A controller: one of any number on one database. One leads; the others stand by, warm, and follow within seconds."""

import asyncio
import math
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING

import structlog

from engine.catalog import Catalog
from engine.status.views import SyncView
from journal import leadership
from journal.clock import Clock
from journal.errors import LeadershipLost, Unavailable
from journal.leadership import Candidate
from journal.reaper import Reaper
from journal.store import Journal
from opsconductor import __version__
from opsconductor.service import ending
from opsconductor.service.answering import Answering
from opsconductor.service.controlling import Controlling
from opsconductor.service.ending import Ending
from opsconductor.service.health import TURN, Pulse, Rank
from opsconductor.service.mirrors import Mirrors
from opsconductor.service.running import Running
from opsconductor.service.signs import Signs
from opsconductor.service.standby import Standby
from opsconductor.service.succession import Succession
from opsconductor.service.term import Term
from opsconductor.settings import Settings
from reconciler.definitions import Definitions
from reconciler.publication.publish import OtherOwner
from reconciler.repository.objects import Objects
from reconciler.wake import Wake
from runners.logstore import LogStore
from runners.uploads import Uploads

if TYPE_CHECKING:  # only who receives webhooks loads what that needs
    from runners.listener.receiver import Hook

log = structlog.get_logger(__name__)


class Controller:
    """Runs until `stop` is called, another engine takes the branch, or something is refused that a person must mend.

    With a `running` part it works on runs too, whether it leads or not.
    """

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        clock: Clock,
        *,
        running: Running | None = None,
        begun: Callable[[], None] | None = None,
        adopted: Callable[[], None] | None = None,
    ) -> None:
        """`begun` is called whenever this process leads, `adopted` whenever it brought other definitions into force."""
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._running = running
        self._begun, self._adopted = begun, adopted
        self._stop = asyncio.Event()
        self._over = asyncio.Event()
        """Set when this term of the lead is to end."""
        self._ending = Ending()
        self._started = clock.now()
        self._turned = clock.monotonic()
        self._mirrors = Mirrors(settings)
        self._wake = Wake(settings.source.path)
        self._pages: str | None = None
        if running is not None:
            self._log_store = running.keeping.store
        else:
            self._log_store = None if settings.logs is None else LogStore.open(settings.logs, os.environ)
        host = platform.node()
        self._own = Candidate(f"{host}/{token_hex(3)}", host, __version__)
        self._succession = Succession(journal, clock, self._own, stop=self._stop, paused=settings.paused)
        self._engine_id = ""
        self._definitions, self._standby = self._cold()
        self._term: Controlling | None = None
        """What this process does in its role; None while it stands by."""
        self._drained: asyncio.Task[None] | None = None

    def _cold(self) -> tuple[Definitions, Standby]:
        definitions = Definitions(Objects(self._mirrors.source.path))
        standby = Standby(
            self._settings,
            self._journal,
            self._clock,
            mirrors=self._mirrors,
            wake=self._wake,
            definitions=definitions,
        )
        return definitions, standby

    @property
    def log_store(self) -> LogStore | None:
        """Where logs are kept besides the state folders of those who work on runs."""
        return self._log_store

    # --- what others ask, from threads of their own ---

    def show_at(self, pages: str | None) -> None:
        """Where people can open the dashboard, for links in messages."""
        self._pages = pages

    @property
    def _leads(self) -> Controlling | None:
        """The term, once it knows what is in force; before, what was known standing by is newer."""
        term = self._term
        return term if term is not None and term.catalog is not None else None

    @property
    def catalog(self) -> Catalog | None:
        """The definitions in force."""
        return (self._leads or self._standby).catalog

    def sync(self) -> SyncView:
        """What is known of the source."""
        return (self._leads or self._standby).sync()

    def soonest(self, count: int) -> Iterable[tuple[datetime, str]]:
        """The next due instants, each with its schedule."""
        return (self._leads or self._standby).soonest(count)

    def committed(self, commit: str, path: str) -> bytes | None:
        """A file as a commit has it, as far as both are there."""
        return (self._leads or self._standby).committed(commit, path)

    @property
    def source(self) -> str:
        """Where definitions come from, as anybody may see it."""
        return self._settings.source.address

    async def unwritable(self) -> str | None:
        """Why the journal cannot be written now; None where it can. May be asked from any thread's loop."""
        return await self._journal.unwritable()

    def pulse(self) -> Pulse:
        """How this process is."""
        term, leader = self._leads, self._succession.leader
        seen = self._standby if term is None else term.loop
        return Pulse(
            now=self._clock.monotonic(),
            started_at=self._started,
            turned=self._turned,
            tried=seen.tried,
            passed=seen.passed,
            seen=seen.seen,
            pace=self._standby.pace if term is None else term.loop.outlook.pace,
            commit=self._standby.commit if term is None else term.loop.sync.applied,
            paused=self._settings.paused,
            claimed=term is not None and term.claimed,
            stopping=self._stop.is_set(),
            working=None if self._running is None else self._running.working,
            rank=Rank(self._own.name, leads=self._term is not None, leader=None if leader is None else leader.name),
            published=float("-inf") if term is None else term.showing.published,
            unpublished=None if term is None else term.showing.unpublished,
        )

    def stop(self) -> None:
        """Begin the drained stop: nothing new is decided or claimed, what runs may end within the grace time."""
        self._stop.set()
        self._over.set()
        self._wake.poke()

    # --- from the start to the end ---

    async def run(self) -> int:
        """From the first look to the stop; gives the exit code. Raises Refused where it cannot start."""
        turning = asyncio.create_task(self._turn())
        parts: set[asyncio.Task[None]] = set()
        try:
            async with self._wake:
                await self._mirrors.source.open()
                self._engine_id = await self._journal.write(leadership.engine_id)
                leading = asyncio.create_task(self._take_turns())
                signs = asyncio.create_task(Signs(self._journal, self._clock).controller(self._own))
                parts = {
                    leading,
                    signs,
                    *self._reap(),
                    *self._work(),
                }
                done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
                self._note(done)
                self.stop()
                self._note((await asyncio.wait({leading}))[0])
                signs.cancel()  # it will not lead any more, however long the drain takes
                await self._drain()
                if self._running is not None and not self._ending.reason:
                    await self._running.finish()
        finally:
            for part in (turning, *parts):
                if not part.cancelling():  # a second time would keep it from saying that it has gone
                    part.cancel()
            await asyncio.gather(turning, *parts, return_exceptions=True)
            if self._running is not None:
                self._running.close()
            self._mirrors.close()
        return self._ended()

    def _ended(self) -> int:
        if self._ending.bug is not None:
            raise self._ending.bug
        if self._ending.reason:
            log.error("stopped", reason=self._ending.reason)
        else:
            log.info("stopped in order")
        return self._ending.code

    def _reap(self) -> tuple[asyncio.Task[None], ...]:
        """Every controller does, also before a new leader has reached the git server: whoever reaps, tokens decide."""
        return () if self._settings.paused else (asyncio.create_task(Reaper(self._journal, self._clock).run()),)

    def _work(self) -> tuple[asyncio.Task[None], ...]:
        if self._running is None or self._settings.paused:
            return ()
        signs = Signs(self._journal, self._clock).runner(partial(self._running.sign, since=self._started))
        return (*self._running.start(known=self._hooks, pushed=self._wake.poke), asyncio.create_task(signs))

    def _hooks(self) -> "Mapping[str, Hook]":
        from runners.listener.receiver import hooks

        return hooks(self.catalog)

    def _note(self, done: Iterable[asyncio.Task[None]]) -> None:
        failed = next((part.exception() for part in done if part.exception() is not None), None)
        if failed is not None and self._ending == Ending():
            self._ending = ending.of(failed)

    async def _drain(self) -> None:
        """Let what runs here end. Of several calls the first does it, and all wait."""
        if self._drained is None:
            self._drained = asyncio.create_task(self._draining())
        await asyncio.shield(self._drained)

    async def _draining(self) -> None:
        if self._running is not None and self._running.working is not None:
            await self._running.close_door()
            await self._running.drain()

    async def _turn(self) -> None:
        while True:
            self._turned = self._clock.monotonic()
            await asyncio.sleep(TURN)

    # --- standing by and leading, in turns ---

    async def _take_turns(self) -> None:
        """Stand by, lead, and stand by again, until a stop is asked for."""
        while (token := await self._stand_by()) is not None:
            log.info("this controller leads from now on", name=self._own.name)
            self._over.clear()
            if self._stop.is_set():
                self._over.set()
            try:
                await self._lead(token)
            except LeadershipLost as error:
                log.warning(
                    "another controller leads now; this one stands by", leader=error.leader and error.leader.name
                )
            except OtherOwner as error:
                if error.claim.id != self._engine_id:
                    raise
                log.warning("another controller has claimed the status branch; this one stands by")
            except Unavailable as error:
                log.warning("this controller gives up the lead", error=error.message)
                await self._succession.pause(error.retry_after.total_seconds())
            finally:
                await self._succession.give_up(token)

    async def _stand_by(self) -> int | None:
        """Until nobody leads: the token of our own lead. None: told to stop."""
        warm = asyncio.create_task(self._standby.keep_warm())
        try:
            while not self._stop.is_set():
                if warm.done():
                    warm.result()
                token = await self._succession.look()
                if token is not None:
                    return token
            return None
        finally:
            warm.cancel()
            await asyncio.gather(warm, return_exceptions=True)
            await self._standby.rest()

    async def _lead(self, token: int) -> None:
        """Lead until a stop is asked for. Raises LeadershipLost, and what ends the whole."""
        door = self._journal.guarded(partial(leadership.held, token=token))
        self._term = term = Controlling(
            self._settings,
            door,
            self._clock,
            mirrors=self._mirrors,
            wake=self._wake,
            stop=self._over,
            engine_id=self._engine_id,
            definitions=self._definitions,
            adopted=self._adopted,
        )
        term.show_at(self._pages)
        term.showing.logs_kept = self._log_store is not None
        store = self._log_store
        logs = Uploads(door, self._clock, self._settings.state.logs, store) if store is not None else None
        answering = self._answering(door, term)
        lead = Term(term, self._succession, token, door, answering, logs, over=self._over, wake=self._wake)
        try:
            await lead.run(begun=self._begun, stop=self.stop, drain=self._drain)
        finally:
            # A thread of this term may still read: whoever leads next begins with nothing that it could disturb.
            self._definitions, self._standby = self._cold()
            self._term = None

    def _answering(self, door: Journal, term: Controlling) -> Answering:
        path = self._mirrors.source.path
        return Answering(
            door,
            self._clock,
            path,
            catalog=lambda: term.catalog,
            seen=lambda: term.loop.seen > -math.inf,
            pushed=self._wake.poke,
        )
