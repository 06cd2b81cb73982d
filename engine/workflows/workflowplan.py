"""A workflow as it will be run: its graph with the plan of every job in it, fixed when the run is caused. Pure.

A node's params may be expressions over what earlier nodes gave, so they are not in it yet; everything else is. Nothing
that is merged while a run waits for people, or for another node, changes what it does.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from engine.catalog import Catalog
from engine.expressions.expression import ExpressionError, condition_text, has_expression
from engine.runs.concurrency import group_of, group_of_job
from engine.runs.pinned import Loop, PinnedSpec, PinnedTarget
from engine.runs.planning import check_group, checked_params, plan_node
from engine.runs.refused import PlanRefused, Refusal
from engine.selection import matches, members, narrow, select
from schemas.job import Job
from schemas.selector import Selection
from schemas.workflow import Gate, Node, Workflow

QUEUE_TIMEOUT = timedelta(hours=1)
"""How long a workflow's run may wait for its place."""


@dataclass(frozen=True, slots=True)
class NodeJob:
    """The job of a node: its plan, which lacks its params alone, and how its runs are queued."""

    plan: PinnedSpec
    takes: dict[str, dict[str, Any]]
    """The job's params, as JSON Schemas."""
    params: dict[str, Any]
    """As they are written in the workflow."""
    pool: str
    priority: int
    group: str | None
    """Of the job's concurrency, as it is written; None where any number may run at once."""
    slots: int
    queue_timeout: timedelta
    loop: Loop | None = None
    limit: Selection | None = None
    """One that expressions are a part of; any other has narrowed the plan already."""
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The members of the groups that such a limit names."""
    kind: Literal["job"] = "job"


@dataclass(frozen=True, slots=True)
class NodeGate:
    """People must say yes."""

    rule: Gate
    kind: Literal["gate"] = "gate"


@dataclass(frozen=True, slots=True)
class NodeWait:
    """Time must pass."""

    span: timedelta
    kind: Literal["wait"] = "wait"


@dataclass(frozen=True, slots=True)
class PinnedNode:
    """One node. `condition` is the text of an expression; None where what it needs must have succeeded."""

    id: str
    action: NodeJob | NodeGate | NodeWait
    needs: tuple[str, ...] = ()
    condition: str | bool | None = None
    continue_on_error: bool = False


@dataclass(frozen=True, slots=True)
class PinnedWorkflow:
    """Everything that decides what a workflow's run does, its params apart. `nodes` are in the order of the text."""

    name: str
    commit: str
    nodes: tuple[PinnedNode, ...]
    outputs: dict[str, Any] = field(default_factory=dict)
    timeout: timedelta | None = None

    @property
    def job(self) -> str:
        """What runs, in the words of a run."""
        return self.name

    @property
    def targets(self) -> tuple[PinnedTarget, ...]:
        """None of its own: its jobs have targets."""
        return ()

    @property
    def on_targets(self) -> bool:
        return False

    @property
    def libraries(self) -> dict[str, str]:
        """The digests of the libraries whose steps its jobs hold, by name."""
        jobs = (node.action for node in self.nodes if isinstance(node.action, NodeJob))
        return {name: digest for job in jobs for name, digest in job.plan.libraries.items()}

    @property
    def reached(self) -> tuple[str, ...]:
        """The targets that any of its jobs may work on, by name."""
        jobs = (node.action for node in self.nodes if isinstance(node.action, NodeJob))
        return tuple(sorted({target.name for job in jobs for target in job.plan.targets}))

    def at_priority(self, priority: int | None) -> "PinnedWorkflow":
        """The same, where somebody asks for this priority: it counts before that of its jobs. None: nobody does."""
        if priority is None:
            return self
        return replace(self, nodes=tuple(_at_priority(node, priority) for node in self.nodes))


def _at_priority(node: PinnedNode, priority: int) -> PinnedNode:
    return replace(node, action=replace(node.action, priority=priority)) if isinstance(node.action, NodeJob) else node


@dataclass(frozen=True, slots=True)
class PlannedWorkflow:
    """A workflow's run that can be enqueued. `params` have their defaults and are what the workflow asks for."""

    spec: PinnedWorkflow
    params: dict[str, Any]


def plan_workflow(
    catalog: Catalog, workflow: Workflow, *, params: Mapping[str, Any], limit: Selection | None = None
) -> PlannedWorkflow | PlanRefused:
    """The plan of a run of a workflow: refused as a whole where one of its nodes could never run.

    A limit narrows the targets of every job in it.
    """
    if (held := catalog.held.get(workflow.identity)) is not None:
        return PlanRefused("notSupported", f"{workflow.identity}: {held}; nothing runs otherwise than it is written")
    known = checked_params(workflow.spec.params, params)
    if isinstance(known, PlanRefused):
        return known
    try:
        check_group(workflow.spec.concurrency.group, known)
    except Refusal as refusal:
        return refusal.refused
    nodes: list[PinnedNode] = []
    for name, node in workflow.spec.jobs.items():
        planned = _node(catalog, workflow, name, node, limit)
        if isinstance(planned, PlanRefused):
            return replace(planned, message=f"node '{name}': {planned.message}")
        nodes.append(planned)
    spec = workflow.spec
    return PlannedWorkflow(
        PinnedWorkflow(workflow.name, catalog.commit, tuple(nodes), dict(spec.outputs), spec.timeout), known
    )


