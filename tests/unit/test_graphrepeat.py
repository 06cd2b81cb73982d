"""Doing a workflow's run again: which results are taken over, and which gates ask again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from engine.runs.repetition import NotRepeatable
from engine.states import NodeState, RunState
from engine.status.readback import parse_run_file
from engine.status.readmodel import run_files
from engine.status.views import NodeView, RunView
from engine.workflows import gates
from engine.workflows.graphfacts import NodeRecord
from engine.workflows.graphrepeat import taken_over
from engine.workflows.workflowplan import PinnedWorkflow, shape
from schemas.act import RunRequestSpec
from tests.unit.test_workflow import CAUSE, START, World, planned

GATED = """    build: {jobRef: work}
    ask: {approval: {count: 1}, needs: [build]}
    stage: {jobRef: work, needs: [ask]}
    ship: {jobRef: work, needs: [stage, build], params: {p: "as ${{ jobs.build.outputs.o }}"}}
"""
AGAIN = replace(CAUSE, name="again")


def ended(plan: PinnedWorkflow, records: Mapping[str, NodeRecord], **more: Any) -> RunView:
    drawn = shape(plan)
    nodes = tuple(NodeView(*drawn[name], record) for name, record in records.items())
    view = RunView(
        World(plan).facts.run.id, "w", plan.commit, CAUSE, RunState.FAILED, START, params={"x": None},
        finished_at=START, workflow=True, nodes=nodes,
    )  # fmt: skip
    return replace(view, **more)


def released(text: str = GATED) -> tuple[PinnedWorkflow, dict[str, NodeRecord]]:
    """All went well, the gate's approval included, and `ship` failed at last."""
    world = World(planned(text))
    world.settle()
    world.end("build", 0, RunState.SUCCEEDED)
    world.settle()
    world.records["ask"] = replace(world.records["ask"], state=NodeState.SUCCEEDED, ended_at=START)
    world.settle()
    world.end("stage", 0, RunState.SUCCEEDED)
    world.settle()
    world.end("ship", 0, RunState.FAILED)
    world.settle()
    assert world.finished is not None
    return world.plan, world.records


def kept(
    plan: PinnedWorkflow, records: Mapping[str, NodeRecord], asked: str, cause: Any = AGAIN, **more: Any
) -> set[str]:
    spec: dict[str, Any] = {"action": "rerun", "run": "w-1", **dict(part.split("=") for part in asked.split())}
    spec |= {"failedOnly": True} if spec.pop("failedOnly", None) else {}
    found = taken_over(RunRequestSpec.model_validate(spec), ended(plan, records, **more), plan, cause)
    assert not isinstance(found, NotRepeatable), found
    assert all(one.inherited for one in found.values())
    return set(found)


def test_what_was_approved_is_done_again_without_another_question() -> None:
    plan, records = released()
    assert kept(plan, records, "fromStep=ship") == {"build", "ask", "stage"}
    assert kept(plan, records, "failedOnly=true") == {"build", "ask", "stage"}


def test_a_gate_asks_again_where_it_would_show_something_else() -> None:
    plan, records = released()
    assert kept(plan, records, "fromStep=ship at=current") == {"build"}, "another plan, and other params"
    assert kept(plan, records, "fromStep=ship", params={"x": "evil"}) == {"build", "ask", "stage"}, "none are shown"
    tagged = GATED.replace("jobs.build.outputs.o", "params.x == null ? 'none' : 'some'")
    plan, records = released(tagged)
    assert kept(plan, records, "fromStep=ship") == {"build", "ask", "stage"}
    assert kept(plan, records, "fromStep=ship", params={"x": "evil"}) == {"build"}
    plan, records = released(GATED.replace("jobs.build.outputs.o", "run.id"))
    assert kept(plan, records, "fromStep=ship") == {"build"}, "its own name is another one"


