"""The status branch as files: views to documents and text (CONTRACT 4); `engine.status.readback` is the way back. Pure.

A document is plain data with stable key order; the same view always gives the same bytes, so that nothing is committed
while nothing changes.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from engine.identity import RunId
from engine.runs.waits import held_file, wait_file
from engine.status import eventfile, graphfile, placefile
from engine.status.readback import (
    Unreadable,
    parse_decisions,
    parse_request_status,
    parse_run_file,
    parse_schedule_status,
    parse_sync_file,
)
from engine.status.views import (
    ChannelView,
    ConditionView,
    DecisionView,
    EngineView,
    JobView,
    OverviewView,
    RequestView,
    RunBrief,
    RunView,
    ScheduleView,
    Skips,
    StepView,
    SyncView,
    TargetStatusView,
    TargetView,
    TriggerView,
)
from engine.status.yamltext import Stamp, plain, stamp, to_yaml
from engine.workflows.graphfacts import OpenGate
from schemas.codes import CODES
from schemas.diagnostic import Diagnostic, foremost
from schemas.envelope import API_VERSION

__all__ = [
    "README", "SYNC", "ConditionView", "DecisionView", "EngineView", "JobView", "OverviewView", "RequestView",
    "RunBrief", "RunView", "ScheduleView", "Skips", "StepView", "SyncView", "TargetStatusView", "TargetView",
    "Unreadable", "channel_path", "channel_status", "considered_until", "decision_files", "decisions_folder",
    "finding", "gate_file", "gate_path",
    "job_path", "job_status",
    "parse_decisions", "parse_request_status", "parse_run_file", "parse_schedule_status", "parse_sync_file", "plain",
    "request_path", "request_status", "run_file", "run_files", "run_path", "schedule_path", "schedule_status",
    "sync_file", "target_path", "target_status", "to_yaml", "trigger_path", "trigger_status", "workflow_path",
    "workflow_status",
]  # fmt: skip

Document = dict[str, Any]

README = "README.md"
SYNC = "sync.yaml"
SLICE_BYTES = 64 * 1024
MAX_FINDINGS = 50


# --- paths ---


def run_path(run: RunId, instant: datetime, part: int = 0) -> str:
    """`runs/2026/11/21/<run-id>.yaml`, by the UTC day of the run's instant; slices are `<run-id>.<part>.yaml`."""
    return f"{run_folder(instant)}/{run}{f'.{part}' if part else ''}.yaml"


def run_folder(instant: datetime) -> str:
    """`runs/2026/11/21`: where the runs of a UTC day are."""
    return f"runs/{instant.astimezone(UTC).date().isoformat().replace('-', '/')}"  # %Y writes the year 1 as 1


def job_path(name: str) -> str:
    return f"jobs/{name}.yaml"


def workflow_path(name: str) -> str:
    return f"workflows/{name}.yaml"


def gate_path(digest: str) -> str:
    """By the hexadecimal digits alone: not every file system takes a colon."""
    return f"gates/{digest.removeprefix('sha256:')}.yaml"


def schedule_path(name: str) -> str:
    return f"schedules/{name}.yaml"


def target_path(name: str) -> str:
    return f"targets/{name}.yaml"


def request_path(name: str) -> str:
    return f"requests/{name}.yaml"


def trigger_path(name: str) -> str:
    return f"triggers/{name}.yaml"


def discovery_path(name: str) -> str:
    return f"discoveries/{name}.yaml"


def channel_path(name: str) -> str:
    return f"channels/{name}.yaml"


def decisions_folder(day: date) -> str:
    """The folder of the files of a month; `decision_files` names them."""
    return f"decisions/{day:%Y/%m}"


# --- runs ---


def run_file(view: RunView) -> Document:
    """The whole run as one document, however large; the API gives this."""
    return _document("Run", view.id, {"spec": _run_spec(view), "status": _run_status(view)})


def run_files(view: RunView) -> dict[str, str]:
    """The run's files by path: one, or beyond 64 KiB a head and slices of its targets."""
    path, text = run_path(view.id, view.cause.instant), to_yaml(run_file(view))
    if len(text) <= SLICE_BYTES // 4 or len(text.encode()) <= SLICE_BYTES or not view.on_targets:
        return {path: text}
    slices = tuple(_slices(view.results))
    status = _run_status(view) | {"outputs": {}, "slices": len(slices)}  # outputs by target stand in the slices
    del status["targets"]
    files = {path: to_yaml(_document("Run", view.id, {"spec": _run_spec(view), "status": status}))}
    for number, targets in enumerate(slices, start=1):
        document = _document("Run", view.id, {"status": {"slice": number, "targets": targets}})
        files[run_path(view.id, view.cause.instant, number)] = to_yaml(document)
    return files


