"""Workflows' runs in the journal: led from node to node, with nothing doubled wherever the process dies."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from engine.identity import Cause, RunId, run_id
from engine.runs.waits import Held
from engine.states import NODE_TRANSITIONS, NodeState, RunState, is_final
from engine.status.views import RunView
from engine.workflows import gates
from engine.workflows.graphfacts import Verdict
from engine.workflows.moves import End
from engine.workflows.workflowplan import PinnedWorkflow, PlannedWorkflow, plan_workflow
from journal import census, graphs, history, leases, outbox, runimport, runresume, runs, trends, workflows
from journal.databases.tables import nodes
from journal.runs import Enqueued, NewRun
from schemas.project import Retention
from tests.catalogs import catalog, job, local_target
from tests.contract.conftest import Desk

GRAPH = """kind: Workflow
metadata: {name: release}
spec:
  jobs:
    build: {jobRef: build}
    ask: {needs: [build], approval: {count: 2}}
    ship: {jobRef: ship, needs: [ask], forEach: {items: [eu, us]}}
    rest: {wait: 1m, needs: [ship]}
  timeout: 2h
"""


def planned(text: str = GRAPH) -> PinnedWorkflow:
    places = "  targets: {names: [here]}\n"
    known = catalog(local_target("here"), job("build", spec=places), job("ship", spec=places), text)
    found = plan_workflow(known, known.workflows["release"], params={})
    assert not isinstance(found, str) and hasattr(found, "spec"), found
    return found.spec


def a_release(name: str = "ask", text: str = GRAPH, **more: Any) -> NewRun:
    plan = planned(text)
    cause = Cause("request", name, desk_start(), requested_by="ann@example.org")
    new = NewRun(id=run_id("release", cause), cause=cause, spec=plan, params={}, pool="", group="workflow/release")
    return replace(new, **more)


def desk_start() -> Any:
    from tests.contract.conftest import START

    return START


class Leading:
    """A desk that leads one workflow's run."""

    def __init__(self, desk: Desk, run: RunId) -> None:
        self.desk, self.run = desk, run

    async def lead(self) -> None:
        now = self.desk.clock.now()
        while await self.desk.see(workflows.has_news, self.run, now):
            await self.desk.do(
                workflows.step, self.run, now, gate=lambda plan, facts, ask: gates.opened(plan, facts, ask, now)
            )

    async def view(self) -> RunView:
        found = await self.desk.see(runs.get, self.run)
        assert found is not None
        return found

    async def nodes(self) -> dict[str, str]:
        return {node.id: node.state.value for node in (await self.view()).nodes}

    async def work(self, count: int = 1, state: RunState = RunState.SUCCEEDED) -> None:
        for claim in await self.desk.claim(limit=count):
            await self.desk.do(leases.finish, claim.fence, state, now=self.desk.clock.now(), outputs={"x": 1})

    async def digest(self) -> str:
        gate = next(node.record.gate for node in (await self.view()).nodes if node.record.gate)
        assert gate is not None
        return gate.digest

    async def vote(self, by: str, *, approved: bool = True) -> None:
        now = self.desk.clock.now()
        await self.desk.do(graphs.vote, await self.digest(), Verdict(by, approved, now, f"{by}-says"))


async def begun(desk: Desk, **more: Any) -> Leading:
    new = a_release(**more)
    assert await desk.enqueue(new) == Enqueued(new.id, RunState.QUEUED)
    leading = Leading(desk, new.id)
    await leading.lead()
    return leading


