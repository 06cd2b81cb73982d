"""Runs are caused once, admitted one a slot, and ended once."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from engine.identity import Cause, run_id
from engine.runs.rehearsal import Rehearsal
from engine.runs.waits import SHOWN, Held, Wait
from engine.schedules.decide import Skips
from engine.states import RunState, StepState
from engine.status.views import RunView, StepView, TargetView
from journal import acts, evidence, history, leases, outbox, runimport, runs, schedules, steps
from journal.databases.tables import runs as table
from journal.runs import AlreadyThere, Enqueued, Overlap
from schemas.project import Retention

QUEUED, WAITING = RunState.QUEUED, RunState.WAITING


async def test_a_run_queued_twice_starts_once(desk, new_run):
    """Putting the same run again is a no-op, so a crashed pass may simply be repeated."""
    new = new_run()
    assert await desk.enqueue(new) == Enqueued(new.id, QUEUED)
    assert await desk.enqueue(new) == AlreadyThere(new.id, QUEUED)
    assert len(await desk.claim(limit=9)) == 1
    assert await desk.enqueue(new) == AlreadyThere(new.id, RunState.RUNNING)


async def test_two_tasks_that_enqueue_at_once_cause_one_run(desk, new_run):
    answers = await asyncio.gather(*(desk.enqueue(new_run()) for _ in range(20)))
    assert [type(answer) for answer in answers].count(Enqueued) == 1


async def test_one_act_is_one_run_whatever_its_time_says(desk, new_run):
    first = new_run()
    later = Cause("request", "one", first.cause.instant + timedelta(hours=1))
    again = new_run(id=run_id("rotate", later), cause=later)
    await desk.enqueue(first)
    assert await desk.enqueue(again) == AlreadyThere(first.id, QUEUED)


async def test_queue_one_lets_one_wait_and_tells_who_is_in_the_way(desk, new_run):
    await desk.enqueue(new_run("one", group="web"))
    waiting = await desk.enqueue(new_run("two", group="web"))
    assert waiting == Enqueued(new_run("two").id, WAITING)
    assert await desk.enqueue(new_run("three", group="web")) == Overlap(new_run("two").id)
    assert await desk.see(runs.get, new_run("three").id) is None


async def test_skip_overlaps_with_the_holder(desk, new_run):
    await desk.enqueue(new_run("one", group="web"))
    assert await desk.enqueue(new_run("two", group="web", on_conflict="skip")) == Overlap(new_run("one").id)


async def test_an_overlap_is_never_given_for_a_run_that_exists(desk, new_run):
    """A pass that crashed after its commit meets its own run, not an overlap with it."""
    new = new_run(group="web", on_conflict="skip")
    await desk.enqueue(new)
    assert await desk.enqueue(new) == AlreadyThere(new.id, QUEUED)


async def test_runs_without_a_group_never_wait(desk, new_run):
    for name in ("one", "two", "three"):
        assert (await desk.enqueue(new_run(name))).state is QUEUED


async def test_cancel_running_asks_the_holder_to_end(desk, new_run):
    held = await desk.running("one", group="web")
    await desk.enqueue(new_run("two", group="web", on_conflict="cancelRunning"))
    renewed = await desk.do(leases.renew, desk.runner)
    assert renewed.wishes == {held.fence.run: "cancelled"}


async def test_a_run_never_replaces_itself(desk, new_run):
    """A pass that is repeated meets its own run, whatever the job says about runs that are in the way."""
    new = new_run(group="web", on_conflict="cancelRunning")
    await desk.enqueue(new)
    assert await desk.enqueue(new) == AlreadyThere(new.id, QUEUED)
    await desk.claim()
    assert await desk.enqueue(new) == AlreadyThere(new.id, RunState.RUNNING)
    assert (await desk.do(leases.renew, desk.runner)).wishes == {}


async def test_the_end_of_a_run_admits_the_next_in_the_same_transaction(desk, new_run):
    claim = await desk.running("one", group="web", on_conflict="queue")
    await desk.enqueue(new_run("low", group="web", on_conflict="queue"))
    await desk.enqueue(new_run("high", group="web", on_conflict="queue", priority=5))
    await desk.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=desk.clock.now())
    assert await desk.state(new_run("high").id) == "queued"
    assert await desk.state(new_run("low").id) == "waiting"


async def test_a_run_that_is_not_due_takes_no_slot(desk, new_run, clock):
    later = clock.now() + timedelta(minutes=5)
    assert (await desk.enqueue(new_run("later", group="web", starts_at=later))).state is WAITING
    assert (await desk.enqueue(new_run("now", group="web"))).state is QUEUED
    assert await desk.see(runs.next_wake) == later
    clock.advance(300)
    assert await desk.do(runs.admit, clock.now()) == ()
    wake = await desk.see(runs.next_wake)
    assert wake > clock.now(), "a start that has come is waited for by its slot, not by the clock"


async def test_a_due_run_is_admitted_at_its_time(desk, new_run, clock):
    await desk.enqueue(new_run("later", starts_at=clock.now() + timedelta(minutes=5)))
    assert await desk.do(runs.admit, clock.now()) == ()
    clock.advance(300)
    assert await desk.do(runs.admit, clock.now()) == (new_run("later").id,)
    assert await desk.do(runs.admit, clock.now()) == ()


@pytest.mark.parametrize(("conflict", "state"), [("skip", "cancelled"), ("fail", "failed")])
async def test_what_is_in_the_way_is_judged_when_the_time_comes(desk, new_run, clock, conflict, state):
    """At the time of asking nothing is in the way; when its time comes, somebody is, and it says who."""
    due = clock.now() + timedelta(minutes=5)
    later = new_run("later", group="web", on_conflict=conflict, starts_at=due)
    assert (await desk.enqueue(later)).state is WAITING
    clock.advance(299)
    await desk.enqueue(new_run("one", group="web"))
    clock.advance(1)
    assert await desk.do(runs.admit, clock.now()) == ()
    view = await desk.see(runs.get, later.id)
    assert (str(view.state), view.reason, view.finished_at) == (state, "overlap", due)
    assert new_run("one").id in view.message
    assert await desk.enqueue(later) == AlreadyThere(later.id, RunState(state))
    assert await desk.see(runs.next_wake) == due + timedelta(minutes=59, seconds=59), "only the other is waited for"


async def test_whose_time_has_come_is_before_who_comes_after_it(desk, new_run, clock):
    """Also where nobody has looked between: a schedule's jitter does not cost it its place."""
    await desk.enqueue(new_run("later", group="web", on_conflict="skip", starts_at=clock.now() + timedelta(minutes=5)))
    clock.advance(310)
    assert (await desk.enqueue(new_run("new", group="web"))).state is WAITING
    assert await desk.state(new_run("later").id) == "queued"