@pytest.mark.parametrize("before", [True, False])
def test_a_value_that_was_shown_and_is_made_anew_is_asked_about(before: bool) -> None:
    """One that was not known yet was approved as an expression, whatever comes of it."""
    text = GATED.replace("needs: [stage, build]", "needs: [stage, lint]").replace("jobs.build", "jobs.lint")
    world = World(planned(f"    lint: {{jobRef: work}}\n{text}"))
    world.settle()
    for name in ("lint", "build") if before else ("build", "lint"):
        world.end(name, 0, RunState.SUCCEEDED)
        world.settle()
    records = world.records | {
        name: NodeRecord(name, NodeState.FAILED, START, None, START) for name in ("stage", "ship")
    }
    records["ask"] = replace(records["ask"], state=NodeState.SUCCEEDED, ended_at=START)
    assert "ask" in kept(world.plan, records, "fromStep=ship"), "it is the same value"
    assert ("ask" in kept(world.plan, records, "fromStep=lint")) != before


def test_who_asked_cannot_inherit_a_yes_that_may_be_his() -> None:
    plan, records = released(GATED.replace("count: 1", "count: 1, notRequester: true"))
    assert "ask" in kept(plan, records, "fromStep=ship")
    assert "ask" not in kept(plan, records, "fromStep=ship", replace(AGAIN, requested_by="bob@example.org"))


def test_without_what_it_showed_no_gate_is_passed() -> None:
    plan, records = released()
    records["ask"] = replace(records["ask"], gate=None, inherited=True)
    assert kept(plan, records, "fromStep=ship") == {"build"}


def test_nothing_behind_a_gate_that_asks_again_is_ahead_of_it() -> None:
    """`ship` needs the gate only through `stage`: were that taken over, nothing would hold it."""
    plan, records = released()
    spec = RunRequestSpec.model_validate({"action": "rerun", "run": "w-1", "fromStep": "ship", "at": "current"})
    found = taken_over(spec, ended(plan, records), plan, AGAIN)
    assert not isinstance(found, NotRepeatable)
    world = World(plan, records=dict(found))
    world.settle()
    assert {name: record.state for name, record in world.records.items()} == {"build": "succeeded", "ask": "waiting"}
    gate = world.records["ask"].gate
    assert gate is not None
    assert [one["id"] for one in gate.shown["next"]] == ["stage", "ship"]


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"action": "rerun", "failedOnly": True}, True),
        ({"action": "resume"}, True),
        ({"action": "rerun", "fromStep": "c"}, True),
        ({"action": "rerun", "fromStep": "b"}, False),
        ({"action": "rerun", "fromStep": "a"}, False),
        ({"action": "rerun"}, False),
    ],
)
def test_what_nobody_knows_the_end_of_is_begun_again_by_name_only(asked: dict[str, Any], refused: bool) -> None:
    plan = planned(
        "    a: {jobRef: work}\n    b: {jobRef: work, needs: [a], if: '${{ failure() }}'}\n    c: {jobRef: work}\n"
    )
    states = {"a": NodeState.FAILED, "b": NodeState.UNKNOWN, "c": NodeState.FAILED}
    records = {name: NodeRecord(name, state, START, None, START) for name, state in states.items()}
    found = taken_over(RunRequestSpec.model_validate({"run": "w-1", **asked}), ended(plan, records), plan, AGAIN)
    assert isinstance(found, NotRepeatable) == refused
    assert not isinstance(found, NotRepeatable) or (found.reason == "unproven" and "'b'" in found.message)


def test_a_gate_is_opened_again_though_another_node_ended_in_the_same_breath() -> None:
    """Both stand in the run's file with one time; the gate was opened without knowing of that end."""
    world = World(
        planned(
            """    ask: {approval: {count: 1}}
    skip: {jobRef: work, if: "${{ params.x == 'a' }}"}
    ship: {jobRef: work, needs: [ask, skip], if: "${{ always() }}", params: {p: "${{ string(jobs.skip.state) }}"}}
"""
        )
    )
    for move in world.moves():
        world.apply(move)
    assert world.state("skip") is NodeState.SKIPPED
    records = {node.id: world.records.get(node.id) or NodeRecord(node.id) for node in world.plan.nodes}
    state = {"state": RunState.RUNNING, "finished_at": None, "started_at": START, "attempt": 1}
    (text,) = run_files(ended(world.plan, records, **state)).values()
    view = parse_run_file(text)
    opened = gates.reopened(world.plan, view)
    assert opened is not None
    assert opened[0].record.gate == records["ask"].gate