async def test_a_graph_is_led_to_its_end(desk: Desk) -> None:
    leading = await begun(desk)
    assert await desk.see(graphs.progress, [leading.run, RunId("none")]) == {leading.run: graphs.Progress(0, 4)}
    assert await leading.nodes() == {"build": "running", "ask": "pending", "ship": "pending", "rest": "pending"}
    await leading.work()
    await leading.lead()
    assert await leading.nodes() == {"build": "succeeded", "ask": "waiting", "ship": "pending", "rest": "pending"}
    assert await desk.see(workflows.only_waits, leading.run)
    (gate,) = await desk.see(graphs.open_gates)
    assert gate == await desk.see(graphs.open_gate, gate.digest)
    await leading.vote("ann")
    await leading.lead()
    assert (await leading.nodes())["ask"] == "waiting"
    await leading.vote("bob")
    await leading.lead()
    assert await desk.see(graphs.open_gates) == ()
    asked = await desk.see(graphs.asked, gate.digest)
    assert (asked.run, asked.waits, asked.reason) == (leading.run, False, "approved by ann, bob")
    for _ in ("eu", "us"):
        await leading.work(5)
        await leading.lead()
    assert (await leading.nodes())["rest"] == "waiting"
    desk.clock.advance(61)
    await leading.lead()
    view = await leading.view()
    assert (view.state, view.attempt) == (RunState.SUCCEEDED, 1)
    assert await desk.see(history.workflows) == ("release",)
    assert (await desk.see(history.workflow, "release")).last.id == leading.run
    assert await desk.see(history.jobs) == ("build", "ship")
    children = await desk.see(graphs.children_of, leading.run)
    assert {node: sorted(items) for node, items in children.items()} == {"build": [0], "ship": [0, 1]}


async def test_leading_twice_causes_nothing_twice(desk: Desk) -> None:
    """A decision that was made, and not seen to be made, is made again: the cause has its run already."""
    leading = await begun(desk)
    before = (await desk.see(runs.open_runs),)
    found = await desk.see(workflows.known, leading.run, desk.clock.now())
    assert found is not None
    again = Cause("workflow", leading.run, desk_start(), requested_by="ann@example.org", node="build")
    (build, _, _, _) = found[0].nodes
    new = NewRun(id=run_id("build", again), cause=again, spec=build.action.plan, params={}, pool="default")  # type: ignore[union-attr]
    assert not isinstance(await desk.enqueue(new), Enqueued)
    assert (await desk.see(runs.open_runs),) == before


async def test_no_runner_takes_a_workflow_and_none_loses_it(desk: Desk) -> None:
    leading = await begun(desk)
    claims = await desk.claim(limit=10)
    assert [claim.spec.job for claim in claims] == ["build"]
    await desk.do(leases.void, desk.clock.now())
    assert await desk.state(leading.run) == "running"


async def test_its_place_is_held_until_it_ends(desk: Desk) -> None:
    first = await begun(desk)
    second = a_release("other")
    await desk.enqueue(second)
    assert await desk.state(second.id) == "waiting"
    await desk.do(runs.cancel, first.run, reason="enough", by=None, now=desk.clock.now())
    await first.lead()
    await first.lead()
    assert await desk.state(first.run) == "cancelled"
    assert await desk.state(second.id) == "queued"
    assert set((await first.nodes()).values()) == {"cancelled"}


async def test_a_run_that_is_cancelled_before_it_begins_has_no_open_node(desk: Desk) -> None:
    await begun(desk)
    second = a_release("other")
    await desk.enqueue(second)
    await desk.do(runs.cancel, second.id, reason=None, by="ann", now=desk.clock.now())
    assert set((await Leading(desk, second.id).nodes()).values()) == {"cancelled"}


async def test_a_run_that_we_cannot_lead_ends_unknown_and_closes_its_gates(desk: Desk) -> None:
    leading = await begun(desk)
    await leading.work()
    await leading.lead()
    digest = await leading.digest()
    before = await desk.see(outbox.last)
    await desk.do(workflows.give_up, leading.run, "an error of ours", desk.clock.now())
    view = await leading.view()
    assert (view.state, view.reason) == (RunState.UNKNOWN, "an error of ours")
    assert set((await leading.nodes()).values()) == {"succeeded", "unknown"}, "the jobs of its nodes may go on"
    assert await desk.see(graphs.open_gates) == ()
    await desk.do(outbox.advance, "test", before)
    assert ("gate", digest) in (await desk.see(outbox.pending, "test", 100)).objects