async def test_a_run_says_what_it_waits_for_and_what_it_has(desk, new_run, clock):
    """And it is told again when another has the place."""
    due = clock.now() + timedelta(minutes=5)
    queued = {"group": "web", "on_conflict": "queue"}
    claim = await desk.running("one", **queued)
    for name in ("two", "three"):
        await desk.enqueue(new_run(name, **queued))
    await desk.enqueue(new_run("later", starts_at=due, **queued))

    async def view(name):
        return await desk.see(runs.get, new_run(name).id)

    assert ((await view("one")).held, (await view("one")).wait) == (Held("web", 0), None)
    assert (await view("three")).wait == Wait(group="web", held_by=(claim.fence.run,))
    assert (await view("later")).wait == Wait(until=due)
    (brief,) = await desk.see(history.briefs, table.c.id == new_run("two").id)
    assert brief.wait == Wait(group="web", held_by=(claim.fence.run,))
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    await desk.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=clock.now())
    assert (await view("one")).held is None
    assert (await view("three")).wait == Wait(group="web", held_by=(new_run("two").id,))
    told = await desk.see(outbox.pending, "status", 100)
    assert ("run", new_run("three").id) in told.objects


async def test_who_is_far_back_in_line_is_not_told_who_is_before_him(desk, new_run, clock):
    """Else every end of a run would change the file of everyone that waits."""
    await desk.enqueue(new_run("first", group="web"))
    names = [f"n{number:02}" for number in range(SHOWN + 1)]
    for name in names:
        await desk.enqueue(new_run(name, group="web", on_conflict="queue"))
    views = [await desk.see(runs.get, new_run(name).id) for name in names]
    assert [bool(view.wait.held_by) for view in views] == [True] * SHOWN + [False]


async def test_fail_records_a_run_that_has_failed(desk, new_run, clock):
    await desk.enqueue(new_run("one", group="web"))
    failed = new_run("two", group="web", on_conflict="fail")
    assert await desk.enqueue(failed) == Enqueued(failed.id, RunState.FAILED)
    view = await desk.see(runs.get, failed.id)
    assert (view.reason, view.finished_at, new_run("one").id in view.message) == ("overlap", clock.now(), True)
    assert await desk.enqueue(failed) == AlreadyThere(failed.id, RunState.FAILED)


