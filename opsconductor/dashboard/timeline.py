"""A run as bars over time: the waits before, each place's attempts, and the pauses between them. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from engine.runs.pinned import is_nested
from engine.states import StepState
from engine.status.views import RunView
from engine.status.yamltext import stamp
from journal.attempts import Attempt
from opsconductor.dashboard.drawing import across
from opsconductor.dashboard.sources import Data

_LANE = 11
_FIRST = 14
_MOST_LANES = 4
_THIN = 4
_SHORTEST = 0.15
"""Per cent of the width that even the shortest bar has."""


def timeline(run: RunView, attempts: Iterable[Attempt], at: datetime) -> Data | None:
    """None for a run that has not started. Bars are in per cent of the time from the wish for it to its end, or now.

    Of a run that has ended, an attempt without an end was taken in from the status branch, which has no times of steps:
    nothing is drawn of it, and `unknown` names the places where nothing else is known.
    """
    if run.started_at is None:
        return None
    begin, end = run.queued_at, max(run.finished_at or at, run.started_at)
    if end <= begin:
        return None
    by_place: dict[str, list[Attempt]] = {}
    for one in attempts:
        by_place.setdefault(one.target, []).append(one)
    known = {name: [one for one in found if _is_known(one, run)] for name, found in by_place.items()}
    return {
        "from": stamp(begin),
        "to": stamp(end),
        "waited": across(run.started_at, begin, end),
        "rows": {name: _row(found, run.started_at, begin, end) for name, found in known.items() if found},
        "unknown": sorted(name for name, found in known.items() if not found),
    }


def _is_known(one: Attempt, run: RunView) -> bool:
    return one.ended_at is not None or run.finished_at is None


def _row(found: Sequence[Attempt], started: datetime, begin: datetime, end: datetime) -> Data:
    """One place. Attempts of a step are stacked; what a step consists of is thin and lies under it."""
    lanes = min(max((one.number for one in found if not is_nested(one.step)), default=1), _MOST_LANES)
    return {
        "height": _FIRST + (lanes - 1) * _LANE + _THIN + 2,
        "bars": [_bar(one, lanes, begin, end) for one in found],
        "waits": list(_waits(found, started, begin, end)),
    }


def _bar(one: Attempt, lanes: int, begin: datetime, end: datetime) -> Data:
    left = across(one.started_at, begin, end)
    right = across(one.ended_at or end, begin, end)
    nested = is_nested(one.step)
    return {
        "step": one.step if one.phase == "steps" else f"{one.phase}/{one.step}",
        "attempt": one.number,
        "state": str(StepState.UNKNOWN if one.is_over_unseen else one.state),
        "seconds": None if one.ended_at is None else round((one.ended_at - one.started_at).total_seconds(), 3),
        "x": left,
        "width": round(max(right - left, _SHORTEST), 3),
        "y": _FIRST + (lanes - 1) * _LANE if nested else (min(one.number, _MOST_LANES) - 1) * _LANE + 1,
        "height": _THIN if nested else _LANE - 1,
    }


def _waits(found: Sequence[Attempt], started: datetime, begin: datetime, end: datetime) -> Iterator[Data]:
    """The times in which nothing of the place went on: before its turn, and between attempts and steps."""
    free = started
    for one in sorted(found, key=lambda one: one.started_at):
        if one.started_at > free:
            left, right = across(free, begin, end), across(one.started_at, begin, end)
            if right - left >= _SHORTEST:
                yield {"x": left, "width": round(right - left, 3)}
        free = max(free, one.ended_at or end)
