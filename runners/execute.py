"""Executing one run: walk its plan on every target, each start durable before its effect and each end after it.

What comes next on a target is decided by `engine.progress.next_on_target` alone, from the plan and the records; so a
resumed run and a fresh one take the same way. This module evaluates, starts, waits, judges and records.

Draining: nothing new starts. Running steps have the grace time to end; then they are ended. One whose end is proven is
recorded as failed ("ended because its runner stopped"): nobody cancelled it and no limit of its own passed, and what is
proven must not become unknown. If it is `idempotent` no end is recorded, so that the next runner repeats it. One whose
end is not proven is unknown. A run with targets that are not done is handed over (`journal.leases.release`).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, assert_never

import structlog

from engine import contexts
from engine.contexts import RunFacts
from engine.outcome import Failed, Outcome, Output, TimedOut, Unreachable, output_of
from engine.pinned import RUNNER, PinnedTarget, PlannedStep
from engine.progress import Done, Ending, Lost, Start, StepRecord, next_on_target
from engine.states import StepState, run_state
from journal import points, runs
from journal.clock import Clock
from journal.errors import FenceLost
from journal.leases import Claim
from journal.steps import StepEnd
from journal.store import Journal
from runners import logs
from runners.attempt import Doors, outcome_of, taken_over
from runners.connections import GRACE, Session, Stop, Why
from runners.connections.local import LocalHost
from runners.judging import Facts, Judge, record_of, target_outputs
from runners.keyring import Keyring
from runners.limits import Capture
from runners.logs import LogFile
from runners.masking import Masker
from runners.prepare import Broken, NotMet, Place, Prepared, prepare
from runners.record import Record, Unwritten
from runners.secrets import Secrets
from runners.sessions import SshConnections
from runners.steps import ReadyStep
from schemas.quantities import format_duration

log = structlog.get_logger()

FINALLY_LIMIT = timedelta(minutes=5)
"""How long the steps of `finally` may take on one target, all together."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a runner has to execute runs with; shared by all of them."""

    journal: Journal
    clock: Clock
    secrets: Secrets
    logs: Path
    local: LocalHost
    ssh: SshConnections
    restricted: bool = False
    finally_limit: timedelta = FINALLY_LIMIT


@dataclass(slots=True)
class _Running:
    step: PlannedStep
    stop: Stop


