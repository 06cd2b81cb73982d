"""What people see, as frozen values: the one shape behind status files, API and dashboard (CONTRACT 4).

The journal's queries return these; `engine.status.readmodel` writes them as files and reads them back. All instants
are aware. Results are masked before they come here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from engine.identity import Cause, CauseKind, RunId
from engine.runs.pinned import RUNNER, Phase
from engine.runs.waits import Held, Wait
from engine.schedules.decide import Skips
from engine.states import NodeState, RunState, StepState
from engine.workflows.graphfacts import NodeRecord, OpenGate
from schemas.diagnostic import Diagnostic

RequestState = Literal["accepted", "refused", "done"]
ConditionType = Literal["Ready", "Reconciling", "Stalled", "Verified"]
ConditionStatus = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class StepView:
    """The last attempt of one step in one place. `duration` is in seconds; tails are for steps that did not succeed."""

    id: str
    state: StepState
    phase: Phase = "steps"
    name: str | None = None
    attempts: int = 1
    exit_code: int | None = None
    duration: float | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    rescued: bool = False
    continued: bool = False
    again: bool = False
    """Another attempt follows."""
    inherited: bool = False
    """It is the result of the run that this one repeats."""
    error: str | None = None
    stdout_tail: str | None = None
    stderr_tail: str | None = None
    log: str | None = None
    would: Mapping[str, Any] | None = None
    """In a dry run: what would happen, and whether."""
    started_at: datetime | None = None
    """For people who look at a running step; never in a file."""


@dataclass(frozen=True, slots=True)
class TargetView:
    """What a run did on one target. `state` is None before its first step starts.

    The name is `engine.runs.pinned.RUNNER` in a job without targets.
    """

    name: str
    state: StepState | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[StepView, ...] = ()
    reason: str | None = None
    """Why, where its steps do not say it: the run stopped before it was this target's turn."""
    runner: str | None = None
    """Who has or had it, where several runners work on the run."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node of a workflow's run in its place in the graph, and what is recorded of it. `kind`: job, gate or wait."""

    kind: str
    job: str | None
    needs: tuple[str, ...]
    record: NodeRecord
    would: Mapping[str, Any] | None = None
    """In a dry run: what would happen, and whether, as its Run file says it."""

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def state(self) -> NodeState:
        return self.record.state


@dataclass(frozen=True, slots=True)
class RunView:
    """Everything that a Run file says.

    `targets` are the planned names in the order of the plan, none where the job has no targets; `results` has what
    happened so far, in the same order, and one entry named RUNNER where the job has no targets.
    """

    id: RunId
    job: str
    commit: str
    cause: Cause
    state: RunState
    queued_at: datetime
    params: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    on_targets: bool = True
    libraries: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: str | None = None
    attempt: int = 0
    runner: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    results: tuple[TargetView, ...] = ()
    rerun_of: str | None = None
    priority: int = 0
    starts_at: datetime | None = None
    """Not before this: jitter, or notBefore."""
    inline: bool = False
    """Its steps stand in the request, not in a Job."""
    message: str | None = None
    """A sentence that explains the reason, where the word is not enough."""
    rehearsal: Mapping[str, Any] | None = None
    """Of a dry run: in which order and batches it would go. Nothing was done; None where it is a run."""
    workflow: bool = False
    """`job` is the name of a workflow, and `nodes` is its graph in the order of the text."""
    nodes: tuple[NodeView, ...] = ()
    held: Held | None = None
    """The place of its concurrency group that it has."""
    wait: Wait | None = None
    """Why it waits; None where it does not."""
    known_as: str | None = None
    """The name that its job or workflow has today, where a journal says it."""
    naming: int | None = None
    """The generation of names that its plan and its cause are written in; None where nobody knows."""

    @property
    def today(self) -> str:
        """The name by which it is a part of the past of a job or workflow."""
        return self.known_as or self.job


@dataclass(frozen=True, slots=True)
class RunBrief:
    """A run in one line, by the name that its job or workflow has today.

    `failed` names the targets that did not succeed, the worst first, at most a few; `failures` is how many there are.
    """

    id: RunId
    job: str
    state: RunState
    cause_kind: CauseKind
    cause_name: str
    instant: datetime
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reason: str | None = None
    targets: int = 0
    failed: tuple[str, ...] = ()
    failures: int = 0
    dry_run: bool = False
    workflow: bool = False
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job's recent past, or a workflow's.

    `last` is the newest ended run; failures are ends other than succeeded and cancelled.
    """

    name: str
    last: RunBrief | None = None
    last_success: RunBrief | None = None
    consecutive_failures: int = 0
    former_names: tuple[str, ...] = ()
    """Of runs that it had under other names."""


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One decided instant of a schedule. `run` is set where the decision is run."""

    schedule: str
    instant: datetime
    decision: Literal["run", "skipped"]
    reason: str | None = None
    run: RunId | None = None


