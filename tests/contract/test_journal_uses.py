"""Which credential a run used where is kept as long as the run, by whoever holds it, and never twice."""

from journal import leases, uses
from journal.uses import SteadyUse, Use
from tests.contract.conftest import START

A, B = "web-01", "web-02"


async def test_a_use_is_the_run_the_target_and_the_runner(desk, clock):
    claim = await desk.running()
    run = claim.fence.run
    clock.advance(2)
    await desk.do(uses.note, claim.fence, [(A, "key"), (B, "key"), (A, "db")], clock.now())
    clock.advance(1)
    await desk.do(uses.note, claim.fence, [(A, "key")], clock.now())
    found = await desk.see(uses.of_run, run)
    assert {(one.target, one.credential, one.runner) for one in found} == {
        (A, "key", desk.runner),
        (B, "key", desk.runner),
        (A, "db", desk.runner),
    }
    assert {(clock.now() - one.at).total_seconds() for one in found} == {1.0}
    assert [one.target for one in await desk.see(uses.of_credential, "key")] == [A, B]
    assert await desk.see(uses.of_credential, "db") == (Use(run, A, "db", desk.runner, START.replace(second=2)),)
    assert await desk.see(uses.of_credential, "other") == ()


async def test_what_is_no_run_is_recorded_once_with_its_last_use(desk, clock):
    await desk.do(uses.note_steady, "NotificationChannel/chat", ("key", "db"), "default/1", clock.now())
    clock.advance(60)
    await desk.do(uses.note_steady, "NotificationChannel/chat", ("key",), "default/2", clock.now())
    await desk.do(uses.note_steady, "Project", ("key",), None, START)
    assert await desk.see(uses.steady, "key") == (
        SteadyUse("key", "NotificationChannel/chat", "default/2", START, clock.now()),
        SteadyUse("key", "Project", None, START, START),
    )
    assert [one.used_by for one in await desk.see(uses.steady, "db")] == ["NotificationChannel/chat"]
    assert await desk.see(uses.steady, "other") == ()


async def test_who_holds_the_run_no_more_records_nothing(desk, clock):
    fence = (await desk.running()).fence
    await desk.do(uses.note, fence, [(A, "key")], clock.now())
    await desk.do(leases.release, fence, clock.now())
    clock.advance(1)
    await desk.do(uses.note, fence, [(B, "key")], clock.now())
    (again,) = await desk.claim("default/other")
    await desk.do(uses.note, again.fence, [(A, "key")], clock.now())
    found = await desk.see(uses.of_credential, "key")
    assert [(one.target, one.runner) for one in found] == [(A, "default/other"), (A, desk.runner)]
