"""Whether an open run that the status branch shows can go on: planned again from its own commit, with what it did.

The branch holds how each step ended, and not the text that it printed. What cannot be had again is not guessed. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from engine.catalog import Catalog
from engine.identity import run_id, scan_name
from engine.judge import Launch
from engine.runs.pinned import RUNNER, LibraryCall, PinnedSpec, PlannedStep, called, is_nested, plan_path
from engine.runs.planning import Planned, plan_inline, plan_run
from engine.runs.progress import StepRecord, counts_as_success
from engine.runs.refused import PlanRefused
from engine.runs.scanplan import as_job, plan_scan
from engine.scripts.outputs_read import outputs_read
from engine.states import StepState
from engine.status.views import RunView, StepView, TargetView
from engine.workflows import gates
from engine.workflows.workflowplan import plan_workflow, shape
from schemas.act import RunRequest
from schemas.discovery import Discovery
from schemas.job import JobSpec
from schemas.schedule import ScheduleSpec
from schemas.selector import Selection

_NO_TEXT = frozenset({StepState.SKIPPED})
"""Steps in these states have printed nothing."""


@dataclass(frozen=True, slots=True)
class Unprovable:
    """Why a run cannot go on; a sentence for people."""

    message: str


def resumed_graph(view: RunView, catalog: Catalog) -> Launch | Unprovable:
    """The same of a workflow's run. Its open gates are to be what they were."""
    workflow = catalog.workflows.get(view.job)
    if (why := _forged(view, catalog)) is not None:
        return Unprovable(why)
    if workflow is None:
        return Unprovable(f"there is no Workflow '{view.job}' in commit {catalog.commit[:12]}")
    limit = Selection(names=view.targets) if view.targets else None
    planned = plan_workflow(catalog, workflow, params=view.params, limit=limit)
    if isinstance(planned, PlanRefused):
        return Unprovable(f"it cannot be planned again from commit {catalog.commit[:12]}: {planned.message}")
    if set(planned.spec.reached) != set(view.targets) or shape(planned.spec) != {
        node.id: (node.kind, node.job, node.needs) for node in view.nodes
    }:
        return Unprovable(f"commit {catalog.commit[:12]} does not give it the graph that the status branch shows")
    if gates.reopened(planned.spec, view) is None:
        return Unprovable("an open gate of it does not follow from its plan")
    return Launch(view.id, view.cause, planned, workflow.spec, priority=view.priority, starts_at=view.starts_at)


def resumed(view: RunView, catalog: Catalog, act: RunRequest | None = None) -> Launch | Unprovable:
    """The launch of an open run once more, with its own id and cause, from the catalog of its own commit.

    `act` is the request that holds the steps of an inline run.
    """
    if (why := _forged(view, catalog)) is not None:
        return Unprovable(why)
    planned = _planned(view, catalog, act)
    if isinstance(planned, Unprovable):
        return planned
    if (why := unkept(view, planned.spec)) is not None:
        return Unprovable(why)
    discovery = _discovery(view, catalog, act) if view.inline else None
    if discovery is not None:
        job: JobSpec | None = as_job(catalog, discovery)
    else:
        job = None if view.inline else catalog.jobs[view.job].spec
    return Launch(view.id, view.cause, planned, job, priority=view.priority, starts_at=view.starts_at)


def unkept(view: RunView, spec: PinnedSpec) -> str | None:
    """What is missing for the run to go on by this plan at the first step without a recorded end; None: nothing."""
    steps = {(step.phase, step.id): step for step in spec.every_step}
    places = {target.name for target in spec.targets} if spec.on_targets else {RUNNER}
    for place in view.results:
        where = "" if place.name == RUNNER else f" on {place.name}"
        if place.name not in places:
            return f"the status branch shows a target {place.name} that its plan does not have"
        for step in place.steps:
            planned = steps.get((step.phase, plan_path(step.id)))
            if planned is None:
                return f"the status branch shows a step '{step.id}'{where} that its plan does not have"
            if step.state is StepState.RUNNING and not _has_others(planned, step.id):
                return f"step '{step.id}'{where} had started, and nothing proves its end"
        if place.state in (None, StepState.RUNNING) and (read := _lost_text(spec, place)):
            return f"what is left to do{where} reads what step '{read}' printed, which the status branch does not hold"
    return None


