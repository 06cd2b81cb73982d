"""How targets have been doing: the last ends on each, the oldest first, and no more of them than were asked for."""

from engine.states import RunState, StepState
from journal import heartbeats, leases, steps
from tests.contract.conftest import Desk


async def test_the_last_ends_of_each_target(desk: Desk) -> None:
    for name, state in (("one", StepState.SUCCEEDED), ("two", StepState.UNREACHABLE), ("three", StepState.FAILED)):
        claim = await desk.running(name)
        await desk.do(steps.end_target, claim.fence, "web-01", state, {}, desk.clock.now())
        await desk.do(leases.finish, claim.fence, RunState.FAILED, now=desk.clock.now())
        desk.clock.advance(60)

    found = await desk.see(heartbeats.of_targets, ["web-01", "web-02"], 2)
    assert [(beat.state, beat.job) for beat in found["web-01"]] == [
        (StepState.UNREACHABLE, "rotate"),
        (StepState.FAILED, "rotate"),
    ]
    assert found["web-02"] == ()


async def test_which_targets_are_unreachable_is_what_their_last_ends_say(desk: Desk) -> None:
    """Not one that has been reached since, and none that no run has ended on."""
    ends = {
        "web-01": (StepState.UNREACHABLE, StepState.SUCCEEDED),
        "web-02": (StepState.SUCCEEDED, StepState.UNREACHABLE),
    }
    assert await desk.see(heartbeats.unreachable) == frozenset()
    for turn, name in enumerate(("one", "two")):
        claim = await desk.running(name)
        for target, states in ends.items():
            await desk.do(steps.end_target, claim.fence, target, states[turn], {}, desk.clock.now())
        await desk.do(leases.finish, claim.fence, RunState.FAILED, now=desk.clock.now())
        desk.clock.advance(60)
    assert await desk.see(heartbeats.unreachable) == {"web-02"}
