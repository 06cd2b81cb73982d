"""Judging one act: against the active definitions, at the time given, by its own facts alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from engine.catalog import Catalog
from engine.checks import everything
from engine.expressions.contexts import RunFacts
from engine.expressions.expression import ExpressionError
from engine.identity import Cause, RunId, run_id, scan_name
from engine.runs.concurrency import Membership, group_of, named, renamed_groups
from engine.runs.planning import Planned, plan_inline, plan_run
from engine.runs.refused import PlanRefused
from engine.runs.rehearsal import Rehearsal, rehearse
from engine.runs.repetition import NotRepeatable, Original, Records, repeated
from engine.runs.scanplan import as_job, plan_scan
from engine.schedules.admission import Admitted, KeptOut, judged
from engine.schedules.windows import Windows, subjects_of
from engine.times import recurrence
from engine.workflows.graphfacts import NodeRecord
from engine.workflows.graphrehearsal import rehearse_graph
from engine.workflows.graphrepeat import OriginalGraph, taken_over
from engine.workflows.workflowplan import PinnedWorkflow, PlannedWorkflow, plan_workflow
from schemas.act import RunRequest, RunRequestSpec
from schemas.envelope import Document
from schemas.job import Job, JobSpec
from schemas.quantities import format_instant
from schemas.reader import Authored
from schemas.selector import Selection
from schemas.workflow import WorkflowSpec

DEFAULT_LIFE = timedelta(hours=1)
"""How long an act may wait to be judged when it names no `expiresAt`, from when it was first seen."""


@dataclass(frozen=True, slots=True)
class ActFacts:
    """What is known of an act beside its text. `committed_at` is its commit's committer time."""

    committed_at: datetime
    first_seen: datetime
    requested_by: str
    was_there_before: bool = False
    """It was already present when the engine judged its first commit, or is older than a rebuilt store."""
    store_lost: bool = False
    original: Original | OriginalGraph | None = None
    """The run that a rerun or resume names; None where there is no such run."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A run that may be enqueued: all that the journal needs of it."""

    run: RunId
    cause: Cause
    planned: Planned | PlannedWorkflow
    job: JobSpec | WorkflowSpec | None
    """None for an inline job, and where the job of a run that is repeated is not defined any more."""
    name_now: str | None = None
    """What its job or workflow is called today, or was last, where its plan may have a former name."""
    naming: int | None = None
    """The generation of names that its plan is written in, where that is not the one in force."""
    priority: int = 0
    starts_at: datetime | None = None
    repeats: Original | OriginalGraph | None = None
    """The run that this one does again."""
    pool: str | None = None
    """Whose runners take it; None: the job and the Project say so. By its own plan a run stays in its pool."""
    carried: Records = field(default_factory=dict)
    """Results taken over from it, by target: of the steps that are not done again."""
    carried_nodes: Mapping[str, NodeRecord] = field(default_factory=dict)
    """The same of a workflow, by node."""
    dry_run: bool = False
    """It is to be rehearsed, and not to be done."""

    def rehearsed(self) -> Rehearsal:
        """What it would do."""
        spec = self.planned.spec
        facts = RunFacts(self.run, spec.job, spec.commit, self.cause.instant, 1, self.cause)
        if isinstance(spec, PinnedWorkflow):
            return rehearse_graph(spec, self.planned.params, facts, self.carried_nodes)
        return rehearse(spec, self.planned.params, facts, self.carried)

    @property
    def membership(self) -> Membership | None:
        """Its concurrency group; None of an inline job, which nothing can be in the way of.

        Raises ExpressionError where its params give none, which a plan of today's job has made sure of.
        """
        if self.job is None:  # of a job that is gone: where the run was that is repeated
            return None if self.repeats is None else self.repeats.membership
        said, name = self.job.concurrency, self.name_now or self.planned.spec.job
        own = group_of(name, self.job) if isinstance(self.job, WorkflowSpec) else said.group or name
        return Membership(named(own, self.planned.params), said.on_conflict, said.limit, said.max_queue)


