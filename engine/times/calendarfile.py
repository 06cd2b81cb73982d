"""An iCalendar file (RFC 5545): the days of its events, in any time zone. Read by `icalendar`, bounded by us. Pure.

Whole-day events are days, whatever the zone. An event with times covers each local day that it touches. Recurring
events recur by our own rules (`engine.times.rulewalls`), so that no file can make a search endless.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.times import rrule, rulewalls, zones

if TYPE_CHECKING:
    from icalendar import Component

MAX_EVENTS = 5_000
MAX_RECURRING = 500
MAX_TIMES = 5_000
"""Times in RDATE and EXDATE of all events together."""
MAX_COUNT = 10_000
"""COUNT of a rule: to know its last, all are walked."""
MAX_LENGTH = timedelta(days=3_660)
_YEARS = range(20, 9_980)
_FIRST, _LAST = (datetime(year, 1, 1, tzinfo=UTC) for year in (_YEARS.start - 1, _YEARS.stop))
_DAY = timedelta(days=1)
_MARGIN = 2 * _DAY
"""More than two time zones lie apart."""
_SAID = 100


class CalendarFileError(ValueError):
    """The file cannot be used: one line for its author."""


@dataclass(frozen=True, slots=True)
class _Event:
    """An event by its wall times. `zone` None: those of whoever looks; `whole_days`: its times are midnights."""

    start: datetime
    length: timedelta
    zone: tzinfo | None
    whole_days: bool
    rule: str | None = None
    more: tuple[datetime, ...] = ()
    left_out: frozenset[datetime] = frozenset()

    def starts(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Those in [begin, end], in no order."""
        found = [self.start, *self.more]
        if self.rule is not None:
            walls = rulewalls.walls_of(self.rule, self.start)
            last = self._until(walls.rule)
            found += [wall for wall in walls.after(begin, end) if last is None or wall <= last]
        return (wall for wall in dict.fromkeys(found) if begin <= wall <= end and wall not in self.left_out)

    def _until(self, rule: rrule.Rule) -> datetime | None:
        until = rulewalls.until_instant(rule)
        if until is None:
            return None
        within = min(max(until, _FIRST), _LAST)  # else it may be in no year by the clocks of the zone
        return within.astimezone(self.zone or UTC).replace(tzinfo=None)

    def days(self, first: date, last: date, where: tzinfo) -> Iterator[date]:
        """The local days in [first, last] that it touches. One without a length touches the day of its start."""
        begin = datetime.combine(first, time.min) - _MARGIN - self.length
        end = datetime.combine(last, time.min) + _MARGIN
        for wall in self.starts(begin, end):
            from_, to = self._local(wall, where), self._local(wall + self.length, where)
            day = max(from_.date(), first)
            final = min((max(to - timedelta(microseconds=1), from_)).date(), last)
            while day <= final:
                yield day
                day += _DAY

    def _local(self, wall: datetime, where: tzinfo) -> datetime:
        if self.whole_days or self.zone is None:
            return wall
        return wall.replace(tzinfo=self.zone).astimezone(where).replace(tzinfo=None)


class CalendarFile:
    """The events of one file. Two are the same where their bytes are."""

    def __init__(self, data: bytes, events: tuple[_Event, ...]) -> None:
        self._data = data
        self._events = events
        self._known: dict[tuple[int, str], frozenset[date]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CalendarFile) and self._data == other._data

    def __hash__(self) -> int:
        return hash(self._data)

    def holds(self, day: date, zone: str) -> bool:
        """Whether an event touches the day, as clocks in the zone show it. Of the ends of time it knows nothing."""
        return day.year in _YEARS and day in self._of_year(day.year, zone)

    def _of_year(self, year: int, zone: str) -> frozenset[date]:
        key = (year, zone)
        found = self._known.get(key)  # once: another thread may clear it
        if found is None:
            if len(self._known) >= 64:
                self._known.clear()
            where = zones.zone(zone)
            found = frozenset(
                day for event in self._events for day in event.days(date(year, 1, 1), date(year, 12, 31), where)
            )
            self._known[key] = found
        return found


@lru_cache(maxsize=64)
def read(data: bytes) -> CalendarFile:
    """The events of a file. Raises CalendarFileError; what a calendar has besides events is not looked at."""
    import icalendar  # where a calendar names a file: it takes a while

    if data.upper().count(b"BEGIN:VEVENT") > MAX_EVENTS:
        raise CalendarFileError(f"it has more than {MAX_EVENTS:,} events")
    try:
        calendar = icalendar.Calendar.from_ical(data)
    except Exception as error:  # noqa: BLE001 -- whatever its parser trips over: an odd parameter gave an AttributeError
        raise CalendarFileError(f"it is no iCalendar file: {_one_line(error)}") from None
    if calendar.name != "VCALENDAR":
        raise CalendarFileError("it is no iCalendar file: it does not begin with BEGIN:VCALENDAR")
    components = [one for one in calendar.walk("VEVENT") if str(one.get("STATUS", "")).upper() != "CANCELLED"]
    moved = _moved(calendar.walk("VEVENT"))
    events = tuple(_event(one, moved) for one in components)
    if sum(1 for event in events if event.rule is not None) > MAX_RECURRING:
        raise CalendarFileError(f"it has more than {MAX_RECURRING} events that recur")
    if sum(len(event.more) + len(event.left_out) for event in events) > MAX_TIMES:
        raise CalendarFileError(f"it has more than {MAX_TIMES:,} times in RDATE and EXDATE")
    return CalendarFile(data, events)


