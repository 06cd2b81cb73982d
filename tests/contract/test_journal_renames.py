"""What is known of a job goes on under the name that it has in the commit in force."""

import pytest
from sqlalchemy import select, update

from engine.catalog import Catalog
from engine.names import NOTHING, Name
from engine.states import RunState
from engine.workflows.workflowplan import PlannedWorkflow, plan_workflow
from journal import (
    attempts,
    counts,
    history,
    leases,
    names,
    notices,
    outbox,
    points,
    renames,
    runs,
    standing,
    tallies,
    trends,
)
from journal.databases.tables import runs as table
from journal.errors import Unavailable
from tests.catalogs import catalog
from tests.contract.conftest import Desk, GivenClock, a_run, opened

pytestmark = pytest.mark.asyncio


def job(name: str, spec: str = "") -> str:
    return f"kind: Job\nmetadata: {{name: {name}}}\nspec:\n  steps: [{{uses: dummy}}]\n{spec}"


def named(name: str, former: str = "", rest: str = "") -> Catalog:
    text = job(name, spec=rest)
    return catalog(text.replace(f"name: {name}", f"name: {name}, previousNames: [{former}]") if former else text)


async def follow(desk: Desk, found: Catalog) -> Catalog:
    """Put these definitions in force, as far as their names go."""
    known = found.after(await desk.see(names.known))
    await desk.do(renames.follow, known)
    return known


async def ended(desk: Desk, name: str, state: RunState, job: str = "rotate", **more):
    claim = await desk.running(name, job=job, **more)
    await desk.do(leases.finish, claim.fence, state, now=desk.clock.now())
    return claim.fence.run


async def test_history_failures_and_recovery_go_on_under_the_new_name(desk: Desk) -> None:
    """The runs keep the name that they began with, and one that was open is counted with those that come."""
    first = await ended(desk, "one", RunState.FAILED)
    open_ = await desk.running("two")
    await follow(desk, named("turn", "rotate"))
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
    await follow(desk, named("turn", "rotate"))
    found = {(one.what, one.name): one.times for one in await desk.see(counts.every) if one.kind == "job"}
    assert found == {("run", "turn"): 1, ("streak", "turn"): 1}


async def test_it_is_told_once_and_only_of_what_has_another_name(desk: Desk) -> None:
    await ended(desk, "one", RunState.SUCCEEDED)
    await desk.enqueue(a_run("two", job="other"))
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    for _ in range(2):
        await follow(desk, named("turn", "rotate"))
    assert (await desk.see(outbox.pending, "status")).objects == (("job", "rotate"), ("job", "turn"))


@pytest.mark.parametrize("said", [True, False])
async def test_a_rename_that_is_taken_back_gives_its_past_back(desk: Desk, said: bool) -> None:
    """Also where it is reverted without a word: `git revert` leaves no previousNames. Then the ledger knows it."""
    first = await ended(desk, "one", RunState.SUCCEEDED)
    await follow(desk, named("turn", "rotate"))
    second = await ended(desk, "two", RunState.SUCCEEDED, job="turn")
    await follow(desk, named("rotate", "turn" if said else ""))
    found = await desk.see(trends.marks, "rotate", workflow=False, limit=9)
    assert [mark.id for mark in found] == [second, first]


async def test_a_past_follows_from_name_to_name(desk: Desk) -> None:
    """Each commit names but the name before; and who takes a name that is free again begins anew."""
    first = await ended(desk, "one", RunState.SUCCEEDED)
    await follow(desk, named("turn", "rotate"))
    await follow(desk, named("spin", "turn"))
    both = catalog(job("spin"), job("rotate"))
    await follow(desk, both)
    assert [mark.id for mark in await desk.see(trends.marks, "spin", workflow=False, limit=9)] == [first]
    assert not await desk.see(history.has_runs, "rotate", workflow=False)


async def test_a_workflow_of_the_same_name_and_inline_jobs_keep_their_own(desk: Desk) -> None:
    await ended(desk, "one", RunState.SUCCEEDED)
    inline = await ended(desk, "two", RunState.SUCCEEDED, inline=True)
    workflow = "kind: Workflow\nmetadata: {name: rotate}\nspec: {jobs: {first: {wait: 5m}}}\n"
    renamed = job("turn").replace("name: turn", "name: turn, previousNames: [rotate]")
    await follow(desk, catalog(workflow, renamed))
    assert [mark.id for mark in await desk.see(trends.marks, "rotate", workflow=False, limit=9)] == [inline]


async def groups(desk: Desk) -> dict[str, str]:
    return dict(await desk.see(lambda conn: conn.execute(select(table.c.id, table.c.concurrency)).all()))


