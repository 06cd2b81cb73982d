"""Batches, failure budgets and the order of steps: counted by the targets themselves, in a file they share."""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.runs.pinned import Loop, PinnedTarget, PlannedStep
from engine.states import RunState, StepState
from schemas.job import Retry
from tests.running import Bench, Ran, bench, here, script

__all__ = ["bench"]

OK, FAILED, SKIPPED, UNKNOWN = StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.UNKNOWN


def fleet(count: int) -> tuple[PinnedTarget, ...]:
    return tuple(here(f"web-{n:02}") for n in range(count))


def noting(file: Path, step: str, rest: str = "true", **more: Any) -> PlannedStep:
    """A step that says that it begins and ends on its target; `rest` comes between, with the target as $OC1."""
    return script(
        f'echo "begin {step} $OC1" >> {file}; {rest}; c=$?; echo "end {step} $OC1" >> {file}; exit $c',
        step,
        holes=("target.name",),
        **more,
    )


def notes(file: Path) -> list[tuple[str, str, str]]:
    return [tuple(line.split()) for line in file.read_text().splitlines()]  # type: ignore[misc]


def most_at_once(file: Path) -> int:
    now = most = 0
    for what, _, _ in notes(file):
        now += 1 if what == "begin" else -1
        most = max(most, now)
    return most


def begun(file: Path) -> list[str]:
    """The targets in the order in which they began."""
    return list(dict.fromkeys(target for what, _, target in notes(file) if what == "begin"))


def ends(ran: Ran) -> dict[str, StepState | None]:
    return {each.name: each.state for each in ran.view.results}


async def test_a_batch_begins_when_the_one_before_has_ended(bench: Bench) -> None:
    file = bench.folder / "notes"
    ran = await bench.execute(
        noting(file, "a", "sleep 0.05"),
        noting(file, "b"),
        targets=fleet(10),
        batches=(1, "25%", "100%"),
        max_parallel=20,
    )
    assert ran.state is RunState.SUCCEEDED
    order = [target for _, _, target in notes(file)]
    for last, first in ((0, 1), (3, 4)):
        boundary = max(n for n, target in enumerate(order) if target <= f"web-{last:02}")
        assert all(target <= f"web-{last:02}" for target in order[: boundary + 1])
        assert order[boundary + 1] >= f"web-{first:02}"


@pytest.mark.parametrize("order", ["targetFirst", "stepFirst"])
async def test_no_more_at_once_than_allowed(bench: Bench, order: str) -> None:
    file = bench.folder / "notes"
    ran = await bench.execute(
        noting(file, "a", "sleep 0.03"), noting(file, "b"), targets=fleet(8), max_parallel=3, order=order
    )
    assert ran.state is RunState.SUCCEEDED
    assert most_at_once(file) <= 3
    assert Counter(what for what, _, _ in notes(file)) == {"begin": 16, "end": 16}


async def test_a_pause_lies_between_batches(bench: Bench) -> None:
    file = bench.folder / "notes"
    stamp = script(f"date +%s%N >> {file}", "a")
    ran = await bench.execute(stamp, targets=fleet(3), batches=(1,), pause_between=timedelta(seconds=0.4))
    assert ran.state is RunState.SUCCEEDED
    times = [int(line) / 1e9 for line in file.read_text().split()]
    assert [later - sooner >= 0.4 for sooner, later in pairwise(times)] == [True, True]


async def test_a_cancel_ends_the_pause(bench: Bench) -> None:
    file = bench.folder / "notes"
    last = script(f'echo "end bye $OC1" >> {file}', "bye", holes=("target.name",), phase="finally")
    run = await bench.enqueue(noting(file, "a"), last, targets=fleet(3), batches=(1,), pause_between=timedelta(hours=1))
    bench.start()
    await bench.until(run, lambda ran: any(each.state is OK for each in ran.view.results))
    await bench.cancel(run)
    ran = await bench.ended(run)
    assert ran.state is RunState.CANCELLED
    assert begun(file) == ["web-00"]
    assert [where for _, step, where in notes(file) if step == "bye"] == ["web-00"]


