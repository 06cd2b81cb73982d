"""What comes of an event: the run that its trigger starts, or why there is none. Pure.

The event is data: the trigger's expressions, which came from a commit, read it, and the params they give go through the
same schema check and the same binding as any others. A credential is never chosen by an event.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from engine.catalog import Catalog
from engine.checks.triggers import MAX_CHAIN
from engine.expressions.expression import ExpressionError, condition, render, to_text
from engine.globs import matches
from engine.identity import Cause, run_id
from engine.judge import Launch, Refuse
from engine.runs.planning import plan_run
from engine.runs.refused import PlanRefused
from engine.status.views import RunView
from engine.workflows.workflowplan import plan_workflow
from schemas.job import JobSpec
from schemas.quantities import format_instant
from schemas.trigger import Trigger
from schemas.workflow import WorkflowSpec

MAX_PATHS = 1_000
"""Paths that the event of a commit names."""
_MOST_SAID = 500
_MOST_KEY = 512


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, and the trigger that it set off. `key` tells it from all others of that trigger, for ever.

    `instant` is its arrival. `chain` are the triggers that led to it: of a run that ended, those of that run.
    """

    trigger: str
    key: str
    instant: datetime
    event: Any
    type: str | None = None
    chain: tuple[str, ...] = ()
    naming: int | None = None
    """The generation of names that `chain` is written in; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Fire:
    """It starts this run, unless an event with the same `dedupe` has started one within the trigger's window."""

    launch: Launch
    dedupe: str | None = None


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing is to be done, and nothing is wrong. `reason` is one word for programs."""

    reason: str
    message: str = field(default="")


Verdict = Fire | Ignore | Refuse


def verdict(catalog: Catalog, happened: Happened) -> Verdict:
    """What comes of an event under these definitions. The same event and definitions give the same answer."""
    trigger = catalog.triggers.get(happened.trigger)
    if trigger is None:
        return Refuse("unknownTrigger", f"there is no Trigger '{happened.trigger}' any more")
    if (reason := catalog.held.get(trigger.identity)) is not None:
        return Refuse("notSupported", f"{reason}; nothing runs otherwise than it is written")
    if catalog.project.spec.suspend:
        return Refuse("suspended", "the whole project is suspended")
    chain = tuple(catalog.name_now("Trigger", one, happened.naming) for one in happened.chain)
    if happened.trigger in chain:
        way = " -> ".join((*chain, happened.trigger))
        return Refuse("cycle", f"a circle of triggers: {way}")
    if len(chain) >= MAX_CHAIN:
        return Refuse("chainTooLong", f"{MAX_CHAIN} triggers came before, one after another; use a Workflow")
    try:
        # What it starts is known by the names of today, and so is all that led to it.
        return _judged(catalog, trigger, replace(happened, chain=chain, naming=catalog.names.generation))
    except ExpressionError as error:
        return Refuse("expressionFailed", said(error.message))


def _judged(catalog: Catalog, trigger: Trigger, happened: Happened) -> Verdict:
    spec, context = trigger.spec, {"event": happened.event}
    webhook = spec.event.webhook
    if webhook is not None and webhook.provider == "github" and happened.type == "ping":
        return Ignore("ping", "its sender tried the address")
    if webhook is not None and webhook.events and happened.type not in webhook.events:
        return Ignore("otherEvent", f"it is '{said(happened.type or 'none')}', and not among 'events'")
    if not condition(spec.if_, context):
        return Ignore("condition", "its 'if' was false")
    dedupe = None
    if spec.dedupe is not None:
        dedupe = to_text(render(spec.dedupe.key, context))
        if len(dedupe) > _MOST_KEY:
            return Refuse("badKey", f"the key of 'dedupe' is longer than {_MOST_KEY} characters")
    found = _launch(catalog, trigger, happened, context)
    if isinstance(found, PlanRefused):
        return Refuse(found.reason, said(found.message))
    return found if isinstance(found, Refuse) else Fire(found, dedupe)


def _launch(
    catalog: Catalog, trigger: Trigger, happened: Happened, context: Mapping[str, Any]
) -> Launch | PlanRefused | Refuse:
    spec = trigger.spec
    cause = Cause("trigger", trigger.name, happened.instant, event=happened.key, chain=happened.chain)
    if spec.workflow_ref is not None:
        workflow = catalog.workflows.get(spec.workflow_ref)
        if workflow is None:
            return Refuse("unknownWorkflow", f"there is no Workflow '{spec.workflow_ref}'")
        params = _params(spec.params, workflow.spec, context)
        graph = plan_workflow(catalog, workflow, params=params)
        if isinstance(graph, PlanRefused):
            return graph
        return Launch(run=run_id(workflow.name, cause), cause=cause, planned=graph, job=workflow.spec)
    job = catalog.jobs.get(spec.job_ref or "")
    if job is None:
        return Refuse("unknownJob", f"there is no Job '{spec.job_ref}'")
    planned = plan_run(catalog, job, params=_params(spec.params, job.spec, context))
    if isinstance(planned, PlanRefused):
        return planned
    return Launch(run=run_id(job.name, cause), cause=cause, planned=planned, job=job.spec, priority=job.spec.priority)


def _params(given: Mapping[str, Any], taker: JobSpec | WorkflowSpec, context: Mapping[str, Any]) -> dict[str, Any]:
    """A secret param names its credential as it is written: an event must not choose which secret a run opens."""
    secret = {name for name, param in taker.params.items() if param.get("secret") is True}
    return {name: value if name in secret else render(value, context) for name, value in given.items()}


def said(text: str) -> str:
    """Words that may hold some of an event, for people: one line, of printable characters, at most 500."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return line if len(line) <= _MOST_SAID else f"{line[: _MOST_SAID - 3]}..."


