"""What comes next on one target, from its plan and what is recorded. A resumed run and a fresh one ask the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from engine.runs.pinned import LibraryCall, Phase, PlannedStep, is_nested
from engine.states import StepState, worst

Ending = Literal["cancelled", "timedOut"]
"""Why a run ends before its time."""
Cut = Ending | Literal["failed"]
"""What keeps further steps from starting on a target: the run ends, or too many others have failed."""


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
    again: bool = False
    """It failed, and its author wants another attempt (retry)."""
    rescued: bool = False
    """It failed, and the steps of a rescue made up for it."""
    started_at: datetime | None = None
    """When this attempt began; None where nobody need know."""
    ended_at: datetime | None = None
    inherited: bool = False
    """It is the result of another run, which this one repeats from a later step."""
    doubt: bool = False
    """An attempt of it whose runner was lost may still run: none that followed has ended what was left of it."""

    @property
    def key(self) -> tuple[Phase, str]:
        return (self.phase, self.id)


@dataclass(frozen=True, slots=True)
class Start:
    """Start this step; `attempt` counts from 1. `after` is the end of the attempt that it repeats, by consent; `cut`
    says that it was under way when its runner was lost, and is begun anew."""

    step: PlannedStep
    attempt: int
    after: datetime | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Each:
    """Do this step for each item of its loop: begin with that, or go on."""

    step: PlannedStep


@dataclass(frozen=True, slots=True)
class Within:
    """Go on with an attempt of a library's step that has begun, with the steps it consists of."""

    step: PlannedStep
    attempt: int


@dataclass(frozen=True, slots=True)
class Rescued:
    """Every step of a rescue has done its work: record that it made up for the failure of this one."""

    step: PlannedStep


