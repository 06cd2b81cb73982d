"""Doing a workflow's run again: all of it, what failed with all that needs it, or from a node on. Pure.

A repetition is a run of its own. Nodes that are not done again have the results of the run that is repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from engine.repetition import NotRepeatable
from engine.states import NodeState, is_final
from engine.views import RunView
from engine.workflow import FORGIVABLE, NodeRecord, behind, good
from engine.workflowplan import PinnedWorkflow
from schemas.act import RunRequestSpec


@dataclass(frozen=True, slots=True)
class OriginalGraph:
    """The workflow's run to repeat, as the journal has it. `spec` is None where its plan is not kept."""

    view: RunView
    spec: PinnedWorkflow | None


def taken_over(asked: RunRequestSpec, view: RunView, plan: PinnedWorkflow) -> Mapping[str, NodeRecord] | NotRepeatable:
    """The results that are taken over, by node, where a run is done again by `plan`: its own, or today's."""
    if not is_final(view.state):
        return NotRepeatable("stillOpen", f"run {view.id} has not ended; wait for it, or cancel it first")
    if asked.limit is not None:
        return NotRepeatable("badLimit", "a workflow is done again on the targets it had; start a new run to limit it")
    records = {node.id: node.record for node in view.nodes}
    roots = _roots(asked, records, plan)
    if isinstance(roots, NotRepeatable):
        return roots
    again = behind(plan, roots)
    kept = {node.id: records[node.id] for node in plan.nodes if node.id in records and node.id not in again}
    if lost := next((name for name, one in kept.items() if one.state is NodeState.UNKNOWN), None):
        why = f"nobody knows how node '{lost}' ended; look at its run, then name by fromStep the node to begin with"
        return NotRepeatable("unproven", why)
    return {name: replace(one, inherited=True, gate=None) for name, one in kept.items() if is_final(one.state)}


def _roots(
    asked: RunRequestSpec, records: Mapping[str, NodeRecord], plan: PinnedWorkflow
) -> tuple[str, ...] | NotRepeatable:
    """The first nodes that are done again."""
    ids = tuple(node.id for node in plan.nodes)
    new = tuple(name for name in ids if name not in records)
    if asked.from_step is not None:
        if asked.from_step in ids:
            return (asked.from_step, *new)
        near = get_close_matches(asked.from_step, ids, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(ids)}"
        return NotRepeatable("unknownStep", f"there is no node '{asked.from_step}' to begin with; {hint}")
    if asked.failed_only:
        bad = tuple(name for name, one in records.items() if one.state in FORGIVABLE and not good(one))
    elif asked.action == "resume":
        ended = (NodeState.SKIPPED, NodeState.UNKNOWN)
        bad = tuple(name for name, one in records.items() if not good(one) and one.state not in ended)
    else:
        return ids
    return (*bad, *new) if bad else NotRepeatable("noTargets", "nothing of it is left to do again")