@dataclass(frozen=True, slots=True)
class Cancel:
    """End this run."""

    run: RunId
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The act is refused, for good. `reason` is one word for programs, `message` a sentence for people."""

    reason: str
    message: str = field(default="")


Judgement = Launch | Cancel | Refuse


def judge(request: RunRequest, facts: ActFacts, catalog: Catalog, now: datetime) -> Judgement:
    """What becomes of an act. Pure: the same act, facts and catalog give the same answer."""
    spec = request.spec
    if late := refused_by_age(request, facts.first_seen, now, facts.was_there_before, facts.store_lost):
        return late
    if spec.action == "cancel":
        return Cancel(RunId(spec.run or ""), by=facts.requested_by, reason=spec.reason)
    return _start(request, facts, catalog) if spec.action == "start" else _repeat(request, facts, catalog)


def refused_by_age(
    act: Document, first_seen: datetime, now: datetime, was_there_before: bool, store_lost: bool
) -> Refuse | None:
    """The refusal of a request that comes too late, whatever it asks for; None where it is to be judged."""
    if not isinstance(act, RunRequest):
        return None
    if store_lost:
        return Refuse("storeLost", "the engine's store was lost; it cannot be proven that this was not answered before")
    if was_there_before:
        return Refuse(
            "tooOld", "it was there before the engine first looked, and may have been answered elsewhere; ask again"
        )
    if now >= expires_at(act, first_seen):
        return Refuse("expired", "its expiresAt had passed before it could be judged; ask again")
    return None


def expires_at(act: RunRequest, first_seen: datetime) -> datetime:
    """From then on a request is not judged any more."""
    return act.spec.expires_at or first_seen + DEFAULT_LIFE


def checked(judgement: Judgement, authored: Authored, catalog: Catalog) -> Judgement:
    """What `validate` refuses in an act is refused here too, so that no act can do what no Job could."""
    if not isinstance(judgement, Launch):
        return judgement
    errors = [
        found for found in everything.about_acts(catalog, (authored,), broken=frozenset()) if found.severity == "error"
    ]
    return Refuse("invalid", f"{errors[0].span}: {errors[0].message}") if errors else judgement


def heeding(judgement: Judgement, request: RunRequest, windows: Windows, catalog: Catalog, now: datetime) -> Judgement:
    """The same where no window concerns the run that a person asks for; else it starts later, or it is refused."""
    if not isinstance(judgement, Launch) or judgement.dry_run:
        return judgement
    return held_back(judgement, windows, catalog, now, requested=True, labels=request.metadata.labels)


def held_back(
    launch: Launch,
    windows: Windows,
    catalog: Catalog,
    now: datetime,
    *,
    requested: bool = False,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> Launch | Refuse:
    """What windows make of a run that would start now, or later. `labels` are those of a job that has no document."""
    if not catalog.windows:
        return launch
    begins = max(launch.starts_at or now, now)
    subjects = subjects_of(
        launch.planned.spec, catalog, requested=requested, labels=labels, today=launch.name_now, naming=launch.naming
    )
    match judged(begins, windows.of_all(subjects)):
        case Admitted(starts_at=starts_at, deferred_by=blocked):
            return launch if blocked is None else replace(launch, starts_at=starts_at)
        case KeptOut(names=names, blocked=blocked):
            until = blocked.until if blocked is not None else None
            then = f"; from {format_instant(until)} on it may" if until is not None else ""
            said = ", ".join(f"Window/{name}" for name in names)
            return Refuse("window", f"{said}: it may not start at {format_instant(begins)}{then}")


def _start(request: RunRequest, facts: ActFacts, catalog: Catalog) -> Launch | Refuse:
    spec, cause = request.spec, _cause(request, facts)
    missing = _unknown(spec.limit, catalog) or (_unknown(spec.job.targets, catalog) if spec.job else None)
    if missing is not None:
        return Refuse("unknownTarget", f"{missing} does not exist in commit {catalog.commit[:12]}; nothing was started")
    if spec.job is not None:
        if catalog.job_now(request.name) is not None or catalog.workflow_now(request.name) is not None:
            # Its run goes by the request's name: it would count among the job's, and set off who listens for them.
            return Refuse(
                "nameTaken", f"steps of its own run by the name of the request, and '{request.name}' is or was a job's"
            )
        planned = plan_inline(catalog, request.name, spec.job, limit=spec.limit, labels=request.metadata.labels)
        return _launch(request.name, None, cause, planned, spec)
    if spec.workflow_ref is not None:
        workflow = catalog.workflows.get(spec.workflow_ref)
        if workflow is None:
            return Refuse("unknownWorkflow", _nowhere(catalog, "Workflow", spec.workflow_ref))
        graph = plan_workflow(catalog, workflow, params=spec.params, limit=spec.limit)
        return _launch(workflow.name, workflow.spec, cause, graph, spec)
    if spec.discovery_ref is not None:
        discovery = catalog.discoveries.get(spec.discovery_ref)
        if discovery is None:
            return Refuse("unknownDiscovery", _nowhere(catalog, "Discovery", spec.discovery_ref))
        scan = plan_scan(catalog, discovery)
        return _launch(scan_name(discovery.name), as_job(catalog, discovery), cause, scan, spec)
    name = spec.job_ref or ""
    if (job := catalog.jobs.get(name)) is None:
        return Refuse("unknownJob", _nowhere(catalog, "Job", name))
    planned = plan_run(catalog, job, params=spec.params, limit=spec.limit)
    return _launch(job.name, job.spec, cause, planned, spec)


def _nowhere(catalog: Catalog, kind: str, name: str) -> str:
    today = catalog.name_now(kind, name)
    renamed = f"; it is called '{today}' now" if today != name else ""
    return f"there is no {kind} '{name}' in commit {catalog.commit[:12]}{renamed}"


def _cause(request: RunRequest, facts: ActFacts) -> Cause:
    return Cause(
        "request",
        request.name,
        request.spec.not_before or facts.committed_at,
        requested_by=facts.requested_by,
        reason=request.spec.reason or None,
    )


def _repeat(request: RunRequest, facts: ActFacts, catalog: Catalog) -> Launch | Refuse:
    """A run once more: by its own plan, or by what its job is today. What may run beside it, today's job says."""
    spec, original, cause = request.spec, facts.original, _cause(request, facts)
    if original is None:
        return Refuse("unknownRun", f"there is no run {spec.run}; see 'opsconductor get runs'")
    if isinstance(original, OriginalGraph):
        return _repeat_graph(spec, original, catalog, cause)
    job = None if original.view.inline else catalog.job_now(original.view.today)
    planned = _plan_again(spec, original, catalog, job)
    if isinstance(planned, Refuse):
        return planned
    found = repeated(spec, original, planned.spec)
    if isinstance(found, NotRepeatable):
        return Refuse(found.reason, found.message)
    priority = job.spec.priority if job is not None else original.view.priority
    return _grouped(
        Launch(
            run=run_id(planned.spec.job, cause),
            cause=cause,
            planned=replace(planned, spec=found.spec),
            job=job.spec if job is not None else None,
            name_now=None if original.view.inline else catalog.name_now("Job", original.view.today),
            naming=original.view.naming if spec.at == "original" else None,
            priority=priority if spec.priority is None else spec.priority,
            starts_at=spec.not_before,
            repeats=original if job is not None else replace(original, membership=_place_now(original, catalog)),
            pool=original.pool if spec.at == "original" else None,
            carried=found.carried,
            dry_run=spec.dry_run,
        )
    )