async def test_what_is_open_goes_on_in_the_group_of_today(desk: Desk) -> None:
    """A job that names no group is in that of its name: what comes under the new one waits for what runs."""
    held = await desk.running("one", group="rotate")
    await follow(desk, named("turn", "rotate"))
    assert await groups(desk) == {held.fence.run: "turn"}
    later = await desk.enqueue(a_run("two", job="turn", group="turn", on_conflict="queue"))
    assert later.state is RunState.WAITING
    await desk.do(leases.finish, held.fence, RunState.SUCCEEDED, now=desk.clock.now())
    assert await desk.state(later.run) == "queued"


@pytest.mark.parametrize("began", ["rotate", "turn", "turn alone"])
async def test_what_is_open_when_a_rename_is_taken_back_goes_on_in_the_group_of_before(desk: Desk, began: str) -> None:
    """`git revert` leaves no previousNames: that the names are of one job, the ledger knows."""
    held = await desk.running("one", group="rotate") if began != "turn alone" else None
    await follow(desk, named("turn", "rotate"))
    if began == "turn" and held is not None:
        await desk.do(leases.finish, held.fence, RunState.SUCCEEDED, now=desk.clock.now())
    if began != "rotate" or held is None:
        held = await desk.running("two", job="turn", group="turn")
    for _ in range(2):
        await follow(desk, named("rotate"))
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
        await follow(desk, catalog(text))
    assert set((await groups(desk)).values()) == {"workflow/flow"}


async def test_no_run_is_put_in_the_place_of_another(desk: Desk) -> None:
    """Where runs are in both groups already, each stays where it is."""
    old, new = await desk.running("one", group="rotate"), await desk.running("two", job="x", group="turn")
    await follow(desk, named("turn", "rotate"))
    assert await groups(desk) == {old.fence.run: "rotate", new.fence.run: "turn"}


@pytest.mark.parametrize("rest", ["  concurrency: {group: mine}\n", ""])
async def test_a_group_that_somebody_names_stays(desk: Desk, rest: str) -> None:
    """Of the job itself, or of another."""
    held = await desk.running("one", group="rotate")
    shares = job("shares", spec="  concurrency: {group: rotate}\n")
    renamed = job("turn", spec=rest).replace("name: turn", "name: turn, previousNames: [rotate]")
    await follow(desk, catalog(renamed, *(() if rest else (shares,))))
    assert await groups(desk) == {held.fence.run: "rotate"}


async def test_a_past_follows_from_name_to_name_of_what_never_ran_between(desk: Desk) -> None:
    """The last of three names says only the second, and the second never had a run."""
    first = await ended(desk, "one", RunState.FAILED)
    for found in (named("rotate"), named("turn", "rotate"), named("spin", "turn")):
        known = await follow(desk, found)
    assert [mark.id for mark in await desk.see(trends.marks, "spin", workflow=False, limit=9)] == [first]
    assert known.job_now("rotate") is known.jobs["spin"]


async def test_a_name_that_another_has_taken_is_not_the_others_when_both_are_gone(desk: Desk) -> None:
    """Whose past would go back to the name that its first runs began with, were that not another's by now."""
    first = await ended(desk, "one", RunState.SUCCEEDED)
    await follow(desk, named("turn", "rotate"))
    await follow(desk, catalog(job("turn"), job("rotate")))
    second = await ended(desk, "two", RunState.SUCCEEDED)
    for found in (named("rotate"), named("last", "rotate")):
        await follow(desk, found)
    assert [mark.id for mark in await desk.see(trends.marks, "last", workflow=False, limit=9)] == [second]
    assert [mark.id for mark in await desk.see(trends.marks, "turn", workflow=False, limit=9)] == [first]


async def test_the_ledger_is_written_with_what_goes_by_it_or_not_at_all(desk: Desk) -> None:
    """A process that dies within leaves all as it was; the next one does it again."""
    await ended(desk, "one", RunState.FAILED)
    await follow(desk, named("rotate"))
    known = named("turn", "rotate").after(await desk.see(names.known))

    def dies(point: str) -> None:
        if point == "rename.uncommitted":
            raise ZeroDivisionError

    points.install(dies)
    try:
        with pytest.raises(ZeroDivisionError):
            await desk.do(renames.follow, known)
    finally:
        points.install(None)
    assert list(await desk.see(names.known)) == []
    assert await desk.see(history.has_runs, "rotate", workflow=False)
    await follow(desk, named("turn", "rotate"))
    assert await desk.see(names.generation) == 1
    assert await desk.see(history.has_runs, "turn", workflow=False)
    assert {(one.what, one.name) for one in await desk.see(counts.every) if one.kind == "job"} == {
        ("run", "turn"),
        ("streak", "turn"),
    }


async def test_the_same_commit_again_writes_nothing(desk: Desk) -> None:
    """As after each start of the program."""
    known = await follow(desk, named("turn", "rotate"))
    before = set(await desk.see(names.known))
    assert not await desk.do(names.keep, known.after(await desk.see(names.known)).names)
    await follow(desk, named("spin", "turn"))
    changed = set(await desk.see(names.known))
    assert changed.isdisjoint(before), "each row says what its document is called today"
    assert {(one.name, one.since, one.until, one.today) for one in changed} == {
        ("rotate", 0, 1, "spin"),
        ("turn", 1, 2, "spin"),
        ("spin", 2, None, "spin"),
    }


