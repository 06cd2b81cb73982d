"""What a runner writes about one claimed run: each change under its fence, tried again while the journal is away."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from engine.runs.pinned import RUNNER, PlannedStep
from engine.runs.progress import StepRecord
from engine.states import RunState, StepState
from journal import discoveries, leases, spreads, steps, uses
from journal.clock import Clock
from journal.errors import AlreadyStarted, FenceLost, Unavailable
from journal.fence import Fence
from journal.spreads import Asks, Share
from journal.steps import StepEnd
from journal.store import Journal
from journal.targetends import TargetEnd
from runners.keyring import Keyring

_LONGEST_PAUSE = 5.0
"""Seconds between two attempts to write."""
T = TypeVar("T")


class Unwritten(Exception):  # noqa: N818 - the work is given up, in silence
    """The run is not ours any more."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a run of a Discovery saw: its last scan from now on."""

    discovery: str
    found: bytes


class Record:
    """Writes for one claim.

    Every method comes back when its change is durable, however long the journal is away; then the fence decides.
    Each raises FenceLost, and Unwritten once `lost` is set: from then on only `end` is tried, once, as evidence.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        fence: Fence,
        keys: Keyring,
        log: structlog.stdlib.BoundLogger,
        *,
        slice_of: str | None = None,
        urgent: bool = False,
    ) -> None:
        """`slice_of`: the claim is this runner's slice of a run. What is `urgent` is recorded before what else waits to
        be."""
        self.lost = False
        self.told: Callable[[], None] = lambda: None
        """Is called once something of the run is on record: it has begun here."""
        self._away = False
        self._urgent = urgent
        self._keys = keys
        self._journal = journal
        self._clock = clock
        self._fence = fence
        self._slice_of = slice_of
        self._log = log

    async def start(self, target: str, step: PlannedStep, attempt: int) -> bool:
        """Record the start. False where this attempt was started before."""
        fence, now = self._fence, self._clock.now()
        try:
            await self._write(
                lambda tx: steps.start(tx, fence, target, step.phase, step.id, attempt, now, name=step.name)
            )
        except AlreadyStarted:
            return False
        return True

    async def end(self, target: str, step: PlannedStep, attempt: int, ended: StepEnd, scan: Scan | None = None) -> None:
        fence, now = self._fence, self._clock.now()

        def change(tx: Connection) -> None:
            steps.end(tx, fence, target, step.phase, step.id, attempt, ended, now)
            if scan is not None:
                discoveries.scanned(tx, fence, scan.discovery, scan.found, now)

        await self._write(change, evidence=True)
        self._tell(target, step, ended)

    async def settle(self, target: str, step: PlannedStep, attempt: int) -> None:
        """Nothing of the attempts before this one can run any more."""
        fence, now = self._fence, self._clock.now()
        await self._write(lambda tx: steps.settle(tx, fence, target, step.phase, step.id, attempt, now))

    async def interrupt(self, target: str, step: PlannedStep, attempt: int) -> None:
        """Nothing of this attempt can run any more; the step has not ended."""
        fence, now = self._fence, self._clock.now()
        await self._write(lambda tx: steps.interrupt(tx, fence, target, step.phase, step.id, attempt, now))

    async def withdraw(self, target: str, step: PlannedStep, attempt: int) -> None:
        """Take back the start: nothing was sent, and this runner could not go on with it."""
        await self._write(lambda tx: steps.withdraw(tx, self._fence, target, step.phase, step.id, attempt))

    async def start_and_end(self, target: str, step: PlannedStep, attempt: int, ended: StepEnd) -> None:
        """Start and end of a step that could not be started: it has no effect to lie between them."""
        fence, now = self._fence, self._clock.now()

        def change(tx: Connection) -> None:
            steps.start(tx, fence, target, step.phase, step.id, attempt, now, name=step.name)
            steps.end(tx, fence, target, step.phase, step.id, attempt, ended, now)

        await self._write(change)
        self._tell(target, step, ended)

    def _tell(self, target: str, step: PlannedStep, ended: StepEnd) -> None:
        """The engine's log has what did not go well; the rest would be a line for each step of each target."""
        if ended.state is not StepState.SUCCEEDED:
            facts = {"target": None if target == RUNNER else target, "exit_code": ended.exit_code, "error": ended.error}
            given = {name: value for name, value in facts.items() if value is not None}
            self._log.info("step did not succeed", step=step.id, state=ended.state.value, **given)

    async def skip(self, target: str, step: PlannedStep, attempt: int, reason: str) -> StepRecord:
        fence, now = self._fence, self._clock.now()
        await self._write(
            lambda tx: steps.skip(tx, fence, target, step.phase, step.id, attempt, reason, now, name=step.name)
        )
        return StepRecord(step.phase, step.id, StepState.SKIPPED, attempt, error=reason or None)

    async def rescue(self, target: str, step: PlannedStep) -> None:
        """Record that a rescue made up for the step's failure."""
        await self._write(lambda tx: steps.rescue(tx, self._fence, target, step.phase, step.id))

    async def end_target(self, end: TargetEnd) -> None:
        fence, now = self._fence, self._clock.now()
        await self._write(lambda tx: _end_target(tx, fence, end, now))

    async def take(self, asks: Asks) -> Share:
        """What has ended in the slice, and more targets for it (`journal.spreads.take`)."""
        fence, now, runner = self._fence, self._clock.now(), self._slice_of
        assert runner is not None, "the claim is a slice"
        return await self._write(lambda tx: spreads.take(tx, fence, asks, now, runner=runner))

    async def release(self) -> None:
        """Hand over the run, or the slice of it: this attempt does not count as lost."""
        made = False

        def change(tx: Connection) -> bool:
            nonlocal made
            try:
                leases.release(tx, self._fence, self._clock.now())
            except FenceLost:
                if not made:
                    raise
                return False  # the journal has no trace of which came first, our commit or the reaper
            made = True
            return True

        if await self._write(change):
            self._log.info("run handed over")
        else:
            self._log.warning("run is no longer held: handed over without an answer, or lost to another runner before")

    async def finish(
        self, state: RunState, outputs: Mapping[str, Any], reason: str | None = None, *, last: TargetEnd | None = None
    ) -> None:
        """End the run, and the `last` of its targets with it."""
        fence, now = self._fence, self._clock.now()

        def change(tx: Connection) -> None:
            if last is not None:
                try:
                    _end_target(tx, fence, last, now)
                except FenceLost:
                    if not leases.left(tx, fence, state, now):  # where the answer to the first commit was lost
                        raise
            leases.finish(tx, fence, state, outputs=outputs, now=now, reason=reason)

        await self._write(change)

    async def finish_together(self, outputs: Mapping[str, Any]) -> RunState | None:
        """End a run that others worked on, too. None where one of them has said so before."""
        fence, now, runner = self._fence, self._clock.now(), self._slice_of
        assert runner is not None, "the claim is a slice"
        return await self._write(lambda tx: leases.finish_together(tx, fence, runner=runner, now=now, outputs=outputs))

    async def give_up(self, reason: str) -> None:
        """End the run as unknown."""
        now = self._clock.now()
        await self._write(lambda tx: leases.give_up(tx, self._fence, reason=reason, now=now))

    async def _write(self, change: Callable[[Connection], T], *, evidence: bool = False) -> T:
        pause = 0.05
        used = self._keys.take_uses()
        try:
            both = self._with(change, used) if used else change
            written = await self._written(both, pause, evidence=evidence)
            self.told()
            return written
        except BaseException:
            self._keys.give_back(used)
            raise

    def _with(self, change: Callable[[Connection], T], used: tuple[tuple[str, str], ...]) -> Callable[[Connection], T]:
        """The change, and which credentials were used until now: a commit of their own would cost as much again."""
        fence, now = self._fence, self._clock.now()
        for target, name in used:
            if self._keys.expired(name, now):
                self._log.warning("an expired credential is used", credential=name, target=target)

        def both(tx: Connection) -> T:
            uses.note(tx, fence, used, now)
            return change(tx)

        return both

    async def _written(self, change: Callable[[Connection], T], pause: float, *, evidence: bool) -> T:
        while True:
            if self.lost and not evidence:
                raise Unwritten
            try:
                written = await self._journal.write(change, hurry=self._urgent)
                self._away = False
                return written
            except Unavailable as error:
                if self.lost:
                    raise Unwritten from error
                if not self._away:  # each of many targets would say it again, every few seconds
                    self._log.warning("journal cannot be written; it is tried again until it can", error=error.message)
                self._away = True
                await asyncio.sleep(min(_LONGEST_PAUSE, max(pause, min(1.0, error.retry_after.total_seconds()))))
                pause *= 2


def _end_target(tx: Connection, fence: Fence, end: TargetEnd, now: datetime) -> None:
    steps.end_target(tx, fence, end.target, end.state, end.outputs, now, end.reason)
