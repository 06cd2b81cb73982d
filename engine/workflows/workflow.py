"""What comes next in a workflow's run, from its plan and what is recorded. Pure.

A fresh run, one that goes on after the engine was killed and one that does again what failed ask the same question. The
shell applies each answer in one transaction, and asks again until there is none (ADR 0029).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.expressions.bounds import MAX_ITEMS
from engine.expressions.expression import ExpressionError, Status, condition, render
from engine.itemcounts import counted
from engine.runs.concurrency import named
from engine.runs.planning import checked_params
from engine.runs.refused import PlanRefused
from engine.states import NodeState, RunState, is_final, workflow_state
from engine.workflows.graphfacts import (
    Child,
    Facts,
    NodeRecord,
    asks_how_it_went,
    became,
    context_of,
    good,
    status_at,
)
from engine.workflows.moves import Ask, Begin, End, Finish, Launch, Move, Sleep, Stop, TimeOut
from engine.workflows.workflowplan import NodeGate, NodeJob, NodeWait, PinnedNode, PinnedWorkflow, narrowed
from schemas.selector import Selection

_OF_ENDING = {"cancelled": NodeState.CANCELLED, "timedOut": NodeState.TIMED_OUT}


def advance(plan: PinnedWorkflow, facts: Facts, now: datetime) -> tuple[Move, ...]:
    """What is to be done now; nothing where people, time or a node's run must come first.

    Doing all of it, or any part, and asking again is always right: no answer depends on another of the same call.
    """
    walk = _Walk(plan, facts, now)
    if walk.too_late:
        return (TimeOut(),)
    found = tuple(move for node in plan.nodes for move in walk.of(node))
    if found or not all(is_final(walk.state(node.id)) for node in plan.nodes):
        return found
    return (walk.finish(),)


def wakes_at(plan: PinnedWorkflow, facts: Facts) -> datetime | None:
    """When `advance` has something to say that no run, gate or act announces."""
    until = [one.until for one in facts.records.values() if one.state is NodeState.WAITING]
    if plan.timeout is not None and facts.ending is None:
        until.append(facts.started_at + plan.timeout)
    return min((one for one in until if one is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Walk:
    plan: PinnedWorkflow
    facts: Facts
    now: datetime

    def record(self, node: str) -> NodeRecord:
        return self.facts.records.get(node) or NodeRecord(node)

    def state(self, node: str) -> NodeState:
        return self.record(node).state

    @property
    def too_late(self) -> bool:
        timeout = self.plan.timeout
        return timeout is not None and self.facts.ending is None and self.now >= self.facts.started_at + timeout

    def of(self, node: PinnedNode) -> Iterator[Move]:
        record = self.record(node.id)
        match record.state:
            case NodeState.PENDING:
                if all(is_final(self.state(needed)) for needed in node.needs):
                    yield self._started(node)
            case NodeState.RUNNING:
                assert isinstance(node.action, NodeJob)
                yield from self._running(node, node.action, record)
            case NodeState.WAITING:
                yield from self._waiting(node, record)

    # --- a node that may start ----------------------------------------------------------------------------------------

    def _started(self, node: PinnedNode) -> Move:
        status = self._status(node)
        bad = next((self.record(needed) for needed in node.needs if not good(self.record(needed))), None)
        try:
            asked = isinstance(node.condition, str) and asks_how_it_went(node.condition)
            if not asked and self.facts.ending is not None:
                return self._cut(node)
            if not asked and bad is not None:
                return End(node, NodeState.SKIPPED, f"needs {bad.id}, which {became(bad.state)}")
            if not condition(node.condition, context_of(self.plan, self.facts), status=status):
                return End(node, NodeState.SKIPPED, "its condition does not hold")
            return self._begun(node, status)
        except ExpressionError as error:
            return End(node, NodeState.FAILED, f"if: {error.message}")

    def _begun(self, node: PinnedNode, status: Status) -> Move:
        if self.facts.ending is not None and not isinstance(node.action, NodeJob):
            return self._cut(node)  # nobody is asked, and nothing waited for, in a run that is to end
        match node.action:
            case NodeGate(rule=rule):
                return Ask(node, self.now + rule.timeout)
            case NodeWait(span=span):
                return Sleep(node, self.now + span)
            case NodeJob(loop=None):
                return Begin(node, cleanup=self.facts.ending is not None)
            case NodeJob(loop=loop):
                assert loop is not None
                return self._each(node, loop.items, status)

    def _each(self, node: PinnedNode, written: Any, status: Status) -> Move:
        try:
            items = render(written, context_of(self.plan, self.facts), status=status)
        except ExpressionError as error:
            return End(node, NodeState.FAILED, f"forEach.items: {error.message}")
        if not isinstance(items, list):
            return End(node, NodeState.FAILED, "forEach.items: a list is needed, and this is none")
        if len(items) > MAX_ITEMS:
            return End(node, NodeState.FAILED, f"forEach.items: {len(items)} items; at most {MAX_ITEMS} are possible")
        return Begin(node, tuple(items), cleanup=self.facts.ending is not None)

    def _cut(self, node: PinnedNode) -> End:
        assert self.facts.ending is not None
        return End(node, _OF_ENDING[self.facts.ending], "the run was ended before")

    def _status(self, node: PinnedNode) -> Status:
        return status_at(node, self.plan, self.facts.records, self.facts.ending)

    # --- a node whose job runs ----------------------------------------------------------------------------------------

    def _running(self, node: PinnedNode, job: NodeJob, record: NodeRecord) -> Iterator[Move]:
        children = self.facts.children.get(node.id, {})
        wanted = 1 if record.items is None else len(record.items)
        open_ = [child for child in children.values() if not is_final(child.state)]
        ended = self.facts.ending is not None and not record.cleanup
        if ended:
            reason = (
                "the workflow was cancelled" if self.facts.ending == "cancelled" else "the workflow ran out of time"
            )
            yield from (Stop(child.run, reason) for child in open_ if not child.asked)
        failed = any(is_final(child.state) and child.state is not RunState.SUCCEEDED for child in children.values())
        stops = ended or (failed and not node.continue_on_error)
        more = [] if stops else [number for number in range(wanted) if number not in children]
        places = (1 if job.loop is None else job.loop.max_parallel) - len(open_)
        launches, wrong = self._next_launches(node, job, record, more, places)
        if missing := [run for run in record.runs if run not in {child.run for child in children.values()}]:
            if not open_:
                yield End(node, NodeState.UNKNOWN, f"its run {missing[0]} is not to be had any more")
            return
        yield from launches
        if not launches and not open_:
            yield self._ended(node, job, record, children, wrong)

    def _next_launches(
        self, node: PinnedNode, job: NodeJob, record: NodeRecord, numbers: list[int], places: int
    ) -> tuple[list[Launch], dict[int, str]]:
        """What of these items may start now, and why those before them cannot: they count as failed.

        They are not recorded: what one is given follows from the same records each time.
        """
        launches: list[Launch] = []
        wrong: dict[int, str] = {}
        for number in numbers:
            if len(launches) >= places:
                break
            found = self._launch(node, job, record, number)
            if isinstance(found, Launch):
                launches.append(found)
                continue
            wrong[number] = found
            if not node.continue_on_error:
                return [], wrong
        return launches, wrong

    def _launch(self, node: PinnedNode, job: NodeJob, record: NodeRecord, number: int) -> Launch | str:
        """A run of the node's job; or why it cannot be."""
        context = context_of(self.plan, self.facts)
        where = ""
        if record.items is not None and job.loop is not None:
            context[job.loop.as_] = record.items[number]
            where = f" of item {number}"
        status = self._status(node)
        params: dict[str, Any] = {}
        try:
            for name, value in job.params.items():
                params[name] = render(value, context, status=status)
        except ExpressionError as error:
            return f"params.{name}{where}: {error.message}"
        checked = checked_params(job.takes, params)
        if isinstance(checked, PlanRefused):
            return f"params{where}: {checked.message}"
        try:
            group = None if job.group is None else named(job.group, checked)
        except ExpressionError as error:
            return f"concurrency.group{where}: {error.message}"
        spec = job.plan
        if job.limit is not None:
            try:
                limit = Selection.model_validate(render(job.limit.to_json(), context, status=status))
            except ExpressionError as error:
                return f"limit{where}: {error.message}"
            except ValueError:
                return f"limit{where}: its expressions do not give texts"
            spec = narrowed(job, limit)
            if not spec.targets:
                return f"limit{where}: it leaves no target"
        return Launch(node, number if record.items is not None else None, job, spec, checked, group)

    def _ended(
        self,
        node: PinnedNode,
        job: NodeJob,
        record: NodeRecord,
        children: Mapping[int, Child],
        wrong: Mapping[int, str],
    ) -> End:
        """Of all the runs of a node: as the worst of them. `wrong` are the items that could not be started."""
        if record.items is None:
            child = children.get(0)
            if child is None:
                return End(node, NodeState.FAILED, wrong[0]) if wrong else self._cut(node)
            return End(node, self._node_state(child, record), _why(child), dict(child.outputs))
        wanted = len(record.items)
        states = [*(self._node_state(child, record) for child in children.values()), *(NodeState.FAILED for _ in wrong)]
        if self.facts.ending is not None and not record.cleanup and len(children) < wanted:
            states.append(_OF_ENDING[self.facts.ending])
        outputs = {
            name: [children[number].outputs.get(name) if number in children else None for number in range(wanted)]
            for name in job.plan.outputs
        }
        reason = None
        if any(one is not NodeState.SUCCEEDED for one in states):
            begun = [self._node_state(child, record).value for _, child in sorted(children.items()) if child.began]
            reason = counted([*begun, *(NodeState.FAILED.value for _ in wrong)], wanted)
        if wrong:
            reason = f"{reason}; {next(iter(wrong.values()))}"
        return End(node, NodeState(workflow_state(states).value), reason, outputs)

    def _node_state(self, child: Child, record: NodeRecord) -> NodeState:
        state = NodeState(child.state.value)
        if state is NodeState.CANCELLED and self.facts.ending == "timedOut" and not record.cleanup:
            return NodeState.TIMED_OUT
        return state

    # --- a node that waits --------------------------------------------------------------------------------------------

    def _waiting(self, node: PinnedNode, record: NodeRecord) -> Iterator[Move]:
        if self.facts.ending is not None:
            yield self._cut(node)
        elif isinstance(node.action, NodeGate):
            yield from self._decided(node, node.action, record)
        elif record.until is not None and self.now >= record.until:
            yield End(node, NodeState.SUCCEEDED)

    def _decided(self, node: PinnedNode, gate: NodeGate, record: NodeRecord) -> Iterator[Move]:
        verdicts = record.gate.verdicts if record.gate is not None else ()
        against = next((one for one in verdicts if not one.approved), None)
        approvers = dict.fromkeys(one.by for one in verdicts if one.approved)
        if against is not None:
            yield End(
                node, NodeState.FAILED, f"rejected by {against.by}" + (f": {against.reason}" * bool(against.reason))
            )
        elif len(approvers) >= gate.rule.count:
            yield End(node, NodeState.SUCCEEDED, f"approved by {', '.join(approvers)}")
        elif record.until is not None and self.now >= record.until:
            state = NodeState.SKIPPED if gate.rule.on_timeout == "skip" else NodeState.FAILED
            yield End(node, state, "nobody decided in time" if not approvers else "too few approved in time")

    # --- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> Finish:
        records = [self.record(node.id) for node in self.plan.nodes]
        state = workflow_state(NodeState.SUCCEEDED if good(one) else one.state for one in records)
        context = context_of(self.plan, self.facts)
        status = Status(failed=state is not RunState.SUCCEEDED, cancelled=state is RunState.CANCELLED)
        outputs: dict[str, Any] = {}
        for name, written in self.plan.outputs.items():
            try:
                outputs[name] = render(written, context, status=status)
            except ExpressionError as error:
                outputs[name] = None
                if state is RunState.SUCCEEDED:
                    return Finish(RunState.FAILED, outputs, f"outputs.{name}: {error.message}")
        return Finish(state, outputs)


def _why(child: Child) -> str | None:
    return None if child.state is RunState.SUCCEEDED else child.reason
