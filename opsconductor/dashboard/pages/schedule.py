"""The week ahead: how much is due when, what is kept out, what gets in each other's way."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.identity import compact, scan_name
from engine.schedules.fires import Fire
from engine.status.yamltext import stamp
from engine.times import zones
from opsconductor.dashboard.ahead import WEEK, Ahead, Collision, Frequent, Open, collisions, named_days
from opsconductor.dashboard.icalendar import Event, calendar
from opsconductor.dashboard.pages.briefs import usual_seconds
from opsconductor.dashboard.pages.page import Asked, File, Page, UnfitQuery, instant_of, number_of
from opsconductor.dashboard.sources import Data, Sources

_LISTED = 50
_SHOWN = 50
_CROWD = 10
_CLASHES = 20
_HEATS = 5
_EVENTS = 1_000
_ASKED = 100
_SHORTEST = timedelta(minutes=5)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


async def load(sources: Sources, asked: Asked) -> Data:
    """The query has `zone` for the map, `from` for the list, `name` for both, `crowd` for what counts as a crowd."""
    at, catalog, query = sources.clock.now(), sources.engine.catalog, asked.query
    zone = query.get("zone") or (catalog and catalog.project.spec.defaults.time_zone) or "UTC"
    try:
        zones.zone(zone)
    except ValueError as error:
        raise UnfitQuery("'zone' is the name of a time zone, as in Europe/Berlin") from error
    crowd, name = number_of(query, "crowd", _CROWD), query.get("name", "")
    begin = instant_of(query, "from", at + WEEK) or at
    asked_for = {"at": stamp(at), "zone": zone, "crowd": crowd, "name": name, "from": stamp(begin)}
    if catalog is None:
        return asked_for | {"sentence": "No commit is in force yet: nothing is due.", "week": None}
    found = await asyncio.to_thread(sources.kept.ahead, catalog, full_hour(at), WEEK + _HOUR)
    until = at + WEEK
    fires = [one for one in found.fires if at <= one.instant < until and name.lower() in one.schedule.lower()]
    listed = [one for one in fires if one.instant >= begin]
    often = [one for one in found.frequent if name.lower() in one.schedule.lower()]
    clashes = sorted(
        (one for one in collisions(catalog, found, crowd) if at <= one.minute < until),
        key=lambda one: (one.minute, one.group or ""),
    )
    return asked_for | {
        "sentence": _sentence(fires, often, found, clashes),
        "week": _week(catalog, found, fires, zone, at),
        "frequent": [_often(one) for one in often],
        "windows": [_window(one) for one in found.open[:_SHOWN]],
        "changes": [{"zone": one.zone, "instant": stamp(one.instant), "minutes": one.minutes} for one in found.changes],
        "dropped": [one.to_json() for one in found.dropped[:_SHOWN]],
        "collisions": [_collision(one) for one in clashes[:_CLASHES]],
        "moreCollisions": max(len(clashes) - _CLASHES, 0),
        "fires": [one.to_json() | {"starts": _starts(catalog, one.schedule)} for one in listed[:_LISTED]],
        "later": stamp(listed[_LISTED].instant) if len(listed) > _LISTED else None,
        "count": len(listed),
        "zones": sorted({zone, "UTC", *(one.time_zone for one in found.fires)}),
    }


PAGE = Page(
    "/schedule",
    "schedule",
    load,
    name="Schedule",
    asks={
        "zone": "The time zone of the map.",
        "from": "The instant at which the list begins, at most a week from now.",
        "name": "A part of the schedule's name.",
        "crowd": "How many at once are a crowd.",
    },
    gives=("zone", "crowd", "name", "from", "sentence", "week"),
)


async def calendar_file(sources: Sources, asked: Asked) -> str:
    """What will run, as an iCalendar file; `name` as on the page. An entry is as long as such a run usually takes."""
    at, catalog, name = sources.clock.now(), sources.engine.catalog, asked.query.get("name", "").lower()
    if catalog is None:
        return calendar("OpsConductor", (), at)
    found = await asyncio.to_thread(sources.kept.ahead, catalog, full_hour(at), WEEK + _HOUR)
    known = [one for one in found.fires if one.decision == "run" and name in one.schedule.lower()]
    runs, left_out = known[:_EVENTS], known[_EVENTS:]
    often = [one for one in found.frequent if name in one.schedule.lower()]
    started = {one.schedule: _starts(catalog, one.schedule) for one in runs}
    asked_for = sorted({(str(one["kind"]), str(one["name"])) for one in started.values()})[:_ASKED]
    usual = await sources.journal.read(lambda conn: {one: _usual(conn, *one) for one in asked_for})
    events = (
        Event(
            uid=f"{one.schedule}-{compact(one.instant)}@opsconductor",
            start=one.starts_at or one.instant,
            length=max(timedelta(seconds=usual.get((starts["kind"], starts["name"])) or 0), _SHORTEST),
            summary=starts["name"],
            description=f"schedule {one.schedule}, {one.local.isoformat(timespec='minutes')} {one.time_zone}",
        )
        for one in runs
        for starts in (started[one.schedule],)
    )
    missing = _missing(often, left_out)
    note = Event("left-out@opsconductor", at, _DAY, "Not in this calendar", missing, all_day=True)
    notes = (note,) if missing else ()
    return calendar("OpsConductor", (*notes, *events), at, missing)


def _usual(conn: Connection, kind: str, name: str) -> float | None:
    """How long what a schedule starts usually takes."""
    return usual_seconds(conn, scan_name(name) if kind == "discovery" else name, workflow=kind == "workflow")


def _missing(often: Sequence[Frequent], left_out: Sequence[Fire]) -> str:
    """What is due and has no entry of its own; nothing where all has."""
    parts = [f"schedule {one.schedule}: due {_times(one)}" for one in often[:_SHOWN]]
    parts += [f"and {len(often) - _SHOWN} more such schedules"] * (len(often) > _SHOWN)
    if left_out:
        parts.append(f"{len(left_out)} runs from {stamp(left_out[0].starts_at or left_out[0].instant)} on")
    return f"Without entries, as there are too many: {'; '.join(parts)}." if parts else ""


def _often(one: Frequent) -> Data:
    return {"schedule": one.schedule, "count": one.count, "runs": one.runs, "times": _times(one)}


def _times(one: Frequent) -> str:
    """How often in the week, and how much of it starts something."""
    if one.runs is None:
        return f"{one.count} times in a week, without a look at calendars and windows"
    kept_out = f", of which {one.skipped} are skipped" if one.skipped else ""
    return f"{one.count} times in a week{kept_out}"


ICS = File("/schedule.ics", "text/calendar; charset=utf-8", calendar_file)


def full_hour(at: datetime) -> datetime:
    """The hour that has begun."""
    return at.replace(minute=0, second=0, microsecond=0)


def _sentence(fires: Sequence[Fire], often: Sequence[Frequent], found: Ahead, clashes: Sequence[Collision]) -> str:
    runs = sum(one.decision == "run" for one in fires) + sum(one.count - one.skipped for one in often)
    kept_out = sum(one.decision != "run" for one in fires) + sum(one.skipped for one in often)
    parts = [f"{runs} run{'s are' if runs != 1 else ' is'} due in the coming week"]
    if kept_out:
        instants = "instants are" if kept_out != 1 else "instant is"
        parts.append(f"{kept_out} {instants} skipped by calendars, windows or a suspension")
    if clashes:
        parts.append(f"at {len({one.minute for one in clashes})} minutes runs get in each other's way or crowd")
    if found.changes:
        parts.append(f"clocks change in {', '.join(dict.fromkeys(one.zone for one in found.changes))}")
    return "; ".join(parts) + "."


def _week(catalog: Catalog, found: Ahead, fires: Iterable[Fire], zone: str, at: datetime) -> list[Data]:
    """The rows of the map: a count for each hour of the clock, which an hour that comes twice shares."""
    where = zones.zone(zone)
    runs: Counter[tuple[date, int]] = Counter()
    skipped: Counter[tuple[date, int]] = Counter()
    for fire in fires:
        local = fire.instant.astimezone(where)
        (runs if fire.decision == "run" else skipped)[local.date(), local.hour] += 1
    most = max(runs.values(), default=1)
    # A week that does not begin at midnight touches eight days.
    first, last = at.astimezone(where).date(), (at + WEEK - _INSTANT).astimezone(where).date()
    days = named_days(catalog, first, (last - first).days + 1, zone)
    return [
        {
            "day": day.isoformat(),
            "weekday": f"{day:%a}",
            "calendars": list(names),
            "hours": [
                _cell(found, hours.get(hour, []), at)
                | {
                    "hour": hour,
                    "runs": runs[day, hour],
                    "skipped": skipped[day, hour],
                    "heat": -(-_HEATS * runs[day, hour] // most),
                }
                for hour in range(24)
            ],
        }
        for day, names in days.items()
        for hours in (_hours(day, zone),)
    ]


def _cell(found: Ahead, hours: Sequence[datetime], at: datetime) -> Data:
    return {
        "from": stamp(hours[0]) if hours else None,
        "past": not hours or hours[-1] + _HOUR <= at,
        "beyond": bool(hours) and hours[0] >= at + WEEK,
        "windows": sorted({one.window for one in _open_in(found.open, hours)}),
    }


def _hours(day: date, zone: str) -> Mapping[int, list[datetime]]:
    """The instants at which the hours of a local day begin; none, or two, where clocks change."""
    where = zones.zone(zone)
    at = datetime.combine(day, time.min, tzinfo=where).astimezone(UTC)
    found: dict[int, list[datetime]] = {}
    while (local := at.astimezone(where)).date() == day:
        found.setdefault(local.hour, []).append(at)
        at += _HOUR
    return found


def _open_in(found: Iterable[Open], hours: Iterable[datetime]) -> Iterator[Open]:
    """The deny windows that are open in one of these hours."""
    for one in found:
        if one.effect == "deny" and any(one.start < at + _HOUR and (one.end is None or at < one.end) for at in hours):
            yield one


def _window(one: Open) -> Data:
    return {
        "window": one.window,
        "effect": one.effect,
        "start": stamp(one.start),
        "end": one.end and stamp(one.end),
    }


def _collision(one: Collision) -> Data:
    return {
        "minute": stamp(one.minute),
        "group": one.group,
        "places": one.places,
        "schedules": list(islice(one.schedules, 20)),
        "count": len(one.schedules),
    }


def _starts(catalog: Catalog, name: str) -> Data:
    spec = catalog.schedules[name].spec
    kind = "job" if spec.job_ref else "workflow" if spec.workflow_ref else "discovery"
    return {"kind": kind, "name": spec.job_ref or spec.workflow_ref or spec.discovery_ref}
