"""What is known of a job goes on under the name that it has in the commit in force."""

import pytest
from sqlalchemy import select

from engine.catalog import Catalog
from engine.states import RunState
from engine.workflowplan import PlannedWorkflow, plan_workflow
from journal import attempts, counts, history, leases, notices, outbox, renames, runs, tallies, trends
from journal.tables import runs as table
from tests.catalogs import catalog
from tests.contract.conftest import Desk, a_run

pytestmark = pytest.mark.asyncio


def job(name: str, spec: str = "") -> str:
    return f"kind: Job\nmetadata: {{name: {name}}}\nspec:\n  steps: [{{uses: dummy}}]\n{spec}"


def named(name: str, former: str = "", rest: str = "") -> Catalog:
    text = job(name, spec=rest)
    return catalog(text.replace(f"name: {name}", f"name: {name}, previousNames: [{former}]") if former else text)


async def ended(desk: Desk, name: str, state: RunState, job: str = "rotate", **more):
    claim = await desk.running(name, job=job, **more)
    await desk.do(leases.finish, claim.fence, state, now=desk.clock.now())
    return claim.fence.run


async def test_history_failures_and_recovery_go_on_under_the_new_name(desk: Desk) -> None:
    """The runs keep the name that they began with, and one that was open is counted with those that come."""
    first = await ended(desk, "one", RunState.FAILED)
    open_ = await desk.running("two")
    await desk.do(renames.follow, named("turn", "rotate"))
    await desk.do(tallies.follow, named("turn", "rotate").name_now)
    await desk.do(leases.finish, open_.fence, RunState.FAILED, now=desk.clock.now())
    last = await ended(desk, "three", RunState.TIMED_OUT, job="turn")

    view = await desk.see(history.job, "turn")
    assert (view.last.id, view.consecutive_failures, view.former_names) == (last, 3, ("rotate",))
    assert [mark.id for mark in await desk.see(trends.marks, "turn", workflow=False, limit=9)] == [
        last, open_.fence.run, first,
    ]  # fmt: skip
    assert await desk.see(trends.last_ended, [("turn", False)]) == {("turn", False): RunState.TIMED_OUT}
    assert await desk.see(attempts.before, last) == open_.fence.run
    assert (await desk.see(runs.get, first)).job == "rotate"
    assert not await desk.see(history.has_runs, "rotate", workflow=False)
    assert await desk.see(history.jobs) == ("turn",)

    good = await ended(desk, "four", RunState.SUCCEEDED, job="turn")
    told = await desk.see(notices.recent, 1)
    assert [(one.type, one.run, one.data["failuresBefore"]) for one in told] == [("run.recovered", good, 3)]


async def test_counts_go_on_as_well(desk: Desk) -> None:
    await ended(desk, "one", RunState.FAILED)
    await desk.do(renames.follow, named("turn", "rotate"))
    found = {(one.what, one.name): one.times for one in await desk.see(counts.every) if one.kind == "job"}
    assert found == {("run", "turn"): 1, ("streak", "turn"): 1}


async def test_it_is_told_once_and_only_of_what_has_another_name(desk: Desk) -> None:
    await ended(desk, "one", RunState.SUCCEEDED)
    await desk.enqueue(a_run("two", job="other"))
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    for _ in range(2):
        await desk.do(renames.follow, named("turn", "rotate"))
    assert (await desk.see(outbox.pending, "status")).objects == (("job", "rotate"), ("job", "turn"))


@pytest.mark.parametrize("said", [True, False])
async def test_a_rename_that_is_taken_back_gives_its_past_back(desk: Desk, said: bool) -> None:
    """Also where it is reverted without a word: `git revert` leaves no previousNames."""
    first = await ended(desk, "one", RunState.SUCCEEDED)
    await desk.do(renames.follow, named("turn", "rotate"))
    second = await ended(desk, "two", RunState.SUCCEEDED, job="turn")
    await desk.do(renames.follow, named("rotate", "turn" if said else ""))
    found = await desk.see(trends.marks, "rotate", workflow=False, limit=9)
    assert [mark.id for mark in found] == ([second, first] if said else [first])