class Execution:
    """One claimed run, from its claim to its end or its hand-over.

    `run` returns when nothing of the run goes on here. The other methods may be called at any time, from the same loop;
    none of them waits.
    """

    def __init__(self, claim: Claim, tools: Tools) -> None:
        self.run_id = claim.fence.run
        self._claim = claim
        self._spec = claim.spec
        self._tools = tools
        self._ending: Ending | None = claim.ending
        self._draining = False
        self._running: dict[tuple[str, str, str], _Running] = {}
        self._masker = Masker()
        self._keys = Keyring(tools.secrets, self._masker)
        # the id alone comes from the job's name and its cause: two engines with the same job would share it
        identity = f"{self.run_id} {claim.spec.commit} {claim.started_at.isoformat()}"
        self._doors = Doors(tools.local, tools.ssh, self._keys, identity)
        self._ended: dict[str, StepState] = dict(claim.ended_targets)
        self._outputs: dict[str, Mapping[str, Any]] = {}
        self._log = log.bind(run=self.run_id, job=claim.spec.job)
        self._record = Record(tools.journal, tools.clock, claim.fence, self._log)
        self._facts = RunFacts(
            self.run_id, claim.spec.job, claim.spec.commit, claim.cause.instant, claim.attempt, claim.cause
        )

    # --- what others tell it ---------------------------------------------------------------------------------------

    def wish(self, ending: Ending) -> None:
        """End the run: running steps are ended, no further one starts, `finally` runs. The first wish counts."""
        if self._ending is not None or self._record.lost:
            return
        self._ending = ending
        message = (
            "the run was cancelled"
            if ending == "cancelled"
            else f"the run's time limit of {format_duration(self._spec.timeout)} passed"
        )
        self._stop(ending, message, only=lambda step: step.phase == "steps")

    def abandon(self) -> None:
        """The run is another runner's: end what runs of it here, and write nothing but evidence."""
        if self._record.lost:
            return
        self._record.lost = True
        self._log.warning("run lost to another runner")
        self._stop("lost", "its runner had lost the run to another", kill_after=2.0)

    def give_way(self, seconds: float) -> None:
        """The lease cannot be renewed: end, within `seconds`, what must not run when another runner takes over."""
        self._stop(
            "lost",
            "it was ended because its runner could not renew its lease",
            only=lambda step: not step.idempotent,
            kill_after=max(0.2, min(GRACE, seconds / 2)),
        )

    def drain(self) -> None:
        """Start nothing new."""
        self._draining = True

    def end_running(self, *, kill_after: float = GRACE) -> None:
        """The grace time of draining is over."""
        self._draining = True
        self._stop("drained", "it was ended because its runner stopped", kill_after=kill_after)

    def _stop(
        self,
        why: Why,
        message: str,
        *,
        only: Callable[[PlannedStep], bool] = lambda step: True,
        kill_after: float = GRACE,
    ) -> None:
        for running in self._running.values():
            if only(running.step):
                running.stop.order(why, message, kill_after=kill_after)

    # --- the run -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until the run has ended, or is handed over, or is lost. Raises what is a bug of ours."""
        self._keys.open_all(self._spec)
        deadline = self._claim.started_at + self._spec.timeout - self._tools.clock.now()
        timer = asyncio.get_running_loop().call_later(max(0.0, deadline.total_seconds()), self.wish, "timedOut")
        try:
            await self._walk_all()
            if self._record.lost:
                return
            if self._unfinished():
                points.reach("drain.handed-over")
                await self._record.release()
                self._log.info("run handed over")
                return
            await self._finish()
        except (FenceLost, Unwritten):
            self.abandon()
        finally:
            timer.cancel()

    async def give_up(self) -> None:
        """After a bug of ours: say that the run's end is unknown, so that it does not stay open for ever."""
        try:
            await self._record.give_up("internalError")
        except (FenceLost, Unwritten):
            self.abandon()

    def _places(self) -> list[tuple[str, PinnedTarget | None]]:
        if not self._spec.on_targets:
            return [(RUNNER, None)]
        return [(target.name, target) for target in self._spec.targets]

    def _unfinished(self) -> bool:
        return any(name not in self._ended for name, _ in self._places())

    async def _walk_all(self) -> None:
        slots = asyncio.Semaphore(max(1, self._spec.max_parallel))

        async def walk(name: str, target: PinnedTarget | None) -> None:
            async with slots:
                if self._record.lost:
                    return
                try:
                    await self._walk(name, target)
                except (FenceLost, Unwritten):
                    self.abandon()

        places = [place for place in self._places() if place[0] not in self._ended]
        if len(places) == 1:
            await walk(*places[0])
            return
        async with asyncio.TaskGroup() as group:
            for place in places:
                group.create_task(walk(*place))

    async def _finish(self) -> None:
        state = run_state(self._ended.values())
        outputs = await self._run_outputs()
        points.reach("run.walked")
        await self._record.finish(state, outputs)
        self._log.info("run finished", state=state.value)

    async def _run_outputs(self) -> dict[str, Any]:
        if not self._spec.outputs:
            return {}
        found = dict(self._outputs)
        if self._claim.ended_targets:
            view = await self._tools.journal.read(lambda conn: runs.get(conn, self.run_id))
            for result in view.results if view else ():
                found.setdefault(result.name, result.outputs)
        if not self._spec.on_targets:
            return dict(found.get(RUNNER, {}))
        return {
            key: {name: found[name].get(key) for name, _ in self._places() if name in found}
            for key in self._spec.outputs
        }

    # --- one target --------------------------------------------------------------------------------------------------

    async def _walk(self, name: str, target: PinnedTarget | None) -> None:
        records = {record.key: record for record in self._claim.records.get(name, ())}
        finally_until: float | None = None
        while True:
            match next_on_target(self._spec.steps, list(records.values()), ending=self._ending):
                case Done(state=state):
                    await self._end_target(name, target, state, list(records.values()))
                    return
                case Lost(step=step, attempt=attempt):
                    record = await self._lose(name, step, attempt, records.get((step.phase, step.id)))
                    records[record.key] = record
                case Start(step=step, attempt=attempt):
                    if self._draining:
                        return
                    if step.phase == "finally" and finally_until is None:
                        points.reach("finally.entered")
                        finally_until = self._now() + self._tools.finally_limit.total_seconds()
                    found = await self._step(name, target, step, attempt, list(records.values()), finally_until)
                    if found is None:
                        return
                    records[found.key] = found

    async def _end_target(
        self, name: str, target: PinnedTarget | None, state: StepState, records: list[StepRecord]
    ) -> None:
        outputs = target_outputs(self._spec.outputs, self._place(target, records), self._masker)
        await self._record.end_target(name, state, outputs)
        self._ended[name] = state
        self._outputs[name] = outputs

    def _place(self, target: PinnedTarget | None, records: list[StepRecord]) -> Place:
        status = contexts.status_of(records, self._ending)
        return Place(self._spec, target, self._claim.params, self._facts, records, status)

    async def _lose(self, name: str, step: PlannedStep, attempt: int, record: StepRecord | None) -> StepRecord:
        error = "its runner was lost while it ran; nothing proves an end"
        ended = StepEnd(StepState.UNKNOWN, error=error)
        await self._record.end(name, step, attempt, ended)
        return replace(
            record or StepRecord(step.phase, step.id, StepState.UNKNOWN, attempt), state=StepState.UNKNOWN, error=error
        )

    # --- one step ----------------------------------------------------------------------------------------------------

    async def _step(
        self,
        name: str,
        target: PinnedTarget | None,
        step: PlannedStep,
        attempt: int,
        records: list[StepRecord],
        finally_until: float | None,
    ) -> StepRecord | None:
        """Do one step and record it. None when it stays without an end, for the next runner to repeat."""
        place = self._place(target, records)
        if finally_until is not None and self._now() >= finally_until:
            limit = format_duration(self._tools.finally_limit)
            return await self._record.skip(name, step, attempt, f"the steps of finally had used up their {limit}")
        prepared = prepare(step, place, self._keys.get, restricted=self._tools.restricted)
        match prepared:
            case NotMet():
                return await self._record.skip(name, step, attempt, "")
            case Broken(error=error):
                ended = Judge(step, place, self._masker, {}).judged(Failed(error), Facts(attempt, 0.0))
                await self._record.start_and_end(name, step, attempt, ended)
                return record_of(step, attempt, ended, Output())
            case Prepared(step=ready, env=env):
                pass
            case _:
                assert_never(prepared)
        stop = Stop()
        key = (name, step.phase, step.id)
        self._running[key] = _Running(step, stop)
        try:
            if not await self._record.start(name, step, attempt):
                return await self._lose(name, step, attempt, None)
            if self._record.lost:
                stop.order("lost", "its runner had lost the run to another")
            capture, file = self._capture(name, step, attempt)
            session = self._doors.session(step, target, capture, stop)
            began = self._now()
            points.reach("step.begun")
            outcome = await self._attempt(ready, session, attempt, finally_until)
            points.reach("step.ended")
            if stop.why == "drained" and step.idempotent and isinstance(outcome, Failed | Unreachable):
                return None
            if stop.why is not None:
                points.reach("step.stopped")
            if stop.why == "timedOut" and self._ending == "timedOut" and isinstance(outcome, Unreachable):
                outcome = TimedOut(outcome.error)
            by_run = step.phase == "steps" and self._ending is not None
            facts = Facts(attempt, self._now() - began, file, stop.why, by_run)
            ended = Judge(step, place, self._masker, env).judged(outcome, facts)
            await self._record.end(name, step, attempt, ended)
        finally:
            del self._running[key]
        return record_of(step, attempt, ended, output_of(outcome))

    async def _attempt(self, ready: ReadyStep, session: Session, attempt: int, finally_until: float | None) -> Outcome:
        timer: asyncio.TimerHandle | None = None
        try:
            # before the step's time begins: it may last as long as the earlier attempt heeds no TERM
            if attempt > 1 and (refused := await taken_over(session)) is not None:
                return refused
            timer = self._limit(ready.planned, session.stop, finally_until)
            return await outcome_of(ready, session, self._log)
        finally:
            if timer is not None:
                timer.cancel()
            session.capture.close()

    def _limit(self, step: PlannedStep, stop: Stop, finally_until: float | None) -> asyncio.TimerHandle | None:
        loop = asyncio.get_running_loop()
        limits: list[tuple[float, str]] = []
        if step.timeout is not None:
            message = f"its time limit of {format_duration(step.timeout)} passed"
            limits.append((loop.time() + step.timeout.total_seconds(), message))
        if finally_until is not None:
            message = f"the time limit of finally ({format_duration(self._tools.finally_limit)}) passed"
            limits.append((finally_until, message))
        if not limits:
            return None
        moment, message = min(limits)
        return loop.call_at(moment, stop.order, "timedOut", message)

    def _capture(self, name: str, step: PlannedStep, attempt: int) -> tuple[Capture, LogFile | None]:
        if step.sensitive:
            return Capture(self._masker), None
        reference = logs.reference(self.run_id, self._claim.cause.instant, name, step.phase, step.id, attempt)
        file = LogFile(self._tools.logs, reference)
        return Capture(self._masker, file), file

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