async def test_a_limit_of_two_lets_two_work_and_gives_the_next_the_place_that_is_free(desk, new_run, clock):
    first, second = [await desk.running(name, group="web", limit=2) for name in ("one", "two")]
    await desk.enqueue(new_run("three", group="web", limit=2))
    assert await desk.state(new_run("three").id) == "waiting"
    await desk.do(leases.finish, second.fence, RunState.SUCCEEDED, now=clock.now())
    assert await desk.state(new_run("three").id) == "queued"
    assert await desk.state(first.fence.run) == "running"


async def test_nobody_overtakes_whatever_limit_he_asks_for(desk, new_run, clock):
    """A commit has raised the limit: who waits by the old one still goes first, unless it matters less."""
    await desk.enqueue(new_run("one", group="web", on_conflict="queue"))
    await desk.enqueue(new_run("two", group="web", on_conflict="queue"))
    assert (await desk.enqueue(new_run("three", group="web", on_conflict="queue", limit=3))).state is WAITING
    urgent = new_run("urgent", group="web", on_conflict="queue", limit=3, priority=1)
    assert (await desk.enqueue(urgent)).state is QUEUED


async def test_a_lower_limit_counts_everyone_that_works(desk, new_run, clock):
    """A commit has lowered the limit: the place with the first number is not free for all that."""
    one, *_ = [await desk.running(name, group="web", limit=3) for name in ("one", "two", "three")]
    await desk.do(leases.finish, one.fence, RunState.SUCCEEDED, now=clock.now())
    assert (await desk.enqueue(new_run("four", group="web", limit=1))).state is WAITING


async def test_more_than_max_queue_do_not_wait(desk, new_run):
    await desk.enqueue(new_run("one", group="web"))
    for name in ("two", "three"):
        waits = new_run(name, group="web", on_conflict="queue", max_queue=2)
        assert (await desk.enqueue(waits)).state is WAITING
    over = new_run("four", group="web", on_conflict="queue", max_queue=2)
    assert await desk.enqueue(over) == Overlap(new_run("two").id)


async def test_cancel_running_ends_the_oldest_that_are_too_many(desk, new_run):
    """Of two places one is taken: nobody need end. The next replaces the oldest, and one more the next oldest."""
    replaces = {"group": "web", "on_conflict": "cancelRunning", "limit": 2}
    claims = [await desk.running(name, **replaces) for name in ("one", "two")]

    async def told():
        return set((await desk.do(leases.renew, desk.runner)).wishes)

    assert await told() == set()
    assert (await desk.enqueue(new_run("three", **replaces))).state is WAITING
    assert await told() == {claims[0].fence.run}
    await desk.enqueue(new_run("four", **replaces))
    assert await told() == {claim.fence.run for claim in claims}
    await desk.enqueue(new_run("five", **replaces))
    assert await desk.state(new_run("three").id) == "cancelled", "what waits is replaced as well"
    await desk.do(leases.finish, claims[1].fence, RunState.CANCELLED, now=desk.clock.now())
    assert await desk.state(new_run("four").id) == "queued"


async def test_allow_is_in_nobodys_way(desk, new_run, clock):
    due = clock.now() + timedelta(minutes=1)
    await desk.enqueue(new_run("one", group="web", on_conflict="allow"))
    await desk.enqueue(new_run("later", group="web", on_conflict="allow", starts_at=due))
    assert (await desk.enqueue(new_run("two", group="web"))).state is QUEUED
    clock.advance(60)
    assert await desk.do(runs.admit, clock.now()) == (new_run("later").id,)


async def test_a_run_that_waits_too_long_is_timed_out_and_says_why(desk, new_run, clock):
    await desk.enqueue(new_run("one", group="web", queue_timeout=timedelta(minutes=1)))
    await desk.enqueue(new_run("two", group="web", queue_timeout=timedelta(hours=1)))
    clock.advance(61)
    assert await desk.do(runs.expire, clock.now()) == (new_run("one").id,)
    view = await desk.see(runs.get, new_run("one").id)
    assert (view.state, view.reason, view.finished_at) == (RunState.TIMED_OUT, "queueTimeout", clock.now())
    assert view.message == "no runner took it in time"
    assert await desk.state(new_run("two").id) == "queued"


async def test_a_started_run_has_no_queue_timeout(desk, new_run, clock):
    claim = await desk.running("one", queue_timeout=timedelta(minutes=1))
    await desk.do(leases.release, claim.fence, clock.now())
    clock.advance(3600)
    assert await desk.do(runs.expire, clock.now()) == ()


