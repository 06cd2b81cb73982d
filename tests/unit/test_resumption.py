"""Whether an open run on the status branch can go on: planned again, or the reason why not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.identity import Cause, run_id
from engine.judge import Launch
from engine.runs.pinned import RUNNER
from engine.runs.resumption import Unprovable, resumed
from engine.states import RunState, StepState
from engine.status.views import RunView, StepView, TargetView
from schemas.act import RunRequest
from schemas.reader import read
from tests.catalogs import HEAD, catalog, local_target

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
S = StepState


def written(name: str, steps: str, rest: str = "targets: {selector: {}}") -> str:
    return f"kind: Job\nmetadata: {{name: {name}}}\nspec:\n  {rest}\n  steps:\n{steps}"


THREE = "    - {id: a, run: 'true'}\n    - {id: b, run: 'true'}\n    - {id: c, run: 'true'}\n"
TWO = "    - {id: a, uses: dummy}\n    - {id: b, uses: dummy}\n"
READS = (
    "    - {id: a, run: 'true', outputs: {n: '${{ stdout }}'}}\n    - {id: b, run: 'echo ${{ steps.a.outputs.n }}'}\n"
    "    - {id: c, run: 'echo ${{ steps.a.stdout }}'}\n"
)
TRIES = "    - {id: z, run: 'true'}\n    - {id: a, run: 'echo ${{ steps.z.stdout }}', retry: {maxAttempts: 2}}\n"
LAST = "targets: {selector: {}}\n  finally: [{id: f, run: 'echo ${{ steps.b.json }}'}]"
CATALOG = catalog(
    local_target("web-01"),
    local_target("web-02"),
    written("three", THREE),
    written("reads", READS),
    written("last", THREE, LAST),
    written("gives", THREE, "targets: {selector: {}}\n  outputs: {x: '${{ steps.a.stderr }}'}"),
    written(
        "alone",
        TWO,
        "params: {days: {type: integer, default: 14}}\n  priority: 7",
    ),
    written("each", "    - {id: a, run: 'true', forEach: {items: [1, 2]}, rescue: [{id: r, run: 'true'}]}\n"),
    written("mends", "    - {id: a, run: 'true', rescue: [{run: 'echo ${{ steps.a.stdout }}'}]}\n"),
    written("tries", TRIES),
    "kind: Schedule\nmetadata: {name: nightly}\nspec: {jobRef: three, every: 1h}\n",
    "kind: Workflow\nmetadata: {name: release}\nspec: {jobs: {first: {jobRef: three}, ask: {approval: {}}}}\n",
)
CAUSE = Cause("request", "ask", NOON, requested_by="ana@example.org")


def node(name: str | None) -> Cause:
    return Cause("workflow", "release-20261121T120000Z-0123456789", NOON, node=name)


def step(name: str, state: StepState = S.SUCCEEDED, *, continued: bool = False) -> StepView:
    return StepView(name, state, continued=continued)


def on(name: str, *steps: StepView, state: StepState = S.RUNNING) -> TargetView:
    return TargetView(name, state, {}, steps)


def run(job: str, *results: TargetView, cause: Cause = CAUSE, **more: object) -> RunView:
    view = RunView(
        id=run_id(job, cause), job=job, commit=CATALOG.commit, cause=cause, state=RunState.QUEUED, queued_at=NOON,
        targets=("web-01", "web-02"), results=results, attempt=1,
    )  # fmt: skip
    return replace(view, **more)  # type: ignore[arg-type]


def test_it_is_planned_as_it_was() -> None:
    later = NOON + timedelta(hours=1)
    view = run("alone", on(RUNNER, step("a")), on_targets=False, targets=(), params={"days": 3}, priority=9)
    found = resumed(replace(view, starts_at=later), CATALOG)
    assert isinstance(found, Launch)
    assert (found.run, found.cause, found.planned.params) == (view.id, CAUSE, {"days": 3})
    assert (found.priority, found.starts_at) == (9, later), "as it was queued, not as the job has it"
    assert found.job == CATALOG.jobs["alone"].spec
    assert found.planned.spec.commit == view.commit


def test_targets_are_those_of_the_file() -> None:
    found = resumed(run("three", targets=("web-02",)), CATALOG)
    assert isinstance(found, Launch)
    assert [target.name for target in found.planned.spec.targets] == ["web-02"]


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (run("three", on("web-01", step("a"), step("b"))), None),
        (run("three", on("web-01", step("a", S.UNKNOWN))), None),
        (run("three", on("web-01", step("a"), step("b", S.RUNNING))), "'b' on web-01 had started"),
        (run("three", on("web-01", step("z"))), "a step 'z' on web-01"),
        (run("three", on("web-99", step("a"))), "a target web-99"),
        (run("three", targets=("web-01", "web-99")), "does not give it the targets"),
        (run("three", targets=(), on_targets=False), "does not give it the targets"),
        (run("alone", on_targets=False, targets=(), params={"x": 1}), "no param 'x'"),
        (run("gone"), "no Job 'gone'"),
        # Text that something ahead reads, and only there.
        (run("reads"), None),
        (run("reads", on("web-01", step("a"))), "on web-01 reads what step 'a' printed"),
        (run("reads", on("web-01", step("a", S.SKIPPED))), None),
        (run("reads", on("web-01", step("a", S.FAILED))), None),
        (run("reads", on("web-01", step("a", S.FAILED, continued=True))), "step 'a' printed"),
        (run("reads", on("web-01", step("a"), step("b"), step("c"), state=S.SUCCEEDED)), None),
        (run("last", on("web-01", step("a"))), None),
        (run("last", on("web-01", step("a"), step("b", S.FAILED))), "step 'b' printed"),
        (run("gives", on("web-01", step("a"), step("b"), step("c"))), "step 'a' printed"),
        # Loops, rescues and attempts.
        (run("each", on("web-01", step("a", S.RUNNING), step("a[0]"))), None),
        (run("each", on("web-01", step("a", S.RUNNING), step("a[0]", S.RUNNING))), "'a[0]' on web-01 had started"),
        (run("each", on("web-01", step("a", S.RUNNING), step("a[1]", S.FAILED), step("a[1]/r"))), None),
        (run("each", on("web-01", step("a", S.RUNNING), step("b[0]"))), "a step 'b[0]' on web-01"),
        (run("three", on("web-01", step("a/r"))), "a step 'a/r' on web-01"),
        (run("mends", on("web-01", step("a", S.FAILED))), "step 'a' printed"),
        (run("mends", on("web-01", step("a", S.FAILED), step("a/rescue_1", S.FAILED))), None),
        (run("tries", on("web-01", step("z"), step("a", S.FAILED))), None),
        (run("tries", on("web-01", step("z"), replace(step("a", S.FAILED), again=True))), "step 'z' printed"),
        # What somebody has written to the branch by hand.
        (run("three", id="three-20261121T120000Z-0123456789"), "its name does not follow"),
        (run("three", cause=Cause("schedule", "nightly", NOON)), None),
        (run("reads", cause=Cause("schedule", "nightly", NOON)), "no Schedule 'nightly' starts the job 'reads'"),
        (run("three", cause=node("first")), None),
        (run("reads", cause=node("first")), "no node 'first' runs the job 'reads'"),
        (run("three", cause=node("ask")), "no node 'ask' runs the job 'three'"),
        (run("three", cause=node("gone")), "no node 'gone' runs the job 'three'"),
        (run("three", cause=node(None)), "no node 'None' runs the job 'three'"),
    ],
)
def test_it_goes_on_or_says_why_not(view: RunView, why: str | None) -> None:
    found = resumed(view, CATALOG)
    if why is None:
        assert isinstance(found, Launch), found
    else:
        assert isinstance(found, Unprovable)
        assert why in found.message


def act(spec: str) -> RunRequest:
    (one,) = read(f"{HEAD}kind: RunRequest\nmetadata: {{name: ask}}\nspec: {spec}\n".encode(), "a.yaml").documents
    assert isinstance(one.document, RunRequest)
    return one.document


def test_an_inline_run_is_planned_from_the_text_of_its_request() -> None:
    view = run("ask", on("web-01", step("step_1")), inline=True)
    found = resumed(view, CATALOG, act("{job: {targets: {selector: {}}, steps: [{run: 'true'}, {run: 'false'}]}}"))
    assert isinstance(found, Launch)
    assert found.job is None
    assert [one.id for one in found.planned.spec.steps] == ["step_1", "step_2"]
    for other in (None, act("{jobRef: three}")):
        lost = resumed(view, CATALOG, other)
        assert isinstance(lost, Unprovable)
        assert "'ask'" in lost.message
