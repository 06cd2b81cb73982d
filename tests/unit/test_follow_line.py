"""What the console says of a run that it follows: of each target what became of it, and of none what did not."""

import pytest

from opsconductor.follow import _line, say_what_failed

_STEP = {"id": "one", "state": "succeeded"}


def said(state: str, targets: dict[str, str], *, of: int = 5, reason: str | None = None) -> str:
    """`targets` by their states; one whose state begins with `no-` never began."""
    places = {
        name: {"state": one.removeprefix("no-"), "steps": [] if one.startswith("no-") else [_STEP]}
        for name, one in targets.items()
    }
    run = {
        "metadata": {"name": "it"},
        "spec": {"targets": [f"t{at}" for at in range(of)]},
        "status": {"state": state, "reason": reason, "targets": places},
    }
    return _line({"status": {"state": "accepted"}}, run)


SKIPPED = {f"t{at}": "no-skipped" for at in range(1, 5)}


@pytest.mark.parametrize(
    ("state", "targets", "line"),
    [
        ("queued", {}, "queued, 0 of 5 targets"),
        ("running", {"t0": "running", "t1": "failed", "t2": "succeeded"}, "running, 2 of 5 targets"),
        ("succeeded", {f"t{at}": "succeeded" for at in range(5)}, "succeeded, 5 of 5 targets"),
        ("failed", {"t0": "failed", **SKIPPED}, "failed on 1 of 5 targets, 4 not started"),
        ("failed", {"t0": "unreachable", "t1": "failed", "t2": "succeeded"}, "failed on 2 of 5 targets, 2 not started"),
        (
            "timedOut",
            {"t0": "timedOut", "t1": "failed", "t2": "succeeded", "t3": "no-timedOut"},
            "timedOut on 1 of 5 targets, 1 failed, 2 not started",
        ),
        ("cancelled", {}, "cancelled, 5 of 5 targets not started"),
        ("cancelled", {f"t{at}": "no-cancelled" for at in range(5)}, "cancelled, 5 of 5 targets not started"),
        ("cancelled", {"t0": "succeeded", "t1": "cancelled"}, "cancelled on 1 of 5 targets, 3 not started"),
        ("unknown", {"t0": "unknown", "t1": "failed"}, "unknown on 1 of 5 targets, 1 failed"),
        ("unknown", {"t0": "running", "t1": "succeeded"}, "unknown, 1 of 5 targets, 1 without an end"),
    ],
)
def test_a_target_is_counted_as_what_became_of_it(state: str, targets: dict[str, str], line: str) -> None:
    assert said(state, targets) == f"it: {line}"


def test_why_it_ended_stands_at_the_end() -> None:
    line = said("failed", {"t0": "failed", **SKIPPED}, reason="batchFailed")
    assert line == "it: failed on 1 of 5 targets, 4 not started (batchFailed)"


def test_a_run_without_targets_has_none_to_count() -> None:
    assert said("failed", {}, of=0) == "it: failed"


def test_of_a_workflow_that_was_cancelled_the_nodes_that_had_begun_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    count = "4 items: 1 succeeded, 1 cancelled, 2 did not begin"
    nodes = {
        "each": {"state": "cancelled", "runs": ["w-1", "w-2"], "reason": count},
        "after": {"state": "cancelled", "reason": "the run was ended before"},
    }
    say_what_failed({"status": {"state": "cancelled", "nodes": nodes}})
    assert capsys.readouterr().err.splitlines() == [f"    each cancelled: {count}"]
