"""Open runs after a drained stop, taken into a new store or into one that another engine had left behind."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection, inspect, select, text

from engine.identity import RunId
from engine.runs.resumption import Unprovable
from engine.runs.waits import Wait
from engine.states import NodeState, RunState, StepState
from engine.status.views import EngineView, RunView
from engine.workflows.graphfacts import Verdict
from engine.workflows.workflowplan import NodeJob, PinnedWorkflow
from journal import acts, graphs, leases, runs, steps
from journal.databases.tables import meta
from journal.databases.tables import runs as table
from journal.runs import NewRun
from journal.steps import StepEnd
from journal.store import Journal
from reconciler.publication import rebuild
from reconciler.publication.resumptions import Plans, Replan
from reconciler.workflows import Workflows
from tests.contract.test_journal_workflows import a_release
from tests.integration.test_rebuild import NOON, Fixed, Site, new_run

DRAINED = EngineView("one", "here", NOON, NOON)
LATER = NOON + timedelta(minutes=10)


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    for journal in made.journals:
        await journal.close()


def planned(*plans: NewRun | tuple[RunId, Unprovable]) -> Replan:
    by_id: Plans = {plan.id if isinstance(plan, NewRun) else plan[0]: _plan(plan) for plan in plans}

    async def replan(views: Iterable[RunView]) -> Plans:
        return {view.id: by_id[view.id] for view in views}

    return replan


def _plan(given: NewRun | tuple[RunId, Unprovable]) -> NewRun | Unprovable:
    return given if isinstance(given, NewRun) else given[1]


async def publish(site: Site, journal: Journal) -> None:
    while await site.projection(journal).publish():
        pass


async def take_in(site: Site, journal: Journal, replan: Replan, before: EngineView = DRAINED) -> None:
    await rebuild.from_branch(journal, site.publisher, before=before, present=frozenset(), now=LATER, replan=replan)


async def claimed(journal: Journal) -> leases.Claim:
    (claim,) = await journal.write(lambda tx: leases.claim(tx, "default/1", None, 1, LATER))
    return claim


async def handed_over(journal: Journal, run: NewRun) -> None:
    """The run is between two of its steps, and its runner has let go of it."""
    await journal.write(lambda tx: runs.enqueue(tx, run, NOON))
    await one_step(journal, "space")


async def one_step(journal: Journal, step: str) -> None:
    fence = (await claimed(journal)).fence
    await journal.write(lambda tx: steps.start(tx, fence, "web-01", "steps", step, 1, NOON))
    end = StepEnd(StepState.SUCCEEDED, exit_code=0, duration=0.25, outputs={"used": 71})
    await journal.write(lambda tx: steps.end(tx, fence, "web-01", "steps", step, 1, end, NOON))
    await journal.write(lambda tx: leases.release(tx, fence, NOON))


async def lead(journal: Journal) -> None:
    await Workflows(journal).lead(LATER)


async def view_of(journal: Journal, run: RunId) -> RunView:
    found = await journal.read(lambda conn: runs.get(conn, run))
    assert found is not None
    return found


async def test_a_run_is_claimed_where_it_was(site: Site) -> None:
    """With the ends of its steps. Taking in twice, as after a crash, changes nothing."""
    journal, new = site.store("one"), site.store("two")
    run = replace(new_run("open"), group="rotate")
    await handed_over(journal, run)
    await publish(site, journal)
    tree = site.tree()
    for _ in range(2):
        await take_in(site, new, planned(run))
    await publish(site, new)
    assert site.tree() == tree, "the branch said it already"
    claim = await claimed(new)
    assert (claim.fence.run, claim.attempt, claim.spec, claim.params) == (run.id, 2, run.spec, run.params)
    (record,) = claim.records["web-01"]
    assert (record.state, record.exit_code, record.outputs) == (StepState.SUCCEEDED, 0, {"used": 71})
    assert claim.ended_targets == {}


async def test_what_waited_waits_for_the_same(site: Site) -> None:
    """One slot, held by the run that had it; a time that has not come; and the time limit of waiting goes on."""
    journal, new = site.store("one"), site.store("two")
    first, second = (replace(new_run(name), group="rotate") for name in ("first", "second"))
    later = replace(new_run("later"), starts_at=LATER + timedelta(hours=1))
    late = replace(new_run("late"), group="rotate", on_conflict="queue", queue_timeout=timedelta(minutes=5))
    await handed_over(journal, first)
    for minute, run in enumerate((second, later, late), start=1):
        at = NOON + timedelta(minutes=minute)
        await journal.write(lambda tx, run=run, at=at: runs.enqueue(tx, run, at))
    await publish(site, journal)
    await take_in(site, new, planned(first, second, later, late))
    assert await new.write(lambda tx: runs.expire(tx, LATER)) == (late.id,)
    assert await new.write(lambda tx: runs.admit(tx, LATER)) == ()
    fence = (await claimed(new)).fence
    assert fence.run == first.id
    await new.write(lambda tx: leases.finish(tx, fence, RunState.SUCCEEDED, now=LATER))
    assert (await claimed(new)).fence.run == second.id
    due = later.starts_at
    assert due is not None
    assert await new.write(lambda tx: runs.admit(tx, due)) == (later.id,)


async def test_who_was_let_into_the_line_is_not_judged_again(site: Site) -> None:
    """Its time had come, and it waited: whoever came after it and waits too is no reason to send it away."""
    journal, new = site.store("one"), site.store("two")
    first, second = (replace(new_run(name), group="rotate", on_conflict="queue") for name in ("first", "second"))
    later = replace(new_run("later"), group="rotate", starts_at=NOON + timedelta(minutes=1))
    await handed_over(journal, first)
    await journal.write(lambda tx: runs.enqueue(tx, later, NOON))
    await journal.write(lambda tx: runs.admit(tx, NOON + timedelta(minutes=1)))
    await journal.write(lambda tx: runs.enqueue(tx, second, NOON + timedelta(minutes=2)))
    await publish(site, journal)
    await take_in(site, new, planned(first, second, later))
    assert await new.write(lambda tx: runs.admit(tx, LATER)) == ()
    before, after = [await new.read(lambda conn, run=run: runs.get(conn, run.id)) for run in (later, second)]
    assert before is not None
    assert after is not None
    assert before.wait == after.wait == Wait(group="rotate", held_by=(first.id,))


async def test_a_run_that_cannot_go_on_is_unknown_and_says_why(site: Site) -> None:
    journal, new = site.store("one"), site.store("two")
    run = new_run("open")
    await handed_over(journal, run)
    await publish(site, journal)
    await take_in(site, new, planned((run.id, Unprovable("its commit is gone"))))
    found = await view_of(new, run.id)
    assert (found.state, found.reason, found.message) == (RunState.UNKNOWN, "storeLost", "its commit is gone")
    await publish(site, new)
    third = site.store("three")
    await take_in(site, third, planned())
    assert await view_of(third, run.id) == found


async def test_a_cancellation_that_was_accepted_is_kept(site: Site) -> None:
    journal, new = site.store("one"), site.store("two")
    run = new_run("open")
    await handed_over(journal, run)
    await journal.write(lambda tx: runs.cancel(tx, run.id, reason=None, by="ana", now=NOON))
    await journal.write(
        lambda tx: acts.settle(tx, "stop", state="accepted", run=run.id, action="cancel", requested_by="ana", now=NOON)
    )
    await publish(site, journal)
    await take_in(site, new, planned(run))
    assert (await claimed(new)).ending == "cancelled"


async def test_a_newer_run_still_replaces_the_one_before_it(site: Site) -> None:
    journal, new = site.store("one"), site.store("two")
    old, newer = (replace(new_run(name), group="g", on_conflict="cancelRunning") for name in ("old", "newer"))
    await handed_over(journal, old)
    await journal.write(lambda tx: runs.enqueue(tx, newer, NOON + timedelta(seconds=1)))
    await publish(site, journal)
    await take_in(site, new, planned(old, newer))
    claim = await claimed(new)
    assert (claim.fence.run, claim.ending) == (old.id, "cancelled")


@pytest.mark.parametrize("closed", [LATER, None])
async def test_an_engine_that_comes_back_goes_on_where_the_other_left_off(site: Site, closed: object) -> None:
    """Its own store is behind: what the other did since is not done again; what that left unproven is unknown."""
    journal, other = site.store("one"), site.store("two")
    run = new_run("open")
    await handed_over(journal, run)
    await publish(site, journal)
    await take_in(site, other, planned(run))
    await one_step(other, "more")
    await publish(site, other)
    before = EngineView("two", "there", NOON, LATER if closed else None)
    await take_in(site, journal, planned(run), before)
    if not closed:
        found = await view_of(journal, run.id)
        assert (found.state, found.reason) == (RunState.UNKNOWN, "storeLost")
        return
    claim = await claimed(journal)
    assert (claim.attempt, [record.id for record in claim.records["web-01"]]) == (3, ["space", "more"])


async def test_an_engine_that_comes_back_keeps_what_the_other_did_not_touch(site: Site) -> None:
    """Its store knows more than the branch, so that a run goes on which could not be planned from the branch."""
    journal = site.store("one")
    run = new_run("open")
    await handed_over(journal, run)
    await publish(site, journal)
    await take_in(site, journal, planned((run.id, Unprovable("it printed"))), EngineView("two", "there", NOON, LATER))
    assert (await claimed(journal)).attempt == 2


@pytest.mark.parametrize("closed", [LATER, None])
async def test_a_workflow_goes_on_where_the_other_engine_left_it(site: Site, closed: object) -> None:
    """What the other engine led since is not led again: its node's run is not caused a second time."""
    journal, other = site.store("one"), site.store("two")
    graph = a_release()
    await journal.write(lambda tx: runs.enqueue(tx, graph, NOON))
    await lead(journal)
    (build,) = (await view_of(journal, graph.id)).nodes[0].record.runs
    await publish(site, journal)
    assert isinstance(graph.spec, PinnedWorkflow)
    job = next(node.action.plan for node in graph.spec.nodes if isinstance(node.action, NodeJob))
    cause = (await view_of(journal, build)).cause
    child = replace(new_run("child"), id=build, cause=cause, spec=job, params={}, group="build")
    await take_in(site, other, planned(graph, child))
    await lead(other)
    fence = (await claimed(other)).fence
    await other.write(lambda tx: leases.finish(tx, fence, RunState.SUCCEEDED, now=LATER))
    await lead(other)
    gate = (await view_of(other, graph.id)).nodes[1].record.gate
    assert gate is not None
    await other.write(lambda tx: graphs.vote(tx, gate.digest, Verdict("ann", True, LATER, "yes")))
    await publish(site, other)
    left = await view_of(other, graph.id)
    before = EngineView("two", "there", NOON, LATER if closed else None)

    await take_in(site, journal, planned(graph), before)
    await lead(journal)

    found = await view_of(journal, graph.id)
    states = {node.id: node.state for node in found.nodes}
    if not closed:
        assert (found.state, found.reason) == (RunState.UNKNOWN, "storeLost")
        assert states["ask"] is NodeState.UNKNOWN
        return
    assert found.nodes == left.nodes, "with the same gate, its time, and the vote that it had"
    assert (found.state, states["build"], states["ask"]) == (RunState.RUNNING, NodeState.SUCCEEDED, NodeState.WAITING)
    assert await journal.read(runs.open_runs) == (graph.id,)