def _place_now(original: Original | OriginalGraph, catalog: Catalog) -> Membership | None:
    """Where a run of what is gone was: not in the group of who has its former name by now."""
    was = original.membership
    if was is None:
        return None
    return replace(was, group=renamed_groups(catalog, original.view.naming).get(was.group, was.group))


def _grouped(launch: Launch) -> Launch | Refuse:
    """By its own plan and params a run may give no group of today's job."""
    try:
        launch.membership  # noqa: B018 - asked whether there is one
    except ExpressionError as error:
        return Refuse("badParams", f"concurrency.group: {error.message}")
    return launch


def _repeat_graph(spec: RunRequestSpec, original: OriginalGraph, catalog: Catalog, cause: Cause) -> Launch | Refuse:
    """A workflow's run once more. What may run beside it, today's workflow says."""
    view, workflow = original.view, catalog.workflow_now(original.view.today)
    if spec.at == "original":
        if original.spec is None:
            message = f"the plan of run {view.id} is not kept here; ask for a new run, or say at: current"
            return Refuse("planLost", message)
        planned = PlannedWorkflow(original.spec, dict(view.params))
    else:
        if workflow is None:
            message = f"there is no Workflow '{view.job}' any more; only at: original can repeat it"
            return Refuse("unknownWorkflow", message)
        found = plan_workflow(catalog, workflow, params={**view.params, **spec.params})
        if isinstance(found, PlanRefused):
            return Refuse(found.reason, found.message)
        planned = found
    carried = taken_over(spec, view, planned.spec, cause)
    if isinstance(carried, NotRepeatable):
        return Refuse(carried.reason, carried.message)
    return _grouped(
        Launch(
            run=run_id(planned.spec.job, cause),
            cause=cause,
            planned=replace(planned, spec=planned.spec.at_priority(spec.priority)),
            job=workflow.spec if workflow is not None else None,
            name_now=catalog.name_now("Workflow", view.today),
            naming=view.naming if spec.at == "original" else None,
            priority=view.priority if spec.priority is None else spec.priority,
            starts_at=spec.not_before,
            repeats=original if workflow is not None else replace(original, membership=_place_now(original, catalog)),
            carried_nodes=carried,
            dry_run=spec.dry_run,
        )
    )


