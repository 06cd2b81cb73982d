"""Calendars: their rules, their holidays, and schedules that are left with no day."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache

from engine.checks.references import guess
from engine.checks.scope import Path, Scope
from engine.checks.times import fires_on, rule
from engine.cron import CronError, parse
from schemas.calendar import Calendar, Holidays
from schemas.diagnostic import Diagnostic
from schemas.reader import Authored
from schemas.schedule import Schedule


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if isinstance(document, Calendar):
        for index, text in enumerate(document.spec.rrules):
            yield from _rule(authored, text, ("spec", "rrules", index))
        if document.spec.holidays is not None:
            yield from _holidays(authored, document.spec.holidays)
    elif isinstance(document, Schedule) and document.spec.calendars.only:
        yield from _never(authored, document, scope)


def _rule(authored: Authored, text: str, path: Path) -> Iterator[Diagnostic]:
    read = yield from rule(authored, text, path, "the rule names no day")
    if read is None:
        return
    if not read.whole_days:
        hint = "use FREQ=DAILY, WEEKLY, MONTHLY or YEARLY, without BYHOUR, BYMINUTE and BYSECOND"
        yield Diagnostic(authored.span(*path), "OC507", "a calendar has whole days, and this rule names times", hint)
    elif not read.names_days:
        hint = "a calendar has no start to count from: name the days by BYDAY, BYMONTH, BYMONTHDAY"
        message = "which days the rule means depends on where it starts"
        yield Diagnostic(authored.span(*path), "OC507", message, hint, "warning")


def _holidays(authored: Authored, wanted: Holidays) -> Iterator[Diagnostic]:
    known = _countries()
    module = known.get(wanted.country)
    if module is None:
        hint = guess(wanted.country, (), "the days can be written as 'dates' or 'rrules'")
        span = authored.span("spec", "holidays", "country")
        yield Diagnostic(span, "OC508", f"no holidays are known of country '{wanted.country}'", hint)
    elif wanted.subdivision is not None and wanted.subdivision not in (parts := _subdivisions(module)):
        hint = guess(wanted.subdivision, parts, "leave it out: the country has none")
        span = authored.span("spec", "holidays", "subdivision")
        message = f"country {wanted.country} has no subdivision '{wanted.subdivision}'"
        yield Diagnostic(span, "OC508", message, hint)


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
    """Where it can be told from names and dates alone; rules and holidays are not worked out here."""
    spec, known = schedule.spec, scope.catalog.calendars
    only, left_out = spec.calendars.only, spec.calendars.except_
    if any(name not in known for name in (*only, *left_out)):
        return
    span = authored.span("spec", "calendars", "only", key=True)
    hint = "a day must be in one of 'only', and in none of 'except'"
    if set(only) <= set(left_out):
        yield Diagnostic(span, "OC504", "all of 'only' are in 'except': the schedule never fires", hint, "warning")
        return
    days = _dates(scope, only)
    if days is None or spec.cron is None:
        return
    days -= {date.fromisoformat(day) for name in left_out for day in known[name].spec.dates}
    try:
        cron = parse(spec.cron)
    except CronError:
        return
    if not any(fires_on(cron, day) for day in days):
        message = "none of the days in 'only' is a day of its cron: the schedule never fires"
        yield Diagnostic(span, "OC504", message, hint, "warning")


def _dates(scope: Scope, names: Sequence[str]) -> set[date] | None:
    """All days of calendars that have nothing but dates; None where one has more."""
    specs = [scope.catalog.calendars[name].spec for name in names]
    if any(spec.rrules or spec.holidays or spec.ics for spec in specs):
        return None
    return {date.fromisoformat(day) for spec in specs for day in spec.dates}
