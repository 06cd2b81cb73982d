"""Steps of libraries: what goes in is checked before anything is sent, and what comes out before anybody reads it.

Between the two the steps that it consists of are walked as a job's are (`runners.walk`), with a scope of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.expressions import contexts
from engine.expressions.bounds import TOO_LARGE
from engine.expressions.expression import ExpressionError, condition, render, to_text
from engine.runs.librarycalls import misfit, unfit
from engine.runs.outcome import Cancelled, Failed, Outcome, Output, Succeeded, TimedOut, Unknown, Unreachable, output_of
from engine.runs.pinned import LibraryCall, PlannedStep, within
from engine.runs.progress import Ending, StepRecord, counts_as_success
from engine.secretref import SecretRef
from engine.states import StepState
from runners.connections import Why
from runners.judging import Facts, Judge, record_of
from runners.masking import Masker
from runners.prepare import Broken, Entered, NotMet, Place

if TYPE_CHECKING:
    from runners.walk import Walk


async def done(walk: "Walk", step: PlannedStep, attempt: int, *, begun: bool) -> StepRecord | None:
    """Do an attempt of a library's step, or go on with one. None where another runner is to go on."""
    work, place, call = walk.work, walk.place(), step.action
    assert isinstance(call, LibraryCall)
    found = entered(step, attempt, place, begun=begun)
    match found:
        case NotMet():
            return await work.record.skip(walk.name, step, attempt, "")
        case Broken(error=error):
            ended = Judge(step, place, work.masker, {}).judged(Failed(error, ran=False), Facts(attempt, 0.0))
            await (work.record.end if begun else work.record.start_and_end)(walk.name, step, attempt, ended)
            return record_of(step, attempt, ended, Output())
    if not begun and not await work.record.start(walk.name, step, attempt):
        return await walk.lose(step, attempt)
    began = _began(walk, step) if begun else walk.now()
    limit = walk.limit_of(step, began)
    inner = walk.into(found, step, attempt, limit)
    state = await inner.run()
    if state is None:
        return None
    ends = Ended(state, {one.id: one for one in inner.records.values()}, [part.id for part in inner.plan])
    over = limit[1] if limit is not None and walk.now() >= limit[0] else None
    outcome = outcome_of(call, ends, inner.place(), work.masker, over=over)
    by_run = step.phase != "finally" and work.orders.ending is not None
    stopped = _stopped(outcome, work.orders.ending if by_run else None)
    facts = Facts(attempt, walk.now() - began, None, stopped, by_run, not by_run and walk.has_time(step, attempt))
    ended = Judge(step, place, work.masker, found.env).judged(outcome, facts)
    await work.record.end(walk.name, step, attempt, ended)
    walk.leave(step)
    return record_of(step, attempt, ended, output_of(outcome), work.tools.clock.now())


def _began(walk: "Walk", step: PlannedStep) -> float:
    """When an attempt began that goes on here, by the loop: its time went on while it had no runner."""
    known = walk.records.get((step.phase, step.id))
    if known is None or known.started_at is None:
        return walk.now()
    return walk.now() - max(0.0, (walk.work.tools.clock.now() - known.started_at).total_seconds())


def _stopped(outcome: Outcome, ending: Ending | None) -> Why | None:
    match outcome:
        case TimedOut():
            return ending or "timedOut"
        case Cancelled():
            return ending or "cancelled"
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Ended:
    """How the walk of its steps ended. `records` are theirs, `paths` those of its own steps in their order."""

    state: StepState
    records: Mapping[str, StepRecord]
    paths: Sequence[str]

    @property
    def last(self) -> StepRecord | None:
        """Of the last of its own steps that ran."""
        ran = [self.records[path] for path in self.paths if path in self.records]
        return next((one for one in reversed(ran) if one.state is not StepState.SKIPPED), None)


def entered(step: PlannedStep, attempt: int, place: Place, *, begun: bool) -> Entered | NotMet | Broken:
    """Evaluate and check what the step gives its library. `begun`: its condition was asked before."""
    call = step.action
    assert isinstance(call, LibraryCall)
    try:
        bare = place.context({})
        if not begun and not condition(step.condition, bare, status=place.status):
            return NotMet()
        env = contexts.environment(step.env, bare, place.status)
        public = {name: value for name, value in env.items() if not isinstance(value, SecretRef)}
        context = {**bare, "env": public}
        inputs = render(call.inputs, context, status=place.status)
        folder = None if step.working_dir is None else to_text(render(step.working_dir, context, status=place.status))
    except ExpressionError as error:
        return Broken(error.message)
    if (fault := unfit(call, place.target, inputs)) is not None:
        return Broken(fault)
    # Of a secret its steps know no more than that it has no value here: theirs stands where it is used.
    known = {**dict.fromkeys(call.takes), **inputs}
    around = place.inside.env if place.inside is not None else {}
    outer = place.inside.working_dir if place.inside is not None else None
    return Entered(call, within(step.id, attempt), known, {**around, **public}, folder or outer)


def outcome_of(call: LibraryCall, ended: Ended, place: Place, masker: Masker, *, over: str | None) -> Outcome:
    """What the ends of its steps make of it. `place` is within it, `over` says that its time was."""
    last = ended.last
    stdout = (last.stdout if last else None) or ""
    cut = stdout == TOO_LARGE
    output = Output(
        last.exit_code if last else None,
        "" if cut else stdout,
        (last.stderr if last else None) or "",
        cut,
    )
    if ended.state in (StepState.SUCCEEDED, StepState.SKIPPED):
        return _finished(call, place, masker, output)
    bad = [one for one in ended.records.values() if not counts_as_success(one)]
    said = f"{bad[-1].id}: {bad[-1].error or bad[-1].state.value}" if bad else ended.state.value
    match ended.state:
        case StepState.TIMED_OUT:
            return TimedOut(over or said, output)
        case StepState.CANCELLED:
            return Cancelled(said, output)
        case StepState.UNREACHABLE if len(ended.records) == 1:
            return Unreachable(said)
        case StepState.UNKNOWN:
            return Unknown(said, output)
        case _:
            return Failed(said, output)


def _finished(call: LibraryCall, place: Place, masker: Masker, output: Output) -> Outcome:
    context = place.context({})
    found: dict[str, Any] = {}
    for name, value in call.outputs.items():
        try:
            made = render(value, context, status=place.status)
        except ExpressionError as error:
            return Failed(f"{call.uses}: output '{name}': {error.message}", output)
        if masker.holds_secret(made):
            return Failed(f"{call.uses}: output '{name}' contains a secret; it is not kept", output)
        if (fault := misfit(call, name, made)) is not None:
            return Failed(fault, output)
        found[name] = made
    return Succeeded(replace(output, values=found))
