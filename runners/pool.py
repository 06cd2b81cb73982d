"""A runner: claims runs of its pools, executes them side by side, and keeps their leases.

It holds no state of its own: what it works on is in the journal, and when it dies another goes on from there.
"""

import asyncio
import contextlib
import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection

from engine.identity import RunId
from engine.runs.progress import Ending
from journal import leases, points, shares, slices
from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.shares import Share
from journal.spans import span
from journal.store import Journal
from runners.beginnings import Beginnings
from runners.claims import Claims, Wanted
from runners.connections import GRACE, PROOF, Limits
from runners.connections.local import Guardian, LocalHost, LocalSettings
from runners.connections.ways import Settings, Ways
from runners.execute import Execution
from runners.fairness import PATIENCE, Fairness
from runners.heartbeat import Heartbeat
from runners.pulse import Pulse
from runners.repository import NoRepository, Repository
from runners.secrets import Secrets
from runners.sharedclock import SharedClock
from runners.underway import Underway
from runners.work import FINALLY_LIMIT, Tools

log = structlog.get_logger()

_POLL = 5.0
"""Seconds after which the journal is asked even where nothing told us to."""
_BREATH = 0.01
"""Seconds from one look to the next at least: commits come in crowds. The first of a crowd is answered at once."""
_STOP = 5.0
"""Seconds that is waited for what was cancelled."""

Pools = Callable[[], frozenset[str]]


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """What the host's owner says about a runner. Documents only narrow it.

    `name` is unique among living runners. `lock` is a file in the state folder: whoever holds it may run local steps.
    """

    name: str
    host: str
    lock: Path
    max_runs: int = 50
    labels: Mapping[str, str] | None = None
    """What runs may ask of it besides its pool; None: whatever they ask."""
    local: LocalSettings = field(default_factory=LocalSettings)
    limits: Limits = field(default_factory=Limits)
    finally_limit: timedelta = FINALLY_LIMIT


