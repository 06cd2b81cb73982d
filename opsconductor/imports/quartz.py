"""Schedules of Quartz, as Rundeck has them: seconds first, a year last, `?`, `L` and `#` (CronExpression of Quartz)."""

import re

from opsconductor.imports.calendarspec import Event, Numbers, timing
from opsconductor.imports.crontime import CarryError, Timing

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_PART = re.compile(r"(\*|\w+)(?:-(\w+))?(?:/(\d{1,4}))?", re.ASCII)
_NTH = re.compile(r"(\w+)#([1-5])", re.ASCII)
_LAST = re.compile(r"(\w+)L", re.ASCII)
_FROM_END = re.compile(r"L(?:-(\d{1,2}))?", re.ASCII)


def schedule(fields: list[str], zone: str) -> Timing:
    """Seconds, minutes, hours, day of month, month, day of week and, if there is one, the year. Raises CarryError."""
    if len(fields) not in (6, 7):
        raise CarryError(
            f"there are {len(fields)} fields",
            "Quartz has seconds, minutes, hours, day, month, weekday and perhaps year",
        )
    second, minute, hour, day, month, weekday = (field.strip().upper() or "*" for field in fields[:6])
    year = fields[6].strip() if len(fields) == 7 else "*"
    weekdays, among = _weekday(weekday)
    days = _day(day)
    if among is not None:
        if days is not None:
            raise CarryError("a day of the month and a day of the week together", "write two Schedules")
        days = among
    return timing(
        Event(
            weekdays,
            _numbers(year, 1970, 2199),
            _numbers(month, 1, 12, _MONTHS, 1),
            days,
            _numbers(hour, 0, 23),
            _numbers(minute, 0, 59),
            _numbers(second, 0, 59),
        ),
        zone,
    )


def _weekday(text: str) -> tuple[Numbers, Numbers]:
    """Days from Monday, 0, and the days of the month that they must fall on."""
    if (found := _NTH.fullmatch(text)) is not None:
        first = 7 * int(found[2]) - 6
        return _monday(_numbers(found[1], 1, 7, _DAYS, 1)), tuple(range(first, min(first + 7, 32)))
    if (found := _LAST.fullmatch(text)) is not None and text != "L":
        return _monday(_numbers(found[1], 1, 7, _DAYS, 1)), tuple(range(-7, 0))
    return _monday(_numbers("7" if text == "L" else text, 1, 7, _DAYS, 1)), None


def _monday(days: Numbers) -> Numbers:
    return None if days is None else tuple(sorted((day - 2) % 7 for day in days))


def _day(text: str) -> Numbers:
    if (found := _FROM_END.fullmatch(text)) is not None:
        return (-1 - int(found[1] or 0),)
    if "W" in text:
        raise CarryError("W, the weekday that is nearest", "use a Calendar of workdays")
    return _numbers(text, 1, 31)


def _numbers(text: str, low: int, high: int, names: tuple[str, ...] = (), first: int = 0) -> Numbers:
    if text in ("*", "?"):
        return None
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise CarryError(f"'{part}' is nothing that Quartz knows here", "look at the field in Rundeck")
        start = low if match[1] == "*" else _number(match[1], names, first)
        stop = _number(match[2], names, first) if match[2] else high if match[3] or match[1] == "*" else start
        step = int(match[3] or 1)
        if not (low <= start <= high and low <= stop <= high and step):
            raise CarryError(f"'{part}' is out of range", f"from {low} to {high}")
        # a range may run over the end: FRI-MON, 22-2
        around = high - low + 1
        found |= {
            (value - low) % around + low for value in range(start, (stop if stop >= start else stop + around) + 1, step)
        }
    return None if len(found) == high - low + 1 else tuple(sorted(found))


def _number(text: str, names: tuple[str, ...], first: int) -> int:
    if text.isdecimal():
        return int(text)
    if text[:3] in names:
        return names.index(text[:3]) + first
    raise CarryError(f"'{text}' is nothing that Quartz knows here", "look at the field in Rundeck")
