"""The words of a message whose rule brings none: what happened, why, and where to look; short, for a phone at night.

Pure. The first line says it all; nothing is promised that is not known.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.notifications.channels import COMMIT_STATUS
from engine.notifications.severity import severity

_SAYS = {
    "run.started": "started",
    "run.succeeded": "succeeded",
    "run.failed": "FAILED",
    "run.recovered": "works again",
    "run.late": "is late",
    "run.missed": "did not run",
    "run.unknown": "ended UNKNOWN",
    "run.cancelled": "was cancelled",
    "run.timedOut": "TIMED OUT",
    "run.noTargets": "had no targets",
    "run.waitingApproval": "waits for approval",
    "target.unreachable": "is UNREACHABLE",
    "target.recovered": "can be reached again",
    "sync.failed": "new definitions are NOT in force",
    "sync.recovered": "definitions are in force again",
    "credential.expiring": "expires",
    "discovery.changed": "found changes",
    "runner.lost": "a runner was LOST",
    "notification.dead": "could not be delivered to",
}
_REASONS = {
    "missed": "the engine was not there in time, or was told to take in less",
    "catchUpMax": "more were missed than catchUp.max lets run",
    "storeLost": "the engine's store was lost",
}
_NAMED = 10
_KINDS = 3


@dataclass(frozen=True, slots=True)
class Words:
    """A message as it is sent, as plain text."""

    subject: str
    text: str


def words(context: Mapping[str, Any]) -> Words:
    """What to say of a context (`engine.notifications.noticecontext`), of one event or of several."""
    events = context.get("events")
    if events:
        return _several(events, int(context.get("count") or len(events)), context)
    return Words(says(context["event"]), "\n".join(_lines(context)))


def says(event: Mapping[str, Any]) -> str:
    """One event in a few words."""
    what = _SAYS.get(event["type"], event["type"])
    match event["type"]:
        case "credential.expiring":
            return f"Credential {event['name']} {_expiry(event['data'])}"
        case "notification.dead" if event.get("kind") == "Project":
            what = "what came of a commit" if event["data"].get("rule") == COMMIT_STATUS else "what a scan found"
            return f"{event['name']}: the forge could not be told {what}"
        case "notification.dead":
            return f"A message could not be delivered to {event['name']}"
        case "runner.lost":
            return f"A runner of pool {event['name']} was LOST"
        case "sync.failed" | "sync.recovered":
            return f"{event['name']}: {what}"
        case "commit.pending" | "commit.success" | "commit.failure":
            return f"Commit {str(event['data'].get('commit', ''))[:12]}: {event['data'].get('description')}"
        case _:
            return f"{event['name']} {what}"


def approval_of(data: Mapping[str, Any]) -> str:
    """What to do about a gate that is open."""
    return f"approve it with: opsconductor approve {str(data.get('gate', '')).removeprefix('sha256:')[:12]}"


def _expiry(data: Mapping[str, Any]) -> str:
    what = "is to be rotated" if data.get("what") == "rotateAfter" else "expires"
    days = data.get("days")
    if days is None:
        return what
    if days <= 0:
        return "was to be rotated by now" if data.get("what") == "rotateAfter" else "has EXPIRED"
    return f"{what} in {days} day{'s' if days > 1 else ''}"


def _lines(context: Mapping[str, Any]) -> Iterator[str]:
    event, run = context["event"], context.get("run")
    if run is not None:
        yield from _of_run(event, run, context.get("targets") or ())
    else:
        yield from _of_data(event)
    job = context.get("job") or {}
    if job.get("owner"):
        yield f"Owner: {job['owner']}"
    yield from _where(context)


def _of_run(event: Mapping[str, Any], run: Mapping[str, Any], targets: Any) -> Iterator[str]:
    good = event["type"] in ("run.succeeded", "run.recovered", "run.started", "target.recovered", "discovery.changed")
    if run.get("why") and not good:
        yield f"Why: {_one_line(run['why'])}"
    if event["type"] == "run.waitingApproval":
        said = approval_of(event["data"])
        yield said[0].upper() + said[1:]
        yield f"Gate: {event['data'].get('node')}, open until {event['data'].get('until')}"
        if asked_by := run["cause"]["requestedBy"]:
            yield f"Asked for by: {_one_line(asked_by)}"
    failures = event["data"].get("failures")
    if isinstance(failures, int) and failures > 1:
        yield f"In a row: {failures}"
    if event["type"] == "run.recovered":
        before = event["data"].get("failuresBefore", 1)
        yield f"After {before} failure{'s' if before != 1 else ''}"
    if event["type"] == "run.late":
        yield f"It was to start at {event['data'].get('due')}, and has not begun"
    if event["type"] == "discovery.changed":
        yield from _of_scan(event["data"])
    if run["failed"] and not good:
        names = [one["name"] for one in targets if one["name"]][:_NAMED]
        more = run["failed"] - len(names)
        yield f"On {run['failed']} of {run['targets']} targets: {', '.join(names)}{f' and {more} more' if more else ''}"
    told_of = [one for one in targets if event["kind"] != "Target" or one["name"] == event["name"]]
    tail = next((one["tail"] for one in told_of if one.get("tail")), None)
    if tail and not good:
        yield "Output:"
        yield from (f"  {line}" for line in tail.strip().splitlines()[-5:])
    # What is told late of a start may know its end already: it is no part of what is told.
    ended = run.get("seconds") is not None and event["type"] != "run.started"
    took = f", took {_took(run['seconds'])}" if ended else ""
    yield f"Run: {run['id']}{took}"


def _of_scan(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"Hosts: {', '.join(f'{data.get(key, 0)} {key}' for key in ('new', 'changed', 'gone'))}"
    if data.get("commit"):
        yield f"Proposed on branch {data.get('branch')}: merge what is right"


def _of_data(event: Mapping[str, Any]) -> Iterator[str]:
    data = event["data"]
    match event["type"]:
        case "run.missed" | "run.noTargets":
            count, first, last = data.get("count", 1), data.get("from"), data.get("to")
            yield f"Due: {first}" if count == 1 else f"Due {count} times, from {first} to {last}"
            yield f"Why: {_REASONS.get(str(data.get('reason')), 'the job chose no target')}"
        case "sync.failed":
            yield f"Why: {_one_line(data.get('message'))}"
            if data.get("applied"):
                yield f"In force stays commit {str(data['applied'])[:12]}"
            yield from (f"  {_one_line(line)}" for line in data.get("findings") or ())
        case "sync.recovered":
            yield f"In force is commit {str(data.get('applied') or '')[:12]}"
        case "credential.expiring":
            yield f"When: {data.get('at')}"
        case "discovery.changed":
            yield from _of_scan(data)
        case "runner.lost":
            yield f"Runner: {data.get('runner')}; its runs are started again, or said to be unknown"
        case "notification.dead":
            lost = data.get("subject") or ", ".join(data.get("tells") or ())
            yield f"Message: {_one_line(lost or data.get('message'))}"
            if data.get("run"):
                yield f"Of run: {data['run']}"
            tries = data.get("attempts")
            yield f"Tried {tries} time{'s' * (tries != 1)}; the last error: {_one_line(data.get('error'))}"
            yield f"It can be sent again: opsconductor notify replay {str(data.get('message') or '')[:12]}".rstrip()
        case _:
            yield f"{event['kind']}/{event['name']} at {event['time']}"


def _where(context: Mapping[str, Any]) -> Iterator[str]:
    links, run = context.get("links") or {}, context.get("run")
    link = links.get("run") or links.get("job") or links.get("target") or links.get("sync") or links.get("dashboard")
    if link:
        yield f"Look: {link}"
    elif run is not None:
        yield f"Look: opsconductor logs {run['id']}"


def _several(events: Any, count: int, context: Mapping[str, Any]) -> Words:
    worst_first = sorted(events, key=lambda event: -severity(event["type"]))
    types: Mapping[str, int] = context.get("types") or Counter(event["type"] for event in events)
    names = list(dict.fromkeys(str(event["name"]) for event in worst_first))
    shown = ", ".join(names[:3])
    if len(names) > 3:
        shown += f" and {count - 3} more" if len(names) == len(events) else " and more"
    lines = list(_each(events))
    if count > len(events):
        lines.append(f"… and {count - len(events)} more that are not shown")
    lines += _again(events)
    link = (context.get("links") or {}).get("dashboard")
    lines.append(f"Look: {link}" if link else "Look: opsconductor get runs")
    return Words(f"{_counted(types)}: {shown}", "\n".join(lines))


def _again(events: Any) -> Iterator[str]:
    """What to do about messages of one channel that were all lost."""
    lost = {(event["type"], event["kind"], event["name"]) for event in events}
    if len(lost) == 1 and (one := lost.pop())[:2] == ("notification.dead", "NotificationChannel"):
        yield f"They can be sent again: opsconductor notify replay --channel {one[2]}"


def _each(events: Any) -> Iterator[str]:
    """A line for each, and below it where to look: once for those that lead to the same page."""
    shown = ""
    for event in events:
        link = str(event.get("link") or "")
        if shown and link != shown:
            yield f"  {shown}"
        yield f"{event['time']}  {_in_words(event)}{_because(event)}"
        shown = link
    if shown:
        yield f"  {shown}"


def _counted(types: Mapping[str, int]) -> str:
    """How many of which, the worst first: a failure among good news is what the first line is for."""
    found = sorted(types.items(), key=lambda one: -severity(one[0]))
    said = [f"{count} × {name}" for name, count in found[:_KINDS]]
    if len(found) > _KINDS:
        said.append(f"{sum(count for _, count in found[_KINDS:])} others")
    return ", ".join(said)


def _in_words(event: Mapping[str, Any]) -> str:
    # What an earlier version gathered has no words of its own.
    return str(event.get("says") or says({**event, "data": {}}))


def _because(event: Mapping[str, Any]) -> str:
    if not event.get("why") or event["type"].endswith(("recovered", "succeeded")):
        return ""
    return f": {_one_line(event['why'])}"


def _one_line(text: Any) -> str:
    """What a step or a person said makes no line of its own: each of ours begins with what it is."""
    return " ".join(str(text).split())


def _took(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
