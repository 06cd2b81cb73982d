"""Calendars: their rules, their holidays, and schedules that are left with no day."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from engine.checks.memory import remembered
from engine.checks.scope import Path, Scope
from engine.checks.times import LOOKED_AT, fires_on, is_readable, rule
from engine.times.cron import parse
from schemas.calendar import Calendar, Holidays
from schemas.diagnostic import Diagnostic, Related
from schemas.guesses import Guesses
from schemas.reader import Authored
from schemas.schedule import Calendars, Schedule, ScheduleSpec

if TYPE_CHECKING:
    from engine.checks.nameddays import Left

_HINT = "a day must be in one of 'only', and in none of 'except'"
_DAWN, _DUSK = datetime(1000, 1, 1, tzinfo=UTC), datetime(9900, 1, 1, tzinfo=UTC)
_MOST_DAYS = 100
"""Days and instants that are worked out for one schedule."""
_MOST_NAMED = 5
_REFERENCE = datetime(2028, 1, 1, tzinfo=UTC)
"""Where a look begins if no document says."""
_YEAR = timedelta(days=366)
_MOST_YEARS = 10
_MOST_LOOKS = 800
_MANY_DAYS = 1_000
"""A schedule with more single days than this is hardly left with none; whoever lists them need not pay for each of many
schedules."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if isinstance(document, Calendar):
        for index, text in enumerate(document.spec.rrules):
            yield from _rule(authored, text, ("spec", "rrules", index))
        if document.spec.holidays is not None:
            yield from _holidays(authored, document.spec.holidays)
        if document.spec.ics is not None:
            yield from _file(authored, document.spec.ics, scope)
    elif isinstance(document, Schedule) and document.spec.calendars != Calendars():
        yield from _never(authored, document, scope)


def _rule(authored: Authored, text: str, path: Path) -> Iterator[Diagnostic]:
    read = yield from rule(authored, text, path, "the rule names no day")
    if read is None:
        return
    if not read.whole_days:
        hint = "use FREQ=DAILY, WEEKLY, MONTHLY or YEARLY, without BYHOUR, BYMINUTE and BYSECOND"
        yield Diagnostic(authored.span(*path), "OC507", "a calendar has whole days, and this rule names times", hint)
    elif read.names_instants:
        hint = "name the days, as in EXDATE:20261225"
        yield Diagnostic(
            authored.span(*path), "OC507", "a calendar has whole days, and its EXDATE is an instant in UTC", hint
        )
    elif not read.names_days:
        hint = "a calendar has no start to count from: name the days by BYDAY, BYMONTH, BYMONTHDAY"
        message = "which days the rule means depends on where it starts"
        yield Diagnostic(authored.span(*path), "OC507", message, hint, "warning")


def _holidays(authored: Authored, wanted: Holidays) -> Iterator[Diagnostic]:
    known = _countries()
    module = known.get(wanted.country)
    if module is None:
        hint = "the days can be written as 'dates' or 'rrules'"
        span = authored.span("spec", "holidays", "country")
        yield Diagnostic(span, "OC508", f"no holidays are known of country '{wanted.country}'", hint)
    elif wanted.subdivision is not None and wanted.subdivision not in (parts := _subdivisions(module)):
        hint = Guesses().hint(wanted.subdivision, parts, "leave it out: the country has none")
        span = authored.span("spec", "holidays", "subdivision")
        message = f"country {wanted.country} has no subdivision '{wanted.subdivision}'"
        yield Diagnostic(span, "OC508", message, hint)


def _file(authored: Authored, path: str, scope: Scope) -> Iterator[Diagnostic]:
    """An iCalendar file that is there must be one that can be used: what it cannot say would be no day."""
    if scope.present is None or scope.calendar_files is None or path not in scope.present:
        return  # that it is there is for engine.checks.files to say
    from engine.times import calendarfile

    data, span = scope.calendar_files.get(path), authored.span("spec", "ics")
    if data is None:
        message = f"{path[:200]} is larger than 1 MiB, or all iCalendar files together are larger than 4 MiB"
        yield Diagnostic(span, "OC510", message, "leave out events that are over, or split the calendar")
        return
    try:
        calendarfile.read(data)
    except calendarfile.CalendarFileError as error:
        hint = "export it again, or write the days as 'dates' or 'rrules'"
        yield Diagnostic(span, "OC510", f"{path[:200]}: {error}", hint)