SINCE_THE_FIRST = (
    ("runs", "message"),
    ("runs", "rehearsal"),
    ("runs", "workflow"),
    ("runs", "parent"),
    ("runs", "on_conflict"),
    ("runs", "max_queue"),
    ("runs", "known_as"),
    ("runs", "naming"),
    ("runs", "needs"),
    ("steps", "again"),
    ("steps", "rescued"),
    ("steps", "inherited"),
    ("run_targets", "reason"),
    ("run_targets", "runner"),
    ("runners", "version"),
    ("runners", "seen_at"),
    ("runners", "shown_until"),
    ("runners", "runs"),
    ("runners", "capacity"),
    ("runners", "labels"),
    ("verdicts", "proven"),
    ("messages", "reached"),
)


async def test_a_store_of_the_first_version_is_brought_up_to_this_one(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path / 'journal.sqlite3'}"
    journal = Journal.open(place, clock=Fixed())

    def columns(conn: Connection) -> dict[str, set[str]]:
        seen = inspect(conn)
        return {name: {column["name"] for column in seen.get_columns(name)} for name in seen.get_table_names()}

    fresh = await journal.read(columns)

    def back(tx: Connection) -> None:
        for index in ("runs_by_name", "runs_by_parent", "runs_in_line", "runs_later", "runs_needy", "runs_failed"):
            tx.execute(text(f"DROP INDEX {index}"))
        tx.execute(text("CREATE INDEX runs_by_job ON runs (job, seq)"))
        tx.execute(text("CREATE INDEX runs_open_by_group ON runs (concurrency, state) WHERE finished_at IS NULL"))
        for name, column in SINCE_THE_FIRST:
            tx.execute(text(f"ALTER TABLE {name} DROP COLUMN {column}"))
        tx.execute(meta.update().where(meta.c.key == "version").values(value="1"))

    await journal.write(back)
    await journal.close()
    journal = Journal.open(place, clock=Fixed())
    assert await journal.read(columns) == fresh
    assert await journal.read(lambda conn: conn.execute(select(table.c.message)).all()) == []
    await journal.close()