async def test_a_job_of_its_name_is_another(desk: Desk, new_run: Any) -> None:
    await desk.enqueue(new_run("one", job="release"))
    (claim,) = await desk.claim()
    await desk.do(leases.finish, claim.fence, RunState.FAILED, now=desk.clock.now())
    leading = await begun(desk)
    await desk.do(workflows.give_up, leading.run, "an error of ours", desk.clock.now())
    workflow, job = ("release", True), ("release", False)
    ends = await desk.see(trends.last_ended, [job, workflow])
    assert ends == {job: RunState.FAILED, workflow: RunState.UNKNOWN}
    pasts = await desk.see(history.pasts, [workflow, job, ("none", False)])
    assert [past.last and past.last.id for past in pasts] == [leading.run, new_run("one", job="release").id, None]
    assert [past.consecutive_failures for past in pasts] == [1, 1, 0]


async def test_a_timeout_ends_it(desk: Desk) -> None:
    leading = await begun(desk)
    found = await desk.see(workflows.led, None)
    assert (found.runs, found.touched) == ((leading.run,), {leading.run})
    desk.clock.advance(7201)
    await leading.lead()
    await leading.lead()
    assert await desk.state(leading.run) == "timedOut"
    (brief,) = [one for one in await desk.see(history.ended) if one.workflow]
    assert brief.failed == ("build", "ask", "ship", "rest")
    assert brief.failures == 4
    assert (await desk.see(workflows.led, None)).runs == ()


async def test_only_those_are_looked_at_of_which_something_has_changed(desk: Desk) -> None:
    leading = await begun(desk)
    seen = (await desk.see(workflows.led, None)).seen
    assert await desk.see(workflows.led, seen) == workflows.Led((leading.run,), frozenset(), seen)
    await desk.do(outbox.add, "job", "build")
    other = await desk.see(workflows.led, seen)
    assert (other.runs, other.touched) == ((leading.run,), frozenset())
    await desk.do(outbox.add, "run", (await leading.view()).nodes[0].record.runs[0])
    assert leading.run in (await desk.see(workflows.led, other.seen)).touched, "a run of its nodes has changed"
    seen = (await desk.see(workflows.led, other.seen)).seen
    await desk.do(outbox.add, "sync", "sync")
    await desk.do(outbox.advance, "test", seen + 1)
    await desk.do(outbox.trim)
    assert leading.run in (await desk.see(workflows.led, seen)).touched, "what had changed is not on record any more"


@pytest.mark.parametrize("before", NodeState)
async def test_a_node_goes_only_where_the_table_lets_it(desk: Desk, before: NodeState) -> None:
    """Whatever is asked of the journal: a node that has ended stays as it is."""
    leading = await begun(desk)
    now = desk.clock.now()
    (seq,) = await desk.see(lambda conn: conn.execute(select(nodes.c.run).distinct()).scalars().all())
    plan = next(one for one in planned().nodes if one.id == "ask")
    after = {}
    for state in NodeState:
        where = (nodes.c.run == seq, nodes.c.node == "ask")
        await desk.do(lambda tx, where=where: tx.execute(update(nodes).where(*where).values(state=before.value)))
        try:
            if is_final(state):
                await desk.do(graphs.end, seq, End(plan, state), now)
            else:
                await desk.do(graphs.begin, seq, "ask", state, now)
        except ValueError as error:
            assert str(error) == f"node ask is {before} and cannot become {state}"
        else:
            after[state] = (await leading.nodes())["ask"]
            continue
        assert (await leading.nodes())["ask"] == before.value
    assert after == {state: state.value for state in NODE_TRANSITIONS[before]}


async def test_its_runs_are_kept_while_it_goes_on(desk: Desk) -> None:
    leading = await begun(desk)
    await leading.work()
    keep = Retention.model_validate({"runs": 1, "days": 1, "failedDays": 1})
    desk.clock.advance(timedelta(days=3).total_seconds())
    assert await desk.do(history.prune, keep, desk.clock.now()) == ()
    await desk.do(workflows.give_up, leading.run, "x", desk.clock.now())
    assert len(await desk.do(history.prune, keep, desk.clock.now())) == 1