async def test_another_runner_goes_on_with_the_next_batch(bench: Bench) -> None:
    file = bench.folder / "notes"
    run = await bench.enqueue(noting(file, "a"), targets=fleet(3), batches=(1,), pause_between=timedelta(seconds=1))
    bench.start()
    await bench.until(run, lambda ran: any(each.state is OK for each in ran.view.results))
    await bench.drain(timedelta(seconds=5))
    bench.start()
    ran = await bench.ended(run)
    assert ran.state is RunState.SUCCEEDED
    assert begun(file) == ["web-00", "web-01", "web-02"]
    assert len(notes(file)) == 6


async def test_a_batch_that_failed_whole_stops_the_run(bench: Bench) -> None:
    file = bench.folder / "notes"
    ran = await bench.execute(noting(file, "a", "false"), targets=fleet(4), batches=(1, "100%"))
    assert (ran.state, ran.view.reason) == (RunState.FAILED, "batchFailed")
    assert begun(file) == ["web-00"]
    assert ends(ran) == {"web-00": FAILED, "web-01": SKIPPED, "web-02": SKIPPED, "web-03": SKIPPED}
    assert {each.reason for each in ran.view.results[1:]} == {"batchFailed"}


@pytest.mark.parametrize(("budget", "bad", "count"), [(1, 2, 2), ("20%", 3, 3), (0, 1, 1), (10, 10, 10)])
async def test_beyond_its_failures_nothing_new_starts(bench: Bench, budget: int | str, bad: int, count: int) -> None:
    """The first ones fail; who has begun is worked on to the end."""
    file = bench.folder / "notes"
    ran = await bench.execute(noting(file, "a", "false"), targets=fleet(10), max_parallel=1, max_failures=budget)
    assert len(begun(file)) == count
    assert Counter(ends(ran).values()) == {FAILED: bad} | ({SKIPPED: 10 - bad} if bad < 10 else {})
    assert ran.state is RunState.FAILED
    assert ran.view.reason == ("maxFailures" if bad < 10 else None)


async def test_failures_within_the_budget_fail_the_run_at_its_end(bench: Bench) -> None:
    file = bench.folder / "notes"
    ran = await bench.execute(
        noting(file, "a", 'test "$OC1" != web-03'), targets=fleet(6), max_parallel=2, max_failures="20%"
    )
    assert len(begun(file)) == 6
    assert (ran.state, ran.view.reason) == (RunState.FAILED, None)


async def test_step_by_step_every_target_ends_a_step_before_any_starts_the_next(bench: Bench) -> None:
    file = bench.folder / "notes"
    slow = 'test "$OC1" != web-02 || sleep 0.3'
    ran = await bench.execute(
        noting(file, "a", slow), noting(file, "b"), noting(file, "c"), targets=fleet(5), order="stepFirst"
    )
    assert ran.state is RunState.SUCCEEDED
    assert [step for _, step, _ in notes(file)] == ["a"] * 10 + ["b"] * 10 + ["c"] * 10


async def test_step_by_step_a_failed_target_holds_nobody_up_once_it_has_ended(bench: Bench) -> None:
    file = bench.folder / "notes"
    last = script(f'echo "begin bye $OC1" >> {file}', "bye", holes=("target.name",), phase="finally")
    ran = await bench.execute(
        noting(file, "a", 'test "$OC1" != web-01'), noting(file, "b"), last, targets=fleet(3), order="stepFirst"
    )
    assert ends(ran) == {"web-00": OK, "web-01": FAILED, "web-02": OK}
    seen = notes(file)
    assert seen.index(("begin", "bye", "web-01")) < seen.index(("begin", "b", "web-00"))


