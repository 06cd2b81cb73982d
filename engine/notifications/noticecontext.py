"""What a message is made of: `event run job targets links`, and the other events where it tells several. Pure.

All of it is data that was masked before it came here, and none of it is long: a message is no log.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.catalog import Catalog
from engine.notifications.notices import Event, Subject
from engine.notifications.noticewords import approval_of, says
from engine.notifications.severity import severity
from engine.runs.pinned import RUNNER
from engine.states import StepState
from engine.status.views import RunView, StepView, TargetView
from schemas.quantities import format_instant

MOST_TARGETS = 20
MOST_EVENTS = 50
_LONGEST = 500
_TAIL = 1_000
_GOOD = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})
_OWN_PAGES = {"Job": "jobs", "Target": "targets"}


def context_of(
    event: Event, about: tuple[Subject, ...], run: RunView | None, catalog: Catalog, pages: str | None
) -> dict[str, Any]:
    """What a template sees of one event. `pages` is the dashboard's address, where others can open it.

    What is told of one target of a run is told with the cause that this target has, and with no other's.
    """
    target = event.name if event.kind == "Target" else None
    return {
        "event": _event(event),
        "run": None if run is None else _run(run, target),
        "job": _job(about, catalog, run),
        "targets": [] if run is None else _targets(run, target),
        "links": _links(event, about, None if pages is None else pages.rstrip("/")),
        "events": [],
        "types": {},
        "count": 1,
    }


def added(context: Mapping[str, Any], more: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The context of a message that tells one more event; `count` with it. It shows the worst, and names the others.

    Of several that are as bad the first: who sorts messages by their type must not take a failure for good news. Nor is
    a failure one of those that are not named, as long as good news is.
    """
    named = list(context.get("events") or [brief(context)])
    types = Counter(context.get("types") or (one["type"] for one in named))
    types[more["event"]["type"]] += 1
    shown = more if severity(more["event"]["type"]) > severity(context["event"]["type"]) else context
    return {**shown, "events": _with(named, brief(more)), "types": dict(types), "count": count}


def _with(named: Sequence[dict[str, Any]], more: dict[str, Any]) -> list[dict[str, Any]]:
    """One more of the events that are named; where there are enough, in the place of the last one that is less bad."""
    if len(named) < MOST_EVENTS:
        return [*named, more]
    bad = [severity(one["type"]) for one in named]
    least = min(bad)
    if severity(more["type"]) <= least:
        return list(named)
    last = len(bad) - 1 - bad[::-1].index(least)
    return [*named[:last], *named[last + 1 :], more]


def brief(context: Mapping[str, Any]) -> dict[str, Any]:
    """An event among others."""
    event, run = context["event"], context.get("run") or {}
    found = {key: event[key] for key in ("id", "type", "time", "kind", "name")}
    found["run"] = run.get("id")
    found["why"] = _why_of(event) if event["type"] in _SAY_WHY else run.get("why") or _why_of(event)
    found["says"] = says(event)
    links = context.get("links") or {}
    found["link"] = next((links[page] for page in ("run", "job", "target", "sync") if links.get(page)), "")
    return found


_SAY_WHY = frozenset({"run.waitingApproval", "run.late"})
"""Events of runs that know more about it than the run does."""


def _why_of(event: Mapping[str, Any]) -> str | None:
    data = event["data"]
    match event["type"]:
        case "run.waitingApproval":
            why = approval_of(data)
        case "run.late":
            why = f"it was to start at {data.get('due')}"
        case "notification.dead":
            why = ": ".join(str(data[key]) for key in ("subject", "error") if data.get(key))
        case _:
            why = data.get("message") or data.get("reason")
    return _cut(str(why), 200) if why else None


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "time": format_instant(event.at),
        "kind": event.kind,
        "name": event.name,
        "data": dict(event.data),
    }


def _run(run: RunView, target: str | None) -> dict[str, Any]:
    return {
        "id": str(run.id),
        "job": run.job,
        "workflow": run.workflow,
        "state": str(run.state),
        "why": _why(run) if target is None else _why_on(run, target),
        "reason": run.reason,
        "message": _cut(run.message, _LONGEST),
        "commit": run.commit,
        "cause": {"kind": run.cause.kind, "name": run.cause.name, "requestedBy": run.cause.requested_by},
        "queuedAt": _instant(run.queued_at),
        "startedAt": _instant(run.started_at),
        "finishedAt": _instant(run.finished_at),
        "seconds": _seconds(run),
        "attempt": run.attempt,
        "targets": len(run.targets),
        "failed": sum(1 for place in run.results if _is_bad(place)),
    }


def _why(run: RunView) -> str | None:
    """The nearest to a cause that is known, in a line: the first step that went wrong, else what the run says."""
    for place in run.results:
        if (said := _went_wrong(place)) is not None:
            return said
    bad = [node for node in run.nodes if node.state.value in ("failed", "timedOut", "unknown")]
    bad = bad or [node for node in run.nodes if node.state.value == "cancelled" and node.record.runs]
    if not bad:
        return _cut(run.message or run.reason, 300)
    first, more = bad[0], len(bad) - 1
    others = f" (and {more} more {'node' if more == 1 else 'nodes'})" if more else ""
    why = _cut(first.record.reason, 300)
    return f"node {first.id} {first.state.value}{f': {why}' if why else ''}{others}"