def _has_others(planned: PlannedStep, path: str) -> bool:
    """Whether the step is open while others come and go, of which each that began is on the branch itself."""
    loop = planned.loop is not None and not path.endswith("]")
    return loop or isinstance(planned.action, LibraryCall)


def _forged(view: RunView, catalog: Catalog) -> str | None:
    """A run that its cause cannot have caused: whoever may write to the status branch must not start what he likes."""
    if run_id(view.job, view.cause) != view.id:
        return "its name does not follow from its job and its cause"
    if view.cause.kind == "schedule":
        schedule = catalog.schedules.get(view.cause.name)
        started = None if schedule is None else schedule.spec.workflow_ref if view.workflow else _started(schedule.spec)
        if started != view.job:
            what = "workflow" if view.workflow else "job"
            return f"in commit {catalog.commit[:12]} no Schedule '{view.cause.name}' starts the {what} '{view.job}'"
    if view.cause.kind == "workflow":
        nodes = (workflow.spec.jobs.get(view.cause.node or "") for workflow in catalog.workflows.values())
        if not any(node is not None and node.job_ref == view.job for node in nodes):
            return f"in commit {catalog.commit[:12]} no node '{view.cause.node}' runs the job '{view.job}'"
    return None


def _started(spec: ScheduleSpec) -> str | None:
    return spec.job_ref if spec.discovery_ref is None else scan_name(spec.discovery_ref)


def _discovery(view: RunView, catalog: Catalog, act: RunRequest | None) -> Discovery | None:
    """The Discovery that a run scans for: its cause names it."""
    schedule = catalog.schedules.get(view.cause.name) if view.cause.kind == "schedule" else None
    named = schedule.spec.discovery_ref if schedule is not None else act.spec.discovery_ref if act is not None else None
    return None if named is None or scan_name(named) != view.job else catalog.discoveries.get(named)


def _planned(view: RunView, catalog: Catalog, act: RunRequest | None) -> Planned | Unprovable:
    limit = Selection(names=view.targets) if view.on_targets else None
    discovery = _discovery(view, catalog, act) if view.inline else None
    if discovery is not None:
        found = plan_scan(catalog, discovery)
    elif view.inline:
        if act is None or act.spec.job is None:
            return Unprovable(f"the text of the request '{view.cause.name}' that held its steps is not to be had")
        found = plan_inline(catalog, view.job, act.spec.job, limit=limit, labels=act.metadata.labels)
    elif view.job in catalog.jobs:
        found = plan_run(catalog, catalog.jobs[view.job], params=view.params, limit=limit)
    else:
        return Unprovable(f"there is no Job '{view.job}' in commit {catalog.commit[:12]}")
    if isinstance(found, PlanRefused):
        return Unprovable(f"it cannot be planned again from commit {catalog.commit[:12]}: {found.message}")
    if found.spec.on_targets != view.on_targets or {one.name for one in found.spec.targets} != set(view.targets):
        return Unprovable(f"commit {catalog.commit[:12]} does not give it the targets that the status branch shows")
    return found


def _lost_text(spec: PinnedSpec, place: TargetView) -> str | None:
    """A step that has ended on the target, and whose output something that is still to be evaluated there reads."""
    printed = [called(step.id) for step in place.steps if step.state not in _NO_TEXT]
    read = outputs_read(spec.outputs, _ahead(spec, place.steps))
    return next((step for step in printed if read.everything or step in read), None)


def _ahead(spec: PinnedSpec, ended: Iterable[StepView]) -> tuple[PlannedStep, ...]:
    """The steps that may still start, or start again: of ordinary ones none after one that failed."""
    over = {
        (step.phase, step.id): _record(step) for step in ended if step.state is not StepState.RUNNING and not step.again
    }
    good = all(counts_as_success(record) for record in over.values() if not is_nested(record.id))
    return tuple(
        replace(step, rescue=())
        for step in spec.every_step
        if (step.phase, step.id) not in over and (step.phase != "steps" or step.nested or good)
    )


def _record(step: StepView) -> StepRecord:
    return StepRecord(step.phase, step.id, step.state, continued=step.continued, rescued=step.rescued)
