"""Five-field cron over wall-clock time without a zone. What clock changes do to it is `engine.times.dst`'s business."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

_MAX_TEXT = 512
_DAY = timedelta(days=1)
_NEAR = 8
"""Days that are looked at one by one."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


class CronError(ValueError):
    """What is wrong with a cron text, what to write instead, and where: `offset` counts code points from 0."""

    def __init__(self, message: str, hint: str, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed cron text. Equal times written differently are equal in everything but `text`."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...] | None
    """None where the field is a bare `*`: then only `weekdays` decides the day."""
    months: tuple[int, ...]
    weekdays: tuple[int, ...] | None
    """0 is Sunday. None where the field is a bare `*`."""
    elapsed: bool
    """Whether it follows elapsed time: its hour field begins with `*`."""
    times: tuple[timedelta, ...]
    """The times of a day that fires: every hour with every minute."""

    def walls(self, start: datetime) -> Iterator[datetime]:
        """The wall times at or after `start` (naive), oldest first; ends where nothing is found for 50 years."""
        for day in self._midnights(start):
            for time in self.times[bisect_left(self.times, start - day) :]:
                yield day + time

    def count(self, after: datetime, until: datetime) -> int:
        """How many wall times (naive) are in (after, until]; walks over days, not over times."""
        first, last = after.date(), until.date()
        days = map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))
        found = sum(map(self.fires_on, days)) * len(self.times)
        if self.fires_on(first):
            found -= bisect_right(self.times, after - _midnight(first))
        if self.fires_on(last):
            found -= len(self.times) - bisect_right(self.times, until - _midnight(last))
        return found

    def fires_on(self, day: date) -> bool:
        """Whether it fires at all on a day of the calendar."""
        return day.month in self.months and self.names_day(day)

    def names_day(self, day: date) -> bool:
        """Whether day of month or day of week names it; a bare `*` leaves the decision to the other."""
        of_month = self.days is not None and day.day in self.days
        of_week = self.weekdays is not None and day.isoweekday() % 7 in self.weekdays
        return (self.days is None and self.weekdays is None) or of_month or of_week

    @property
    def _is_daily(self) -> bool:
        return self.days is None and self.weekdays is None and len(self.months) == len(_MONTHS)

    def _midnights(self, start: datetime) -> Iterator[datetime]:
        day = _midnight(start)
        try:
            for _ in range(_NEAR):  # most schedules come within days: for them cronsim need not read the text again
                if self.fires_on(day):
                    yield day
                day += _DAY
            while self._is_daily:
                yield day
                day += _DAY
            yield from CronSim(f"0 0 {self._day_fields()}", day - timedelta(seconds=1))
        except (CronSimError, OverflowError):  # days that none of the months has; the year 10000
            return

    def _day_fields(self) -> str:
        """As cronsim reads them: lists, since it takes any field that begins with `*` for open, and we a bare one."""
        fields = (self.days, self.months, self.weekdays)
        return " ".join("*" if values is None else ",".join(map(str, values)) for values in fields)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time())


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first: int = 0
    """The number of the first name."""


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS, 1),
    _Field("day of week", 0, 7, _DAYS),
)
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ITEM = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\w+))?", re.ASCII)
_FOREIGN = (
    (re.compile(r"L(-?\d+)?|\w*L"), "the last day is a recurrence rule: rrule with BYMONTHDAY=-1 or BYDAY=-1FR"),
    (re.compile(r"L?\d*W"), "'nearest weekday' is not cron; list the days, or use rrule"),
    (re.compile(r"\w+#.*"), "'the n-th weekday' is a recurrence rule: rrule with BYDAY=2MO"),
    (re.compile(r"\?"), "write * for a day field that is left open"),
    (re.compile(r"H(\(.*\))?(/\d+)?"), "there is no hashed value; write a number, and spread starts with 'jitter'"),
)
"""Other programs' extensions, in upper case."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Cron:
    """Read five fields: minute, hour, day of month, month, day of week. Raises CronError for anything else."""
    words = [(match[0], match.start()) for match in re.finditer(r"[^ \t]+", text)]
    _refuse_other_forms(text, words)
    minutes, hours, days, months, weekdays = (
        _values(field, word, offset) for field, (word, offset) in zip(_FIELDS, words, strict=True)
    )
    return Cron(
        text=text,
        minutes=minutes,
        hours=hours,
        days=None if words[2][0] == "*" else days,
        months=months,
        weekdays=None if words[4][0] == "*" else tuple(sorted({day % 7 for day in weekdays})),
        elapsed=words[1][0].startswith("*"),
        times=tuple(timedelta(hours=hour, minutes=minute) for hour in hours for minute in minutes),
    )


@dataclass(frozen=True, slots=True)
class IdleStep:
    """A step that leads out of its field at once, so that only the first value is left: `*/100` of minutes is 0."""

    item: str
    offset: int
    """In code points from 0, within the cron text."""
    field: str
    step: int
    value: int


def idle_steps(text: str) -> Iterator[IdleStep]:
    """The steps of a cron text that are never taken. Raises CronError as `parse` does."""
    parse(text)
    for field, word in zip(_FIELDS, re.finditer(r"[^ \t]+", text), strict=True):
        offset = word.start()
        for item in word[0].split(","):
            values = _item(field, item, offset)
            # Both 0 and 7 are Sunday.
            if values.step > 1 and len({value % 7 for value in values} if field.names is _DAYS else values) == 1:
                yield IdleStep(item, offset, field.name, values.step, values.start)
            offset += len(item) + 1


def faults(text: str) -> Iterator[CronError]:
    """What is wrong with a cron text, in each of its fields; none where `parse` reads it. The first is what it raises.

    Of one field it is the first thing.
    """
    words = [(match[0], match.start()) for match in re.finditer(r"[^ \t]+", text)]
    try:
        _refuse_other_forms(text, words)
    except CronError as error:
        yield error
        return
    for field, (word, offset) in zip(_FIELDS, words, strict=True):
        try:
            _values(field, word, offset)
        except CronError as error:
            yield error


def _refuse_other_forms(text: str, words: list[tuple[str, int]]) -> None:
    if len(text) > _MAX_TEXT:
        raise CronError(f"a cron text of {len(text)} characters", f"at most {_MAX_TEXT}; split the schedule")
    if not words:
        raise CronError("an empty cron text", 'write five fields, as in "15 2 * * *": every day at 02:15')
    first, offset = words[0]
    if first.startswith("@"):
        same = _MACROS.get(first.lower())
        hint = f'write "{same}"' if same else "write five fields; to run once use 'at', at a steady pace 'every'"
        raise CronError(f"'{first}' is a macro, not five fields", hint, offset)
    if "=" in first:
        raise CronError(f"'{first}' is a setting, not a field", "the zone is the schedule's 'timeZone'", offset)
    if len(words) == 6:
        hint = "there is no field for seconds or years; leave the extra one out, or use 'every: 30s' for a steady pace"
        raise CronError("six fields, expected five", hint, words[5][1])
    if len(words) != 5:
        hint = "write minute, hour, day of month, month, day of week, separated by spaces"
        at = words[5][1] if len(words) > 5 else offset
        raise CronError(f"{len(words)} field{'s' * (len(words) != 1)}, expected five", hint, at)


def _values(field: _Field, word: str, offset: int) -> tuple[int, ...]:
    """All values a field names, sorted."""
    found: set[int] = set()
    for item in word.split(","):
        found.update(_item(field, item, offset))
        offset += len(item) + 1
    return tuple(sorted(found))


def _item(field: _Field, item: str, offset: int) -> range:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise _foreign(field, item, offset)
    if match["first"] == "*":
        if match["last"] is not None:
            raise CronError(f"'{item}' is no range", "a range has a value on both sides, as in 1-5", offset)
        low, high = field.low, field.high
    else:
        low = _number(field, match["first"], offset)
        if match["last"] is not None:
            high = _number(field, match["last"], offset + match.start("last"))
        else:
            high = field.high if match["step"] else low
    if high < low:
        raise CronError(f"'{item}' runs backward in the {field.name} field", _two_ranges(field, low, high), offset)
    return range(low, high + 1, _step(match["step"], item, offset))


def _number(field: _Field, word: str, offset: int) -> int:
    if word.isdecimal() and word.isascii() and len(word) <= 9:
        value = int(word)
        if field.low <= value <= field.high:
            return value
        raise CronError(
            f"{value} is out of range in the {field.name} field", f"{field.low} to {field.high} are possible", offset
        )
    if word.upper() in field.names:
        return field.names.index(word.upper()) + field.first
    if word[:3].upper() in field.names:
        raise CronError(f"'{word}' is not a name of a {field.name}", f"write {word[:3].upper()}", offset)
    raise _foreign(field, word, offset)


def _step(step: str | None, item: str, offset: int) -> int:
    if step is None:
        return 1
    if not (step.isdecimal() and len(step) <= 9 and int(step) > 0):
        raise CronError(f"'{item}' has no valid step", "a step is a whole number from 1 on, as in */15", offset)
    return int(step)


def _two_ranges(field: _Field, low: int, high: int) -> str:
    if field.names == _DAYS and high == 0:
        return f"Sunday at the end of a range is 7: write {low}-7"
    bottom = str(high) if high == field.low else f"{field.low}-{high}"
    top_end = 6 if field.names == _DAYS else field.high
    top = str(low) if low >= top_end else f"{low}-{top_end}"
    return f"write the two parts: {top},{bottom}"


def _foreign(field: _Field, item: str, offset: int) -> CronError:
    if not item:
        return CronError(f"an empty {field.name} in a list", "leave the comma out", offset)
    if hint := next((hint for form, hint in _FOREIGN if form.fullmatch(item.upper())), None):
        return CronError(f"'{item}' is not cron in the {field.name} field", hint, offset)
    if field.names:
        hint = f"write {field.low} to {field.high}, a name from {field.names[0]} to {field.names[-1]}, * or a range"
    else:
        hint = f"write {field.low} to {field.high}, *, a range as in {field.low}-{field.low + 3} or a step as in */2"
    return CronError(f"'{item}' means nothing in the {field.name} field", hint, offset)
