"""Why a schedule is due at an instant, or why it is not, in words. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from engine.changes.plan_times import clock_change
from engine.schedules.admission import Admission
from engine.schedules.fires import Dropped, Fire, fires_of
from engine.times import cron, recurrence, rrule, rulewalls, zones
from engine.times.recurrence import TICK, just_before
from schemas.quantities import format_duration, format_instant
from schemas.schedule import Schedule, ScheduleSpec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOOKS_BACK = (timedelta(days=1), timedelta(days=40), timedelta(days=400), timedelta(days=10 * 366))


def fire_at(
    schedule: Schedule,
    instant: datetime,
    *,
    zone_default: str | None,
    suspended: bool = False,
    admission: Admission | None = None,
) -> Fire | None:
    """The fire of a schedule at exactly this instant; None where it is not due then."""
    if not recurrence.is_within(instant):
        return None
    found = fires_of(
        schedule, instant, instant + TICK, zone_default=zone_default, suspended=suspended, admission=admission
    )
    return next(iter(found), None)


def neighbours(
    spec: ScheduleSpec, instant: datetime, *, zone_default: str | None
) -> tuple[datetime | None, datetime | None]:
    """The due instants nearest before and after; None where there is none in the ten years before, or 40 after."""
    before: tuple[datetime, ...] = ()
    for back in _LOOKS_BACK:
        if not before:
            begin = max(instant, recurrence.BEGIN_OF_TIME + back) - back
            before = recurrence.newest(spec, begin, just_before(instant), 1, zone_default=zone_default)
    return (before[0] if before else None), recurrence.next_due(spec, instant, zone_default=zone_default)


def rule(schedule: Schedule, fire: Fire) -> str:
    """The line by which it is due, and what a change of clocks does to it."""
    spec = schedule.spec
    if spec.at is not None:
        return f"at: {format_instant(spec.at)}"
    if spec.every is not None:
        return f"every: {format_duration(spec.every)}, counted from {format_instant(spec.start_at or _EPOCH)}"
    kind, said = ("cron", spec.cron) if spec.cron is not None else ("rrule", _one_line(spec.rrule or ""))
    text = f'{kind}: "{said}" in {fire.time_zone}'
    match clock_change(schedule, fire, fire.instant - timedelta(hours=1)):
        case "gap":
            return f"{text}; that time does not exist on this day, and dst.gap: next takes the first instant after it"
        case "fold" if recurrence.follows_elapsed_time(spec):
            which = "a cron whose hour begins with *" if spec.cron is not None else "an rrule of HOURLY or finer"
            return f"{text}; this hour comes twice, and {which} follows elapsed time: both"
        case "fold":
            return f"{text}; this time comes twice on this day, and dst.fold: {spec.dst.fold} takes this pass"
        case _:
            return text


def why_not(schedule: Schedule, instant: datetime, *, zone_default: str | None) -> tuple[str, ...]:
    """Everything that keeps the schedule from being due at an instant."""
    if not recurrence.is_within(instant):
        return (recurrence.YEARS,)
    spec = schedule.spec
    left_out = _left_out(schedule, instant, zone_default)
    off = left_out or (*_outside(spec, instant), *_off_the_clock(spec, instant, recurrence.zone_of(spec, zone_default)))
    return off or ("it is not due then",)


def _left_out(schedule: Schedule, instant: datetime, zone_default: str | None) -> tuple[str, ...]:
    """The times whose gap ends at the instant, and that `gap: skip` leaves out."""
    found = recurrence.dropped(schedule.spec, just_before(instant), instant, zone_default=zone_default)
    zone = recurrence.zone_of(schedule.spec, zone_default)
    return tuple(f"{Dropped(schedule.name, wall, end, zone).message} by dst.gap: skip" for wall, end in found)


def _outside(spec: ScheduleSpec, instant: datetime) -> Iterator[str]:
    if spec.start_at is not None and instant < spec.start_at:
        yield f"startAt: {format_instant(spec.start_at)} is later"
    if spec.end_at is not None and instant >= spec.end_at:
        yield f"endAt: {format_instant(spec.end_at)} was reached"


def _off_the_clock(spec: ScheduleSpec, instant: datetime, zone: str) -> Iterator[str]:
    if spec.at is not None and spec.at != instant:
        yield f"it fires once, at: {format_instant(spec.at)}"
    elif spec.every is not None:
        anchor = spec.start_at or _EPOCH
        beyond = (instant - anchor) % spec.every
        if beyond:
            yield (
                f"every: {format_duration(spec.every)}, counted from {format_instant(anchor)}: "
                f"this is {beyond} after one of its instants"
            )
    elif spec.cron is not None:
        yield from _off_the_cron(spec, spec.cron, instant, zone)
    elif spec.rrule is not None:
        yield from _off_the_rule(spec, spec.rrule, instant, zone)


def _off_the_rule(spec: ScheduleSpec, text: str, instant: datetime, zone: str) -> Iterator[str]:
    wall = instant.astimezone(zones.zone(zone)).replace(tzinfo=None)
    said = f'rrule: "{_one_line(text)}"'
    if recurrence.excepted(spec, instant, zone):
        yield f"{said}: its EXDATE leaves out {format_instant(instant)}"
    elif not recurrence.at_wall(spec, wall, zone):
        begin = "" if spec.start_at else ", counted from 1970-01-01T00:00 since there is no startAt"
        yield f"{said} does not name {wall:%A %Y-%m-%d %H:%M:%S} in {zone}{begin}"
    elif (until := rulewalls.until_instant(rrule.parse(text))) is not None and instant > until:
        yield f"{said}: its UNTIL was reached"
    else:
        which = "second" if instant.astimezone(zones.zone(zone)).fold else "first"
        yield f"this is the {which} pass of a time that comes twice, and dst.fold: {spec.dst.fold} takes the other"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _off_the_cron(spec: ScheduleSpec, text: str, instant: datetime, zone: str) -> Iterator[str]:
    where = zones.zone(zone)
    wall = instant.astimezone(where)
    parsed = cron.parse(text)
    words = text.split()
    if wall.second or wall.microsecond:
        yield "cron fires at full minutes"
    off = [
        (name, value, word)
        for name, value, among, word in (
            ("minute", wall.minute, parsed.minutes, words[0]),
            ("hour", wall.hour, parsed.hours, words[1]),
            ("month", wall.month, parsed.months, words[3]),
        )
        if value not in among
    ]
    yield from (f'the {name} is {value} in {zone}, and cron: "{text}" says {word}' for name, value, word in off)
    if not parsed.names_day(wall):
        day = f"{wall:%A}, day {wall.day} of the month"
        yield f'it is {day}, and cron: "{text}" says day {words[2]}, weekday {words[4]}'
    elif not off and not wall.second and not wall.microsecond:
        passes = {wall.replace(fold=fold).utcoffset() for fold in (0, 1)}
        if len(passes) > 1:
            which = "second" if wall.fold else "first"
            yield f"this is the {which} pass of a time that comes twice, and dst.fold: {spec.dst.fold} takes the other"
