"""What the journal remembers besides runs: acts, schedules and their decisions, the outbox, facts."""

from datetime import UTC, date, datetime, timedelta

import pytest

from engine.schedules.decide import Decided, Due, Skips
from engine.states import RunState, StepState
from engine.status.views import DecisionView
from journal import acts, facts, history, leases, outbox, runs, schedules, steps

DAY = datetime(2026, 11, 21, tzinfo=UTC)


def at(hour: int) -> datetime:
    return DAY + timedelta(hours=hour)


def skipped(first: int, last: int | None = None, reason: str = "overlap", name: str = "nightly") -> Skips:
    end = first if last is None else last
    return Skips(name, at(first), at(end), end - first + 1, reason)


def decided(*what: Skips | int, name: str = "nightly") -> Decided:
    runs = tuple(Due(name, at(hour)) for hour in what if isinstance(hour, int))
    skips = tuple(skip for skip in what if isinstance(skip, Skips))
    return Decided(runs, skips, at(24))


# --- acts -----------------------------------------------------------------------------------------------------------


async def test_an_act_is_answered_once_ever(desk, clock):
    async def settle(state, **more):
        return await desk.do(acts.settle, "ask", state=state, now=clock.now(), **more)

    assert await settle("refused", reason="expired", message="too late", action="start", requested_by="ann") is True
    assert await settle("accepted", run="r") is False
    assert await settle("done") is False
    row = (await desk.see(acts.seen, ["ask"]))["ask"]
    assert (row.state, row.reason, row.message, row.action, row.requested_by) == (
        "refused", "expired", "too late", "start", "ann",
    )  # fmt: skip


async def test_an_accepted_act_becomes_done_and_keeps_what_is_known(desk, clock):
    await desk.do(acts.settle, "ask", state="accepted", run="r", action="start", digest="d", now=clock.now())
    clock.advance(5)
    assert await desk.do(acts.settle, "ask", state="done", now=clock.now()) is True
    row = (await desk.see(acts.seen, ["ask"]))["ask"]
    assert (row.state, row.run, row.action, row.digest, row.settled_at) == ("done", "r", "start", "d", clock.now())


async def test_an_act_that_was_only_seen_is_not_answered(desk, clock):
    first = await desk.do(acts.first_seen, "ask", clock.now())
    clock.advance(60)
    assert await desk.do(acts.first_seen, "ask", clock.now()) == first
    assert await desk.see(acts.seen, ["ask"]) == {}
    await desk.do(acts.settle, "ask", state="refused", now=clock.now())
    assert (await desk.see(acts.seen, ["ask"]))["ask"].first_seen == first


async def test_thousands_of_names_are_looked_up_at_once(desk, clock):
    for number in range(3):
        await desk.do(acts.settle, f"ask-{number}", state="refused", now=clock.now())
    assert len(await desk.see(acts.seen, [f"ask-{number}" for number in range(40_000)])) == 3


# --- schedules ------------------------------------------------------------------------------------------------------


async def test_a_clock_goes_on_and_starts_anew(desk):
    await desk.do(schedules.put_clock, "nightly", fingerprint="a", considered_until=at(1))
    await desk.do(schedules.put_clock, "nightly", fingerprint="a", considered_until=at(2))
    row = (await desk.see(schedules.clocks))["nightly"]
    assert (row.considered_from, row.considered_until, row.lost_until, row.last) == (at(1), at(2), None, None)
    again = {"fingerprint": "b", "considered_from": at(3), "considered_until": at(3), "lost_until": at(4)}
    await desk.do(schedules.put_clock, "nightly", **again)
    row = (await desk.see(schedules.clocks))["nightly"]
    assert (row.fingerprint, row.considered_from, row.considered_until, row.lost_until) == ("b", at(3), at(3), at(4))
    assert row.clock.lost_until == at(4)
    await desk.do(schedules.forget, "nightly")
    assert await desk.see(schedules.clocks) == {}


async def test_only_news_of_a_schedule_is_announced(desk):
    """Looking costs no commit on the status branch."""
    await desk.do(schedules.put_clock, "nightly", fingerprint="a", considered_until=at(1))
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    await desk.do(schedules.put_clock, "nightly", fingerprint="a", considered_until=at(2))
    await desk.do(schedules.record, decided(), {}, at(2))
    assert (await desk.see(outbox.pending, "status")).objects == ()