@lru_cache(maxsize=1)
def _countries() -> dict[str, tuple[str, str]]:
    """By ISO code, the module and class of the country. Imported where a calendar asks: it takes a while."""
    from holidays.registry import COUNTRIES

    return {names[1]: (module, names[0]) for module, names in COUNTRIES.items()}


@lru_cache(maxsize=512)
def _subdivisions(place: tuple[str, str]) -> Sequence[str]:
    from importlib import import_module

    module, name = place
    return tuple(getattr(import_module(f"holidays.countries.{module}"), name).subdivisions)


def _never(authored: Authored, schedule: Schedule, scope: Scope) -> Iterator[Diagnostic]:
    """Where it can be told from names and days; iCalendar files are not worked out here."""
    spec, known = schedule.spec, scope.catalog.calendars
    only, left_out = spec.calendars.only, spec.calendars.except_
    if any(name not in known for name in (*only, *left_out)):
        return
    span = authored.span("spec", "calendars", "only", key=True)
    if only and set(only) <= set(left_out):
        yield Diagnostic(span, "OC504", "all of 'only' are in 'except': the schedule never fires", _HINT, "warning")
        return
    if not is_readable(spec, scope.catalog.project.spec.defaults.time_zone):
        return
    specs = [known[name].spec for name in (*only, *left_out)]
    if spec.rrule is not None or any(one.rrules or one.holidays for one in specs):
        yield from _none_left(authored, spec, scope)
        return
    if sum(len(known[name].spec.dates) for name in (*only, *left_out)) > _MANY_DAYS:
        return
    excluded = frozenset().union(*(_days(scope, name) for name in left_out))
    days = _dates(scope, only) if only else None
    if days is not None:
        yield from _none_of(authored, spec, days - excluded, scope)
    elif not only and excluded:
        yield from _all_of(authored, spec, excluded, scope)


def _none_left(authored: Authored, spec: ScheduleSpec, scope: Scope) -> Iterator[Diagnostic]:
    """Where no instant of a long time is on a day that rules, holidays and dates leave."""
    from engine.checks.nameddays import left  # few have any: rules take long to load

    looked = _due_on_days(spec, left(spec.calendars, scope.catalog.calendars), scope)
    if looked is None:
        return
    first, last, all_of_them = looked
    key = "only" if spec.calendars.only else "except"
    between = "" if all_of_them else f" in the years looked at, {first:%Y-%m-%d} to {last:%Y-%m-%d},"
    message = f"none of its instants{between} is on a day that its calendars leave: the schedule never fires"
    names = (*spec.calendars.only, *spec.calendars.except_)
    hint = _HINT if all_of_them else _HINT + LOOKED_AT
    yield Diagnostic(
        authored.span("spec", "calendars", key, key=True), "OC504", message, hint, "warning", _of(names, scope)
    )


def _due_on_days(spec: ScheduleSpec, days: "Left | None", scope: Scope) -> tuple[datetime, datetime, bool] | None:
    """From when to when no instant is on one of the days, and whether there are no others; None where one is."""
    if days is None:
        return None
    from engine.times import recurrence, zones

    default = scope.catalog.project.spec.defaults.time_zone
    where = zones.zone(recurrence.zone_of(spec, default))
    begin = spec.start_at or spec.at or _REFERENCE
    if not days.from_year < begin.year < days.to_year - _MOST_YEARS:
        return None
    end = begin + timedelta(days=366 * _MOST_YEARS)
    after, first, last = begin - recurrence.TICK, None, begin
    for _ in range(_MOST_LOOKS):
        due = next(recurrence.instants(spec, after, end, zone_default=default), None)
        if due is None:
            ends = spec.at is not None or (spec.end_at is not None and spec.end_at <= end)
            return (first, end, ends) if first is not None else None
        day = due.astimezone(where).date()
        if days.holds(day):
            return None
        first, last = first or due, due
        # The rest of the day is as its beginning.
        midnight = datetime.combine(day + timedelta(days=1), time.min, tzinfo=where).astimezone(UTC)
        after = max(due, midnight - recurrence.TICK)
    return (first, last, False) if first is not None and last - first > _YEAR else None


