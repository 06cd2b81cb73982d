"""Which part of a run is done again, and what is taken over from it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.identity import Cause, run_id
from engine.runs.pinned import RUNNER, PinnedSpec, PinnedTarget, PlannedStep, Use
from engine.runs.progress import StepRecord
from engine.runs.repetition import NotRepeatable, Original, Repetition, repeated
from engine.states import RunState, StepState
from engine.status.views import RunView, TargetView
from schemas.act import RunRequestSpec

S = StepState
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CAUSE = Cause("request", "one", NOON)
STEPS = tuple(PlannedStep(name, "steps", Use("dummy")) for name in "abc")
LAST = PlannedStep("f", "finally", Use("dummy"))


def target(name: str) -> PinnedTarget:
    return PinnedTarget(name, labels={"place": name})


SPEC = PinnedSpec("j", "c" * 40, (*STEPS, LAST), tuple(target(name) for name in ("t1", "t2", "t3")), on_targets=True)


def done(name: str, state: StepState = S.SUCCEEDED, **more: Any) -> StepRecord:
    return StepRecord("steps", name, state, **more)


def original(spec: PinnedSpec = SPEC, *, state: RunState = RunState.FAILED, **places: tuple[Any, ...]) -> Original:
    """`t1=(state of the target, records...)`."""
    view = RunView(
        id=run_id("j", CAUSE), job="j", commit=spec.commit, cause=CAUSE, state=state, queued_at=NOON,
        targets=tuple(one.name for one in spec.targets), on_targets=spec.on_targets,
        results=tuple(TargetView(name.replace("_", "-"), found[0]) for name, found in places.items()),
    )  # fmt: skip
    return Original(view, spec, {name.replace("_", "-"): tuple(found[1:]) for name, found in places.items()}, "eu")


def asked(action: str = "rerun", **written: Any) -> RunRequestSpec:
    return RunRequestSpec.model_validate({"action": action, "run": "j-1", **written})


WAS = original(
    t1=(S.SUCCEEDED, done("a"), done("b"), done("c")),
    t2=(S.FAILED, done("a", outputs={"n": 1}), done("b", S.FAILED)),
    t3=(S.UNREACHABLE, done("a", S.UNREACHABLE)),
)


def names(found: Repetition | NotRepeatable) -> list[str]:
    assert isinstance(found, Repetition), found
    return [one.name for one in found.spec.targets]


def test_what_never_began_did_not_fail() -> None:
    """Too many failures kept them from it: what failed is done again without them, and a resume takes them."""
    halted = original(t1=(S.FAILED, done("a", S.FAILED)), t2=(S.SKIPPED,), t3=(S.SKIPPED,))
    assert names(repeated(asked(failedOnly=True), halted, SPEC)) == ["t1"]
    assert names(repeated(asked("resume"), halted, SPEC)) == ["t1", "t2", "t3"]


def carried(found: Repetition | NotRepeatable) -> dict[str, list[tuple[str, StepState]]]:
    assert isinstance(found, Repetition), found
    return {place: [(one.id, one.state) for one in records] for place, records in found.carried.items()}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, ["t1", "t2", "t3"]),
        ({"failedOnly": True}, ["t2", "t3"]),
        ({"limit": {"names": ["t1"]}}, ["t1"]),
        ({"limit": {"selector": {"matchLabels": {"place": "t3"}}}}, ["t3"]),
        ({"failedOnly": True, "limit": {"names": ["t1", "t2"]}}, ["t2"]),
    ],
)
def test_which_targets(written: dict[str, Any], expected: list[str]) -> None:
    found = repeated(asked(**written), WAS, SPEC)
    assert names(found) == expected
    assert carried(found) == {}


def test_what_nobody_knows_is_not_among_the_failed() -> None:
    was = original(t1=(S.UNKNOWN, done("a", S.UNKNOWN)), t2=(S.TIMED_OUT, done("a", S.TIMED_OUT)))
    assert names(repeated(asked(failedOnly=True), was, SPEC)) == ["t2"]


def test_results_before_the_step_are_taken_over() -> None:
    found = repeated(asked(fromStep="c"), WAS, SPEC)
    assert carried(found) == {
        "t1": [("a", S.SUCCEEDED), ("b", S.SUCCEEDED)],
        "t2": [("a", S.SUCCEEDED), ("b", S.SKIPPED)],
        "t3": [("a", S.SKIPPED), ("b", S.SKIPPED)],
    }
    assert isinstance(found, Repetition)
    assert found.carried["t2"][0].outputs == {"n": 1}


def test_resume_goes_on_at_the_first_step_that_is_not_done() -> None:
    found = repeated(asked("resume"), WAS, SPEC)
    assert names(found) == ["t2", "t3"]
    assert carried(found) == {"t2": [("a", S.SUCCEEDED)]}


def test_resume_counts_what_was_forgiven_as_done() -> None:
    was = original(
        t1=(S.FAILED, done("a", S.FAILED, continued=True), done("b", S.FAILED, rescued=True), done("c", S.FAILED))
    )
    assert carried(repeated(asked("resume", limit={"names": ["t1"]}), was, SPEC)) == {
        "t1": [("a", S.FAILED), ("b", S.FAILED)]
    }


def test_an_unknown_step_is_repeated_by_consent_only() -> None:
    was = original(t1=(S.UNKNOWN, done("a"), done("b", S.UNKNOWN)), t2=(S.SUCCEEDED,), t3=(S.SUCCEEDED,))
    refused = repeated(asked("resume"), was, SPEC)
    assert isinstance(refused, NotRepeatable)
    assert (refused.reason, "step 'b' on t1" in refused.message) == ("unproven", True)
    assert carried(repeated(asked("resume", fromStep="b"), was, SPEC)) == {"t1": [("a", S.SUCCEEDED)]}
    harmless = replace(SPEC, steps=(STEPS[0], replace(STEPS[1], idempotent=True), STEPS[2]))
    assert carried(repeated(asked("resume"), was, harmless)) == {"t1": [("a", S.SUCCEEDED)]}


def test_a_job_without_targets_is_one_place() -> None:
    spec = replace(SPEC, targets=(), on_targets=False)
    was = original(spec, **{RUNNER: (S.FAILED, done("a"), done("b", S.FAILED))})
    assert carried(repeated(asked("resume"), was, spec)) == {RUNNER: [("a", S.SUCCEEDED)]}
    limited = repeated(asked(limit={"names": ["t1"]}), was, spec)
    assert isinstance(limited, NotRepeatable)
    assert limited.reason == "noTargets"


READS = replace(SPEC, steps=(replace(STEPS[0], keeps_output=True), *STEPS[1:]))


@pytest.mark.parametrize(
    ("wish", "was", "spec", "reason"),
    [
        (asked(), replace(WAS, view=replace(WAS.view, state=RunState.RUNNING)), SPEC, "stillOpen"),
        (asked(limit={"names": ["t9"]}), WAS, SPEC, "unknownTarget"),
        (asked(limit={"groups": ["g"]}), WAS, SPEC, "badLimit"),
        (asked(fromStep="d"), WAS, SPEC, "unknownStep"),
        (asked(fromStep="f"), WAS, SPEC, "unknownStep"),
        (asked(failedOnly=True), original(t1=(S.SUCCEEDED,)), SPEC, "noTargets"),
        (asked("resume"), original(t1=(S.SUCCEEDED,), t2=(S.SUCCEEDED,), t3=(S.SUCCEEDED,)), SPEC, "noTargets"),
        (asked(fromStep="b", failedOnly=True), WAS, READS, "textLost"),
    ],
)
def test_what_cannot_be_repeated(wish: RunRequestSpec, was: Original, spec: PinnedSpec, reason: str) -> None:
    found = repeated(wish, was, spec)
    assert isinstance(found, NotRepeatable)
    assert found.reason == reason


def test_text_that_was_kept_is_taken_over() -> None:
    was = original(t2=(S.FAILED, done("a", stdout="71\n"), done("b", S.FAILED)))
    found = repeated(asked("resume", limit={"names": ["t2"]}), was, READS)
    assert isinstance(found, Repetition)
    assert found.carried["t2"][0].stdout == "71\n"


def test_a_run_that_nobody_knows_the_end_of_did_not_fail() -> None:
    """What to do about it is said where nothing else is left."""
    found = repeated(asked(failedOnly=True), original(t1=(S.UNKNOWN,), t2=(S.SUCCEEDED,)), SPEC)
    assert isinstance(found, NotRepeatable)
    assert (found.reason, "nobody knows how it ended on t1" in found.message) == ("noTargets", True)
