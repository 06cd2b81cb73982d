"""Time zones, and the times that schedules, windows and quiet hours name."""

from collections.abc import Generator, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from engine.checks.scope import Path, Scope
from engine.checks.timezones import is_zone, zone
from engine.times import rrule
from engine.times.coverage import covers, ever
from engine.times.cron import Cron, CronError, faults, idle_steps, parse
from engine.times.ruledays import FIRST_YEAR, LAST_YEAR
from schemas.calendar import Window, WindowSpec
from schemas.diagnostic import Diagnostic, Related, Rest
from schemas.notification import NotificationRule, Quiet
from schemas.policy import User
from schemas.reader import Authored
from schemas.schedule import Schedule, ScheduleSpec

LOOKED_AT = "; a check looks at the same years whenever it is asked: from 2028 on where nothing says from when"
"""Of findings that name the days of a look."""
_NO_SUCH_DAY = "no month of the ones it names has such a day"
YEARS_LOOKED = 8_000
"""Years in which the rules of all schedules of a commit are looked through together for a first instant."""
_YEAR = timedelta(days=365.2425)
_AN_AGE = 10
"""Years of a window that nobody waits out."""
_ALL_THE_TIME = {"allow": "it shuts nothing out", "deny": "it blocks all the time", "quiet": "nothing is ever sent"}
_ANY_YEAR = datetime(2028, 1, 1)  # noqa: DTZ001 -- wall time


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    match document:
        case Schedule():
            yield from _schedule(authored, document.spec, scope)
            if scope.catalog.windows:
                from engine.checks import windows  # few have any

                yield from windows.about_schedule(authored, document, scope)
        case Window():
            yield from _window(authored, document.spec, scope)
        case NotificationRule():
            yield from _quiet(authored, document.spec.quiet, ("spec", "quiet"))
        case User():
            yield from _quiet(authored, document.spec.notify.quiet, ("spec", "notify", "quiet"))


def _schedule(authored: Authored, spec: ScheduleSpec, scope: Scope) -> Iterator[Diagnostic]:
    yield from zone(authored, spec.time_zone, ("spec", "timeZone"))
    clock = "cron" if spec.cron is not None else "rrule" if spec.rrule is not None else None
    if clock and spec.time_zone is None:
        yield from _needs_zone(authored, clock, scope)
    line = read = None
    if spec.cron is not None:
        line = yield from cron(authored, spec.cron, ("spec", "cron"), "the schedule never fires")
    if spec.rrule is not None:
        read = yield from rule(authored, spec.rrule, ("spec", "rrule"), "the schedule never fires")
        if read is not None and read.count is not None and spec.start_at is None:
            hint = "add startAt: the first of them is the first from there on"
            span = authored.span("spec", "rrule")
            yield Diagnostic(span, "OC507", "COUNT counts from 'startAt', which is not given", hint, "warning")
    why = _unchanged(spec, line, read) if "dst" in spec.model_fields_set else None
    if why is not None:
        message = f"'dst' is for fixed times of the day, and {why}: it changes nothing"
        finding = Diagnostic(authored.span("spec", "dst", key=True), "OC209", message, "leave it out", "warning")
        yield finding.resting_on(Rest(("spec", field)) for field in ("dst", "cron", "rrule", "every", "at"))
    yield from _never(authored, spec, scope)


def _unchanged(spec: ScheduleSpec, line: Cron | None, read: rrule.Rule | None) -> str | None:
    """Why no change of clocks shifts a schedule; None where one may, and where that cannot be read."""
    if spec.at is not None:
        return "'at' is an instant"
    if spec.every is not None:
        return "'every' is elapsed time"
    if line is not None and line.elapsed:
        return "a 'cron' whose hour begins with '*' follows elapsed time"
    if read is not None and read.elapsed:
        return f"an 'rrule' that is {read.frequency} follows elapsed time"
    return None


def _window(authored: Authored, spec: WindowSpec, scope: Scope) -> Iterator[Diagnostic]:
    yield from zone(authored, spec.time_zone, ("spec", "timeZone"))
    if spec.from_ is not None and spec.until is not None and (years := _years(spec.from_, spec.until)) >= _AN_AGE:
        message = f"it ends after {years:,} years: {_ALL_THE_TIME[spec.effect]}"
        hint = "give it an end that somebody will see; to keep a schedule from firing, 'suspend' it"
        yield Diagnostic(authored.span("spec", "until"), "OC506", message, hint, "warning")
    if spec.cron is None or spec.duration is None:
        return
    if spec.time_zone is None:
        yield from _needs_zone(authored, "cron", scope)
    read = yield from cron(authored, spec.cron, ("spec", "cron"), "the window never opens")
    where = spec.time_zone or scope.catalog.project.spec.defaults.time_zone
    yield from _endless(authored, read, spec.duration, ("spec", "duration"), spec.effect, where)


