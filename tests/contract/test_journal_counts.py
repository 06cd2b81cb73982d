"""What is counted stays counted, whatever retention removes; what happened elsewhere is not counted here."""

from dataclasses import replace
from datetime import timedelta

from engine.identity import RunId
from engine.runs.rehearsal import Rehearsal
from engine.schedules.decide import Decided, Due, Skips
from engine.states import RunState
from engine.status.views import RunView
from journal import counts, history, leases, measures, messages, outbox, runimport, runs, schedules
from journal.counts import NO_CLASS, Count, size_of
from journal.measures import Messages, OpenRuns, Queue
from schemas.project import Retention
from tests.contract.conftest import START, Desk, a_run
from tests.contract.test_journal_notices import a_message


async def ran(desk: Desk, name: str, state: RunState, *, waited: float = 0.0, took: float = 0.0) -> RunId:
    await desk.enqueue(a_run(name))
    desk.clock.advance(waited)
    (claim,) = await desk.claim()
    desk.clock.advance(took)
    await desk.do(leases.finish, claim.fence, state, now=desk.clock.now())
    return claim.fence.run


async def of(desk: Desk, what: str) -> list[Count]:
    return sorted((one for one in await desk.see(counts.every) if one.what == what), key=lambda one: one.detail)


async def test_an_end_is_counted_with_how_long_it_took_and_how_late_it_began(desk: Desk) -> None:
    await ran(desk, "one", RunState.SUCCEEDED, waited=2, took=4)
    first = desk.clock.now()
    await ran(desk, "two", RunState.SUCCEEDED, waited=2, took=3)
    await ran(desk, "three", RunState.FAILED, waited=200, took=0.2)

    failed, succeeded = await of(desk, "run")
    assert succeeded == Count("run", "job", "rotate", "succeeded", size_of(4), 2, 7.0, first + timedelta(seconds=5))
    assert (failed.detail, failed.times, failed.size) == ("failed", 1, size_of(0.2))
    assert {(one.name, one.size): one.times for one in await of(desk, "late")} == {
        ("default", size_of(2)): 2,
        ("default", size_of(200)): 1,
    }


async def test_failures_in_a_row_end_with_a_success_and_not_with_a_cancellation(desk: Desk) -> None:
    for number, state in enumerate((RunState.FAILED, RunState.TIMED_OUT, RunState.CANCELLED)):
        await ran(desk, f"n{number}", state)
    assert [one.times for one in await of(desk, "streak")] == [2]
    await ran(desk, "good", RunState.SUCCEEDED)
    assert [one.times for one in await of(desk, "streak")] == [0]


async def test_a_run_that_never_started_has_no_duration(desk: Desk) -> None:
    new = a_run()
    await desk.enqueue(new)
    await desk.do(runs.cancel, new.id, reason=None, by="ann", now=START)
    (one,) = await of(desk, "run")
    assert (one.detail, one.size, one.seconds) == ("cancelled", NO_CLASS, 0.0)
    assert await of(desk, "late") == []


async def test_a_dry_run_is_not_counted(desk: Desk) -> None:
    await desk.enqueue(a_run("dry", rehearsal=Rehearsal(RunState.SUCCEEDED, {}, ())))
    assert await desk.see(counts.every) == ()


async def test_retention_takes_nothing_back(desk: Desk) -> None:
    for number in range(3):
        await ran(desk, f"n{number}", RunState.SUCCEEDED)
    before = await desk.see(counts.every)
    removed = await desk.do(history.prune, Retention(runs=1), desk.clock.now())
    assert len(removed) == 2
    assert await desk.see(counts.every) == before


async def test_due_instants_are_counted_by_what_was_decided_and_only_once(desk: Desk) -> None:
    hour = timedelta(hours=1)
    skips = Skips("nightly", START, START + 3 * hour, 4, "missed")
    decided = Decided((Due("nightly", START + 4 * hour),), (skips,), START + 5 * hour)
    for _ in range(2):
        await desk.do(schedules.record, decided, {START + 4 * hour: RunId("r")}, START)
    more = Decided((), (replace(skips, first=START + 5 * hour, last=START + 5 * hour, count=1),), START + 6 * hour)
    await desk.do(schedules.record, more, {}, START)
    assert {(one.kind, one.detail): one.times for one in await of(desk, "due")} == {
        ("run", ""): 1,
        ("skipped", "missed"): 5,
    }


async def test_what_is_taken_in_sets_when_and_counts_nothing(desk: Desk) -> None:
    for name, hours in (("old", 1), ("new", 3), ("older", 2)):
        new, at = a_run(name), START + timedelta(hours=hours)
        view = RunView(
            id=new.id, job=new.spec.job, commit=new.spec.commit, cause=new.cause, state=RunState.SUCCEEDED,
            queued_at=START, params={}, targets=(), results=(), attempt=1, started_at=START, finished_at=at,
        )  # fmt: skip
        assert await desk.do(runimport.import_run, view, START)
    (one,) = await of(desk, "run")
    assert (one.times, one.seconds, one.last) == (0, 0.0, START + timedelta(hours=3))


async def test_what_is_open_waits_and_lags_is_measured(desk: Desk) -> None:
    await desk.running("one")
    desk.clock.advance(5)
    await desk.enqueue(a_run("two"))
    desk.clock.advance(5)
    await desk.enqueue(a_run("three"))
    await desk.do(outbox.advance, "status", 1)
    await desk.do(messages.write, a_message())

    found = await desk.see(measures.read)
    assert set(found.open) == {OpenRuns("job", "rotate", "queued", 2), OpenRuns("job", "rotate", "running", 1)}
    assert found.queues == (Queue("default", 2, START + timedelta(seconds=5)),)
    assert found.behind == (("status", await desk.see(outbox.last) - 1),)
    assert found.dealt_with == (("status", 1),)
    assert found.gates == 0
    assert found.messages == (Messages("oncall", "waiting", 1, START),)
