"""Calendar events and time spans as systemd.time(7) has them, as the time of a Schedule."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from engine.times.zones import names as zone_names
from engine.times.zones import zone
from opsconductor.imports.crontime import CarryError, Timing
from schemas.quantities import format_duration, format_instant

_WORDS = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "biannually": "*-01,07-01 00:00:00",
    "bi-annually": "*-01,07-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_RULE_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LONGEST = 1_000
_YEARS = (1970, 2199)
_PART = re.compile(r"(\d{1,4})(?:\.\.(\d{1,4}))?(?:/(\d{1,4}))?", re.ASCII)
_FRACTION = re.compile(r"\d\.\d")
_STAMP = re.compile(r"@(\d{1,11})", re.ASCII)
_UNITS: dict[str, Fraction | int] = {
    **dict.fromkeys(("usec", "us", "μs", "µs"), Fraction(1, 1_000_000)),
    **dict.fromkeys(("msec", "ms"), Fraction(1, 1_000)),
    **dict.fromkeys(("seconds", "second", "sec", "s", ""), 1),
    **dict.fromkeys(("minutes", "minute", "min", "m"), 60),
    **dict.fromkeys(("hours", "hour", "hr", "h"), 3600),
    **dict.fromkeys(("days", "day", "d"), 86_400),
    **dict.fromkeys(("weeks", "week", "w"), 7 * 86_400),
    **dict.fromkeys(("months", "month", "M"), 2_629_800),
    **dict.fromkeys(("years", "year", "y"), 31_557_600),
}
_SPAN = re.compile(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([a-zA-Zμµ]*)")

Numbers = tuple[int, ...] | None
"""None where any value will do."""


@dataclass(frozen=True, slots=True)
class Event:
    """A calendar event. Weekdays count from Monday, 0; days are below zero where they count from the month's end."""

    weekdays: Numbers
    years: Numbers
    months: Numbers
    days: Numbers
    hours: Numbers
    minutes: Numbers
    seconds: Numbers
    zone: str | None = None
    stamp: datetime | None = None


def event(text: str) -> Event:
    """What OnCalendar= says. Raises CarryError."""
    said = text.strip()
    if len(said) > _LONGEST:
        raise CarryError(f"a time of {len(said)} characters", "divide it into several lines")
    if (stamp := _STAMP.fullmatch(said)) is not None:
        return Event(None, None, None, None, None, None, None, stamp=datetime.fromtimestamp(int(stamp[1]), UTC))
    said, named = _without_zone(said)
    said = _WORDS.get(said.lower(), said)
    weekdays, rest = _weekdays(said)
    words = rest.split()
    if len(words) > 2 or (not words and weekdays is None):
        raise _wrong(text)
    time = words.pop() if words and ":" in words[-1] else "00:00:00"
    if len(words) > 1:
        raise _wrong(text)
    years, months, days = _date(words[0], text) if words else (None, None, None)
    hours, minutes, seconds = _time(time, text)
    return Event(weekdays, years, months, days, hours, minutes, seconds, named)


def timing(when: Event, zone_name: str) -> Timing:
    """The fields of a Schedule in that zone, which is the event's own where it names one. Raises CarryError."""
    if when.stamp is not None:
        return Timing((("at", format_instant(when.stamp)),))
    if (once := _once(when, zone_name)) is not None:
        return Timing((("at", format_instant(once)),))
    bounds = _bounds(when.years, zone_name)
    from_end = when.days is not None and min(when.days) < 0
    if when.seconds == (0,) and not from_end and (when.weekdays is None or when.days is None):
        weekdays = when.weekdays and tuple(sorted((day + 1) % 7 for day in when.weekdays))
        fields = ((when.minutes, 0, 59), (when.hours, 0, 23), (when.days, 1, 31), (when.months, 1, 12))
        cron = " ".join([*(_field(*one) for one in fields), _field(weekdays, 0, 6)])
        return Timing((("cron", cron), *bounds))
    note = "" if when.seconds != (0,) or from_end else "weekday and day of month must both match, which is a rule here"
    return Timing((("rrule", _rule(when)), *bounds), 0, note)


