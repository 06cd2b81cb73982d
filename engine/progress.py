"""What comes next on one target, from its plan and what is recorded. A resumed run and a fresh one ask the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.pinned import Phase, PlannedStep
from engine.states import StepState, worst

Ending = Literal["cancelled", "timedOut"]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What the journal holds of the last attempt of one step on one target."""

    phase: Phase
    id: str
    state: StepState
    attempt: int = 1
    exit_code: int | None = None
    duration: float | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    stdout: str | None = None
    stderr: str | None = None
    error: str | None = None
    continued: bool = False
    """It failed and the run went on all the same (continueOnError)."""

    @property
    def key(self) -> tuple[Phase, str]:
        return (self.phase, self.id)


@dataclass(frozen=True, slots=True)
class Start:
    """Start this step; `attempt` counts from 1."""

    step: PlannedStep
    attempt: int


@dataclass(frozen=True, slots=True)
class Lost:
    """This step had started when its runner was lost, and nothing proves an end: record it as unknown."""

    step: PlannedStep
    attempt: int


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do on the target."""

    state: StepState


Next = Start | Lost | Done

_GOOD = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})
_UNFORGIVEN = frozenset({StepState.CANCELLED, StepState.UNKNOWN, StepState.RUNNING})


def counts_as_success(record: StepRecord) -> bool:
    """Whether the next step may start after this one.

    continueOnError forgives a failure; it forgives neither a cancellation, nor an end that cannot be proven.
    """
    return record.state in _GOOD or (record.continued and record.state not in _UNFORGIVEN)


def target_state(records: Sequence[StepRecord], ending: Ending | None = None) -> StepState:
    """The target's state: its worst step, where continued failures count as success; at least `ending`."""
    states = [StepState.SUCCEEDED if counts_as_success(record) else record.state for record in records]
    return worst([*states, StepState(ending)] if ending else states)


def next_on_target(plan: Sequence[PlannedStep], records: Sequence[StepRecord], *, ending: Ending | None = None) -> Next:
    """Decide the next move on one target.

    `records` holds the last attempt of every step that was ever started, as the journal has it. A record still
    `running` belongs to a runner that was lost, since the caller starts nothing before it has recorded an end.
    `ending` says that the run was cancelled or ran out of time: no further ordinary step starts. Steps of `finally`
    always run, one after another, whatever became of those before them. The target is as its worst step; the ending
    shows in it only where it kept a step from starting (one that it ended is itself recorded so, and is not
    `continued`).
    """
    known = {record.key: record for record in records}
    cut = False
    for step in (step for step in plan if step.phase == "steps"):
        record = known.get((step.phase, step.id))
        if record is not None and record.state is not StepState.RUNNING:
            if counts_as_success(record):
                continue
            break
        if ending is None:
            return _begin(step, record)
        if record is not None:
            return Lost(step, record.attempt)
        cut = True
        break
    for step in (step for step in plan if step.phase == "finally"):
        record = known.get((step.phase, step.id))
        if record is None or record.state is StepState.RUNNING:
            return _begin(step, record)
    return Done(target_state(records, ending if cut else None))


def _begin(step: PlannedStep, record: StepRecord | None) -> Start | Lost:
    """The first attempt; after a lost runner the next one, or none without the author's consent to repeat."""
    if record is None:
        return Start(step, attempt=1)
    return Start(step, record.attempt + 1) if step.idempotent else Lost(step, record.attempt)