def _slices(results: Iterable[TargetView]) -> Iterator[Document]:
    slice_: Document = {}
    size = 0
    for result in results:
        if result.state is None:
            continue
        one = placefile.place(result)
        grows = len(to_yaml({"status": {"targets": {result.name: one}}}).encode())
        if slice_ and size + grows > SLICE_BYTES - 1024:
            yield slice_
            slice_, size = {}, 0
        slice_[result.name] = one
        size += grows
    if slice_:
        yield slice_


def _run_spec(view: RunView) -> Document:
    cause: Document = {"kind": view.cause.kind, "name": view.cause.name, "instant": stamp(view.cause.instant)}
    extra = {
        "node": view.cause.node,
        "item": view.cause.item,
        "event": view.cause.event,
        "chain": list(view.cause.chain) or None,
        "requestedBy": view.cause.requested_by,
        "reason": view.cause.reason,
        "rerunOf": view.rerun_of,
    }
    spec: Document = {
        "workflow" if view.workflow else "job": view.job,
        "commit": view.commit,
        "cause": plain(cause | {key: value for key, value in extra.items() if value is not None}),
        "params": plain(view.params),
    }
    if view.on_targets or view.workflow:
        spec["targets"] = list(view.targets)
    spec["libraries"] = dict(view.libraries)
    if view.priority:
        spec["priority"] = view.priority
    if view.starts_at is not None:
        spec["startsAt"] = stamp(view.starts_at)
    if view.inline:
        spec["inline"] = True
    if view.rehearsal is not None:
        spec["dryRun"] = True
    return spec


def _run_status(view: RunView) -> Document:
    status: Document = {
        "state": str(view.state),
        "queuedAt": stamp(view.queued_at),
        "startedAt": _instant(view.started_at),
        "finishedAt": _instant(view.finished_at),
        "reason": plain(view.reason),
        **({"message": plain(view.message)} if view.message else {}),
        **plain(held_file(view.held) | wait_file(view.wait)),
        "attempt": view.attempt,
        "runner": view.runner,
        "outputs": plain(view.outputs),
        **({"strategy": plain(view.rehearsal)} if view.rehearsal else {}),
    }
    if view.workflow:
        status["nodes"] = {one.id: graphfile.node(one) for one in view.nodes}
    elif view.on_targets:
        status["targets"] = {one.name: placefile.place(one) for one in view.results if one.state is not None}
    else:
        status["steps"] = [placefile.step(step) for one in view.results for step in one.steps]
    return status


# --- small files, one an object ---


def job_status(view: JobView) -> Document:
    return _document("JobStatus", view.name, {"status": _past(view)})


def workflow_status(view: JobView) -> Document:
    return _document("WorkflowStatus", view.name, {"status": _past(view)})


def _past(view: JobView) -> Document:
    return {
        "lastRun": _brief(view.last),
        "lastSuccess": _brief(view.last_success),
        "consecutiveFailures": view.consecutive_failures,
    } | ({"formerNames": list(view.former_names)} if view.former_names else {})


def _brief(run: RunBrief | None) -> Document | None:
    if run is None:
        return None
    brief = {"run": run.id, "state": str(run.state), "finishedAt": _instant(run.finished_at)}
    return brief | ({"reason": plain(run.reason)} if run.reason else {})


def schedule_status(view: ScheduleView) -> Document:
    """Everything that goes on from here needs: fingerprint, where its clock began, and the last decided instant."""
    status: Document = {
        "job": view.job,
        "fingerprint": view.fingerprint,
        "consideredFrom": stamp(view.considered_from),
        "lastDecision": view.last and _decision(view.last),
        "next": _instant(view.next_due),
    }
    if view.considered_until is not None:
        status["consideredUntil"] = stamp(view.considered_until)
    if view.suspended is not None:
        status["suspended"] = plain(view.suspended)
    if view.former_names:
        status["formerNames"] = list(view.former_names)
    return _document("ScheduleStatus", view.name, {"status": status})


def _decision(view: DecisionView) -> Document:
    facts = {"instant": stamp(view.instant), "decision": view.decision, "reason": view.reason, "run": view.run}
    return {key: value for key, value in facts.items() if value is not None}


def considered_until(view: ScheduleView) -> datetime:
    """The published mark: a rebuilt store considers instants after it."""
    decided = view.considered_until or (view.last and view.last.instant)
    return max(view.considered_from, decided or view.considered_from)


def target_status(view: TargetStatusView) -> Document:
    status: Document = {"state": view.state and str(view.state), "run": view.run, "at": _instant(view.at)}
    if view.unreachable_since is not None:
        status["unreachableSince"] = stamp(view.unreachable_since)
    if (tested := view.tested) is not None:
        connections = [{"connection": plain(name), "ok": ok} for name, ok in tested.connections]
        status["lastTest"] = {"at": stamp(tested.at), "connections": connections}
    return _document("TargetStatus", view.name, {"status": status})


