"""What pages draw of the pasts of jobs, by any database."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from engine.runs.pinned import PinnedSpec
from engine.runs.rehearsal import Rehearsal
from engine.schedules.decide import Skips
from engine.states import RunState, StepState
from journal import history, leases, schedules, steps, trends
from journal.databases.tables import runs as table
from journal.steps import StepEnd
from journal.trends import FirstError
from tests.contract.conftest import START, a_spec


def spec_of(commit: str, *targets: str) -> PinnedSpec:
    return replace(a_spec("rotate", *targets), commit=commit * 40)


async def test_marks_are_the_newest_runs_of_one_job(desk, new_run):
    for name in ("one", "two", "three"):
        await desk.enqueue(new_run(name))
    await desk.enqueue(new_run("other", job="tidy"))
    newest = await desk.see(trends.marks, "rotate", workflow=False, limit=2)
    assert [mark.id for mark in newest] == [new_run("three").id, new_run("two").id]
    older = await desk.see(trends.marks, "rotate", workflow=False, limit=5, before=new_run("two").id)
    assert [mark.id for mark in older] == [new_run("one").id]
    assert await desk.see(trends.marks, "rotate", workflow=True, limit=2) == ()
    assert (newest[0].began, newest[0].seconds) == (START, None)


async def test_who_was_active_and_how_the_newest_run_stands(desk, new_run):
    await desk.running("one")
    await desk.enqueue(new_run("two"))
    await desk.enqueue(new_run("other", job="tidy"))
    begin, end = START - timedelta(hours=1), START + timedelta(hours=1)
    found = await desk.see(trends.active, begin, end)
    assert [(one.name, one.runs, one.last) for one in found] == [
        ("rotate", 2, RunState.QUEUED),
        ("tidy", 1, RunState.QUEUED),
    ]
    running = await desk.see(trends.active, begin, end, RunState.RUNNING)
    assert [(one.name, one.runs) for one in running] == [("rotate", 1)]
    assert await desk.see(trends.active, begin, START) == ()
    assert await desk.see(trends.looked_back_to) is None


async def test_a_dry_run_says_nothing_of_how_a_job_stands(desk, new_run):
    dry = Rehearsal(RunState.SUCCEEDED, {}, ())
    failed = await desk.running("three", job="other")
    await desk.do(leases.finish, failed.fence, RunState.FAILED, now=desk.clock.now())
    await desk.enqueue(new_run("one"))
    for name, job in (("four", "other"), ("two", "rotate"), ("five", "tidy")):
        await desk.enqueue(new_run(name, job=job, rehearsal=dry))
    begin, end = START - timedelta(hours=1), START + timedelta(hours=1)
    found = {one.name: one for one in await desk.see(trends.active, begin, end)}
    assert {name: (one.runs, one.last) for name, one in found.items()} == {
        "other": (2, RunState.FAILED),
        "rotate": (2, RunState.QUEUED),
        "tidy": (1, None),
    }


async def test_marks_of_a_time_are_those_that_had_begun_by_its_end(desk, new_run):
    """However many came after: else nothing of the past could be looked at."""
    for name in ("one", "two"):
        await desk.enqueue(new_run(name))
    (then,) = await desk.see(trends.active, START - timedelta(hours=1), START + timedelta(hours=1))
    desk.clock.advance(7200)
    for number in range(9):
        await desk.enqueue(new_run(f"later-{number}"))
    found = await desk.see(trends.marks, "rotate", workflow=False, limit=3, up_to=then.newest)
    assert [mark.id for mark in found] == [new_run("two").id, new_run("one").id]


async def test_a_commit_changed_a_job_where_it_changed_its_plan(desk, new_run):
    """The commit alone says nothing: most of them change other jobs."""
    plans = [spec_of("a", "web-01"), spec_of("b", "web-01"), spec_of("c", "web-01", "web-02")]
    for number, spec in enumerate(plans):
        await desk.enqueue(new_run(f"run-{number}", spec=spec))
    found = await desk.see(trends.marks, "rotate", workflow=False, limit=9)
    assert await desk.see(trends.changed, found, most=10) == {new_run("run-2").id}
    assert await desk.see(trends.changed, found, most=0) == frozenset()


async def test_where_a_run_went_wrong_first(desk, new_run):
    claim = await desk.running()
    for target in ("web-01", "web-02"):
        await desk.do(steps.start, claim.fence, target, "steps", "space", 1, desk.clock.now())
        failed = StepEnd(StepState.FAILED, 75, 0.1, error=f"no space on {target}")
        await desk.do(steps.end, claim.fence, target, "steps", "space", 1, failed, desk.clock.now())
    await desk.do(leases.finish, claim.fence, RunState.FAILED, now=desk.clock.now())
    run = claim.fence.run
    assert await desk.see(trends.first_errors, [run]) == {run: FirstError("web-01", "space", "no space on web-01")}
    assert await desk.see(trends.first_errors, [new_run("none").id]) == {}
    second = FirstError("web-02", "space", "no space on web-02")
    assert await desk.see(trends.first_errors, [run], target="web-02") == {run: second}
    assert await desk.see(trends.first_errors, [run], target="web-03") == {}


async def test_how_the_newest_ended_run_stands(desk, new_run):
    job = ("rotate", False)
    assert await desk.see(trends.last_ended, [job]) == {}
    claim = await desk.running()
    await desk.enqueue(new_run("two"))
    await desk.enqueue(new_run("other", job="tidy"))
    assert await desk.see(trends.last_ended, [job]) == {}
    await desk.do(leases.finish, claim.fence, RunState.FAILED, now=desk.clock.now())
    assert await desk.see(trends.last_ended, [job, ("rotate", True), ("tidy", False)]) == {job: RunState.FAILED}
    assert await desk.see(trends.last_ended, []) == {}


async def test_what_was_missed_is_what_nobody_had_planned(desk):
    skips = (
        Skips("nightly", START - timedelta(days=3), START - timedelta(hours=1), 3, "missed"),
        Skips("nightly", START - timedelta(days=9), START - timedelta(days=8), 2, "missed"),
        Skips("other", START - timedelta(hours=2), START - timedelta(hours=2), 1, "calendar"),
    )
    await desk.do(schedules.import_skips, skips, desk.clock.now())
    assert await desk.see(trends.missed, START - timedelta(days=1), limit=5) == skips[:1]


async def test_who_is_in_a_group_now(desk, new_run):
    await desk.enqueue(new_run("one", group="web"))
    await desk.enqueue(new_run("two", group="web"))
    await desk.enqueue(new_run("three"))
    found = await desk.see(history.open_in, "web", limit=5)
    assert [brief.id for brief in found] == [new_run("two").id, new_run("one").id]
    assert len(await desk.see(history.open_of, "rotate", workflow=False, limit=2)) == 2
    assert await desk.see(history.open_of, "rotate", workflow=True, limit=2) == ()


async def test_a_job_and_a_workflow_of_one_name_are_two(desk, new_run):
    """How long the one takes says nothing of the other."""
    for name in ("one", "two", "three", "four"):
        claim = await desk.running(name)
        if name in ("one", "two"):
            await desk.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=desk.clock.now())
    graphs = [new_run(name).id for name in ("two", "four")]
    await desk.do(lambda tx: tx.execute(update(table).where(table.c.id.in_(graphs)).values(workflow=True)))
    for look, names in ((history.succeeded, ("one", "two")), (history.open_of, ("three", "four"))):
        for name, workflow in zip(names, (False, True), strict=True):
            found = await desk.see(look, "rotate", workflow=workflow, limit=5)
            assert [brief.id for brief in found] == [new_run(name).id]
