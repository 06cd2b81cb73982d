"""A start is durable before its effect, an end after it; what happened is recorded once."""

from dataclasses import replace

import pytest

from engine.runs.concurrency import Membership
from engine.runs.pinned import RUNNER
from engine.states import StepState
from journal import attempts, evidence, outbox, runs, steprecords, steps
from journal.errors import AlreadyStarted, FenceLost
from journal.steps import StepEnd

T = "web-01"


async def test_a_step_shows_its_last_attempt_in_its_place(desk, clock):
    fence = (await desk.running()).fence
    await desk.do(steps.start, fence, T, "steps", "space", 1, clock.now(), name="Space")
    failed = StepEnd(StepState.FAILED, 75, 0.1, error="exit 75", stderr_tail="busy")
    await desk.do(steps.end, fence, T, "steps", "space", 1, failed, clock.now())
    await desk.do(steps.start, fence, T, "steps", "space", 2, clock.now(), name="Space")
    good = StepEnd(StepState.SUCCEEDED, 0, 0.2, {"used": 71}, log="logs/1")
    await desk.do(steps.end, fence, T, "steps", "space", 2, good, clock.now())
    await desk.do(steps.start, fence, T, "finally", "finally_1", 1, clock.now())
    (place,) = (await desk.see(runs.get, fence.run)).results
    space, last = place.steps
    assert (space.id, space.name, space.attempts, space.state) == ("space", "Space", 2, StepState.SUCCEEDED)
    assert (space.exit_code, space.outputs, space.error, space.log) == (0, {"used": 71}, None, "logs/1")
    assert (last.phase, last.state, place.state) == ("finally", StepState.RUNNING, StepState.RUNNING)


async def test_an_attempt_starts_once(desk, clock):
    fence = (await desk.running()).fence
    await desk.do(steps.start, fence, T, "steps", "space", 1, clock.now())
    clock.advance(0.001)
    with pytest.raises(AlreadyStarted):
        await desk.do(steps.start, fence, T, "steps", "space", 1, clock.now())
    with pytest.raises(AlreadyStarted):
        await desk.do(steps.skip, fence, T, "steps", "space", 1, "condition", clock.now())


async def test_an_end_without_a_recorded_start_is_a_bug(desk, clock):
    fence = (await desk.running()).fence
    with pytest.raises(LookupError, match="without a recorded start"):
        await desk.do(steps.end, fence, T, "steps", "space", 1, StepEnd(StepState.SUCCEEDED), clock.now())


async def test_a_result_is_recorded_once_and_the_second_is_evidence(desk, clock):
    fence = (await desk.running()).fence
    await desk.do(steps.start, fence, T, "steps", "space", 1, clock.now())
    await desk.do(steps.end, fence, T, "steps", "space", 1, StepEnd(StepState.UNKNOWN, error="?"), clock.now())
    await desk.do(steps.end, fence, T, "steps", "space", 1, StepEnd(StepState.SUCCEEDED, 0), clock.now())
    (place,) = (await desk.see(runs.get, fence.run)).results
    assert place.steps[0].state is StepState.UNKNOWN
    assert [found.state for found in await desk.see(evidence.of, fence.run)] == ["succeeded"]


@pytest.mark.parametrize("state", [StepState.RUNNING, StepState.SKIPPED])
async def test_a_started_step_ends_in_an_end(desk, clock, state):
    fence = (await desk.running()).fence
    await desk.do(steps.start, fence, T, "steps", "space", 1, clock.now())
    with pytest.raises(ValueError, match="cannot end"):
        await desk.do(steps.end, fence, T, "steps", "space", 1, StepEnd(state), clock.now())


async def test_a_skip_says_why(desk, clock):
    fence = (await desk.running()).fence
    await desk.do(steps.skip, fence, T, "steps", "space", 1, "condition", clock.now())
    (place,) = (await desk.see(runs.get, fence.run)).results
    assert (place.steps[0].state, place.steps[0].error) == (StepState.SKIPPED, "condition")


async def test_a_lost_attempt_may_be_followed_by_a_skip(desk, clock):
    """What the author allows to repeat is asked its condition again after a crash."""
    fence = (await desk.running()).fence
    await desk.do(steps.start, fence, T, "finally", "tidy", 1, clock.now())
    await desk.do(steps.skip, fence, T, "finally", "tidy", 2, "", clock.now())
    (step,) = (await desk.see(runs.get, fence.run)).results[0].steps
    assert (step.state, step.attempts) == (StepState.SKIPPED, 2)


