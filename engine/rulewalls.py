"""When a recurrence rule is due, as local wall times (naive, rising). Whatever the rule, the work for the next one is
bounded: nothing is walked through from the start on, except once for a COUNT.

Follows RFC 5545 as dateutil does, with two differences (docs/adr): numbered and plain days of one BYDAY unite, as the
RFC says, and weeks counted from the end of a year (BYWEEKNO below zero) also reach its last days.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import islice, product
from math import ceil, gcd

from engine import rrule, ruledays
from engine.rrule import Rule

_SECONDS_OF_DAY = 86_400
_UNITS = {"HOURLY": 3_600, "MINUTELY": 60, "SECONDLY": 1}
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_NEVER = datetime(ruledays.LAST_YEAR, 1, 1)  # noqa: DTZ001 -- a wall time has no zone
START = datetime(1970, 1, 1)  # noqa: DTZ001
"""Where a rule without a start begins: a Thursday, at midnight."""


@lru_cache(maxsize=8192)
def walls_of(text: str, start: datetime | None) -> "Walls":
    """What a rule means from a start on. Raises engine.rrule.RuleError."""
    return Walls(rrule.parse(text), start or START)


@dataclass(frozen=True, slots=True)
class _Clock:
    """The times of a day that three lists of numbers make, in order, by their place: never as a list of them all."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def __getitem__(self, place: int) -> time:
        place, second = divmod(place, len(self.seconds))
        hour, minute = divmod(place, len(self.minutes))
        return time(self.hours[hour], self.minutes[minute], self.seconds[second])


@dataclass(frozen=True, slots=True)
class _Count:
    """How many wall times there are up to `until`, and the last of all, once it is known."""

    until: datetime
    number: int
    end: datetime | None