@dataclass(frozen=True, slots=True)
class Lost:
    """This step had started when its runner was lost, and nothing proves an end: record it as unknown.

    Where the attempt has not `begun`, it would have been one more after one that reached nobody.
    """

    step: PlannedStep
    attempt: int
    begun: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """This attempt is proven to have ended without saying how, and no other follows: the ending of the run is its own.

    Its runner stopped, or was lost and what was left of it has been ended.
    """

    step: PlannedStep
    attempt: int
    state: StepState


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do on the target."""

    state: StepState


Move = Start | Each | Within | Rescued | Lost | Ended
Next = Move | Done

_GOOD = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})
_UNFORGIVEN = frozenset({StepState.CANCELLED, StepState.UNKNOWN, StepState.RUNNING})


FORGIVABLE = frozenset({StepState.FAILED, StepState.TIMED_OUT, StepState.UNREACHABLE})
"""What continueOnError and a rescue can make up for, and `retry` may repeat."""


def counts_as_success(record: StepRecord) -> bool:
    """Whether the next step may start after this one.

    continueOnError and a rescue forgive a failure; they forgive neither a cancellation, nor an end that cannot be
    proven.
    """
    forgiven = record.continued or record.rescued
    return record.state in _GOOD or (forgiven and record.state in FORGIVABLE)


def target_state(records: Sequence[StepRecord], ending: Cut | None = None) -> StepState:
    """The target's state: its worst step, where forgiven failures count as success; at least `ending`.

    Steps within others count by what they made of those, except where nobody knows how they ended, or they were ended.
    """
    counted = [record for record in records if not is_nested(record.id) or record.state in _UNFORGIVEN]
    states = [StepState.SUCCEEDED if counts_as_success(record) else record.state for record in counted]
    return worst([*states, StepState(ending)] if ending else states)


def next_on_target(plan: Sequence[PlannedStep], records: Sequence[StepRecord], *, ending: Cut | None = None) -> Next:
    """Decide the next move on one target.

    `records` holds the last attempt of every step that was ever started, as the journal has it. A record still
    `running` belongs to a runner that was lost, since the caller starts nothing before it has recorded an end; a loop
    is `running` until all of its items are done, and a library's step until the steps are that it consists of. `ending`
    says that the run is to end: no further ordinary step starts, and none is repeated; `failed`, that too many others
    have, lets one that was cut off end all the same where it may begin anew. Steps of `finally` always run,
    one after another, whatever became of those before them, except where the ending came before anything of this run
    had begun on the target. The target is as its worst step; the ending shows in it only where it kept a step from
    starting (one that it ended is itself recorded so, and is not `continued`). A target that never began, since too
    many others had failed, is skipped.
    """
    walk = _Walk({record.key: record for record in records}, ending)
    ordinary = walk.ordinary(plan)
    if isinstance(ordinary, Move):
        return ordinary
    if ordinary == "cut" and all(record.inherited for record in records):  # what never began left nothing to clean up
        return Done(StepState.SKIPPED if ending == "failed" else target_state(records, ending))
    for step in (step for step in plan if step.phase == "finally"):
        found = walk.at(step, None)
        if isinstance(found, Move):
            return found
    return Done(target_state(records, ending if ordinary == "cut" else None))


def cannot_succeed(plan: Sequence[PlannedStep], records: Sequence[StepRecord]) -> bool:
    """Whether the target will not succeed, whatever is still done on it: a step failed, and nothing makes up for that.

    That is certain before the target has ended: its other steps of `finally` may be still to come.
    """
    walk = _Walk({record.key: record for record in records}, None)
    standings = [walk.ordinary(plan)]
    standings += [walk.at(step, None) for step in plan if step.phase == "finally"]
    return any(one == "bad" or isinstance(one, Lost) for one in standings)


def next_of_item(step: PlannedStep, records: Sequence[StepRecord], *, ending: Cut | None = None) -> Next:
    """Decide the next move on one item of a loop; `step` is `engine.runs.pinned.for_item`, `records` are its own."""
    return next_within((step,), records, ending=ending)


def next_within(steps: Sequence[PlannedStep], records: Sequence[StepRecord], *, ending: Cut | None = None) -> Next:
    """Decide the next move among the steps that a library's step consists of (`engine.runs.pinned.parts_of`).

    `records` are their own. The first that fails ends it.
    """
    walk = _Walk({record.key: record for record in records}, ending)
    found: Move | Standing = "good"
    for step in steps:
        found = walk.at(step, None if step.phase == "finally" else ending)
        if isinstance(found, Move):
            return found
        if found != "good":
            break
    own = {step.id for step in steps}
    counted = [record for record in records if record.id in own or record.state in _UNFORGIVEN]
    states = [StepState.SUCCEEDED if counts_as_success(record) else record.state for record in counted]
    return Done(worst([*states, StepState(ending)] if ending and found == "cut" else states))


Standing = Literal["good", "bad", "cut"]
"""Of a step that is over: the next one may start, or not; or the ending of the run kept it from starting."""


@dataclass(frozen=True, slots=True)
class _Walk:
    known: Mapping[tuple[Phase, str], StepRecord]
    ending: Cut | None

    def ordinary(self, plan: Sequence[PlannedStep]) -> Move | Standing:
        """The steps, and after one that failed those of the job's rescue: then no further step starts."""
        steps = [step for step in plan if step.phase == "steps"]
        rescue = [step for step in plan if step.phase == "rescue"]
        begun = [step for step in steps if (step.phase, step.id) in self.known]
        if begun and any((step.phase, step.id) in self.known for step in rescue):
            return self._rescue(begun[-1], rescue)  # nothing starts after a failed step, so it is the last one
        for step in steps:
            found = self.at(step, self.ending)
            if found == "good":
                continue
            if found == "bad" and rescue and self.known[step.phase, step.id].state in FORGIVABLE:
                return self._rescue(step, rescue)
            return found
        return "good"

    def at(self, step: PlannedStep, ending: Cut | None) -> Move | Standing:
        """Where a step stands, or what is to be done about it."""
        record = self.known.get((step.phase, step.id))
        if record is None or record.state is StepState.RUNNING:
            return _begin(step, record, ending)
        if record.again:
            if ending is None:
                return Start(step, record.attempt + 1, record.ended_at)
            return Lost(step, record.attempt + 1, begun=False) if record.doubt else "cut"
        if step.rescue and step.loop is None and record.state in FORGIVABLE:  # of a loop, each item has its own
            found = self._rescue(step, step.rescue)
            if found != "bad":
                return found
        return "good" if counts_as_success(record) else "bad"

    def _rescue(self, failed: PlannedStep, rescue: Sequence[PlannedStep]) -> Move | Standing:
        if self.known[failed.phase, failed.id].rescued:
            return "good"
        ending = None if failed.phase == "finally" else self.ending
        for step in rescue:
            found = self.at(step, ending)
            if found != "good":
                return found
        return Rescued(failed)


def _begin(step: PlannedStep, record: StepRecord | None, ending: Cut | None) -> Move | Standing:
    """The first attempt; after a lost runner the next one, or none without the author's consent to repeat."""
    if step.loop is not None:
        return Each(step) if record is not None or ending is None else "cut"
    if record is None:
        return Start(step, attempt=1) if ending is None else "cut"
    if isinstance(step.action, LibraryCall):
        return Within(step, record.attempt)
    # Where too many others have failed nothing new starts, and this is none: it is ended, as what goes on there is.
    if ending in (None, "failed") and step.idempotent:
        return Start(step, record.attempt + 1, cut=True)
    if ending is not None and record.ended_at is not None and not record.doubt:
        return Ended(step, record.attempt, StepState(ending))
    return Lost(step, record.attempt)