def request_status(view: RequestView) -> Document:
    asked = {"action": view.action, "requestedBy": view.requested_by}
    spec = {key: plain(value) for key, value in asked.items() if value is not None}
    status: Document = {"state": view.state, "reason": plain(view.reason), "run": view.run}
    if view.message is not None:
        status["message"] = plain(view.message)
    if view.at is not None:
        status["at"] = stamp(view.at)
    return _document("RequestStatus", view.name, ({"spec": spec} if spec else {}) | {"status": status})


def trigger_status(view: TriggerView) -> Document:
    """It has at least one event."""
    return _document("TriggerStatus", view.name, {"status": eventfile.status(view)})


def channel_status(view: ChannelView) -> Document:
    """It has had at least one message. Minutes of the last delivery are left out: not every message is a commit."""
    hour = view.last_delivered and view.last_delivered.replace(minute=0, second=0, microsecond=0)
    status: Document = {
        "state": "working" if view.failing_since is None else "failing",
        "waiting": view.waiting,
        "deadLetters": view.dead,
        "lastDelivered": hour and stamp(hour),
        "failingSince": view.failing_since and stamp(view.failing_since),
        "error": None if view.error is None else plain(view.error),
    }
    return _document("ChannelStatus", view.name, {"status": status})


def discovery_report(name: str, found: Mapping[str, Any]) -> Document:
    """What a Discovery's last scan found, as `engine.discovery.report` says it."""
    return _document("DiscoveryReport", name, {"status": _stamped(found)})


def _stamped(found: Mapping[str, Any]) -> Document:
    """The same with its instants as instants."""
    at = {key: Stamp(found[key]) for key in ("startedAt", "finishedAt")}
    hosts = [{**one, "lastSeen": Stamp(one["lastSeen"])} if "lastSeen" in one else dict(one) for one in found["hosts"]]
    return {**found, **at, "hosts": hosts}


def gate_file(gate: OpenGate, *, advisory: bool) -> Document:
    """An open gate: what it holds back, who may decide, who has said what. `advisory`: no signature is asked for."""
    status: Document = {"state": "open", "votes": graphfile.votes(gate), "advisory": advisory or gate.advisory}
    return _document("Gate", gate.digest, {"spec": dict(gate.shown), "status": status})


# --- decisions ---


def decision_files(day: date, skips: Iterable[Skips]) -> dict[str, str]:
    """The files of a UTC day by path: records by their first instant, split beyond 64 KiB; no file without records."""
    records = [_skip(skip) for skip in sorted(skips, key=lambda skip: (skip.first, skip.schedule))]
    parts: list[list[Document]] = []
    size = SLICE_BYTES
    for record in records:
        grows = len(record["schedule"]) + 112  # the longest reason and count included
        if size + grows > SLICE_BYTES - 256:
            parts.append([])
            size = 0
        parts[-1].append(record)
        size += grows
    files = {}
    for number, part in enumerate(parts, start=1):
        name = f"{day:%d}" if number == 1 else f"{day:%d}-{number}"
        document = _document("Decision", f"{day:%Y-%m}-{name}", {"decisions": part})
        files[f"{decisions_folder(day)}/{name}.yaml"] = to_yaml(document)
    return files


def _skip(skip: Skips) -> Document:
    return {
        "schedule": skip.schedule,
        "from": stamp(skip.first),
        "to": stamp(skip.last),
        "count": skip.count,
        "reason": skip.reason,
    }


# --- sync ---


def sync_file(view: SyncView) -> Document:
    status: Document = {
        "engine": view.engine
        and {
            "id": view.engine.id,
            "host": plain(view.engine.host),
            "since": stamp(view.engine.since),
            "closed": _instant(view.engine.closed),
        },
        "observedCommit": view.observed,
        "appliedCommit": view.applied,
        "lastGoodCommit": view.last_good,
        "conditions": [
            {
                "type": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "message": plain(condition.message),
                "lastTransitionTime": stamp(condition.last_transition),
            }
            for condition in view.conditions
        ],
        "findings": [plain(finding(found)) for found in foremost(view.findings, MAX_FINDINGS)],
    }
    if view.change is not None:
        status["change"] = plain(dict(view.change))
    if view.requests:
        status["requests"] = [plain(dict(one)) for one in view.requests]
    return _document("SyncStatus", "sync", {"status": status})


def finding(found: Diagnostic) -> Document:
    """A finding as `validate --format json` shows it."""
    return {
        "file": found.span.file,
        "line": found.span.line,
        "column": found.span.column,
        "endLine": found.span.end_line,
        "endColumn": found.span.end_column,
        "code": found.code,
        "severity": found.severity,
        "message": found.message,
        "hint": found.hint,
        "docs": CODES[found.code].page if found.code in CODES else None,
    }


def _document(kind: str, name: str, rest: Mapping[str, Any]) -> Document:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, **rest}


def _instant(value: datetime | None) -> str | None:
    return None if value is None else stamp(value)