async def test_cancel_ends_what_has_not_started_and_asks_what_has(desk, new_run, clock):
    claim = await desk.running("one", group="web")
    await desk.enqueue(new_run("two", group="web"))

    async def cancel(run):
        return await desk.do(runs.cancel, run, reason=None, by="ann", now=clock.now())

    assert await cancel(new_run("two").id) == "cancelled"
    assert await cancel(new_run("two").id) == "ended"
    assert await cancel(claim.fence.run) == "asked"
    assert await cancel("no-such-run") == "missing"
    await desk.do(leases.finish, claim.fence, RunState.CANCELLED, now=clock.now())
    view = await desk.see(runs.get, claim.fence.run)
    assert (view.state, view.reason) == (RunState.CANCELLED, "cancelled by ann")


async def test_a_cancelled_run_frees_its_slot_for_the_next(desk, new_run, clock):
    await desk.enqueue(new_run("one", group="web"))
    await desk.enqueue(new_run("two", group="web"))
    await desk.do(runs.cancel, new_run("one").id, reason="not today", by="ann", now=clock.now())
    assert await desk.state(new_run("two").id) == "queued"


async def test_a_run_that_was_started_and_lost_keeps_its_finally_when_cancelled(desk, clock):
    """What had begun must be ended by a runner: it alone can say what is unknown, and run `finally`."""
    claim = await desk.running()
    clock.advance(16)
    await desk.reap()
    assert await desk.do(runs.cancel, claim.fence.run, reason=None, by="ann", now=clock.now()) == "asked"
    (again,) = await desk.claim()
    assert again.ending == "cancelled"


async def test_acts_are_done_when_their_run_ends(desk, clock):
    claim = await desk.running()
    run, now = claim.fence.run, clock.now()
    await desk.do(acts.settle, "ask", state="accepted", run=run, action="start", now=now)
    await desk.do(acts.settle, "stop", state="accepted", run=run, action="cancel", now=now)
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    await desk.do(leases.finish, claim.fence, RunState.CANCELLED, now=now)
    found = await desk.see(acts.seen, ["ask", "stop", "never"])
    assert {name: row.state for name, row in found.items()} == {"ask": "done", "stop": "done"}
    batch = await desk.see(outbox.pending, "status", 100)
    assert {("request", "ask"), ("request", "stop"), ("run", run), ("job", "rotate")} == set(batch.objects)


async def test_an_act_for_a_run_that_has_ended_is_done_at_once(desk, clock):
    claim = await desk.running()
    await desk.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=clock.now())
    await desk.do(acts.settle, "ask", state="accepted", run=claim.fence.run, now=clock.now())
    assert (await desk.see(acts.seen, ["ask"]))["ask"].state == "done"


async def test_pruned_runs_leave_their_causes_for_ever(desk, new_run, clock):
    retention = Retention.model_validate({"runs": 2, "days": 10, "failedDays": 20})
    for number in range(4):
        claim = await desk.running(f"n{number}")
        await desk.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=clock.now())
    pruned = await desk.do(history.prune, retention, clock.now())
    assert pruned == (new_run("n0").id, new_run("n1").id)
    assert await desk.see(runs.get, new_run("n0").id) is None
    assert await desk.enqueue(new_run("n0")) == AlreadyThere(new_run("n0").id, RunState.SUCCEEDED)
    assert await desk.do(runs.cancel, new_run("n0").id, reason=None, by=None, now=clock.now()) == "ended"


async def test_failed_runs_are_kept_longer(desk, new_run, clock):
    retention = Retention.model_validate({"runs": 200, "days": 10, "failedDays": 20})
    for name, state in (("good", RunState.SUCCEEDED), ("bad", RunState.FAILED)):
        claim = await desk.running(name)
        await desk.do(leases.finish, claim.fence, state, now=clock.now())
    await desk.enqueue(new_run("open"))
    clock.advance(11 * 86400)
    assert await desk.do(history.prune, retention, clock.now()) == (new_run("good").id,)
    clock.advance(10 * 86400)
    assert await desk.do(history.prune, retention, clock.now()) == (new_run("bad").id,)
    assert await desk.do(history.prune, retention, clock.now()) == ()
    (claim,) = await desk.claim()
    assert claim.spec == new_run().spec, "the spec of a run that is open is kept"


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.QUEUED, RunState.WAITING])
async def test_open_runs_of_a_lost_store_are_unknown(desk, new_run, clock, state):
    new = new_run()
    step = StepView("space", StepState.RUNNING)
    view = RunView(
        id=new.id,
        job="rotate",
        commit="1f0c",
        cause=new.cause,
        state=state,
        queued_at=clock.now(),
        targets=("web-01",),
        results=(TargetView("web-01", None, {}, (step,)),),
        attempt=1,
        runner="default/7b2e",
    )
    assert await desk.do(runimport.import_run, view, clock.now()) is True
    assert await desk.do(runimport.import_run, view, clock.now()) is False
    found = await desk.see(runs.get, new.id)
    assert (found.state, found.reason) == (RunState.UNKNOWN, "storeLost")
    assert found.results[0].steps[0].state is StepState.UNKNOWN
    assert await desk.enqueue(new) == AlreadyThere(new.id, RunState.UNKNOWN)