async def test_consecutive_skips_for_one_reason_are_one_record(desk):
    await desk.do(schedules.record, decided(skipped(1), skipped(2, 3)), {}, at(3))
    await desk.do(schedules.record, decided(skipped(4)), {}, at(4))
    await desk.do(schedules.record, decided(skipped(5, reason="missed")), {}, at(5))
    await desk.do(schedules.record, decided(skipped(6), 7, skipped(8)), {at(7): "r"}, at(8))
    assert await desk.see(schedules.day, DAY.date()) == (
        skipped(1, 4),
        skipped(5, reason="missed"),
        skipped(6),
        skipped(8),
    )
    last = (
        await desk.see(
            schedules.clocks,
        )
    ).get("nightly")
    assert last is None, "decisions alone make no clock"
    assert await desk.see(schedules.decision, "nightly", at(7)) == DecisionView("nightly", at(7), "run", None, "r")
    assert (await desk.see(schedules.decision, "nightly", at(3))).reason == "overlap"
    assert await desk.see(schedules.decision, "nightly", at(9)) is None
    assert [view.instant for view in await desk.see(schedules.decided, "nightly", 2)] == [at(8), at(7)]


async def test_an_instant_is_decided_once(desk):
    """A pass that crashed and is repeated counts nothing twice and turns no run into a skip."""
    await desk.do(schedules.record, decided(1, skipped(2, 3)), {at(1): "r"}, at(3))
    await desk.do(schedules.record, decided(skipped(1, 3)), {}, at(3))
    await desk.do(schedules.record, decided(2), {at(2): "other"}, at(3))
    assert await desk.see(schedules.day, DAY.date()) == (skipped(2, 3),)
    assert (await desk.see(schedules.decision, "nightly", at(1))).run == "r"


async def test_decisions_are_announced_by_the_day_of_their_first_instant(desk):
    await desk.do(schedules.record, decided(skipped(23)), {}, at(23))
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    await desk.do(schedules.record, decided(skipped(25)), {}, at(25))
    objects = (await desk.see(outbox.pending, "status")).objects
    assert objects == (("schedule", "nightly"), ("decision", "2026-11-21"))
    assert await desk.see(schedules.days) == (date(2026, 11, 21),)


async def test_the_last_decision_of_each_schedule_is_known(desk):
    for name in ("nightly", "hourly"):
        await desk.do(schedules.put_clock, name, fingerprint="a", considered_until=at(0))
    await desk.do(schedules.record, decided(1, skipped(2, 5)), {at(1): "r"}, at(5))
    await desk.do(schedules.record, decided(3, name="hourly"), {at(3): "s"}, at(5))
    found = await desk.see(schedules.clocks)
    assert found["nightly"].last == DecisionView("nightly", at(5), "skipped", "overlap", None)
    assert found["hourly"].last == DecisionView("hourly", at(3), "run", None, "s")


async def test_decisions_come_back_from_the_status_branch(desk):
    skips = (skipped(4, 6), skipped(1))
    for _ in range(2):
        await desk.do(schedules.import_skips, skips, at(9))
        await desk.do(schedules.import_last, DecisionView("nightly", at(8), "run", None, "r"), at(9))
    assert await desk.see(schedules.day, DAY.date()) == (skipped(1), skipped(4, 6))
    assert [view.instant for view in await desk.see(schedules.decided, "nightly")] == [at(8), at(6), at(1)]


# --- outbox and facts -----------------------------------------------------------------------------------------------


async def test_a_consumer_gets_each_object_once_and_goes_on_from_its_cursor(desk):
    await desk.do(outbox.add_all, (("run", "a"), ("job", "j"), ("run", "a"), ("run", "b")))
    batch = await desk.see(outbox.pending, "status")
    assert batch.objects == (("run", "a"), ("job", "j"), ("run", "b"))
    assert await desk.see(outbox.pending, "status") == batch, "until the cursor moves nothing is consumed"
    await desk.do(outbox.advance, "status", batch.last_seq)
    await desk.do(outbox.add, "run", "a")
    again = await desk.see(outbox.pending, "status")
    assert again.objects == (("run", "a"),)
    assert (await desk.see(outbox.pending, "other", 2)).objects == (("run", "a"), ("job", "j"))
    await desk.do(outbox.advance, "status", 0)
    assert await desk.see(outbox.pending, "status") == again, "a cursor never moves back"


async def test_the_outbox_is_trimmed_to_the_slowest_consumer(desk):
    assert await desk.do(outbox.trim) == 0
    await desk.do(outbox.add_all, (("run", "a"), ("run", "b"), ("run", "c")))
    first = await desk.see(outbox.pending, "x", 1)
    await desk.do(outbox.advance, "slow", first.last_seq)
    await desk.do(outbox.advance, "fast", await desk.see(outbox.last))
    assert await desk.do(outbox.trim) == 1
    assert (await desk.see(outbox.pending, "slow")).objects == (("run", "b"), ("run", "c"))
    await desk.do(outbox.forget, "slow")
    assert await desk.do(outbox.trim) == 2


