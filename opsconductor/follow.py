"""Waiting for an act and its run on the status branch."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from engine.states import RunState, StepState, is_final, run_state
from journal.errors import Unavailable
from opsconductor import exits
from opsconductor.rehearsed import is_dry, standing
from opsconductor.status import StatusReader
from opsconductor.terminal import chatter
from opsconductor.workspace import Workspace

NOBODY_YET = "no engine was seen here yet; start one with 'opsconductor up', then ask again: it refuses what it finds"


@dataclass(frozen=True, slots=True)
class Followed:
    """How the waiting ended: the exit code, and the request's answer and its run as they were seen last."""

    code: int
    answer: dict[str, Any] | None
    run: dict[str, Any] | None


def follow(
    workspace: Workspace, request: str, *, patience: timedelta, pause: timedelta, clock: Callable[[], float]
) -> Followed:
    """Show the way of one request to its end: 0 succeeded (or cancelled as asked), 1 failed or refused, 3 open.

    3 also, at once, where no commit was ever accepted: the request waits for people to mend that.
    """
    until = clock() + patience.total_seconds()
    shown, answer, run = "", None, None
    while clock() < until:
        status, away = _look(workspace)
        answer = status.read(f"requests/{request}.yaml") if status else None
        run = _run_of(status, answer)
        blocked = _blocked(status) if answer is None else None
        waits = _waits(status, request) if answer is None else None
        line = NOBODY_YET if status is None and not away else blocked or waits or _line(answer, run)
        if line != shown:
            chatter(line)
            shown = line
        if blocked and _has_seen_the_head(workspace, status):
            chatter("the request waits for the first commit that is accepted")
            return Followed(exits.STILL_OPEN, answer, run)
        if (code := _verdict(answer, run)) is not None:
            return Followed(code, answer, run)
        time.sleep(pause.total_seconds())
    chatter(f"still open after {int(patience.total_seconds())} s; it goes on without us")
    return Followed(exits.STILL_OPEN, answer, run)


def say_if_nobody_listens(workspace: Workspace) -> None:
    """Whoever does not wait for an answer must hear that nobody is there to give one."""
    if _look(workspace) == (None, False):
        chatter(NOBODY_YET)


def is_open(run: dict[str, Any]) -> bool:
    """Whether a Run file says that the run goes on, or has yet to begin."""
    return not is_final(RunState(run["status"]["state"]))


def say_what_failed(run: dict[str, Any]) -> None:
    """A line for each step that did not succeed, with the last line it printed; of a workflow for each such node."""
    for name, node in (run["status"].get("nodes") or {}).items():
        begun = bool(node.get("run") or node.get("runs"))
        if node["state"] in ("failed", "timedOut", "unknown") or (node["state"] == "cancelled" and begun):
            where = f" (opsconductor logs {node['run']})" if node.get("run") else ""
            chatter(f"    {name} {node['state']}{f': {node_why}' if (node_why := node.get('reason')) else ''}{where}")
    for target, status in (run["status"].get("targets") or {"": run["status"]}).items():
        for step in status.get("steps") or []:
            if step["state"] in ("succeeded", "skipped", "running"):
                continue
            said = (step.get("stderrTail") or step.get("stdoutTail") or "").strip().rpartition("\n")[2]
            where = f"{target}: {step['id']}" if target else step["id"]
            forgiven = " (rescued)" if step.get("rescued") else " (continued)" if step.get("continued") else ""
            chatter(f"    {where} {step['state']}{forgiven}: {step.get('error') or 'no reason was recorded'}")
            if said:
                chatter(f"        {said}")


def _look(workspace: Workspace) -> tuple[StatusReader | None, bool]:
    """What is seen, and whether nothing can be: a remote that is away for a moment is no reason to stop waiting."""
    try:
        return workspace.status(), False
    except Unavailable:
        return None, True


def _blocked(status: StatusReader | None) -> str | None:
    """What keeps every request from being taken, with the first error: nothing was ever accepted."""
    sync = _sync(status)
    reasons = {
        condition.get("reason") for condition in sync.get("conditions") or [] if condition.get("type") == "Ready"
    }
    if "NothingAccepted" not in reasons:
        return None
    findings: list[dict[str, Any]] = sync.get("findings") or []
    found = next((one for one in findings if one.get("severity") == "error"), {})
    place = ":".join(str(found[key]) for key in ("file", "line", "column") if key in found)
    said = f"\n    {place}: {found.get('code')} {found.get('message')}" if found else ""
    return f"no commit was accepted yet; see 'opsconductor get sync'{said}"


