"""What comes next on a target, for every plan and every record: the rules of DEFINITIONS 3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pinned import PlannedStep, Use
from engine.progress import Done, Ending, Lost, Start, StepRecord, counts_as_success, next_on_target
from engine.states import StepState, is_final

S = StepState


def step(name: str, *, idempotent: bool = False, finally_: bool = False) -> PlannedStep:
    return PlannedStep(name, "finally" if finally_ else "steps", Use("dummy"), idempotent=idempotent)


def record(step: PlannedStep, state: StepState, *, attempt: int = 1, continued: bool = False) -> StepRecord:
    return StepRecord(step.phase, step.id, state, attempt=attempt, continued=continued)


A, B, AGAIN, F, G = step("a"), step("b"), step("i", idempotent=True), step("f", finally_=True), step("g", finally_=True)


@pytest.mark.parametrize(
    ("plan", "records", "ending", "move"),
    [
        ([A, B], [], None, Start(A, 1)),
        ([A, B], [record(A, S.SUCCEEDED)], None, Start(B, 1)),
        ([A, B], [record(A, S.SKIPPED)], None, Start(B, 1)),
        ([A, B], [record(A, S.FAILED)], None, Done(S.FAILED)),
        ([A, B, F], [record(A, S.FAILED)], None, Start(F, 1)),
        ([A, B], [record(A, S.FAILED, continued=True)], None, Start(B, 1)),
        ([A], [record(A, S.FAILED, continued=True)], None, Done(S.SUCCEEDED)),
        ([A], [record(A, S.TIMED_OUT, continued=True)], None, Done(S.SUCCEEDED)),
        ([A, B], [record(A, S.CANCELLED, continued=True)], None, Done(S.CANCELLED)),
        ([A, B, F], [record(A, S.UNKNOWN)], None, Start(F, 1)),
        ([A, B], [record(A, S.UNKNOWN, continued=True)], None, Done(S.UNKNOWN)),
        ([A], [record(A, S.RUNNING)], None, Lost(A, 1)),
        ([AGAIN], [record(AGAIN, S.RUNNING, attempt=2)], None, Start(AGAIN, 3)),
        ([AGAIN, F], [record(AGAIN, S.RUNNING)], "cancelled", Lost(AGAIN, 1)),
        ([A, F, G], [record(A, S.SUCCEEDED), record(F, S.FAILED)], None, Start(G, 1)),
        ([A, F], [record(A, S.SUCCEEDED), record(F, S.RUNNING)], None, Lost(F, 1)),
        ([A, F], [record(A, S.SUCCEEDED), record(F, S.FAILED)], None, Done(S.FAILED)),
        # An ending counts only where it kept a step from starting.
        ([A, B], [], "cancelled", Done(S.CANCELLED)),
        ([A, B], [record(A, S.SUCCEEDED)], "timedOut", Done(S.TIMED_OUT)),
        ([A, B], [record(A, S.FAILED)], "cancelled", Done(S.FAILED)),
        ([A], [record(A, S.SUCCEEDED)], "cancelled", Done(S.SUCCEEDED)),
        ([A, B], [record(A, S.CANCELLED)], "cancelled", Done(S.CANCELLED)),
        ([A, F], [], "cancelled", Start(F, 1)),
        ([A, F], [record(F, S.SUCCEEDED)], "cancelled", Done(S.CANCELLED)),
        ([A, F], [record(A, S.SUCCEEDED), record(F, S.SUCCEEDED)], "cancelled", Done(S.SUCCEEDED)),
        ([], [], None, Done(S.SUCCEEDED)),
        ([], [], "cancelled", Done(S.SUCCEEDED)),
    ],
)
def test_the_next_move(
    plan: list[PlannedStep], records: list[StepRecord], ending: Ending | None, move: Start | Lost | Done
) -> None:
    assert next_on_target(plan, records, ending=ending) == move


ENDS = st.sampled_from([state for state in S if is_final(state)])
PLANS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=6).map(
    lambda flags: [step(f"s{n}", idempotent=again, finally_=last) for n, (last, again) in enumerate(flags)]
)
ENDINGS = st.sampled_from([None, "cancelled", "timedOut"])


@given(plan=PLANS, ending=ENDINGS, data=st.data())
def test_a_walk_starts_every_step_at_most_once_and_ends(
    plan: list[PlannedStep], ending: Ending | None, data: st.DataObject
) -> None:
    """Whatever the steps give and whenever the run is ended: no step twice, finally complete, then done for good."""
    records: list[StepRecord] = []
    started: list[PlannedStep] = []
    ends_at = data.draw(st.integers(0, len(plan)))
    for _ in range(len(plan) + 1):
        now = ending if len(started) >= ends_at else None
        move = next_on_target(plan, records, ending=now)
        if isinstance(move, Done):
            break
        assert isinstance(move, Start)
        assert move.attempt == 1
        assert move.step not in started
        if move.step.phase == "steps":
            assert now is None
            assert all(counts_as_success(one) for one in records)
        started.append(move.step)
        records.append(record(move.step, data.draw(ENDS), continued=data.draw(st.booleans())))
    move = next_on_target(plan, records, ending=ending)
    assert isinstance(move, Done)
    assert {one.id for one in plan if one.phase == "finally"} <= {one.id for one in started}
    assert is_final(move.state)
    if any(one.state is S.UNKNOWN for one in records):
        assert move.state is S.UNKNOWN
    if move.state is S.SUCCEEDED:
        assert all(counts_as_success(one) for one in records)
        assert len(started) == len(plan)


@given(plan=PLANS.filter(bool), ending=ENDINGS, data=st.data())
def test_a_lost_step_is_repeated_only_by_consent(
    plan: list[PlannedStep], ending: Ending | None, data: st.DataObject
) -> None:
    """Killed at any step, the next runner goes on where the record says, and repeats only what is idempotent."""
    ordered = [one for one in plan if one.phase == "steps"] + [one for one in plan if one.phase == "finally"]
    at = data.draw(st.integers(0, len(ordered) - 1))
    lost = ordered[at]
    attempt = data.draw(st.integers(1, 3))
    records = [record(one, S.SUCCEEDED) for one in ordered[:at]] + [record(lost, S.RUNNING, attempt=attempt)]
    move = next_on_target(plan, records, ending=ending)
    if lost.idempotent and not (ending and lost.phase == "steps"):
        assert move == Start(lost, attempt + 1)
    else:
        assert move == Lost(lost, attempt)


@given(plan=PLANS, data=st.data(), ending=ENDINGS)
def test_the_order_of_records_does_not_matter(
    plan: list[PlannedStep], data: st.DataObject, ending: Ending | None
) -> None:
    records = [record(one, data.draw(ENDS)) for one in plan if data.draw(st.booleans())]
    assert next_on_target(plan, records, ending=ending) == next_on_target(plan, records[::-1], ending=ending)