def _plan_again(spec: RunRequestSpec, original: Original, catalog: Catalog, job: Job | None) -> Planned | Refuse:
    view = original.view
    if spec.at == "original":
        if original.spec is None:
            message = f"the plan of run {view.id} is not kept here; ask for a new run, or say at: current"
            return Refuse("planLost", message)
        return Planned(original.spec, dict(view.params))
    if job is None:
        what = "its steps stood in a request" if view.inline else f"there is no Job '{view.job}' any more"
        return Refuse("unknownJob", f"{what}; only at: original can repeat it")
    limit = Selection(names=view.targets) if view.on_targets else None
    missing = _unknown(limit, catalog)
    if missing is not None:
        return Refuse("unknownTarget", f"{missing} does not exist any more in commit {catalog.commit[:12]}")
    planned = plan_run(catalog, job, params={**view.params, **spec.params}, limit=limit)
    return Refuse(planned.reason, planned.message) if isinstance(planned, PlanRefused) else planned


def _unknown(selection: Selection | None, catalog: Catalog) -> str | None:
    """The first name in a selection that nothing has: whoever mistyped one of ten must not get the other nine."""
    if selection is None:
        return None
    names = [f"Target '{name}'" for name in selection.names if name not in catalog.targets]
    groups = [f"TargetGroup '{name}'" for name in selection.groups if name not in catalog.groups]
    return next(iter((*names, *groups)), None)


def _launch(
    name: str,
    job: JobSpec | WorkflowSpec | None,
    cause: Cause,
    planned: Planned | PlannedWorkflow | PlanRefused,
    spec: RunRequestSpec,
) -> Launch | Refuse:
    if isinstance(planned, PlanRefused):
        return Refuse(planned.reason, planned.message)
    if isinstance(planned, PlannedWorkflow):
        planned = replace(planned, spec=planned.spec.at_priority(spec.priority))
    default = job.priority if isinstance(job, JobSpec) else 0
    return Launch(
        run=run_id(name, cause),
        cause=cause,
        planned=planned,
        job=job,
        priority=default if spec.priority is None else spec.priority,
        starts_at=spec.not_before,
        dry_run=spec.dry_run,
    )


def scheduled(
    catalog: Catalog, schedule: str, instant: datetime, params: Mapping[str, Any] | None = None
) -> Launch | PlanRefused:
    """The run that a due instant of a schedule starts, after its jitter."""
    spec = catalog.schedules[schedule].spec
    cause = Cause("schedule", schedule, instant)
    begins = recurrence.starts_at(schedule, spec, instant) if spec.jitter else None
    if spec.workflow_ref is not None:
        workflow = catalog.workflows[spec.workflow_ref]
        graph = plan_workflow(catalog, workflow, params={**spec.params, **(params or {})}, limit=spec.limit)
        if isinstance(graph, PlanRefused):
            return graph
        run, graph = run_id(workflow.name, cause), replace(graph, spec=graph.spec.at_priority(spec.priority))
        priority = spec.priority or 0
        return Launch(run=run, cause=cause, planned=graph, job=workflow.spec, priority=priority, starts_at=begins)
    if spec.discovery_ref is not None:
        discovery = catalog.discoveries[spec.discovery_ref]
        scan = plan_scan(catalog, discovery)
        if isinstance(scan, PlanRefused):
            return scan
        run, priority = run_id(scan_name(discovery.name), cause), spec.priority or 0
        as_written = as_job(catalog, discovery)
        return Launch(run=run, cause=cause, planned=scan, job=as_written, priority=priority, starts_at=begins)
    job = catalog.jobs[spec.job_ref or ""]
    planned = plan_run(catalog, job, params={**spec.params, **(params or {})}, limit=spec.limit)
    if isinstance(planned, PlanRefused):
        return planned
    priority = job.spec.priority if spec.priority is None else spec.priority
    run = run_id(job.name, cause)
    return Launch(run=run, cause=cause, planned=planned, job=job.spec, priority=priority, starts_at=begins)