async def test_numbers_are_not_used_again_after_a_trim(desk):
    """Else a cursor beyond an emptied outbox would pass over what comes next."""
    await desk.do(outbox.add_all, (("run", "a"), ("run", "b")))
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    await desk.do(outbox.trim)
    await desk.do(outbox.add, "run", "c")
    assert (await desk.see(outbox.pending, "status")).objects == (("run", "c"),)


async def test_the_outbox_is_written_with_the_change_or_not_at_all(desk, new_run):
    def change(tx):
        runs.enqueue(tx, new_run(), desk.clock.now())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await desk.journal.write(change)
    assert (await desk.see(outbox.pending, "status")).objects == ()


@pytest.mark.parametrize("value", [None, 0, "", [], {"a": [1, {"b": None}]}, "ü𝄞"])
async def test_a_fact_is_kept_as_it_is(desk, value):
    assert await desk.see(facts.get, "x", "default") == "default"
    await desk.do(facts.put, "x", "before")
    await desk.do(facts.put, "x", value)
    assert await desk.see(facts.get, "x", "default") == value


# --- history --------------------------------------------------------------------------------------------------------


async def ended(desk, name: str, state: RunState, target: StepState = StepState.SUCCEEDED):
    claim = await desk.running(name)
    await desk.do(steps.end_target, claim.fence, "web-01", target, {}, desk.clock.now())
    await desk.do(leases.finish, claim.fence, state, now=desk.clock.now())
    desk.clock.advance(60)
    return claim.fence.run


async def test_a_job_remembers_its_last_run_its_last_success_and_its_failures(desk, new_run):
    assert (await desk.see(history.job, "rotate")).last is None
    good = await ended(desk, "a", RunState.SUCCEEDED)
    await ended(desk, "b", RunState.FAILED, StepState.FAILED)
    last = await ended(desk, "c", RunState.TIMED_OUT, StepState.TIMED_OUT)
    await desk.enqueue(new_run("open"))
    view = await desk.see(history.job, "rotate")
    assert (view.last.id, view.last_success.id, view.consecutive_failures) == (last, good, 2)
    assert (view.last.failed, view.last.targets, view.last.cause_name) == (("web-01",), 2, "c")
    await ended(desk, "d", RunState.CANCELLED)
    assert (await desk.see(history.job, "rotate")).consecutive_failures == 0
    assert await desk.see(history.jobs) == ("rotate",)


async def test_a_target_remembers_since_when_it_is_unreachable(desk):
    await ended(desk, "a", RunState.SUCCEEDED)
    since = desk.clock.now()
    await ended(desk, "b", RunState.FAILED, StepState.UNREACHABLE)
    last = await ended(desk, "c", RunState.FAILED, StepState.UNREACHABLE)
    view = await desk.see(history.target, "web-01")
    assert (view.state, view.run, view.unreachable_since) == (StepState.UNREACHABLE, last, since)
    await ended(desk, "d", RunState.SUCCEEDED)
    assert (await desk.see(history.target, "web-01")).unreachable_since is None
    assert (await desk.see(history.target, "never")).state is None
    assert await desk.see(history.targets) == ("web-01",)


async def test_lists_are_newest_first(desk, new_run):
    first = await ended(desk, "a", RunState.FAILED, StepState.FAILED)
    second = await ended(desk, "b", RunState.SUCCEEDED)
    claim = await desk.running("c")
    await desk.enqueue(new_run("d"))

    async def ids(query, *args):
        return [brief.id for brief in await desk.see(query, *args)]

    assert await ids(history.ended) == [second, first]
    assert await ids(history.failures) == [first]
    every = [new_run("d").id, claim.fence.run, second, first]
    assert [one.id for one in await desk.see(history.listed, limit=9)] == every
    assert [one.id for one in await desk.see(history.listed, limit=2, before=every[0])] == every[1:3]
    assert await ids(history.running) == [claim.fence.run]
    assert await ids(history.waiting) == [new_run("d").id]
    assert (await desk.see(history.summary))[RunState.SUCCEEDED] == 1


async def test_it_is_known_on_how_many_targets_runs_are_done(desk):
    """Of more runs than a statement takes; those that are done on none are left out."""
    one, two, none = [await desk.running(name) for name in ("a", "b", "c")]
    for claim, target in ((one, "web-01"), (two, "web-01"), (two, "web-02")):
        await desk.do(steps.end_target, claim.fence, target, StepState.FAILED, {}, desk.clock.now())
    wanted = [one.fence.run, *(f"r{number}" for number in range(1000)), two.fence.run, none.fence.run]
    assert await desk.see(history.ended_targets, wanted) == {one.fence.run: 1, two.fence.run: 2}
    assert await desk.see(history.ended_targets, [two.fence.run]) == {two.fence.run: 2}
