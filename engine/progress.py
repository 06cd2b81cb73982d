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


def counts_as_success(record: StepRecord) -> bool:
    return record.state in _GOOD or (record.continued and record.state is not StepState.UNKNOWN)


def target_state(records: Sequence[StepRecord], ending: Ending | None) -> StepState:
    """The target's state: its worst step, where continued failures count as success; at least `ending`."""
    states = [StepState.SUCCEEDED if counts_as_success(record) else record.state for record in records]
    return worst([*states, StepState(ending)] if ending else states)


def next_on_target(plan: Sequence[PlannedStep], records: Sequence[StepRecord], *, ending: Ending | None = None) -> Next:
    """Decide the next move on one target.

    `records` holds the last attempt of every step that was ever started, as the journal has it. A record still
    `running` belongs to a runner that was lost, since the caller starts nothing before it has recorded an end.
    `ending` says that the run was cancelled or ran out of time: no further ordinary step starts, `finally` still does.
    """
    known = {record.key: record for record in records}
    for phase in ("steps", "finally"):
        stopped = phase == "steps" and ending is not None
        for step in plan:
            if step.phase != phase:
                continue
            record = known.get((step.phase, step.id))
            match record:
                case None if stopped:
                    break
                case None:
                    return Start(step, attempt=1)
                case StepRecord(state=StepState.RUNNING) if step.idempotent and not stopped:
                    return Start(step, attempt=record.attempt + 1)
                case StepRecord(state=StepState.RUNNING):
                    return Lost(step, attempt=record.attempt)
                case _ if not counts_as_success(record) and phase == "steps":
                    break
    finals = [r for r in records]
    pending = any(step.phase == "steps" and (step.phase, step.id) not in known for step in plan)
    return Done(target_state(finals, ending if pending or _was_ended(finals) else None))


def _was_ended(records: Sequence[StepRecord]) -> bool:
    return any(record.state in (StepState.CANCELLED, StepState.TIMED_OUT) for record in records)