@dataclass(frozen=True, slots=True)
class KeptBack:
    """What calendars or windows make of a due instant that does not start then.

    `held_by` names them as in `Window/freeze`. `starts_at` is when it starts instead; None where it does not run.
    """

    held_by: tuple[str, ...]
    starts_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule's clock: enough to go on from the branch alone.

    `considered_from` is when its clock last started anew (exclusive); `last` is the newest decided instant; `next_due`
    the first due one after both, None where there is none (an `at` that is over, an `endAt`).
    """

    name: str
    job: str
    fingerprint: str
    considered_from: datetime
    last: DecisionView | None = None
    next_due: datetime | None = None
    suspended: str | None = None
    """Why it does not fire at present; an empty text where nobody said why."""
    considered_until: datetime | None = None
    """Up to where it is decided, where `last` is ahead of that: a clock that was ahead has started runs beforehand."""
    kept_back: KeptBack | None = None
    """What would become of `next_due` by the definitions in force; None where it would start, or nobody knows."""
    former_names: tuple[str, ...] = ()
    """Names that it had and no other schedule has now, under which its earlier decisions are recorded; at most 100."""


@dataclass(frozen=True, slots=True)
class TestedView:
    """When `target test` last logged in to a target, and by connection whether that worked."""

    __test__ = False
    at: datetime
    connections: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class TargetStatusView:
    """What is known of a target from the last run that ended on it, and from its last test."""

    name: str
    state: StepState | None = None
    run: RunId | None = None
    at: datetime | None = None
    unreachable_since: datetime | None = None
    tested: TestedView | None = None


@dataclass(frozen=True, slots=True)
class RequestView:
    """An act and its answer. `reason` is a word for programs, `message` a sentence; `at` is when it was answered."""

    name: str
    state: RequestState
    reason: str | None = None
    run: str | None = None
    at: datetime | None = None
    message: str | None = None
    action: str | None = None
    requested_by: str | None = None


EventState = Literal["pending", "started", "ignored", "refused"]


@dataclass(frozen=True, slots=True)
class EventView:
    """What set a trigger off and what became of it. `times`: how many requests that were turned away it stands for."""

    key: str
    at: datetime
    state: EventState
    type: str | None = None
    delivery: str | None = None
    reason: str | None = None
    message: str | None = None
    run: str | None = None
    times: int = 1


@dataclass(frozen=True, slots=True)
class TriggerView:
    """A trigger's recent past: its newest events, the last one first, and how many are remembered by state."""

    name: str
    events: tuple[EventView, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ChannelView:
    """How a notification channel does. `failing_since`: the first attempt in vain since a message got there last, or of
    the oldest that was tried in vain and waits; None while it works. `waiting` then counts what waits with it."""

    name: str
    waiting: int = 0
    dead: int = 0
    last_delivered: datetime | None = None
    failing_since: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class EngineView:
    """Who owns the status branch. `closed` is when it stopped in order, None while it is at work."""

    id: str
    host: str
    since: datetime
    closed: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConditionView:
    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str
    last_transition: datetime


@dataclass(frozen=True, slots=True)
class SyncView:
    """Which commit was seen, which is active, which was good last, and what is wrong with the one that is not."""

    engine: EngineView | None = None
    observed: str | None = None
    applied: str | None = None
    last_good: str | None = None
    conditions: tuple[ConditionView, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
    change: Mapping[str, Any] | None = None
    """The commit that waits for approvals, as `sync.yaml` shows it."""

    requests: tuple[Mapping[str, Any], ...] = ()
    """Requests that wait for approvals, as `sync.yaml` shows them."""
    signed: bool = False
    """Whether commits, and so the acts of people, must be signed; not known from `sync.yaml`."""

    @property
    def to_approve(self) -> tuple[Mapping[str, Any], ...]:
        """The commit and the requests that people may still approve: nobody has rejected them."""
        asked = (*(() if self.change is None else (self.change,)), *self.requests)
        return tuple(one for one in asked if not any(vote["decision"] == "reject" for vote in one["votes"]))


@dataclass(frozen=True, slots=True)
class DeadLettersView:
    """Messages that a channel could not deliver: how many, since when, and what was wrong with the newest."""

    channel: str
    count: int
    since: datetime
    error: str | None = None


@dataclass(frozen=True, slots=True)
class OverviewView:
    """What the front page shows: `open` are waiting, queued and running runs, `recent` ended ones, the newest first."""

    sync: SyncView
    jobs: tuple[JobView, ...] = ()
    open: tuple[RunBrief, ...] = ()
    recent: tuple[RunBrief, ...] = ()
    schedules: tuple[ScheduleView, ...] = ()
    targets: tuple[TargetStatusView, ...] = ()
    workflows: tuple[JobView, ...] = ()
    gates: tuple[OpenGate, ...] = ()
    """Those that wait for people, the oldest first."""
    dead_letters: tuple[DeadLettersView, ...] = ()
    channels: tuple[ChannelView, ...] = ()
    """Those that fail, by name."""


__all__ = [
    "RUNNER",
    "ConditionView",
    "DecisionView",
    "EngineView",
    "JobView",
    "KeptBack",
    "NodeView",
    "OverviewView",
    "RequestView",
    "RunBrief",
    "RunView",
    "ScheduleView",
    "Skips",
    "StepView",
    "SyncView",
    "TargetStatusView",
    "TargetView",
    "TestedView",
]
