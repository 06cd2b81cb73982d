"""The days that calendars leave to a schedule, as far as they can be told: dates, rules and public holidays.

An iCalendar file is not read here. Where one stands in `only`, nobody can tell; where it stands in `except` it leaves
out more days than these.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from engine.times.calendars import Days, days_of, holidays_of, names_days
from schemas.calendar import Calendar, CalendarSpec
from schemas.schedule import Calendars

_FIRST_YEAR, _LAST_YEAR = 2000, 2100
"""Of these years holidays are known."""
_MOST_RULES = 8


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
    if spec.ics is not None or not all(names_days(text) for text in spec.rrules):
        return None
    return tuple(_some(spec)) if _knows(spec) else None


def _knows(spec: CalendarSpec) -> bool:
    return spec.holidays is None or holidays_of(spec.holidays.country, spec.holidays.subdivision) is not None


def _some(spec: CalendarSpec) -> Iterable[Days]:
    """Those of its days that are known."""
    known = spec.model_copy(update={"rrules": tuple(filter(names_days, spec.rrules)), "ics": None})
    return days_of(known, {}, "UTC")
