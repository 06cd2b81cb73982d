"""One target of a run, from its first move to its last: ask what comes next, do it, record it.

What comes next is decided by `engine.runs.progress.next_on_target` alone, from the plan and the records; so a resumed
run and a fresh one take the same way. This module evaluates, starts, waits, judges and records. The items of a loop are
walked in the same way, each with a plan of its own.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from engine.expressions import contexts
from engine.runs.outcome import Failed, Outcome, Output, TimedOut, Unreachable, error_of, output_of
from engine.runs.pinned import LibraryCall, Phase, PinnedTarget, PlannedStep, for_item, parts_of
from engine.runs.progress import (
    Cut,
    Done,
    Each,
    Ended,
    Lost,
    Next,
    Rescued,
    Start,
    StepRecord,
    Within,
    cannot_succeed,
    counts_as_success,
    next_of_item,
    next_on_target,
    next_within,
)
from engine.runs.retrying import pause_before
from engine.states import StepState
from journal import points
from journal.spans import span
from journal.steps import StepEnd
from runners import library, logs, looping
from runners.attempt import outcome_of, taken_over
from runners.certificates import with_certificate
from runners.connections import Session, Stop
from runners.judging import DOUBT, Facts, Judge, bounded, record_of, target_outputs
from runners.limits import Capture
from runners.logs import LogFile
from runners.loops import Items
from runners.masking import visible
from runners.prepare import Broken, Entered, NotMet, Place, Prepared, prepare
from runners.record import Scan
from runners.repository import NoFile
from runners.scriptfiles import with_script
from runners.spread import AtOnce, Turns
from runners.steps import ReadyStep
from runners.work import Work
from schemas.quantities import format_duration


@dataclass(slots=True)
class _Budget:
    """Until when the steps of `finally` may run on a target; None before the first of them starts. By the loop."""

    until: float | None = None


@dataclass(frozen=True, slots=True)
class NotBegun:
    """Nothing of the step was sent, and what comes next is asked for anew: the run is to end, or its runner.

    Where its start was recorded, that is taken back.
    """


@dataclass
class Walk:
    """The steps of `plan` on one target. `records` are those of its own steps, by their keys, and grow.

    `outer` are the records that the steps around it may read, `items` the items of the loops around it.
    """

    work: Work
    name: str
    target: PinnedTarget | None
    plan: tuple[PlannedStep, ...]
    records: dict[tuple[Phase, str], StepRecord]
    outer: tuple[StepRecord, ...] = ()
    items: Mapping[str, Any] = field(default_factory=dict)
    inside: Entered | None = None
    """The library's step that these steps belong to."""
    limit: tuple[float, str] | None = None
    """When the time of a library's step around them is over, by the loop, and what is said then."""
    turns: Turns = field(default_factory=AtOnce)
    budget: _Budget = field(default_factory=_Budget)
    asked: set[tuple[Phase, str]] = field(default_factory=set)
    """The steps that began anew here though nobody could look for what an earlier runner left on its own host."""
    state: StepState | None = None
    """How it ended."""

    async def run(self) -> StepState | None:
        """Walk to the end: how the target ended, or None where another runner is to go on."""
        orders = self.work.orders
        while True:
            match self._next():
                case Done(state=state):
                    return state
                case Lost(step=step, attempt=attempt, begun=True):
                    self.know(await self.lose(step, attempt))
                case Lost(step=step, attempt=attempt):
                    left = await self._left(step, attempt)
                    if isinstance(left, NotBegun):
                        return None
                    if left is not None:
                        self.know(left)
                case Ended(step=step, attempt=attempt, state=state):
                    self.know(await self._ended(step, attempt, state))
                case Rescued(step=step):
                    await self.work.record.rescue(self.name, step)
                    self.know(replace(self.records[step.phase, step.id], rescued=True))
                case Each(step=step):
                    async with self.turns.turn(self.name, step, begun=(step.phase, step.id) in self.records) as free:
                        if free and not await looping.done(self, step):
                            return None
                    if not free and orders.draining:
                        return None
                case Within(step=step, attempt=attempt):
                    self.enter(step)
                    async with self.turns.turn(self.name, step, begun=True) as free:
                        found = await library.done(self, step, attempt, begun=True) if free else None
                        if found is not None:
                            self.know(found)
                    if found is None and (free or orders.draining):
                        return None
                case Start(step=step, attempt=attempt, after=after, cut=cut):
                    if orders.draining:
                        return None
                    self.enter(step)
                    if after is not None and not await self._paused(step, attempt, after):
                        continue
                    async with self.turns.turn(self.name, step, begun=cut, repeats=attempt > 1) as free:
                        done = await self._step(step, attempt) if free else None
                        if isinstance(done, StepRecord):
                            self.know(done)
                    if done is None and free:
                        return None

    @property
    def ending(self) -> Cut | None:
        """What keeps further steps from starting here."""
        if self.work.orders.ending is None and self.limit is not None and self.now() >= self.limit[0]:
            return "timedOut"
        return self.work.orders.ending or ("failed" if self.turns.halted else None)

    async def _paused(self, step: PlannedStep, attempt: int, after: datetime) -> bool:
        """Wait until a repetition may start. False where something has changed meanwhile."""
        pause = self._pause(step, attempt - 1)
        due = min(after + pause - self.work.tools.clock.now(), pause).total_seconds()
        if self.limit is not None and self.limit[0] - self.now() < due:
            await self.work.orders.pause(self.limit[0] - self.now())
            return step.phase == "finally"  # where nothing is cut: it begins, and is ended at once
        return await self.work.orders.pause(due)

    def _next(self) -> Next:
        records, ending = list(self.records.values()), self.ending
        if self.items:
            return next_of_item(self.plan[0], records, ending=ending)
        if self.inside is not None:
            return next_within(self.plan, records, ending=ending)
        return next_on_target(self.plan, records, ending=ending)

    def outputs(self) -> dict[str, Any]:
        """The job's outputs here."""
        return target_outputs(self.work.claim.spec.outputs, self.place(), self.work.masker)

    def know(self, record: StepRecord) -> None:
        """Go on from what is recorded now. A failure that nothing makes up for counts at once."""
        self.records[record.key] = record
        of_target = not self.items and self.inside is None
        if of_target and not counts_as_success(record) and cannot_succeed(self.plan, list(self.records.values())):
            self.turns.failed(self.name)

    def enter(self, step: PlannedStep) -> None:
        if step.phase == "finally" and self.budget.until is None:
            points.reach("finally.entered")
            self.budget.until = self.now() + self.work.tools.finally_limit.total_seconds()

    def _pause(self, step: PlannedStep, attempt: int) -> timedelta:
        if step.retry is None:
            return timedelta(0)
        return pause_before(step.retry, attempt, f"{self.work.claim.fence.run}\0{self.name}\0{step.id}")

    def place(self) -> Place:
        records = [*self.outer, *self._readable()]
        if self.inside is not None:
            records = [replace(one, id=one.id.removeprefix(self.inside.prefix)) for one in records]
        return Place(
            self.work.claim.spec,
            self.target,
            self.work.claim.params,
            self.work.facts,
            records,
            contexts.status_of(records, self.ending),
            self.items,
            self.inside,
        )

    def _readable(self) -> list[StepRecord]:
        """What expressions here may read: nothing that still goes on, and of items and libraries only its own."""
        within = len(self.inside.prefix) if self.inside is not None else 0
        own = len(self.plan[0].id) if self.items else within
        over = (one for one in self.records.values() if one.state is not StepState.RUNNING)
        return [one for one in over if not {"[", "."} & set(one.id[own:])]

    async def lose(self, step: PlannedStep, attempt: int) -> StepRecord:
        known = self.records.get((step.phase, step.id))
        lost = known.error if known is not None else None  # the journal names the runner
        error = f"{lost or 'its runner was lost while it ran'}; nothing proves an end"
        return await self._ended(step, attempt, StepState.UNKNOWN, error)

    async def _ended(self, step: PlannedStep, attempt: int, state: StepState, error: str | None = None) -> StepRecord:
        """Record the end of an attempt of which nobody can say how it ended."""
        known = self.records.get((step.phase, step.id)) or StepRecord(step.phase, step.id, state, attempt)
        error = error or known.error or "it was ended because its runner stopped"
        await self.work.record.end(self.name, step, attempt, StepEnd(state, error=error))
        return replace(known, state=state, error=error)

    # --- a loop ------------------------------------------------------------------------------------------------------

    def item(self, step: PlannedStep, index: int, items: Items) -> "Walk":
        """The walk of one item of a loop; `index` counts from 0."""
        planned = for_item(step, index)
        own = {key: one for key, one in self.records.items() if key[1].startswith(planned.id)}
        around = tuple(one for one in self._readable() if one.id != step.id)
        return Walk(
            self.work,
            self.name,
            self.target,
            (planned,),
            own,
            (*self.outer, *around),
            {**self.items, items.loop.as_: items.values[index]},
            self.inside,
            self.limit,
            budget=self.budget,
        )

    @property
    def of_item(self) -> StepRecord | None:
        """What is known of the item itself, where this is the walk of one."""
        return self.records.get((self.plan[0].phase, self.plan[0].id))

    # --- a library's step --------------------------------------------------------------------------------------------

    def into(self, found: Entered, step: PlannedStep, attempt: int, limit: tuple[float, str] | None) -> "Walk":
        """The walk of the steps that an attempt of a library's step consists of."""
        own = {key: one for key, one in self.records.items() if key[1].startswith(found.prefix)}
        plan = parts_of(step, attempt)
        return Walk(self.work, self.name, self.target, plan, own, inside=found, limit=limit, budget=self.budget)

    def leave(self, step: PlannedStep) -> None:
        """What a loop or a library's step consists of is nothing to those after it."""
        within = (f"{step.id}.", f"{step.id}[")
        self.records = {key: one for key, one in self.records.items() if not key[1].startswith(within)}

    # --- one step ----------------------------------------------------------------------------------------------------

    async def _step(self, step: PlannedStep, attempt: int) -> StepRecord | NotBegun | None:
        """Do one step and record it. None when it stays without an end, for the next runner to repeat."""
        work, place = self.work, self.place()
        if self.budget.until is not None and self.now() >= self.budget.until:
            limit = format_duration(work.tools.finally_limit)
            return await self._skip(step, attempt, f"the steps of finally had used up their {limit}")
        if isinstance(step.action, LibraryCall):
            return await library.done(self, step, attempt, begun=False)
        opened, files = work.keys.opener(self.name), work.files(self.name)
        prepared = prepare(step, place, opened, restricted=work.tools.restricted, files=files)
        if isinstance(prepared, Prepared):
            try:
                ready = await with_script(await with_certificate(prepared.step, work.read), work.read)
                last = self.records.get((step.phase, step.id))
                prepared = replace(prepared, step=replace(ready, before=last.outputs if last is not None else {}))
            except NoFile as missing:
                prepared = Broken(str(missing))
        match prepared:
            case NotMet():
                return await self._skip(step, attempt, "")
            case Broken(error=error):
                return await self._broken(step, attempt, place, error)
            case Prepared(step=ready, env=env):
                pass
            case _:
                assert_never(prepared)
        stop = Stop()
        with span("step", step=step.id, attempt=attempt) as note, work.orders.running(self.name, step, stop):
            if self._overtaken(step):
                return NotBegun()
            if not await work.record.start(self.name, step, attempt):
                return await self.lose(step, attempt)
            if work.record.lost:
                stop.order("lost", "its runner had lost the run to another")
            capture, file = self._capture(step, attempt)
            session = work.reach.session(step, self.target, capture, stop)
            began = self.now()
            points.reach("step.begun")
            outcome = await self._attempt(ready, session, attempt)
            points.reach("step.ended")
            if stop.why in ("drained", "lost") and isinstance(outcome, Unreachable) and not work.record.lost:
                await work.record.withdraw(self.name, step, attempt)
                return NotBegun()  # what comes next is asked for anew: whoever drains begins nothing
            if stop.why == "drained" and step.idempotent and isinstance(outcome, Failed) and outcome.ended:
                # proven to have ended: the next runner begins it anew, and need not ask the host for what is left
                await work.record.interrupt(self.name, step, attempt)
                return None
            if stop.why is not None:
                points.reach("step.stopped")
            if stop.why == "timedOut" and work.orders.ending == "timedOut" and isinstance(outcome, Unreachable):
                outcome = TimedOut(outcome.error)
            facts = self._facts(step, attempt, began, file, stop)
            ended = Judge(step, place, work.masker, env).judged(outcome, facts)
            note(state=ended.state.value)
            output = output_of(outcome)
            of = work.claim.spec.discovery
            scan = Scan(of, output.found) if of is not None and output.found is not None else None
            await work.record.end(self.name, step, attempt, ended, scan)
        return replace(record_of(step, attempt, ended, output, work.tools.clock.now()), doubt=self._is_doubted(step))

    def _facts(self, step: PlannedStep, attempt: int, began: float, file: LogFile | None, stop: Stop) -> Facts:
        by_run = step.phase != "finally" and self.work.orders.ending is not None
        repeatable = not by_run and stop.why != "cancelled" and self.has_time(step, attempt)
        return Facts(attempt, self.now() - began, file, stop.why, by_run, repeatable, self._in_doubt(step))

    def _overtaken(self, step: PlannedStep) -> bool:
        """Whether the run or its runner was told to end after the step had its turn, while a file was read."""
        orders = self.work.orders
        return orders.draining or (orders.ending is not None and step.phase != "finally")

    def _in_doubt(self, step: PlannedStep) -> bool:
        """Whether an attempt of a runner that was lost may still run. The end of one that reached nobody says nothing
        of those before it."""
        return self._is_doubted(step) and (step.phase, step.id) not in self.asked

    def _is_doubted(self, step: PlannedStep) -> bool:
        known = self.records.get((step.phase, step.id))
        return known is not None and known.doubt

    async def _skip(self, step: PlannedStep, attempt: int, why: str) -> StepRecord | NotBegun:
        left = await self._left(step, attempt)
        return left or await self.work.record.skip(self.name, step, attempt, why)

    async def _left(self, step: PlannedStep, attempt: int) -> StepRecord | NotBegun | None:
        """No attempt follows. What may be left of an earlier one is ended; else `attempt` is on record as unknown, and
        what comes next does not take the step for ended. The next runner asks where this one is to stop meanwhile."""
        if not self._is_doubted(step):
            return None
        stop = Stop()
        with self.work.orders.running(self.name, step, stop, ending=True):
            session = self.work.reach.session(step, self.target, Capture(self.work.masker), stop)
            refused = await taken_over(session, self.work.log, step)
        if refused is None and self._could_look(step):
            await self._settle(step, attempt)
            return None
        if stop.why in ("drained", "lost"):
            return NotBegun()
        why = visible(self.work.masker.mask((refused and error_of(refused)) or ""))
        error = bounded(f"{why}; {DOUBT}" if why else DOUBT)
        await self.work.record.start_and_end(self.name, step, attempt, StepEnd(StepState.UNKNOWN, error=error))
        return StepRecord(step.phase, step.id, StepState.UNKNOWN, attempt, error=error, doubt=True)

    def _could_look(self, step: PlannedStep) -> bool:
        """Whether what an earlier runner began could be looked for: not on its own host, if that may be another."""
        return not (self.work.tools.journal.shared and self.work.reach.is_own_host(step, self.target))

    async def _settle(self, step: PlannedStep, attempt: int) -> None:
        """It has been taken over: whoever goes on after us need not ask the host again, where it could be asked."""
        key = (step.phase, step.id)
        if not self._could_look(step):
            self.asked.add(key)
            return
        await self.work.record.settle(self.name, step, attempt)
        self.records[key] = replace(self.records[key], doubt=False)

    def has_time(self, step: PlannedStep, attempt: int) -> bool:
        """Whether no time limit around the step is over before another attempt could begin."""
        limits = (self.budget.until, self.limit[0] if self.limit is not None else None)
        begins = self.now() + self._pause(step, attempt).total_seconds()
        return all(until is None or begins < until for until in limits)

    async def _broken(self, step: PlannedStep, attempt: int, place: Place, error: str) -> StepRecord:
        """It cannot begin at all."""
        facts = Facts(attempt, 0.0, earlier=self._in_doubt(step))
        ended = Judge(step, place, self.work.masker, {}).judged(Failed(error, ran=False), facts)
        await self.work.record.start_and_end(self.name, step, attempt, ended)
        return record_of(step, attempt, ended, Output())

    async def _attempt(self, ready: ReadyStep, session: Session, attempt: int) -> Outcome:
        timer: asyncio.TimerHandle | None = None
        try:
            # before the step's time begins: it may last as long as the earlier attempt heeds no TERM
            if self._in_doubt(ready.planned):
                if (refused := await taken_over(session, self.work.log, ready.planned)) is not None:
                    return refused
                await self._settle(ready.planned, attempt)
            timer = self._limit(ready.planned, session.stop)
            return await outcome_of(ready, session, self.work.log)
        finally:
            if timer is not None:
                timer.cancel()
            session.capture.close()

    def _limit(self, step: PlannedStep, stop: Stop) -> asyncio.TimerHandle | None:
        found = self.limit_of(step, self.now())
        if found is None:
            return None
        return asyncio.get_running_loop().call_at(found[0], stop.order, "timedOut", found[1])

    def limit_of(self, step: PlannedStep, began: float) -> tuple[float, str] | None:
        """When the time of a step is over, and why: its own, its library step's, or that of finally."""
        limits: list[tuple[float, str]] = [] if self.limit is None else [self.limit]
        if step.timeout is not None:
            message = f"its time limit of {format_duration(step.timeout)} passed"
            limits.append((began + step.timeout.total_seconds(), message))
        if self.budget.until is not None:
            message = f"the time limit of finally ({format_duration(self.work.tools.finally_limit)}) passed"
            limits.append((self.budget.until, message))
        return min(limits, default=None)

    def _capture(self, step: PlannedStep, attempt: int) -> tuple[Capture, LogFile | None]:
        work = self.work
        if step.sensitive:
            return Capture(work.masker), None
        reference = logs.reference(
            work.claim.fence.run, work.claim.cause.instant, self.name, step.phase, step.id, attempt
        )
        file = LogFile(work.tools.logs, reference)
        return Capture(work.masker, file), file

    def now(self) -> float:
        return asyncio.get_running_loop().time()