async def test_a_past_follows_from_name_to_name(desk: Desk) -> None:
    """Each commit names but the name before; and who takes a name that is free again begins anew."""
    first = await ended(desk, "one", RunState.SUCCEEDED)
    await desk.do(renames.follow, named("turn", "rotate"))
    await desk.do(renames.follow, named("spin", "turn"))
    both = catalog(job("spin"), job("rotate"))
    await desk.do(renames.follow, both)
    assert [mark.id for mark in await desk.see(trends.marks, "spin", workflow=False, limit=9)] == [first]
    assert not await desk.see(history.has_runs, "rotate", workflow=False)


async def test_a_workflow_of_the_same_name_and_inline_jobs_keep_their_own(desk: Desk) -> None:
    await ended(desk, "one", RunState.SUCCEEDED)
    inline = await ended(desk, "two", RunState.SUCCEEDED, inline=True)
    workflow = "kind: Workflow\nmetadata: {name: rotate}\nspec: {jobs: {first: {wait: 5m}}}\n"
    renamed = job("turn").replace("name: turn", "name: turn, previousNames: [rotate]")
    await desk.do(renames.follow, catalog(workflow, renamed))
    assert [mark.id for mark in await desk.see(trends.marks, "rotate", workflow=False, limit=9)] == [inline]


async def groups(desk: Desk) -> dict[str, str]:
    return dict(await desk.see(lambda conn: conn.execute(select(table.c.id, table.c.concurrency)).all()))


async def test_what_is_open_goes_on_in_the_group_of_today(desk: Desk) -> None:
    """A job that names no group is in that of its name: what comes under the new one waits for what runs."""
    held = await desk.running("one", group="rotate")
    await desk.do(renames.follow, named("turn", "rotate"))
    assert await groups(desk) == {held.fence.run: "turn"}
    later = await desk.enqueue(a_run("two", job="turn", group="turn", on_conflict="queue"))
    assert later.state is RunState.WAITING
    await desk.do(leases.finish, held.fence, RunState.SUCCEEDED, now=desk.clock.now())
    assert await desk.state(later.run) == "queued"


@pytest.mark.parametrize("began", ["rotate", "turn"])
async def test_what_is_open_when_a_rename_is_taken_back_goes_on_in_the_group_of_before(desk: Desk, began: str) -> None:
    """`git revert` leaves no previousNames: that the names are of one job, the runs from before know."""
    first = await desk.running("one", group="rotate")
    await desk.do(renames.follow, named("turn", "rotate"))
    held = first
    if began == "turn":
        await desk.do(leases.finish, first.fence, RunState.SUCCEEDED, now=desk.clock.now())
        held = await desk.running("two", job="turn", group="turn")
    for _ in range(2):
        await desk.do(renames.follow, named("rotate"))
    assert (await groups(desk))[held.fence.run] == "rotate"
    later = await desk.enqueue(a_run("three", group="rotate", on_conflict="queue"))
    assert later.state is RunState.WAITING


async def test_a_workflows_group_goes_back_with_it(desk: Desk) -> None:
    shown = "kind: Workflow\nmetadata: {name: flow}\nspec: {jobs: {first: {wait: 5m}}}\n"
    renamed = shown.replace("name: flow", "name: stream, previousNames: [flow]")
    known = catalog(shown)
    spec = plan_workflow(known, known.workflows["flow"], params={})
    assert isinstance(spec, PlannedWorkflow)
    await desk.enqueue(a_run("one", job="flow", group="workflow/flow", spec=spec.spec, pool=""))
    for text in (renamed, shown):
        await desk.do(renames.follow, catalog(text))
    assert set((await groups(desk)).values()) == {"workflow/flow"}


async def test_no_run_is_put_in_the_place_of_another(desk: Desk) -> None:
    """Where runs are in both groups already, each stays where it is."""
    old, new = await desk.running("one", group="rotate"), await desk.running("two", job="x", group="turn")
    await desk.do(renames.follow, named("turn", "rotate"))
    assert await groups(desk) == {old.fence.run: "rotate", new.fence.run: "turn"}


@pytest.mark.parametrize("rest", ["  concurrency: {group: mine}\n", ""])
async def test_a_group_that_somebody_names_stays(desk: Desk, rest: str) -> None:
    """Of the job itself, or of another."""
    held = await desk.running("one", group="rotate")
    shares = job("shares", spec="  concurrency: {group: rotate}\n")
    renamed = job("turn", spec=rest).replace("name: turn", "name: turn, previousNames: [rotate]")
    await desk.do(renames.follow, catalog(renamed, *(() if rest else (shares,))))
    assert await groups(desk) == {held.fence.run: "rotate"}
