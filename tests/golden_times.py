"""Golden tables of what cron means around odd changes of clocks, made by looking at every minute.

`python -m tests.golden_times` writes tests/cases/schedules/golden-times.yaml. Nothing here uses the engine but its
source of time zones: minutes of UTC are walked one by one, and the wall clock is asked what it shows. All changes
are past ones, so that new rules of time zones do not change the tables.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from engine.times import zones

FILE = Path(__file__).parent / "cases" / "schedules" / "golden-times.yaml"
CHANGES = (
    ("Europe/Berlin", "2025-03-30T01:00Z"), ("Europe/Berlin", "2025-10-26T01:00Z"),
    ("America/New_York", "2025-03-09T07:00Z"), ("America/New_York", "2025-11-02T06:00Z"),
    # half an hour
    ("Australia/Lord_Howe", "2025-04-05T15:00Z"), ("Australia/Lord_Howe", "2025-10-04T15:30Z"),
    # at midnight, forwards and back into the day before
    ("America/Havana", "2025-03-09T05:00Z"), ("America/Havana", "2025-11-02T05:00Z"),
    ("Asia/Beirut", "2025-03-29T22:00Z"), ("Asia/Beirut", "2025-10-25T21:00Z"),
    ("Africa/Cairo", "2025-04-24T22:00Z"), ("Africa/Cairo", "2025-10-30T21:00Z"),
    ("America/Asuncion", "2023-10-01T04:00Z"), ("America/Asuncion", "2024-03-24T03:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00Z"), ("America/Sao_Paulo", "2018-02-18T02:00Z"),
    ("Asia/Tehran", "2022-03-21T20:30Z"), ("Asia/Tehran", "2022-09-21T19:30Z"),
    # a minute after midnight
    ("America/St_Johns", "2011-03-13T03:31Z"), ("America/St_Johns", "2010-11-07T02:31Z"),
    # a day that was left out
    ("Pacific/Apia", "2011-12-30T10:00Z"), ("Pacific/Kwajalein", "1993-08-21T12:00Z"),
    # winter time is the exception in the data
    ("Europe/Dublin", "2025-03-30T01:00Z"), ("Europe/Dublin", "2025-10-26T01:00Z"),
    ("Africa/Casablanca", "2025-02-23T02:00Z"), ("Africa/Casablanca", "2025-04-06T02:00Z"),
    # two hours, three hours, a quarter, and half an hour for good
    ("Antarctica/Troll", "2025-03-30T01:00Z"), ("Antarctica/Troll", "2025-10-26T01:00Z"),
    ("Antarctica/Casey", "2020-10-03T16:01Z"), ("Asia/Kathmandu", "1985-12-31T18:30Z"),
    ("Asia/Pyongyang", "2015-08-14T15:00Z"), ("Asia/Pyongyang", "2018-05-04T15:00Z"),
    ("America/Caracas", "2007-12-09T07:00Z"), ("America/Caracas", "2016-05-01T07:00Z"),
    # at a quarter to three
    ("Pacific/Chatham", "2025-04-05T14:00Z"), ("Pacific/Chatham", "2025-09-27T14:00Z"),
)  # fmt: skip
"""Zones, and the instants at which their clocks change."""
EXPRESSIONS = (
    "30 2 * * *", "0 0 * * *", "59 23 * * *", "15 0,1,2,3 * * *", "*/30 1-3 * * *", "*/20 * * * *", "0 */2 * * *",
    "45 * * * *", "0 3 * * SUN", "5 1 * * MON-FRI", "0 12 * * *", "10 2 1,30 * SAT",
)  # fmt: skip
SETTINGS = tuple(product(("next", "skip"), ("first", "second", "both")))
BEFORE, AFTER = timedelta(hours=5), timedelta(hours=27)
_MINUTE = timedelta(minutes=1)
_MARGIN = timedelta(hours=5)
"""Longer than any hour that comes twice."""
_NAMES = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}


def table() -> dict[str, dict[str, dict[str, str]]]:
    """By zone and change, expression, and the settings that give the same: the instants as clocks show them."""
    return {f"{zone} {change}": dict(_of_change(zone, change)) for zone, change in CHANGES}


def span(change: str) -> tuple[datetime, datetime]:
    """(after, until] of a change."""
    moment = datetime.fromisoformat(change)
    return moment - BEFORE, moment + AFTER


def shown(instant: datetime, zone: str) -> str:
    """As clocks show it, in the words of the table."""
    local = instant.astimezone(zones.zone(zone))
    offset = local.isoformat()[-6:]
    return f"{local:%dT%H:%M}{offset}"


def _of_change(zone: str, change: str) -> Iterator[tuple[str, dict[str, str]]]:
    after, until = span(change)
    clock = _clock(zones.zone(zone), after, until)
    for text in EXPRESSIONS:
        passes, moved = _seen(text, clock)
        same: dict[str, list[str]] = {}
        for gap, fold in SETTINGS:
            instants = _instants(passes, moved if gap == "next" else set(), "both" if _follows_time(text) else fold)
            found = " ".join(shown(one, zone) for one in instants if after < one <= until)
            same.setdefault(found, []).append(f"{gap}/{fold}")
        yield text, {"any" if len(keys) == len(SETTINGS) else " ".join(keys): found for found, keys in same.items()}


Clock = list[tuple[datetime, datetime]]
"""Each minute of UTC, with what clocks show then."""


def _clock(where: ZoneInfo, after: datetime, until: datetime) -> Clock:
    first = after - _MARGIN
    minutes = (first + number * _MINUTE for number in range(int((until + _MARGIN - first) / _MINUTE)))
    return [(minute, minute.astimezone(where).replace(tzinfo=None)) for minute in minutes]


def _follows_time(text: str) -> bool:
    return text.split()[1].startswith("*")


def _seen(text: str, clock: Clock) -> tuple[dict[datetime, list[datetime]], set[datetime]]:
    """When clocks show each time that the text names, and where gaps end that leave such times out."""
    passes: dict[datetime, list[datetime]] = {}
    moved: set[datetime] = set()
    for (_, before), (instant, wall) in pairwise(clock):
        if _names(text, wall):
            passes.setdefault(wall, []).append(instant)
        missing = before + _MINUTE
        while missing < wall:
            if not _follows_time(text) and _names(text, missing):
                moved.add(instant)
            missing += _MINUTE
    return passes, moved


def _instants(passes: Mapping[datetime, list[datetime]], moved: set[datetime], fold: str) -> list[datetime]:
    found = set(moved)
    for instants in passes.values():
        chosen: Mapping[str, list[datetime]] = {"first": instants[:1], "second": instants[-1:], "both": instants}
        found.update(chosen[fold])
    return sorted(found)


def _names(text: str, wall: datetime) -> bool:
    minute, hour, day, _, weekday = text.split()
    by_day = wall.day in _numbers(day, 1, 31)
    by_weekday = wall.isoweekday() % 7 in _numbers(weekday, 0, 6)
    of_day = by_day and by_weekday if "*" in (day, weekday) else by_day or by_weekday
    return wall.minute in _numbers(minute, 0, 59) and wall.hour in _numbers(hour, 0, 23) and of_day


_READ: dict[tuple[str, int], frozenset[int]] = {}


def _numbers(text: str, low: int, high: int) -> frozenset[int]:
    if (text, high) not in _READ:
        _READ[text, high] = frozenset(number for part in text.split(",") for number in _part(part, low, high))
    return _READ[text, high]


def _part(text: str, low: int, high: int) -> range:
    span_, _, step = text.partition("/")
    first, _, last = span_.partition("-")
    if first == "*":
        return range(low, high + 1, int(step or 1))
    return range(_number(first), _number(last or first) + 1, int(step or 1))


def _number(text: str) -> int:
    return _NAMES[text] if text in _NAMES else int(text)


def written() -> str:
    """The file."""
    head = "# Written by `python -m tests.golden_times`: what an oracle sees that looks at every minute.\n"
    return head + yaml.safe_dump(table(), sort_keys=False, width=10_000)


if __name__ == "__main__":
    assert all(datetime.fromisoformat(change) < datetime.now(UTC) for _, change in CHANGES)
    FILE.write_text(written())