async def test_an_ended_run_is_imported_as_it_was(desk, new_run, clock):
    new = new_run()
    step = StepView("space", StepState.FAILED, attempts=3, exit_code=1, duration=0.2, error="no", stderr_tail="no")
    view = RunView(
        id=new.id,
        job="rotate",
        commit="1f0c",
        cause=new.cause,
        state=RunState.FAILED,
        queued_at=clock.now(),
        started_at=clock.now(),
        finished_at=clock.now(),
        params={"keepDays": 3},
        targets=("web-01",),
        results=(TargetView("web-01", StepState.FAILED, {"freed": 3}, (step,)),),
        attempt=1,
        runner="default/7b2e",
        libraries={"linux-core": "sha256:00"},
    )
    await desk.do(runimport.import_run, view, clock.now())
    found = await desk.see(runs.get, new.id)
    assert found.results[0].steps[0].started_at == clock.now()
    assert found.results[0].outputs == {"freed": 3}
    assert (found.state, found.libraries, found.params) == (view.state, view.libraries, view.params)


async def test_a_branch_that_was_taken_over_has_the_last_word(desk, new_run, clock):
    """What it shows as ended has ended; what it does not show is unknown, or was never there if it had not begun."""
    shown, begun = await desk.running("shown"), await desk.running("begun")
    await desk.do(steps.start, shown.fence, "web-01", "steps", "space", 1, clock.now())
    hidden = new_run("hidden")
    await desk.enqueue(hidden)
    await desk.do(acts.settle, "hidden", state="accepted", run=hidden.id, now=clock.now())
    view = replace(
        await desk.see(runs.get, shown.fence.run), state=RunState.UNKNOWN, reason="storeLost", finished_at=clock.now()
    )
    assert await desk.do(runimport.import_run, view, clock.now()) is True
    await desk.do(runimport.end_untold, {view.id}, clock.now())
    for run in (shown.fence.run, begun.fence.run):
        found = await desk.see(runs.get, run)
        assert (found.state, found.reason) == (RunState.UNKNOWN, "storeLost")
    assert await desk.see(runs.get, hidden.id) is None
    assert await desk.enqueue(hidden) == AlreadyThere(hidden.id, RunState.CANCELLED)
    assert (await desk.see(acts.seen, ["hidden"]))["hidden"].reason == "storeLost"
    assert [one.what for one in await desk.see(evidence.of, shown.fence.run)] == ["run", "step"]
    for last, times in ((1, 2), (5, 6)):
        skips = (Skips("nightly", clock.now(), clock.now() + timedelta(hours=last), times, "missed"),)
        await desk.do(schedules.import_skips, skips, clock.now())
    assert await desk.see(schedules.day, clock.now().date()) == skips


async def test_the_database_itself_refuses_two_holders_of_a_slot(desk, new_run):
    """Whatever the code above it does: the index is the promise."""
    await desk.enqueue(new_run("one", group="web"))
    await desk.enqueue(new_run("two", group="web"))
    push = update(table).where(table.c.id == new_run("two").id).values(slot=0, state="queued")
    with pytest.raises(IntegrityError):
        await desk.journal.write(lambda tx: tx.execute(push))


async def test_more_runs_than_a_statement_takes_are_seen_at_once(desk, new_run):
    await desk.enqueue(new_run())
    found = await desk.see(runs.get_all, [new_run().id, *(f"r{number}" for number in range(40_000))])
    assert list(found) == [new_run().id]


async def test_a_dry_run_has_ended_as_it_is_recorded(desk, new_run):
    """It takes no slot, no runner claims it, and asking again finds it."""
    dry = new_run("dry", group="rotate", rehearsal=Rehearsal(RunState.SUCCEEDED, {}, ()))
    assert await desk.enqueue(dry) == Enqueued(dry.id, RunState.SUCCEEDED)
    assert await desk.enqueue(dry) == AlreadyThere(dry.id, RunState.SUCCEEDED)
    assert await desk.claim() == ()
    assert await desk.enqueue(new_run("real", group="rotate")) == Enqueued(new_run("real").id, RunState.QUEUED)