async def test_step_by_step_too_many_failures_stop_all_before_the_next_step(bench: Bench) -> None:
    file = bench.folder / "notes"
    last = script(f'echo "begin bye $OC1" >> {file}', "bye", holes=("target.name",), phase="finally")
    ran = await bench.execute(
        noting(file, "a", 'test "$OC1" != web-01'),
        noting(file, "b"),
        last,
        targets=fleet(4),
        order="stepFirst",
        max_failures=0,
    )
    assert Counter(step for what, step, _ in notes(file) if what == "begin") == {"a": 4, "bye": 4}
    assert ends(ran) == dict.fromkeys([f"web-{n:02}" for n in range(4)], FAILED)
    assert [each.reason for each in ran.view.results] == ["maxFailures", None, "maxFailures", "maxFailures"]
    assert (ran.state, ran.view.reason) == (RunState.FAILED, "maxFailures")


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("budget", "count"), [(0, 1), (2, 3), ("25%", 4)])
async def test_step_by_step_a_failure_counts_before_its_place_is_given_on(
    bench: Bench, budget: int | str, count: int, last: bool
) -> None:
    """However long `finally` takes: where the first ones fail, no more begin than may fail, and the one beyond."""
    file = bench.folder / "notes"
    bye = [script("sleep 0.2", "bye", phase="finally")] if last else []
    ran = await bench.execute(
        noting(file, "a", "false"),
        *bye,
        targets=fleet(12),
        order="stepFirst",
        max_parallel=1,
        max_failures=budget,
    )
    names = [f"web-{n:02}" for n in range(12)]
    assert begun(file) == names[:count]
    assert ends(ran) == dict.fromkeys(names[:count], FAILED) | dict.fromkeys(names[count:], SKIPPED)
    assert [each.reason for each in ran.view.results] == [None] * count + ["maxFailures"] * (12 - count)
    assert [each.steps for each in ran.view.results[count:]] == [()] * (12 - count)
    assert (ran.state, ran.view.reason) == (RunState.FAILED, "maxFailures")


async def test_step_by_step_no_more_begin_in_a_later_batch_than_may_fail(bench: Bench) -> None:
    """Of three at a time two may be under way when the last failure that is allowed is passed."""
    file = bench.folder / "notes"
    ran = await bench.execute(
        noting(file, "a", 'test "$OC1" \\< web-04'),
        targets=fleet(12),
        order="stepFirst",
        max_parallel=3,
        batches=(1, "25%", "100%"),
        max_failures="20%",
    )
    assert 7 <= len(begun(file)) <= 9
    failed = len(begun(file)) - 4
    assert Counter(ends(ran).values()) == {OK: 4, FAILED: failed, SKIPPED: 8 - failed}


@pytest.mark.parametrize(("mends", "count"), [("true", 4), ("false", 1)])
async def test_step_by_step_a_rescue_decides_before_another_target_begins(bench: Bench, mends: str, count: int) -> None:
    file = bench.folder / "notes"
    ran = await bench.execute(
        noting(file, "a", 'test "$OC1" != web-00'),
        noting(file, "mend", mends, phase="rescue"),
        noting(file, "bye", phase="finally"),
        targets=fleet(4),
        order="stepFirst",
        max_parallel=1,
        max_failures=0,
    )
    names = [f"web-{n:02}" for n in range(4)]
    assert begun(file) == names[:count]
    assert [step for what, step, where in notes(file) if (what, where) == ("begin", "web-00")] == ["a", "mend", "bye"]
    first = OK if mends == "true" else FAILED
    assert ends(ran) == {"web-00": first} | dict.fromkeys(names[1:], OK if count == 4 else SKIPPED)


async def test_step_by_step_another_attempt_decides_before_another_target_begins(bench: Bench) -> None:
    file = bench.folder / "notes"
    ran = await bench.execute(
        noting(file, "a", "false", retry=Retry(maxAttempts=3)),
        targets=fleet(4),
        order="stepFirst",
        max_parallel=1,
        max_failures=0,
    )
    assert [where for what, _, where in notes(file) if what == "begin"] == ["web-00"] * 3
    assert Counter(ends(ran).values()) == {FAILED: 1, SKIPPED: 3}


