"""When a schedule is due: cron, rrule, every, at as instants (DEFINITIONS 5). Pure; all instants are aware, in UTC."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from engine.times import cron, dst, rrule, rulewalls, zones
from engine.times.ruledays import FIRST_YEAR, LAST_YEAR
from schemas.quantities import format_duration, format_instant
from schemas.schedule import Dst, ScheduleSpec

TICK = timedelta(microseconds=1)
HORIZON = timedelta(days=40 * 366)
"""How far a search for the next instant looks."""
_DAY = timedelta(days=1)
_LOOK_BACK = timedelta(minutes=1)
_FIRST_START = datetime(1, 1, 2, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGIN_OF_TIME = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
"""Nothing is due earlier: the longest duration, ten years, is still left before it, and in every zone."""
END_OF_TIME = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
"""Nothing is due from then on: the longest jitter and the longest window still end in a year that there is."""


YEARS = f"schedules are due in the years {FIRST_YEAR} to {LAST_YEAR - 1} only"


def is_within(instant: datetime) -> bool:
    """Whether it lies in the years in which anything may be due, and in a year by the clocks of every zone."""
    return BEGIN_OF_TIME <= instant < END_OF_TIME


def just_before(instant: datetime) -> datetime:
    """What is due after it is due at the instant or later, also where that has nothing before it."""
    return max(instant, BEGIN_OF_TIME) - TICK


@dataclass(frozen=True, slots=True)
class Span:
    """The due instants of an interval without their values: the first, the last, and how many."""

    first: datetime
    last: datetime
    count: int


def instants(
    spec: ScheduleSpec, after: datetime, until: datetime, *, zone_default: str | None = None
) -> Iterator[datetime]:
    """The due instants in (after, until], oldest first. `startAt` counts in, `endAt` does not.

    Raises ValueError for a time zone that is none, CronError or RuleError (both ValueError) for text that is none:
    validation finds them before.
    """
    after, until = _within(spec, after, until)
    if after >= until:
        return iter(())
    if spec.at is not None:
        return iter((spec.at,) if after < spec.at <= until else ())
    if spec.every is not None:
        return _paced(spec, spec.every, after, until)
    if spec.cron is not None:
        found = by_cron(spec.cron, zone_of(spec, zone_default), spec.dst, after)
        return takewhile(lambda instant: instant <= until, found)
    return _by_rule(spec, zone_of(spec, zone_default), after, until)


def next_due(
    spec: ScheduleSpec, after: datetime, *, zone_default: str | None = None, horizon: timedelta = HORIZON
) -> datetime | None:
    """The first due instant after `after`. None where there is none within `horizon`, 40 years if nothing is said.

    A later `startAt` moves the search there.
    """
    begin, _ = _within(spec, after, after)
    return next(instants(spec, begin, min(begin, END_OF_TIME - horizon) + horizon, zone_default=zone_default), None)


def span(spec: ScheduleSpec, after: datetime, until: datetime, *, zone_default: str | None = None) -> Span | None:
    """The due instants in (after, until] as a span; None where there are none. Bounded in memory."""
    if spec.every is not None:
        low, high = _paces(spec, spec.every, *_within(spec, after, until))
        return Span(_pace(spec, low), _pace(spec, high), high - low + 1) if low <= high else None
    after, until = _within(spec, after, until)
    first = next(instants(spec, after, until, zone_default=zone_default), None)
    if first is None:
        return None
    (last,) = newest(spec, after, until, 1, zone_default=zone_default)
    return Span(first, last, 1 + _count(spec, first, last, zone_default))


def newest(
    spec: ScheduleSpec, after: datetime, until: datetime, count: int, *, zone_default: str | None = None
) -> tuple[datetime, ...]:
    """The newest `count` due instants in (after, until], oldest first."""
    until = min(until, _over(spec, zone_default))
    if spec.every is not None:
        first, last = _paces(spec, spec.every, *_within(spec, after, until))
        return tuple(_pace(spec, number) for number in range(max(first, last - count + 1), last + 1))
    back = _LOOK_BACK
    while back < until - after:  # a year of minutes is not walked for the last of them
        found = deque(instants(spec, until - back, until, zone_default=zone_default), maxlen=count)
        if len(found) == count:
            return tuple(found)
        back *= 8
    return tuple(deque(instants(spec, after, until, zone_default=zone_default), maxlen=count))


def dropped(
    spec: ScheduleSpec, after: datetime, until: datetime, *, zone_default: str | None = None
) -> Iterator[tuple[datetime, datetime]]:
    """The wall times (naive) that `gap: skip` leaves out, each with the end of its gap; ends in (after, until]."""
    after, until = _within(spec, after, until)
    if spec.dst.gap != "skip" or after >= until:
        return
    where = zones.zone(zone_of(spec, zone_default))
    last = until.astimezone(where).replace(tzinfo=None)  # what a gap leaves out is earlier than its end
    walls = takewhile(lambda wall: wall < last, _fixed_walls(spec, dst.earliest_wall(after, where), last, where))
    yield from ((wall, end) for wall, end in dst.missing(walls, where) if after < end <= until)


def _fixed_walls(spec: ScheduleSpec, begin: datetime, until: datetime, where: ZoneInfo) -> Iterator[datetime]:
    """Its wall times from `begin` on, where it means times of a day; none where it follows elapsed time."""
    if spec.cron is not None:
        parsed = cron.parse(spec.cron)
        return iter(()) if parsed.elapsed else parsed.walls(begin)
    if spec.rrule is not None:
        walls = _walls(spec, spec.rrule, where)
        return iter(()) if walls.elapsed else walls.after(begin, until)
    return iter(())


def follows_elapsed_time(spec: ScheduleSpec) -> bool:
    """Whether changes of clocks neither move its instants nor leave any out. Raises as `instants` does."""
    if spec.cron is not None:
        return cron.parse(spec.cron).elapsed
    return spec.rrule is None or rrule.parse(spec.rrule).elapsed


def at_wall(spec: ScheduleSpec, wall: datetime, zone_default: str | None) -> bool:
    """Whether a cron or rrule means this wall time (naive), clock changes apart."""
    if spec.cron is not None:
        return next(cron.parse(spec.cron).walls(wall), None) == wall
    if spec.rrule is not None:
        walls = _walls(spec, spec.rrule, zones.zone(zone_of(spec, zone_default)))
        return next(walls.after(wall, wall), None) is not None
    return True


def excepted(spec: ScheduleSpec, instant: datetime, zone_default: str | None) -> bool:
    """Whether a rule would be due at an instant, did an EXDATE in UTC not leave it out."""
    if instant not in _instants_left_out(spec, zone_default):
        return False
    named = _named_by_rule(spec, zone_of(spec, zone_default), *_within(spec, just_before(instant), instant))
    return next(named, None) is not None


def _instants_left_out(spec: ScheduleSpec, zone_default: str | None) -> frozenset[datetime]:
    if spec.rrule is None:
        return frozenset()
    return _walls(spec, spec.rrule, zones.zone(zone_of(spec, zone_default))).instants_left_out


def zone_of(spec: ScheduleSpec, zone_default: str | None) -> str:
    """The name of the schedule's time zone: its own, else the project's, else UTC."""
    return spec.time_zone or zone_default or "UTC"


def starts_at(name: str, spec: ScheduleSpec, instant: datetime) -> datetime:
    """The instant plus its jitter: whole seconds from 0 to below `jitter`, the same for a schedule and instant."""
    seconds = int(spec.jitter.total_seconds())
    if seconds == 0:
        return instant
    digest = hashlib.sha256(f"{name}\n{format_instant(instant)}".encode()).digest()
    return instant + timedelta(seconds=int.from_bytes(digest[:8]) % seconds)


def time_fields(spec: ScheduleSpec, zone_default: str | None) -> str:
    """The fields that say when, as one text: another text means another clock."""
    pace = spec.every and format_duration(spec.every)
    ends = [instant and instant.isoformat() for instant in (spec.at, spec.start_at, spec.end_at)]
    where = zone_of(spec, zone_default) if spec.cron is not None or spec.rrule is not None else None
    return repr((spec.cron, spec.rrule, pace, *ends, where, spec.dst.gap, spec.dst.fold))


def _within(spec: ScheduleSpec, after: datetime, until: datetime) -> tuple[datetime, datetime]:
    after, until = max(after, BEGIN_OF_TIME - TICK), min(until, END_OF_TIME - TICK)
    if spec.start_at is not None:
        after = max(after, just_before(spec.start_at))
    if spec.end_at is not None:
        until = min(until, just_before(spec.end_at))
    return after, until


def _count(spec: ScheduleSpec, after: datetime, until: datetime, zone_default: str | None) -> int:
    """How many due instants are in (after, until], without walking over those between two changes of clocks."""
    until = min(until, _over(spec, zone_default))
    count = _wall_counter(spec, zone_of(spec, zone_default))
    if count is None:
        return sum(1 for _ in instants(spec, after, until, zone_default=zone_default))
    left_out = _instants_left_out(spec, zone_default)
    found = 0
    for begin, end, offset in dst.steady(after, until, zones.zone(zone_of(spec, zone_default))):
        if offset is None:
            found += sum(1 for _ in instants(spec, begin, end, zone_default=zone_default))
        else:
            walls = [_wall(instant, offset) for instant in left_out if begin < instant <= end]
            found += count(_wall(begin, offset), _wall(end, offset))
            found -= sum(1 for wall in walls if at_wall(spec, wall, zone_default))
    return found


def _wall_counter(spec: ScheduleSpec, zone_name: str) -> Callable[[datetime, datetime], int] | None:
    """Counts wall times in (begin, end]; None where one must look."""
    if spec.cron is not None:
        return cron.parse(spec.cron).count
    if spec.rrule is None:
        return None
    walls = _walls(spec, spec.rrule, zones.zone(zone_name))
    return lambda begin, end: walls.count(begin + TICK, end)


def _over(spec: ScheduleSpec, zone_default: str | None) -> datetime:
    """No instant of the schedule comes after it, by the UNTIL of its rule."""
    if spec.rrule is None:
        return END_OF_TIME
    where = zones.zone(zone_of(spec, zone_default))
    walls = _walls(spec, spec.rrule, where)
    if (until := rulewalls.until_instant(walls.rule)) is not None or walls.last >= END_OF_TIME.replace(tzinfo=None):
        return until or END_OF_TIME
    if walls.last <= BEGIN_OF_TIME.replace(tzinfo=None):  # east of Greenwich it may lie before the first year
        return BEGIN_OF_TIME
    # Of a time that comes twice the second, and of one that does not exist the one after the gap.
    return max(walls.last.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1))


def _wall(instant: datetime, offset: timedelta) -> datetime:
    return (instant + offset).replace(tzinfo=None)


def by_cron(text: str, zone_name: str, changes: Dst, after: datetime) -> Iterator[datetime]:
    """The instants of a cron text after `after`, oldest first, endless where it is. Raises as `instants` does.

    `after` lies in the years from 2 to 9990.
    """
    parsed = cron.parse(text)
    where = zones.zone(zone_name)
    rule = dst.ELAPSED if parsed.elapsed else dst.Rule(changes.gap, changes.fold)
    walls = parsed.walls(dst.earliest_wall(after, where))
    return (instant for instant in dst.instants(walls, where, rule) if instant > after)


def _by_rule(spec: ScheduleSpec, zone_name: str, after: datetime, until: datetime) -> Iterator[datetime]:
    left_out = _instants_left_out(spec, zone_name)
    return (instant for instant in _named_by_rule(spec, zone_name, after, until) if instant not in left_out)


def _named_by_rule(spec: ScheduleSpec, zone_name: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The same with those that EXDATE in UTC leaves out."""
    assert spec.rrule is not None
    where = zones.zone(zone_name)
    walls = _walls(spec, spec.rrule, where)
    rule = dst.ELAPSED if walls.elapsed else dst.Rule(spec.dst.gap, spec.dst.fold)
    last = until.astimezone(where).replace(tzinfo=None) + _DAY  # a gap moves its times to its end
    found = dst.instants(walls.after(dst.earliest_wall(after, where), last), where, rule)
    end = min(until, rulewalls.until_instant(walls.rule) or until)
    return takewhile(lambda instant: instant <= end, (instant for instant in found if instant > after))


def _walls(spec: ScheduleSpec, text: str, where: ZoneInfo) -> rulewalls.Walls:
    """A rule counts from the local time of `startAt`."""
    if spec.start_at is None:
        return rulewalls.walls_of(text, None)
    within = min(max(spec.start_at, _FIRST_START), END_OF_TIME)  # else it may be in no year by the clocks of the zone
    return rulewalls.walls_of(text, within.astimezone(where).replace(tzinfo=None, microsecond=0))


def _paced(spec: ScheduleSpec, every: timedelta, after: datetime, until: datetime) -> Iterator[datetime]:
    first, last = _paces(spec, every, after, until)
    return (_pace(spec, number) for number in range(first, last + 1))


def _paces(spec: ScheduleSpec, every: timedelta, after: datetime, until: datetime) -> tuple[int, int]:
    """Numbers of the first and last instant in (after, until]; the first is the greater where there is none."""
    anchor = spec.start_at or _EPOCH
    return (after - anchor) // every + 1, (until - anchor) // every


def _pace(spec: ScheduleSpec, number: int) -> datetime:
    assert spec.every is not None
    return (spec.start_at or _EPOCH) + number * spec.every
