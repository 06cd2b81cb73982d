"""Batches and failure budgets, as numbers."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runs.pinned import PinnedSpec, PinnedTarget
from engine.runs.strategy import (
    SLICED_ABOVE,
    Halt,
    Spread,
    allowed_failures,
    batches_of,
    halts,
    may_be_sliced,
    share_of_places,
    stands,
)
from engine.states import StepState, is_final

S = StepState
NAMES = [f"web-{n:02}" for n in range(10)]
SHARES = st.one_of(st.integers(0, 30), st.integers(0, 100).map(lambda n: f"{n}%"))


@pytest.mark.parametrize(
    ("shares", "count", "sizes"),
    [
        (("100%",), 10, [10]),
        ((1, "25%", "100%"), 10, [1, 3, 6]),
        ((1, "25%"), 10, [1, 3, 3, 3]),
        (("33%",), 10, [4, 4, 2]),
        (("1%",), 10, [1] * 10),
        ((0, 4), 10, [1, 4, 4, 1]),
        (("0%",), 3, [1, 1, 1]),
        ((99,), 10, [10]),
        (("100%",), 0, []),
    ],
)
def test_batches(shares: tuple[int | str, ...], count: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in batches_of(NAMES[:count], shares)] == sizes


@given(st.integers(0, 300), st.lists(SHARES, min_size=1, max_size=4))
def test_every_target_is_in_one_batch_in_order(count: int, shares: list[int | str]) -> None:
    names = [str(n) for n in range(count)]
    batches = batches_of(names, shares)
    assert [name for batch in batches for name in batch] == names
    assert all(batches)


@pytest.mark.parametrize(
    ("share", "total", "allowed"), [(None, 10, None), (0, 10, 0), (3, 10, 3), ("10%", 19, 1), ("10%", 9, 0)]
)
def test_the_budget_is_rounded_down(share: int | str | None, total: int, allowed: int | None) -> None:
    assert allowed_failures(share, total) == allowed


def states(**given_: StepState) -> dict[str, StepState]:
    return {name.replace("_", "-"): state for name, state in given_.items()}


@pytest.mark.parametrize(
    ("ended", "batch", "budget", "why"),
    [
        ({}, ["a"], 0, None),
        ({"a": S.SUCCEEDED, "b": S.FAILED}, ["a", "b"], None, None),
        ({"a": S.SUCCEEDED, "b": S.FAILED}, ["a", "b"], 1, None),
        ({"a": S.SUCCEEDED, "b": S.FAILED}, ["a", "b"], 0, "maxFailures"),
        ({"a": S.SUCCEEDED, "b": S.UNREACHABLE}, [], 0, "maxFailures"),
        ({"a": S.SUCCEEDED, "b": S.UNKNOWN}, [], "50%", "maxFailures"),
        ({"a": S.FAILED, "b": S.TIMED_OUT}, ["a", "b"], None, "batchFailed"),
        ({"a": S.FAILED, "b": S.SKIPPED}, ["a", "b"], None, None),
        ({"a": S.FAILED}, ["a", "b"], None, None),
        ({"a": S.FAILED, "b": S.SUCCEEDED}, ["a"], None, "batchFailed"),
    ],
)
def test_what_keeps_others_from_starting(
    ended: dict[str, StepState], batch: list[str], budget: int | str | None, why: Halt | None
) -> None:
    assert halts(ended, batch, budget, 2 if budget != "50%" else 1) == why


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from([s for s in S if is_final(s)])), SHARES)
def test_a_larger_budget_never_halts_sooner(ended: dict[str, StepState], share: int | str) -> None:
    if halts(ended, (), share, len(NAMES)) is None:
        assert halts(ended, (), 100, len(NAMES)) is None


# --- several runners -------------------------------------------------------------------------------------------------


def a_spec(count: int = SLICED_ABOVE + 1, **more: Any) -> PinnedSpec:
    targets = tuple(PinnedTarget(f"web-{n:03}") for n in range(count))
    return PinnedSpec("rotate", "1f0c" * 10, (), targets, on_targets=bool(targets), **more)


@pytest.mark.parametrize(
    ("spec", "may"),
    [
        (a_spec(), True),
        (a_spec(SLICED_ABOVE), False),
        (a_spec(order="stepFirst"), False),
        (a_spec(max_parallel=1), False),
        (a_spec(0), False),
    ],
)
def test_several_runners_work_on_large_runs_whose_targets_need_not_wait(spec: PinnedSpec, may: bool) -> None:
    assert may_be_sliced(spec) is may


@given(st.integers(1, 50), st.lists(st.integers(0, 60), min_size=1, max_size=6))
def test_places_are_shared_evenly_and_never_more_than_there_are(count: int, wants: list[int]) -> None:
    own = [0] * len(wants)
    for _ in range(2):
        for runner, want in enumerate(wants):
            own[runner] += min(want, share_of_places(count, len(own), sum(own), own[runner]))
    assert sum(own) <= count
    assert max(own) <= -(-count // len(own))
    if all(want >= count for want in wants):
        assert sum(own) == count, "none stays free where all want more"


@pytest.mark.parametrize(
    ("ended", "begun", "failing", "found"),
    [
        ({}, set(), set(), Spread(0, 0, good=False, pauses=False, halt=None)),
        ({"a": S.SUCCEEDED}, {"a"}, set(), Spread(1, 0, good=False, pauses=True, halt=None)),
        ({"a": S.SUCCEEDED}, {"a", "c"}, set(), Spread(1, 0, good=False, pauses=False, halt=None)),
        ({"a": S.SUCCEEDED, "b": S.SUCCEEDED}, {"a", "b"}, set(), Spread(1, 0, good=True, pauses=False, halt=None)),
        ({"a": S.FAILED}, {"a"}, set(), Spread(1, 1, good=False, pauses=True, halt="batchFailed")),
        ({"a": S.SUCCEEDED, "b": S.FAILED}, {"a"}, {"c"}, Spread(1, 2, good=False, pauses=False, halt="maxFailures")),
        (dict.fromkeys("abc", S.SUCCEEDED), set("abc"), set(), Spread(1, 0, good=True, pauses=False, halt=None)),
        (
            dict.fromkeys("abc", S.UNKNOWN),
            set("abc"),
            set(),
            Spread(1, 3, good=False, pauses=False, halt="maxFailures"),
        ),
    ],
)
def test_where_a_run_stands_follows_from_what_is_recorded(
    ended: dict[str, StepState], begun: set[str], failing: set[str], found: Spread
) -> None:
    spec = replace(a_spec(), targets=tuple(map(PinnedTarget, "abc")), batches=(1, 2), max_failures=1)
    assert stands(spec, batches_of("abc", spec.batches), ended, begun, failing) == found
