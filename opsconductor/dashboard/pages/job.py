"""One job or workflow: how it has done, what starts it, what it waits for, what it is."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.expressions.expression import has_expression
from engine.identity import RunId
from engine.runs.concurrency import group_of, group_of_job
from engine.states import RunState, is_final
from engine.status.yamltext import stamp
from journal import history, trends
from journal.trends import FirstError, Mark
from opsconductor.dashboard import toact
from opsconductor.dashboard.drawing import tall
from opsconductor.dashboard.pages.briefs import brief_of
from opsconductor.dashboard.pages.page import Asked, Page, UnfitQuery
from opsconductor.dashboard.pages.starts import Subject, definition, starters, subject_of
from opsconductor.dashboard.sources import Data, Sources
from opsconductor.dashboard.told import told_of_failure
from opsconductor.dashboard.values import took
from schemas.job import Job

_COUNTED = 1000
"""Runs that the rates are counted over, at most."""
_DRAWN = 60
_LISTED = 50
_FAILURES = 5
_EXPLAINED, _WHY = 20, 200
"""So many runs of the list say where they went wrong first, in so many characters."""
_IN_GROUP = 30
_DAYS = (7, 30, 90)
_BAD = (RunState.FAILED, RunState.TIMED_OUT, RunState.UNKNOWN)
_TREND = 60.0


def _loader(*, workflow: bool) -> Callable[[Sources, Asked], Awaitable[Data | None]]:
    async def load(sources: Sources, asked: Asked) -> Data | None:
        """The query has `before`, the run before which the list begins."""
        at, catalog = sources.clock.now(), sources.engine.catalog
        subject = subject_of(catalog, asked.path["name"], workflow=workflow)
        before = asked.query.get("before")
        if before is not None and len(before) > 100:
            raise UnfitQuery("'before' is the id of a run")

        def look(conn: Connection) -> tuple[Data | None, list[Data]]:
            past = _past(conn, subject, RunId(before) if before else None, at)
            if catalog is None or subject.document is None:
                return past, []
            return past, told_of_failure(conn, catalog, subject, None if past is None else past["usual"], at)

        found, told = await sources.journal.read(look)
        if found is None and subject.document is None:
            return None
        past, started = found or _nothing(), {} if catalog is None else starters(catalog, subject, at)
        written = definition(catalog, subject, at)
        return {
            "at": stamp(at),
            "job": subject.name,
            "workflow": workflow,
            "sentence": _sentence(past, started.get("next", []), at, defined=subject.document is not None),
            **past,
            **started,
            "told": told,
            "acts": _acts(catalog, subject, past, at),
            "definition": written,
            "graph": [] if written is None else [_linked(node) for node in written.pop("graph")],
            "labels": {} if subject.document is None else dict(subject.document.metadata.labels),
            "description": None if subject.document is None else subject.document.metadata.description,
        }

    return load


def _linked(node: Data) -> Data:
    """A node of the text, with the page of how its job does, not that of how it reads."""
    return node | {"href": node["href"] and f"/jobs/{node['href'].rpartition('/')[2]}"}


_ASKS = {"before": "The id of the run before which the list begins."}
_GIVES = (
    "job",
    "workflow",
    "sentence",
    "usual",
    "inARow",
    "rates",
    "trend",
    "failures",
    "runs",
    "older",
    "definition",
    "graph",
    "acts",
)
JOB = Page("/jobs/{name}", "job", _loader(workflow=False), asks=_ASKS, gives=_GIVES)
WORKFLOW = Page("/workflows/{name}", "job", _loader(workflow=True), asks=_ASKS, gives=_GIVES)


def _acts(catalog: Catalog | None, subject: Subject, past: Data, at: datetime) -> list[Data]:
    """What people may do; nothing about what is not defined any more."""
    newest = past["runs"][0]["run"] if past.get("runs") else None
    return [] if subject.document is None else toact.of_subject(subject.document, catalog, newest, at)


# --- what was ---


def _past(conn: Connection, subject: Subject, before: RunId | None, at: datetime) -> Data | None:
    newest = trends.marks(conn, subject.name, workflow=subject.workflow, limit=_COUNTED)
    if not newest:
        return _nothing() | {"group": _group(conn, subject)} if subject.document is not None else None
    listed = newest[: _LISTED + 1]
    if before is not None:
        listed = trends.marks(conn, subject.name, workflow=subject.workflow, limit=_LISTED + 1, before=before)
    real = [mark for mark in newest if not mark.dry_run]
    ended = [mark for mark in real if is_final(mark.state)]
    failures = [mark for mark in ended if mark.state in _BAD][:_FAILURES]
    told = [mark.id for mark in listed[:_LISTED] if mark.state in _BAD][:_EXPLAINED]
    errors = trends.first_errors(conn, list(dict.fromkeys([*(mark.id for mark in failures), *told])))
    usual = _usual(ended)
    drawn = real[:_DRAWN]
    changed = trends.changed(conn, drawn, most=_DRAWN)
    return {
        "usual": usual,
        "inARow": _in_a_row(ended),
        "rates": [_rate(ended, at, days, whole=len(newest) < _COUNTED) for days in _DAYS],
        "trend": _trend(drawn, usual, changed),
        "failures": [_failure(mark, errors.get(mark.id)) for mark in failures],
        "runs": [_line(mark) | {"why": _why(mark, errors.get(mark.id))} for mark in listed[:_LISTED]],
        "older": listed[_LISTED - 1].id if len(listed) > _LISTED else None,
        "group": _group(conn, subject),
    }


def _nothing() -> Data:
    return {
        "usual": None, "inARow": {"state": None, "count": 0}, "rates": [], "trend": None, "failures": [], "runs": [],
        "older": None, "group": None,
    }  # fmt: skip


def _usual(ended: Iterable[Mark]) -> float | None:
    taken = [mark.seconds for mark in ended if mark.state is RunState.SUCCEEDED]
    known = [seconds for seconds in taken[:20] if seconds is not None]
    return round(median(known), 3) if known else None


def _in_a_row(ended: Sequence[Mark]) -> Data:
    """How often it has succeeded, or failed, one time after another; what was cancelled says nothing."""
    told = [mark for mark in ended if mark.state is not RunState.CANCELLED]
    if not told:
        return {"state": None, "count": 0}
    good = told[0].state is RunState.SUCCEEDED
    count = next((n for n, mark in enumerate(told) if (mark.state is RunState.SUCCEEDED) != good), len(told))
    return {"state": "succeeded" if good else "failed", "count": count, "since": stamp(told[count - 1].began)}


def _rate(ended: Iterable[Mark], at: datetime, days: int, *, whole: bool) -> Data:
    since = at - timedelta(days=days)
    told = [mark for mark in ended if mark.state is not RunState.CANCELLED]
    within = [mark for mark in told if mark.finished_at is not None and mark.finished_at >= since]
    good = sum(mark.state is RunState.SUCCEEDED for mark in within)
    return {
        "days": days,
        "runs": len(within),
        "succeeded": good,
        "share": round(good / len(within), 4) if within else None,
        "whole": whole or len(within) < len(told),
    }


def _trend(drawn: Sequence[Mark], usual: float | None, changed: frozenset[RunId]) -> Data | None:
    """The runs, the oldest first; a bar of full height took the longest, or three times the usual."""
    taken = [mark.seconds for mark in drawn if mark.seconds is not None]
    if not taken:
        return None
    most = min(max(taken), 3 * usual) if usual else max(taken)
    width = 100 / max(len(drawn), 20)
    bars = [
        {
            "run": mark.id,
            "state": str(mark.state),
            "began": stamp(mark.began),
            "seconds": mark.seconds,
            "changed": mark.id in changed,
            "commit": mark.commit,
            "x": round(number * width, 3),
            "width": round(width * 0.8, 3),
            "height": tall(mark.seconds, most / 2 if most else None, _TREND),
        }
        for number, mark in enumerate(reversed(drawn))
    ]
    return {"bars": bars, "most": most, "usualAt": tall(usual, most / 2, _TREND) if usual and most else None}


def _failure(mark: Mark, first: FirstError | None) -> Data:
    return _line(mark) | {
        "target": first and first.target,
        "step": first and first.step,
        "error": first.error if first else mark.reason,
    }


def _why(mark: Mark, first: FirstError | None) -> str | None:
    """In a line: where it went wrong first, else what the run says."""
    if first is None:
        return mark.reason
    where = f" on {first.target}" if first.target not in (None, "-") else ""
    return f"{first.step}{where}: {first.error.partition(chr(10))[0][:_WHY]}"


def _line(mark: Mark) -> Data:
    return {
        "run": mark.id,
        "state": "dry run" if mark.dry_run else str(mark.state),
        "queuedAt": stamp(mark.queued_at),
        "startedAt": mark.started_at and stamp(mark.started_at),
        "finishedAt": mark.finished_at and stamp(mark.finished_at),
        "seconds": mark.seconds,
        "reason": mark.reason,
        "commit": mark.commit,
    }


def _sentence(past: Data, next_: Sequence[Data], at: datetime, *, defined: bool) -> str:
    row, parts = past["inARow"], []
    if row["state"] is None:
        parts.append("No run of it has ended yet")
    elif row["state"] == "failed":
        again = f"the last {row['count']} times" if row["count"] > 1 else "the last time"
        parts.append(f"It failed {again}")
    else:
        parts.append(
            f"It succeeded the last {row['count']} times" if row["count"] > 1 else "It succeeded the last time"
        )
    if past["usual"] is not None:
        parts.append(f"usually it takes {took(past['usual'])}")
    if not defined:
        parts.append("it is not defined any more")
    elif (first := next((one for one in next_ if one["decision"] == "run"), None)) is not None:
        ahead = max((datetime.fromisoformat(first["startsAt"]) - at).total_seconds(), 0.0)
        parts.append(f"it starts next in {took(ahead)}, by {first['schedule']}")
    else:
        parts.append("no schedule starts it next")
    return ", ".join(parts) + "."


# --- its concurrency group ---


def _group(conn: Connection, subject: Subject) -> Data | None:
    """Who holds places, and who waits, now."""
    document = subject.document
    if document is None:
        return None
    written = group_of_job(document) if isinstance(document, Job) else group_of(document.name, document.spec)
    concurrency = document.spec.concurrency
    own = has_expression(written)  # it depends on the params of each run
    if own:
        open_ = history.open_of(conn, subject.name, workflow=subject.workflow, limit=_IN_GROUP + 1)
    else:
        open_ = history.open_in(conn, written, _IN_GROUP + 1)
    return {
        "name": written,
        "limit": concurrency.limit,
        "onConflict": concurrency.on_conflict,
        "open": [brief_of(brief) for brief in open_[:_IN_GROUP]],
        "more": len(open_) > _IN_GROUP,
    }