async def test_of_a_long_ledger_only_what_a_change_touches_is_written(desk: Desk) -> None:
    """All of it would take seconds of the transaction in which a commit comes into force."""
    await follow(desk, catalog(job("other"), job("rotate")))
    texts = [job(one).replace(f"name: {one}", f"name: {one}, previousNames: [{old}]") for one, old in
             (("another", "other"), ("turn", "rotate"))]  # fmt: skip
    await follow(desk, catalog(*texts))
    third = catalog(job("another"), job("spin").replace("name: spin", "name: spin, previousNames: [turn]"))
    known = third.after(await desk.see(names.known))
    await desk.do(lambda tx: tx.execute(update(names.names).where(names.names.c.name == "other").values(came="as was")))
    await desk.do(names.keep, known.names)
    found = {(one.name, one.today, one.came) for one in await desk.see(names.known)}
    assert ("other", "another", "as was") in found
    assert {(name, today) for name, today, _ in found if today == "spin"} == {
        (n, "spin") for n in ("rotate", "turn", "spin")
    }


async def test_a_ledger_that_follows_from_what_is_not_known_any_more_is_not_written(desk: Desk) -> None:
    """Another process has put a rename in force meanwhile; whoever comes late looks again."""
    late = named("other", "rotate").after(await desk.see(names.known))
    for found in (named("turn", "rotate"), named("spin", "turn")):
        await follow(desk, found)
    before = set(await desk.see(names.known))
    for ledger in (late.names, NOTHING):
        with pytest.raises(Unavailable):
            await desk.do(names.keep, ledger)
    assert set(await desk.see(names.known)) == before


async def test_a_journal_from_before_knows_what_its_runs_know(desk: Desk, url: str, clock: GivenClock) -> None:
    """Version 17 begins with the names of runs, each of which says how it began; the newest one counts."""
    await ended(desk, "zero", RunState.SUCCEEDED)
    await desk.do(lambda tx: tx.execute(update(table).values(known_as="zed")))
    await ended(desk, "one", RunState.SUCCEEDED)
    await follow(desk, named("turn", "rotate"))
    for statement in (
        "DROP TABLE names",
        "ALTER TABLE runs DROP COLUMN naming",
        "DROP INDEX runs_needy",
        "DROP INDEX runs_failed",
        "ALTER TABLE runs DROP COLUMN needs",
        "ALTER TABLE run_targets DROP COLUMN runner",
        "UPDATE meta SET value = '16' WHERE key = 'version'",
    ):
        await desk.journal.write(lambda tx, statement=statement: tx.exec_driver_sql(statement))
    await desk.journal.close()
    journal = opened(url, clock)
    assert list(await journal.read(names.known)) == [Name("Job", "rotate", 0, 1, "turn")]
    known = named("spin", "turn").after(await journal.read(names.known))
    assert known.name_now("Job", "rotate") == "spin"
    await journal.write(lambda tx: renames.follow(tx, known))
    assert await journal.read(lambda conn: history.has_runs(conn, "spin", workflow=False))
    await journal.close()


async def test_runs_say_in_which_names_they_are_written(desk: Desk) -> None:
    await follow(desk, named("turn", "rotate"))
    run = await desk.enqueue(a_run("one", job="turn", naming=1))
    view = await desk.see(runs.get, run.run)
    assert (view.naming, view.known_as) == (1, "turn")
    (standing_,) = await desk.see(standing.standing)
    assert (standing_.naming, standing_.job) == (1, "turn")


async def test_counts_of_what_is_taken_back_go_back_as_well(desk: Desk) -> None:
    await ended(desk, "one", RunState.FAILED)
    for found in (named("rotate"), named("turn", "rotate"), named("rotate")):
        known = await follow(desk, found)
        await desk.do(tallies.follow, known.name_now)
    found = {(one.what, one.name): one.times for one in await desk.see(counts.every) if one.kind == "job"}
    assert found == {("run", "rotate"): 1, ("streak", "rotate"): 1}
    assert await desk.see(tallies.failures, "Job", "rotate") == 1


async def test_the_scan_of_a_renamed_discovery_keeps_the_next_one_waiting(desk: Desk) -> None:
    """One does not begin beside another, whatever the Discovery is called."""
    scans = "kind: Discovery\nmetadata: {name: %s}\nspec: {networks: [10.1.0.0/24]}\n"
    await desk.running("one", job="discover-old", group="discover-old", inline=True)
    await follow(desk, catalog(scans % "old"))
    await follow(desk, catalog(scans % "new, previousNames: [old]"))
    assert set((await groups(desk)).values()) == {"discover-new"}
