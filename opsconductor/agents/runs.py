"""What runs, what failed and why, read from the status branch."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from engine.runs.pinned import RUNNER
from engine.runs.waits import sentence
from engine.states import RunState, is_final
from opsconductor.agents import answer as a
from opsconductor.agents.answer import Data, Found, NoAnswer, Tool
from opsconductor.agents.logs import tail_of
from opsconductor.agents.sight import Sight
from opsconductor.status import StatusReader
from opsconductor.waiting import listed
from schemas.quantities import format_instant

_OPEN = ("running", "queued", "waiting")
_STATES = tuple(str(state) for state in RunState)
_GOOD = ("succeeded", "skipped", "running")
_LISTED, _PLACES, _STEPS, _NAMED = 100, 30, 20, 10
_TAIL_LINES = 40
_OVERDUE = timedelta(minutes=1)
"""What is due is decided within seconds, and published within some more."""


def now(sight: Sight, _: Data) -> Found:
    """Running, failing, waiting for people, next; what is wrong with the definitions."""
    status = sight.status()
    sync = sight.sync(status)
    failing = [one for folder in ("jobs", "workflows") for one in status.each(folder) if _is_failing(one)]
    open_ = list(islice(status.newest(states=_OPEN), _LISTED))
    due = sorted(
        (str(one["status"]["next"]), one["metadata"]["name"]) for one in status.each("schedules") if _next(one)
    )
    at = format_instant(sight.now.replace(microsecond=0))
    overdue = format_instant((sight.now - _OVERDUE).replace(microsecond=0))
    return Found({
        "at": at,
        "statusCommit": status.commit,
        "appliedCommit": sync.get("appliedCommit"),
        "observedCommit": sync.get("observedCommit"),
        "engine": sync.get("engine"),
        "conditions": _rows(sync.get("conditions"))[:20],
        "findings": sorted(_rows(sync.get("findings")), key=_is_warning)[:20],
        "running": [brief(run) for run in open_],
        "failing": [_failing(one) for one in failing[:_LISTED]],
        "gates": [_gate(one) for one in listed(status)[:20]],
        "late": [{"schedule": name, "due": due_at} for due_at, name in due if due_at < overdue][:20],
        "next": [{"schedule": name, "due": due_at} for due_at, name in due if due_at >= overdue][:20],
    })  # fmt: skip


def list_runs(sight: Sight, asked: Data) -> Found:
    most = asked.get("limit", 20)
    found = sight.status().newest(asked.get("job", ""), [asked["state"]] if "state" in asked else ())
    runs = list(islice(found, most + 1))
    return Found({"runs": [brief(run) for run in runs[:most]], "more": len(runs) > most})


def get_run(sight: Sight, asked: Data) -> Found:
    run = run_called(sight.status(), asked["run"])
    places = _places(run)
    shown = sorted(places.items(), key=lambda one: one[1].get("state") in _GOOD)[:_PLACES]
    status = {key: value for key, value in run["status"].items() if key not in ("targets", "steps")}
    return Found({
        "run": brief(run),
        "params": run["spec"].get("params") or {},
        "status": status,
        "targets": [
            {"target": _named(name), "state": place.get("state"), "reason": place.get("reason"),
             "steps": [_step(step) for step in (place.get("steps") or [])[:_STEPS]]}
            for name, place in shown
        ],
        "moreTargets": len(places) - len(shown),
    })  # fmt: skip


def explain_failure(sight: Sight, asked: Data) -> Found:
    """In words, with the end of what the failing steps printed."""
    status = sight.status()
    run = run_called(status, asked["run"])
    bad = [(name, step) for name, place in _places(run).items() for step in place.get("steps") or [] if _is_bad(step)]
    before = _before(status, run)
    return Found({
        "run": brief(run),
        "words": [*_words(run, bad), *_history(run, before)],
        "steps": [_step(step) | {"target": _named(name)} | _log(sight.logs, step) for name, step in bad[:_NAMED]],
        "moreSteps": max(len(bad) - _NAMED, 0),
        "nodes": _bad_nodes(run),
    })  # fmt: skip


def run_called(status: StatusReader, name: str) -> Data:
    """The run of this id or unique beginning, or a job's newest. Raises NoAnswer."""
    # By names first: a beginning that all runs have, or a job with very many, must not have every file opened.
    names = list(islice(status.names(name), _NAMED))
    whole = name if name in names else names[0] if len(names) == 1 else None
    found = status.run(whole) if whole is not None else next(status.newest(name), None)
    if found is not None:
        return found
    if names:
        raise NoAnswer("notFound", f"{name} is the beginning of several runs; name one: {', '.join(names)}")
    raise NoAnswer("notFound", f"there is no run {name}, or retention has removed it; list_runs shows those there are")


