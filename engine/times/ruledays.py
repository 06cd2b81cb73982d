"""The days that a recurrence rule names within one of its periods (RFC 5545, 3.3.10; YEARLY to DAILY, and finer).

A period is a year, a month, a week or a day of the proleptic calendar. Every BY part that is given must name a day;
which days the start stands for where none is given is said by `filled`.
"""

from calendar import isleap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from engine.times.rrule import DAYS, FREQUENCIES, Rule

_DAY = timedelta(days=1)
_DAYS_OF_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY_PARTS = frozenset({"BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY"})
_TIME_PARTS = (("BYHOUR", "HOURLY"), ("BYMINUTE", "MINUTELY"), ("BYSECOND", "SECONDLY"))
FIRST_YEAR, LAST_YEAR = 20, 9980
"""Nothing is due before the first, and nothing in the last or later."""

Period = tuple[int, date, date]
"""The number of a period since the one of the start, its first day, and the first day after it."""


def filled(rule: Rule, start: datetime) -> Rule:
    """The rule with everything that it leaves to its start said by BY parts."""
    by: dict[str, tuple[int | str, ...]] = dict(rule.by)
    nth = rule.nth
    if not _DAY_PARTS & by.keys():
        match rule.frequency:
            case "YEARLY":
                by.setdefault("BYMONTH", (start.month,))
                by["BYMONTHDAY"] = (start.day,)
            case "MONTHLY":
                by["BYMONTHDAY"] = (start.day,)
            case "WEEKLY":
                by["BYDAY"] = (DAYS[start.weekday()],)
                nth = ((0, DAYS[start.weekday()]),)
    given = {"BYHOUR": start.hour, "BYMINUTE": start.minute, "BYSECOND": start.second}
    for part, frequency in _TIME_PARTS:
        if FREQUENCIES.index(rule.frequency) < FREQUENCIES.index(frequency):
            by.setdefault(part, (given[part],))
    return replace(rule, by=by, nth=nth)


def periods(rule: Rule, start: date, after: date) -> Iterator[Period]:
    """The rule's periods, from the one of `start` on, without those that are over before the day `after`."""
    match rule.frequency:
        case "YEARLY":
            yield from _years(rule.interval, start, after)
        case "MONTHLY":
            yield from _months(rule.interval, start, after)
        case "WEEKLY":
            first = start.toordinal() - (start.weekday() - DAYS.index(rule.week_start)) % 7
            yield from _spans(rule.interval, first, after, 7)
        case "DAILY":
            yield from _spans(rule.interval, start.toordinal(), after, 1, rule.by.get("BYMONTH"))
        case _:
            yield from _spans(1, start.toordinal(), after, 1, rule.by.get("BYMONTH"))


def _years(interval: int, start: date, after: date) -> Iterator[Period]:
    number = max(0, (after.year - start.year) // interval)
    while (year := start.year + number * interval) < LAST_YEAR:
        yield number, date(year, 1, 1), date(year + 1, 1, 1)
        number += 1


def _months(interval: int, start: date, after: date) -> Iterator[Period]:
    begin = start.year * 12 + start.month - 1
    number = max(0, (after.year * 12 + after.month - 1 - begin) // interval)
    while (month := begin + number * interval) < LAST_YEAR * 12:
        yield number, _month(month), _month(month + 1)
        number += 1


def _month(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


def _spans(
    interval: int, start: int, after: date, length: int, months: Sequence[int | str] | None = None
) -> Iterator[Period]:
    """Of those of a day, the ones in other months than are named are passed over at once.

    `start` is an ordinal: the week of the first days of the year 1 may begin before it.
    """
    number = max(0, (after.toordinal() - start) // (length * interval))
    while (days := start + number * interval * length) < date(LAST_YEAR, 1, 1).toordinal():
        first = date.fromordinal(max(days, 1))
        if months is not None and first.month not in months:
            number = -((start - _next_month(first).toordinal()) // (length * interval))
            continue
        yield number, first, date.fromordinal(days + length)
        number += 1


Test = Callable[[date], bool]


def days(rule: Rule, tests: Sequence[Test], begin: date, end: date) -> Iterator[date]:
    """The days in [begin, end) that a `filled` rule names; `tests` are its own."""
    months = rule.by.get("BYMONTH")
    day = begin
    while day < end:
        if months is not None and day.month not in months:
            day = _next_month(day)
            continue
        if all(test(day) for test in tests):
            yield day
        day += _DAY


def _next_month(day: date) -> date:
    return _month(day.year * 12 + day.month)


def tests_of(rule: Rule) -> tuple[Test, ...]:
    """What a day must pass, months apart. A number before a BYDAY counts in its month, in its year where the rule is
    YEARLY without BYMONTH."""
    by = rule.by
    in_year = rule.frequency == "YEARLY" and "BYMONTH" not in by
    week_start = DAYS.index(rule.week_start)
    made: Mapping[str, Test] = {
        "BYMONTHDAY": lambda day: _counted(day.day, _days_of_month(day), by["BYMONTHDAY"]),
        "BYYEARDAY": lambda day: _counted(_day_of_year(day), _days_of_year(day.year), by["BYYEARDAY"]),
        "BYWEEKNO": lambda day: _counted(*_week_of(day, week_start), by["BYWEEKNO"]),
        "BYDAY": lambda day: any(_is_nth(day, number, name, in_year=in_year) for number, name in rule.nth),
    }
    return tuple(test for part, test in made.items() if part in by)


def _counted(number: int, total: int, wanted: tuple[int | str, ...]) -> bool:
    """Whether it is wanted, counted from the begin or, below zero, from the end."""
    return number in wanted or number - total - 1 in wanted


def _is_nth(day: date, number: int, name: str, *, in_year: bool) -> bool:
    if day.weekday() != DAYS.index(name):
        return False
    if number == 0:
        return True
    at, total = (_day_of_year(day), _days_of_year(day.year)) if in_year else (day.day, _days_of_month(day))
    return (at - 1) // 7 + 1 == number if number > 0 else (total - at) // 7 + 1 == -number


def _day_of_year(day: date) -> int:
    return day.toordinal() - date(day.year, 1, 1).toordinal() + 1


def _days_of_year(year: int) -> int:
    return 366 if isleap(year) else 365


def _days_of_month(day: date) -> int:
    return 29 if day.month == 2 and isleap(day.year) else _DAYS_OF_MONTH[day.month - 1]


def _week_of(day: date, week_start: int) -> tuple[int, int]:
    """The number of a day's week, and how many weeks its year has. The first week has four days of the year or more."""
    year, number = day.year, day.toordinal()
    if number >= _first_week(year + 1, week_start):
        year += 1
    elif number < _first_week(year, week_start):
        year -= 1
    first = _first_week(year, week_start)
    return (number - first) // 7 + 1, (_first_week(year + 1, week_start) - first) // 7


def _first_week(year: int, week_start: int) -> int:
    """The ordinal of its first day, which is no date where it lies before the year 1; nor has the year 0 dates."""
    before = year - 1
    fourth = before * 365 + before // 4 - before // 100 + before // 400 + 4
    return fourth - (fourth - 1 - week_start) % 7  # ordinal 1 is a Monday