def _waits(status: StatusReader | None, request: str) -> str | None:
    """Whose approvals a request waits for, where it does."""
    for one in _sync(status).get("requests") or ():
        if one.get("request") == request:
            able = ", ".join(sorted({name for want in one["wants"] for name in want.get("by") or ()}))
            given = ", ".join(vote["by"] for vote in one.get("votes") or ())
            so_far = f" (so far: {given})" if given else ""
            return f"it waits for approvals{so_far}: 'opsconductor approve {request}', by {able or 'nobody who may'}"
    return None


def _has_seen_the_head(workspace: Workspace, status: StatusReader | None) -> bool:
    """What is shown may be older than a commit that mends it: the engine has judged the newest."""
    try:
        return bool(_sync(status).get("observedCommit") == workspace.head())
    except Unavailable:
        return False


def _sync(status: StatusReader | None) -> dict[str, Any]:
    found = status.read("sync.yaml") if status else None
    return (found or {}).get("status") or {}


def _run_of(status: StatusReader | None, answer: dict[str, Any] | None) -> dict[str, Any] | None:
    name = answer["status"].get("run") if answer else None
    return status.run(name) if status and name else None


def _verdict(answer: dict[str, Any] | None, run: dict[str, Any] | None) -> int | None:
    if answer is None:
        return None
    if answer["status"]["state"] == "refused":
        return exits.FINDINGS
    if answer["status"]["state"] == "done" and answer["status"].get("run") is None:
        return exits.OK  # there is none: a change was answered
    if run is None or is_open(run):
        return None
    asked_to_cancel = answer.get("spec", {}).get("action") == "cancel"
    good = {RunState.SUCCEEDED, RunState.CANCELLED} if asked_to_cancel else {RunState.SUCCEEDED}
    return exits.OK if run["status"]["state"] in good else exits.FINDINGS


def _line(answer: dict[str, Any] | None, run: dict[str, Any] | None) -> str:
    if answer is None:
        return "waiting for the engine to take it"
    if answer["status"]["state"] == "refused":
        return f"refused: {answer['status'].get('reason')}: {answer['status'].get('message') or 'no more is known'}"
    if run is None:
        return f"{answer['status']['state']}"
    status = run["status"]
    if is_dry(run):
        return f"{run['metadata']['name']}: {standing(run)}"
    nodes = status.get("nodes") or {}
    progress = _of_nodes(nodes) if nodes else _of_targets(run)
    reason = f" ({status['reason']})" if status.get("reason") else ""
    return f"{run['metadata']['name']}: {status['state']}{progress}{reason}"


def _of_targets(run: dict[str, Any]) -> str:
    """How far a run is; once it has ended, how many targets ended as it did, or otherwise, or never began."""
    total = len(run["spec"].get("targets") or [])
    places = (run["status"].get("targets") or {}).values()
    ended = Counter(StepState(place["state"]) for place in places if place.get("state") and _began(place))
    running = ended.pop(StepState.RUNNING, 0)
    good = ended.pop(StepState.SUCCEEDED, 0)
    if not total:
        return ""
    state = RunState(run["status"]["state"])
    if not is_final(state):
        return f", {good + ended.total()} of {total} targets"
    same = sum(ended.pop(one) for one in list(ended) if run_state([one]) is state)
    # where the end of a run is unknown, nor is it known of a target that it says nothing of
    left = sum(not _began(place) for place in places)
    left += 0 if state is RunState.UNKNOWN else total - len(places)
    if left == total:
        return f", {left} of {total} targets not started"
    how = f" on {same} of {total} targets" if same else f", {good} of {total} targets"
    others = [(one.value, count) for one, count in ended.items()] + [("without an end", running), ("not started", left)]
    return how + "".join(f", {count} {what}" for what, count in others if count)


def _began(place: dict[str, Any]) -> bool:
    """Whether anything of the run began on a target: it ended by itself, or has steps."""
    return place.get("state") == StepState.SUCCEEDED or bool(place.get("steps"))


def _of_nodes(nodes: dict[str, Any]) -> str:
    """How far a workflow's run is, and what it waits for from people."""
    ended = [node for node in nodes.values() if node["state"] not in ("pending", "running", "waiting")]
    gates = [node["gate"]["digest"] for node in nodes.values() if node["state"] == "waiting" and node.get("gate")]
    asks = "".join(f"; to approve: opsconductor approve {digest.removeprefix('sha256:')[:12]}" for digest in gates)
    return f", {len(ended)} of {len(nodes)} nodes{asks}"