class Runner:
    """`run` works until `drain` has finished, or until it is cancelled, which kills what runs here at once.

    `pools` gives the names of the pools served now; None serves every pool.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        pools: Pools | None,
        clock: Clock,
        secrets: Secrets,
        logs: Path,
        settings: RunnerSettings,
        may_claim: Callable[[], bool] = lambda: True,
        repository: Repository | None = None,
    ) -> None:
        """`repository` has the files that steps may use.

        `may_claim` is asked before each claim; where it says no, what is queued stays so until it says yes."""
        self._may_claim = may_claim
        self._journal = journal
        self._pools = pools
        self._log = log.bind(runner=settings.name)
        self._clock = SharedClock(clock, self._log)
        self._settings = settings
        self._guardian = Guardian(settings.lock)
        self._ways = Ways(Settings(settings.limits, LocalHost(settings.local, self._guardian)))
        self._tools = Tools(
            journal=journal,
            clock=self._clock,
            secrets=secrets,
            logs=logs,
            ways=self._ways,
            repository=repository or NoRepository(),
            restricted=settings.local.restricted,
            finally_limit=settings.finally_limit,
        )
        self._underway = Underway(self._execute, self._over, self._log)
        self._draining = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._fairness = Fairness(self._clock)
        self._begun = False
        self._tried = self._heard = -math.inf
        self._beginnings = Beginnings(self._clock)
        self._has_news = False
        """Whether something may have been queued since the last look, which may be urgent."""
        self._room = asyncio.Event()
        """Set when a place has become free that more runs than there were places for may want."""
        self._left_some = False
        """Whether the last look may have left runs that wait, for want of a place."""
        self._found_nothing = False
        """Whether news came of work, and none was there to claim: it may be that of somebody else, to join in."""
        self._claims = Claims(journal, self._clock, settings.name, self._log)
        self._heartbeat = Heartbeat(journal, self._clock, settings.name, self._underway, self._log)

    @property
    def capacity(self) -> int:
        """How many runs are worked on here at once."""
        return self._settings.max_runs

    @property
    def active(self) -> frozenset[RunId]:
        """The runs that are worked on here."""
        return self._underway.runs

    def pulse(self) -> Pulse:
        """How it is. May be asked from another thread."""
        now = self._clock.monotonic()
        unrenewed = self._heartbeat.unrenewed(now)
        return Pulse(now, self._begun, self._tried, self._heard, unrenewed, self._draining.is_set())

    async def run(self) -> None:
        """Claim and execute. Waits first until nothing of an earlier runner on this state runs on this host."""
        await self._guardian.acquire()
        points.reach("runner.locked")
        self._begun = True
        try:
            await self._register()
            await self._while_beating()
        finally:
            await self._underway.stop_at_once(_STOP)
            await self._ways.close()
            await self._guardian.close()

    async def _while_beating(self) -> None:
        """Until all is done, or until one of the two fails: with its own error, which says what happens next."""
        working = asyncio.create_task(self._claim_until_drained())
        beating = asyncio.create_task(self._heartbeat.beat())
        try:
            done, _ = await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        finally:
            working.cancel()
            beating.cancel()
            await asyncio.gather(working, beating, return_exceptions=True)

    async def drain(self, grace: timedelta) -> None:
        """Claim nothing more; running steps have `grace` to end, and are ended then. Returns when nothing runs here.

        Runs that are not done are handed over: queued again without counting as lost.
        """
        self._draining.set()
        for execution in self._underway.executions:
            execution.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                async with self._claiming:  # what is being claimed is worked on here too, until it is handed over
                    pass
                await self._underway.idle()
        for execution in self._underway.executions:
            execution.end_running()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE + PROOF):
                await self._underway.idle()
        await self._underway.stop_at_once(_STOP)

    async def _register(self) -> None:
        name, host = self._settings.name, self._settings.host
        pool = ",".join(sorted(self._pools())) if self._pools is not None else "*"
        while True:
            try:
                await self._journal.write(lambda tx: leases.register(tx, name, pool, host, self._clock.now()))
            except Unavailable as error:
                self._log.warning("journal cannot be written", error=error.message)
                await asyncio.sleep(error.retry_after.total_seconds())
            else:
                return

    # --- claiming ----------------------------------------------------------------------------------------------------

    async def _claim_until_drained(self) -> None:
        watch = self._journal.watch(work=True)
        drained = asyncio.ensure_future(self._draining.wait())
        woken = False
        try:
            while not self._draining.is_set():
                looked = self._clock.monotonic()
                self._room.clear()
                try:
                    async with self._claiming:
                        await (self._take() if woken and self._need_not_look() else self._look())
                    self._heard = self._clock.monotonic()
                except Unavailable as error:
                    self._log.warning("journal cannot be used", error=error.message)
                    await asyncio.sleep(min(_POLL, error.retry_after.total_seconds()))
                self._tried = self._clock.monotonic()
                soon = self._fairness.waits or self._found_nothing or (self._left_some and self._beginnings)
                changed = asyncio.ensure_future(watch.changed(PATIENCE if soon else _POLL))
                room = asyncio.ensure_future(self._room.wait())
                await _first_of(changed, room, also=drained)
                self._has_news = changed.done() and changed.result()
                woken = room.done() or self._has_news
                await asyncio.sleep(max(0.0, looked + _BREATH - self._clock.monotonic()))
            # wishes are heard to the end
            while self._underway:
                self._underway.hear(await self._wishes())
                self._tried = self._clock.monotonic()
                changed = asyncio.ensure_future(watch.changed(_POLL))
                idle = asyncio.ensure_future(self._underway.idle())
                await _first_of(changed, idle)
        finally:
            drained.cancel()
            watch.close()
        await self._underway.idle()

    def _need_not_look(self) -> bool:
        """Whether what waits is to be claimed, whatever it is: nobody else is here, or all that there is room for is
        urgent. Who has labels looks which of the runs that ask for some are for it."""
        return not self._settings.labels and (self._fairness.alone or self._beginnings.room == 0)

    async def _take(self) -> None:
        """Claim whatever there is; what is urgent, where there is no room for anything else."""
        pools, free = self._wanted()
        urgent = free <= 0
        if urgent:
            free = min(self._settings.max_runs - len(self._underway), self._beginnings.room_for_urgent)
        needs = None if self._settings.labels is None else ()
        # Heard meanwhile; who works on nothing has nothing to hear.
        wishes = asyncio.ensure_future(self._wishes()) if self._underway else None
        try:
            wanted = Wanted(pools, free, needs, above=0 if urgent else leases.LOWEST)
            self._left_some = urgent
            if free > 0 and not self._draining.is_set() and self._may_claim():
                count = await self._claim(wanted)
                self._left_some = count >= free or urgent
                self._found_nothing = count == 0 and self._journal.shared
            if wishes is not None:
                self._underway.hear(await wishes)
        finally:
            if wishes is not None:
                wishes.cancel()

    def _wanted(self) -> tuple[frozenset[str] | None, int]:
        """The pools to claim from, and how many runs at most."""
        free = min(self._settings.max_runs - len(self._underway), self._beginnings.room)
        return self._pools() if self._pools is not None else None, free

    async def _look(self) -> None:
        self._found_nothing = False
        pools, free = self._wanted()
        name = self._settings.name
        busy = bool(self._underway)  # who works on nothing has nothing to hear

        def look(conn: Connection) -> tuple[Share, Mapping[RunId, Ending], tuple[RunId, ...]]:
            if self._journal.shared:
                self._clock.look(conn)
            return (
                self._share(conn, pools, free),
                leases.wishes(conn, name) if busy else {},
                self._joinable(conn, pools) if free > 0 else (),
            )

        share, wishes, others = await self._journal.read(look)
        self._underway.hear(wishes)
        take = max(0, self._fairness.taken(share, free))
        self._left_some = free <= 0 or take < share.waiting
        join = others[: max(0, free - take)]
        if not (take or join) or self._draining.is_set() or not self._may_claim():
            return
        self._left_some = await self._claim(Wanted(pools, take, share.needs, join)) >= free or self._left_some

    async def _claim(self, wanted: Wanted) -> int:
        """Claim, and begin with it; how many there were."""
        self._heartbeat.claimed(self._clock.monotonic())
        claims = await self._claims.make(wanted, hurry=self._has_news)
        for claim in claims:
            self._start(Execution(claim, self._tools))
        return len(claims)

    def _joinable(self, conn: Connection, pools: frozenset[str] | None) -> tuple[RunId, ...]:
        """Large runs that other runners work on."""
        if not self._journal.shared:
            return ()
        found = slices.joinable(conn, self._settings.name, pools, self._settings.labels)
        return tuple(run for run in found if run not in self._underway)

    def _share(self, conn: Connection, pools: frozenset[str] | None, free: int) -> Share:
        if free <= 0:
            return Share(0, 0, None)
        if not self._journal.shared:
            return shares.alone(conn, pools, free)
        return shares.among(conn, self._settings.name, pools, free, self._settings.labels)

    def _start(self, execution: Execution) -> None:
        if self._draining.is_set():
            execution.drain()
        self._beginnings.claimed(execution.run_id)
        self._underway.begin(execution)
        execution.when_begun(partial(self._has_begun, execution.run_id))

    def _has_begun(self, run: RunId) -> None:
        if self._beginnings.done(run) and self._left_some:
            self._room.set()

    async def _execute(self, execution: Execution) -> None:
        with span("run", **execution.facts) as execution.note:
            await self._execute_to_the_end(execution)

    async def _execute_to_the_end(self, execution: Execution) -> None:
        try:
            await execution.run()
        except* Refused as refused:
            # Nothing can be recorded, not even that; whoever looks for work meets the same, and ends the engine.
            self._log.error("run left as it is", run=execution.run_id, error=str(refused.exceptions[0]))
        except* Exception:  # noqa: BLE001
            # a bug of ours ends its run, not the runner
            told = execution.masked(traceback.format_exc())
            self._log.error("run failed inside the runner", run=execution.run_id, exception=told)
            await execution.give_up()

    def _over(self, execution: Execution) -> None:
        if execution.run_id not in self._underway:
            self._beginnings.done(execution.run_id)
        if self._left_some:
            self._room.set()

    # --- wishes ------------------------------------------------------------------------------------------------------

    async def _wishes(self) -> Mapping[RunId, Ending]:
        try:
            return await self._journal.read(lambda conn: leases.wishes(conn, self._settings.name))
        except Unavailable:
            return {}


async def _first_of(*waiting: asyncio.Future[Any], also: asyncio.Future[Any] | None = None) -> None:
    """Wait for the first of them. All but `also` are given up then, also by who is cancelled meanwhile."""
    try:
        await asyncio.wait({*waiting, *((also,) if also else ())}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()
