"""What people see of one run beside its file: every attempt, its plan, the run before it."""

from datetime import timedelta

from engine.states import StepState
from journal import attempts, steps
from journal.steps import StepEnd
from tests.contract.conftest import START, a_spec

T = "web-01"


async def test_every_attempt_has_its_times(desk, clock):
    fence = (await desk.running()).fence
    await desk.do(steps.start, fence, T, "steps", "space", 1, clock.now())
    clock.advance(2)
    await desk.do(steps.end, fence, T, "steps", "space", 1, StepEnd(StepState.FAILED, 75, 2.0), clock.now())
    clock.advance(3)
    await desk.do(steps.start, fence, T, "steps", "space", 2, clock.now())
    await desk.do(steps.start, fence, "web-02", "steps", "space", 1, clock.now())

    first, second = await desk.see(attempts.attempts, fence.run, [T], limit=10)
    assert (first.number, first.state, first.ended_at) == (1, StepState.FAILED, START + timedelta(seconds=2))
    assert (second.number, second.started_at, second.ended_at) == (2, START + timedelta(seconds=5), None)
    assert len(await desk.see(attempts.attempts, fence.run, [T, "web-02"], limit=2)) == 2
    assert await desk.see(attempts.attempts, fence.run, [], limit=2) == ()


async def test_what_a_run_was_given_and_the_one_before(desk, new_run):
    await desk.enqueue(new_run("one"))
    await desk.enqueue(new_run("other", job="tidy"))
    await desk.enqueue(new_run("two", params={"keepDays": 7}))
    two = await desk.see(attempts.planned, new_run("two").id)
    assert (two.params, two.targets, two.plan) == (
        {"keepDays": 7},
        ("web-01", "web-02"),
        a_spec("rotate", *two.targets),
    )
    assert await desk.see(attempts.before, two.run) == new_run("one").id
    assert await desk.see(attempts.before, new_run("one").id) is None
    assert await desk.see(attempts.planned, "nosuch") is None
