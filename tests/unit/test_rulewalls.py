"""When recurrence rules are due: as dateutil has it, as the same cron has it where clocks change, and never in vain."""

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from engine.times import recurrence, rrule
from engine.times.rulewalls import Walls, walls_of
from schemas.quantities import format_instant, parse_instant
from schemas.schedule import ScheduleSpec
from tests.calls import calls
from tests.unit.test_recurrence import CHANGES

FINE = rrule.FREQUENCIES[4:]
SECOND = timedelta(seconds=1)


def numbers(low: int, high: int, *, signed: bool = False) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    either = st.one_of(number, number.filter(bool).map(int.__neg__)) if signed else number
    return st.lists(either, min_size=1, max_size=3).map(lambda many: ",".join(map(str, many)))


def weekdays(*numbers: str) -> st.SearchStrategy[str]:
    day = st.tuples(st.sampled_from(numbers), st.sampled_from(rrule.DAYS)).map("".join)
    return st.lists(day, min_size=1, max_size=3).map(",".join)


def rules(*frequencies: str, **parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    optional = {
        "INTERVAL": st.sampled_from(["1", "2", "3", "5", "7", "13"]),
        "COUNT": st.integers(1, 40).map(str),
        "UNTIL": st.sampled_from(["20280101T000000", "20260601T101112", "20260601"]),
        "BYDAY": weekdays(""),
        "BYHOUR": numbers(0, 23),
        "BYMINUTE": numbers(0, 59),
        "BYSECOND": numbers(0, 59),
        "BYSETPOS": st.sampled_from(["1", "-1", "1,-1"]),
        "WKST": st.sampled_from(rrule.DAYS),
        **parts,
    }
    whole = st.fixed_dictionaries({"FREQ": st.sampled_from(frequencies)}, optional=optional)
    return whole.map(lambda said: ";".join(f"{key}={value}" for key, value in said.items()))


# What never comes is not among them: dateutil looks for it until the year 9999.
MONTHS, OF_MONTH, OF_YEAR = numbers(1, 12), numbers(1, 28, signed=True), numbers(1, 366, signed=True)
COARSE_RULES = st.one_of(
    rules("YEARLY", BYMONTH=MONTHS, BYMONTHDAY=OF_MONTH),
    rules("YEARLY", BYYEARDAY=OF_YEAR),
    # The first and last weeks of a year are where dateutil is wrong for other starts of the week; see below.
    rules("YEARLY", BYWEEKNO=numbers(2, 50)),
    rules("YEARLY", "MONTHLY", BYMONTH=MONTHS, BYDAY=weekdays("1", "2", "-1", "4", "-2")),
    rules("WEEKLY", BYMONTH=MONTHS),
    rules("DAILY", BYMONTH=MONTHS, BYMONTHDAY=OF_MONTH),
)
STARTS = st.datetimes(datetime(2019, 1, 1), datetime(2026, 12, 31)).map(  # noqa: DTZ001 -- wall times
    lambda wall: wall.replace(microsecond=0)
)


def agree(text: str, start: datetime, seek: timedelta, length: timedelta) -> None:
    try:
        read = rrule.parse(text)
    except rrule.RuleError:
        assume(False)
        return
    begin, until = start + seek, start + length
    try:
        library = rrulestr(text, dtstart=start)
    except ValueError as error:  # it refuses what never comes, where we give nothing
        assert "empty set" in str(error)
        assert not list(islice(walls_of(text, start).after(begin, until), 1))
        return
    if read.count is None and read.until is None:
        library = library.replace(until=until)
    theirs = (wall for wall in takewhile(lambda wall: wall <= until, library) if wall >= begin)
    assert list(islice(walls_of(text, start).after(begin, until), 60)) == list(islice(theirs, 60))


@given(text=COARSE_RULES, start=STARTS, seek=st.integers(-10, 1500), length=st.integers(0, 3000))
@example("FREQ=YEARLY;BYDAY=-1MO", datetime(2019, 2, 3, 4, 5, 6), 0, 3000)  # noqa: DTZ001
@example("FREQ=MONTHLY;BYMONTHDAY=31", datetime(2019, 1, 31, 4, 5, 6), 31, 3000)  # noqa: DTZ001
@example("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU", datetime(2019, 1, 30), 900, 3000)  # noqa: DTZ001
@example("FREQ=WEEKLY;BYSETPOS=1;BYDAY=MO,TU", datetime(2019, 1, 1), 0, 30)  # noqa: DTZ001
@example("FREQ=WEEKLY;BYSETPOS=-2;BYDAY=MO,TU,SU;COUNT=3", datetime(2019, 1, 1), 6, 60)  # noqa: DTZ001
@settings(max_examples=150, deadline=None)
def test_days_and_longer_are_those_of_dateutil(text: str, start: datetime, seek: int, length: int) -> None:
    agree(text, start, timedelta(days=seek), timedelta(days=length))


@given(text=rules(*FINE), start=STARTS, seek=st.integers(-10, 100_000), length=st.integers(0, 400_000))
@example("FREQ=SECONDLY;INTERVAL=7;BYMINUTE=16,49", datetime(2026, 3, 4, 5, 6, 7), 70_000, 400_000)  # noqa: DTZ001
@example("FREQ=HOURLY;BYMINUTE=5,1;BYSECOND=9,3;BYSETPOS=2,-1", datetime(2026, 3, 4, 5, 6, 7), 0, 9999)  # noqa: DTZ001
@settings(max_examples=120, deadline=None)
def test_hours_and_finer_are_those_of_dateutil(text: str, start: datetime, seek: int, length: int) -> None:
    agree(text, start, timedelta(seconds=seek), timedelta(seconds=length))


LEFT_OUT = st.lists(st.one_of(STARTS.map("{:%Y%m%d}".format), STARTS.map("{:%Y%m%dT%H0000}".format)), max_size=3).map(
    lambda many: f"\nEXDATE:{','.join(many)}" if many else ""
)


@given(
    text=st.one_of(COARSE_RULES, rules(*FINE)),
    left_out=LEFT_OUT,
    start=STARTS,
    seeks=st.lists(st.tuples(st.integers(-5, 200_000), st.integers(-10, 200_000)), min_size=1, max_size=4),
)
@example("FREQ=HOURLY;COUNT=30", "\nEXDATE:20260305", datetime(2026, 3, 4, 5, 6, 7), [(0, 200_000), (90_000, 9)])  # noqa: DTZ001
@example("FREQ=MINUTELY;INTERVAL=7", "\nEXDATE:20260304", datetime(2026, 3, 4, 5, 6, 7), [(0, 200_000)])  # noqa: DTZ001
@example("FREQ=DAILY;COUNT=3;BYHOUR=1,2", "\nEXDATE:20260305T020607", datetime(2026, 3, 4, 5, 6, 7), [(0, 200_000)])  # noqa: DTZ001
@settings(max_examples=150, deadline=None)
def test_as_many_are_counted_as_are_walked_over(
    text: str, left_out: str, start: datetime, seeks: list[tuple[int, int]]
) -> None:
    """Whatever was asked before: of what is known something is made use of."""
    try:
        rule = rrule.parse(text + left_out)
    except rrule.RuleError:
        assume(False)
        return
    asked = Walls(rule, start)
    scale = 1 if rule.elapsed else 300
    for seek, length in seeks:
        begin = start + seek * scale * SECOND
        until = begin + length * scale * SECOND
        walked = list(islice(Walls(rule, start).after(begin, until), 5_000))
        assume(len(walked) < 5_000)
        assert list(asked.after(begin, until)) == walked
        assert asked.count(begin, until) == len(walked)


@pytest.mark.parametrize("week_start", rrule.DAYS)
def test_weeks_are_numbered_from_the_first_with_four_days_in_the_year(week_start: str) -> None:
    """Counted week by week over 30 years, where dateutil knows the last week of a year only for Mondays."""
    offset = rrule.DAYS.index(week_start)
    day = datetime(2004, 1, 1)  # noqa: DTZ001 -- a wall time
    expected = []
    while day.year < 2034:
        first = day - timedelta(days=(day.weekday() - offset) % 7)
        year = (first + timedelta(days=3)).year  # the week is of the year that has its fourth day
        number = 1
        while (first - timedelta(days=7 * number) + timedelta(days=3)).year == year:
            number += 1
        if number in (1, 53):
            expected.append(day)
        day += timedelta(days=1)
    begin = datetime(2004, 1, 1)  # noqa: DTZ001
    found = walls_of(f"FREQ=YEARLY;BYWEEKNO=1,53;WKST={week_start}", begin).after(begin, day - SECOND)
    assert list(found) == expected


def test_numbered_and_plain_days_unite() -> None:
    begin = datetime(2026, 11, 1)  # noqa: DTZ001
    found = walls_of("FREQ=MONTHLY;BYDAY=1MO,SU", begin).after(begin, begin + timedelta(days=29))
    assert [wall.day for wall in found] == [1, 2, 8, 15, 22, 29]


# --- as instants -----------------------------------------------------------------------------------------------------


def spec(**fields: Any) -> ScheduleSpec:
    return ScheduleSpec.model_validate({"jobRef": "job", **fields})


def listed(values: frozenset[int]) -> str:
    return ",".join(map(str, sorted(values)))


@given(
    minutes=st.frozensets(st.integers(0, 59), min_size=1, max_size=3),
    hours=st.frozensets(st.integers(0, 4), min_size=1, max_size=3) | st.none(),
    change=st.sampled_from(CHANGES),
    gap=st.sampled_from(["next", "skip"]),
    fold=st.sampled_from(["first", "second", "both"]),
    start=st.integers(-30 * 3600, 30 * 3600),
    length=st.integers(0, 50 * 3600),
)
@settings(max_examples=120, deadline=None)
def test_where_clocks_change_a_rule_does_what_the_same_cron_does(
    minutes: frozenset[int],
    hours: frozenset[int] | None,
    change: tuple[str, str],
    gap: str,
    fold: str,
    start: int,
    length: int,
) -> None:
    """An oracle has judged what cron does there, minute by minute."""
    zone, day = change
    after = datetime.fromisoformat(f"{day}T00:00:00+00:00") + timedelta(seconds=start)
    until = after + timedelta(seconds=length)
    more = {"timeZone": zone, "dst": {"gap": gap, "fold": fold}}
    hour, by_hour = ("*", "FREQ=HOURLY") if hours is None else (listed(hours), f"FREQ=DAILY;BYHOUR={listed(hours)}")
    by_cron = spec(cron=f"{listed(minutes)} {hour} * * *", **more)
    by_rule = spec(rrule=f"{by_hour};BYMINUTE={listed(minutes)};BYSECOND=0", **more)
    wanted = list(recurrence.instants(by_cron, after, until))
    assert list(recurrence.instants(by_rule, after, until)) == wanted
    assert list(recurrence.newest(by_rule, after, until, 3)) == wanted[-3:]
    assert recurrence.span(by_rule, after, until) == recurrence.span(by_cron, after, until)
    assert list(recurrence.dropped(by_rule, after, until)) == list(recurrence.dropped(by_cron, after, until))


@given(
    text=st.builds(
        "FREQ={};BYHOUR={};BYMINUTE=0,30;BYSECOND=0".format,
        st.sampled_from(["DAILY", "DAILY;INTERVAL=3", "WEEKLY;BYDAY=SU,WE", "MONTHLY;BYDAY=-1SU", "DAILY;COUNT=300"]),
        st.sampled_from(["9", "8,23"]),
    ),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    picked=st.lists(st.tuples(st.integers(0, 400), st.sampled_from([-3600, -1800, 0, 0, 0, 1])), max_size=6),
    days=st.integers(0, 400),
)
@example("FREQ=DAILY;BYHOUR=9;BYMINUTE=0,30;BYSECOND=0", "Europe/Berlin", [(0, 0), (260, 0), (600, 0)], 400)
@settings(max_examples=60, deadline=None)
def test_what_an_exdate_in_utc_leaves_out_is_what_dateutil_leaves_out(
    text: str, zone: str, picked: list[tuple[int, int]], days: int
) -> None:
    """Instants that are due, and some beside them, from before one change of clocks to after the next."""
    start = datetime(2026, 1, 15, tzinfo=ZoneInfo(zone))
    due = list(islice(rrulestr(text, dtstart=start), 700))
    left_out = [due[place % len(due)].astimezone(UTC) + beside * SECOND for place, beside in picked]
    lines = "".join(f"\nEXDATE:{instant:%Y%m%dT%H%M%SZ}" for instant in left_out)
    after = start.astimezone(UTC) - SECOND
    until = after + timedelta(days=days)
    library = takewhile(lambda wall: wall <= until, rrulestr(f"RRULE:{text}{lines}", dtstart=start))
    wanted = [wall.astimezone(UTC) for wall in library]
    ours = spec(rrule=text + lines, startAt=format_instant(start.astimezone(UTC)), timeZone=zone)
    assert list(recurrence.instants(ours, after, until)) == wanted
    assert list(recurrence.newest(ours, after, until, 3)) == wanted[-3:]
    whole = recurrence.Span(wanted[0], wanted[-1], len(wanted)) if wanted else None
    assert recurrence.span(ours, after, until) == whole


TABLE = [
    ("the start counts", {"rrule": "FREQ=DAILY;COUNT=2", "startAt": "2026-06-01T08:30:00Z"},
     ["2026-06-01T08:30:00Z", "2026-06-02T08:30:00Z"]),
    ("without a start it counts from a Thursday in 1970, at midnight", {"rrule": "FREQ=WEEKLY"},
     ["2026-06-03T22:00:00Z", "2026-06-10T22:00:00Z"]),
    ("a day as UNTIL is its midnight", {"rrule": "FREQ=HOURLY;INTERVAL=12;BYMINUTE=0;BYSECOND=0;UNTIL=20260601"},
     ["2026-05-31T22:00:00Z"]),
    ("UNTIL in UTC", {"rrule": "FREQ=HOURLY;INTERVAL=12;BYMINUTE=0;BYSECOND=0;UNTIL=20260601T100000Z"},
     ["2026-05-31T22:00:00Z", "2026-06-01T10:00:00Z"]),
    ("UNTIL in local time", {"rrule": "FREQ=HOURLY;INTERVAL=12;BYMINUTE=0;BYSECOND=0;UNTIL=20260601T115959"},
     ["2026-05-31T22:00:00Z"]),
    ("days and times that are left out still count",
     {"rrule": "FREQ=DAILY;COUNT=4;BYHOUR=9;BYMINUTE=0\nEXDATE:20260602\nEXDATE:20260604T090000\n",
      "startAt": "2026-06-01T00:00:00Z"},
     ["2026-06-01T07:00:00Z", "2026-06-03T07:00:00Z"]),
    ("an EXDATE in UTC is an instant, and counts",
     {"rrule": "FREQ=DAILY;COUNT=4;BYHOUR=9;BYMINUTE=0\nEXDATE:20260602T070000Z,20260603T090000Z",
      "startAt": "2026-06-01T00:00:00Z"},
     ["2026-06-01T07:00:00Z", "2026-06-03T07:00:00Z", "2026-06-04T07:00:00Z"]),
    ("it leaves out one pass of a time that comes twice",
     {"rrule": "FREQ=DAILY;COUNT=2;BYHOUR=2;BYMINUTE=30\nEXDATE:20261025T003000Z", "startAt": "2026-10-24T22:00:00Z",
      "dst": {"fold": "both"}},
     ["2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]),
    ("and of an hour that comes twice the other",
     {"rrule": "FREQ=HOURLY;COUNT=3;BYMINUTE=30\nEXDATE:20261025T013000Z", "startAt": "2026-10-24T23:00:00Z"},
     ["2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00Z"]),
    ("and what a gap puts at its end",
     {"rrule": "FREQ=DAILY;COUNT=3;BYHOUR=2;BYMINUTE=30\nEXDATE:20260329T010000Z", "startAt": "2026-03-27T23:00:00Z"},
     ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]),
    ("COUNT counts local times before clocks are looked at",
     {"rrule": "FREQ=DAILY;COUNT=3;BYHOUR=2;BYMINUTE=30", "startAt": "2026-03-27T23:00:00Z", "dst": {"gap": "skip"}},
     ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]),
    ("the last Friday", {"rrule": "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18", "endAt": "2026-07-01T00:00:00Z"},
     ["2026-06-26T16:00:00Z"]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "wanted"), [pytest.param(*case[1:], id=case[0]) for case in TABLE])
def test_instants_are_those_of_the_table(fields: dict[str, Any], wanted: list[str]) -> None:
    schedule = spec(timeZone="Europe/Berlin", **fields)
    begin = schedule.start_at or parse_instant("2026-05-31T21:00:00Z")
    found = recurrence.instants(schedule, begin - SECOND, begin + timedelta(days=40))
    assert [format_instant(instant) for instant in islice(found, len(wanted) + ("WEEKLY" not in str(fields)))] == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FREQ=DAILY\nEXDATE:20261399", "'20261399' is no day or time"),
        ("FREQ=DAILY\nEXDATE:20261201Z", "'20261201Z' is no day or time"),
        ("FREQ=DAILY\nEXDATE:20261201T000000+0200", "is no day or time"),
        ("FREQ=DAILY\nRDATE:20261201", "'RDATE:20261201' is no EXDATE"),
        ("FREQ=DAILY\nEXDATE", "'EXDATE' is no EXDATE"),
    ],
)
def test_what_stands_below_a_rule_is_read_strictly(text: str, message: str) -> None:
    with pytest.raises(rrule.RuleError, match=r"EXDATE|no day or time") as told:
        rrule.parse(text)
    assert message in told.value.message
    assert text[told.value.offset :][: told.value.length] in text.splitlines()[1]


