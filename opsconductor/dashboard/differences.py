"""What is different from the run before: params, targets, commit, and the plan. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from engine.runs.pinned import PinnedSpec
from engine.workflows.workflowplan import NodeJob, PinnedNode, PinnedWorkflow
from journal.attempts import Planned
from opsconductor.dashboard.sources import Data

_NAMED = 50


def differences(before: Planned, now: Planned) -> Data:
    """`commit` is None where it is the same; the others are empty then."""
    old, new = _parts(before.plan), _parts(now.plan)
    known = before.plan is not None and now.plan is not None
    return {
        "run": before.run,
        "commit": None if before.commit == now.commit else {"before": before.commit, "now": now.commit},
        "params": _values(before.params, now.params),
        "targetsAdded": _without(now.targets, before.targets),
        "targetsRemoved": _without(before.targets, now.targets),
        "libraries": _values(before.libraries, now.libraries),
        "planKnown": known,
        "added": _without(new, old) if known else [],
        "removed": _without(old, new) if known else [],
        "changed": [name for name in new if known and name in old and old[name] != new[name]][:_NAMED],
    }


def _values(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Data]:
    names = [*now, *(name for name in before if name not in now)]
    return [
        {"name": name, "before": before.get(name), "now": now.get(name)}
        for name in names
        if before.get(name) != now.get(name)
    ][:_NAMED]


def _without(some: Collection[str], others: Collection[str]) -> list[str]:
    known = set(others)
    return [name for name in some if name not in known][:_NAMED]


def _parts(plan: PinnedSpec | PinnedWorkflow | None) -> Mapping[str, Any]:
    """The steps of a job, or the nodes of a workflow, by name; a job in a node without the commit of its plan."""
    match plan:
        case PinnedSpec():
            return {one.id if one.phase == "steps" else f"{one.phase}/{one.id}": one for one in plan.steps}
        case PinnedWorkflow():
            return {one.id: _without_commit(one) for one in plan.nodes}
        case None:
            return {}


def _without_commit(node: PinnedNode) -> PinnedNode:
    if not isinstance(node.action, NodeJob):
        return node
    return replace(node, action=replace(node.action, plan=replace(node.action.plan, commit="")))