async def test_targets_stand_in_the_order_of_the_plan(desk, clock):
    fence = (await desk.running(targets=("c", "a", "b"))).fence
    for target in ("b", "a"):
        await desk.do(steps.end_target, fence, target, StepState.SUCCEEDED, {"freed": 1}, clock.now())
    view = await desk.see(runs.get, fence.run)
    assert view.targets == ("c", "a", "b")
    assert [(place.name, place.state, place.outputs) for place in view.results] == [
        ("a", StepState.SUCCEEDED, {"freed": 1}),
        ("b", StepState.SUCCEEDED, {"freed": 1}),
    ]


async def test_a_targets_end_is_recorded_once_and_announced(desk, clock):
    fence = (await desk.running()).fence
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    await desk.do(steps.end_target, fence, T, StepState.FAILED, {}, clock.now())
    await desk.do(steps.end_target, fence, T, StepState.SUCCEEDED, {}, clock.now())
    assert (await desk.see(runs.get, fence.run)).results[0].state is StepState.FAILED
    assert (await desk.see(outbox.pending, "status")).objects == (("run", fence.run), ("target", T))


async def test_a_job_without_targets_has_one_place_and_no_target(desk, clock):
    fence = (await desk.running(targets=())).fence
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    await desk.do(steps.start, fence, RUNNER, "steps", "space", 1, clock.now())
    await desk.do(steps.end_target, fence, RUNNER, StepState.SUCCEEDED, {}, clock.now())
    view = await desk.see(runs.get, fence.run)
    assert (view.on_targets, view.targets, view.results[0].name) == (False, (), RUNNER)
    assert ("target", RUNNER) not in (await desk.see(outbox.pending, "status")).objects


async def test_text_of_every_kind_comes_back_as_it_was(desk, clock):
    fence = (await desk.running()).fence
    text = "naïve \u2028 𝄞 \x7f \t 'quoted' \"twice\""
    await desk.do(steps.start, fence, T, "steps", "space", 1, clock.now())
    ended = StepEnd(StepState.FAILED, -15, 1e-9, {"deep": [{"x": [None, True, 1.5, text]}]}, stderr_tail=text)
    await desk.do(steps.end, fence, T, "steps", "space", 1, ended, clock.now())
    (step,) = (await desk.see(runs.get, fence.run)).results[0].steps
    assert (step.exit_code, step.outputs, step.stderr_tail) == (-15, ended.outputs, text)


async def test_the_character_nul_is_kept_or_shown(desk, clock):
    """SQLite keeps it, PostgreSQL does not know it in text. A program prints what it likes, and its step has an end."""
    fence = (await desk.running()).fence
    await desk.do(steps.start, fence, T, "steps", "space", 1, clock.now())
    ended = StepEnd(StepState.FAILED, 2**32 - 1, outputs={"x": "a\0b"}, stderr_tail="a\0b", error="\0")
    await desk.do(steps.end, fence, T, "steps", "space", 1, ended, clock.now())
    (step,) = (await desk.see(runs.get, fence.run)).results[0].steps
    assert (step.exit_code, step.outputs) == (2**32 - 1, {"x": "a\0b"})
    assert (step.stderr_tail, step.error) in (("a\0b", "\0"), ("a\N{SYMBOL FOR NULL}b", "\N{SYMBOL FOR NULL}"))


async def test_what_a_rescue_made_up_for_is_recorded(desk, clock):
    """The failure stays what it was, with the author's wish for another attempt beside it."""
    fence = (await desk.running()).fence
    await desk.do(steps.start, fence, T, "steps", "space", 1, clock.now())
    await desk.do(steps.end, fence, T, "steps", "space", 1, StepEnd(StepState.FAILED, 75, again=True), clock.now())
    ((before,),) = [place.steps for place in (await desk.see(runs.get, fence.run)).results]
    assert (before.again, before.rescued) == (True, False)
    await desk.do(steps.rescue, fence, T, "steps", "space")
    ((after,),) = [place.steps for place in (await desk.see(runs.get, fence.run)).results]
    assert (after.state, after.again, after.rescued) == (StepState.FAILED, True, True)
    with pytest.raises(FenceLost):
        await desk.do(steps.rescue, replace(fence, token=fence.token + 1), T, "steps", "space")