def seconds_of(text: str) -> Fraction:
    """A time span in seconds: `5min`, `1h 30min`, `90`. Raises CarryError."""
    total, at = Fraction(0), 0
    said = text.strip()
    while at < len(said):
        found = _SPAN.match(said, at)
        unit = found and (_UNITS.get(found[2]) or _UNITS.get(found[2].lower()))
        if found is None or unit is None or found.end() == at:
            raise CarryError(f"'{text}' is no time span", "write one as in 90s, 15min or 1h 30min")
        total += Fraction(found[1]) * unit
        at = found.end()
    if not said:
        raise CarryError("there is no time span", "write one as in 90s, 15min or 1h 30min")
    return total


def duration(text: str, *, least: int = 0) -> str:
    """A time span as we write it, rounded up to whole seconds. Raises CarryError."""
    seconds = seconds_of(text)
    whole = int(seconds) + (seconds != int(seconds))
    if not least <= whole <= 10 * 366 * 86_400:
        raise CarryError(f"'{text}' is shorter or longer than can be", f"from {least} seconds to ten years")
    return format_duration(timedelta(seconds=whole))


def _wrong(text: str) -> CarryError:
    return CarryError(
        f"'{text}' is no calendar event", "ask 'systemd-analyze calendar'; days of any month are *-*-*, steps 0/15"
    )


def _without_zone(said: str) -> tuple[str, str | None]:
    before, _, last = said.rpartition(" ")
    if last.upper() == "UTC":
        return before.rstrip(), "UTC"
    if before and last in zone_names():
        return before.rstrip(), last
    return said, None


def _weekdays(said: str) -> tuple[Numbers, str]:
    head, _, rest = said.partition(" ")
    if not head[:1].isalpha():
        return None, said
    found: set[int] = set()
    for word in head.removesuffix(",").split(","):
        first, dots, last = word.partition(".." if ".." in word else "-")
        low = _weekday(first, said)
        high = _weekday(last, said) if dots else low
        if high < low:
            raise CarryError(f"'{word}' runs over the end of the week", "write both parts, as in Fri..Sun,Mon")
        found |= set(range(low, high + 1))
    return (tuple(sorted(found)) if len(found) < 7 else None), rest.strip()


def _weekday(word: str, said: str) -> int:
    for number, day in enumerate(_DAYS):
        if word.lower() in (day, day[:3]):
            return number
    raise _wrong(said)


def _date(word: str, text: str) -> tuple[Numbers, Numbers, Numbers]:
    before, from_end, last = word.partition("~")
    parts = [*before.split("-"), *([last] if from_end else [])]
    if len(parts) == 2:
        parts.insert(0, "*")
    if len(parts) != 3:
        raise _wrong(text)
    year, month, day = parts
    days = _from_end(day, text) if from_end else _numbers(day, 1, 31, text)
    return _numbers(year, *_YEARS, text), _numbers(month, 1, 12, text), days


def _time(word: str, text: str) -> tuple[Numbers, Numbers, Numbers]:
    parts = word.split(":")
    if len(parts) == 2:
        parts.append("00")
    if len(parts) != 3:
        raise _wrong(text)
    if _FRACTION.search(parts[2]):
        raise CarryError(f"'{text}' has parts of seconds", "starts are at whole seconds here")
    return _numbers(parts[0], 0, 23, text), _numbers(parts[1], 0, 59, text), _numbers(parts[2], 0, 59, text)


def _numbers(chain: str, low: int, high: int, text: str) -> Numbers:
    if chain == "*":
        return None
    found: set[int] = set()
    for start, stop, step in _parts(chain, text):
        if not (low <= start <= high and (stop is None or start <= stop <= high) and (step or 0) <= high - start):
            raise _wrong(text)
        end = stop if stop is not None else high if step is not None else start
        found |= set(range(start, end + 1, step or 1))
    return None if len(found) == high - low + 1 else tuple(sorted(found))