def brief(run: Data) -> Data:
    """A run in a line."""
    spec, status = run.get("spec") or {}, run.get("status") or {}
    places = status.get("targets") or {}
    return {
        "run": run.get("metadata", {}).get("name"),
        "kind": "Workflow" if "workflow" in spec else "Job",
        "of": spec.get("workflow") or spec.get("job"),
        "state": status.get("state"),
        "reason": status.get("reason"),
        "message": status.get("message"),
        "waitsFor": sentence(status.get("waitsFor")),
        "queuedAt": status.get("queuedAt"),
        "startedAt": status.get("startedAt"),
        "finishedAt": status.get("finishedAt"),
        "commit": spec.get("commit"),
        "cause": spec.get("cause"),
        "dryRun": bool(spec.get("dryRun")),
        "targets": len(spec.get("targets") or []),
        "failedOn": [name for name, place in places.items() if place.get("state") not in (*_GOOD, None)][:_NAMED],
    }


# --- in words ---


def _words(run: Data, bad: list[tuple[str, Data]]) -> Iterator[str]:
    status, about = run["status"], brief(run)
    state = status["state"]
    if state == "succeeded":
        yield f"{about['run']} succeeded: there is no failure to explain."
        return
    if not is_final(RunState(state)):
        yield f"{about['run']} is {state}{_after(about['waitsFor'])}; it has not ended."
    else:
        yield f"{about['run']} ended as {state}{_after(about['reason'])}."
    if about["message"]:
        yield str(about["message"])
    if status.get("startedAt") is None:
        yield "It never started." if is_final(RunState(state)) else "It has not started."
    if about["failedOn"]:
        count = len([place for place in _places(run).values() if place.get("state") not in (*_GOOD, None)])
        yield f"It did not succeed on {count} of {about['targets']} targets: {', '.join(about['failedOn'])}."
    for name, step in bad[:1]:
        where = f" on {name}" if name != RUNNER else ""
        tries = f", after {step['attempts']} attempts" if (step.get("attempts") or 1) > 1 else ""
        yield f"First step '{step.get('id')}'{where} {step.get('state')}: {step.get('error') or 'no reason'}{tries}."
    for node in _bad_nodes(run)[:_NAMED]:
        asks = f"; ask explain_failure for {node['run']}" if node["run"] else ""
        yield f"Node '{node['node']}' {node['state']}{_after(node['reason'])}{asks}."


def _after(said: object) -> str:
    return f": {said}" if said else ""


def _history(run: Data, before: Data | None) -> Iterator[str]:
    if before is None:
        return
    past, good = before["past"], before["good"]
    if (count := past.get("consecutiveFailures") or 0) > 1:
        yield f"Its last {count} runs failed in a row."
    if good is None:
        yield "No run of it that succeeded is recorded."
    elif good["spec"].get("commit") != run["spec"].get("commit"):
        then, now_ = (str(one["spec"].get("commit"))[:12] for one in (good, run))
        yield f"The last that succeeded, {good['metadata']['name']}, was of commit {then}; this one is of {now_}."
    else:
        yield f"The last that succeeded, {good['metadata']['name']}, was of the same commit."


def _before(status: StatusReader, run: Data) -> Data | None:
    workflow = run["spec"].get("workflow")
    folder = "workflows" if workflow else "jobs"
    past = (status.read(f"{folder}/{workflow or run['spec'].get('job')}.yaml") or {}).get("status")
    if not isinstance(past, dict):
        return None
    good = (past.get("lastSuccess") or {}).get("run")
    return {"past": past, "good": status.run(str(good)) if good else None}


def _log(logs: Path, step: Data) -> Data:
    """The end of what it printed: of the log where it is on this machine, else what the status branch has."""
    lines = tail_of(logs, str(step["log"]), _TAIL_LINES) if step.get("log") else None
    if lines is not None:
        return {"tail": lines, "tailFrom": "log"}
    text = "\n".join(str(step[key]).rstrip("\n") for key in ("stdoutTail", "stderrTail") if step.get(key))
    return {"tail": [a.cut(line, 1_000) for line in text.split("\n")[-_TAIL_LINES:]] if text else [],
            "tailFrom": "statusBranch"}  # fmt: skip


