"""Documents that start others: schedules, triggers and workflows. What a change of one makes start otherwise. Pure."""

import json
from collections.abc import Iterator, Mapping

from schemas.envelope import Document, Model
from schemas.schedule import Schedule, ScheduleSpec, Suspension
from schemas.trigger import Trigger, TriggerSpec
from schemas.workflow import Workflow


def started_anew(before: Document | None, after: Document) -> tuple[str, ...]:
    """Identities of what `after` starts, as `Job/x`, where it starts them otherwise than `before` did; sorted.

    None where the change can only make less start: a schedule that is suspended until somebody ends that, or nodes
    taken out of a workflow. Labels, names and files of the document that starts them are no matter here.
    """
    match after:
        case Schedule():
            anew = not _rests(after.spec) and not (isinstance(before, Schedule) and _no_more(before.spec, after.spec))
        case Trigger():
            anew = not (isinstance(before, Trigger) and _content(before) == _content(after))
        case Workflow():
            anew = not (isinstance(before, Workflow) and _without_nodes(before, after) == _graph(after))
        case _:
            return ()
    return tuple(sorted(set(_started(after)))) if anew else ()


def _started(document: Schedule | Trigger | Workflow) -> Iterator[str]:
    match document:
        case Schedule() | Trigger():
            yield from _named(document.spec)
        case Workflow():
            yield from (f"Job/{node.job_ref}" for node in document.spec.jobs.values() if node.job_ref is not None)


def _named(spec: ScheduleSpec | TriggerSpec) -> Iterator[str]:
    discovery = spec.discovery_ref if isinstance(spec, ScheduleSpec) else None
    references = (("Job", spec.job_ref), ("Workflow", spec.workflow_ref), ("Discovery", discovery))
    return (f"{kind}/{name}" for kind, name in references if name is not None)


def _rests(spec: ScheduleSpec) -> bool:
    """Whether nothing starts before somebody changes the schedule again, who is then asked."""
    return spec.suspend is True or (isinstance(spec.suspend, Suspension) and spec.suspend.until is None)


def _no_more(before: ScheduleSpec, after: ScheduleSpec) -> bool:
    """Whether they differ in the suspension alone, which ends no sooner than it did."""
    plain: Mapping[str, object] = {"suspend": False}
    if _text(before.model_copy(update=plain)) != _text(after.model_copy(update=plain)):
        return False
    if not isinstance(after.suspend, Suspension) or after.suspend.until is None:
        return before.suspend is False
    if isinstance(before.suspend, Suspension) and before.suspend.until is not None:
        return before.suspend.until <= after.suspend.until
    return before.suspend is False


def _content(trigger: Trigger) -> str:
    return _text(trigger.spec)


def _graph(workflow: Workflow) -> str:
    return _without_nodes(workflow, workflow)


def _without_nodes(workflow: Workflow, later: Workflow) -> str:
    """What makes its nodes run, of those alone that are there later: what comes out of it starts nothing by itself."""
    spec = workflow.spec
    nodes = {name: node for name, node in spec.jobs.items() if name in later.spec.jobs}
    return _text(spec.model_copy(update={"jobs": nodes, "outputs": {}}))


def _text(spec: Model) -> str:
    # As text, since 1, 1.0 and true are not the same; a default that is written out says nothing new.
    return json.dumps(spec.model_dump(mode="json", by_alias=True), sort_keys=True)
