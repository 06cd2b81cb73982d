"""The days that calendars leave to a schedule, as far as they can be told: dates, rules and public holidays.

An iCalendar file is not read here. Where one stands in `only`, nobody can tell; where it stands in `except` it leaves
out more days than these.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from engine import rrule, rulewalls
from schemas.calendar import Calendar, CalendarSpec
from schemas.schedule import Calendars

_FIRST_YEAR, _LAST_YEAR = 2000, 2100
"""Of these years holidays are known."""
_MOST_RULES = 8
_SECOND = timedelta(seconds=1)

Days = Callable[[date], bool]


@dataclass(frozen=True, slots=True)
class Left:
    """The days that are in one of `only`, where there is any, and in none of `left_out`."""

    only: tuple[Days, ...]
    left_out: tuple[Days, ...]
    from_year: int
    to_year: int
    """The years of which that can be told."""

    def holds(self, day: date) -> bool:
        """Whether a schedule may run on the day."""
        return (not self.only or any(holds(day) for holds in self.only)) and not any(
            holds(day) for holds in self.left_out
        )


def left(wanted: Calendars, known: Mapping[str, Calendar]) -> Left | None:
    """What calendars leave; None where nobody can tell."""
    chosen = [known[name].spec for name in wanted.only if name in known]
    others = [known[name].spec for name in wanted.except_ if name in known]
    read = [_read(spec) for spec in chosen]
    rules = sum(len(spec.rrules) for spec in (*chosen, *others))
    if len(chosen) < len(wanted.only) or None in read or rules > _MOST_RULES:
        return None
    holidays = any(spec.holidays is not None for spec in (*chosen, *others))
    return Left(
        tuple(days for found in read for days in found or ()),
        tuple(days for spec in others for days in _some(spec)),
        _FIRST_YEAR if holidays else 2,
        _LAST_YEAR if holidays else 9_900,
    )


def _read(spec: CalendarSpec) -> tuple[Days, ...] | None:
    """All of its days; None where some are not known."""
    if spec.ics is not None or not all(_names_days(text) for text in spec.rrules):
        return None
    return tuple(_some(spec)) if _knows(spec) else None


def _knows(spec: CalendarSpec) -> bool:
    return spec.holidays is None or _holidays(spec.holidays.country, spec.holidays.subdivision) is not None


def _some(spec: CalendarSpec) -> Iterable[Days]:
    """Those of its days that are known."""
    if spec.dates:
        yield frozenset(date.fromisoformat(day) for day in spec.dates).__contains__
    yield from (_of_rule(text) for text in spec.rrules if _names_days(text))
    if spec.holidays is not None and (found := _holidays(spec.holidays.country, spec.holidays.subdivision)) is not None:
        yield lambda day: day in found


def _names_days(text: str) -> bool:
    try:
        rule = rrule.parse(text)
    except rrule.RuleError:
        return False
    return rule.whole_days and rule.names_days


def _of_rule(text: str) -> Days:
    return lambda day: day in _year_of(text, day.year)


@lru_cache(maxsize=4096)
def _year_of(text: str, year: int) -> frozenset[date]:
    first, after = datetime(year, 1, 1), datetime(year + 1, 1, 1)  # noqa: DTZ001 -- days have no zone
    return frozenset(wall.date() for wall in rulewalls.walls_of(text, None).after(first, after - _SECOND))


@lru_cache(maxsize=64)
def _holidays(country: str, subdivision: str | None) -> Any:
    """The holidays of a country, which know each year when it is asked for; None where there are none."""
    import holidays

    try:
        return holidays.country_holidays(country, subdiv=subdivision)
    except (NotImplementedError, KeyError):
        return None