def _years(begin: datetime, end: datetime) -> int:
    """Whole years of the calendar: from 1 January to 1 January ten years later it is ten, however many days that is."""
    try:
        end = end.astimezone(begin.tzinfo)
    except OverflowError:  # at the very end of the calendar
        return (end - begin) // _YEAR
    begins, ends = ((one.month, one.day, one.time()) for one in (begin, end))
    return end.year - begin.year - (ends < begins)


def _quiet(authored: Authored, quiet: Quiet | None, path: Path) -> Iterator[Diagnostic]:
    if quiet is None:
        return
    yield from zone(authored, quiet.time_zone, (*path, "timeZone"))
    read = yield from cron(authored, quiet.cron, (*path, "cron"), "the quiet hours never begin")
    yield from _endless(authored, read, quiet.duration, (*path, "duration"), "quiet", quiet.time_zone)


def _endless(
    authored: Authored,
    read: Cron | None,
    duration: timedelta,
    path: Path,
    effect: Literal["allow", "deny", "quiet"],
    where: str | None,
) -> Iterator[Diagnostic]:
    if read is None or not ever(read) or not covers(read, duration):
        return
    seldom = ", except for a while when clocks go back" if where and _pauses(read, duration, where) else ""
    message = f"the next one begins before this one ends: {_ALL_THE_TIME[effect]}{seldom}"
    hint = "shorten the duration, or begin less often"
    yield Diagnostic(authored.span(*path), "OC506", message, hint, "warning")


def _pauses(read: Cron, duration: timedelta, where: str) -> bool:
    """Whether changes of clocks leave something out between intervals that otherwise leave nothing."""
    if not is_zone(where):
        return False
    from engine.times.openings import Openings  # few have such windows

    spec = WindowSpec(effect="deny", cron=read.text, duration=duration)
    opening = Openings(spec, zone_default=where).at(_ANY_YEAR.replace(tzinfo=UTC))
    return opening is not None and opening.end is not None


def _needs_zone(authored: Authored, clock: str, scope: Scope) -> Iterator[Diagnostic]:
    if scope.catalog.project.spec.defaults.time_zone is None:
        hint = "add timeZone, as in Europe/Chisinau or UTC; or set the Project's defaults.timeZone"
        span = authored.span("spec", clock, key=True)
        yield Diagnostic(span, "OC502", f"'{clock}' needs a 'timeZone'", hint)


def cron(authored: Authored, text: str, path: Path, never: str) -> Generator[Diagnostic, None, Cron | None]:
    """What is wrong with a cron text; gives what it says where it can be read. `never` says that it has no instant."""
    try:
        read = parse(text)
    except CronError:
        for error in faults(text):
            word = text[error.offset :].split(maxsplit=1)
            span = authored.span_within(*path, offset=error.offset, length=len(word[0]) if word else 1)
            yield Diagnostic(span, "OC503", error.message, error.hint)
        return None
    for idle in idle_steps(text):
        message = f"a step of {idle.step} leads out of the {idle.field} field: '{idle.item}' means {idle.value} only"
        pace = {"minute": "m", "hour": "h"}.get(idle.field)
        hint = f"write {idle.value} if that is meant"
        if pace is not None:
            hint += f"; a steady pace is 'every: {idle.step}{pace}'"
        span = authored.span_within(*path, offset=idle.offset, length=len(idle.item))
        yield Diagnostic(span, "OC505", message, hint, "warning")
    if not ever(read):
        yield Diagnostic(authored.span(*path), "OC504", never, _NO_SUCH_DAY, "warning")
    return read


def rule(authored: Authored, text: str, path: Path, never: str) -> Generator[Diagnostic, None, rrule.Rule | None]:
    """What is wrong with a recurrence rule; gives what it says where it can be read."""
    try:
        read = rrule.parse(text)
    except rrule.RuleError as error:
        span = authored.span_within(*path, offset=error.offset, length=error.length)
        yield Diagnostic(span, "OC507", error.message, error.hint)
        return None
    if not read.ever:
        yield Diagnostic(authored.span(*path), "OC504", never, _NO_SUCH_DAY, "warning")
    return read


def fires_on(read: Cron, day: date) -> bool:
    """Whether a day is one of a cron's: by day of month or day of week; where one is left open the other decides."""
    if day.month not in read.months:
        return False
    if read.days is None or read.weekdays is None:
        return (read.days is None or day.day in read.days) and (
            read.weekdays is None or day.isoweekday() % 7 in read.weekdays
        )
    return day.day in read.days or day.isoweekday() % 7 in read.weekdays