# --- the work ---------------------------------------------------------------------------------------------------------

SPARSE_OR_VAIN = [
    "FREQ=YEARLY", "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=DAILY;BYHOUR=1,2;BYSETPOS=5",
    "FREQ=DAILY;BYMONTHDAY=31;BYMONTH=4,6", "FREQ=HOURLY;INTERVAL=7", "FREQ=MINUTELY", "FREQ=SECONDLY",
    "FREQ=MINUTELY;BYSECOND=1;BYSETPOS=9", "FREQ=SECONDLY;INTERVAL=2;BYSECOND=1",
    "FREQ=SECONDLY;INTERVAL=99999;BYHOUR=3;BYMINUTE=4", "FREQ=SECONDLY;BYHOUR=23;BYMINUTE=59;BYSECOND=59",
    "FREQ=SECONDLY;BYMONTHDAY=30;BYMONTH=2;INTERVAL=86399",
]  # fmt: skip


@pytest.mark.parametrize("text", SPARSE_OR_VAIN)
def test_the_next_instant_costs_the_same_however_old_the_start_is(text: str) -> None:
    now = datetime(2026, 11, 21, 13, 37, tzinfo=UTC)
    steps = {
        start: calls(lambda start=start: recurrence.next_due(spec(rrule=text, startAt=start, timeZone="UTC"), now))
        for start in ("2026-11-20T00:00:00Z", "1971-11-20T00:00:00Z")
    }
    assert max(steps.values()) < 200_000  # forty years of days, each looked at, where there is none
    assert steps["1971-11-20T00:00:00Z"] < 2 * steps["2026-11-20T00:00:00Z"] + 500


def test_what_was_counted_is_not_counted_again() -> None:
    schedule = spec(rrule="FREQ=MINUTELY;COUNT=20000", startAt="2026-11-01T00:00:00Z", timeZone="UTC")
    late = datetime(2026, 11, 14, 22, tzinfo=UTC)
    first, again = (calls(lambda: recurrence.next_due(schedule, late)) for _ in range(2))
    assert first < 1_000
    assert again < 200
    assert recurrence.next_due(schedule, late) is None
    assert recurrence.next_due(schedule, late - timedelta(hours=1)) == late - timedelta(minutes=59)


def test_years_of_minutes_are_counted_and_not_walked() -> None:
    after, until = datetime(2016, 11, 21, 12, 0, 30, tzinfo=UTC), datetime(2026, 11, 21, 12, tzinfo=UTC)
    schedule = spec(rrule="FREQ=MINUTELY;BYSECOND=0", timeZone="Europe/Berlin")
    spans: list[recurrence.Span | None] = []
    minutes = int((until - after) / timedelta(minutes=1)) + 1
    assert calls(lambda: spans.append(recurrence.span(schedule, after, until))) < minutes / 8  # around changes they are
    assert spans == [recurrence.Span(after + 30 * SECOND, until, minutes)]