@pytest.mark.parametrize("order", ["targetFirst", "stepFirst"])
async def test_a_failure_that_an_earlier_runner_recorded_counts_at_once(bench: Bench, order: str) -> None:
    """The target has not ended: its `finally` was under way when the runner was stopped."""
    file, go, up = bench.folder / "notes", bench.pipe("go"), bench.pipe("up")
    run = await bench.enqueue(
        noting(file, "a", f'test "$OC1" != web-00 || exit 1; echo > {up}; read x < {go}'),
        noting(file, "bye", f"echo > {up}; read x < {go}", phase="finally"),
        noting(file, "late", phase="finally"),
        targets=fleet(4),
        order=order,
        max_parallel=2,
        max_failures=0,
    )
    bench.start()
    await up.lines(2)  # web-00 in `finally`, and web-01 in the step that it began before
    draining = asyncio.create_task(bench.drain(timedelta(seconds=20)))
    go.let_go(2)
    await draining
    bench.start()
    go.let_go(1)
    ran = await bench.ended(run)
    assert sorted(begun(file)) == ["web-00", "web-01"]
    assert ends(ran) == {"web-00": FAILED, "web-01": OK, "web-02": SKIPPED, "web-03": SKIPPED}


@pytest.mark.parametrize("stop", ["lost", "drained"])
@pytest.mark.parametrize(
    ("order", "idempotent", "found"),
    [
        ("targetFirst", False, {"lost": UNKNOWN, "drained": FAILED}),
        ("targetFirst", True, {"lost": OK, "drained": OK}),
        ("stepFirst", False, {"lost": UNKNOWN, "drained": FAILED}),
        ("stepFirst", True, {"lost": OK, "drained": OK}),
    ],
)
async def test_what_had_begun_in_a_later_batch_is_worked_on_beyond_the_failures(
    bench: Bench, stop: str, order: str, idempotent: bool, found: dict[str, StepState]
) -> None:
    """The budget was passed in that same batch, and then its runner was stopped: nobody else begins, and it ends."""
    file, go, up = bench.folder / "notes", bench.pipe("go"), bench.pipe("up")
    waits = f'test "$OC1" != web-01 || exit 1; test "$OC1" = web-00 || {{ echo > {up}; read x < {go}; }}'
    run = await bench.enqueue(
        noting(file, "a", waits, idempotent=idempotent),
        noting(file, "bye", phase="finally"),
        targets=fleet(4),
        order=order,
        batches=(1, 2),
        max_failures=0,
    )
    bench.start()
    await up.lines(1)  # web-02, in the second batch
    await bench.until(run, lambda ran: ends(ran).get("web-01") is FAILED)
    if stop == "lost":
        await bench.take_away()
    else:
        await bench.drain(timedelta(0))
        bench.start()
    if idempotent:
        await up.lines(1)
        go.let_go()
    ran = await bench.ended(run)
    assert ends(ran) == {"web-00": OK, "web-01": FAILED, "web-02": found[stop], "web-03": SKIPPED}
    assert notes(file)[-2:] == [("begin", "bye", "web-02"), ("end", "bye", "web-02")]
    assert ran.state is (RunState.UNKNOWN if found[stop] is UNKNOWN else RunState.FAILED)
    assert (ran.view.reason, ran.view.attempt) == ("maxFailures", 2)


