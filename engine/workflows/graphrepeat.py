"""Doing a workflow's run again: all of it, what failed with all that needs it, or from a node on. Pure.

A repetition is a run of its own. Nodes that are not done again have the results of the run that is repeated. A gate's
yes is taken over only where it would show the same again: nobody's yes stands for what he was not shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from engine.identity import Cause
from engine.runs.concurrency import Membership
from engine.runs.repetition import NotRepeatable, nothing_to_go_on_from
from engine.states import NodeState, is_final
from engine.status.views import RunView
from engine.workflows import gates
from engine.workflows.graphfacts import FORGIVABLE, NodeRecord, behind, good
from engine.workflows.workflowplan import NodeGate, PinnedWorkflow
from schemas.act import RunRequestSpec


@dataclass(frozen=True, slots=True)
class OriginalGraph:
    """The workflow's run to repeat, as the journal has it. `spec` is None where its plan is not kept."""

    view: RunView
    spec: PinnedWorkflow | None
    membership: Membership | None = None
    """Its concurrency group."""


def taken_over(
    asked: RunRequestSpec, view: RunView, plan: PinnedWorkflow, cause: Cause
) -> Mapping[str, NodeRecord] | NotRepeatable:
    """The results that are taken over, by node, where a run is done again by `plan`: its own, or today's.

    `cause` is that of the repetition. A gate that asks again is not among them, and nothing behind it is.
    """
    if not is_final(view.state):
        return NotRepeatable("stillOpen", f"run {view.id} has not ended; wait for it, or cancel it first")
    if asked.limit is not None:
        return NotRepeatable("badLimit", "a workflow is done again on the targets it had; start a new run to limit it")
    if (nothing := nothing_to_go_on_from(asked, view)) is not None:
        return nothing
    records = {node.id: node.record for node in view.nodes}
    roots = _roots(asked, records, plan)
    if isinstance(roots, NotRepeatable):
        return roots
    if lost := next((name for name in _lost(records) if name not in _consented(asked, plan)), None):
        why = f"nobody knows how node '{lost}' ended; look at its run, then name it by fromStep to do it again"
        return NotRepeatable("unproven", why)
    kept = _kept(records, plan, roots)
    while gate := next((name for name in kept if _asks_again(asked, view, plan, cause, kept, name)), None):
        kept = _kept(kept, plan, (gate,))
    return {name: replace(one, inherited=True, gate=None) for name, one in kept.items()}


def _kept(records: Mapping[str, NodeRecord], plan: PinnedWorkflow, roots: Sequence[str]) -> dict[str, NodeRecord]:
    """Those that have ended, without what is done again where these nodes are."""
    again = behind(plan, roots)
    ids = [node.id for node in plan.nodes if node.id in records and node.id not in again]
    return {name: records[name] for name in ids if is_final(records[name].state)}


def _lost(records: Mapping[str, NodeRecord]) -> tuple[str, ...]:
    return tuple(name for name, one in records.items() if one.state is NodeState.UNKNOWN)


def _consented(asked: RunRequestSpec, plan: PinnedWorkflow) -> frozenset[str]:
    """What may be done again though nobody knows how it ended: all from a node that is named, or just everything."""
    if asked.from_step is not None:
        return behind(plan, [asked.from_step])
    everything = asked.action != "resume" and not asked.failed_only
    return frozenset(node.id for node in plan.nodes) if everything else frozenset()


def _asks_again(
    asked: RunRequestSpec,
    view: RunView,
    plan: PinnedWorkflow,
    cause: Cause,
    kept: Mapping[str, NodeRecord],
    name: str,
) -> bool:
    """Whether the node is a gate before something that is done again, and its answer then is none for this.

    Of another plan, or other params, no digest tells all that conditions make of them: there it always asks.
    """
    gate = next(node for node in plan.nodes if node.id == name)
    if not isinstance(gate.action, NodeGate) or behind(plan, [name]) <= kept.keys():
        return False
    if asked.at != "original":
        return True
    return good(kept[name]) and not gates.still_approved(plan, view, cause, kept, name)


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
