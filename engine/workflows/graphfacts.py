"""What is known of a workflow's run: its nodes as they are recorded, their runs, and what that gives to expressions.

Pure. `engine.workflows.workflow` decides by it what comes next, `engine.workflows.gates` what a gate shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.expressions.contexts import RunFacts, about_run
from engine.expressions.expression import Status, compile_text
from engine.identity import RunId
from engine.runs.progress import Ending
from engine.states import NodeState, RunState, is_final
from engine.workflows.workflowplan import NodeJob, PinnedNode, PinnedWorkflow

FORGIVABLE = frozenset({NodeState.FAILED, NodeState.TIMED_OUT})
"""What continueOnError makes up for."""
_ASKING = frozenset({"success", "failure", "always", "cancelled"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """One person's yes or no at a gate. `by` is the User, or the e-mail of somebody who is none; `act` is the act."""

    by: str
    approved: bool
    at: datetime
    act: str
    reason: str = ""
    proven: bool = False
    """A signature, and not the commit's own claim, says who it is."""


@dataclass(frozen=True, slots=True)
class OpenGate:
    """A gate that was opened: its digest, what it showed, and who has said what since."""

    digest: str
    shown: Mapping[str, Any] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()

    @property
    def advisory(self) -> bool:
        """Whether somebody answered it of whom nothing proves who they are."""
        return not all(one.proven for one in self.verdicts)


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """What the journal holds of a node. `until`: when its wait is over, or its gate is closed."""

    id: str
    state: NodeState = NodeState.PENDING
    started_at: datetime | None = None
    until: datetime | None = None
    ended_at: datetime | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    continued: bool = False
    """It failed, and what needs it goes on all the same (continueOnError)."""
    items: tuple[Any, ...] | None = None
    """What its job is run for, each; None where it is run once."""
    cleanup: bool = False
    """It was started while the run was being ended already, so that this does not end it."""
    inherited: bool = False
    """It is the result of another run, which this one does again."""
    gate: OpenGate | None = None
    runs: tuple[RunId, ...] = ()
    """The runs of its job, in the order of the items; those of the other run where it is inherited."""


@dataclass(frozen=True, slots=True)
class Child:
    """A run of a node's job. `asked`: somebody wants it to end. `began`: it has not been cancelled in the queue."""

    run: RunId
    state: RunState
    outputs: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    asked: bool = False
    began: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of a workflow's run. `children` by node and by the number of the item (0 without a loop)."""

    run: RunFacts
    params: Mapping[str, Any]
    started_at: datetime
    records: Mapping[str, NodeRecord]
    children: Mapping[str, Mapping[int, Child]] = field(default_factory=dict)
    ending: Ending | None = None


def good(record: NodeRecord) -> bool:
    """Whether what needs the node may start after it."""
    return record.state is NodeState.SUCCEEDED or (record.continued and record.state in FORGIVABLE)


def asks_how_it_went(text: str) -> bool:
    """Whether a condition is about how things went, and so to be asked whatever became of what the node needs.

    Raises ExpressionError.
    """
    found = compile_text(text)
    states = any(len(path) > 2 and (path[0], path[2]) == ("jobs", "state") for path in found.references)
    return states or not _ASKING.isdisjoint(found.functions)


def context_of(plan: PinnedWorkflow, facts: Facts) -> dict[str, Any]:
    """What the expressions of a workflow read (DEFINITIONS 4). Outputs of a node that did not run are null."""
    return {
        "params": facts.params,
        "run": about_run(facts.run),
        "jobs": {node.id: _as_data(node, facts.records.get(node.id)) for node in plan.nodes},
    }


def _as_data(node: PinnedNode, record: NodeRecord | None) -> dict[str, Any]:
    nothing = dict.fromkeys(node.action.plan.outputs) if isinstance(node.action, NodeJob) else {}
    if record is None or not is_final(record.state):
        return {"state": None, "outputs": nothing}
    return {"state": record.state.value, "outputs": {**nothing, **record.outputs}}


def behind(plan: PinnedWorkflow, roots: Sequence[str]) -> frozenset[str]:
    """These nodes, and all that needs one of them, however far."""
    found = set(roots)
    grows = True
    while grows:
        more = {node.id for node in plan.nodes if node.id not in found and not found.isdisjoint(node.needs)}
        found |= more
        grows = bool(more)
    return frozenset(found)


def before(plan: PinnedWorkflow, node: PinnedNode) -> frozenset[str]:
    """All that the node needs, however far."""
    by_id = {one.id: one for one in plan.nodes}
    found: set[str] = set()
    waiting = list(node.needs)
    while waiting:
        name = waiting.pop()
        if name not in found and name in by_id:
            found.add(name)
            waiting += by_id[name].needs
    return frozenset(found)


def status_at(
    node: PinnedNode, plan: PinnedWorkflow, records: Mapping[str, NodeRecord], ending: Ending | None = None
) -> Status:
    """What success(), failure() and cancelled() answer: of all on record before the node, however far."""
    earlier = [records[name] for name in before(plan, node) if name in records]
    failed = any(one.state in (*FORGIVABLE, NodeState.UNKNOWN) and not good(one) for one in earlier)
    return Status(
        failed=failed or ending == "timedOut",
        cancelled=ending == "cancelled" or any(one.state is NodeState.CANCELLED for one in earlier),
        skipped=any(name in records and not good(records[name]) for name in node.needs),
    )


def became(state: NodeState) -> str:
    """As words after the node's name."""
    words = {NodeState.TIMED_OUT: "timed out", NodeState.UNKNOWN: "ended unknown", NodeState.FAILED: "failed"}
    return words.get(state, f"was {state.value}")