def _moved(events: Iterable["Component"]) -> Mapping[str, tuple[Any, ...]]:
    """By UID, the starts that another event, or none, stands in for (RECURRENCE-ID)."""
    found: dict[str, tuple[Any, ...]] = {}
    for event in events:
        instead = event.get("RECURRENCE-ID")
        if instead is not None:
            uid = str(event.get("UID", ""))
            found[uid] = (*found.get(uid, ()), instead)
    return found


def _event(component: "Component", moved: Mapping[str, tuple[Any, ...]]) -> _Event:
    name = _one_line(component.get("SUMMARY") or component.get("UID") or "without a name")
    if component.errors:
        what, why = component.errors[0]
        raise CalendarFileError(f"event '{name}': {what or 'a line'} cannot be read: {_one_line(why)}")
    start = component.get("DTSTART")
    if start is None or isinstance(start, list):
        raise CalendarFileError(f"event '{name}' needs one DTSTART")
    try:
        return _read(component, start, moved.get(str(component.get("UID", "")), ()))
    except (ValueError, OverflowError) as error:
        raise CalendarFileError(f"event '{name}': {_one_line(error)}") from None
    except (AttributeError, TypeError):  # a list where there may be one, a period where there must be a time
        raise CalendarFileError(f"event '{name}': one of its times is given twice, or is none") from None


def _read(component: "Component", start: Any, moved: tuple[Any, ...]) -> _Event:
    whole_days = not isinstance(start.dt, datetime)
    zone = None if whole_days else _zone(start)
    wall = _wall(start, zone)
    rule = _rule(component.get("RRULE"))
    left_out = frozenset(_walls(component.get("EXDATE"), zone))
    if component.get("RECURRENCE-ID") is None:
        left_out |= frozenset(_wall(one, zone) for one in moved)
    return _Event(
        start=wall,
        length=_length(component, wall, whole_days=whole_days),
        zone=zone,
        whole_days=whole_days,
        rule=rule,
        more=tuple(_walls(component.get("RDATE"), zone)),
        left_out=left_out,
    )


def _rule(given: Any) -> str | None:
    if given is None:
        return None
    if isinstance(given, list):
        raise CalendarFileError("it has more than one RRULE")
    text = given.to_ical().decode()
    try:
        read = rrule.parse(text)
    except rrule.RuleError as error:
        raise CalendarFileError(f"RRULE {text[:_SAID]}: {error.message}") from None
    if (read.count or 0) > MAX_COUNT:
        raise CalendarFileError(f"RRULE {text[:_SAID]}: a COUNT is at most {MAX_COUNT:,}")
    if not read.whole_days:
        raise CalendarFileError(f"RRULE {text[:_SAID]} recurs within a day; a calendar is made of days")
    return str(text)


def _length(component: "Component", start: datetime, *, whole_days: bool) -> timedelta:
    end, duration = component.get("DTEND"), component.get("DURATION")
    if end is not None:
        zone = None if whole_days else _zone(component["DTSTART"])
        length = _wall(end, zone) - start
    elif duration is not None:
        length = duration.dt
    else:
        length = _DAY if whole_days else timedelta(0)
    if length < timedelta(0):
        raise CalendarFileError("it ends before it begins")
    if length > MAX_LENGTH:
        raise CalendarFileError(f"it lasts longer than {MAX_LENGTH.days:,} days")
    return length


def _zone(value: Any) -> tzinfo | None:
    """The zone of a time: by its IANA name, else as the file itself describes it; None where it has none."""
    named = value.params.get("TZID")
    if named is None:
        zone: tzinfo | None = value.dt.tzinfo
        return zone
    if named in zones.names():
        return zones.zone(named)
    if value.dt.tzinfo is None:
        raise CalendarFileError(f"there is no time zone '{str(named)[:_SAID]}', and the file does not describe it")
    described: tzinfo = value.dt.tzinfo
    return described


def _walls(given: Any, zone: tzinfo | None) -> Iterator[datetime]:
    for group in given if isinstance(given, list) else [] if given is None else [given]:
        yield from (_wall(one, zone) for one in group.dts)


def _wall(value: Any, zone: tzinfo | None) -> datetime:
    """As a clock in the zone of the event shows it; of a period, its begin."""
    moment = value.dt[0] if isinstance(value.dt, tuple) else value.dt
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time.min)
    if moment.tzinfo is None or zone is None:
        return moment.replace(tzinfo=None)
    own = value.params.get("TZID")
    if own in zones.names():
        moment = moment.replace(tzinfo=zones.zone(own))
    return moment.astimezone(zone).replace(tzinfo=None)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:_SAID]