async def test_everything_is_announced_anew(desk: Desk) -> None:
    leading = await begun(desk)
    await leading.work()
    await leading.lead()
    await desk.do(outbox.advance, "test", await desk.see(outbox.last))
    await desk.do(census.announce)
    found = (await desk.see(outbox.pending, "test", 100)).objects
    assert {("workflow", "release"), ("gate", await leading.digest()), ("job", "build")} <= set(found)
    assert ("job", "release") not in found


@pytest.mark.parametrize("ended", [True, False])
async def test_a_graph_that_a_branch_shows_is_taken_in(desk: Desk, ended: bool) -> None:
    leading = await begun(desk)
    await leading.work()
    await leading.lead()
    await leading.vote("ann")
    if ended:
        await leading.vote("eve", approved=False)
        await leading.lead()
    view = await leading.view()
    elsewhere = replace(view, id=RunId(f"{view.id}x"), cause=replace(view.cause, name="elsewhere"))
    elsewhere = replace(elsewhere, nodes=tuple(_other_gate(node) for node in view.nodes))
    await desk.do(runimport.import_run, elsewhere, desk.clock.now())
    taken = await desk.see(runs.get, elsewhere.id)
    if ended:
        assert taken.nodes == elsewhere.nodes
        assert taken.state is RunState.FAILED
    else:
        assert (taken.state, taken.reason) == (RunState.UNKNOWN, "storeLost")
        states = {node.id: node.state for node in taken.nodes}
        assert states == {
            "build": NodeState.SUCCEEDED, "ask": NodeState.UNKNOWN, "ship": NodeState.SKIPPED, "rest": NodeState.SKIPPED
        }  # fmt: skip


async def test_no_gate_is_taken_in_without_its_rule(desk: Desk) -> None:
    leading = await begun(desk)
    await leading.work()
    await leading.lead()
    view = await leading.view()
    forged = replace(view, nodes=tuple(_other_gate(node) for node in view.nodes))
    with pytest.raises(ValueError, match="does not follow from its plan"):
        await desk.do(runresume.take_in, forged, a_release(), "drained", desk.clock.now())
    assert (await leading.view()).nodes == view.nodes


def _other_gate(node: Any) -> Any:
    gate = node.record.gate
    if gate is None:
        return node
    return replace(node, record=replace(node.record, gate=replace(gate, digest=f"sha256:{'1' * 64}")))


SHARED = """kind: Workflow
metadata: {name: release}
spec:
  params: {db: {type: string, default: a}}
  concurrency: {group: "db-${{ params.db }}"}
  jobs:
    one: {jobRef: tidy, params: {db: b}}
    two: {jobRef: tidy, params: {db: "${{ params.db }}"}, needs: [one]}
"""
TIDY = """kind: Job
metadata: {name: tidy}
spec:
  params: {db: {type: string}}
  targets: {names: [here]}
  concurrency: {group: "db-${{ params.db }}", onConflict: skip}
  steps: [{run: ":"}]
"""


async def test_a_group_is_named_as_a_node_starts_and_one_that_only_its_workflow_could_free_fails(desk: Desk) -> None:
    """Each would wait for the other until one of them had waited too long."""
    known = catalog(local_target("here"), TIDY, SHARED)
    found = plan_workflow(known, known.workflows["release"], params={})
    assert isinstance(found, PlannedWorkflow)
    new = replace(a_release(), spec=found.spec, params=found.params, group="db-a")
    assert await desk.enqueue(new) == Enqueued(new.id, RunState.QUEUED)
    leading = Leading(desk, new.id)
    await leading.lead()
    (first,) = [run for run in await desk.see(runs.open_runs) if run != new.id]
    held = await desk.see(runs.get, first)
    assert held.held == Held("db-b", 0)
    await leading.work()
    await leading.lead()
    view = await leading.view()
    assert await leading.nodes() == {"one": "succeeded", "two": "failed"}
    assert view.state is RunState.FAILED
    (second,) = view.nodes[1].record.runs
    failed = await desk.see(runs.get, second)
    assert (failed.state, failed.reason) == (RunState.FAILED, "overlap")
    assert new.id in failed.message