def _from_end(chain: str, text: str) -> Numbers:
    """`~07/1` are the last seven days: from the seventh last on, in steps towards the end."""
    if chain == "*":
        return None
    found: set[int] = set()
    for start, stop, step in _parts(chain, text):
        # further from the end there is no such day in February, and systemd refuses it
        if not (1 <= start <= 28 and (stop is None or start <= stop <= 28) and (step or 0) <= 28 - start):
            raise _wrong(text)
        first = -(stop if stop is not None else start)
        last = -start if stop is not None or step is None else -1
        found |= set(range(first, last + 1, step or 1))
    return tuple(sorted(found))


def _parts(chain: str, text: str) -> list[tuple[int, int | None, int | None]]:
    found = [_PART.fullmatch(part) for part in chain.split(",")]
    parts = []
    for one in found:
        if one is None or (one[3] is not None and int(one[3]) == 0):
            raise _wrong(text)
        parts.append((int(one[1]), int(one[2]) if one[2] else None, int(one[3]) if one[3] else None))
    return parts


def _once(when: Event, zone_name: str) -> datetime | None:
    """The instant, where there is just one."""
    fields = (when.years, when.months, when.days, when.hours, when.minutes, when.seconds)
    if when.weekdays is not None or any(field is None or len(field) != 1 for field in fields):
        return None
    year, month, day, hour, minute, second = (field[0] for field in fields if field is not None)
    if day < 0:
        return None
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=zone(zone_name)).astimezone(UTC)
    except ValueError as error:
        raise CarryError(f"{year}-{month:02}-{day:02} is no day", "write one that there is") from error


def _bounds(years: Numbers, zone_name: str) -> tuple[tuple[str, str], ...]:
    if years is None:
        return ()
    if years != tuple(range(years[0], years[-1] + 1)):
        raise CarryError("years that do not follow each other", "write a Schedule for each, with startAt and endAt")
    start = datetime(years[0], 1, 1, tzinfo=zone(zone_name))
    bounds = [("startAt", format_instant(start))]
    if years[-1] < _YEARS[1]:
        bounds.append(("endAt", format_instant(start.replace(year=years[-1] + 1))))
    return tuple(bounds)


def _field(values: Numbers, low: int, high: int) -> str:
    """A field of a cron, as short as it can be."""
    if values is None:
        return "*"
    if len(values) > 2 and values[0] == low:
        step = values[1] - values[0]
        if step > 1 and values == tuple(range(low, high + 1, step)):
            return f"*/{step}"
    parts: list[str] = []
    at = 0
    while at < len(values):
        end = at
        while end + 1 < len(values) and values[end + 1] == values[end] + 1:
            end += 1
        parts += [f"{values[at]}-{values[end]}"] if end > at + 1 else map(str, values[at : end + 1])
        at = end + 1
    return ",".join(parts)


def _rule(when: Event) -> str:
    whole_hours = when.hours is None
    frequency = "MINUTELY" if whole_hours and when.minutes is None else "HOURLY" if whole_hours else "DAILY"
    parts = [f"FREQ={frequency}"]
    hours = when.hours
    minutes = when.minutes if when.minutes is not None or frequency == "MINUTELY" else tuple(range(60))
    seconds = when.seconds if when.seconds is not None else tuple(range(60))
    days = [_RULE_DAYS[day] for day in when.weekdays or ()]
    for key, values in (
        ("BYMONTH", when.months),
        ("BYMONTHDAY", when.days),
        ("BYDAY", days),
        ("BYHOUR", hours),
        ("BYMINUTE", minutes),
        ("BYSECOND", seconds),
    ):
        if values:
            parts.append(f"{key}={_listed(values)}")
    return ";".join(parts)


def _listed(values: Sequence[int | str]) -> str:
    return ",".join(map(str, values))