# --- events of our own ---


def of_run(view: RunView, catalog: Catalog) -> dict[str, Any]:
    """The event of a run that ended, with the name that its job has now: what reads it is of today, too."""
    name = catalog.name_now("Workflow" if view.workflow else "Job", view.today) if not view.inline else view.job
    return {
        "run": str(view.id),
        "job": None if view.workflow else name,
        "workflow": name if view.workflow else None,
        "state": str(view.state),
        "reason": view.reason,
        "commit": view.commit,
        "cause": {
            "kind": view.cause.kind,
            "name": view.cause.name,
            "instant": format_instant(view.cause.instant),
            "requestedBy": view.cause.requested_by,
        },
        "params": dict(view.params),
        "outputs": dict(view.outputs),
        "queuedAt": format_instant(view.queued_at),
        "startedAt": None if view.started_at is None else format_instant(view.started_at),
        "finishedAt": None if view.finished_at is None else format_instant(view.finished_at),
        "targets": list(view.targets),
        "results": {one.name: str(one.state) for one in view.results if view.on_targets and one.state is not None},
    }


def of_commit(commit: str, before: str, found: Sequence[str]) -> dict[str, Any]:
    """The event of an accepted commit: which paths it changed, of those that the trigger asks for."""
    return {"commit": commit, "before": before, "paths": list(found[:MAX_PATHS]), "count": len(found)}


def watched(catalog: Catalog) -> Iterator[tuple[str, bool, str | None, str]]:
    """Which ends of runs set which trigger off: trigger, whether of a workflow, of which one (None: any), state.

    By former names, too: the ends of runs are written by runners, and such of before version 17 of the tables, which
    may work beside this program, know a run by the name that it began with alone.
    """
    for name, trigger in sorted(catalog.triggers.items()):
        event = trigger.spec.event.run
        if event is None or trigger.identity in catalog.held:
            continue
        for state in dict.fromkeys(event.states):
            if not event.jobs and not event.workflows:
                yield from ((name, workflow, None, state) for workflow in (False, True))
            yield from ((name, False, job, state) for job in _names(catalog, "Job", event.jobs))
            yield from ((name, True, flow, state) for flow in _names(catalog, "Workflow", event.workflows))


def _names(catalog: Catalog, kind: str, named: Sequence[str]) -> Iterable[str]:
    return dict.fromkeys((*named, *(old for name in named for old in catalog.former_names(kind, name))))


def set_off(before: Catalog, after: Catalog, paths: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The triggers that a commit with these changed paths sets off, with the paths they ask for.

    One that the commit brings is not among them, as a schedule considers no instant before it came.
    """
    changed = sorted(paths)
    found: dict[str, tuple[str, ...]] = {}
    for name, trigger in sorted(after.triggers.items()):
        event = trigger.spec.event.definitions
        if event is None or not any(known in before.triggers for known in (name, *after.former_names("Trigger", name))):
            continue
        if asked := tuple(path for path in changed if any(matches(glob, path) for glob in event.paths)):
            found[name] = asked
    return found
