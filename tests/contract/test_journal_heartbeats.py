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
