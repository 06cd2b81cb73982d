"""Every rule about states, in one table. Code, documentation and property tests read it here."""

from collections.abc import Iterable
from enum import StrEnum


class RunState(StrEnum):
    WAITING = "waiting"  # for a free slot of its concurrency group, or for notBefore
    QUEUED = "queued"  # for a runner
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timedOut"
    UNKNOWN = "unknown"


class StepState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timedOut"
    CANCELLED = "cancelled"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class NodeState(StrEnum):
    """Of a node in a workflow's graph."""

    PENDING = "pending"  # what it needs has not ended
    RUNNING = "running"  # its run, or its runs, have not ended
    WAITING = "waiting"  # for people, or for a time
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timedOut"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


_RUN_ENDS = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.TIMED_OUT, RunState.UNKNOWN})
RUN_TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    # failed: its time has come, another has its place, and it was told to fail then
    RunState.WAITING: _RUN_ENDS - {RunState.SUCCEEDED} | {RunState.QUEUED},
    # back to waiting: nobody had begun it, and a window holds it
    RunState.QUEUED: frozenset(
        {RunState.WAITING, RunState.RUNNING, RunState.CANCELLED, RunState.TIMED_OUT, RunState.UNKNOWN}
    ),
    # back to queued: its runner was lost, another takes over
    RunState.RUNNING: _RUN_ENDS | {RunState.QUEUED},
    **{end: frozenset() for end in _RUN_ENDS},
}
_STEP_ENDS = frozenset(StepState) - {StepState.RUNNING}
STEP_TRANSITIONS: dict[StepState, frozenset[StepState]] = {
    StepState.RUNNING: _STEP_ENDS - {StepState.SKIPPED},
    **{end: frozenset() for end in _STEP_ENDS},
}

_NODE_ENDS = frozenset(NodeState) - {NodeState.PENDING, NodeState.RUNNING, NodeState.WAITING}
NODE_TRANSITIONS: dict[NodeState, frozenset[NodeState]] = {
    # what was never begun can fail: its condition or its params are expressions
    NodeState.PENDING: frozenset(NodeState) - {NodeState.PENDING, NodeState.SUCCEEDED},
    NodeState.RUNNING: _NODE_ENDS,
    # a gate that nobody decided on may be skipped
    NodeState.WAITING: _NODE_ENDS,
    **{end: frozenset() for end in _NODE_ENDS},
}
NODE_SEVERITY: tuple[NodeState, ...] = (
    NodeState.UNKNOWN,
    NodeState.CANCELLED,
    NodeState.TIMED_OUT,
    NodeState.FAILED,
    NodeState.SUCCEEDED,
    NodeState.SKIPPED,
)
"""Worst first: a workflow's run is as its worst node, and succeeded where all were skipped."""

TARGET_SEVERITY: tuple[StepState, ...] = (
    StepState.UNKNOWN,
    StepState.CANCELLED,
    StepState.TIMED_OUT,
    StepState.UNREACHABLE,
    StepState.FAILED,
    StepState.SUCCEEDED,
    StepState.SKIPPED,
)
"""Worst first: a target is as its worst step."""

_RUN_OF_TARGET = {
    StepState.UNKNOWN: RunState.UNKNOWN,
    StepState.CANCELLED: RunState.CANCELLED,
    StepState.TIMED_OUT: RunState.TIMED_OUT,
    StepState.UNREACHABLE: RunState.FAILED,
    StepState.FAILED: RunState.FAILED,
    StepState.SUCCEEDED: RunState.SUCCEEDED,
    StepState.SKIPPED: RunState.SUCCEEDED,
}


def is_final(state: RunState | StepState | NodeState) -> bool:
    """Whether nothing can follow."""
    match state:
        case RunState():
            return not RUN_TRANSITIONS[state]
        case StepState():
            return not STEP_TRANSITIONS[state]
        case NodeState():
            return not NODE_TRANSITIONS[state]


def worst(states: Iterable[StepState]) -> StepState:
    """The state of a target whose steps ended so; a target with no step, or only skipped ones, succeeded."""
    found = set(states)
    first = next((state for state in TARGET_SEVERITY if state in found), StepState.SUCCEEDED)
    return StepState.SUCCEEDED if first is StepState.SKIPPED else first


def run_state(targets: Iterable[StepState]) -> RunState:
    """The end of a run whose targets ended so."""
    return _RUN_OF_TARGET[worst(targets)]


def workflow_state(nodes: Iterable[NodeState]) -> RunState:
    """The end of a workflow's run whose nodes ended so, where what was forgiven counts as succeeded."""
    found = set(nodes)
    first = next((state for state in NODE_SEVERITY if state in found), NodeState.SUCCEEDED)
    return RunState.SUCCEEDED if first is NodeState.SKIPPED else RunState(first.value)
