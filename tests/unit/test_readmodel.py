"""Status files hold what the contract shows, hold what a rebuild needs, and are terse."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.identity import Cause, RunId, run_id
from engine.runs.pinned import RUNNER
from engine.runs.waits import Held, Wait
from engine.states import RunState, StepState
from engine.status.readmodel import (
    Unreadable,
    considered_until,
    decision_files,
    job_status,
    parse_decisions,
    parse_request_status,
    parse_run_file,
    parse_schedule_status,
    parse_sync_file,
    request_status,
    run_file,
    run_files,
    run_path,
    schedule_status,
    sync_file,
    target_status,
    to_yaml,
)
from engine.status.views import (
    ConditionView,
    DecisionView,
    EngineView,
    JobView,
    RequestView,
    RunBrief,
    RunView,
    ScheduleView,
    Skips,
    StepView,
    SyncView,
    TargetStatusView,
    TargetView,
)
from schemas.diagnostic import Diagnostic
from schemas.guard import load
from schemas.run import Run
from schemas.span import Span

AT = datetime(2026, 11, 21, 0, 15, tzinfo=UTC)
CAUSE = Cause("schedule", "rotate-nightly", AT)
RUN = RunView(
    id=run_id("rotate", CAUSE),
    job="rotate",
    commit="1f0c" * 10,
    cause=CAUSE,
    params={"keepDays": 30},
    targets=("web-01", "web-02"),
    state=RunState.FAILED,
    queued_at=AT,
    started_at=AT + timedelta(seconds=1),
    finished_at=AT + timedelta(seconds=5),
    attempt=1,
    runner="default/7b2e",
    results=(
        TargetView(
            "web-01",
            StepState.SUCCEEDED,
            {"freed": 7},
            (StepView("space", StepState.SUCCEEDED, exit_code=0, duration=0.21, outputs={"used": 71}),),
        ),
        TargetView(
            "web-02",
            StepState.FAILED,
            {},
            (
                StepView("space", StepState.FAILED, exit_code=1, duration=3.4, attempts=3, error="exit 1",
                         stdout_tail="a\nb\n", stderr_tail="no\n", log="logs/1"),
                StepView("finally_1", StepState.SUCCEEDED, phase="finally", exit_code=0, duration=0.1),
            ),
        ),
    ),
)  # fmt: skip


def test_a_run_file_reads_as_the_contract_shows() -> None:
    assert to_yaml(run_file(RUN)) == (
        "apiVersion: opsconductor/v1\n"
        "kind: Run\n"
        f"metadata: {{name: {RUN.id}}}\n"
        "spec:\n"
        "  job: rotate\n"
        f"  commit: {'1f0c' * 10}\n"
        "  cause: {kind: schedule, name: rotate-nightly, instant: 2026-11-21T00:15:00Z}\n"
        "  params: {keepDays: 30}\n"
        "  targets: [web-01, web-02]\n"
        "  libraries: {}\n"
        "status:\n"
        "  state: failed\n"
        "  queuedAt: 2026-11-21T00:15:00Z\n"
        "  startedAt: 2026-11-21T00:15:01Z\n"
        "  finishedAt: 2026-11-21T00:15:05Z\n"
        "  reason: null\n"
        "  attempt: 1\n"
        "  runner: default/7b2e\n"
        "  outputs: {}\n"
        "  targets:\n"
        "    web-01:\n"
        "      state: succeeded\n"
        "      outputs: {freed: 7}\n"
        "      steps:\n"
        "        - {id: space, state: succeeded, exitCode: 0, duration: 0.21, outputs: {used: 71}}\n"
        "    web-02:\n"
        "      state: failed\n"
        "      outputs: {}\n"
        "      steps:\n"
        "        - {id: space, state: failed, exitCode: 1, duration: 3.4, attempts: 3, error: exit 1,"
        ' stdoutTail: "a\\nb\\n", stderrTail: "no\\n", log: logs/1}\n'
        "        - {id: finally_1, phase: finally, state: succeeded, exitCode: 0, duration: 0.1}\n"
    )


def test_a_run_lies_in_the_folder_of_its_utc_day() -> None:
    assert run_path(RUN.id, RUN.cause.instant) == f"runs/2026/11/21/{RUN.id}.yaml"
    assert list(run_files(RUN)) == [f"runs/2026/11/21/{RUN.id}.yaml"]


def test_a_job_without_targets_has_its_steps_beside_its_state() -> None:
    here = replace(
        RUN, on_targets=False, targets=(), results=(TargetView(RUNNER, StepState.FAILED, {}, RUN.results[1].steps),)
    )
    document = run_file(here)
    assert "targets" not in document["spec"] and "targets" not in document["status"]
    assert [step["id"] for step in document["status"]["steps"]] == ["space", "finally_1"]
    assert parse_run_file(to_yaml(document)) == here


def test_tails_are_short_and_only_of_steps_that_did_not_succeed() -> None:
    loud = StepView("a", StepState.SUCCEEDED, stdout_tail="x")
    failed = StepView("b", StepState.FAILED, stdout_tail="é" * 5000, stderr_tail="")
    document = run_file(replace(RUN, results=(TargetView("web-01", StepState.FAILED, {}, (loud, failed)),)))
    first, second = document["status"]["targets"]["web-01"]["steps"]
    assert "stdoutTail" not in first
    assert second["stdoutTail"] == "é" * 1024
    assert "stderrTail" not in second


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
VALUES = st.recursive(
    st.one_of(
        TEXTS, st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
OUTPUTS = st.dictionaries(NAMES, VALUES, max_size=3)
INSTANTS = st.integers(0, 10**9).map(lambda ms: AT + timedelta(milliseconds=ms))
BAD = st.sampled_from([StepState.FAILED, StepState.UNKNOWN, StepState.RUNNING, StepState.UNREACHABLE])
STEPS = st.builds(
    StepView,
    id=NAMES,
    state=BAD,
    phase=st.sampled_from(["steps", "finally"]),
    name=st.none() | TEXTS,
    attempts=st.integers(1, 5),
    exit_code=st.none() | st.integers(0, 255),
    duration=st.none() | st.integers(0, 10**7).map(lambda ms: ms / 1000),
    outputs=OUTPUTS,
    rescued=st.booleans(),
    continued=st.booleans(),
    error=st.none() | TEXTS,
    stdout_tail=st.none() | TEXTS.filter(bool),
    stderr_tail=st.none() | TEXTS.filter(bool),
    log=st.none() | TEXTS,
)
PLACE_STEPS = st.lists(STEPS, max_size=2, unique_by=lambda step: (step.phase, step.id))


@st.composite
def runs(draw: st.DrawFn) -> RunView:
    names = tuple(draw(st.lists(NAMES, unique=True, max_size=4)))
    done = names[: draw(st.integers(0, len(names)))]
    results = tuple(TargetView(name, draw(BAD), draw(OUTPUTS), tuple(draw(PLACE_STEPS))) for name in done)
    cause = Cause("request", draw(NAMES), draw(INSTANTS), draw(st.none() | TEXTS), draw(st.none() | TEXTS))
    return RunView(
        id=RunId(draw(NAMES)),
        job=draw(NAMES),
        commit=draw(st.from_regex(r"[0-9a-f]{40}", fullmatch=True)),
        cause=cause,
        state=draw(st.sampled_from(RunState)),
        queued_at=draw(INSTANTS),
        params=draw(OUTPUTS),
        targets=names,
        libraries=draw(st.dictionaries(NAMES, TEXTS, max_size=2)),
        started_at=draw(st.none() | INSTANTS),
        finished_at=draw(st.none() | INSTANTS),
        reason=draw(st.none() | TEXTS),
        attempt=draw(st.integers(0, 3)),
        runner=draw(st.none() | TEXTS),
        outputs=draw(OUTPUTS),
        results=results,
        rerun_of=draw(st.none() | NAMES),
        priority=draw(st.integers(-1000, 1000)),
        starts_at=draw(st.none() | INSTANTS),
        inline=draw(st.booleans()),
        held=draw(st.none() | st.builds(Held, TEXTS, st.integers(0, 9))),
        wait=draw(st.none() | st.builds(Wait, INSTANTS) | st.builds(_in_line, TEXTS, st.lists(NAMES, max_size=2))),
    )


def _in_line(group: str, held_by: list[str]) -> Wait:
    return Wait(group=group, held_by=tuple(held_by))


@given(view=runs())
@settings(max_examples=150, deadline=None)
def test_a_run_comes_back_from_its_file(view: RunView) -> None:
    (text,) = run_files(view).values()
    assert parse_run_file(text) == view
    Run.model_validate(load(text.encode(), "run.yaml").documents[0])


def test_a_large_run_is_a_head_and_slices_of_its_targets() -> None:
    names = tuple(f"web-{n:04}" for n in range(900))
    steps = (StepView("a", StepState.FAILED, exit_code=1, error="x" * 100),)
    results = tuple(TargetView(name, StepState.FAILED, {"out": n}, steps) for n, name in enumerate(names))
    view = replace(RUN, targets=names, results=results, outputs={"out": {name: n for n, name in enumerate(names)}})
    files = run_files(view)
    head, *slices = files.values()
    assert list(files) == [run_path(RUN.id, AT, part) for part in range(len(files))]
    assert len(slices) > 1
    assert all(len(text.encode()) <= 64 * 1024 for text in files.values())
    assert parse_run_file(head, slices) == view
    assert run_files(view) == files
    for some in (slices[:-1], [slices[1], slices[0], *slices[2:]], []):
        with pytest.raises(Unreadable, match="is missing"):
            parse_run_file(head, some)


def test_a_number_of_slices_costs_nothing() -> None:
    """What is there is read; what a tampered head says is there is not looked for."""
    head = GOOD.replace("attempt: 1", "attempt: 1\n  slices: 3000000")
    with pytest.raises(Unreadable, match="slice 1 of 3000000 is missing"):
        parse_run_file(head)


def test_the_small_files_are_small() -> None:
    brief = RunBrief(RUN.id, "rotate", RunState.FAILED, "schedule", "n", AT, AT, AT, AT, "lostTooOften", 2, ("web-02",))
    assert to_yaml(job_status(JobView("rotate", brief, None, 3))) == (
        "apiVersion: opsconductor/v1\n"
        "kind: JobStatus\n"
        "metadata: {name: rotate}\n"
        "status:\n"
        "  lastRun:\n"
        f"    run: {RUN.id}\n"
        "    state: failed\n"
        "    finishedAt: 2026-11-21T00:15:00Z\n"
        "    reason: lostTooOften\n"
        "  lastSuccess: null\n"
        "  consecutiveFailures: 3\n"
    )
    status = target_status(TargetStatusView("web-01", StepState.UNREACHABLE, RUN.id, AT, AT))["status"]
    assert status == {
        "state": "unreachable",
        "run": RUN.id,
        "at": "2026-11-21T00:15:00Z",
        "unreachableSince": "2026-11-21T00:15:00Z",
    }


@pytest.mark.parametrize(
    "view",
    [
        ScheduleView("s", "j", "0123456789abcdef", AT),
        ScheduleView("s", "j", "1e10", AT, DecisionView("s", AT, "run", None, RUN.id), AT + timedelta(days=1), ""),
        ScheduleView("s", "j", "f/suspended", AT, DecisionView("s", AT, "skipped", "missed"), None, "no: why # not"),
    ],
)
def test_a_schedule_comes_back_from_its_file(view: ScheduleView) -> None:
    assert parse_schedule_status(to_yaml(schedule_status(view))) == view


def test_the_published_mark_is_the_last_decision_or_where_the_clock_began() -> None:
    view = ScheduleView("s", "j", "f", AT)
    later = AT + timedelta(hours=1)
    assert considered_until(view) == AT
    assert considered_until(replace(view, last=DecisionView("s", later, "run"))) == later
    assert considered_until(replace(view, considered_from=later, last=DecisionView("s", AT, "run"))) == later


@pytest.mark.parametrize(
    "view",
    [
        RequestView("r", "done", None, str(RUN.id), AT),
        RequestView("r", "refused", "storeLost: `x` | <b>\n", None),
        RequestView("on", "accepted", "12:30", "null"),
        RequestView(
            "why", "refused", "unknownRun", message="there is no such run: `x`", action="cancel", requested_by="a@b"
        ),
    ],
)
def test_a_request_comes_back_from_its_file(view: RequestView) -> None:
    assert parse_request_status(to_yaml(request_status(view))) == view


def test_sync_comes_back_from_its_file_with_fifty_findings() -> None:
    found = tuple(
        Diagnostic(Span("a.yaml", n, 1, n, 4), "OC203", f"'{n}' is unknown", "did you mean 'b'?") for n in range(1, 81)
    )
    view = SyncView(
        engine=EngineView("e1", "host", AT, None),
        observed="a" * 40,
        applied="b" * 40,
        last_good="b" * 40,
        conditions=(ConditionView("Ready", "False", "Invalid", "80 findings", AT),),
        findings=found,
    )
    text = to_yaml(sync_file(view))
    assert parse_sync_file(text) == replace(view, findings=found[:50])
    assert yaml.safe_load(text)["status"]["findings"][0] == {
        "file": "a.yaml", "line": 1, "column": 1, "endLine": 1, "endColumn": 4, "code": "OC203", "severity": "error",
        "message": "'1' is unknown", "hint": "did you mean 'b'?", "docs": "docs/codes/OC203.md",
    }  # fmt: skip
    assert parse_sync_file(to_yaml(sync_file(SyncView()))) == SyncView()


def test_decisions_of_a_day_are_split_beyond_64_kib_and_come_back() -> None:
    skips = tuple(
        Skips(f"schedule-{n:04}", AT + timedelta(seconds=n), AT + timedelta(seconds=n + 9), 10, "missed")
        for n in range(1500)
    )
    files = decision_files(date(2026, 11, 21), reversed(skips))
    assert list(files)[:2] == ["decisions/2026/11/21.yaml", "decisions/2026/11/21-2.yaml"]
    assert all(len(text) <= 64 * 1024 for text in files.values())
    assert tuple(skip for text in files.values() for skip in parse_decisions(text)) == skips
    assert decision_files(date(2026, 11, 21), ()) == {}
    first = next(iter(files.values())).splitlines()
    assert first[4] == (
        "  - {schedule: schedule-0000, from: 2026-11-21T00:15:00Z, to: 2026-11-21T00:15:09Z, count: 10, reason: missed}"
    )


GOOD = to_yaml(run_file(RUN))


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "a: *b", "a: &b 1", "\ufeff" + GOOD, GOOD + "---\n" + GOOD, GOOD.replace("failed", "fine", 1),
        GOOD.replace("kind: Run\n", "kind: JobStatus\n"), GOOD.replace("kind: schedule", "kind: moon"),
        GOOD.replace("queuedAt: ", "queuedAt: x"), GOOD.replace("attempt: 1", "attempt: one"),
        GOOD.replace("[web-01, web-02]", "[1, 2]"), GOOD.replace("outputs: {}", "outputs: []", 1),
        GOOD.replace("[web-01, web-02]", "[web-01, web-01]"), GOOD.replace("finally_1, phase: finally", "space"),
        GOOD.replace("2026-11-21T00:15:00Z", "0001-01-01T00:00:00+23:00", 1),
        GOOD.replace("attempt: 1", f"attempt: {10**30}"), GOOD.replace("exitCode: 1", f"exitCode: {10**30}"),
        GOOD.replace("duration: 3.4", f"duration: {10**400}"),
        "[" * 30000, GOOD.replace("steps:", "steps: 3\n      x:"), GOOD.replace("  job: rotate\n", ""),
    ],
)  # fmt: skip
def test_what_was_not_written_by_this_program_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        parse_run_file(text)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_no_bytes_do_worse_than_being_refused(data: bytes) -> None:
    parsers: list[Any] = [parse_run_file, parse_schedule_status, parse_request_status, parse_sync_file, parse_decisions]
    for parse in parsers:
        with pytest.raises(Unreadable):
            parse(data)
