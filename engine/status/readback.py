"""Status files back to views: what a rebuilt store starts from (CONTRACT 4, Rebuilding).

Reading trusts nothing: it goes through the guard, and raises `Unreadable` for what this program does not write.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, get_args

from engine.identity import Cause, CauseKind, RunId
from engine.runs import runnerlabels
from engine.runs.pinned import PHASES, RUNNER, Phase
from engine.runs.waits import Held, Wait
from engine.schedules.decide import SkipReason, Skips
from engine.states import NodeState, RunState, StepState
from engine.status.views import (
    ConditionStatus,
    ConditionType,
    ConditionView,
    DecisionView,
    EngineView,
    NodeView,
    RequestState,
    RequestView,
    RunView,
    ScheduleView,
    StepView,
    SyncView,
    TargetView,
)
from engine.workflows.graphfacts import NodeRecord, OpenGate, Verdict
from schemas.diagnostic import Diagnostic, Severity
from schemas.envelope import API_VERSION
from schemas.guard import load
from schemas.quantities import parse_instant
from schemas.span import Span

T = TypeVar("T")
_MOST = 2**63 - 1
"""The largest whole number that a store takes."""


class Unreadable(ValueError):  # noqa: N818 - named by what happens next, as Refused and Unavailable are
    """A file of the status branch that is not what this program writes."""


@contextmanager
def _refused_as(name: str) -> Iterator[None]:
    """A refused value becomes `Unreadable`, naming the object."""
    try:
        yield
    except Unreadable:
        raise
    except (ValueError, OverflowError) as error:  # 10**400 is no float
        raise Unreadable(f"{name}: {error}") from error


@dataclass(frozen=True, slots=True)
class Facts:
    """A mapping of a status file; each reader of a key raises `Unreadable` where the value is not of its type."""

    name: str
    data: dict[str, Any]

    @classmethod
    def read(cls, text: str | bytes, kind: str) -> "Facts":
        """The one document of a status file of this kind."""
        loaded = load(text.encode() if isinstance(text, str) else text, kind)
        if loaded.findings:
            raise Unreadable(str(loaded.findings[0].message))
        document = loaded.documents[0] if len(loaded.documents) == 1 else None
        if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (API_VERSION, kind):
            raise Unreadable(f"not a {kind} of {API_VERSION}")
        return cls(cls(kind, document).mapping("metadata").text("name"), document)

    @classmethod
    def of(cls, value: Any, name: str) -> "Facts":
        if not isinstance(value, dict):
            raise Unreadable(f"{name} is not a mapping")
        return cls(name, value)

    def mapping(self, key: str, default: dict[str, Any] | None = None) -> "Facts":
        return Facts.of(self.data.get(key, default), f"{self.name}.{key}")

    def maybe_mapping(self, key: str) -> "Facts | None":
        return None if self.data.get(key) is None else self.mapping(key)

    def items(self, key: str) -> tuple["Facts", ...]:
        values = self.data.get(key, [])
        if not isinstance(values, list):
            raise Unreadable(f"{self.name}.{key} is not a list")
        return tuple(Facts.of(value, f"{self.name}.{key}[{index}]") for index, value in enumerate(values))

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.data.get(key)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise Unreadable(f"{self.name}.{key} is not a list of texts")
        return tuple(values)

    def text(self, key: str) -> str:
        value = self.data.get(key)
        if not isinstance(value, str):
            raise Unreadable(f"{self.name}.{key} is not a text")
        return value

    def maybe_text(self, key: str) -> str | None:
        return None if self.data.get(key) is None else self.text(key)

    def number(self, key: str, default: int) -> int:
        value = self.data.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unreadable(f"{self.name}.{key} is not a whole number")
        if abs(value) > _MOST:
            raise Unreadable(f"{self.name}.{key} is too large")
        return value

    def instant(self, key: str) -> datetime:
        with _refused_as(f"{self.name}.{key}"):
            return parse_instant(self.data.get(key))

    def maybe_instant(self, key: str) -> datetime | None:
        return None if self.data.get(key) is None else self.instant(key)

    def one_of(self, key: str, values: tuple[T, ...]) -> T:
        found = next((value for value in values if value == self.data.get(key)), None)
        if found is None:
            raise Unreadable(f"{self.name}.{key} is none of {', '.join(map(str, values))}")
        return found


def parse_run_file(text: str | bytes, slices: Iterable[str | bytes] = ()) -> RunView:
    """The view that `run_files` wrote. `slices` are the texts of `<run-id>.<n>.yaml` in order.

    As many are read as the head counts. Unreadable where there are fewer, or a target or a step stands there twice.
    """
    file = Facts.read(text, "Run")
    spec, status = file.mapping("spec"), file.mapping("status")
    cause = spec.mapping("cause")
    is_workflow = "workflow" in spec.data
    on_targets = "targets" in spec.data and not is_workflow
    if on_targets:
        found = dict(status.mapping("targets", default={}).data)
        for targets in _slices(file.name, status.number("slices", 0), slices):
            found |= targets
        names = spec.texts("targets")
        _once(file.name, names)
        order = [name for name in names if name in found] + sorted(set(found) - set(names))
        results = tuple(_parsed_target(name, Facts.of(found[name], name)) for name in order)
    elif is_workflow:
        results = ()
    else:
        steps = _parsed_steps(status)
        state = status.text("state")
        place = StepState(state) if state in set(StepState) else StepState.RUNNING
        results = (TargetView(RUNNER, place, status.mapping("outputs", default={}).data, steps),) if steps else ()
    outputs = status.mapping("outputs", default={}).data
    if on_targets and not outputs and "slices" in status.data:
        outputs = _by_output(results)
    with _refused_as(file.name):
        return RunView(
            id=RunId(file.name),
            job=spec.text("workflow" if is_workflow else "job"),
            commit=spec.text("commit"),
            cause=Cause(
                kind=cause.one_of("kind", get_args(CauseKind)),
                name=cause.text("name"),
                instant=cause.instant("instant"),
                requested_by=cause.maybe_text("requestedBy"),
                reason=cause.maybe_text("reason"),
                node=cause.maybe_text("node"),
                item=cause.number("item", 0) if "item" in cause.data else None,
                event=cause.maybe_text("event"),
                chain=cause.texts("chain") if "chain" in cause.data else (),
            ),
            state=RunState(status.text("state")),
            queued_at=status.instant("queuedAt"),
            params=spec.mapping("params", default={}).data,
            targets=spec.texts("targets") if "targets" in spec.data else (),
            on_targets=on_targets,
            libraries=spec.mapping("libraries", default={}).data,
            started_at=status.maybe_instant("startedAt"),
            finished_at=status.maybe_instant("finishedAt"),
            reason=status.maybe_text("reason"),
            message=status.maybe_text("message"),
            attempt=status.number("attempt", 0),
            runner=status.maybe_text("runner"),
            outputs=outputs,
            results=results,
            rerun_of=cause.maybe_text("rerunOf"),
            priority=spec.number("priority", 0),
            starts_at=spec.maybe_instant("startsAt"),
            inline=spec.data.get("inline") is True,
            rehearsal=status.mapping("strategy", default={}).data if spec.data.get("dryRun") is True else None,
            workflow=is_workflow,
            nodes=_parsed_nodes(status) if is_workflow else (),
            held=_parsed_place(status.maybe_mapping("place")),
            wait=_parsed_wait(status.maybe_mapping("waitsFor")),
        )


def _parsed_place(data: Facts | None) -> Held | None:
    return None if data is None else Held(data.text("group"), data.number("number", 0))


def _parsed_wait(data: Facts | None) -> Wait | None:
    if data is None:
        return None
    held_by = data.texts("heldBy") if "heldBy" in data.data else ()
    labels = data.mapping("labels", default={}).data
    needs = runnerlabels.text_of({str(key): str(value) for key, value in labels.items()})
    return Wait(data.maybe_instant("time"), data.maybe_text("group"), held_by, data.maybe_text("pool"), needs)


def _parsed_nodes(status: Facts) -> tuple[NodeView, ...]:
    """What an open gate shows is not here: it follows from the plan, and from the nodes that it names as known."""
    nodes = status.mapping("nodes", default={})
    return tuple(_parsed_node(name, nodes.mapping(name)) for name in nodes.data)


def _parsed_node(name: str, data: Facts) -> NodeView:
    one, items = data.maybe_text("run"), data.data.get("items")
    runs = data.texts("runs") if "runs" in data.data else (one,) if one else ()
    gate = data.maybe_mapping("gate")
    if items is not None and not isinstance(items, list):
        raise Unreadable(f"{data.name}.items is not a list")
    with _refused_as(data.name):
        record = NodeRecord(
            id=name,
            state=NodeState(data.text("state")),
            started_at=data.maybe_instant("startedAt"),
            until=data.maybe_instant("until"),
            ended_at=data.maybe_instant("finishedAt"),
            outputs=data.mapping("outputs", default={}).data,
            reason=data.maybe_text("reason"),
            continued=data.data.get("continued") is True,
            items=None if items is None else tuple(items),
            cleanup=data.data.get("cleanup") is True,
            inherited=data.data.get("inherited") is True,
            gate=None if gate is None else _parsed_gate(gate),
            runs=tuple(RunId(run) for run in runs),
        )
    needs = data.texts("needs") if "needs" in data.data else ()
    would = data.mapping("would").data if "would" in data.data else None
    return NodeView(data.one_of("kind", ("job", "gate", "wait")), data.maybe_text("job"), needs, record, would)


def _parsed_gate(gate: Facts) -> OpenGate:
    known = {"known": list(gate.texts("known"))} if "known" in gate.data else {}
    votes = (
        Verdict(
            by=one.text("by"),
            approved=one.one_of("decision", ("approve", "reject")) == "approve",
            at=one.instant("at"),
            act=one.text("approval"),
            reason=one.maybe_text("reason") or "",
            proven=one.data.get("signed") is True,
        )
        for one in gate.items("votes")
    )
    return OpenGate(gate.text("digest"), known, tuple(votes))


def _slices(run: str, count: int, texts: Iterable[str | bytes]) -> Iterator[dict[str, Any]]:
    """The targets of each slice that the head counts. A number in a file costs nothing: what is there is read."""
    given = iter(texts)
    for number in range(1, count + 1):
        text = next(given, None)
        slice_ = None if text is None else Facts.read(text, "Run").mapping("status")
        if slice_ is None or slice_.number("slice", 0) != number:
            raise Unreadable(f"{run}: slice {number} of {count} is missing")
        yield slice_.mapping("targets").data


def _once(name: str, values: Collection[object]) -> None:
    if len(set(values)) < len(values):
        raise Unreadable(f"{name} names one thing twice")


def _by_output(results: Iterable[TargetView]) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    for result in results:
        for key, value in result.outputs.items():
            outputs.setdefault(key, {})[result.name] = value
    return outputs


def _parsed_target(name: str, data: Facts) -> TargetView:
    with _refused_as(name):
        state = StepState(data.text("state"))
    return TargetView(
        name,
        state,
        data.mapping("outputs", default={}).data,
        _parsed_steps(data),
        data.maybe_text("reason"),
        data.maybe_text("runner"),
    )


def _parsed_steps(place: Facts) -> tuple[StepView, ...]:
    steps = tuple(_parsed_step(step) for step in place.items("steps"))
    _once(f"{place.name}.steps", [(step.phase, step.id) for step in steps])
    return steps


def _phase(written: object) -> Phase:
    return next((phase for phase in PHASES if phase == written), "steps")


def _parsed_step(data: Facts) -> StepView:
    duration = data.data.get("duration")
    exit_code = data.data.get("exitCode")
    with _refused_as(data.name):
        return StepView(
            id=data.text("id"),
            state=StepState(data.text("state")),
            phase=_phase(data.data.get("phase")),
            name=data.maybe_text("name"),
            attempts=data.number("attempts", 1),
            exit_code=data.number("exitCode", 0) if isinstance(exit_code, int) else None,
            duration=float(duration) if isinstance(duration, int | float) else None,
            outputs=data.mapping("outputs", default={}).data,
            rescued=data.data.get("rescued") is True,
            continued=data.data.get("continued") is True,
            again=data.data.get("again") is True,
            inherited=data.data.get("inherited") is True,
            error=data.maybe_text("error"),
            stdout_tail=data.maybe_text("stdoutTail"),
            stderr_tail=data.maybe_text("stderrTail"),
            log=data.maybe_text("log"),
            would=data.mapping("would").data if "would" in data.data else None,
        )


def parse_schedule_status(text: str | bytes) -> ScheduleView:
    file = Facts.read(text, "ScheduleStatus")
    status = file.mapping("status")
    return ScheduleView(
        name=file.name,
        job=status.text("job"),
        fingerprint=status.text("fingerprint"),
        considered_from=status.instant("consideredFrom"),
        last=_parsed_decision(file.name, status.maybe_mapping("lastDecision")),
        next_due=status.maybe_instant("next"),
        suspended=status.maybe_text("suspended"),
        considered_until=status.maybe_instant("consideredUntil"),
        former_names=status.texts("formerNames") if "formerNames" in status.data else (),
    )


def _parsed_decision(schedule: str, data: Facts | None) -> DecisionView | None:
    if data is None:
        return None
    run = data.maybe_text("run")
    return DecisionView(
        schedule=schedule,
        instant=data.instant("instant"),
        decision=data.one_of("decision", ("run", "skipped")),
        reason=data.maybe_text("reason"),
        run=RunId(run) if run else None,
    )


def parse_request_status(text: str | bytes) -> RequestView:
    file = Facts.read(text, "RequestStatus")
    spec, status = file.mapping("spec", default={}), file.mapping("status")
    return RequestView(
        name=file.name,
        state=status.one_of("state", get_args(RequestState)),
        reason=status.maybe_text("reason"),
        run=status.maybe_text("run"),
        at=status.maybe_instant("at"),
        message=status.maybe_text("message"),
        action=spec.maybe_text("action"),
        requested_by=spec.maybe_text("requestedBy"),
    )


def parse_decisions(text: str | bytes) -> tuple[Skips, ...]:
    return tuple(
        Skips(
            schedule=record.text("schedule"),
            first=record.instant("from"),
            last=record.instant("to"),
            count=record.number("count", 1),
            reason=record.one_of("reason", get_args(SkipReason)),
        )
        for record in Facts.read(text, "Decision").items("decisions")
    )


def parse_sync_file(text: str | bytes) -> SyncView:
    status = Facts.read(text, "SyncStatus").mapping("status")
    return SyncView(
        engine=_parsed_engine(status.maybe_mapping("engine")),
        observed=status.maybe_text("observedCommit"),
        applied=status.maybe_text("appliedCommit"),
        last_good=status.maybe_text("lastGoodCommit"),
        conditions=tuple(
            ConditionView(
                type=one.one_of("type", get_args(ConditionType)),
                status=one.one_of("status", get_args(ConditionStatus)),
                reason=one.text("reason"),
                message=one.text("message"),
                last_transition=one.instant("lastTransitionTime"),
            )
            for one in status.items("conditions")
        ),
        findings=tuple(_parsed_finding(one) for one in status.items("findings")),
        change=None if (change := status.maybe_mapping("change")) is None else _parsed_waiting(change, ("base",)),
        requests=tuple(_parsed_waiting(one, ("request", "asks", "file")) for one in status.items("requests")),
    )


def _parsed_waiting(data: Facts, more: Sequence[str]) -> dict[str, Any]:
    """What waits for approvals, as it is shown: `more` are its texts beside those that all have."""
    times = [key for key in ("expiresAt", "since") if data.maybe_instant(key) is not None]
    return {
        **{key: data.text(key) for key in ("gate", "commit", *more, *times)},
        "requestedBy": list(data.texts("requestedBy")),
        "wants": [
            {
                "documents": list(one.texts("documents")),
                "approvals": one.number("approvals", 1),
                "notRequester": one.data.get("notRequester") is True,
                "given": list(one.texts("given")),
                "by": list(one.texts("by")),
            }
            for one in data.items("wants")
        ],
        "votes": [
            {
                "by": one.text("by"),
                "decision": one.one_of("decision", ("approve", "reject")),
                "request": one.text("request"),
                "reason": one.text("reason"),
            }
            for one in data.items("votes")
        ],
    }


def _parsed_engine(data: Facts | None) -> EngineView | None:
    if data is None:
        return None
    return EngineView(data.text("id"), data.text("host"), data.instant("since"), data.maybe_instant("closed"))


def _parsed_finding(data: Facts) -> Diagnostic:
    line, column = data.number("line", 1), data.number("column", 1)
    span = Span(data.text("file"), line, column, data.number("endLine", line), data.number("endColumn", column))
    severity = data.one_of("severity", get_args(Severity))
    return Diagnostic(span, data.text("code"), data.text("message"), data.text("hint"), severity)
