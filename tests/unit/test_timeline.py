"""A run over time as bars, and what is new about a run."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine.identity import Cause, RunId
from engine.runs.pinned import PinnedSpec, PlannedStep, Script
from engine.states import RunState, StepState
from engine.status.views import RunView
from engine.workflows.workflowplan import NodeJob, PinnedNode, PinnedWorkflow
from journal.attempts import Attempt, Planned
from opsconductor.dashboard.differences import differences
from opsconductor.dashboard.timeline import timeline

AT = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def a_run(started: float | None, finished: float | None) -> RunView:
    return RunView(
        RunId("a-1"), "a", "c" * 40, Cause("request", "x", AT), RunState.RUNNING, AT,
        started_at=None if started is None else after(started),
        finished_at=None if finished is None else after(finished),
    )  # fmt: skip


def attempt(step: str, number: int, begin: float, end: float | None) -> Attempt:
    return Attempt("t", "steps", step, number, StepState.FAILED, after(begin), None if end is None else after(end))


def test_waits_are_hatched_and_attempts_stacked() -> None:
    found = timeline(a_run(20, 100), [attempt("go", 1, 30, 50), attempt("go", 2, 60, 100)], after(500))
    assert found is not None
    row = found["rows"]["t"]
    assert found["waited"] == 20
    assert [(bar["x"], bar["width"]) for bar in row["bars"]] == [(30, 20), (60, 40)]
    assert row["bars"][1]["y"] > row["bars"][0]["y"] + row["bars"][0]["height"]
    assert row["waits"] == [{"x": 20, "width": 10}, {"x": 50, "width": 10}]


def test_of_an_ended_run_an_attempt_without_an_end_is_not_drawn() -> None:
    """It was taken in from the status branch, which has no times of steps: a bar up to the end would be made up."""
    told = [attempt("go", 1, 0, None), attempt("end", 1, 0, None)]
    found = timeline(a_run(20, 100), told, after(500))
    assert found is not None and (found["rows"], found["unknown"]) == ({}, ["t"])
    found = timeline(a_run(20, 100), [*told, attempt("more", 1, 30, 50)], after(500))
    assert found is not None and [bar["step"] for bar in found["rows"]["t"]["bars"]] == ["more"]
    assert found["unknown"] == []


def test_an_attempt_that_was_ended_for_its_runner_is_not_drawn_as_one_that_runs() -> None:
    cut = replace(attempt("go", 1, 30, 50), state=StepState.RUNNING)
    found = timeline(a_run(20, 100), [cut, attempt("go", 2, 60, 100)], after(500))
    assert found is not None and [bar["state"] for bar in found["rows"]["t"]["bars"]] == ["unknown", "failed"]


def test_what_runs_ends_now_and_what_has_not_started_is_not_drawn() -> None:
    found = timeline(a_run(0, None), [attempt("go", 1, 50, None)], after(100))
    assert found is not None
    assert [(bar["x"], bar["width"], bar["seconds"]) for bar in found["rows"]["t"]["bars"]] == [(50, 50, None)]
    assert timeline(a_run(None, None), [], after(100)) is None


def planned(*steps: PlannedStep, commit: str = "a", **more: object) -> Planned:
    spec = PinnedSpec("a", commit * 40, steps)
    return replace(Planned(RunId("a-1"), commit * 40, {"days": 1}, ("x", "y"), {}, spec), **more)  # type: ignore[arg-type]


def step(name: str, text: str = "true") -> PlannedStep:
    return PlannedStep(name, "steps", Script("sh", text))


def test_what_is_new_about_a_run() -> None:
    before = planned(step("one"), step("two"), step("three"))
    now = planned(step("one"), step("two", "false"), step("four"), commit="b", params={"days": 2}, targets=("y", "z"))
    found = differences(before, now)
    assert (found["added"], found["removed"], found["changed"]) == (["four"], ["three"], ["two"])
    assert found["params"] == [{"name": "days", "before": 1, "now": 2}]
    assert (found["targetsAdded"], found["targetsRemoved"]) == (["z"], ["x"])
    assert found["commit"] == {"before": "a" * 40, "now": "b" * 40}
    assert differences(before, replace(now, plan=None))["planKnown"] is False


def test_a_commit_that_leaves_the_nodes_as_they_were_changes_nothing() -> None:
    def workflow(commit: str) -> Planned:
        plan = PinnedSpec("j", commit * 40, (step("one"),))
        node = PinnedNode("n", NodeJob(plan, {}, {}, "default", 0, None, 1, timedelta(hours=1)))
        return replace(planned(), commit=commit * 40, plan=PinnedWorkflow("w", commit * 40, (node,)))

    found = differences(workflow("a"), workflow("b"))
    assert found["commit"] is not None
    assert found["changed"] == []