def shape(plan: PinnedWorkflow) -> dict[str, tuple[str, str | None, tuple[str, ...]]]:
    """What each node does, and what it needs: by id."""
    return {
        node.id: (node.action.kind, node.action.plan.job if isinstance(node.action, NodeJob) else None, node.needs)
        for node in plan.nodes
    }


def _node(
    catalog: Catalog, workflow: Workflow, name: str, node: Node, limit: Selection | None
) -> PinnedNode | PlanRefused:
    action: NodeJob | NodeGate | NodeWait | PlanRefused
    if node.approval is not None:
        action = NodeGate(node.approval)
    elif node.wait is not None:
        action = NodeWait(node.wait)
    else:
        action = _job(catalog, workflow, node, limit)
    if isinstance(action, PlanRefused):
        return action
    try:
        condition = condition_text(node.if_) if isinstance(node.if_, str) else node.if_
    except ExpressionError as problem:
        return PlanRefused("badSteps", f"if: {problem}")
    return PinnedNode(name, action, node.needs, condition, node.continue_on_error)


def _job(catalog: Catalog, workflow: Workflow, node: Node, limit: Selection | None) -> NodeJob | PlanRefused:
    job = catalog.jobs.get(node.job_ref or "")
    if job is None:
        return PlanRefused("notAllowed", f"there is no Job '{node.job_ref}' in commit {catalog.commit[:12]}")
    group = group_of_job(job)
    if not has_expression(group) and group == group_of(workflow.name, workflow.spec):
        return PlanRefused("notAllowed", f"job '{job.name}' would wait for this workflow: both are of group '{group}'")
    open_limit = node.limit if node.limit is not None and has_expression(node.limit.to_json()) else None
    limits = [one for one in (limit, None if open_limit else node.limit) if one is not None]
    secret = {name: param for name, param in job.spec.params.items() if param.get("secret") is True}
    secrets = {name: node.params.get(name, param.get("default")) for name, param in secret.items()}
    planned = plan_node(catalog, job, secrets=secrets, limit=_together(catalog, job, limits))
    if isinstance(planned, PlanRefused):
        return planned
    each = node.for_each
    return NodeJob(
        plan=planned.spec,
        takes=dict(job.spec.params),
        params=dict(node.params),
        pool=catalog.pool_of(job),
        priority=job.spec.priority,
        group=None if job.spec.concurrency.on_conflict == "allow" else group,
        slots=job.spec.concurrency.limit,
        queue_timeout=job.spec.queue_timeout,
        loop=None if each is None else Loop(each.items, each.as_, each.max_parallel),
        limit=open_limit,
        groups={name: tuple(sorted(members(name, catalog.targets, catalog.groups))) for name in _groups(open_limit)},
    )


def _together(catalog: Catalog, job: Job, limits: Iterable[Selection]) -> Selection | None:
    """What several limits leave of a job's targets, as one; None where there is nothing to narrow."""
    wanted = list(limits)
    if job.spec.targets is None or not wanted:
        return None
    left = select(job.spec.targets, catalog.targets, catalog.groups)
    for one in wanted:
        left = narrow(left, one, catalog.targets, catalog.groups)
    return Selection(names=tuple(sorted(left)))


def _groups(limit: Selection | None) -> Iterator[str]:
    while limit is not None:
        yield from limit.groups
        limit = limit.exclude


def narrowed(job: NodeJob, limit: Selection) -> PinnedSpec:
    """The plan of a node's job on the targets that its limit leaves, once its expressions are filled in."""
    left = _chosen(job, limit)
    return replace(job.plan, targets=tuple(target for target in job.plan.targets if target.name in left))


def _chosen(job: NodeJob, limit: Selection) -> frozenset[str]:
    everything = job.plan.targets
    named = frozenset(limit.names).union(*(job.groups.get(group, ()) for group in limit.groups))
    said = limit.selector is not None or limit.groups or limit.names
    chosen = {
        target.name
        for target in everything
        if target.name in named
        or (limit.selector is not None and matches(limit.selector, target.labels))
        or (not said and limit.exclude is not None)
    }
    return frozenset(chosen) - (_chosen(job, limit.exclude) if limit.exclude is not None else frozenset())


@cache
def _adapter() -> TypeAdapter[PinnedWorkflow]:
    return TypeAdapter(PinnedWorkflow)


def dump(spec: PinnedWorkflow) -> bytes:
    """The plan as JSON. Equal plans give equal bytes."""
    return _adapter().dump_json(spec, by_alias=True)


def load(data: bytes | str) -> PinnedWorkflow:
    """Read what `dump` wrote."""
    return _adapter().validate_json(data)


__all__ = [
    "QUEUE_TIMEOUT", "NodeGate", "NodeJob", "NodeWait", "PinnedNode", "PinnedWorkflow",
    "PlannedWorkflow", "dump", "load", "narrowed", "plan_workflow", "shape",
]  # fmt: skip
