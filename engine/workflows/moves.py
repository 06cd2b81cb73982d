"""What may be done next in a workflow's run: what `workflow` answers, each applied in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.identity import RunId
from engine.runs.pinned import PinnedSpec
from engine.states import NodeState, RunState
from engine.workflows.graphfacts import FORGIVABLE
from engine.workflows.workflowplan import NodeJob, PinnedNode


@dataclass(frozen=True, slots=True)
class Begin:
    """The node's job is to run: once, or for each of the items."""

    node: PinnedNode
    items: tuple[Any, ...] | None = None
    cleanup: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """Enqueue a run of the node's job; `item` is its number, None without a loop."""

    node: PinnedNode
    item: int | None
    job: NodeJob
    plan: PinnedSpec
    params: Mapping[str, Any]
    group: str | None = None
    """In which it takes its place."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Open the gate until then."""

    node: PinnedNode
    until: datetime


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let time pass until then."""

    node: PinnedNode
    until: datetime


@dataclass(frozen=True, slots=True)
class End:
    """The node has ended."""

    node: PinnedNode
    state: NodeState
    reason: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def continued(self) -> bool:
        return self.node.continue_on_error and self.state in FORGIVABLE


@dataclass(frozen=True, slots=True)
class Stop:
    """Cancel a run of a node."""

    run: RunId
    reason: str


@dataclass(frozen=True, slots=True)
class TimeOut:
    """The run's time is over: it is to end."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Every node has ended, and so has the run."""

    state: RunState
    outputs: Mapping[str, Any]
    reason: str | None = None


Move = Begin | Launch | Ask | Sleep | End | Stop | TimeOut | Finish
