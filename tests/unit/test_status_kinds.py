"""What the engine writes to the status branch is what its published schemas say, no more and no less."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args, get_origin

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import BaseModel

from engine import states
from engine.authority.permits import Want
from engine.discovery.proposal import Outcome, Row
from engine.discovery.report import found
from engine.discovery.seen import Answer, Scan, SeenHost, Service
from engine.identity import Cause, run_id
from engine.runs import runnerlabels
from engine.runs.pinned import PHASES, RUNNER
from engine.runs.waits import Held, Wait
from engine.schedules import decide
from engine.states import NodeState, RunState, StepState
from engine.status.readmodel import (
    channel_status,
    decision_files,
    discovery_report,
    gate_file,
    job_status,
    request_status,
    run_file,
    run_files,
    schedule_status,
    sync_file,
    target_status,
    to_yaml,
    trigger_status,
    workflow_status,
)
from engine.status.views import (
    ChannelView,
    ConditionStatus,
    ConditionType,
    ConditionView,
    DecisionView,
    EngineView,
    EventView,
    JobView,
    NodeView,
    RequestState,
    RequestView,
    RunBrief,
    RunView,
    ScheduleView,
    Skips,
    StepView,
    SyncView,
    TargetStatusView,
    TargetView,
    TestedView,
    TriggerView,
)
from engine.workflows.graphfacts import NodeRecord, OpenGate, Verdict
from opsconductor.reference import explain_kind
from reconciler.acts.actgate import OpenAct
from reconciler.acts.changegate import OpenChange
from reconciler.acts.votes import Vote
from schemas import run, status, written
from schemas.diagnostic import Diagnostic, Severity
from schemas.guard import load
from schemas.kinds import STATUS_KINDS
from schemas.publish import example, schema
from schemas.span import Span
from schemas.status import NOT_WRITTEN, STATUS_MODELS

AT = datetime(2026, 11, 21, 0, 15, tzinfo=UTC)
LATER = AT + timedelta(seconds=5)
CAUSE = Cause("request", "why-not", AT, "ana@example.org", "disk is full")
RUN = run_id("rotate", CAUSE)
OK = StepView("space", StepState.SUCCEEDED, exit_code=0, duration=0.21, outputs={"used": 71})
STEPS = (
    OK,
    StepView(
        "rotate", StepState.FAILED, "steps", "Rotate", 3, 1, 3.4, {"freed": None}, True, True, True, True, "exit 1",
        "out\n", "err\n", "logs/1",
    ),
    StepView("finally_1", StepState.FAILED, "finally"),
    StepView("rescue_1", StepState.SKIPPED, "rescue"),
)  # fmt: skip
FULL = RunView(
    RUN, "rotate", "1f0c" * 10, CAUSE, RunState.FAILED, AT, {"keepDays": 30}, ("a", "b"), True,
    {"linux-core": "sha256:" + "0" * 64}, AT, LATER, "queueTimeout", 1, "default/7b2e", {"freed": {"a": 1}},
    (TargetView("a", StepState.FAILED, {"freed": 1}, STEPS, "maxFailures", "default/7b2e"),), "another-run", 10, LATER,
    True, "none",
)  # fmt: skip
WAITING = RunView(RUN, "rotate", "1f0c" * 10, CAUSE, RunState.WAITING, AT)
IN_LINE = replace(WAITING, wait=Wait(group="web", held_by=(RUN,)))
NOT_YET = replace(WAITING, wait=Wait(until=LATER))
FOR_A_RUNNER = replace(
    WAITING, state=RunState.QUEUED, wait=Wait(pool="web", needs=runnerlabels.text_of({"site": "eu"}))
)
HOLDS = replace(WAITING, state=RunState.QUEUED, held=Held("web", 0))
WITHOUT_TARGETS = RunView(
    RUN, "rotate", "1f0c" * 10, CAUSE, RunState.FAILED, AT, on_targets=False,
    results=(TargetView(RUNNER, StepState.FAILED, {}, STEPS),),
)  # fmt: skip
WOULD = {
    "verdict": "depends", "because": "steps.a.json", "connection": "ssh", "user": "ops", "host": "web:22",
    "through": "hop", "credential": "key", "become": "root", "shell": "sh", "run": "true", "values": {"OC1": "a"},
    "file": "a.sh",
    "uses": "assert", "with": {"that": True}, "env": {"A": "b"}, "workingDir": "/", "stdin": "x", "timeout": "1m",
    "attempts": 2, "retry": {"delay": "5s", "backoff": "exponential", "maxDelay": "1h", "jitter": True,
                             "onExitCodes": [75], "if": "state == 'failed'"}, "sensitive": True,
    "forEach": {"items": ["a"], "as": "item", "maxParallel": 1, "count": 1},
    "knownOnlyAtRunTime": ["steps.a.json"], "secretsOf": ["key"], "leftOut": "no room",
}  # fmt: skip
SET_OFF = replace(WITHOUT_TARGETS, cause=Cause("trigger", "after", AT, event="run/build-1", chain=("before",)))
REHEARSED = RunView(
    RUN, "rotate", "1f0c" * 10, CAUSE, RunState.SUCCEEDED, AT, targets=("a",), finished_at=AT,
    results=(TargetView("a", StepState.SKIPPED, {}, (StepView("one", StepState.SKIPPED, would=WOULD),)),),
    rehearsal={"order": "stepFirst", "maxParallel": 1, "batches": [["a"]], "pauseBetween": "5s", "maxFailures": "10%"},
)  # fmt: skip
WOULD_RUN = {
    "item": "eu", "params": {"v": "${{ jobs.a.outputs.v }}"}, "limit": {"names": ["a"]},
    "strategy": REHEARSED.rehearsal, "targets": {"a": {"state": "skipped", "outputs": {}, "steps": []}},
    "steps": [], "leftOut": "no room", "knownOnlyAtRunTime": ["jobs.a.outputs.v"],
}  # fmt: skip
NODE_WOULD = {
    "verdict": "depends", "because": "jobs.a.outputs.v", "wait": "10m", "runs": [WOULD_RUN],
    "forEach": {"items": ["eu"], "as": "region", "maxParallel": 1, "count": 1}, "knownOnlyAtRunTime": ["jobs.a.state"],
    "asks": {"count": 1, "users": ["ana"], "teams": ["w"], "notRequester": True, "timeout": "4h", "onTimeout": "fail"},
}  # fmt: skip
GRAPH_REHEARSED = RunView(
    RUN, "deploy", "1f0c" * 10, CAUSE, RunState.SUCCEEDED, AT, targets=("a",), on_targets=False, finished_at=AT,
    rehearsal={}, workflow=True,
    nodes=(NodeView("job", "ship-web", ("build",), NodeRecord("ship", NodeState.SKIPPED), NODE_WOULD),),
)  # fmt: skip
LARGE = replace(
    FULL,
    targets=tuple(f"web-{n:03}" for n in range(600)),
    results=tuple(TargetView(f"web-{n:03}", StepState.FAILED, {}, STEPS) for n in range(600)),
)
GATE = OpenGate(
    "sha256:" + "0" * 64,
    {
        "run": RUN, "workflow": "deploy", "gate": "ask", "commit": "1f0c" * 10, "libraries": {"a": "b"},
        "next": [{"id": "ship", "job": "ship-web", "params": {"v": 1}, "forEach": ["eu"], "if": "params.v > 0",
                  "targets": ["a"]}],
        "teams": ["web"], "users": ["ana"], "count": 1, "notRequester": True, "requestedBy": "ana@example.org",
        "openedAt": "2026-11-21T00:15:00Z", "expiresAt": "2026-11-21T00:15:00Z", "onTimeout": "fail",
        "known": ["build"],
    },
    (Verdict("ana", True, AT, "ana-says-yes", "tested", True), Verdict("bob@example.org", False, AT, "no")),
)  # fmt: skip
WORKFLOW = replace(
    FULL,
    workflow=True,
    on_targets=False,
    results=(),
    cause=Cause("workflow", "parent", AT, node="build", item=0),
    nodes=(
        NodeView("job", "a", ("b",), NodeRecord("x", NodeState.SUCCEEDED, AT, AT, AT, {"v": 1}, "said", runs=(RUN,))),
        NodeView("job", "a", (), NodeRecord("y", NodeState.FAILED, continued=True, items=("eu",), cleanup=True,
                                            inherited=True, runs=(RUN,))),
        NodeView("gate", None, (), NodeRecord("z", NodeState.WAITING, gate=GATE)),
    ),
)  # fmt: skip
BRIEF = RunBrief(RUN, "rotate", RunState.FAILED, "schedule", "n", AT, AT, AT, LATER, "lostTooOften", 2, ("a",))
PASTS = (JobView("a"), JobView("a", BRIEF, BRIEF, 1, ("b",)))
SYNC = SyncView(
    EngineView("e1", "ops-1", AT, LATER), "a" * 40, "b" * 40, "c" * 40,
    (ConditionView("Ready", "False", "Invalid", "2 findings", AT),),
    (Diagnostic(Span("a.yaml", 1, 1, 1, 4), "OC203", "'use' is unknown", "did you mean 'uses'?"),
     Diagnostic(Span("a.yaml", 1, 1, 1, 4), "OC999", "no page", severity="warning")),
    OpenChange(
        f"sha256:{'0' * 64}", "a" * 40, "b" * 40, ("bo",), (Want(("Job/a",), 2, ("ana",), ("cy",), True),),
        (Vote("ana", True, "yes"), Vote("dee", False, "no", "not now")),
    ).shown(),
    (OpenAct(f"sha256:{'1' * 64}", "go", "a" * 40, "run Job/a", ("bo",), (Want(("Job/a",), 1, (), ("cy",)),),
             (Vote("ana", True, "yes"),), "requests/go.yaml", LATER, LATER).shown(),),
)  # fmt: skip
EVENTS = (
    EventView("rejected/badSignature/20261121T00", AT, "refused", None, None, "badSignature", "another one", None, 40),
    EventView("body/0", AT, "started", "push", "d-1", None, None, RUN),
)
SEEN = SeenHost(
    "10.1.0.7", "00:1b:21:3c:9d:f8", "Intel", ("web-17.example.org",), (Service(22, "ssh", "OpenSSH", "9.2"),),
    (Answer("ssh", 22, keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINAKzgxQceimQMNXmbzKNLq0z00/5rIqAFi0NLe3CVVq",)),),
)  # fmt: skip
SCANNED = Outcome(
    Scan("lan", RUN, AT, LATER, 254, (SEEN,)),
    (
        Row("changed", "10.1.0.7", "web-17", SEEN, "host key", ("moved from 10.1.0.6",)),
        Row("gone", "10.1.0.9", "web-19", last_seen=AT),
    ),
    {},
)

DRAWN: dict[str, list[str]] = {
    "Run": [
        *map(to_yaml, map(run_file, (FULL, WAITING, WORKFLOW, WITHOUT_TARGETS, SET_OFF, REHEARSED, GRAPH_REHEARSED))),
        *map(to_yaml, map(run_file, (IN_LINE, NOT_YET, FOR_A_RUNNER, HOLDS))),
        *run_files(LARGE).values(),
    ],
    "JobStatus": [to_yaml(job_status(view)) for view in PASTS],
    "WorkflowStatus": [to_yaml(workflow_status(view)) for view in PASTS],
    "Gate": [to_yaml(gate_file(GATE, advisory=True))],
    "ScheduleStatus": [
        to_yaml(schedule_status(view))
        for view in (
            ScheduleView("s", "j", "0123", AT),
            ScheduleView("s", "j", "0123", AT, former_names=("r",)),
            ScheduleView("s", "j", "0123", AT, DecisionView("s", AT, "run", None, RUN), LATER),
            ScheduleView("s", "j", "0123", AT, DecisionView("s", AT, "skipped", "overlap"), None, "no"),
            ScheduleView("s", "j", "0123", AT, DecisionView("s", LATER, "run", None, RUN), LATER, considered_until=AT),
        )
    ],
    "TargetStatus": [
        to_yaml(target_status(view))
        for view in (
            TargetStatusView("a"),
            TargetStatusView("a", StepState.UNREACHABLE, RUN, AT, AT),
            TargetStatusView("a", tested=TestedView(AT, (("ssh", True), ("http", False)))),
        )
    ],
    "TriggerStatus": [to_yaml(trigger_status(TriggerView("t", EVENTS, {"started": 1, "refused": 40})))],
    "ChannelStatus": [
        to_yaml(channel_status(view))
        for view in (ChannelView("chat", last_delivered=AT), ChannelView("chat", 2, 1, AT, AT, "500"))
    ],
    "RequestStatus": [
        to_yaml(request_status(view))
        for view in (RequestView("r", "done"), RequestView("r", "refused", "no", RUN, AT, "No.", "start", "ana@b.org"))
    ],
    "SyncStatus": [to_yaml(sync_file(view)) for view in (SyncView(), SYNC)],
    "Decision": [*decision_files(date(2026, 11, 21), [Skips("s", AT, LATER, 2, "missed")]).values()],
    "DiscoveryReport": [
        to_yaml(discovery_report("lan", found(SCANNED, "opsconductor/discovery", "1f0c" * 10, "someone else's"))),
        to_yaml(discovery_report("lan", found(Outcome(SCANNED.scan, (), {}), "opsconductor/discovery", None))),
    ],
}


def test_every_kind_of_the_status_branch_has_a_model_and_those_that_are_written_are_known() -> None:
    assert STATUS_MODELS.keys() == STATUS_KINDS
    assert DRAWN.keys() | NOT_WRITTEN.keys() == STATUS_KINDS
    assert not DRAWN.keys() & NOT_WRITTEN.keys()


@pytest.mark.parametrize("kind", DRAWN)
def test_what_is_written_is_what_the_model_says(kind: str) -> None:
    """The model takes no key that it does not know, and every key it has is written by some file."""
    published = Draft202012Validator(schema(kind), format_checker=FormatChecker())
    written: set[tuple[type[BaseModel], str]] = set()
    for text in DRAWN[kind]:
        document = load(text.encode(), "status.yaml").documents[0]
        read = STATUS_MODELS[kind].model_validate(document)
        written |= set(_fields_set(read))
        assert list(published.iter_errors(document)) == []
    lacking = {found for found in _fields(STATUS_MODELS[kind]) if found not in written}
    assert {(model.__name__, field) for model, field in lacking} == set()


@pytest.mark.parametrize("kind", STATUS_MODELS)
def test_the_published_schema_is_whole_and_leaves_later_keys_open(kind: str) -> None:
    published = schema(kind)
    Draft202012Validator.check_schema(published)
    document = example(kind)
    STATUS_MODELS[kind].model_validate(document)
    later = {**document, "metadata": {**document["metadata"], "later": 1}, "later": 1}
    assert list(Draft202012Validator(published).iter_errors(later)) == []
    for one in (published, *published.get("$defs", {}).values()):
        for name, field in one.get("properties", {}).items():
            assert field["description"], name
            for shown in field["examples"]:
                taken = Draft202012Validator({"$defs": published.get("$defs", {}), **field})
                assert list(taken.iter_errors(shown)) == [], name


def test_the_words_of_the_schemas_are_those_of_the_engine() -> None:
    assert set(get_args(written.RunState)) == set(states.RunState)
    assert set(get_args(written.StepState)) == set(states.StepState)
    assert set(get_args(written.SkipReason)) == set(get_args(decide.SkipReason))
    assert _words(run.RunStep, "phase") == set(PHASES) - {"steps"}
    assert _words(status.Answer, "state") == set(get_args(RequestState))
    assert _words(status.Condition, "type") == set(get_args(ConditionType))
    assert _words(status.Condition, "status") == set(get_args(ConditionStatus))
    assert _words(status.Finding, "severity") == set(get_args(Severity))


def _words(model: type[BaseModel], field: str) -> set[str]:
    annotation = model.model_fields[field].annotation
    return {word for part in (annotation, *get_args(annotation)) for word in get_args(part) if isinstance(word, str)}


def _fields(model: type[BaseModel]) -> Iterator[tuple[type[BaseModel], str]]:
    for name, info in model.model_fields.items():
        yield model, name
        for below in _models(info.annotation):
            yield from _fields(below)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _fields_set(value: Any) -> Iterator[tuple[type[BaseModel], str]]:
    match value:
        case BaseModel():
            for name in value.model_fields_set:
                yield type(value), name
                yield from _fields_set(getattr(value, name))
        case tuple() | list():
            for one in value:
                yield from _fields_set(one)
        case dict():
            yield from _fields_set(list(value.values()))


def test_a_field_is_explained_as_most_files_have_it() -> None:
    told = explain_kind("run.status.targets")
    assert told is not None and "By name those that began" in told
