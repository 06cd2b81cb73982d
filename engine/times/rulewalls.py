"""When a recurrence rule is due, as local wall times (naive, rising). Whatever the rule, the work for the next one is
bounded: nothing is walked through from the start on. For a COUNT it is counted what came before, once, by the days.

Follows RFC 5545 as dateutil does, with two differences (docs/adr): numbered and plain days of one BYDAY unite, as the
RFC says, and weeks counted from the end of a year (BYWEEKNO below zero) also reach its last days.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import islice, product
from math import ceil, gcd

from engine.times import rrule, ruledays
from engine.times.rrule import Rule

_SECONDS_OF_DAY = 86_400
_UNITS = {"HOURLY": 3_600, "MINUTELY": 60, "SECONDLY": 1}
_SECOND = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_LAST_SECOND = time(23, 59, 59)
_NEVER = datetime(ruledays.LAST_YEAR, 1, 1)  # noqa: DTZ001 -- a wall time has no zone
START = datetime(1970, 1, 1)  # noqa: DTZ001
"""Where a rule without a start begins: a Thursday, at midnight."""


@lru_cache(maxsize=8192)
def walls_of(text: str, start: datetime | None) -> "Walls":
    """What a rule means from a start on. Raises engine.times.rrule.RuleError."""
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


class Walls:
    """The wall times of one rule from one start on."""

    def __init__(self, rule: Rule, start: datetime) -> None:
        self.rule = rule
        self._start = start
        self._filled = ruledays.filled(rule, start)
        self._tests = ruledays.tests_of(self._filled)
        self._left_out = _ExDates(rule.exdates)
        self._known: dict[date, tuple[date, ...]] = {}
        self._counted = (start, 0)
        """How many wall times come before an instant: so far it was counted, and COUNT was not reached."""
        self._over: datetime | None = None
        """From where on COUNT is reached, as far as that is known."""

    @property
    def elapsed(self) -> bool:
        """Whether it follows elapsed time: HOURLY and finer do."""
        return self.rule.elapsed

    @cached_property
    def instants_left_out(self) -> frozenset[datetime]:
        """EXDATE in UTC, as instants: which of its wall times they are, the zone of whoever asks says."""
        return frozenset(_instant(text) for text in self.rule.exdates if text.endswith("Z"))

    def after(self, begin: datetime, until: datetime) -> Iterator[datetime]:
        """Those in [begin, until], EXDATE left out where it is in local time."""
        begin, until = max(begin, self._start), min(until.replace(microsecond=0), self.last)
        found = self._between(begin, until)
        if self.rule.count is not None:
            found = islice(found, self.rule.count - self._passed(begin))
        return (wall for wall in found if wall not in self._left_out)

    def count(self, begin: datetime, until: datetime) -> int:
        """How many `after` gives, without walking over those of times that are all alike."""
        begin, until = max(begin, self._start), min(until.replace(microsecond=0), self.last)
        left_out = (self._among(max(begin, first), min(until, last)) for first, last in self._left_out.spans)
        return self._among(begin, until) - sum(left_out)

    def _among(self, begin: datetime, until: datetime) -> int:
        """How many there are in [begin, until], EXDATE apart."""
        if begin > until:
            return 0
        return (
            self._number(begin, until)
            if self.rule.count is None
            else self._passed(until + _SECOND) - self._passed(begin)
        )

    def _passed(self, begin: datetime) -> int:
        """How many come before `begin`, which is no earlier than the start: as many as COUNT says at most.

        What was counted is not counted again.
        """
        most = self.rule.count or 0
        if self._over is not None and begin >= self._over:
            return most
        until, number = self._counted
        if begin > until:
            number += self._number(until, begin - _TICK, most - number)
        elif until - begin < begin - self._start:
            number -= self._number(begin, until - _TICK)
        else:
            number = self._number(self._start, begin - _TICK, most)
        if number >= most:
            self._over = begin if self._over is None else min(begin, self._over)
            return most
        if begin > until:
            self._counted = (begin, number)
        return number

    # --- how many ----------------------------------------------------------------------------------------------------

    def _number(self, begin: datetime, until: datetime, most: int | None = None) -> int:
        """How many there are in [begin, until], COUNT and EXDATE apart; of more than `most` it may say that many."""
        if begin > until:
            return 0
        if self._daily is not None:
            return self._of_days(begin, until, self._daily)
        found = 0
        for more in self._of_unlike_days(begin, until) if self.elapsed else self._of_periods(begin, until):
            found += more
            if most is not None and found >= most:
                break
        return found

    def _of_days(self, begin: datetime, until: datetime, daily: int) -> int:
        if begin.date() >= until.date():
            return self._of_a_day(begin, until)
        first = datetime.combine(begin.date() + _DAY, time.min)
        last = datetime.combine(until.date(), time.min)
        if self._every_day:
            days = max(0, (last - first).days)
        else:
            days = sum(1 for _ in self._days_between(first.date(), last.date()))
        return daily * days + self._of_a_day(begin, first - _SECOND) + self._of_a_day(last, until)

    def _of_unlike_days(self, begin: datetime, until: datetime) -> Iterator[int]:
        """By day, of hours and finer whose interval does not divide it."""
        for number, day, end in ruledays.periods(self._filled, self._start.date(), begin.date()):
            midnight, over = datetime.combine(day, time.min), datetime.combine(end, time.min)
            if midnight > until:
                return
            if not any(ruledays.days(self._filled, self._tests, day, end)):
                continue
            whole = self._slots.whole_day(number) if begin <= midnight and over <= until else None
            yield (
                sum(1 for _ in self._between(max(begin, midnight), min(until, over - _SECOND)))
                if whole is None
                else whole
            )

    def _of_periods(self, begin: datetime, until: datetime) -> Iterator[int]:
        """By period, of those that BYSETPOS chooses."""
        for first, places, wall in self._periods(begin):
            if first > until.date():
                return
            yield bisect_right(places, until, key=wall) - bisect_left(places, begin, key=wall)

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

    @cached_property
    def _every_day(self) -> bool:
        """Whether plainly no day is left out."""
        often = self.elapsed or (self.rule.frequency == "DAILY" and self.rule.interval == 1)
        return often and not self._tests and "BYMONTH" not in self._filled.by

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
        for first, places, wall in self._periods(begin):
            if first > until.date():
                return
            yield from (wall(place) for place in places[bisect_left(places, begin, key=wall) :])

    def _periods(self, begin: datetime) -> Iterator[tuple[date, "range | list[int]", Callable[[int], datetime]]]:
        """From the one of `begin` on: its first day, the places in it, and the wall time of each.

        BYSETPOS counts in the week in which a weekly rule begins from its beginning, as dateutil reads it.
        """
        clock, start = self._clock, self._start.date()
        for _, first, end in ruledays.periods(self._filled, start, begin.date()):
            days = self._days(first, end)
            if self.rule.frequency == "WEEKLY" and self.rule.positions and first < start < end:
                days = tuple(day for day in days if day >= start)

            def wall(place: int, days: tuple[date, ...] = days) -> datetime:
                day, at = divmod(place, len(clock))
                return datetime.combine(days[day], clock[at])

            yield first, _chosen(range(len(days) * len(clock)), self.rule.positions), wall

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

    def whole_day(self, number: int) -> int | None:
        """How many there are in the day that is `number` days after the start's; None where one must look."""
        if len(self.clock) != self._count:
            return None
        return len(range((self.base - number * self._count) % self.interval, self._count, self.interval)) * len(
            self.within
        )

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
    """The days and local times that a rule leaves out."""

    def __init__(self, exdates: tuple[str, ...]) -> None:
        texts = [text for text in exdates if not text.endswith("Z")]
        self._days = {_read(text).date() for text in texts if "T" not in text}
        self._walls = {_read(text) for text in texts if "T" in text}

    def __contains__(self, wall: datetime) -> bool:
        return wall in self._walls or wall.date() in self._days

    @property
    def spans(self) -> Iterator[tuple[datetime, datetime]]:
        """The same as spans of time, from a first second to a last one; no two have one in common."""
        yield from ((datetime.combine(day, time.min), datetime.combine(day, _LAST_SECOND)) for day in self._days)
        yield from ((wall, wall) for wall in self._walls if wall.date() not in self._days)


def until_instant(rule: Rule) -> datetime | None:
    """The last instant of an UNTIL in UTC; None where it has none, or one in local time."""
    until = rule.until
    return _instant(until) if until is not None and until.endswith("Z") else None


def _instant(text: str) -> datetime:
    return _read(text[:-1]).replace(tzinfo=UTC)


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S" if "T" in text else "%Y%m%d")  # noqa: DTZ007 -- wall time
