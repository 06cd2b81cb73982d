"""Jobs and time: a mark for every run, so that a pattern is seen at once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.states import RunState
from engine.status.yamltext import stamp
from journal import trends
from journal.trends import Active, Mark
from opsconductor.dashboard.drawing import across, tall
from opsconductor.dashboard.pages.page import Asked, Page, UnfitQuery, instant_of, number_of
from opsconductor.dashboard.sources import Data, Sources

RANGES: Mapping[str, timedelta] = {
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_ROWS = 20
"""Jobs that one page shows."""
_CELLS = 72
"""Runs of a job that one page shows: six hours of what starts every five minutes."""
_TOLD = 5
"""So many of the newest runs of a job stand in the table in any case."""
_COMPARED = 60
_NAMED = 5
_TICKS = 6
_QUIET = 100
_BAD = (RunState.FAILED, RunState.TIMED_OUT, RunState.UNKNOWN)
_LEAST = 3


async def load(sources: Sources, asked: Asked) -> Data:
    """The query has `range`, `until`, `name`, `label` (`key` or `key=value`), `state` and `page`."""
    at, catalog, query = sources.clock.now(), sources.engine.catalog, asked.query
    span = query.get("range") or "24h"
    if span not in RANGES:
        raise UnfitQuery(f"'range' is one of {', '.join(RANGES)}")
    state = query.get("state") or None
    if state is not None and state not in list(RunState):
        raise UnfitQuery(f"'state' is one of {', '.join(RunState)}")
    end = instant_of(query, "until", at + RANGES[span]) or at
    begin = end - RANGES[span]
    wanted = {name: query.get(name, "") for name in ("name", "label", "state")}

    def look(conn: Connection) -> Data:
        found = trends.active(conn, begin, end, None if state is None else RunState(state))
        chosen = [one for one in found if _fits(one, catalog, wanted["name"], wanted["label"])]
        pages = max(-(-len(chosen) // _ROWS), 1)
        page = min(number_of(query, "page", 1), pages)
        shown = chosen[(page - 1) * _ROWS : page * _ROWS]
        seen_to = trends.looked_back_to(conn)
        return {
            "sentence": _sentence(chosen, span, any(wanted.values())),
            "rows": [_row(conn, one, begin, end, at) for one in shown],
            "page": page,
            "pages": pages,
            "quiet": _quiet(catalog, found, wanted) if state is None else [],
            "lookedBackTo": stamp(seen_to) if seen_to is not None and seen_to > begin else None,
        }

    found = await sources.journal.read(look)
    return {
        "at": stamp(at),
        "from": stamp(begin),
        "to": stamp(end),
        "range": span,
        "earlier": stamp(begin),
        "later": stamp(min(end + RANGES[span], at)) if end < at else None,
        "until": stamp(end) if end != at else "",
        "filter": wanted,
        "told": _TOLD,
        "ranges": list(RANGES),
        "states": list(RunState),
        "ticks": [stamp(begin + (end - begin) * number / _TICKS) for number in range(_TICKS)],
        **found,
    }


PAGE = Page(
    "/grid",
    "grid",
    load,
    name="Grid",
    asks={
        "range": "How long: 24h where left out.",
        "until": "Its end, an instant: not so late that all of it is still to come; now where left out.",
        "name": "A part of the name.",
        "label": "A label as `key` or `key=value`.",
        "state": "The state of the last run.",
        "page": "From 1 on.",
    },
    gives=("from", "to", "range", "filter", "sentence", "rows", "page", "pages"),
)


def _fits(one: Active, catalog: Catalog | None, name: str, label: str) -> bool:
    return name.lower() in one.name.lower() and (not label or _has(_labels(catalog, one.name, one.workflow), label))


def _labels(catalog: Catalog | None, name: str, workflow: bool) -> Mapping[str, str]:
    known = {} if catalog is None else catalog.workflows if workflow else catalog.jobs
    document = known.get(name)
    return {} if document is None else document.metadata.labels


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _sentence(found: Sequence[Active], span: str, filtered: bool) -> str:
    which = " that match" if filtered else ""
    if not found:
        return f"No jobs{which} ran in these {span}."
    bad = [one.name for one in found if one.last in _BAD]
    if not bad:
        whom = f"None of the {len(found)} jobs{which} that" if len(found) > 1 else f"The only job{which} that"
        return f"{whom} ran in these {span} {'failed' if len(found) > 1 else 'did not fail'} the last time."
    named = ", ".join(bad[:_NAMED]) + (f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else "")
    return f"{len(bad)} of the {len(found)} jobs{which} that ran in these {span} failed the last time: {named}."


def _row(conn: Connection, one: Active, begin: datetime, end: datetime, at: datetime) -> Data:
    newest = trends.marks(conn, one.name, workflow=one.workflow, limit=_CELLS, up_to=one.newest)
    shown = [mark for mark in newest if begin <= mark.began < end]
    usual = _usual(newest)
    changed = trends.changed(conn, newest, most=_COMPARED)
    cells = [_cell(mark, usual, mark.id in changed, begin, end, at) for mark in reversed(shown)]
    return {
        "job": one.name,
        "workflow": one.workflow,
        "runs": one.runs,
        "last": "dry run" if one.last is None else str(one.last),
        "usual": usual,
        "bad": sum(mark.state in _BAD for mark in shown),
        "leftOut": max(one.runs - len(shown), 0),
        "cells": cells,
    }


def _usual(found: Iterable[Mark]) -> float | None:
    taken = [mark.seconds for mark in found if mark.state is RunState.SUCCEEDED and not mark.dry_run]
    known = [seconds for seconds in taken if seconds is not None]
    return round(median(known), 3) if len(known) >= _LEAST else None


def _cell(mark: Mark, usual: float | None, changed: bool, begin: datetime, end: datetime, at: datetime) -> Data:
    seconds = mark.seconds if mark.finished_at or not mark.started_at else (at - mark.started_at).total_seconds()
    return {
        "run": mark.id,
        "state": "dry run" if mark.dry_run else str(mark.state),
        "began": stamp(mark.began),
        "seconds": None if seconds is None else round(seconds, 3),
        "reason": mark.reason,
        "commit": mark.commit,
        "changed": changed,
        "x": across(mark.began, begin, end),
        "height": tall(seconds, usual),
    }


def _quiet(catalog: Catalog | None, found: Sequence[Active], wanted: Mapping[str, str]) -> list[Data]:
    """What is defined and did not run, as far as it fits the filter."""
    if catalog is None:
        return []
    ran = {(one.name, one.workflow) for one in found}
    defined = [(name, False) for name in sorted(catalog.jobs)] + [(name, True) for name in sorted(catalog.workflows)]
    calm = [Active(name, workflow, 0, RunState.SUCCEEDED) for name, workflow in defined if (name, workflow) not in ran]
    fitting = [one for one in calm if _fits(one, catalog, wanted["name"], wanted["label"])]
    return [{"job": one.name, "workflow": one.workflow} for one in fitting[:_QUIET]]
