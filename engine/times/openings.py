"""When a window is open (DEFINITIONS 6): starts inclusive, ends exclusive, `duration` in elapsed time. Pure.

A cron start means times as a schedule's does by default: one that does not exist is the first instant after the gap,
one that comes twice is the first; where its hour field begins with `*`, both passes and nothing shifted.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from engine.times import coverage, cron, dst, recurrence, zones
from schemas.calendar import WindowSpec
from schemas.schedule import Dst

HORIZON = timedelta(days=2 * 366)
"""An opening without a pause that lasts longer than this, by cron, is taken to have no end. Daily windows of 24 hours
pause where clocks go back, from one last Sunday of October to the next: 371 days."""
_FAR = timedelta(days=40)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_FURTHER = 8
_FAR_FROM_THE_END = recurrence.END_OF_TIME - timedelta(days=20 * 366)
"""From then on the horizon, and the longest window, may reach beyond the end of time."""
_MINUTES_OF_DAY = 1_440
_MOST_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Opening:
    """[start, end) without a pause: what overlaps or touches is one. `end` is None where it has none."""

    start: datetime
    end: datetime | None

    def holds(self, instant: datetime) -> bool:
        """Whether the instant lies in it."""
        return self.start <= instant and (self.end is None or instant < self.end)


class Openings:
    """The openings of one window. What was worked out is kept: it is cheap to ask often, best in the order of time.

    The start of an opening is no earlier than `duration` before the first instant that was asked for.
    """

    def __init__(self, spec: WindowSpec, *, zone_default: str | None = None) -> None:
        self._spec = spec
        self._zone = spec.time_zone or zone_default or "UTC"
        self._from: datetime | None = None
        self._found: list[Opening] = []
        self._starts: list[datetime] = []
        self._more: Iterator[Opening] = iter(())

    def at(self, instant: datetime) -> Opening | None:
        """The opening in which an instant lies."""
        self._reach(instant)
        index = bisect_right(self._starts, instant) - 1
        return self._found[index] if index >= 0 and self._found[index].holds(instant) else None

    def after(self, instant: datetime) -> Opening | None:
        """The first opening that starts after an instant; None where there is none."""
        self._reach(instant)
        index = bisect_right(self._starts, instant)
        return self._found[index] if index < len(self._found) else None

    def change_after(self, instant: datetime) -> datetime | None:
        """The first later instant at which it opens or closes; None where it never does."""
        now, later = self.at(instant), self.after(instant)
        return now.end if now is not None else later.start if later is not None else None

    def between(self, start: datetime, end: datetime) -> Iterator[Opening]:
        """Those that have an instant in [start, end), oldest first."""
        opening = self.at(start) or self.after(start)
        while opening is not None and opening.start < end:
            yield opening
            opening = self.after(opening.start)

    def _reach(self, instant: datetime) -> None:
        """Know every opening up to the first that starts after the instant."""
        if self._from is None or instant < self._from or len(self._found) > _MOST_KEPT or self._far_behind(instant):
            self._from, self._found, self._starts = instant, [], []
            self._more = _openings(self._spec, self._zone, instant)
        while not self._starts or self._starts[-1] <= instant:
            opening = next(self._more, None)
            if opening is None:
                return
            self._found.append(opening)
            self._starts.append(opening.start)

    def _far_behind(self, instant: datetime) -> bool:
        """Whether beginning anew costs less than walking there."""
        return bool(self._starts) and instant - self._starts[-1] > _FAR and self._found[-1].end is not None


def _openings(spec: WindowSpec, zone: str, instant: datetime) -> Iterator[Opening]:
    """Those that hold the instant or start after it, and perhaps a few before."""
    if spec.from_ is not None and spec.until is not None:
        yield Opening(spec.from_, spec.until)
    elif spec.cron is not None and spec.duration is not None:
        # What nothing can start in, at the ends of time, is not looked through.
        begin = min(max(instant, recurrence.BEGIN_OF_TIME), recurrence.END_OF_TIME) - spec.duration
        read = cron.parse(spec.cron)
        if _always(read, spec.duration):
            yield Opening(begin, None)
            return
        starts = recurrence.by_cron(spec.cron, zone, Dst(), begin - recurrence.TICK)
        first = next(starts, None)
        if first is None or first > recurrence.END_OF_TIME:
            return
        if first < _FAR_FROM_THE_END and coverage.covers(read, spec.duration):
            yield from _hardly_paused(_Starts(read, zone), spec.duration, first)
        else:
            yield from _merged(first, starts, spec.duration)


def _always(read: cron.Cron, duration: timedelta) -> bool:
    """Whether it plainly never pauses, so that nobody need walk over a year of starts. Clocks jump by a day at most."""
    if len(read.months) < 12 or read.days is not None or read.weekdays is not None:
        return False
    return len(read.times) == _MINUTES_OF_DAY or duration >= 2 * _DAY


@dataclass(frozen=True, slots=True)
class _Starts:
    """When a cron opens a window by the clocks of a zone."""

    read: cron.Cron
    zone: str

    def changes(self, begin: datetime, end: datetime, duration: timedelta) -> Iterator[datetime]:
        """Changes of clocks in (begin, end] that may leave something out between intervals of this length."""
        for change, size in dst.changes(begin, end, zones.zone(self.zone)):
            # What follows elapsed time has no start in a gap, so that two pauses may be one.
            pause = (duration - size) / 2 if self.read.elapsed else duration - size
            if not coverage.covers(self.read, pause):
                yield change

    def around(self, instant: datetime, first: datetime) -> list[datetime]:
        """From the last one before an instant to the first one after it. `first` is one, and before it."""
        back = _HOUR
        while True:
            begin = max(first, instant - back)
            found: list[datetime] = []
            for start in recurrence.by_cron(self.read.text, self.zone, Dst(), begin - recurrence.TICK):
                if start < instant:
                    found = [start]
                    continue
                found.append(start)
                if start > instant:
                    break
            if begin == first or (found and found[0] < instant):
                return found
            back *= _FURTHER


def _hardly_paused(starts: _Starts, duration: timedelta, first: datetime) -> Iterator[Opening]:
    """The openings where only a change of clocks can leave something out: so it is looked at these alone."""
    while (pause := _pause(starts, duration, first)) is not None:
        last, begin = pause
        yield Opening(first, last + duration)
        first = begin
        if first >= _FAR_FROM_THE_END:
            more = recurrence.by_cron(starts.read.text, starts.zone, Dst(), first)
            yield from _merged(first, more, duration)
            return
    yield Opening(first, None)


def _pause(starts: _Starts, duration: timedelta, first: datetime) -> tuple[datetime, datetime] | None:
    """The first two starts within the horizon between which it is closed."""
    for change in starts.changes(first, first + HORIZON + duration + _DAY, duration):
        for last, start in pairwise(starts.around(change, first)):
            if start > last + duration:
                return (last, start) if last - first <= HORIZON else None
    return None


def _merged(first: datetime, starts: Iterator[datetime], duration: timedelta) -> Iterator[Opening]:
    """The openings, where `starts` are those after the first."""
    last = first
    for start in starts:
        if start > last + duration:
            yield Opening(first, last + duration)
            first = start
        elif start - first > HORIZON:
            yield Opening(first, None)
            return
        last = start
        if last > recurrence.END_OF_TIME:
            return
    yield Opening(first, last + duration)
