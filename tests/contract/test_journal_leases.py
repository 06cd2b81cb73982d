"""Leases and fences: one runner at a time, and no word from the dead."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select

from engine.runs.progress import StepRecord
from engine.states import RunState, StepState
from journal import evidence, leases, runs, steps
from journal.databases.tables import runners
from journal.errors import FenceLost
from journal.leases import MOST_LOST
from journal.reaper import Patience, Reaper

T = "web-01"


async def test_a_run_is_claimed_by_one_runner(desk, new_run):
    for name in ("one", "two", "three"):
        await desk.enqueue(new_run(name))
    claims = await asyncio.gather(*(desk.claim(f"default/{n}") for n in range(10)))
    taken = [claim.fence.run for found in claims for claim in found]
    assert sorted(taken) == sorted(new_run(name).id for name in ("one", "two", "three"))


async def test_claims_go_by_priority_then_age_and_stay_in_their_pools(desk, new_run, clock):
    for name, priority, pool in (("a", 0, "default"), ("b", 9, "default"), ("c", 0, "default"), ("d", 99, "dmz")):
        await desk.enqueue(new_run(name, priority=priority, pool=pool))
    assert [c.fence.run for c in await desk.claim(limit=3)] == [new_run(name).id for name in ("b", "a", "c")]
    (other,) = await desk.do(leases.claim, "all", None, 5, clock.now())
    assert other.fence.run == new_run("d").id


async def test_a_claim_of_what_is_urgent_takes_nothing_else(desk, new_run, clock):
    for name, priority in (("low", -5), ("plain", 0), ("urgent", 3)):
        await desk.enqueue(new_run(name, group=None, priority=priority))
    for needs in (None, ()):
        for pools in (None, {"default"}):
            assert await desk.do(leases.claim, "default/a", pools, 9, clock.now(), needs=needs, above=3) == ()
    urgent = await desk.do(leases.claim, "default/a", {"default"}, 9, clock.now(), needs=(), above=0)
    assert [claim.cause.name for claim in urgent] == ["urgent"]
    assert [claim.cause.name for claim in await desk.claim(limit=9)] == ["plain", "low"]


async def test_a_claim_carries_all_that_a_runner_needs(desk, new_run, clock):
    new = new_run()
    claim = await desk.running()
    assert (claim.spec, claim.params, claim.cause) == (new.spec, new.params, new.cause)
    assert (claim.attempt, claim.started_at, claim.ending, claim.records) == (1, clock.now(), None, {})


async def test_a_second_claim_has_a_higher_token_and_the_records_of_the_first(desk, clock):
    first = await desk.running()
    await desk.do(steps.start, first.fence, T, "steps", "space", 1, clock.now())
    ended = steps.StepEnd(StepState.SUCCEEDED, 0, 0.2, {"used": 71}, stdout="71")
    await desk.do(steps.end, first.fence, T, "steps", "space", 1, ended, clock.now())
    await desk.do(steps.start, first.fence, T, "steps", "rotate", 1, clock.now())
    await desk.do(steps.skip, first.fence, "web-02", "steps", "space", 1, "condition", clock.now())
    await desk.do(steps.end_target, first.fence, "web-02", StepState.SUCCEEDED, {}, clock.now())
    clock.advance(16)
    await desk.reap()
    (second,) = await desk.claim("default/other")
    assert second.fence.token > first.fence.token
    assert (second.attempt, second.started_at) == (2, first.started_at)
    assert [(r.id, r.state, r.stdout, r.outputs) for r in second.records[T]] == [
        ("space", StepState.SUCCEEDED, "71", {"used": 71}),
        ("rotate", StepState.RUNNING, None, {}),
    ]
    assert second.ended_targets == {"web-02": StepState.SUCCEEDED}


async def test_a_renewed_lease_holds_and_a_silent_one_does_not(desk, clock):
    claim = await desk.running()
    clock.advance(11)
    renewed = await desk.do(leases.renew, desk.runner)
    assert renewed.held == {claim.fence.run}
    clock.advance(11)
    assert await desk.reap() == ()
    clock.advance(2)
    assert [reaped.to for reaped in await desk.reap()] == [RunState.QUEUED]
    assert (await desk.do(leases.renew, desk.runner)).held == frozenset()


async def test_a_renewal_tells_a_claim_that_was_lost_from_one_of_the_same_run_that_came_after_it(desk, clock):
    lost = await desk.running()
    clock.advance(16)
    await desk.reap()
    (claim,) = await desk.claim()
    assert claim.runner == lost.runner
    assert (await desk.do(leases.renew, desk.runner)).fences == {claim.fence}


async def test_a_late_writer_changes_nothing_and_is_kept_as_evidence(desk, clock):
    """The runner comes back after its run was given to another: its words are kept, the run is not touched."""
    late = await desk.running()
    await desk.do(steps.start, late.fence, T, "steps", "space", 1, clock.now())
    clock.advance(16)
    await desk.reap()
    (holder,) = await desk.claim("default/other")
    ended = steps.StepEnd(StepState.SUCCEEDED, 0, 3.0, stdout_tail="done")
    with pytest.raises(FenceLost):
        await desk.do(steps.end, late.fence, T, "steps", "space", 1, ended, clock.now())
    with pytest.raises(FenceLost):
        await desk.do(steps.start, late.fence, T, "steps", "rotate", 1, clock.now())
    with pytest.raises(FenceLost):
        await desk.do(steps.end_target, late.fence, T, StepState.SUCCEEDED, {}, clock.now())
    with pytest.raises(FenceLost):
        await desk.do(leases.finish, late.fence, RunState.SUCCEEDED, now=clock.now())
    with pytest.raises(FenceLost):
        await desk.do(leases.release, late.fence, clock.now())
    view = await desk.see(runs.get, late.fence.run)
    assert view.state is RunState.RUNNING
    assert [step.state for step in view.results[0].steps] == [StepState.RUNNING]
    kept = await desk.see(evidence.of, late.fence.run)
    assert [(found.what, found.token, found.state) for found in kept] == [
        ("step", late.fence.token, "succeeded"),
        ("target", late.fence.token, "succeeded"),
        ("run", late.fence.token, "succeeded"),
    ]
    assert kept[0].detail["stdout_tail"] == "done"
    await desk.do(leases.finish, holder.fence, RunState.UNKNOWN, now=clock.now())


async def test_a_fenced_write_in_a_batch_does_not_touch_the_others(desk, clock):
    stale = await desk.running()
    clock.advance(16)
    await desk.reap()
    (fresh,) = await desk.claim("default/other")
    ended = steps.StepEnd(StepState.FAILED, 1)
    results = await asyncio.gather(
        desk.do(steps.start, fresh.fence, T, "steps", "space", 1, clock.now()),
        desk.do(steps.end, stale.fence, T, "steps", "space", 1, ended, clock.now()),
        desk.do(steps.start, fresh.fence, "web-02", "steps", "space", 1, clock.now()),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), FenceLost, type(None)]
    assert len(await desk.see(evidence.of, stale.fence.run)) == 1


async def test_after_three_lost_attempts_a_run_is_unknown(desk, new_run, clock):
    await desk.enqueue(new_run(group="web"))
    await desk.enqueue(new_run("next", group="web"))
    for attempt in range(1, MOST_LOST + 1):
        (claim,) = await desk.claim()
        assert claim.attempt == attempt
        await desk.do(steps.start, claim.fence, T, "steps", "space", attempt, clock.now())
        clock.advance(16)
        (reaped,) = await desk.reap()
    assert reaped.to is RunState.UNKNOWN
    view = await desk.see(runs.get, new_run().id)
    assert (view.state, view.reason, view.finished_at) == (RunState.UNKNOWN, "lostTooOften", clock.now())
    assert view.results[0].state is StepState.UNKNOWN
    assert [step.state for step in view.results[0].steps] == [StepState.UNKNOWN]
    assert await desk.state(new_run("next").id) == "queued"


async def test_of_a_target_on_which_only_another_run_has_worked_nothing_is_unknown(desk, new_run, clock):
    """It was to go on from that run's results there, and was lost before it had begun to."""
    done = StepRecord("steps", "space", StepState.SUCCEEDED, exit_code=0)
    await desk.enqueue(replace(new_run(), carried={T: (done,), "web-02": (done,)}, rerun_of="before"))
    for attempt in range(1, MOST_LOST + 1):
        (claim,) = await desk.claim()
        await desk.do(steps.start, claim.fence, T, "steps", "next", attempt, clock.now())
        clock.advance(16)
        (reaped,) = await desk.reap()
    assert reaped.to is RunState.UNKNOWN
    found = {place.name: place.state for place in (await desk.see(runs.get, new_run().id)).results}
    assert found[T] is StepState.UNKNOWN
    assert found["web-02"] is not StepState.UNKNOWN


