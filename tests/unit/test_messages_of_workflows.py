"""What is told of a workflow's run: which node went wrong and why, and of one that was ended how far it had come."""

from datetime import UTC, datetime

import pytest

from engine.identity import Cause, RunId
from engine.notifications import noticecontext
from engine.notifications.notices import Event
from engine.notifications.noticewords import words
from engine.states import NodeState, RunState
from engine.status.views import NodeView, RunView
from engine.workflows.graphfacts import NodeRecord
from tests.catalogs import catalog as compiled

AT = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
COUNT = "4 items: 1 succeeded, 1 cancelled, 2 did not begin"
LONELY = "the run was ended before"


def node(name: str, state: NodeState, reason: str | None = None, *, runs: int = 0) -> NodeView:
    record = NodeRecord(name, state, reason=reason, runs=tuple(RunId(f"{name}-{n}") for n in range(runs)))
    return NodeView("job", "work", (), record)


@pytest.mark.parametrize(
    ("state", "event", "nodes", "why"),
    [
        (
            RunState.CANCELLED,
            "run.cancelled",
            (node("a", NodeState.CANCELLED, COUNT, runs=2), node("b", NodeState.CANCELLED, LONELY)),
            f"node a cancelled: {COUNT}",
        ),
        (RunState.CANCELLED, "run.cancelled", (node("b", NodeState.CANCELLED, LONELY),), "by ann"),
        (
            RunState.UNKNOWN,
            "run.unknown",
            (
                node("a", NodeState.FAILED, "2 items: 1 succeeded, 1 failed", runs=2),
                node("b", NodeState.UNKNOWN),
                node("c", NodeState.FAILED),
            ),
            "node a failed: 2 items: 1 succeeded, 1 failed (and 2 more nodes)",
        ),
        (
            RunState.FAILED,
            "run.failed",
            (node("a", NodeState.FAILED), node("b", NodeState.TIMED_OUT)),
            "node a failed (and 1 more node)",
        ),
    ],
)
def test_a_message_says_which_node_it_was_and_how_many_items_ended(
    state: RunState, event: str, nodes: tuple[NodeView, ...], why: str
) -> None:
    cause = Cause("request", "r", AT)
    run = RunView(RunId("w-1"), "w", "c" * 40, cause, state, AT, message="by ann", nodes=nodes, workflow=True)
    happened = Event("1", event, AT, "Workflow", "w", "w-1", {})  # type: ignore[arg-type]
    said = words(noticecontext.context_of(happened, (), run, compiled(), None))
    assert f"Why: {why}" in said.text.splitlines()