class Walls:
    """The wall times of one rule from one start on."""

    def __init__(self, rule: Rule, start: datetime) -> None:
        self.rule = rule
        self._start = start
        self._filled = ruledays.filled(rule, start)
        self._tests = ruledays.tests_of(self._filled)
        self._left_out = _ExDates(rule.exdates)
        self._known: dict[date, tuple[date, ...]] = {}
        self._count = _Count(start - _SECOND, 0, None)

    @property
    def elapsed(self) -> bool:
        """Whether it follows elapsed time: HOURLY and finer do."""
        return self.rule.elapsed

    def after(self, begin: datetime, until: datetime) -> Iterator[datetime]:
        """Those in [begin, until], EXDATE left out."""
        until = min(until.replace(microsecond=0), self.last)
        found = self._between(max(begin, self._start), until if self.rule.count is None else self._counted(until))
        return (wall for wall in found if wall not in self._left_out)

    def count(self, begin: datetime, until: datetime) -> int:
        """How many `after` gives, without walking over the times of whole days where all days are alike."""
        daily = self._daily
        if daily is None or self.rule.count is not None or self.rule.exdates:
            return sum(1 for _ in self.after(begin, until))
        begin, until = max(begin, self._start), min(until, self.last)
        if begin.date() >= until.date():
            return self._of_a_day(begin, until)
        first = datetime.combine(begin.date() + _DAY, time.min)
        last = datetime.combine(until.date(), time.min)
        within = daily * sum(1 for _ in self._days_between(first.date(), last.date()))
        return within + self._of_a_day(begin, first - _SECOND) + self._of_a_day(last, until)

    def _of_a_day(self, begin: datetime, until: datetime) -> int:
        """How many there are in [begin, until], which lie in one day, where each day has as many."""
        if begin > until or not any(self._days_between(begin.date(), begin.date() + _DAY)):
            return 0
        # what begins in the middle of a second begins with the next
        passed = ceil((begin - datetime.combine(begin.date(), time.min)) / _SECOND)
        return self._times_before(_second_of(until) + 1) - self._times_before(passed)

    def _times_before(self, second: int) -> int:
        """How many of its times come before a second of any of its days, found by place."""
        if self.elapsed:
            return self._slots.before(second)
        return bisect_left(range(len(self._clock)), second, key=lambda place: _second_of(self._clock[place]))

    @cached_property
    def _daily(self) -> int | None:
        """How many times each of its days has; None where days differ, or one must look."""
        if not self.elapsed:
            return None if self.rule.positions else len(self._clock)
        if _SECONDS_OF_DAY // _UNITS[self.rule.frequency] % self.rule.interval:
            return None
        return self._slots.before(_SECONDS_OF_DAY)

    def _days_between(self, first: date, end: date) -> Iterator[date]:
        for _, begin, over in ruledays.periods(self._filled, self._start.date(), first):
            if begin >= end:
                return
            yield from (day for day in self._days(begin, over) if first <= day < end)

    @cached_property
    def last(self) -> datetime:
        """No wall time comes after it."""
        until = self.rule.until
        if until is None or until.endswith("Z"):
            return _NEVER
        return _read(until)

    def _counted(self, until: datetime) -> datetime:
        """The last of COUNT where it comes before `until`, else that. What was counted is not counted again."""
        known = self._count
        if known.end is None and known.until < until:
            left = (self.rule.count or 0) - known.number
            found = list(islice(self._between(known.until + _SECOND, until), left))
            known = _Count(until, known.number + len(found), found[-1] if found and len(found) == left else None)
            self._count = known
        return until if known.end is None else min(until, known.end)

    def _between(self, begin: datetime, until: datetime) -> Iterator[datetime]:
        if begin > until:
            return
        if self.rule.frequency == "DAILY" and not _chosen(range(len(self._clock)), self.rule.positions):
            return  # no day has so many times
        found = self._fine(begin, until) if self.elapsed else self._coarse(begin, until)
        for wall in found:
            if wall > until:
                return
            yield wall

    # --- YEARLY, MONTHLY, WEEKLY, DAILY ---------------------------------------------------------------------------

    def _coarse(self, begin: datetime, until: datetime) -> Iterator[datetime]:
        clock = self._clock
        for _, first, end in ruledays.periods(self._filled, self._start.date(), begin.date()):
            if first > until.date():
                return
            days = self._days(first, end)
            places = range(len(days) * len(clock))
            chosen = _chosen(places, self.rule.positions)

            def wall(place: int, days: tuple[date, ...] = days) -> datetime:
                day, at = divmod(place, len(clock))
                return datetime.combine(days[day], clock[at])

            yield from (wall(place) for place in chosen[bisect_left(chosen, begin, key=wall) :])

    @cached_property
    def _clock(self) -> _Clock:
        return _Clock(*(self._numbers(part, 0) for part in ("BYHOUR", "BYMINUTE", "BYSECOND")))

    def _numbers(self, part: str, most: int) -> tuple[int, ...]:
        """Sorted; all below `most` where the rule does not say."""
        return tuple(sorted({int(number) for number in self._filled.by.get(part, range(most))}))

    def _days(self, first: date, end: date) -> tuple[date, ...]:
        found = self._known.get(first)  # once: another thread may clear it
        if found is None:
            if len(self._known) >= 16:
                self._known.clear()
            found = self._known[first] = tuple(ruledays.days(self._filled, self._tests, first, end))
        return found

    # --- HOURLY, MINUTELY, SECONDLY ------------------------------------------------------------------------------

    def _fine(self, begin: datetime, until: datetime) -> Iterator[datetime]:
        if not self._slots.ever:
            return
        for number, day, end in ruledays.periods(self._filled, self._start.date(), begin.date()):
            if day > until.date():
                return
            if not any(ruledays.days(self._filled, self._tests, day, end)):
                continue
            midnight = datetime.combine(day, time.min)
            passed = max(0, int((begin - midnight).total_seconds()))
            for second in self._slots.of_day(number, passed):
                if (wall := midnight + timedelta(seconds=second)) >= begin:
                    yield wall

    @cached_property
    def _slots(self) -> "_Slots":
        unit = _UNITS[self.rule.frequency]
        hours, minutes, seconds = (
            self._numbers(part, most) for part, most in (("BYHOUR", 24), ("BYMINUTE", 60), ("BYSECOND", 60))
        )
        within = {
            "HOURLY": [minute * 60 + second for minute, second in product(minutes, seconds)],
            "MINUTELY": list(seconds),
            "SECONDLY": [0],
        }[self.rule.frequency]
        chosen = [within[place] for place in _chosen(range(len(within)), self.rule.positions)]
        passed = self._start.hour * 3_600 + self._start.minute * 60 + self._start.second
        clock = _Clock(hours, minutes if unit < 3_600 else (0,), seconds if unit < 60 else (0,))
        return _Slots(unit, self.rule.interval, passed // unit, clock, tuple(chosen))


@dataclass(frozen=True)
class _Slots:
    """The hours, minutes or seconds of a day that a fine rule names, `unit` seconds each; `base` is the start's own."""

    unit: int
    interval: int
    base: int
    clock: _Clock
    within: tuple[int, ...]
    """The seconds after a slot's begin, sorted."""

    @property
    def _count(self) -> int:
        return _SECONDS_OF_DAY // self.unit

    @cached_property
    def ever(self) -> bool:
        """False where no slot is ever reached, so that nobody looks for it day by day."""
        step = gcd(self.interval, self._count)
        return bool(self.within) and any((slot - self.base) % step == 0 for slot in self._from(0))

    def of_day(self, number: int, passed: int) -> Iterator[int]:
        """The seconds of the day that is `number` days after the start's: those from `passed` on, and a few before."""
        offset = (self.base - number * self._count) % self.interval
        first = passed // self.unit
        if self._count // self.interval < len(self.clock):
            begin = first + (offset - first) % self.interval
            slots = (slot for slot in range(begin, self._count, self.interval) if self._names(slot))
        else:
            slots = (slot for slot in self._from(first) if slot % self.interval == offset)
        yield from (slot * self.unit + second for slot in slots for second in self.within)

    def before(self, second: int) -> int:
        """How many there are before a second of a day, where all days are alike: `interval` divides the day."""
        slot, rest = divmod(second, self.unit)
        offset = self.base % self.interval
        if self.interval == 1:
            slots = bisect_left(range(len(self.clock)), slot, key=self._slot)
        elif len(self.clock) == self._count:
            slots = len(range(offset, slot, self.interval))
        else:
            slots = sum(1 for named in range(offset, slot, self.interval) if self._names(named))
        reached = rest > 0 and slot % self.interval == offset and self._names(slot)
        return slots * len(self.within) + (bisect_left(self.within, rest) if reached else 0)

    def _from(self, first: int) -> Iterator[int]:
        """The slots of any day from one on."""
        places = range(len(self.clock))
        begin = bisect_left(places, first, key=self._slot)
        return (self._slot(place) for place in places[begin:])

    def _slot(self, place: int) -> int:
        at = self.clock[place]
        return (at.hour * 3_600 + at.minute * 60 + at.second) // self.unit

    def _names(self, slot: int) -> bool:
        minutes, second = divmod(slot * self.unit, 60)
        hour, minute = divmod(minutes, 60)
        return hour in self.clock.hours and minute in self.clock.minutes and second in self.clock.seconds


def _chosen(places: range, positions: tuple[int, ...]) -> "range | list[int]":
    """All places, or of them those of BYSETPOS."""
    if not positions:
        return places
    total = len(places)
    found = {place - 1 if place > 0 else total + place for place in positions if abs(place) <= total}
    return sorted(found)


def _second_of(moment: datetime | time) -> int:
    """The second of its day."""
    return moment.hour * 3_600 + moment.minute * 60 + moment.second


class _ExDates:
    """The days and times that a rule leaves out."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._days = {_read(text).date() for text in texts if "T" not in text}
        self._walls = {_read(text) for text in texts if "T" in text}

    def __contains__(self, wall: datetime) -> bool:
        return wall in self._walls or wall.date() in self._days


def until_instant(rule: Rule) -> datetime | None:
    """The last instant of an UNTIL in UTC; None where it has none, or one in local time."""
    until = rule.until
    return _read(until[:-1]).replace(tzinfo=UTC) if until is not None and until.endswith("Z") else None


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S" if "T" in text else "%Y%m%d")  # noqa: DTZ007 -- wall time
