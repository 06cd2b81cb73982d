"""A run in one sentence: what happened, where, and how that compares with what it usually does. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from engine.runs.pinned import RUNNER
from engine.states import NodeState, RunState, StepState
from engine.status.views import NodeView, RunView, StepView, TargetView
from engine.status.yamltext import stamp
from engine.workflows.graphfacts import Verdict
from opsconductor.dashboard.values import took

_GOOD = (StepState.SUCCEEDED, StepState.SKIPPED)
_NAMED = 3


def of_run(run: RunView, at: datetime, usual: float | None) -> str:
    """Without the state itself, which stands before it, and without an end."""
    if run.rehearsal is not None:
        return "nothing was sent, connected to or opened"
    return ", ".join(_parts(run, at, usual))


def why_of(node: NodeView) -> str:
    """Why a node of a workflow is as it is: the recorded reason, else what people said, and until when it waits."""
    record = node.record
    until = record.until if record.state is NodeState.WAITING else None
    waits = [] if until is None else [f"{'waits for people' if node.kind == 'gate' else 'waits'} until {stamp(until)}"]
    said = [] if record.gate is None else [_vote(one) for one in record.gate.verdicts]
    return record.reason or "; ".join([*waits, *said])


def _vote(one: Verdict) -> str:
    said = f"{'approved' if one.approved else 'rejected'} by {one.by}"
    return f"{said}: {' '.join(one.reason.split())}" if one.reason else said


def _parts(run: RunView, at: datetime, usual: float | None) -> Iterator[str]:
    if run.state in (RunState.WAITING, RunState.QUEUED):
        yield f"since {_span(run.queued_at, at)}"
        if run.starts_at is not None and run.starts_at > at:
            yield f"it starts in {_span(at, run.starts_at)} at the earliest"
        return
    if run.started_at is not None:
        yield f"{'for' if run.finished_at is None else 'after'} {_span(run.started_at, run.finished_at or at)}"
    elif run.finished_at is not None:
        yield "before it started"
    if run.on_targets and run.targets and not run.workflow:
        yield _where(run)
    if gates := [node.id for node in run.nodes if node.kind == "gate" and node.state is NodeState.WAITING]:
        yield f"it waits for people at {', '.join(gates)}"
    bad = [(place, step) for place in run.results for step in place.steps if _is_bad(step)]
    for place, step in bad[:1]:
        where = "" if place.name == RUNNER else f" on {place.name}"
        yield f"first in step {step.id}{where}: {step.error or step.state}"
    if usual is not None:
        yield f"usually it takes {took(usual)}"


def _where(run: RunView) -> str:
    ended = [place for place in run.results if place.state not in (None, StepState.RUNNING)]
    if run.finished_at is None:
        return f"{len(ended)} of {len(run.targets)} targets done"
    bad = [place for place in ended if place.state not in _GOOD]
    if not bad:
        return f"on {len(run.targets)} target{'s' if len(run.targets) > 1 else ''}"
    named = ", ".join(place.name for place in bad[:_NAMED]) + (f" and {len(bad) - _NAMED} more" * (len(bad) > _NAMED))
    return f"on {named} ({len(bad)} of {len(run.targets)} targets)" if len(run.targets) > 1 else f"on {named}"


def _is_bad(step: StepView) -> bool:
    forgiven = step.rescued or step.continued or step.again
    return step.state not in (*_GOOD, StepState.RUNNING) and not forgiven


def _span(begin: datetime, end: datetime) -> str:
    return took(max((end - begin) / timedelta(seconds=1), 0.0))


def phase_and_step(step: StepView) -> str:
    """As the names of its logs have it."""
    return step.id if step.phase == "steps" else f"{step.phase}/{step.id}"


def places(run: RunView) -> list[TargetView]:
    """The targets that have begun, those first where something went wrong."""
    begun = [place for place in run.results if place.state is not None or place.steps]
    return sorted(begun, key=lambda place: place.state in (*_GOOD, None, StepState.RUNNING))
