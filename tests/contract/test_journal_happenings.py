"""What happens is noticed in the transaction of the change, once, whoever does it."""

from datetime import timedelta

from engine.schedules.decide import Decided, Skips
from engine.states import RunState, StepState
from engine.workflows.graphfacts import OpenGate
from journal import happenings, leases, notices, runs, schedules, steps, tallies
from journal.happenings import LATE_AFTER
from journal.tallies import Key, Tally
from tests.contract.conftest import START, Desk, a_run


async def told(desk: Desk) -> list[tuple[str, str]]:
    return [(row.type, row.name) for row in await desk.see(notices.pending)]


async def run_to(desk: Desk, name: str, state: RunState) -> None:
    claim = await desk.running(name)
    await desk.do(leases.finish, claim.fence, state, now=START)


async def test_a_run_is_noticed_when_it_begins_and_when_it_ends(desk: Desk) -> None:
    await run_to(desk, "one", RunState.SUCCEEDED)
    assert await told(desk) == [("run.started", "rotate"), ("run.succeeded", "rotate")]


async def test_the_first_success_after_failures_is_a_recovery(desk: Desk) -> None:
    """And each failure says how many there are in a row; what was cancelled is neither."""
    for name, state in (
        ("a", RunState.FAILED),
        ("b", RunState.TIMED_OUT),
        ("c", RunState.CANCELLED),
        ("d", RunState.UNKNOWN),
        ("e", RunState.SUCCEEDED),
        ("f", RunState.SUCCEEDED),
    ):
        await run_to(desk, name, state)
    ends = [row for row in await desk.see(notices.pending) if row.type != "run.started"]
    assert [row.type for row in ends] == [
        "run.failed", "run.timedOut", "run.cancelled", "run.unknown", "run.recovered", "run.succeeded",
    ]  # fmt: skip
    assert [row.data.get("failures") for row in ends] == [1, 2, None, 3, None, None]
    assert ends[4].data["failuresBefore"] == 3
    assert await desk.see(tallies.failures, "Job", "rotate") == 0


async def test_a_target_that_cannot_be_reached_is_noticed_until_it_can(desk: Desk) -> None:
    for number, state in enumerate((StepState.UNREACHABLE, StepState.UNREACHABLE, StepState.SUCCEEDED)):
        claim = await desk.running(str(number))
        await desk.do(steps.end_target, claim.fence, "web-01", state, {}, START)
        await desk.do(leases.finish, claim.fence, RunState.FAILED, now=START)
    found = [row for row in await desk.see(notices.pending) if row.kind == "Target"]
    assert [(row.type, dict(row.data)) for row in found] == [
        ("target.unreachable", {"failures": 1}),
        ("target.unreachable", {"failures": 2}),
        ("target.recovered", {"failuresBefore": 2}),
    ]


async def test_a_runner_that_is_lost_with_many_runs_is_one_notice(desk: Desk) -> None:
    for name in ("one", "two"):
        await desk.running(name, job=name)
    assert len(await desk.do(leases.void, desk.clock.now())) == 2
    assert (await told(desk)).count(("runner.lost", "default")) == 1


async def test_each_decision_that_misses_instants_is_a_notice(desk: Desk) -> None:
    """Also where one record of the journal holds them all: who is not told of the second night thinks it was well."""
    await desk.do(schedules.put_clock, "nightly", fingerprint="f", considered_until=START)
    for first, last, reason in ((1, 3, "missed"), (4, 4, "missed"), (5, 5, "calendar"), (6, 6, "noTargets")):
        begin, end = START + timedelta(hours=first), START + timedelta(hours=last)
        skips = (Skips("nightly", begin, end, last - first + 1, reason),)  # type: ignore[arg-type]
        await desk.do(schedules.record, Decided((), skips, end), {}, START)
    assert await told(desk) == [("run.missed", "nightly")] * 2 + [("run.noTargets", "nightly")]
    found = await desk.see(notices.pending)
    assert [notice.data["count"] for notice in found] == [3, 1, 1]


async def test_a_run_that_does_not_begin_in_time_is_late_once(desk: Desk) -> None:
    await desk.enqueue(a_run("one"))
    await desk.enqueue(a_run("two", job="other", starts_at=START + timedelta(hours=1)))
    assert await desk.see(happenings.next_late, START) == START + LATE_AFTER
    found = await desk.see(happenings.late, START + LATE_AFTER, ())
    assert [(notice.type, notice.name) for notice in found] == [("run.late", "rotate")]
    assert await desk.see(happenings.late, START + LATE_AFTER, {found[0].run}) == ()
    assert await desk.see(happenings.next_late, START + LATE_AFTER) == START + timedelta(hours=1) + LATE_AFTER


async def test_what_is_imported_as_ended_is_not_told_again(desk: Desk) -> None:
    await run_to(desk, "one", RunState.FAILED)
    before = await told(desk)
    run = (await desk.see(notices.pending))[-1].run
    await desk.do(runs.ended, run, "rotate", None, START, tells=False)
    assert await told(desk) == before


async def test_a_gate_that_waits_is_noticed(desk: Desk) -> None:
    run = (await desk.running()).fence.run
    opened = OpenGate("sha256:00")
    for _ in range(2):
        await desk.do(happenings.gate_opened, run, "release", "ok", opened, until=START, now=START)
    assert (await told(desk)).count(("run.waitingApproval", "release")) == 1


async def test_what_rules_remember_goes_with_them(desk: Desk) -> None:
    kept, gone = Key("failures", "Job", "backup"), Key("old", "Job", "backup")
    await desk.do(tallies.put_all, {kept: Tally(2, told=True), gone: Tally(1)})
    await desk.do(tallies.failed, "Job", "dropped")
    await desk.do(tallies.keep_only, ["failures"], {("Job", "backup")})
    assert await desk.see(tallies.get, kept) == Tally(2, told=True)
    assert await desk.see(tallies.get, gone) == Tally()
    assert await desk.see(tallies.failures, "Job", "dropped") == 0


async def test_what_rules_remember_follows_names(desk: Desk) -> None:
    """What has a tally of its own under the name of now keeps it."""
    names = {("NotificationRule", "old"): "new", ("Job", "save"): "backup", ("Job", "dup"): "copy"}
    await desk.do(tallies.put_all, {Key("old", "Job", "save"): Tally(2, told=True)})
    await desk.do(tallies.put_all, {Key("new", "Job", "copy"): Tally(3), Key("new", "Job", "dup"): Tally(4)})
    await desk.do(tallies.failed, "Job", "save")
    await desk.do(tallies.follow, lambda kind, name: names.get((kind, name), name))
    assert await desk.see(tallies.get, Key("new", "Job", "backup")) == Tally(2, told=True)
    assert await desk.see(tallies.get, Key("new", "Job", "copy")) == Tally(3)
    assert await desk.see(tallies.failures, "Job", "backup") == 1
    assert await desk.see(tallies.failures, "Job", "save") == 0