def _bad_nodes(run: Data) -> list[Data]:
    nodes = run["status"].get("nodes") or {}
    return [
        {"node": name, "state": node.get("state"), "reason": node.get("reason"), "run": node.get("run")}
        for name, node in list(nodes.items())[:_LISTED]
        if node.get("state") in ("failed", "timedOut", "unknown", "cancelled")
    ]


# --- facts ---


def _places(run: Data) -> dict[str, Data]:
    status = run["status"]
    found = status.get("targets") or ({RUNNER: status} if status.get("steps") else {})
    return {str(name): place for name, place in found.items() if isinstance(place, dict)}


def _named(place: str) -> str | None:
    return None if place == RUNNER else place


def _is_bad(step: Mapping[str, Any]) -> bool:
    return step.get("state") not in _GOOD and not step.get("rescued") and not step.get("continued")


def _step(step: Mapping[str, Any]) -> Data:
    keys = ("id", "phase", "state", "error", "exitCode", "attempts", "duration", "rescued", "continued")
    return {key: step.get(key) for key in keys}


def _is_failing(one: Data) -> bool:
    return bool((one.get("status") or {}).get("consecutiveFailures"))


def _failing(one: Data) -> Data:
    status = one["status"]
    return {"kind": str(one.get("kind")).removesuffix("Status"), "name": one["metadata"]["name"]} | {
        key: status.get(key) for key in ("consecutiveFailures", "lastRun", "lastSuccess")
    }


def _gate(gate: Data) -> Data:
    spec = gate.get("spec") or {}
    keys = ("run", "workflow", "gate", "expiresAt", "count", "users", "teams", "requestedBy")
    if gate["kind"] != "Gate":
        return {"digest": gate["metadata"]["name"], "kind": gate["kind"]} | spec
    return {"digest": gate["metadata"]["name"]} | {key: spec.get(key) for key in keys}


def _next(one: Data) -> bool:
    return bool((one.get("status") or {}).get("next"))


def _is_warning(found: Any) -> bool:
    return isinstance(found, dict) and found.get("severity") == "warning"


def _rows(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_BRIEF = a.said(a.OBJECT, "A run in a line: its state, times, cause, commit, and where it failed.")
TOOLS = (
    Tool(
        "now", "What is now", "What runs or waits, what fails, which gates wait for people, what is late, what is "
        "next, and what is wrong with the definitions. Begin here.", now, {},
        {"at": a.TEXT, "statusCommit": a.TEXT, "appliedCommit": a.MAYBE, "observedCommit": a.MAYBE,
         "engine": {"type": ["object", "null"], "description": "Who publishes this; closed: when it was stopped."},
         "conditions": a.LIST, "findings": a.LIST, "running": a.ROWS, "failing": a.ROWS, "gates": a.ROWS,
         "late": a.ROWS, "next": a.ROWS},
    ),
    Tool(
        "list_runs", "List runs", "Runs, newest first: all, of one job or workflow, in one state.", list_runs,
        {"job": a.said(a.NAME, "A job or workflow."), "state": {"enum": list(_STATES)}, "limit": a.limit(100, 20)},
        {"runs": {"type": "array", "items": _BRIEF}, "more": a.YES},
    ),
    Tool(
        "get_run", "One run", "A run with its params, targets and steps; those that failed come first.", get_run,
        {"run": a.said(a.RUN, "Its id, a unique beginning of it, or a job's name for its newest run.")},
        {"run": _BRIEF, "params": a.OBJECT, "status": a.OBJECT, "targets": a.ROWS, "moreTargets": a.COUNT},
        needs=("run",),
    ),
    Tool(
        "explain_failure", "Why a run failed", "A run's failure in words: where it went wrong first, the end of what "
        "the failing steps printed, and how that compares with the last run that succeeded.", explain_failure,
        {"run": a.said(a.RUN, "Its id, a unique beginning of it, or a job's name for its newest run.")},
        {"run": _BRIEF, "words": a.TEXTS, "steps": a.ROWS, "moreSteps": a.COUNT, "nodes": a.ROWS},
        needs=("run",),
    ),
)  # fmt: skip