def _has_no_instant(spec: ScheduleSpec, scope: Scope) -> bool:
    """Whether a cron or a rule that has instants has none from 'startAt' to 'endAt', and a rule none in 40 years.

    Of many rules each is looked through for a shorter time; one of which that does not tell is held to have some.
    """
    zone_default = scope.catalog.project.spec.defaults.time_zone
    ended = spec.cron is not None and spec.start_at is not None and spec.end_at is not None
    if not (ended or spec.rrule is not None) or not is_readable(spec, zone_default):
        return False
    from engine.times import recurrence  # few have such

    if spec.rrule is not None:
        if not rrule.parse(spec.rrule).ever:
            return False  # said of the rule itself
        begin = spec.start_at or datetime(1970, 1, 1, tzinfo=UTC)  # where a rule without a start begins
        years = min(recurrence.HORIZON, timedelta(days=366 * YEARS_LOOKED) / scope.rules)
        due = recurrence.next_due(spec, recurrence.just_before(begin), zone_default=zone_default, horizon=years)
        is_whole = years == recurrence.HORIZON or (spec.end_at is not None and spec.end_at - begin <= years)
        return due is None and is_whole
    assert spec.cron is not None and spec.end_at is not None
    begin = recurrence.just_before(spec.start_at or recurrence.BEGIN_OF_TIME)
    found = recurrence.instants(spec, begin, spec.end_at, zone_default=zone_default)
    return ever(parse(spec.cron)) and next(found, None) is None


def is_readable(spec: ScheduleSpec | WindowSpec, zone_default: str | None) -> bool:
    """Whether its cron or rule, where it has one, and its zone can be read."""
    try:
        if spec.cron is not None:
            parse(spec.cron)
        if isinstance(spec, ScheduleSpec) and spec.rrule is not None:
            rrule.parse(spec.rrule)
    except (CronError, rrule.RuleError):
        return False
    return is_zone(spec.time_zone or zone_default or "UTC")


def _interval(authored: Authored, spec: ScheduleSpec) -> tuple[Related, ...]:
    return (
        Related(authored.span("spec", "cron" if spec.cron else "rrule"), f"its times: {spec.cron or spec.rrule}"),
        Related(authored.span("spec", "startAt"), "its start"),
    )


def _beyond_all_years(spec: ScheduleSpec) -> str | None:
    """The field by which all its instants lie where nothing is due; None where there is none."""
    if spec.at is not None and not FIRST_YEAR <= spec.at.year < LAST_YEAR:
        return "at"
    if spec.start_at is not None and spec.start_at.year >= LAST_YEAR:
        return "startAt"
    return "endAt" if spec.end_at is not None and spec.end_at.year < FIRST_YEAR else None


def _never(authored: Authored, spec: ScheduleSpec, scope: Scope) -> Iterator[Diagnostic]:
    """A past instant is no fault; an empty interval is."""
    if spec.start_at is not None and spec.end_at is not None and spec.end_at <= spec.start_at:
        message = "'endAt' is not after 'startAt': the schedule never fires"
        yield Diagnostic(authored.span("spec", "endAt"), "OC504", message, "the end is exclusive", "warning")
    elif (beyond := _beyond_all_years(spec)) is not None:
        hint = "write a time in these years; where nothing is to limit it, leave 'startAt' and 'endAt' out"
        message = f"schedules are due in the years {FIRST_YEAR} to {LAST_YEAR - 1} only: this one never fires"
        yield Diagnostic(authored.span("spec", beyond), "OC504", message, hint, "warning")
    elif _has_no_instant(spec, scope):
        if spec.start_at is None or spec.end_at is None:
            hint = "its parts leave no day, or UNTIL is before 'startAt'"
            message = "the rule has no instant in 40 years: the schedule never fires"
            yield Diagnostic(authored.span("spec", "rrule"), "OC504", message, hint, "warning")
            return
        hint = "startAt is inclusive, endAt is exclusive; give it a longer time, or other times of the day"
        message = "none of its instants lies between 'startAt' and 'endAt': the schedule never fires"
        yield Diagnostic(authored.span("spec", "endAt"), "OC504", message, hint, "warning", _interval(authored, spec))
    elif spec.at is not None and (
        (spec.start_at is not None and spec.at < spec.start_at) or (spec.end_at is not None and spec.at >= spec.end_at)
    ):
        hint = "startAt is inclusive, endAt is exclusive"
        message = "'at' lies outside startAt and endAt: the schedule never fires"
        yield Diagnostic(authored.span("spec", "at"), "OC504", message, hint, "warning")
