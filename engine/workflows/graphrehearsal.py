"""A dry run of a workflow: which nodes would begin, and what each would do, as far as that is known before. Pure.

Each node that would run is taken for a success, and each gate for approved. What rests on the outputs of such a node
stays open; nodes that are known to be left out, to fail, or to be taken over are known with all that they give.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from engine.expressions.contexts import RunFacts
from engine.expressions.expression import ExpressionError, Status
from engine.expressions.foreknowledge import ALL_WAYS, Depends, Foreknowledge, Runs, Skipped, Verdict
from engine.runs.pinned import PinnedSpec, PinnedTarget
from engine.runs.planning import checked_params
from engine.runs.refused import PlanRefused
from engine.runs.rehearsal import Rehearsal, strategy_of
from engine.runs.stage import MOST_ITEMS, Facts, Room, Stage, bounded, short
from engine.states import NodeState, RunState, StepState
from engine.status.placefile import place, step
from engine.status.views import NodeView, TargetView
from engine.status.yamltext import plain
from engine.workflows.graphfacts import Facts as Known
from engine.workflows.graphfacts import NodeRecord, asks_how_it_went, became, before, context_of, good, status_at
from engine.workflows.workflowplan import NodeGate, NodeJob, NodeWait, PinnedNode, PinnedWorkflow, narrowed
from schemas.quantities import format_duration
from schemas.selector import Selection

MOST_OF_A_GRAPH = 128 * 1024
"""Bytes of the details of all its nodes: what is beyond them is left out, and said to be. One file holds all of it."""


def rehearse_graph(
    plan: PinnedWorkflow, params: Mapping[str, Any], run: RunFacts, carried: Mapping[str, NodeRecord] | None = None
) -> Rehearsal:
    """What the plan would do. `carried` are results that a repetition takes over from the run that it repeats."""
    graph = _Graph(plan, params, run, dict(carried or {}), Room(MOST_OF_A_GRAPH))
    told = {node.id: graph.told(node) for node in in_order(plan)}
    nodes = tuple(told[node.id] for node in plan.nodes)
    failed = any(node.state is NodeState.FAILED for node in nodes)
    return Rehearsal(RunState.FAILED if failed else RunState.SUCCEEDED, {}, (), nodes)


def in_order(plan: PinnedWorkflow) -> Iterator[PinnedNode]:
    """Each after all that it needs; else as they are written. Of a plan, which has no cycles."""
    left = list(plan.nodes)
    while left:
        waiting = {node.id for node in left}
        ready = next(node for node in left if waiting.isdisjoint(node.needs))
        left.remove(ready)
        yield ready


class _NodeError(Exception):
    """The node would fail, of this."""


@dataclass
class _Graph:
    """`records` are of nodes whose end is known, and grow; `open` says of others what nobody can tell of them yet."""

    plan: PinnedWorkflow
    params: Mapping[str, Any]
    run: RunFacts
    records: dict[str, NodeRecord]
    room: Room
    open: dict[str, str] = field(default_factory=dict)

    def told(self, node: PinnedNode) -> NodeView:
        if node.id in self.records:
            would = {"verdict": "skip", "because": "its result is taken over from the run that is repeated"}
            return _view(node, NodeRecord(node.id, NodeState.SKIPPED, inherited=True), would)
        fore = self._foreknowledge()
        verdict: Verdict = Runs()
        try:
            verdict = self._verdict(node, fore)
            if isinstance(verdict, Skipped):
                return self._skipped(node, verdict)
            told = _Told(_because(verdict))
            self._act(node, fore, told)
        except _NodeError as error:
            return self._fails(node, verdict, str(error))
        except ExpressionError as error:
            return self._fails(node, verdict, f"if: {error.message}")
        if isinstance(verdict, Depends):
            self.open[node.id] = f"whether '{node.id}' runs"
        elif told.fails and not node.continue_on_error:
            self.open[node.id] = f"how '{node.id}' ends"
        reason = "a step of it is known to fail" if told.fails else None
        state = NodeState.FAILED if told.fails else NodeState.SKIPPED
        runs = {"runs": told.runs} if told.runs else {}
        return _view(node, NodeRecord(node.id, state, reason=reason), told.facts | _left_open(fore, verdict) | runs)

    def _skipped(self, node: PinnedNode, verdict: Skipped) -> NodeView:
        self.records[node.id] = record = NodeRecord(node.id, NodeState.SKIPPED)
        return _view(node, record, _because(verdict))

    def _fails(self, node: PinnedNode, verdict: Verdict, why: str) -> NodeView:
        record = NodeRecord(node.id, NodeState.FAILED, reason=short(why), continued=node.continue_on_error)
        if isinstance(verdict, Depends):
            self.open[node.id] = f"whether '{node.id}' runs"
        else:
            self.records[node.id] = record
        return _view(node, record, {"verdict": "fail", "because": short(why)})

    # --- whether it begins --------------------------------------------------------------------------------------------

    def _verdict(self, node: PinnedNode, fore: Foreknowledge) -> Verdict:
        if isinstance(node.condition, str) and asks_how_it_went(node.condition):
            return fore.verdict(node.condition, self._ways(node))
        needed = [self.records[name] for name in node.needs if name in self.records]
        if bad := next((one for one in needed if not good(one)), None):
            return Skipped(f"needs {bad.id}, which {_became(bad)}")
        own = fore.verdict(node.condition)
        rests_on = next((self.open[name] for name in node.needs if name in self.open), None)
        return own if rests_on is None or isinstance(own, Skipped) else Depends(rests_on)

    def _ways(self, node: PinnedNode) -> tuple[Status, ...]:
        """How things may have gone when it is asked, the best first. One that needs nothing is asked at once."""
        known = status_at(node, self.plan, self.records)
        earlier = before(self.plan, node)
        if earlier <= self.records.keys():
            return (known,)
        ways = [Status(known.failed or way.failed, way.cancelled, known.skipped) for way in ALL_WAYS]
        if not earlier.isdisjoint(self.open):
            ways.append(Status(known.failed, skipped=True))
        return tuple(ways)

    def _foreknowledge(self) -> Foreknowledge:
        known = Known(self.run, self.params, self.run.instant, self.records)
        return Foreknowledge(context_of(self.plan, known), frozenset(self.records))

    # --- what it does -------------------------------------------------------------------------------------------------

    def _act(self, node: PinnedNode, fore: Foreknowledge, told: "_Told") -> None:
        match node.action:
            case NodeGate():
                told.facts |= {"asks": _asks(node.action)}
            case NodeWait(span=span):
                told.facts |= {"wait": format_duration(span)}
            case NodeJob(loop=None):
                self._run(node.action, self._foreknowledge(), told)
            case NodeJob():
                self._each(node.action, fore, told)

    def _each(self, job: NodeJob, fore: Foreknowledge, told: "_Told") -> None:
        assert job.loop is not None
        try:
            items = fore.rendered(job.loop.items)
        except ExpressionError as error:
            raise _NodeError(f"forEach.items: {error.message}") from error
        loop: Facts = {"items": bounded(items), "as": job.loop.as_, "maxParallel": job.loop.max_parallel}
        told.facts |= {"forEach": loop}
        if not isinstance(items, list):
            if fore.missing:
                self._run(job, self._foreknowledge(), told)  # of an item that is not known yet: told once
                return
            raise _NodeError("forEach.items: a list is needed, and this is none")
        loop["count"] = len(items)
        for number, value in enumerate(islice(items, MOST_ITEMS)):
            one = self._foreknowledge()
            one.context = {**one.context, job.loop.as_: value}
            self._run(job, one, told, number, value)

    def _run(
        self, job: NodeJob, fore: Foreknowledge, told: "_Told", number: int | None = None, item: Any = None
    ) -> None:
        """What one run of the job would do."""
        where = "" if number is None else f" of item {number}"
        written, given, unknown = self._params(job, fore, where)
        known = checked_params({name: one for name, one in job.takes.items() if name not in unknown}, given)
        if isinstance(known, PlanRefused):
            raise _NodeError(f"params{where}: {known.message}")
        facts: Facts = {} if number is None else {"item": bounded(item)}
        shown = {**known, **written}
        if shown:
            facts["params"] = bounded({name: shown[name] for name in job.takes if name in shown})
        spec = job.plan
        if job.limit is not None:
            spec, facts["limit"] = self._limited(job, job.limit, fore, where)
        if self.room.full:
            told.runs.append({**facts, "leftOut": "what it would do: there is no room for more"})
            return
        self._places(spec, known | dict.fromkeys(unknown), unknown, facts, told)
        told.runs.append(facts | _left_open(fore))

    def _params(self, job: NodeJob, fore: Foreknowledge, where: str) -> tuple[Facts, Facts, frozenset[str]]:
        """As they would be shown, those of them that are known, and the names of those that are not."""
        written: Facts = {}
        open_: set[str] = set()
        for name, value in job.params.items():
            try:
                written[name], known = fore.told(value)
            except ExpressionError as error:
                raise _NodeError(f"params.{name}{where}: {error.message}") from error
            if not known:
                open_.add(name)
        return written, {name: one for name, one in written.items() if name not in open_}, frozenset(open_)

    def _limited(self, job: NodeJob, limit: Selection, fore: Foreknowledge, where: str) -> tuple[PinnedSpec, Facts]:
        try:
            found, known = fore.told(limit.to_json())
            if not known:
                return job.plan, found
            spec = narrowed(job, Selection.model_validate(found))
        except ExpressionError as error:
            raise _NodeError(f"limit{where}: {error.message}") from error
        except ValueError as error:
            raise _NodeError(f"limit{where}: its expressions do not give texts") from error
        if not spec.targets:
            raise _NodeError(f"limit{where}: it leaves no target")
        return spec, found

    def _places(
        self, spec: PinnedSpec, params: Mapping[str, Any], unknown: frozenset[str], facts: Facts, told: "_Told"
    ) -> None:
        run = RunFacts(self.run.id, spec.job, spec.commit, self.run.instant, 1, self.run.cause)
        targets: list[PinnedTarget | None] = list(spec.targets) if spec.on_targets else [None]
        places: list[TargetView] = []
        for target in targets:
            if self.room.full:
                facts["leftOut"] = f"{len(targets) - len(places)} more targets: there is no room for them"
                break
            places.append(Stage(spec, target, params, run, [], self.room, open_params=unknown).played())
        told.fails |= any(one.state is StepState.FAILED for one in places)
        if spec.on_targets:
            facts |= {"strategy": strategy_of(spec), "targets": {one.name: place(one) for one in places}}
        else:
            facts["steps"] = [step(one) for one in places[0].steps]


@dataclass
class _Told:
    """What is told of a node, while it is gathered. `fails`: a step of its job is known to fail."""

    facts: Facts
    runs: list[Facts] = field(default_factory=list)
    fails: bool = False


def _because(verdict: Verdict) -> Facts:
    word = {Runs: "run", Skipped: "skip", Depends: "depends"}[type(verdict)]
    because = verdict.on if isinstance(verdict, Depends) else verdict.because
    return {"verdict": word, **({"because": short(because)} if because else {})}


def _became(record: NodeRecord) -> str:
    if record.inherited:
        return became(record.state)
    return "would fail" if record.state is NodeState.FAILED else "would be skipped"


def _asks(gate: NodeGate) -> Facts:
    rule = gate.rule
    facts: Facts = {
        "count": rule.count,
        "users": list(rule.users),
        "teams": list(rule.teams),
        "notRequester": rule.not_requester,
        "timeout": format_duration(rule.timeout),
        "onTimeout": rule.on_timeout,
    }
    return {key: value for key, value in facts.items() if value not in ([], False)}


def _left_open(fore: Foreknowledge, verdict: Verdict | None = None) -> Facts:
    left = fore.left_open(verdict.on if isinstance(verdict, Depends) else "")
    return {"knownOnlyAtRunTime": [short(cel) for cel in left]} if left else {}


def _view(node: PinnedNode, record: NodeRecord, would: Facts) -> NodeView:
    job = node.action.plan.job if isinstance(node.action, NodeJob) else None
    return NodeView(node.action.kind, job, node.needs, record, plain(would))