async def test_a_drained_run_is_not_a_lost_one(desk, clock):
    claim = await desk.running()
    for attempt in range(2, 7):
        await desk.do(leases.release, claim.fence, clock.now())
        (claim,) = await desk.claim()
        assert claim.attempt == attempt


async def test_what_a_runner_holds_and_does_not_work_on_is_given_back_as_lost(desk, new_run, clock):
    for name in ("one", "two", "other"):
        await desk.enqueue(new_run(name))
    stray, kept = await desk.claim(limit=2)
    (others,) = await desk.claim("default/other")
    given = await desk.do(leases.give_back, desk.runner, [stray.fence.run, others.fence.run], clock.now())
    assert given == (leases.Reaped(stray.fence.run, RunState.QUEUED),)
    assert (await desk.do(leases.renew, desk.runner)).held == {kept.fence.run}
    with pytest.raises(FenceLost):
        await desk.do(leases.finish, stray.fence, RunState.SUCCEEDED, now=clock.now())


async def test_all_leases_are_void_at_the_start(desk, new_run, clock):
    await desk.enqueue(new_run("one"))
    await desk.enqueue(new_run("two"))
    old = await desk.claim(limit=1)
    assert await desk.do(leases.void, clock.now()) == (leases.Reaped(new_run("one").id, RunState.QUEUED),)
    with pytest.raises(FenceLost):
        await desk.do(steps.start, old[0].fence, T, "steps", "space", 1, clock.now())


