"""A run done again after its job was renamed, or is gone: what may run beside it, and which windows hold it."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.catalog import Catalog
from engine.identity import Cause, run_id
from engine.judge import ActFacts, Judgement, Launch, Refuse, heeding, judge
from engine.runs.concurrency import Membership
from engine.runs.planning import Planned, plan_run
from engine.runs.repetition import Original
from engine.schedules.windows import Windows
from engine.states import NodeState, RunState
from engine.status.views import NodeView, RunView
from engine.workflows.graphfacts import NodeRecord
from engine.workflows.graphrepeat import OriginalGraph
from engine.workflows.workflowplan import PlannedWorkflow, plan_workflow
from reconciler.launches import new_run
from schemas.act import RunRequest
from tests.catalogs import catalog, local_target

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
KEPT = Membership("the-old-group", "queue", 2, 5)
OLD = "metadata: {name: old, labels: {tier: web}}"
NEW = "metadata: {name: new, previousNames: [old], labels: {tier: web}}"
KINDS = pytest.mark.parametrize("kind", ["Job", "Workflow"])


def definitions(kind: str | None, metadata: str = OLD, *more: str) -> Catalog:
    """A job or workflow of that name, or none; one run may wait for another."""
    inner = "kind: Job\nmetadata: {name: inner}\nspec: {steps: [{uses: dummy}]}\n"
    does = {"Job": "steps: [{uses: dummy}]", "Workflow": "jobs: {a: {jobRef: inner}}"}
    shown = [
        f"kind: {one}\n{metadata}\nspec: {{{text}, concurrency: {{onConflict: queueOne}}}}\n"
        for one, text in does.items()
        if one == kind
    ]
    return catalog(local_target("here"), inner, *shown, *more)


def ended(kind: str) -> Original | OriginalGraph:
    """A failed run of it under its first name."""
    known, cause = definitions(kind), Cause("request", "first", NOW - timedelta(hours=1))
    view = RunView(
        run_id("old", cause), "old", known.commit, cause, RunState.FAILED, cause.instant, on_targets=False,
        finished_at=NOW, workflow=kind == "Workflow",
        nodes=(NodeView("job", "inner", (), NodeRecord("a", NodeState.FAILED)),) if kind == "Workflow" else (),
    )  # fmt: skip
    if kind == "Workflow":
        graph = plan_workflow(known, known.workflows["old"], params={})
        assert isinstance(graph, PlannedWorkflow)
        return OriginalGraph(view, graph.spec, KEPT)
    planned = plan_run(known, known.jobs["old"], params={})
    assert isinstance(planned, Planned)
    return Original(view, planned.spec, {}, "eu", KEPT)


def repeated(kind: str, known: Catalog, how: str) -> Judgement:
    original = ended(kind)
    envelope = {"apiVersion": "opsconductor/v1", "kind": "RunRequest", "metadata": {"name": "again"}}
    at = {"at": "current"} if how == "current" else {}
    spec = {"action": "resume" if how == "resume" else "rerun", "run": original.view.id, **at}
    request = RunRequest.model_validate({**envelope, "spec": spec})
    facts = ActFacts(NOW, NOW, "ana@example.org", original=original)
    return heeding(judge(request, facts, known, NOW), request, Windows(known), known, NOW)


@KINDS
@pytest.mark.parametrize("how", ["original", "current", "resume"])
def test_what_began_before_a_rename_is_done_again_in_the_group_of_today(kind: str, how: str) -> None:
    known = definitions(kind, NEW)
    found = repeated(kind, known, how)
    assert isinstance(found, Launch)
    group = "new" if kind == "Job" else "workflow/new"
    assert found.membership == Membership(group, "queueOne", 1, 100)
    new = new_run(found, known)
    assert (new.group, new.on_conflict) == (group, "queueOne")
    name = "new" if how == "current" else "old"
    assert found.planned.spec.job == name, "by its own plan a run goes by the name that this has"
    assert found.run == run_id(name, found.cause), "who fills a store from the branch looks for this"


@KINDS
@pytest.mark.parametrize("how", ["original", "resume"])
def test_what_is_gone_is_done_again_in_the_group_that_the_run_was_in(kind: str, how: str) -> None:
    known = definitions(None)
    found = repeated(kind, known, how)
    assert isinstance(found, Launch)
    new = new_run(found, known)
    assert (new.group, new.on_conflict, new.limit, new.max_queue) == ("the-old-group", "queue", 2, 5)


@pytest.mark.parametrize("by", ["names: [new]", "selector: {matchLabels: {tier: web}}"])
@pytest.mark.parametrize("how", ["original", "current", "resume"])
def test_what_began_before_a_rename_is_held_by_the_windows_of_today(how: str, by: str) -> None:
    times = "from: 2026-11-21T01:00:00Z, until: 2026-11-21T03:00:00Z"
    window = f"kind: Window\nmetadata: {{name: w}}\nspec: {{effect: deny, requests: deny, {times}, jobs: {{{by}}}}}\n"
    found = repeated("Job", definitions("Job", NEW, window), how)
    assert isinstance(found, Refuse) and found.reason == "window"


def test_an_inline_job_takes_no_former_name_of_a_job() -> None:
    envelope = {"apiVersion": "opsconductor/v1", "kind": "RunRequest", "metadata": {"name": "old"}}
    spec = {"job": {"targets": {"names": ["here"]}, "steps": [{"run": "uptime"}]}}
    request = RunRequest.model_validate({**envelope, "spec": spec})
    found = judge(request, ActFacts(NOW, NOW, "ana@example.org"), definitions("Job", NEW), NOW)
    assert isinstance(found, Refuse) and found.reason == "nameTaken"