async def test_a_start_that_nothing_followed_is_taken_back(desk, clock):
    """It may be made anew; one that has ended, and another claim's, stay what they are."""
    fence = (await desk.running()).fence
    this = (fence, T, "steps", "space", 1)
    await desk.do(steps.start, *this, clock.now())
    with pytest.raises(FenceLost):
        await desk.do(steps.withdraw, replace(fence, token=fence.token + 1), *this[1:])
    for _ in range(2):
        await desk.do(steps.withdraw, *this)
        assert (await desk.see(runs.get, fence.run)).results == ()
    clock.advance(1)
    await desk.do(steps.start, *this, clock.now())
    await desk.do(steps.end, *this, StepEnd(StepState.SUCCEEDED, 0), clock.now())
    await desk.do(steps.withdraw, *this)
    ((kept,),) = [place.steps for place in (await desk.see(runs.get, fence.run)).results]
    assert kept.state is StepState.SUCCEEDED


async def test_what_was_left_of_earlier_attempts_is_in_doubt_until_it_is_settled(desk, clock):
    """Of an attempt without an end, whatever followed; one that ended is in no doubt, and settling it says so."""
    fence = (await desk.running()).fence
    this = (fence, T, "steps", "space")

    async def known() -> tuple[StepState, int, bool]:
        original = await desk.see(steprecords.original, fence.run)
        (one,) = original.records[T]
        return one.state, one.attempt, one.doubt

    await desk.do(steps.start, *this, 1, clock.now())
    assert await known() == (StepState.RUNNING, 1, True)
    await desk.do(steps.start, *this, 2, clock.now())
    await desk.do(steps.end, *this, 2, StepEnd(StepState.UNREACHABLE, again=True), clock.now())
    assert await known() == (StepState.UNREACHABLE, 2, True)
    with pytest.raises(FenceLost):
        await desk.do(steps.settle, replace(fence, token=fence.token + 1), *this[1:], 3, clock.now())
    assert await known() == (StepState.UNREACHABLE, 2, True)
    await desk.do(steps.start, *this, 3, clock.now())
    for _ in range(2):
        await desk.do(steps.settle, *this, 3, clock.now())
    await desk.do(steps.end, *this, 3, StepEnd(StepState.FAILED, 1, again=True), clock.now())
    assert await known() == (StepState.FAILED, 3, False)
    await desk.do(steps.start, *this, 4, clock.now())
    with pytest.raises(FenceLost):
        await desk.do(steps.interrupt, replace(fence, token=fence.token + 1), *this[1:], 4, clock.now())
    assert await known() == (StepState.RUNNING, 4, True)
    await desk.do(steps.interrupt, *this, 4, clock.now())
    assert await known() == (StepState.RUNNING, 4, False)
    first, *_ = await desk.see(attempts.attempts, fence.run, [T], limit=9)
    assert (first.state, first.ended_at, first.is_over_unseen) == (StepState.RUNNING, clock.now(), True)


async def test_a_repetition_begins_with_the_results_it_takes_over(desk, clock, new_run):
    """They are records like others, and say that this run did not make them."""
    first = await desk.running("one", group="web", on_conflict="queue", limit=2, max_queue=5)
    done = StepEnd(StepState.SUCCEEDED, 0, 0.2, {"used": 71}, stdout="71")
    await desk.do(steps.start, first.fence, T, "steps", "space", 1, clock.now())
    await desk.do(steps.end, first.fence, T, "steps", "space", 1, done, clock.now())
    was = await desk.see(steprecords.original, first.fence.run)
    assert was is not None
    assert (was.spec, was.pool) == (first.spec, "default")
    assert was.membership == Membership("web", "queue", 2, 5)
    assert [(one.id, one.stdout, one.inherited) for one in was.records[T]] == [("space", "71", False)]
    assert await desk.see(steprecords.original, "nothing-20261121T120000Z-0123456789") is None

    again = replace(new_run("two"), rerun_of=first.fence.run, carried=was.records)
    await desk.enqueue(again)
    view = await desk.see(runs.get, again.id)
    ((space,),) = [place.steps for place in view.results]
    assert (view.rerun_of, space.inherited, space.outputs) == (first.fence.run, True, {"used": 71})
    (claim,) = [one for one in await desk.claim(limit=2) if one.fence.run == again.id]
    assert [(one.id, one.stdout, one.inherited) for one in claim.records[T]] == [("space", "71", True)]