async def test_a_run_ends_once(desk, clock):
    claim = await desk.running()
    await desk.do(leases.finish, claim.fence, RunState.FAILED, now=clock.now(), reason="why", outputs={"x": 1})
    with pytest.raises(FenceLost):
        await desk.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=clock.now())
    view = await desk.see(runs.get, claim.fence.run)
    assert (view.state, view.reason, view.outputs) == (RunState.FAILED, "why", {"x": 1})


async def test_a_run_that_is_given_up_leaves_nothing_running(desk, clock):
    claim = await desk.running()
    await desk.do(steps.start, claim.fence, T, "steps", "space", 1, clock.now())
    await desk.do(leases.give_up, claim.fence, reason="internalError", now=clock.now())
    view = await desk.see(runs.get, claim.fence.run)
    assert (view.state, view.reason) == (RunState.UNKNOWN, "internalError")
    assert [(place.name, place.state) for place in view.results] == [(T, StepState.UNKNOWN)]
    assert [step.state for step in view.results[0].steps] == [StepState.UNKNOWN]
    clock.advance(1)
    with pytest.raises(FenceLost):
        await desk.do(leases.give_up, claim.fence, reason="internalError", now=clock.now())


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.WAITING, RunState.RUNNING])
async def test_a_run_cannot_finish_open(desk, clock, state):
    claim = await desk.running()
    with pytest.raises(ValueError, match="cannot finish"):
        await desk.do(leases.finish, claim.fence, state, now=clock.now())


async def test_registering_again_is_harmless(desk, clock):
    for _ in range(2):
        await desk.do(leases.register, desk.runner, "default", "host", clock.now())
    known = await desk.see(lambda conn: conn.execute(select(runners.c.name, runners.c.host)).all())
    assert known.count((desk.runner, "host")) == 1
    assert [name for name, _ in known].count(desk.runner) == 1


async def test_the_reaper_waits_after_a_pause_of_its_own(desk, clock):
    """A process that was stopped longer than a lease lets its own runner renew before it takes runs away."""
    reaper = Reaper(desk.journal, clock)
    claim = await desk.running()
    clock.advance(60)
    assert await reaper.look() == ()
    await desk.do(leases.renew, desk.runner)
    for _ in range(3):
        clock.advance(4)
        assert await reaper.look() == ()
    clock.advance(4)
    assert [reaped.run for reaped in await reaper.look()] == [claim.fence.run]


def test_the_reaper_waits_a_lease_after_a_fault():
    patience = Patience(0.0, 0.0).failed(5.0)
    assert not patience.woken(10.0).over()
    assert not patience.woken(14.9).over()
    assert patience.woken(10.0).woken(15.0).woken(20.0).over()


def test_the_reaper_waits_a_lease_after_a_jump_of_the_lease_clock():
    """A server that was replaced by its standby, or set right, shows a time at which all leases are over."""
    calm = Patience(0.0, 0.0).seen(500.0, 0.0).woken(5.0).seen(500.3, 5.0)
    assert calm.over()
    for ahead in (530.0, 470.0):
        jumped = calm.woken(10.0).seen(ahead, 10.0)
        assert not jumped.over()
        assert not jumped.woken(15.0).seen(ahead, 15.0).woken(24.9).seen(ahead, 24.9).over()
        assert jumped.woken(15.0).seen(ahead, 15.0).woken(20.0).woken(25.0).seen(ahead, 25.0).over()


async def test_the_reaper_waits_a_lease_after_any_fault_of_the_database(desk, clock):
    """Also one that another met, while the reaper slept: renewals may have met it too."""
    reaper = Reaper(desk.journal, clock)
    await desk.running()
    clock.advance(4)

    def breaks(tx):
        tx.connection.driver_connection.close()
        tx.exec_driver_sql("SELECT 1")

    with pytest.raises(Exception, match=r"closed"):
        await desk.journal.write(breaks)
    for _ in range(3):
        clock.advance(4)
        assert await reaper.look() == ()
    clock.advance(4)
    assert len(await reaper.look()) == 1


async def test_where_others_share_the_journal_the_reaper_begins_after_a_lease(desk, clock):
    await desk.running()
    clock.advance(30)
    reaper = Reaper(desk.journal, clock)
    found = [len(await reaper.look())]
    for _ in range(4):
        clock.advance(5)
        found.append(len(await reaper.look()))
    assert found == ([0, 0, 0, 1, 0] if desk.journal.shared else [1, 0, 0, 0, 0])