def _why_on(run: RunView, target: str) -> str | None:
    """As `_why`, of one target. What went wrong on another is no cause of what happened to it."""
    found = (_went_wrong(place) or _cut(place.reason, 300) for place in run.results if place.name == target)
    return next(found, None)


def _went_wrong(place: TargetView) -> str | None:
    step = _worst(place)
    if step is None:
        return None
    where = "" if place.name == RUNNER else f" on {place.name}"
    return f"step {step.id}{where}: {_cut(step.error, 300) or _ended(step)}"


def _ended(step: StepView) -> str:
    return f"exit code {step.exit_code}" if step.exit_code is not None else str(step.state)


def _worst(place: TargetView) -> StepView | None:
    """The first step that went wrong and was not made up for."""
    forgiven = (step for step in place.steps if not (step.rescued or step.continued or step.again))
    return next((step for step in forgiven if step.state not in (*_GOOD, StepState.RUNNING)), None)


def _is_bad(place: TargetView) -> bool:
    return place.name != RUNNER and place.state not in (None, StepState.RUNNING, *_GOOD)


def _targets(run: RunView, first: str | None) -> list[dict[str, Any]]:
    """Those where it did not go well; a job without targets has one, without a name, where it did not. `first`: the
    one that is told of."""
    bad = [place for place in run.results if _is_bad(place) or (place.name == RUNNER and _worst(place) is not None)]
    bad.sort(key=lambda place: place.name != first)
    return [_target(place) for place in bad[:MOST_TARGETS]]


def _target(place: TargetView) -> dict[str, Any]:
    step = _worst(place)
    return {
        "name": "" if place.name == RUNNER else place.name,
        "state": str(place.state),
        "step": None if step is None else step.id,
        "error": _cut(step.error if step is not None else place.reason, _LONGEST),
        "exitCode": None if step is None else step.exit_code,
        "tail": _last(None if step is None else step.stderr_tail or step.stdout_tail),
    }


def _job(about: tuple[Subject, ...], catalog: Catalog, run: RunView | None) -> dict[str, Any] | None:
    found = next((one for one in about if one.kind in ("Job", "Workflow")), None)
    if found is None:
        return None
    document = catalog.by_kind[found.kind].get(found.name)
    made = {"name": found.name, "kind": found.kind, "labels": dict(found.labels), "description": "", "owner": ""}
    if document is not None:
        made |= {"description": document.metadata.description, "owner": document.metadata.owner}
    return made


def _links(event: Event, about: tuple[Subject, ...], pages: str | None) -> dict[str, str]:
    """Addresses of pages; those that there are not are empty."""
    none = dict.fromkeys(SAMPLE["links"], "")
    return none if pages is None else {**none, **_pages(event, about, pages)}


def _pages(event: Event, about: tuple[Subject, ...], pages: str) -> dict[str, str]:
    found = {"dashboard": f"{pages}/"}
    if event.run is not None:
        found["run"] = f"{pages}/runs/{event.run}"
    for one in about:
        if (folder := _OWN_PAGES.get(one.kind)) is not None:
            found.setdefault(one.kind.lower(), f"{pages}/{folder}/{one.name}")
    if event.kind == "Project":
        found["sync"] = f"{pages}/sync"
    return found


def _seconds(run: RunView) -> float | None:
    if run.started_at is None or run.finished_at is None:
        return None
    return (run.finished_at - run.started_at).total_seconds()


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _cut(text: str | None, most: int) -> str | None:
    return text if text is None or len(text) <= most else f"{text[: most - 1]}…"


def _last(text: str | None) -> str | None:
    return text if text is None or len(text) <= _TAIL else f"…{text[1 - _TAIL :]}"


SAMPLE: Mapping[str, Any] = {
    "event": {"id": "", "type": "", "time": "", "kind": "", "name": "", "data": {}},
    "run": {
        "id": "", "job": "", "workflow": False, "state": "", "why": "", "reason": "", "message": "", "commit": "",
        "cause": {"kind": "", "name": "", "requestedBy": ""}, "queuedAt": "", "startedAt": "", "finishedAt": "",
        "seconds": 0.0, "attempt": 1, "targets": 1, "failed": 0,
    },
    "job": {"name": "", "kind": "", "labels": {}, "description": "", "owner": ""},
    "links": {"dashboard": "", "run": "", "job": "", "target": "", "sync": ""},
    "targets": [{"name": "", "state": "", "step": "", "error": "", "exitCode": 0, "tail": ""}],
    "events": [{"id": "", "type": "", "time": "", "kind": "", "name": "", "run": "", "why": "", "says": "",
                "link": ""}],
    "types": {},
    "count": 1,
}  # fmt: skip
"""The shape of a context, for whoever checks a template before it is in force."""
