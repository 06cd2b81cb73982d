"""An act is judged by its own facts, against the definitions in force."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.judge import ActFacts, Cancel, Launch, Refuse, judge, scheduled
from engine.runs.pinned import dump
from engine.runs.repetition import Original
from engine.states import NodeState, RunState
from engine.status.views import NodeView, RunView
from engine.workflows.graphfacts import NodeRecord
from engine.workflows.graphrepeat import OriginalGraph
from engine.workflows.workflowplan import NodeJob, PinnedWorkflow
from reconciler.launches import new_run
from schemas.act import RunRequest
from schemas.reader import read
from tests.catalogs import HEAD, catalog, job, local_target

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
RESTART = job(
    "restart", spec="  targets: {selector: {}}\n  params: {days: {type: integer, default: 14}}\n  priority: 7\n"
)
CATALOG = catalog(
    local_target("web-01", "{role: web}"),
    local_target("db-01", "{role: db}"),
    RESTART,
)


def request(spec: str, name: str = "ask") -> RunRequest:
    parsed = read(f"{HEAD}kind: RunRequest\nmetadata: {{name: {name}}}\nspec: {spec}\n".encode(), "requests/ask.yaml")
    (authored,) = parsed.documents
    assert isinstance(authored.document, RunRequest)
    return authored.document


def facts(**changes: object) -> ActFacts:
    given = {"committed_at": NOW - timedelta(seconds=5), "first_seen": NOW, "requested_by": "ana@example.org"}
    return ActFacts(**{**given, **changes})  # type: ignore[arg-type]


def test_a_start_becomes_a_run_named_after_its_cause() -> None:
    found = judge(request("{jobRef: restart, reason: kernel}"), facts(), CATALOG, NOW)
    assert isinstance(found, Launch)
    assert found.run.startswith("restart-20261121T015955Z-")
    assert (found.cause.requested_by, found.cause.reason, found.priority) == ("ana@example.org", "kernel", 7)
    assert found.planned.params == {"days": 14}
    assert [target.name for target in found.planned.spec.targets] == ["db-01", "web-01"]


def test_the_same_act_gives_the_same_run() -> None:
    first, second = (judge(request("{jobRef: restart}"), facts(first_seen=NOW + d), CATALOG, NOW) for d in _TWO_LOOKS)
    assert isinstance(first, Launch)
    assert isinstance(second, Launch)
    assert (first.run, dump(first.planned.spec)) == (second.run, dump(second.planned.spec))


_TWO_LOOKS = (timedelta(0), timedelta(minutes=3))


def test_a_limit_narrows_the_targets() -> None:
    found = judge(request("{jobRef: restart, limit: {names: [web-01]}}"), facts(), CATALOG, NOW)
    assert isinstance(found, Launch)
    assert [target.name for target in found.planned.spec.targets] == ["web-01"]


def test_not_before_is_the_instant_of_the_run() -> None:
    found = judge(request("{jobRef: restart, notBefore: '2026-11-21T05:00:00Z'}"), facts(), CATALOG, NOW)
    assert isinstance(found, Launch)
    assert found.starts_at == datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert found.run.startswith("restart-20261121T050000Z-")


def test_an_inline_job_runs_under_the_name_of_its_request() -> None:
    found = judge(request("{job: {targets: {names: [web-01]}, steps: [{run: uptime}]}}"), facts(), CATALOG, NOW)
    assert isinstance(found, Launch)
    assert (found.planned.spec.job, found.job) == ("ask", None)


def test_an_inline_job_takes_no_jobs_name() -> None:
    """Its run would count among the job's, and set off what listens for the job's ends."""
    spec = "{job: {targets: {names: [web-01]}, steps: [{run: uptime}]}}"
    found = judge(request(spec, name="restart"), facts(), CATALOG, NOW)
    assert isinstance(found, Refuse) and found.reason == "nameTaken"


def test_who_asks_for_a_former_name_hears_todays() -> None:
    """A request is for what it names: what has another name may do other things by now."""
    renamed = "kind: Job\nmetadata: {name: b, previousNames: [a]}\nspec: {steps: [{uses: dummy}]}\n"
    found = judge(request("{jobRef: a}"), facts(), catalog(renamed), NOW)
    assert isinstance(found, Refuse) and found.message.endswith("; it is called 'b' now")


def test_a_cancel_names_its_run_and_who_asked() -> None:
    found = judge(request("{action: cancel, run: restart-x, reason: wrong host}"), facts(), CATALOG, NOW)
    assert found == Cancel("restart-x", by="ana@example.org", reason="wrong host")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "changes", "reason"),
    [
        ("{jobRef: nothing}", {}, "unknownJob"),
        ("{jobRef: restart, limit: {names: [web-01, nobody]}}", {}, "unknownTarget"),
        ("{jobRef: restart, limit: {groups: [none]}}", {}, "unknownTarget"),
        ("{job: {targets: {names: [nobody]}, steps: [{run: uptime}]}}", {}, "unknownTarget"),
        ("{jobRef: restart, limit: {selector: {matchLabels: {role: mail}}}}", {}, "noTargets"),
        ("{jobRef: restart, params: {days: soon}}", {}, "badParams"),
        ("{jobRef: restart, params: {weeks: 2}}", {}, "badParams"),
        ("{jobRef: restart}", {"store_lost": True}, "storeLost"),
        ("{jobRef: restart}", {"was_there_before": True}, "tooOld"),
        ("{jobRef: restart, expiresAt: '2026-11-21T01:59:59Z'}", {}, "expired"),
        ("{jobRef: restart}", {"first_seen": NOW - timedelta(hours=1)}, "expired"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(spec: str, changes: dict[str, object], reason: str) -> None:
    found = judge(request(spec), facts(**changes), CATALOG, NOW)
    assert isinstance(found, Refuse)
    assert found.reason == reason
    assert found.message


def test_a_run_done_again_by_its_own_plan_stays_in_its_pool() -> None:
    """Also where its job is gone, or lies in another pool today: its credentials were judged for that one."""
    first = judge(request("{jobRef: restart}"), facts(), CATALOG, NOW)
    assert isinstance(first, Launch)
    spec = first.planned.spec
    view = RunView(
        id=first.run, job="restart", commit=spec.commit, cause=first.cause, state=RunState.FAILED, queued_at=NOW,
        params=first.planned.params, targets=("db-01", "web-01"),
    )  # fmt: skip
    was = Original(view, spec, {}, "eu")
    for known in (CATALOG, catalog(local_target("web-01"), local_target("db-01"))):
        again = judge(request(f"{{action: rerun, run: {first.run}}}", "again"), facts(original=was), known, NOW)
        assert isinstance(again, Launch)
        assert new_run(again, known).pool == "eu"
        assert new_run(again, known).rerun_of == first.run
    today = judge(
        request(f"{{action: rerun, run: {first.run}, at: current}}", "again"), facts(original=was), CATALOG, NOW
    )
    assert isinstance(today, Launch)
    assert new_run(today, CATALOG).pool == "default"


FLOW = (
    "kind: Workflow\nmetadata: {name: flow}\n"
    "spec: {jobs: {first: {jobRef: restart}, ask: {approval: {}, needs: [first]}}}\n"
)


@pytest.mark.parametrize(("asked", "has", "own"), [("", 7, 0), (", priority: 0", 0, 0), (", priority: 9", 9, 9)])
def test_the_priority_that_somebody_asks_for_is_that_of_a_workflows_jobs_also_0(asked: str, has: int, own: int) -> None:
    """By a request or a Schedule; that of the jobs counts where nobody says one."""
    nightly = f"kind: Schedule\nmetadata: {{name: nightly}}\nspec: {{workflowRef: flow, every: 1h{asked}}}\n"
    known = catalog(local_target("web-01"), RESTART, FLOW, nightly)
    for found in (
        judge(request(f"{{workflowRef: flow{asked}}}"), facts(), known, NOW),
        scheduled(known, "nightly", NOW),
    ):
        assert isinstance(found, Launch)
        assert isinstance(found.planned.spec, PinnedWorkflow)
        (node,) = [node.action for node in found.planned.spec.nodes if isinstance(node.action, NodeJob)]
        assert (node.priority, found.priority) == (has, own)


@pytest.mark.parametrize("how", ["action: rerun", "action: rerun, at: current", "action: resume"])
@pytest.mark.parametrize(
    ("asked", "again", "has", "own"),
    [
        ("", "", 7, 0),
        (", priority: 9", "", 9, 9),
        (", priority: -3", "", -3, -3),
        (", priority: 9", ", priority: 0", 0, 0),
        (", priority: 9", ", priority: 4", 4, 4),
    ],
)
def test_a_workflow_done_again_has_the_priority_it_had_where_nobody_asks_for_another(
    how: str, asked: str, again: str, has: int, own: int
) -> None:
    known = catalog(local_target("web-01"), RESTART, FLOW)
    first = judge(request(f"{{workflowRef: flow{asked}}}"), facts(), known, NOW)
    assert isinstance(first, Launch) and isinstance(first.planned.spec, PinnedWorkflow)
    view = RunView(
        first.run, "flow", known.commit, first.cause, RunState.FAILED, NOW, on_targets=False, finished_at=NOW,
        workflow=True, priority=new_run(first, known).priority,
        nodes=(
            NodeView("job", "restart", (), NodeRecord("first", NodeState.FAILED)),
            NodeView("approval", None, ("first",), NodeRecord("ask", NodeState.SKIPPED)),
        ),
    )  # fmt: skip
    known_of = facts(original=OriginalGraph(view, first.planned.spec, None))
    found = judge(request(f"{{{how}, run: {first.run}{again}}}"), known_of, known, NOW)
    assert isinstance(found, Launch) and isinstance(found.planned.spec, PinnedWorkflow)
    (node,) = [node.action for node in found.planned.spec.nodes if isinstance(node.action, NodeJob)]
    assert (found.priority or node.priority, found.priority) == (has, own), "as the journal starts the runs of nodes"


@pytest.mark.parametrize(("said", "has"), [("", 7), (", priority: 0", 0), (", priority: 9", 9)])
def test_the_priority_of_a_schedule_counts_before_that_of_its_job(said: str, has: int) -> None:
    hourly = f"kind: Schedule\nmetadata: {{name: hourly}}\nspec: {{jobRef: restart, every: 1h{said}}}\n"
    found = scheduled(catalog(local_target("web-01"), RESTART, hourly), "hourly", NOW)
    assert isinstance(found, Launch)
    assert found.priority == has