def _none_of(authored: Authored, spec: ScheduleSpec, days: frozenset[date], scope: Scope) -> Iterator[Diagnostic]:
    """Where a schedule fires on these days only, and has no instant on any of them."""
    span = authored.span("spec", "calendars", "only", key=True)
    cron = parse(spec.cron) if spec.cron is not None else None
    if cron is not None and not any(fires_on(cron, day) for day in days):
        message = "none of the days in 'only' is a day of its cron: the schedule never fires"
        yield Diagnostic(span, "OC504", message, _HINT, "warning", _of(spec.calendars.only, scope))
    elif len(days) <= _MOST_DAYS and not any(_has_instant(spec, day, scope) for day in days):
        message = "none of the days in 'only' has an instant of it: the schedule never fires"
        related = (*_limits(authored, spec), *_of(spec.calendars.only, scope))
        yield Diagnostic(span, "OC504", message, _HINT, "warning", related)


def _all_of(authored: Authored, spec: ScheduleSpec, excluded: frozenset[date], scope: Scope) -> Iterator[Diagnostic]:
    """Where a schedule that ends has instants on these days only, and they are left out."""
    if spec.at is None and (spec.start_at is None or spec.end_at is None):
        return
    from engine.times import recurrence, zones

    default = scope.catalog.project.spec.defaults.time_zone
    found = list(islice(recurrence.instants(spec, _DAWN, spec.end_at or _DUSK, zone_default=default), _MOST_DAYS + 1))
    where = zones.zone(recurrence.zone_of(spec, default))
    if found and len(found) <= _MOST_DAYS and all(one.astimezone(where).date() in excluded for one in found):
        span = authored.span("spec", "calendars", "except", key=True)
        message = "each of its instants is on a day of 'except': the schedule never fires"
        related = (*_limits(authored, spec), *_of(spec.calendars.except_, scope))
        yield Diagnostic(span, "OC504", message, _HINT, "warning", related)


def _has_instant(spec: ScheduleSpec, day: date, scope: Scope) -> bool:
    """Whether it is due on a local day. The ends of time are not looked at."""
    if not _DAWN.year < day.year < _DUSK.year:
        return True
    from engine.times import recurrence, zones

    default = scope.catalog.project.spec.defaults.time_zone
    where = zones.zone(recurrence.zone_of(spec, default))
    midnights = (datetime.combine(one, time.min, tzinfo=where) for one in (day, day + timedelta(days=1)))
    begin, end = (one.astimezone(UTC) - recurrence.TICK for one in midnights)
    return next(recurrence.instants(spec, begin, end, zone_default=default), None) is not None


def _limits(authored: Authored, spec: ScheduleSpec) -> tuple[Related, ...]:
    given = {"at": spec.at, "startAt": spec.start_at, "endAt": spec.end_at}
    return tuple(Related(authored.span("spec", name), f"its {name}") for name, value in given.items() if value)


def _of(names: Sequence[str], scope: Scope) -> tuple[Related, ...]:
    places = [(name, scope.authored("Calendar", name)) for name in names[:_MOST_NAMED]]
    return tuple(
        Related(one.span("spec", _first_of(scope, name), key=True), f"Calendar/{name}") for name, one in places
    )


def _first_of(scope: Scope, name: str) -> str:
    given = scope.catalog.calendars[name].spec.model_fields_set
    return next(field for field in ("dates", "rrules", "holidays", "ics") if field in given)


def _dates(scope: Scope, names: Sequence[str]) -> frozenset[date] | None:
    """All days of calendars that have nothing but dates; None where one has more."""
    specs = [scope.catalog.calendars[name].spec for name in names]
    if any(spec.rrules or spec.holidays or spec.ics for spec in specs):
        return None
    return frozenset().union(*(_days(scope, name) for name in names))


def _days(scope: Scope, name: str) -> frozenset[date]:
    """The dates of a calendar: read once, however many schedules name it."""
    dates = scope.catalog.calendars[name].spec.dates
    return remembered(
        scope.authored("Calendar", name), "dates", (), lambda: frozenset(date.fromisoformat(day) for day in dates)
    )
