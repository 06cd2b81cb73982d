"""What comes next on a target, for every plan and every record: the rules of DEFINITIONS 3."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runs.pinned import Loop, PlannedStep, Use, every, for_item, in_rescue_of
from engine.runs.progress import (
    FORGIVABLE,
    Cut,
    Done,
    Each,
    Ending,
    Lost,
    Next,
    Rescued,
    Start,
    StepRecord,
    cannot_succeed,
    counts_as_success,
    next_of_item,
    next_on_target,
)
from engine.states import StepState, is_final

S = StepState


def step(name: str, *, idempotent: bool = False, finally_: bool = False) -> PlannedStep:
    return PlannedStep(name, "finally" if finally_ else "steps", Use("dummy"), idempotent=idempotent)


def record(
    step: PlannedStep, state: StepState, *, attempt: int = 1, continued: bool = False, inherited: bool = False
) -> StepRecord:
    return StepRecord(step.phase, step.id, state, attempt=attempt, continued=continued, inherited=inherited)


A, B, AGAIN, F, G = step("a"), step("b"), step("i", idempotent=True), step("f", finally_=True), step("g", finally_=True)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DOUBTED = replace(record(A, S.UNREACHABLE, attempt=2), again=True, doubt=True, ended_at=NOON)
"""To be repeated, after an attempt that reached nobody and one whose runner was lost."""


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
        ([A], [DOUBTED], None, Start(A, 3, NOON)),
        ([A, F], [DOUBTED], "cancelled", Lost(A, 3, begun=False)),
        ([A, F], [DOUBTED], "timedOut", Lost(A, 3, begun=False)),
        ([A, F], [DOUBTED], "failed", Lost(A, 3, begun=False)),
        ([A, F], [replace(DOUBTED, doubt=False)], "cancelled", Start(F, 1)),
        ([AGAIN], [record(AGAIN, S.RUNNING, attempt=2)], None, Start(AGAIN, 3, cut=True)),
        ([AGAIN, F], [record(AGAIN, S.RUNNING)], "cancelled", Lost(AGAIN, 1)),
        ([AGAIN, F], [record(AGAIN, S.RUNNING)], "timedOut", Lost(AGAIN, 1)),
        # Too many others have failed: what was under way is ended, and nothing after it starts.
        ([AGAIN, B, F], [record(AGAIN, S.RUNNING)], "failed", Start(AGAIN, 2, cut=True)),
        ([AGAIN, B, F], [record(AGAIN, S.SUCCEEDED)], "failed", Start(F, 1)),
        ([A, B, F], [record(A, S.RUNNING)], "failed", Lost(A, 1)),
        ([A, F, G], [record(A, S.SUCCEEDED), record(F, S.FAILED)], None, Start(G, 1)),
        ([A, F], [record(A, S.SUCCEEDED), record(F, S.RUNNING)], None, Lost(F, 1)),
        ([A, F], [record(A, S.SUCCEEDED), record(F, S.FAILED)], None, Done(S.FAILED)),
        # An ending counts only where it kept a step from starting.
        ([A, B], [], "cancelled", Done(S.CANCELLED)),
        ([A, B], [record(A, S.SUCCEEDED)], "timedOut", Done(S.TIMED_OUT)),
        ([A, B], [record(A, S.FAILED)], "cancelled", Done(S.FAILED)),
        ([A], [record(A, S.SUCCEEDED)], "cancelled", Done(S.SUCCEEDED)),
        ([A, B], [record(A, S.CANCELLED)], "cancelled", Done(S.CANCELLED)),
        # Where nothing had begun there is nothing to clean up; what another run did there is not this one's.
        ([A, F], [], "cancelled", Done(S.CANCELLED)),
        ([A, F], [], "failed", Done(S.SKIPPED)),
        ([A, B, F], [record(A, S.SUCCEEDED, inherited=True)], "failed", Done(S.SKIPPED)),
        ([A, B], [record(A, S.SUCCEEDED)], "failed", Done(S.FAILED)),
        ([A, B, F], [record(A, S.SUCCEEDED, inherited=True)], "timedOut", Done(S.TIMED_OUT)),
        ([A, B, F], [record(A, S.SUCCEEDED, inherited=True), record(B, S.FAILED)], "timedOut", Start(F, 1)),
        ([A, B, F], [record(A, S.SKIPPED)], "cancelled", Start(F, 1)),
        ([A, F], [record(F, S.SUCCEEDED)], "cancelled", Done(S.CANCELLED)),
        ([A, F], [record(A, S.SUCCEEDED), record(F, S.SUCCEEDED)], "cancelled", Done(S.SUCCEEDED)),
        ([], [], None, Done(S.SUCCEEDED)),
        ([], [], "cancelled", Done(S.SUCCEEDED)),
    ],
)
def test_the_next_move(
    plan: list[PlannedStep], records: list[StepRecord], ending: Cut | None, move: Start | Lost | Done
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
    if ends_at or ending is None or all(one.phase == "finally" for one in plan):
        assert {one.id for one in plan if one.phase == "finally"} <= {one.id for one in started}
    else:
        assert not started
    assert is_final(move.state)
    if any(one.state is S.UNKNOWN for one in records):
        assert move.state is S.UNKNOWN
    if move.state is S.SUCCEEDED:
        assert all(counts_as_success(one) for one in records)
        assert len(started) == len(plan)


@given(plan=PLANS.filter(bool), ending=st.sampled_from([None, "cancelled", "timedOut", "failed"]), data=st.data())
def test_a_lost_step_is_repeated_only_by_consent(
    plan: list[PlannedStep], ending: Cut | None, data: st.DataObject
) -> None:
    """Killed at any step, the next runner goes on where the record says, and repeats only what is idempotent."""
    ordered = [one for one in plan if one.phase == "steps"] + [one for one in plan if one.phase == "finally"]
    at = data.draw(st.integers(0, len(ordered) - 1))
    lost = ordered[at]
    attempt = data.draw(st.integers(1, 3))
    records = [record(one, S.SUCCEEDED) for one in ordered[:at]] + [record(lost, S.RUNNING, attempt=attempt)]
    move = next_on_target(plan, records, ending=ending)
    if lost.idempotent and not (ending in ("cancelled", "timedOut") and lost.phase == "steps"):
        assert move == Start(lost, attempt + 1, cut=True)
    else:
        assert move == Lost(lost, attempt)


@given(plan=PLANS, data=st.data(), ending=ENDINGS)
def test_the_order_of_records_does_not_matter(
    plan: list[PlannedStep], data: st.DataObject, ending: Ending | None
) -> None:
    records = [record(one, data.draw(ENDS)) for one in plan if data.draw(st.booleans())]
    assert next_on_target(plan, records, ending=ending) == next_on_target(plan, records[::-1], ending=ending)


# --- attempts, rescues, loops ---


def rescued_by(step: PlannedStep, *rescue: PlannedStep) -> PlannedStep:
    own = (replace(one, phase=step.phase, id=in_rescue_of(step.id, one.id)) for one in rescue)
    return replace(step, rescue=tuple(own))


M, N = step("m"), step("n")
R = rescued_by(A, M, N)
RM, RN = R.rescue
JR = replace(step("jr"), phase="rescue")
L = replace(A, loop=Loop([1, 2]))
FAILS = record(A, S.FAILED)
AGAINST = replace(FAILS, again=True, ended_at=NOON)
GOOD_M, GOOD_N = record(RM, S.SUCCEEDED), record(RN, S.SUCCEEDED)
MENDED = replace(FAILS, rescued=True)


@pytest.mark.parametrize(
    ("plan", "records", "ending", "move"),
    [
        # another attempt, by consent that is on record
        ([A, B], [AGAINST], None, Start(A, 2, NOON)),
        ([A, B], [replace(AGAINST, attempt=4)], None, Start(A, 5, NOON)),
        ([A, B], [AGAINST], "cancelled", Done(S.CANCELLED)),
        ([R, B], [AGAINST], None, Start(R, 2, NOON)),
        # a rescue, after the last attempt
        ([R, B], [FAILS], None, Start(RM, 1)),
        ([R, B], [FAILS, GOOD_M], None, Start(RN, 1)),
        ([R, B], [FAILS, GOOD_M, GOOD_N], None, Rescued(R)),
        ([R, B], [MENDED, GOOD_M, GOOD_N], None, Start(B, 1)),
        ([R], [MENDED, GOOD_M, GOOD_N], None, Done(S.SUCCEEDED)),
        ([R, B], [FAILS, record(RM, S.FAILED)], None, Done(S.FAILED)),
        ([R, B], [FAILS, record(RM, S.FAILED, continued=True)], None, Start(RN, 1)),
        ([R, B], [FAILS, record(RM, S.UNKNOWN)], None, Done(S.UNKNOWN)),
        ([R, B], [FAILS, record(RM, S.RUNNING)], None, Lost(RM, 1)),
        ([R, B], [FAILS], "cancelled", Done(S.CANCELLED)),
        ([R, B], [FAILS, GOOD_M, GOOD_N], "timedOut", Rescued(R)),
        ([R, B], [record(A, S.CANCELLED)], None, Done(S.CANCELLED)),
        ([R, B], [record(A, S.UNKNOWN)], None, Done(S.UNKNOWN)),
        ([R, B], [record(A, S.SUCCEEDED)], None, Start(B, 1)),
        # a rescue that fails, of a step that goes on all the same
        ([R, B], [record(A, S.FAILED, continued=True)], None, Start(RM, 1)),
        ([R, B], [record(A, S.FAILED, continued=True), record(RM, S.FAILED)], None, Start(B, 1)),
        # the job's rescue ends the steps
        ([A, B, JR, F], [FAILS], None, Start(JR, 1)),
        ([A, B, JR, F], [FAILS, record(JR, S.SUCCEEDED)], None, Rescued(A)),
        ([A, B, JR, F], [MENDED, record(JR, S.SUCCEEDED)], None, Start(F, 1)),
        ([A, B, JR], [MENDED, record(JR, S.SUCCEEDED)], None, Done(S.SUCCEEDED)),
        ([A, B, JR, F], [FAILS, record(JR, S.FAILED)], None, Start(F, 1)),
        ([A, B, JR], [FAILS, record(JR, S.FAILED)], None, Done(S.FAILED)),
        ([A, B, JR], [record(A, S.FAILED, continued=True)], None, Start(B, 1)),
        ([A, B, JR], [record(A, S.UNKNOWN)], None, Done(S.UNKNOWN)),
        ([R, B, JR], [FAILS, record(RM, S.FAILED)], None, Start(JR, 1)),
        ([R, B, JR], [MENDED, GOOD_M, GOOD_N, record(B, S.FAILED)], None, Start(JR, 1)),
        ([R, B, JR], [MENDED, GOOD_M, GOOD_N, record(B, S.FAILED), record(JR, S.SUCCEEDED)], None, Rescued(B)),
        ([A, B, JR], [FAILS], "cancelled", Done(S.CANCELLED)),
        # a loop
        ([L, B], [], None, Each(L)),
        ([L, B], [record(A, S.RUNNING)], None, Each(L)),
        ([L, B], [record(A, S.RUNNING)], "cancelled", Each(L)),
        ([L, B], [], "cancelled", Done(S.CANCELLED)),
        ([L, B], [record(A, S.SUCCEEDED), StepRecord("steps", "a[0]", S.SUCCEEDED)], None, Start(B, 1)),
        ([replace(R, loop=L.loop), B], [FAILS], None, Done(S.FAILED)),
        ([L, B], [record(A, S.FAILED, continued=True), StepRecord("steps", "a[0]", S.FAILED)], None, Start(B, 1)),
    ],
)
def test_the_next_move_after_a_failure(
    plan: list[PlannedStep], records: list[StepRecord], ending: Ending | None, move: Next
) -> None:
    assert next_on_target(plan, records, ending=ending) == move
    assert next_on_target(plan, records[::-1], ending=ending) == move


ITEM = for_item(rescued_by(replace(A, loop=Loop([1, 2]), continue_on_error=True), M), 1)


@pytest.mark.parametrize(
    ("records", "ending", "move"),
    [
        ([], None, Start(ITEM, 1)),
        ([], "cancelled", Done(S.CANCELLED)),
        ([record(ITEM, S.FAILED)], None, Start(ITEM.rescue[0], 1)),
        ([record(ITEM, S.FAILED), record(ITEM.rescue[0], S.SUCCEEDED)], None, Rescued(ITEM)),
        ([record(ITEM, S.FAILED), record(ITEM.rescue[0], S.FAILED)], None, Done(S.FAILED)),
        ([record(ITEM, S.FAILED), record(ITEM.rescue[0], S.UNKNOWN)], None, Done(S.UNKNOWN)),
        ([record(ITEM, S.RUNNING)], None, Lost(ITEM, 1)),
        ([record(ITEM, S.SUCCEEDED)], "cancelled", Done(S.SUCCEEDED)),
    ],
)
@pytest.mark.parametrize("phase", ["steps", "rescue"])
def test_the_next_move_on_an_item(phase: str, records: list[StepRecord], ending: Ending | None, move: Next) -> None:
    assert (ITEM.id, ITEM.rescue[0].id, ITEM.continue_on_error) == ("a[1]", "a[1]/m", False)
    assert next_of_item(ITEM, records, ending=ending) == move


Tree = tuple[object, ...]
TREES = st.recursive(
    st.just(()),
    lambda below: st.lists(below, min_size=1, max_size=3).map(tuple),
    max_leaves=6,
)


def grown(tree: Tree, name: str, phase: str) -> PlannedStep:
    rescue = tuple(grown(one, f"{name}/r{n}", phase) for n, one in enumerate(tree))  # type: ignore[arg-type]
    return PlannedStep(name, phase, Use("dummy"), rescue=rescue)  # type: ignore[arg-type]


@given(
    steps=st.lists(TREES, min_size=1, max_size=3),
    rescue=st.lists(TREES, max_size=2),
    last=st.lists(TREES, max_size=2),
    data=st.data(),
)
def test_a_walk_with_rescues_starts_every_step_at_most_as_often_as_consented(
    steps: list[Tree], rescue: list[Tree], last: list[Tree], data: st.DataObject
) -> None:
    """Killed between any two moves, since each asks anew; and whatever happens, it ends and says what happened."""
    plan = [grown(one, f"s{n}", "steps") for n, one in enumerate(steps)]
    plan += [grown(one, f"j{n}", "rescue") for n, one in enumerate(rescue)]
    plan += [grown(one, f"f{n}", "finally") for n, one in enumerate(last)]
    count = len(list(every(plan)))
    known: dict[tuple[str, str], StepRecord] = {}
    for _ in range(4 * count + 1):
        match next_on_target(plan, list(known.values())):
            case Done(state=state):
                break
            case Rescued(step=one):
                before = known[one.phase, one.id]
                assert before.state in FORGIVABLE
                assert not before.rescued
                known[before.key] = replace(before, rescued=True)
            case Start(step=one, attempt=attempt, after=after):
                before_ = known.get((one.phase, one.id))
                assert attempt == (1 if before_ is None else before_.attempt + 1)
                assert (after is not None) == (before_ is not None and before_.again)
                end = data.draw(ENDS)
                again = end in FORGIVABLE and attempt < 2 and data.draw(st.booleans())
                known[one.phase, one.id] = StepRecord(one.phase, one.id, end, attempt, again=again, ended_at=NOON)
            case other:
                raise AssertionError(other)
    else:
        raise AssertionError("no end")
    top = [one for one in known.values() if "/" not in one.id]
    if state is S.SUCCEEDED:
        assert all(counts_as_success(one) for one in top)
    if any(one.state is S.UNKNOWN for one in known.values()):
        assert state is S.UNKNOWN
    assert {one.id for one in plan if one.phase == "finally"} <= {one.id for one in known.values()}


@pytest.mark.parametrize(
    ("plan", "records", "certain"),
    [
        ([A, B], [], False),
        ([A, B, F], [record(A, S.SUCCEEDED)], False),
        ([A, B, F], [record(A, S.FAILED)], True),
        ([A, B, F], [record(A, S.UNREACHABLE)], True),
        ([A, B, F], [record(A, S.FAILED, continued=True)], False),
        ([A, B, F], [replace(record(A, S.FAILED), again=True)], False),
        ([A, B, F], [record(A, S.RUNNING)], True),
        ([AGAIN, F], [record(AGAIN, S.RUNNING)], False),
        ([A, F, G], [record(A, S.SUCCEEDED), record(F, S.FAILED)], True),
        ([A, F, G], [record(A, S.SUCCEEDED), record(F, S.RUNNING)], True),
        # A rescue may mend it, of the step or of the job, until it has failed itself.
        ([R, F], [record(A, S.FAILED)], False),
        ([R, F], [record(A, S.FAILED), record(RM, S.FAILED)], True),
        ([R, F], [record(A, S.UNKNOWN)], True),
        ([A, JR, F], [record(A, S.FAILED)], False),
        ([A, JR, F], [record(A, S.FAILED), record(JR, S.FAILED)], True),
        ([A, JR, F], [record(A, S.UNKNOWN)], True),
        ([R, JR, F], [record(A, S.FAILED), record(RM, S.FAILED)], False),
    ],
)
def test_a_failure_is_certain_when_nothing_can_mend_it(
    plan: list[PlannedStep], records: list[StepRecord], certain: bool
) -> None:
    assert cannot_succeed(plan, records) is certain
