"""Putting a launch into the journal."""

from datetime import timedelta

from engine.catalog import Catalog
from engine.judge import Launch
from engine.runs.rehearsal import Rehearsal
from engine.workflows.workflowplan import QUEUE_TIMEOUT, PinnedWorkflow
from journal.runs import NewRun
from schemas.workflow import WorkflowSpec

_DEFAULT_POOL = "default"
_NO_POOL = ""
_INLINE_QUEUE_TIMEOUT = timedelta(hours=1)


def new_run(launch: Launch, catalog: Catalog, rehearsal: Rehearsal | None = None) -> NewRun:
    """The journal's words for a launch, or for its rehearsal.

    An inline job has no concurrency group: nothing else can be in its way.
    """
    spec, job, member = launch.planned.spec, launch.job, launch.membership
    if isinstance(spec, PinnedWorkflow):
        return _new_workflow(launch, spec, catalog, rehearsal)
    assert not isinstance(job, WorkflowSpec)
    default_pool = catalog.project.spec.defaults.pool or _DEFAULT_POOL
    return NewRun(
        id=launch.run,
        cause=launch.cause,
        spec=spec,
        params=dict(launch.planned.params),
        known_as=launch.name_now,
        naming=_naming(launch, catalog),
        pool=launch.pool or (job.runs_on.pool if job else None) or default_pool,
        priority=launch.priority,
        group=member.group if member else None,
        limit=member.limit if member else 1,
        on_conflict=member.on_conflict if member else "allow",
        max_queue=member.max_queue if member else None,
        queue_timeout=job.queue_timeout if job else _INLINE_QUEUE_TIMEOUT,
        starts_at=launch.starts_at,
        libraries=launch.planned.spec.libraries,
        inline=launch.repeats.view.inline if launch.repeats is not None else job is None or spec.discovery is not None,
        rerun_of=launch.repeats.view.id if launch.repeats is not None else None,
        carried=launch.carried,
        rehearsal=rehearsal,
    )


def _new_workflow(launch: Launch, spec: PinnedWorkflow, catalog: Catalog, rehearsal: Rehearsal | None) -> NewRun:
    """A workflow's run: no runner takes it, so it is in no pool."""
    member = launch.membership
    return NewRun(
        id=launch.run,
        cause=launch.cause,
        spec=spec,
        params=dict(launch.planned.params),
        known_as=launch.name_now,
        naming=_naming(launch, catalog),
        pool=_NO_POOL,
        priority=launch.priority,
        group=member.group if member else None,
        limit=member.limit if member else 1,
        on_conflict=member.on_conflict if member else "allow",
        max_queue=member.max_queue if member else None,
        queue_timeout=QUEUE_TIMEOUT,
        libraries=spec.libraries,
        starts_at=launch.starts_at,
        rerun_of=launch.repeats.view.id if launch.repeats is not None else None,
        carried_nodes=launch.carried_nodes,
        rehearsal=rehearsal,
    )


def _naming(launch: Launch, catalog: Catalog) -> int | None:
    """By a plan of its own a run is named as that one is, though nobody may know any more how."""
    again = launch.repeats is not None and launch.planned.spec.commit != catalog.commit
    return launch.naming if again else catalog.names.generation
