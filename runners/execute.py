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
from typing import Any, TypeVar, assert_never

import structlog
from sqlalchemy import Connection

from engine import contexts
from engine.contexts import RunFacts
from engine.expression import ExpressionError, render
from engine.outcome import (
    Failed,
    Outcome,
    Output,
    Succeeded,
    TimedOut,
    Unknown,
    Unreachable,
    error_of,
    output_of,
    state_of,
)
from engine.pinned import RUNNER, PinnedTarget, PlannedStep, Script
from engine.progress import Done, Ending, Lost, Start, StepRecord, next_on_target
from engine.states import StepState, run_state
from journal import leases, points, runs, steps
from journal.clock import Clock
from journal.errors import AlreadyStarted, FenceLost, Unavailable
from journal.leases import Claim
from journal.steps import StepEnd
from journal.store import Journal
from runners import logs
from runners.connections import GRACE, PROOF, Finish, Refused, Session, Stop, Why
from runners.connections.local import LocalHost, LocalSession
from runners.connections.ssh import SshPlace, SshSession
from runners.limits import TAIL, Capture, last_bytes
from runners.logs import LogFile
from runners.masking import Masker, TooShort, visible
from runners.prepare import Broken, NotMet, Place, Prepared, is_ok, prepare
from runners.secrets import Opened, Sealed, Secrets
from runners.sessions import SshConnections
from runners.steps import ReadyStep, StepType, step_types
from schemas.quantities import format_duration
from schemas.target import SshConnection

log = structlog.get_logger()

FINALLY_LIMIT = timedelta(minutes=5)
"""How long the steps of `finally` may take on one target, all together."""

_HOPELESS = PROOF + 10.0
"""Seconds after the order to end a step when we stop waiting for its step type."""
_LONGEST_PAUSE = 5.0
T = TypeVar("T")


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


