"""The days that calendars name (DEFINITIONS 6), and those that they leave to a schedule. Pure.

A day is one of the schedule's time zone. Public holidays are those of the locked `holidays` package.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.times import rrule, rulewalls, zones
from schemas.calendar import Calendar, CalendarSpec
from schemas.schedule import Calendars

if TYPE_CHECKING:
    from engine.times.calendarfile import CalendarFile

Days = Callable[[date], bool]
Files = Mapping[str, "CalendarFile"]
"""The iCalendar files of a commit, by their paths."""
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """The days that calendars leave to a schedule: in one of `only`, where there is any, and in none of `left_out`."""

    only: tuple[tuple[str, Days], ...]
    left_out: tuple[tuple[str, Days], ...]
    zone: str

    def why_not(self, day: date) -> tuple[str, ...]:
        """The calendars that keep the schedule from a day; none where it may run."""
        against = tuple(name for name, holds in self.left_out if holds(day))
        if against or not self.only or any(holds(day) for _, holds in self.only):
            return against
        return tuple(name for name, _ in self.only)

    def day_of(self, instant: datetime) -> date:
        """The schedule's local day."""
        return instant.astimezone(zones.zone(self.zone)).date()

    def end_of(self, day: date) -> datetime:
        """The instant at which the next local day begins."""
        midnight = datetime.combine(day + timedelta(days=1), time.min, tzinfo=zones.zone(self.zone))
        return midnight.astimezone(UTC)


def kept(wanted: Calendars, known: Mapping[str, Calendar], files: Files, zone: str) -> Kept | None:
    """What calendars leave to a schedule in a zone; None where it names no calendar."""
    if not wanted.only and not wanted.except_:
        return None

    def named(names: tuple[str, ...]) -> tuple[tuple[str, Days], ...]:
        return tuple((name, _any_of(tuple(days_of(known[name].spec, files, zone)))) for name in names)

    return Kept(named(wanted.only), named(wanted.except_), zone)


def days_of(spec: CalendarSpec, files: Files, zone: str) -> Iterator[Days]:
    """The days of one calendar, by what names them."""
    if spec.dates:
        yield frozenset(date.fromisoformat(day) for day in spec.dates).__contains__
    yield from (of_rule(text) for text in spec.rrules)
    if spec.holidays is not None and (found := holidays_of(spec.holidays.country, spec.holidays.subdivision)):
        yield found
    if spec.ics is not None and (file := files.get(spec.ics)) is not None:
        yield lambda day: file.holds(day, zone)


def of_rule(text: str) -> Days:
    """The days of an RFC 5545 rule, counted from 1970-01-01 where it must be counted."""
    return lambda day: day in _year_of(text, day.year)


def holidays_of(country: str, subdivision: str | None) -> Days | None:
    """Public holidays; None where nobody lists them."""
    if not _are_listed(country, subdivision):
        return None
    return lambda day: day in _holidays_of_year(country, subdivision, day.year)


def names_days(text: str) -> bool:
    """Whether a rule by itself says which days it means."""
    try:
        rule = rrule.parse(text)
    except rrule.RuleError:
        return False
    return rule.whole_days and rule.names_days


def _any_of(days: tuple[Days, ...]) -> Days:
    return lambda day: any(holds(day) for holds in days)


@lru_cache(maxsize=4096)
def _year_of(text: str, year: int) -> frozenset[date]:
    first, after = datetime(year, 1, 1), datetime(year + 1, 1, 1)  # noqa: DTZ001 -- days have no zone
    return frozenset(wall.date() for wall in rulewalls.walls_of(text, None).after(first, after - _SECOND))


@lru_cache(maxsize=4096)
def _holidays_of_year(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    # A list of its own: what fills itself when it is asked says "no holiday" to a second thread that asks meanwhile.
    return frozenset(_listed(country, subdivision, year))


@lru_cache(maxsize=64)
def _are_listed(country: str, subdivision: str | None) -> bool:
    try:
        _listed(country, subdivision)
    except (NotImplementedError, KeyError):
        return False
    return True


def _listed(country: str, subdivision: str | None, *years: int) -> Collection[date]:
    import holidays  # where a calendar asks for them: it takes a while

    found: Collection[date] = holidays.country_holidays(country, subdiv=subdivision, years=years, expand=False)
    return found
