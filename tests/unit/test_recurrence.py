"""When schedules are due: golden tables, an oracle that walks minute by minute, and croniter where it is right."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.times import cron, dst, recurrence, zones
from schemas.guard import load
from schemas.quantities import format_instant, parse_instant
from schemas.schedule import ScheduleSpec

CASES = Path(__file__).parents[1] / "cases" / "schedules"
MINUTE = timedelta(minutes=1)


def spec(**fields: Any) -> ScheduleSpec:
    return ScheduleSpec.model_validate({"jobRef": "job", **fields})


def cases() -> list[Any]:
    return list(_cases())


def _cases() -> Iterator[Any]:
    for file in sorted(CASES.glob("*.yaml")):
        if file.stem == "golden-times":  # of tests/golden_times.py, in a shape of its own
            continue
        loaded = load(file.read_bytes(), file.name)
        assert not loaded.findings
        for case in loaded.documents[0]:  # type: ignore[union-attr]
            yield pytest.param(case, id=f"{file.stem}: {case['title']}")


@pytest.mark.parametrize("case", cases())
def test_instants_are_those_of_the_table(case: dict[str, Any]) -> None:
    after, until = parse_instant(case["after"]), parse_instant(case["until"])
    found = recurrence.instants(spec(**case["spec"]), after, until)
    assert [format_instant(instant) for instant in found] == case["instants"]


# --- the oracle: it knows nothing but what the clock shows at each minute ---

# Days on which clocks change, by zone: ordinary ones, half hours, two hours, midnight, a day, winter time as the
# exception (Dublin), a change for Ramadan, and none at all.
CHANGES = [
    ("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25"), ("Europe/Chisinau", "2026-03-29"),
    ("Europe/Chisinau", "2026-10-25"), ("Europe/Dublin", "2026-03-29"), ("Europe/Dublin", "2026-10-25"),
    ("America/New_York", "2026-03-08"), ("America/New_York", "2026-11-01"), ("America/Havana", "2026-03-08"),
    ("America/Havana", "2026-11-01"), ("Australia/Lord_Howe", "2026-04-05"), ("Australia/Lord_Howe", "2026-10-04"),
    ("Australia/Lord_Howe", "2026-04-04"), ("Antarctica/Troll", "2026-03-29"), ("Antarctica/Troll", "2026-10-25"),
    ("America/Sao_Paulo", "2018-02-18"), ("America/Sao_Paulo", "2018-11-04"), ("Asia/Amman", "2021-10-29"),
    ("Asia/Beirut", "2026-03-29"), ("Asia/Beirut", "2026-10-25"), ("America/Nuuk", "2026-03-29"),
    ("America/Nuuk", "2026-10-25"), ("Pacific/Apia", "2011-12-30"), ("Africa/Casablanca", "2025-02-23"),
    ("Africa/Casablanca", "2025-04-06"), ("America/St_Johns", "2026-03-08"), ("America/St_Johns", "2026-11-01"),
    ("Pacific/Chatham", "2026-04-05"), ("Pacific/Chatham", "2026-09-27"), ("Asia/Kathmandu", "2026-06-01"),
]  # fmt: skip


Field = tuple[str, frozenset[int]]
"""A field of a cron text, and the values it names."""
EVERY_DAY: Field = ("*", frozenset(range(1, 32)))
EVERY_WEEKDAY: Field = ("*", frozenset(range(7)))


def listed(low: int, high: int) -> st.SearchStrategy[Field]:
    some = st.frozensets(st.integers(low, high), min_size=1, max_size=4)
    return some.map(lambda values: (",".join(map(str, sorted(values))), values))


def numbers(low: int, high: int) -> st.SearchStrategy[Field]:
    ranged = st.tuples(st.integers(low, high), st.integers(low, high), st.integers(1, 7)).map(
        lambda t: (f"{min(t[:2])}-{max(t[:2])}/{t[2]}", frozenset(range(min(t[:2]), max(t[:2]) + 1, t[2])))
    )
    return st.one_of(listed(low, high), ranged)


def stepped(low: int, high: int) -> st.SearchStrategy[Field]:
    steps = st.integers(1, 12).map(lambda n: (f"*/{n}", frozenset(range(low, high + 1, n))))
    return st.one_of(st.just(("*", frozenset(range(low, high + 1)))), steps)


HOURS = st.one_of(numbers(0, 4), numbers(0, 23), stepped(0, 23))
MINUTES = st.one_of(numbers(0, 59), stepped(0, 59))
DAYS = st.one_of(st.just(EVERY_DAY), numbers(1, 31))
WEEKDAYS = st.one_of(st.just(EVERY_WEEKDAY), numbers(0, 6))
Fields = tuple[Field, ...]
FIELDS = st.tuples(MINUTES, HOURS, DAYS, WEEKDAYS)


def text_of(fields: Fields) -> str:
    minutes, hours, days, weekdays = (text for text, _ in fields)
    return f"{minutes} {hours} {days} * {weekdays}"


def matches(fields: Fields, wall: datetime) -> bool:
    minutes, hours, days, weekdays = fields
    by_day, by_weekday = wall.day in days[1], (wall.weekday() + 1) % 7 in weekdays[1]
    is_open = "*" in (days[0], weekdays[0])
    return (
        wall.minute in minutes[1]
        and wall.hour in hours[1]
        and ((by_day and by_weekday) if is_open else (by_day or by_weekday))
    )


def oracle(fields: Fields, zone: str, gap: str, fold: str, after: datetime, until: datetime) -> list[datetime]:
    where = zones.zone(zone)
    start = after.replace(second=0, microsecond=0) - timedelta(days=2)
    minutes = [start + n * MINUTE for n in range(int((until - start) / MINUTE) + 2 * 1440)]
    shown: dict[datetime, list[datetime]] = {}
    found: set[datetime] = set()
    elapsed = fields[1][0].startswith("*")
    last: datetime | None = None
    for instant in minutes:
        wall = instant.astimezone(where).replace(tzinfo=None)
        shown.setdefault(wall, []).append(instant)
        if last is not None and gap == "next" and not elapsed:
            missing = last + MINUTE
            while missing < wall:
                if matches(fields, missing):
                    found.add(instant)
                missing += MINUTE
        last = wall
    for wall, passes in shown.items():
        if matches(fields, wall):
            both = elapsed or fold == "both"
            found.update(passes if both else passes[:1] if fold == "first" else passes[-1:])
    return sorted(instant for instant in found if after < instant <= until)


@given(
    fields=FIELDS,
    change=st.sampled_from(CHANGES),
    gap=st.sampled_from(["next", "skip"]),
    fold=st.sampled_from(["first", "second", "both"]),
    start=st.integers(-30 * 3600, 30 * 3600),
    length=st.integers(0, 50 * 3600),
)
@settings(max_examples=300, deadline=None)
def test_instants_are_those_that_the_clock_shows(
    fields: Fields, change: tuple[str, str], gap: str, fold: str, start: int, length: int
) -> None:
    """Around every kind of clock change, from any second on, inside of folds and gaps too."""
    zone, day = change
    after = datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(seconds=start)
    until = after + timedelta(seconds=length)
    schedule = spec(cron=text_of(fields), timeZone=zone, dst={"gap": gap, "fold": fold})
    assert list(recurrence.instants(schedule, after, until)) == oracle(fields, zone, gap, fold, after, until)


# Not ranges: croniter takes "0-0" for the whole range. Not steps in day fields: it leaves the day open.
LISTS = st.tuples(
    st.one_of(listed(0, 59), stepped(0, 59)),
    st.one_of(listed(0, 23), stepped(0, 23)),
    st.one_of(st.just(EVERY_DAY), listed(1, 28)),
    st.one_of(st.just(EVERY_WEEKDAY), listed(0, 6)),
)


@given(fields=LISTS, start=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001 - wall times
@settings(max_examples=150, deadline=None)
def test_walls_are_those_of_croniter(fields: Fields, start: datetime) -> None:
    """Without clock changes both implementations agree."""
    theirs = croniter(text_of(fields), start, day_or=True, max_years_between_matches=10)
    ours = cron.parse(text_of(fields)).walls(start + timedelta(microseconds=1))
    assert list(islice(ours, 10)) == [theirs.get_next(datetime) for _ in range(10)]


@given(
    every=st.integers(1, 100_000),
    after=st.integers(-(10**6), 10**6),
    length=st.integers(0, 10**6),
    most=st.integers(1, 5),
)
def test_a_span_and_the_newest_say_what_all_instants_say(every: int, after: int, length: int, most: int) -> None:
    """Counting without walking, for paces that would give millions."""
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=after)
    until = start + timedelta(seconds=min(length, every * 50))
    schedule = spec(every=f"{every}s")
    all_of_them = list(recurrence.instants(schedule, start, until))
    span = recurrence.span(schedule, start, until)
    assert (span and (span.first, span.last, span.count)) == (
        (all_of_them[0], all_of_them[-1], len(all_of_them)) if all_of_them else None
    )
    assert list(recurrence.newest(schedule, start, until, most)) == all_of_them[-most:]


@given(
    fields=FIELDS,
    change=st.sampled_from(CHANGES),
    gap=st.sampled_from(["next", "skip"]),
    fold=st.sampled_from(["first", "second", "both"]),
    start=st.integers(-90 * 3600, 30 * 3600),
    length=st.integers(0, 150 * 3600),
    most=st.integers(1, 100),
)
@settings(max_examples=300, deadline=None)
def test_a_span_over_a_change_of_clocks_counts_every_instant_once(
    fields: Fields, change: tuple[str, str], gap: str, fold: str, start: int, length: int, most: int
) -> None:
    """Where clocks keep their offset days are counted, not minutes: together they are all instants."""
    zone, day = change
    after = datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(seconds=start)
    until = after + timedelta(seconds=length)
    schedule = spec(cron=text_of(fields), timeZone=zone, dst={"gap": gap, "fold": fold})
    all_of_them = list(recurrence.instants(schedule, after, until))
    span = recurrence.span(schedule, after, until)
    assert (span and (span.first, span.last, span.count)) == (
        (all_of_them[0], all_of_them[-1], len(all_of_them)) if all_of_them else None
    )
    assert list(recurrence.newest(schedule, after, until, most)) == all_of_them[-most:]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Africa/Casablanca", "Australia/Lord_Howe", "Pacific/Apia"])
def test_years_of_minutes_are_counted_and_not_walked(zone: str) -> None:
    """Elapsed time misses nothing and repeats nothing, so their number is known; so is that of walks."""
    after, until = datetime(2006, 11, 21, 12, 0, 30, tzinfo=UTC), datetime(2026, 11, 21, 12, tzinfo=UTC)
    walked = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal walked
        walked += event == "call" and frame.f_code is dst.instants.__code__  # a generator is called for each instant

    sys.setprofile(count)
    try:
        span = recurrence.span(spec(cron="* * * * *", timeZone=zone), after, until)
    finally:
        sys.setprofile(None)
    minutes = int((until - after) / MINUTE) + 1
    assert span == recurrence.Span(after + timedelta(seconds=30), until, minutes)
    assert walked < minutes / 500


def test_the_next_due_instant() -> None:
    now = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
    assert recurrence.next_due(spec(cron="15 2 * * *", timeZone="Europe/Chisinau"), now) == datetime(
        2026, 11, 22, 0, 15, tzinfo=UTC
    )
    assert recurrence.next_due(spec(cron="0 0 31 2 *", timeZone="UTC"), now) is None
    assert recurrence.next_due(spec(at="2020-01-01T00:00:00Z"), now) is None
    far = recurrence.next_due(spec(every="1d", startAt="2300-01-01T00:00:00Z"), now)
    assert far == datetime(2300, 1, 1, tzinfo=UTC)
    assert recurrence.next_due(spec(every="1d", startAt="9999-12-31T00:00:00Z"), now) is None
    assert recurrence.next_due(spec(cron="0 0 1 1 *", startAt="0001-01-01T00:00:00Z"), datetime.min.replace(tzinfo=UTC))


def test_the_zone_is_the_schedules_or_the_projects_or_utc() -> None:
    now = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
    daily = spec(cron="0 12 * * *")
    assert recurrence.next_due(daily, now) == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert recurrence.next_due(daily, now, zone_default="Asia/Tokyo") == datetime(2026, 11, 22, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../../etc/passwd", "/etc/passwd", "Europe", "localtime", "x" * 300]
)
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a time zone"):
        zones.zone(name)


def test_jitter_is_the_same_for_a_schedule_and_an_instant() -> None:
    instant = datetime(2026, 11, 21, tzinfo=UTC)
    jittered = spec(every="1h", jitter="30s")
    starts = {recurrence.starts_at(f"schedule-{n}", jittered, instant) - instant for n in range(200)}
    assert starts <= {timedelta(seconds=n) for n in range(30)}
    assert len(starts) > 20
    assert recurrence.starts_at("a", jittered, instant) == recurrence.starts_at("a", jittered, instant)
    assert recurrence.starts_at("a", spec(every="1h"), instant) == instant
