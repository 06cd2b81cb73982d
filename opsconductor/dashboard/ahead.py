"""What is due in the days ahead, with what stands in its way: made of the same functions as `next`. Pure.

Bounded: what is due too often to be looked at one by one is counted, and said to be.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice

from engine.catalog import Catalog
from engine.expressions.expression import has_expression
from engine.runs.concurrency import group_of, group_of_job
from engine.schedules.admission import Admission, Admissions
from engine.schedules.fires import Dropped, Fire, dropped, fires_of
from engine.times import recurrence, zones
from engine.times.calendars import days_of
from engine.times.dst import offset_at
from engine.times.openings import Openings
from engine.times.recurrence import TICK
from schemas.schedule import Schedule

MOST = 6_000
"""Due instants that are looked at one by one, of all schedules."""
MOST_OF_ONE = 2_100
"""And of one schedule: more than every five minutes of a week."""
_MOST_SPANS = 200
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Frequent:
    """A schedule that is due too often to be listed: how often in the first week, and how often it starts something.

    `runs` is None where calendars and windows change too often for that to be counted.
    """

    schedule: str
    count: int
    runs: int | None

    @property
    def skipped(self) -> int:
        """As far as it is known."""
        return 0 if self.runs is None else self.count - self.runs


@dataclass(frozen=True, slots=True)
class Open:
    """A time in which a window is open; its `end` is None where it has none."""

    window: str
    effect: str
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """Clocks of a zone change at an instant: by so many minutes, forward where it is more than 0."""

    zone: str
    instant: datetime
    minutes: int


@dataclass(frozen=True, slots=True)
class Collision:
    """More runs start in a minute than a concurrency group has places, or, without a group, than is usual."""

    minute: datetime
    group: str | None
    places: int | None
    schedules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """All of [start, end)."""

    start: datetime
    end: datetime
    fires: tuple[Fire, ...]
    frequent: tuple[Frequent, ...]
    dropped: tuple[Dropped, ...]
    open: tuple[Open, ...]
    changes: tuple[Change, ...]


def ahead(catalog: Catalog, start: datetime, end: datetime) -> Ahead:
    """What is due, as if the engine were always on time. Both are full hours."""
    default = catalog.project.spec.defaults.time_zone
    listed, counted = _shared(catalog, start, end)
    admissions, suspended = Admissions(catalog), catalog.project.spec.suspend
    fires = [
        fire
        for one in listed
        for fire in fires_of(
            one, start, end, zone_default=default, suspended=suspended, admission=admissions.of(one.name)
        )
    ]
    return Ahead(
        start,
        end,
        tuple(sorted(fires, key=lambda fire: (fire.instant, fire.schedule))),
        tuple(_counted(catalog, admissions, counted, start, min(end, start + WEEK))),
        dropped(catalog, start, end),
        tuple(_open(catalog, start, end)),
        tuple(_changes(catalog, start, end)),
    )


def _shared(catalog: Catalog, start: datetime, end: datetime) -> tuple[list[Schedule], tuple[str, ...]]:
    """The schedules that are looked at one by one, the rarest first while there is room, and those that are counted."""
    default = catalog.project.spec.defaults.time_zone
    spans = {
        name: recurrence.span(one.spec, start - TICK, end - TICK, zone_default=default)
        for name, one in catalog.live_schedules.items()
    }
    counts = {name: 0 if found is None else found.count for name, found in spans.items()}
    listed, counted, room = [], [], MOST
    for name in sorted(counts, key=lambda name: (counts[name], name)):
        if counts[name] <= min(room, MOST_OF_ONE):
            room -= counts[name]
            listed.append(catalog.schedules[name])
        else:
            counted.append(name)
    return listed, tuple(counted)


def _counted(
    catalog: Catalog, admissions: Admissions, names: Iterable[str], start: datetime, end: datetime
) -> Iterator[Frequent]:
    """What is due in [start, end) without looking at each: whole times in which nothing opens or closes are judged."""
    default, left = catalog.project.spec.defaults.time_zone, MOST
    for name in names:
        whole = recurrence.span(catalog.schedules[name].spec, start - TICK, end - TICK, zone_default=default)
        pieces = list(islice(_pieces(catalog, admissions.of(name), start, end), left))
        left -= len(pieces)
        count = 0 if whole is None else whole.count
        known = sum(one for one, _ in pieces) == count
        yield Frequent(name, count, sum(one for one, runs in pieces if runs) if known else None)


def _pieces(catalog: Catalog, admission: Admission, start: datetime, end: datetime) -> Iterator[tuple[int, bool]]:
    """How many instants are due one after another with one verdict, and whether they start something."""
    project, schedule, at = catalog.project.spec, admission.schedule, start
    default = project.defaults.time_zone
    while first := next(recurrence.instants(schedule.spec, at - TICK, end - TICK, zone_default=default), None):
        ends = (end, admission.steady_until(first), _suspended_until(schedule))
        at = min(one for one in ends if one is not None and one > first)
        found = recurrence.span(schedule.spec, first - TICK, at - TICK, zone_default=default)
        fires = fires_of(
            schedule, first, first + TICK, zone_default=default, suspended=project.suspend, admission=admission
        )
        if found is not None:
            yield found.count, any(fire.decision == "run" for fire in fires)


def _suspended_until(schedule: Schedule) -> datetime | None:
    return None if isinstance(schedule.spec.suspend, bool) else schedule.spec.suspend.until


def _open(catalog: Catalog, start: datetime, end: datetime) -> Iterator[Open]:
    for name, window in sorted(catalog.windows.items()):
        openings = Openings(window.spec, zone_default=catalog.project.spec.defaults.time_zone)
        for number, opening in enumerate(openings.between(start, end)):
            if number == _MOST_SPANS:
                break
            yield Open(name, window.spec.effect, opening.start, opening.end)


def zones_of(catalog: Catalog) -> frozenset[str]:
    """The zones that schedules go by."""
    default = catalog.project.spec.defaults.time_zone
    return frozenset(
        recurrence.zone_of(one.spec, default) for one in catalog.schedules.values() if one.spec.cron or one.spec.rrule
    )


def _changes(catalog: Catalog, start: datetime, end: datetime) -> Iterator[Change]:
    for name in sorted(zones_of(catalog)):
        where, at = zones.zone(name), start
        while at < end:
            after = min(at + _DAY, end)
            size = offset_at(after, where) - offset_at(at, where)
            if size:
                low, high = at, after
                while high - low > _MINUTE:
                    middle = low + (high - low) / 2
                    low, high = (low, middle) if offset_at(middle, where) != offset_at(low, where) else (middle, high)
                yield Change(name, high.replace(second=0, microsecond=0), int(size / _MINUTE))
            at = after


def named_days(catalog: Catalog, first: date, count: int, zone: str) -> Mapping[date, tuple[str, ...]]:
    """The calendars that name one of some days."""
    days = [first + number * _DAY for number in range(count)]
    found: dict[date, list[str]] = {day: [] for day in days}
    for name, calendar in sorted(catalog.calendars.items()):
        tests = tuple(days_of(calendar.spec, catalog.calendar_files, zone))
        for day in days:
            if any(holds(day) for holds in tests):
                found[day].append(name)
    return {day: tuple(names) for day, names in found.items()}


def collisions(catalog: Catalog, found: Ahead, crowd: int) -> Iterator[Collision]:
    """Minutes in which more start than a group has places, and in which more than `crowd` start at all."""
    starts = [fire for fire in found.fires if fire.decision == "run" and fire.starts_at is not None]
    by_minute: dict[datetime, list[str]] = {}
    by_group: dict[tuple[datetime, str], list[str]] = {}
    groups = {name: _group(catalog, one) for name, one in catalog.schedules.items()}
    for fire in starts:
        minute = (fire.starts_at or fire.instant).replace(second=0, microsecond=0)
        by_minute.setdefault(minute, []).append(fire.schedule)
        if (known := groups[fire.schedule]) is not None:
            by_group.setdefault((minute, known[0]), []).append(fire.schedule)
    places = _places(groups)
    for (minute, group), names in by_group.items():
        if len(names) > places[group]:
            yield Collision(minute, group, places[group], tuple(names))
    for minute, crowded in by_minute.items():
        if len(crowded) > crowd:
            yield Collision(minute, None, None, tuple(crowded))


def _places(groups: Mapping[str, tuple[str, int] | None]) -> Mapping[str, int]:
    """Of each group the fewest places that one of its jobs says."""
    found: Counter[str] = Counter()
    for one in groups.values():
        if one is not None:
            found[one[0]] = min(found[one[0]] or one[1], one[1])
    return found


def _group(catalog: Catalog, schedule: Schedule) -> tuple[str, int] | None:
    """The concurrency group of what a schedule starts, and its places; None where its runs do not get in each other's
    way, or only its params tell."""
    job = catalog.jobs.get(schedule.spec.job_ref or "")
    workflow = catalog.workflows.get(schedule.spec.workflow_ref or "")
    if job is not None:
        name, said = group_of_job(job), job.spec.concurrency
    elif workflow is not None:
        name, said = group_of(workflow.name, workflow.spec), workflow.spec.concurrency
    else:
        return None
    return None if said.on_conflict == "allow" or has_expression(name) else (name, said.limit)
