"""A run in one sentence: where it went wrong, on how many targets, and for whom it waits."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.identity import Cause, RunId
from engine.states import NodeState, RunState, StepState
from engine.status.views import NodeView, RunView, StepView, TargetView
from engine.workflows.graphfacts import NodeRecord, OpenGate, Verdict
from opsconductor.dashboard.sentence import of_run, why_of

BEGUN = datetime(2026, 11, 22, 2, tzinfo=UTC)
AT = BEGUN + timedelta(seconds=90)


def run(state: RunState, **more: Any) -> RunView:
    facts: dict[str, Any] = {
        "id": RunId("rotate-20261122T020000Z-0123456789"), "job": "rotate", "commit": "0" * 40,
        "cause": Cause("schedule", "nightly", BEGUN), "queued_at": BEGUN, "params": {}, "targets": (),
        "results": (), "attempt": 1, "started_at": BEGUN,
    }  # fmt: skip
    return RunView(**(facts | {"state": state} | more))


def place(name: str, state: StepState) -> TargetView:
    error = None if state is StepState.SUCCEEDED else "exit code 3"
    return TargetView(name, state, steps=(StepView("rotate", state, error=error),))


def test_it_says_on_which_of_how_many_targets_and_where_first() -> None:
    results = (place("web-01", StepState.SUCCEEDED), place("web-02", StepState.FAILED))
    bad = run(RunState.FAILED, targets=("web-01", "web-02"), results=results, finished_at=AT)
    assert of_run(bad, AT, 60.0) == (
        "after 1m30s, on web-02 (1 of 2 targets), first in step rotate on web-02: exit code 3, usually it takes 1m"
    )


def test_of_one_target_nothing_is_counted() -> None:
    one = run(RunState.FAILED, targets=("db-01",), results=(place("db-01", StepState.FAILED),), finished_at=AT)
    assert of_run(one, AT, None) == "after 1m30s, on db-01, first in step rotate on db-01: exit code 3"


def test_a_gate_waits_for_people_and_a_wait_for_nobody() -> None:
    nodes = tuple(
        NodeView(kind, None, (), NodeRecord(name, NodeState.WAITING))
        for name, kind in (("ask", "gate"), ("rest", "wait"))
    )
    held = run(RunState.RUNNING, workflow=True, nodes=nodes)
    assert of_run(held, AT, None) == "for 1m30s, it waits for people at ask"


@pytest.mark.parametrize(
    ("kind", "record", "why"),
    [
        ("gate", {"state": NodeState.WAITING, "until": AT}, "waits for people until 2026-11-22T02:01:30Z"),
        ("wait", {"state": NodeState.WAITING, "until": AT}, "waits until 2026-11-22T02:01:30Z"),
        ("gate", {"state": NodeState.WAITING, "until": AT, "votes": [("ann", True, "")]},
         "waits for people until 2026-11-22T02:01:30Z; approved by ann"),
        ("gate", {"state": NodeState.SUCCEEDED, "until": AT, "votes": [("ann", True, ""), ("bob", True, "seen\nit")]},
         "approved by ann; approved by bob: seen it"),
        ("gate", {"state": NodeState.FAILED, "reason": "rejected", "votes": [("bob", False, "no")]}, "rejected"),
        ("job", {"state": NodeState.RUNNING}, ""),
    ],
)  # fmt: skip
def test_a_node_says_for_whom_it_waits_and_who_has_answered(kind: str, record: dict[str, Any], why: str) -> None:
    votes = record.pop("votes", None)
    verdicts = tuple(Verdict(by, yes, BEGUN, "act", reason) for by, yes, reason in votes or ())
    gate = None if votes is None else OpenGate("sha256:00", verdicts=verdicts)
    assert why_of(NodeView(kind, None, (), NodeRecord("ask", gate=gate, **record))) == why