class Unwritten(Exception):  # noqa: N818 - the work is given up, in silence
    """The run is not ours any more."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of an attempt besides its outcome. `by_run`: the whole run is being ended."""

    attempt: int
    duration: float
    file: LogFile | None = None
    stopped: Why | None = None
    by_run: bool = False

    @property
    def seconds(self) -> float:
        return round(self.duration, 3)


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
        self._lost = False
        self._draining = False
        self._running: dict[tuple[str, str, str], _Running] = {}
        self._masker = Masker()
        self._opened: dict[str, Opened | Sealed] = {}
        self._ended: dict[str, StepState] = dict(claim.ended_targets)
        self._outputs: dict[str, Mapping[str, Any]] = {}
        self._log = log.bind(run=self.run_id, job=claim.spec.job)
        self._facts = RunFacts(
            self.run_id, claim.spec.job, claim.spec.commit, claim.cause.instant, claim.attempt, claim.cause
        )

    # --- what others tell it ---------------------------------------------------------------------------------------

    def wish(self, ending: Ending) -> None:
        """End the run: running steps are ended, no further one starts, `finally` runs. The first wish counts."""
        if self._ending is not None or self._lost:
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
        if self._lost:
            return
        self._lost = True
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
        self._open_all()
        deadline = self._claim.started_at + self._spec.timeout - self._tools.clock.now()
        timer = asyncio.get_running_loop().call_later(max(0.0, deadline.total_seconds()), self.wish, "timedOut")
        try:
            await self._walk_all()
            if self._lost:
                return
            if self._unfinished():
                points.reach("drain.handed-over")
                await self._write(lambda tx: leases.release(tx, self._claim.fence, self._tools.clock.now()))
                self._log.info("run handed over")
                return
            await self._finish()
        except (FenceLost, Unwritten):
            self.abandon()
        finally:
            timer.cancel()

    async def give_up(self) -> None:
        """After a bug of ours: say that the run's end is unknown, so that it does not stay open for ever."""
        fence, now = self._claim.fence, self._tools.clock.now()
        try:
            await self._write(lambda tx: leases.give_up(tx, fence, reason="internalError", now=now))
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
                if self._lost:
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
        await self._write(
            lambda tx: leases.finish(tx, self._claim.fence, state, outputs=outputs, now=self._tools.clock.now())
        )
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
        outputs = self._target_outputs(target, records)
        fence = self._claim.fence
        await self._write(lambda tx: steps.end_target(tx, fence, name, state, outputs, self._tools.clock.now()))
        self._ended[name] = state
        self._outputs[name] = outputs

    def _target_outputs(self, target: PinnedTarget | None, records: list[StepRecord]) -> dict[str, Any]:
        """The job's outputs here. One whose expression fails (its step did not run) is null."""
        place = self._place(target, records)
        context = place.context({})
        found: dict[str, Any] = {}
        for key, value in self._spec.outputs.items():
            try:
                made = render(value, context, status=place.status)
            except ExpressionError:
                made = None
            found[key] = None if self._masker.holds_secret(made) else made
        return found

    def _place(self, target: PinnedTarget | None, records: list[StepRecord]) -> Place:
        status = contexts.status_of(records, self._ending)
        return Place(self._spec, target, self._claim.params, self._facts, records, status)

    async def _lose(self, name: str, step: PlannedStep, attempt: int, record: StepRecord | None) -> StepRecord:
        error = "its runner was lost while it ran; nothing proves an end"
        ended = StepEnd(StepState.UNKNOWN, error=error)
        await self._write_end(name, step, attempt, ended)
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
            return await self._skip(name, step, attempt, f"the steps of finally had used up their {limit}")
        prepared = prepare(step, place, self._credential, restricted=self._tools.restricted)
        match prepared:
            case NotMet():
                return await self._skip(name, step, attempt, "")
            case Broken(error=error):
                ended = self._judged(step, place, {}, Failed(error), _Facts(attempt, 0.0))
                await self._write_both(name, step, attempt, ended)
                return _record_of(step, attempt, ended, Output())
            case Prepared(step=ready, env=env):
                pass
            case _:
                assert_never(prepared)
        stop = Stop()
        key = (name, step.phase, step.id)
        self._running[key] = _Running(step, stop)
        try:
            if not await self._started(name, step, attempt):
                return await self._lose(name, step, attempt, None)
            if self._lost:
                stop.order("lost", "its runner had lost the run to another")
            capture, file = self._capture(name, step, attempt)
            began = self._now()
            timer = self._limit(step, stop, finally_until)
            try:
                points.reach("step.begun")
                outcome = await self._run_step(ready, target, capture, stop)
            finally:
                if timer is not None:
                    timer.cancel()
                capture.close()
            points.reach("step.ended")
            if stop.why == "drained" and step.idempotent and isinstance(outcome, Failed):
                return None
            if stop.why is not None:
                points.reach("step.stopped")
            if stop.why == "timedOut" and self._ending == "timedOut" and isinstance(outcome, Unreachable):
                outcome = TimedOut(outcome.error)
            by_run = step.phase == "steps" and self._ending is not None
            facts = _Facts(attempt, self._now() - began, file, stop.why, by_run)
            ended = self._judged(step, place, env, outcome, facts)
            await self._write_end(name, step, attempt, ended)
        finally:
            del self._running[key]
        return _record_of(step, attempt, ended, output_of(outcome))

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

    async def _run_step(self, ready: ReadyStep, target: PinnedTarget | None, capture: Capture, stop: Stop) -> Outcome:
        """Run the step type; whatever it does, there is an outcome."""
        action = ready.planned.action
        name = "script" if isinstance(action, Script) else action.type
        kind = step_types().get(name)
        if kind is None:
            return Failed(f"this runner has no step type '{name}'")
        session = self._session(ready.planned, target, capture, stop)
        work = asyncio.ensure_future(_guarded(kind, ready, session, self._log))
        try:
            if not await stop.first(asyncio.shield(work)):
                await asyncio.wait({work}, timeout=_HOPELESS)
            if work.done():
                return work.result()
            return Unknown(f"{stop.message}; it did not heed the order to end", capture.output())
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=1)

    def _session(self, step: PlannedStep, target: PinnedTarget | None, capture: Capture, stop: Stop) -> Session:
        connection = step.connection or (target.default_connection if target else "local")
        if connection == "local":
            return LocalSession(self._tools.local, capture, stop)
        ssh = target.connections.ssh if target is not None else None
        if connection != "ssh" or ssh is None or target is None:
            return _NoSession(f"there is no connection '{connection}' that this version can use", capture, stop)
        try:
            return SshSession(self._ssh_place(target, ssh), self._tools.ssh, capture, stop)
        except Sealed as error:
            return _NoSession(str(error), capture, stop)

    def _ssh_place(self, target: PinnedTarget, ssh: SshConnection) -> SshPlace:
        if ssh.credential_ref is None:
            raise Sealed(f"Target {target.name} has no spec.connections.ssh.credentialRef to log in with")
        credential = self._credential(ssh.credential_ref)
        user = ssh.user or credential.username
        if user is None:
            raise Sealed(f"neither Target {target.name} nor credential '{credential.name}' names a user")
        return SshPlace(
            target=target.name,
            host=target.host or "",
            port=ssh.port,
            user=user,
            host_keys=ssh.host_keys,
            private_key=credential.fields.get("privateKey"),
            password=credential.fields.get("password"),
        )

    def _capture(self, name: str, step: PlannedStep, attempt: int) -> tuple[Capture, LogFile | None]:
        if step.sensitive:
            return Capture(self._masker), None
        reference = logs.reference(self.run_id, self._claim.cause.instant, name, step.phase, step.id, attempt)
        file = LogFile(self._tools.logs, reference)
        return Capture(self._masker, file), file

    # --- judging -----------------------------------------------------------------------------------------------------

    def _judged(
        self,
        step: PlannedStep,
        place: Place,
        env: Mapping[str, Any],
        outcome: Outcome,
        facts: _Facts,
    ) -> StepEnd:
        """What is recorded of an outcome: exit codes and declared outputs judged, all text masked."""
        outcome, outputs = self._with_outputs(step, place, env, outcome, facts)
        state, output = state_of(outcome), output_of(outcome)
        notes = [text for text in (error_of(outcome), facts.file.note if facts.file else None) if text]
        forgiven = {StepState.FAILED, StepState.TIMED_OUT, StepState.UNREACHABLE}
        shown = state is not StepState.SUCCEEDED and not step.sensitive
        kept = step.keeps_output and not step.sensitive
        return StepEnd(
            state=state,
            exit_code=output.exit_code,
            duration=facts.seconds,
            outputs=outputs,
            stdout=visible(output.stdout) if kept else None,
            stderr=visible(output.stderr) if kept else None,
            stdout_tail=last_bytes(visible(output.stdout), TAIL) or None if shown else None,
            stderr_tail=last_bytes(visible(output.stderr), TAIL) or None if shown else None,
            error=visible(self._masker.mask("; ".join(notes))) or None,
            log=facts.file.name if facts.file else None,
            continued=step.continue_on_error and state in forgiven and not (facts.stopped and facts.by_run),
        )

    def _with_outputs(
        self, step: PlannedStep, place: Place, env: Mapping[str, Any], outcome: Outcome, facts: _Facts
    ) -> tuple[Outcome, dict[str, Any]]:
        if not isinstance(outcome, Succeeded | Failed):
            return outcome, {}
        output = outcome.output
        own = StepRecord(
            step.phase,
            step.id,
            state_of(outcome),
            facts.attempt,
            output.exit_code,
            facts.seconds,
            stdout=output.stdout,
            stderr=output.stderr,
        )
        try:
            if facts.stopped is None and output.exit_code is not None and step.ok_exit_codes != (0,):
                good = is_ok(step, output.exit_code, place.context(env, own), place.status)
                outcome = Succeeded(output) if good else Failed(f"exit code {output.exit_code}", output)
                own = replace(own, state=state_of(outcome))
        except ExpressionError as error:
            return Failed(f"okExitCodes: {error.message}", output), {}
        if not step.outputs:
            return outcome, {}
        return self._declared(step, place.context(env, own), place, outcome)

    def _declared(
        self, step: PlannedStep, context: Mapping[str, Any], place: Place, outcome: Succeeded | Failed
    ) -> tuple[Outcome, dict[str, Any]]:
        found: dict[str, Any] = {}
        for name, value in step.outputs.items():
            try:
                made = render(value, context, status=place.status)
            except ExpressionError as error:
                if isinstance(outcome, Succeeded):
                    return Failed(f"output '{name}': {error.message}", outcome.output), {}
                made = None
            if self._masker.holds_secret(made):
                return Failed(f"output '{name}' contains a secret; it is not kept", outcome.output), {}
            found[name] = made
        return outcome, found

    # --- secrets -----------------------------------------------------------------------------------------------------

    def _open_all(self) -> None:
        """Open every credential of the plan, so that each is masked everywhere; whoever needs one that fails, fails."""
        for name, spec in self._spec.credentials.items():
            try:
                opened = self._tools.secrets.open(name, spec)
                for secret in opened.secrets:
                    self._masker.add(secret)
                self._opened[name] = opened
            except TooShort as error:
                self._opened[name] = Sealed(f"credential '{name}': {error}")
            except Sealed as error:
                self._opened[name] = error

    def _credential(self, name: str) -> Opened:
        found = self._opened.get(name)
        if found is None:
            raise Sealed(f"credential '{name}' is not in the run's plan")
        if isinstance(found, Sealed):
            raise Sealed(str(found))
        return found

    # --- recording ---------------------------------------------------------------------------------------------------

    async def _started(self, name: str, step: PlannedStep, attempt: int) -> bool:
        """Record the start. False where this attempt was started before."""
        fence, now = self._claim.fence, self._tools.clock.now()
        try:
            await self._write(
                lambda tx: steps.start(tx, fence, name, step.phase, step.id, attempt, now, name=step.name)
            )
        except AlreadyStarted:
            return False
        return True

    async def _write_end(self, name: str, step: PlannedStep, attempt: int, ended: StepEnd) -> None:
        fence, now = self._claim.fence, self._tools.clock.now()
        await self._write(
            lambda tx: steps.end(tx, fence, name, step.phase, step.id, attempt, ended, now), evidence=True
        )

    async def _write_both(self, name: str, step: PlannedStep, attempt: int, ended: StepEnd) -> None:
        """Start and end of a step that could not be started: it has no effect to lie between them."""
        fence, now = self._claim.fence, self._tools.clock.now()

        def change(tx: Connection) -> None:
            steps.start(tx, fence, name, step.phase, step.id, attempt, now, name=step.name)
            steps.end(tx, fence, name, step.phase, step.id, attempt, ended, now)

        await self._write(change)

    async def _skip(self, name: str, step: PlannedStep, attempt: int, reason: str) -> StepRecord:
        fence, now = self._claim.fence, self._tools.clock.now()
        await self._write(
            lambda tx: steps.skip(tx, fence, name, step.phase, step.id, attempt, reason, now, name=step.name)
        )
        return StepRecord(step.phase, step.id, StepState.SKIPPED, attempt, error=reason or None)

    async def _write(self, change: Callable[[Connection], T], *, evidence: bool = False) -> T:
        """Write, and come back as long as the journal cannot be written; then the fence decides.

        Raises FenceLost, and Unwritten where the run is known to be lost (evidence is tried all the same, once).
        """
        pause = 0.05
        while True:
            if self._lost and not evidence:
                raise Unwritten
            try:
                return await self._tools.journal.write(change)
            except Unavailable as error:
                if self._lost:
                    raise Unwritten from error
                self._log.warning("journal cannot be written", error=error.message)
                await asyncio.sleep(min(_LONGEST_PAUSE, max(pause, min(1.0, error.retry_after.total_seconds()))))
                pause *= 2

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class _NoSession:
    """Stands for a place that cannot be reached for a reason of its own."""

    def __init__(self, error: str, capture: Capture, stop: Stop) -> None:
        self.capture = capture
        self.stop = stop
        self._error = error

    async def execute(self, command: object) -> Finish:
        return Refused(self._error)


async def _guarded(kind: StepType, ready: ReadyStep, session: Session, logger: Any) -> Outcome:
    try:
        return await kind.run(ready, session)
    except Exception as error:
        logger.exception("step type failed", step=ready.planned.id)
        return Unknown(f"an error in the step type: {type(error).__name__}", session.capture.output())


def _record_of(step: PlannedStep, attempt: int, ended: StepEnd, output: Output) -> StepRecord:
    """What the next steps see: the same that a resumed run would read in the journal, plus unkept output."""
    return StepRecord(
        phase=step.phase,
        id=step.id,
        state=ended.state,
        attempt=attempt,
        exit_code=ended.exit_code,
        duration=ended.duration,
        outputs=ended.outputs,
        stdout=visible(output.stdout),
        stderr=visible(output.stderr),
        error=ended.error,
        continued=ended.continued,
    )