async def test_step_by_step_a_cut_step_is_ended_beyond_the_failures_and_nothing_after_it_starts(bench: Bench) -> None:
    """By a runner that takes over once the budget is passed: how it ended is known then, as in `targetFirst`."""
    file, go, up = bench.folder / "notes", bench.pipe("go"), bench.pipe("up")
    waits = f'test "$OC1" != web-00 || exit 1; test "$OC1" = web-01 || {{ echo > {up}; read x < {go}; }}'
    run = await bench.enqueue(
        noting(file, "a", waits, idempotent=True),
        noting(file, "b"),
        noting(file, "bye", phase="finally"),
        targets=fleet(3),
        order="stepFirst",
        max_failures=0,
    )
    bench.start()
    await up.lines(1)
    await bench.until(run, lambda ran: ends(ran).get("web-00") is FAILED)
    await bench.take_away()
    await up.lines(1)
    go.let_go()
    ran = await bench.ended(run)
    assert {step for _, step, _ in notes(file)} == {"a", "bye"}
    assert notes(file).count(("begin", "a", "web-02")) == 2
    assert {(each.name, each.state, each.reason) for each in ran.view.results} == {
        ("web-00", FAILED, None),
        ("web-01", FAILED, "maxFailures"),
        ("web-02", FAILED, "maxFailures"),
    }
    steps = next(each.steps for each in ran.view.results if each.name == "web-02")
    assert [(step.id, step.state, step.attempts) for step in steps] == [("a", OK, 2), ("bye", OK, 1)]
    assert (ran.state, ran.view.attempt) == (RunState.FAILED, 2)


async def test_targets_kept_back_by_failures_end_with_the_time_of_their_run(bench: Bench) -> None:
    """They had their turn when too many had failed, and then the time limit passed while others were at work."""
    ran = await bench.execute(
        script('test "$OC1" = web-01 && exec sleep 100; exit 1', holes=("target.name",)),
        targets=fleet(5),
        max_parallel=2,
        max_failures=0,
        timeout=timedelta(seconds=1),
    )
    kept = dict.fromkeys(["web-02", "web-03", "web-04"], StepState.TIMED_OUT)
    assert ends(ran) == {"web-00": FAILED, "web-01": StepState.TIMED_OUT} | kept
    assert (ran.state, ran.view.attempt) == (RunState.TIMED_OUT, 1)


async def test_step_by_step_a_loop_that_had_begun_is_ended_when_nothing_else_starts(bench: Bench) -> None:
    """Its runner was lost: what nobody knows of the loop becomes unknown, and the other targets do not begin."""
    file = bench.folder / "notes"
    each = noting(file, "each", loop=Loop(["x", "y"], "i", 1))
    run = await bench.enqueue(each, targets=fleet(3), order="stepFirst", max_failures=0, max_parallel=1)
    await bench.lose(each, target="web-01")
    await bench.cancel(run)
    bench.start()
    ran = await bench.ended(run)
    assert not file.exists()
    assert set(ends(ran)) == {"web-00", "web-01", "web-02"}


async def test_a_slow_target_holds_nobody_else_up(bench: Bench) -> None:
    """Target by target, the others are done while one still waits."""
    file, go = bench.folder / "notes", bench.pipe("go")
    run = await bench.enqueue(
        noting(file, "a", f'test "$OC1" != web-00 || read x < {go}'),
        noting(file, "b"),
        targets=fleet(4),
        max_parallel=2,
    )
    bench.start()
    await bench.until(run, lambda ran: Counter(ends(ran).values())[OK] == 3)
    assert ("begin", "b", "web-00") not in notes(file)
    go.let_go()
    assert (await bench.ended(run)).state is RunState.SUCCEEDED


async def test_step_by_step_a_drained_run_is_handed_over(bench: Bench) -> None:
    file, go, up = bench.folder / "notes", bench.pipe("go"), bench.pipe("up")
    waits = f'echo > {up}; test "$OC1" != web-00 || read x < {go}'
    run = await bench.enqueue(noting(file, "a", waits), noting(file, "b"), targets=fleet(3), order="stepFirst")
    bench.start()
    await up.lines(3)
    draining = asyncio.create_task(bench.drain(timedelta(seconds=20)))
    go.let_go()
    await draining
    bench.start()
    ran = await bench.ended(run)
    assert ran.state is RunState.SUCCEEDED
    assert [step for _, step, _ in notes(file)] == ["a"] * 6 + ["b"] * 6
