"""Random graphs with random ends, led by applying any part of each answer, as crashes would: the rules hold."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.expressions.contexts import RunFacts
from engine.identity import Cause, RunId
from engine.runs.refused import PlanRefused
from engine.states import NODE_TRANSITIONS, NodeState, RunState, is_final
from engine.workflows import gates
from engine.workflows.graphfacts import Child, Facts, NodeRecord, OpenGate, Verdict, good
from engine.workflows.moves import Ask, Begin, End, Finish, Launch, Move, Sleep, Stop, TimeOut
from engine.workflows.workflow import advance, wakes_at
from engine.workflows.workflowplan import PinnedWorkflow, PlannedWorkflow, dump, load, plan_workflow
from tests.catalogs import catalog, job, local_target

START = datetime(2026, 11, 21, tzinfo=UTC)
CAUSE = Cause("request", "ask", START, requested_by="ann@example.org")
ENDS = (RunState.SUCCEEDED, RunState.FAILED, RunState.TIMED_OUT, RunState.CANCELLED, RunState.UNKNOWN)
CONDITIONS = (
    None, None, None, "${{ failure() }}", "${{ always() }}", "${{ success() }}", "${{ cancelled() }}", "${{ true }}",
    "${{ 1 == 2 }}", "${{ params.x > 'a' }}",
)  # fmt: skip
PLACES = "  targets: {names: [here]}\n  params: {p: {type: string, default: x}}\n  outputs: {o: '${{ 1 }}'}\n"


def planned(jobs: str, rest: str = "") -> PinnedWorkflow:
    text = f"kind: Workflow\nmetadata: {{name: w}}\nspec:\n  params: {{x: {{}}}}\n{rest}  jobs:\n{jobs}"
    known = catalog(local_target("here", "{site: here}"), job("work", spec=PLACES), text)
    found = plan_workflow(known, known.workflows["w"], params={})
    assert hasattr(found, "spec"), found
    return found.spec


@dataclass
class World:
    """What the journal would hold."""

    plan: PinnedWorkflow
    now: datetime = START
    records: dict[str, NodeRecord] = field(default_factory=dict)
    children: dict[str, dict[int, Child]] = field(default_factory=dict)
    ending: Any = None
    finished: Finish | None = None
    ended: list[str] = field(default_factory=list)

    @property
    def facts(self) -> Facts:
        run = RunFacts(RunId("w-1"), "w", self.plan.commit, START, 1, CAUSE)
        return Facts(run, {"x": None}, START, self.records, self.children, self.ending)

    def moves(self) -> tuple[Move, ...]:
        return () if self.finished else advance(self.plan, self.facts, self.now)

    def apply(self, move: Move) -> None:
        match move:
            case Begin(node=node, items=items, cleanup=cleanup):
                self._to(node.id, NodeState.RUNNING, items=items, cleanup=cleanup)
            case Sleep(node=node, until=until):
                self._to(node.id, NodeState.WAITING, until=until)
            case Ask(node=node, until=until):
                opened = gates.opened(self.plan, self.facts, move, self.now)
                self._to(node.id, NodeState.WAITING, until=until, gate=opened)
            case Launch(node=node, item=item):
                here = self.children.setdefault(node.id, {})
                assert (item or 0) not in here, "a run was caused twice"
                here[item or 0] = Child(RunId(f"{node.id}-{item}"), RunState.QUEUED)
                known = self.records[node.id]
                self.records[node.id] = replace(known, runs=(*known.runs, here[item or 0].run))
                assert all(is_final(self.records[needed].state) for needed in node.needs), "it did not wait"
            case End(node=node, state=state):
                self._to(
                    node.id,
                    state,
                    ended_at=self.now,
                    reason=move.reason,
                    outputs=move.outputs,
                    continued=move.continued,
                )
                self.ended.append(node.id)
            case Stop(run=run):
                for here in self.children.values():
                    for number, child in here.items():
                        if child.run == run:
                            here[number] = replace(child, asked=True)
            case TimeOut():
                self.ending = "timedOut"
            case Finish():
                self.finished = move

    def _to(self, node: str, state: NodeState, **more: Any) -> None:
        before = self.records.get(node) or NodeRecord(node)
        assert state in NODE_TRANSITIONS[before.state], f"{node} went from {before.state} to {state}"
        self.records[node] = replace(before, state=state, **{"started_at": self.now, **more})

    def settle(self) -> None:
        while moves := self.moves():
            for move in moves:
                self.apply(move)

    def open_children(self) -> list[tuple[str, int]]:
        return [(n, i) for n, here in self.children.items() for i, child in here.items() if not is_final(child.state)]

    def end(self, node: str, item: int, state: RunState) -> None:
        self.children[node][item] = replace(self.children[node][item], state=state, outputs={"o": 1})

    def state(self, node: str) -> NodeState:
        return self.records[node].state if node in self.records else NodeState.PENDING


@st.composite
def graphs(draw: st.DrawFn) -> PinnedWorkflow:
    lines = []
    for number in range(draw(st.integers(1, 6))):
        needs = draw(st.lists(st.sampled_from([f"n{n}" for n in range(number)]), unique=True)) if number else []
        kind = draw(
            st.sampled_from(["jobRef: work", "jobRef: work", "jobRef: work", "wait: 1m", "approval: {count: 2}"])
        )
        if kind.startswith("job"):
            kind += draw(st.sampled_from(["", "", ", continueOnError: true"]))
            kind += draw(st.sampled_from(["", "", ", forEach: {items: [a, b, c], maxParallel: 2}"]))
        condition = draw(st.sampled_from(CONDITIONS))
        text = f'"{condition}"' if condition else ""
        lines.append(f"    n{number}: {{{kind}, needs: [{', '.join(needs)}]{', if: ' + text if text else ''}}}\n")
    return planned("".join(lines), "  timeout: 3h\n")


@settings(max_examples=150, deadline=None)
@given(plan=graphs(), data=st.data())
def test_any_graph_comes_to_its_end_with_nothing_doubled(plan: PinnedWorkflow, data: st.DataObject) -> None:
    """Whatever part of an answer was durable before a crash, the next answer goes on from it."""
    world = World(load(dump(plan)))
    for _ in range(400):
        if world.finished:
            break
        moves = world.moves()
        if moves:
            for move in data.draw(st.lists(st.sampled_from(moves), min_size=1, unique_by=id)):
                world.apply(move)
            continue
        waiting = [one.id for one in world.records.values() if one.state is NodeState.WAITING]
        choice = data.draw(st.sampled_from(["child", "child", "child", "vote", "time", "cancel"]))
        if choice == "child" and (some := world.open_children()):
            world.end(*data.draw(st.sampled_from(some)), data.draw(st.sampled_from(ENDS)))
        elif choice == "vote" and (gated := [name for name in waiting if world.records[name].gate]):
            record = world.records[gated[0]]
            said = Verdict(f"u{len(record.gate.verdicts)}", data.draw(st.booleans()), world.now, "act")
            gate = replace(record.gate, verdicts=(*record.gate.verdicts, said))
            world.records[gated[0]] = replace(record, gate=gate)
        elif choice == "cancel" and data.draw(st.integers(0, 5)) == 0:
            world.ending = world.ending or "cancelled"
        elif wake := wakes_at(plan, world.facts):
            world.now = max(world.now, wake)
        elif some := world.open_children():
            world.end(*some[0], RunState.SUCCEEDED)
    assert world.finished, "it does not end"
    assert sorted(world.ended) == sorted(node.id for node in plan.nodes), "each node ends once"
    _the_rules_hold(plan, world)


def _the_rules_hold(plan: PinnedWorkflow, world: World) -> None:
    place = {name: number for number, name in enumerate(world.ended)}
    for node in plan.nodes:
        record = world.records[node.id]
        assert all(place[needed] < place[node.id] for needed in node.needs), "a node ended before what it needs"
        ran = record.state not in (NodeState.SKIPPED, NodeState.CANCELLED, NodeState.TIMED_OUT)
        if node.condition is None and ran:
            assert all(good(world.records[needed]) for needed in node.needs), "it ran after a failure"
        if record.state is NodeState.SKIPPED:
            assert node.id not in world.children
    states = [NodeState.SUCCEEDED if good(one) else one.state for one in world.records.values()]
    bad = {state for state in states if state not in (NodeState.SUCCEEDED, NodeState.SKIPPED)}
    assert (world.finished.state is RunState.SUCCEEDED) == (not bad)  # type: ignore[union-attr]


# --- gates ---


def gated(rule: str = "") -> World:
    jobs = f"    a: {{jobRef: work}}\n    ask: {{needs: [a], approval: {{{rule}}}}}\n"
    jobs += '    b: {jobRef: work, needs: [ask], params: {p: "as ${{ jobs.a.outputs.o }}"}}\n'
    jobs += "    later: {needs: [b], approval: {}}\n"
    jobs += "    c: {jobRef: work, needs: [later]}\n"
    world = World(planned(jobs))
    world.settle()
    world.end("a", 0, RunState.SUCCEEDED)
    world.settle()
    return world


def test_a_gate_shows_what_starts_without_another_question() -> None:
    shown = gated().records["ask"].gate.shown  # type: ignore[union-attr]
    assert shown["next"] == [{"id": "b", "job": "work", "params": {"p": "as 1"}, "targets": ["here"]}]


@pytest.mark.parametrize("key", ["run", "gate", "commit", "next", "libraries"])
def test_the_digest_covers_what_would_run(key: str) -> None:
    gate = gated().records["ask"].gate
    assert gate is not None
    assert gates.digest_of(gate.shown) == gate.digest
    assert gates.digest_of({**gate.shown, key: "other"}) != gate.digest
    assert gates.digest_of({**gate.shown, "expiresAt": "other"}) == gate.digest


def test_a_run_that_is_gone_is_not_started_again() -> None:
    """A child that was caused, and that nobody can find any more, leaves its node unknown."""
    world = World(planned("    a: {jobRef: work}\n"))
    world.settle()
    world.children.clear()
    world.settle()
    assert world.finished is not None
    assert world.finished.state is RunState.UNKNOWN


OK, BAD, LOST, CANCELLED = RunState.SUCCEEDED, RunState.FAILED, RunState.UNKNOWN, RunState.CANCELLED
OPEN = RunState.RUNNING


def each(items: str, rest: str = "", more: str = "params: {p: '${{ i }}'}") -> World:
    """A node that has begun its job for these items."""
    written = f"forEach: {{items: {items}, as: i{rest}}}, {more}"
    world = World(planned(f"    a: {{jobRef: work, {written}}}\n"))
    (begin,) = world.moves()
    world.apply(begin)
    return world


def began(world: World) -> list[int]:
    """The items that may begin now."""
    return [move.item or 0 for move in world.moves() if isinstance(move, Launch)]


@pytest.mark.parametrize(
    ("parallel", "forgives", "ended", "begins"),
    [
        (1, False, {}, [0]),
        (1, False, {0: OPEN}, []),
        (1, False, {0: OK}, [1]),
        (1, False, {0: BAD}, []),
        (1, False, {0: OK, 1: LOST}, []),
        (1, True, {0: BAD}, [1]),
        (1, True, {0: BAD, 1: CANCELLED}, [2]),
        (2, False, {}, [0, 1]),
        (2, False, {0: OPEN, 1: OPEN}, []),
        (2, False, {0: OK, 1: OPEN}, [2]),
        (2, False, {0: BAD, 1: OPEN}, []),
        (2, False, {0: OPEN, 1: BAD}, []),
        (2, True, {0: BAD, 1: OPEN}, [2]),
        (3, False, {0: OK, 1: OK, 2: BAD}, []),
        (9, False, {}, [0, 1, 2, 3]),
    ],
)
def test_which_items_begin(parallel: int, forgives: bool, ended: dict[int, RunState], begins: list[int]) -> None:
    world = each("[w, x, y, z]", f", maxParallel: {parallel}")
    if forgives:
        (node,) = world.plan.nodes
        world.plan = replace(world.plan, nodes=(replace(node, continue_on_error=True),))
    world.children["a"] = {number: Child(RunId(f"a-{number}"), state) for number, state in ended.items()}
    assert began(world) == begins


def test_after_an_item_that_failed_the_node_ends_when_those_beside_it_have() -> None:
    world = each("[w, x, y, z]", ", maxParallel: 2")
    world.settle()
    world.end("a", 0, BAD)
    world.settle()
    assert world.open_children() == [("a", 1)]
    world.end("a", 1, OK)
    (end,) = world.moves()
    assert isinstance(end, End)
    assert (end.state, end.reason) == (NodeState.FAILED, "4 items: 1 succeeded, 1 failed, 2 did not begin")


@pytest.mark.parametrize(("ending", "state"), [("cancelled", NodeState.CANCELLED), ("timedOut", NodeState.TIMED_OUT)])
def test_a_node_that_is_ended_counts_what_ended_what_was_ended_and_what_never_began(
    ending: str, state: NodeState
) -> None:
    """A run that was cancelled in the queue has not begun, either."""
    world = each("[v, w, x, y, z]", ", maxParallel: 3")
    world.settle()
    world.end("a", 0, OK)
    world.settle()
    world.ending = ending
    world.settle()
    world.end("a", 1, RunState.CANCELLED)
    world.end("a", 2, RunState.CANCELLED)
    world.end("a", 3, RunState.CANCELLED)
    world.children["a"][3] = replace(world.children["a"][3], began=False)
    (end,) = world.moves()
    assert isinstance(end, End)
    assert (end.state, end.reason) == (state, f"5 items: 1 succeeded, 2 {state.value}, 2 did not begin")


STRANGE = {
    "params": "params: {p: '${{ i }}'}",
    "expression": "params: {p: '${{ i.name }}'}",
    "limit": "params: {p: x}, limit: {selector: {matchLabels: {site: '${{ i }}'}}}",
}


@pytest.mark.parametrize(
    ("what", "items", "why"),
    [
        ("params", "[here, 3, there]", "params of item 1: "),
        ("expression", "[{name: here}, 3, {name: there}]", "params.p of item 1: "),
        ("limit", "[here, elsewhere, here]", "limit of item 1: it leaves no target"),
    ],
)
@pytest.mark.parametrize("parallel", [1, 3])
def test_an_item_that_cannot_be_started_is_one_that_failed(what: str, items: str, why: str, parallel: int) -> None:
    """With continueOnError the others go on, and what they give is kept."""
    world = each(items, f", maxParallel: {parallel}", f"{STRANGE[what]}, continueOnError: true")
    while not world.finished:
        world.settle()
        for node, number in world.open_children():
            world.end(node, number, OK)
    assert sorted(world.children["a"]) == [0, 2]
    assert world.records["a"].outputs == {"o": [1, None, 1]}
    assert (world.state("a"), world.records["a"].continued) == (NodeState.FAILED, True)
    assert why in (world.records["a"].reason or "")


def test_an_item_that_cannot_be_started_keeps_the_later_ones_from_starting() -> None:
    world = each("[here, 3, there]")
    world.settle()
    world.end("a", 0, OK)
    (end,) = world.moves()
    assert isinstance(end, End)
    assert end.state is NodeState.FAILED
    assert end.outputs == {"o": [1, None, None]}
    assert end.reason is not None
    assert end.reason.startswith("3 items: 1 succeeded, 1 failed, 1 did not begin; params of item 1: ")


@pytest.mark.parametrize(("group", "fits"), [("work", False), ("other", True), (None, True)])
def test_a_workflow_that_its_own_job_would_wait_for_is_refused(group: str | None, fits: bool) -> None:
    """Validation says so before (OC324); what is planned all the same does not wait for itself."""
    text = "kind: Workflow\nmetadata: {name: w}\nspec: {jobs: {a: {jobRef: work}}}\n"
    known = catalog(local_target("here"), job("work", spec=PLACES), text)
    written = known.workflows["w"]
    concurrency = written.spec.concurrency.model_copy(update={"group": group})
    shared = written.model_copy(update={"spec": written.spec.model_copy(update={"concurrency": concurrency})})
    found = plan_workflow(known, shared, params={})
    if fits:
        assert isinstance(found, PlannedWorkflow)
    else:
        message = "node 'a': job 'work' would wait for this workflow: both are of group 'work'"
        assert found == PlanRefused("notAllowed", message)


def test_words_of_strangers_do_not_count() -> None:
    gate = OpenGate("sha256:0", {"users": ["ann"], "teams": ["ops"], "notRequester": True, "requestedBy": "A@x.org"})
    users = catalog(
        "kind: User\nmetadata: {name: ann}\nspec: {email: a@x.org}\n",
        "kind: User\nmetadata: {name: bob}\nspec: {email: b@x.org, teams: [ops]}\n",
    ).users

    def reason(email: str) -> str | None:
        unheard = gates.heard(gate, gates.person(email, users))
        return unheard and unheard.reason

    assert reason("a@X.org") == "requester"
    assert reason("B@x.org") is None
    assert reason("c@x.org") == "notAllowed"
    twins = {**users, "rob": users["bob"].model_copy(update={"metadata": users["bob"].metadata})}
    assert gates.person("b@x.org", twins).user is None, "an address of two is nobody's"
    again = replace(gate, verdicts=(Verdict("bob", True, START + timedelta(0), "x"),))
    assert gates.heard(again, gates.person("b@x.org", users)).reason == "twice"  # type: ignore[union-attr]
