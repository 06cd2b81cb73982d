"""iCalendar files: the days of their events, and what is refused. Beside dateutil as a second opinion."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.times import calendarfile, zones
from engine.times.calendarfile import CalendarFileError, read
from opsconductor.checking.validation import validate_paths

YEAR = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]


def calendar(*events: str, head: str = "") -> bytes:
    """Of events by their lines."""
    body = "".join(
        f"BEGIN:VEVENT\r\nUID:{n}\r\n{event.strip().replace(chr(10), chr(13) + chr(10))}\r\nEND:VEVENT\r\n"
        for n, event in enumerate(events)
    )
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n{head}{body}END:VCALENDAR\r\n".encode()


def days(data: bytes, zone: str = "UTC") -> list[str]:
    """Those of 2026, as in `12-24`."""
    file = read(data)
    return [f"{day:%m-%d}" for day in YEAR if file.holds(day, zone)]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("DTSTART;VALUE=DATE:20261224", ["12-24"]),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227", ["12-24", "12-25", "12-26"]),
        ("DTSTART;VALUE=DATE:20251230\nDURATION:P4D", ["01-01", "01-02"]),
        ("DTSTART:20261224T230000Z\nDTEND:20261225T000000Z", ["12-24"]),
        ("DTSTART:20261224T230000Z\nDTEND:20261225T000001Z", ["12-24", "12-25"]),
        ("DTSTART:20261224T100000", ["12-24"]),
        ("DTSTART;VALUE=DATE:20200229\nRRULE:FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=1", ["03-01"]),
        ("DTSTART;VALUE=DATE:20261130\nRRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;VALUE=DATE:20261207", ["11-30", "12-14"]),
        ("DTSTART;VALUE=DATE:20261130\nRDATE;VALUE=DATE:20261205,20261206", ["11-30", "12-05", "12-06"]),
        ("DTSTART;VALUE=DATE:20261001\nRRULE:FREQ=DAILY;UNTIL=20261003", ["10-01", "10-02", "10-03"]),
        ("DTSTART:20261001T100000Z\nRRULE:FREQ=DAILY;UNTIL=20261003T095959Z", ["10-01", "10-02"]),
        ("DTSTART;VALUE=DATE:20261224\nSTATUS:CANCELLED", []),
        ("DTSTART;VALUE=DATE:20261224\nTRANSP:TRANSPARENT", ["12-24"]),
    ],
)
def test_the_days_of_an_event(event: str, expected: list[str]) -> None:
    assert days(calendar(event)) == expected


def test_times_fall_on_the_days_of_whoever_looks() -> None:
    """From 23:00 to 01:00 in Berlin."""
    data = calendar("DTSTART;TZID=Europe/Berlin:20261224T230000\nDTEND;TZID=Europe/Berlin:20261225T010000")
    assert days(data, "Europe/Berlin") == ["12-24", "12-25"]
    assert days(data, "UTC") == ["12-24"]
    assert days(data, "Asia/Tokyo") == ["12-25"]


def test_whole_days_and_floating_times_are_the_same_days_everywhere() -> None:
    data = calendar("DTSTART;VALUE=DATE:20261224", "DTSTART:20261226T003000\nDURATION:PT1H")
    assert days(data, "Pacific/Apia") == days(data, "America/Los_Angeles") == ["12-24", "12-26"]


def test_a_recurring_time_keeps_its_wall_time_over_a_change_of_clocks() -> None:
    data = calendar("DTSTART;TZID=Europe/Berlin:20261024T233000\nRRULE:FREQ=DAILY;COUNT=2")
    assert days(data, "UTC") == ["10-24", "10-25"]
    assert days(data, "Europe/Moscow") == ["10-25", "10-26"]


def test_one_that_was_moved_is_where_it_was_moved_to() -> None:
    data = calendar("DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=DAILY;COUNT=3").replace(
        b"END:VCALENDAR",
        b"BEGIN:VEVENT\r\nUID:0\r\nRECURRENCE-ID;VALUE=DATE:20261202\r\nDTSTART;VALUE=DATE:20261212\r\nEND:VEVENT\r\n"
        b"BEGIN:VEVENT\r\nUID:0\r\nRECURRENCE-ID;VALUE=DATE:20261203\r\nDTSTART;VALUE=DATE:20261203\r\n"
        b"STATUS:CANCELLED\r\nEND:VEVENT\r\nEND:VCALENDAR",
    )
    assert days(data) == ["12-01", "12-12"]


_ZONE = """BEGIN:VTIMEZONE\r\nTZID:Ours\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\nTZOFFSETFROM:+1000
TZOFFSETTO:+1000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"""


def test_a_zone_may_be_described_by_the_file_or_be_one_of_windows() -> None:
    own = calendar("DTSTART;TZID=Ours:20261224T060000", head=_ZONE.replace("\r\n", "\n").replace("\n", "\r\n"))
    assert days(own, "UTC") == ["12-23"]
    assert days(calendar('DTSTART;TZID="W. Europe Standard Time":20261224T003000')) == ["12-23"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no iCalendar file"),
        (b"hello", "no iCalendar file"),
        (b"\xff\xfe\x00", "no iCalendar file"),
        (b"BEGIN:VEVENT\r\nDTSTART:20260101T000000Z\r\nEND:VEVENT\r\n", "BEGIN:VCALENDAR"),
        (b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\n" * 5_001, "more than 5,000 events"),
        (calendar("SUMMARY:Freeze"), "event 'Freeze' needs one DTSTART"),
        (calendar("DTSTART:20261301T000000Z"), "DTSTART cannot be read"),
        (calendar("DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=SOMETIMES"), "RRULE cannot be read"),
        (calendar("DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=HOURLY"), "recurs within a day"),
        (calendar("DTSTART:20261224T000000Z\nRRULE:FREQ=DAILY;BYHOUR=1,2"), "recurs within a day"),
        (calendar("DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=DAILY;COUNT=10001"), "at most 10,000"),
        (calendar("DTSTART;TZID=Mars/Base:20261224T000000"), "no time zone 'Mars/Base'"),
        (calendar("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261223"), "ends before it begins"),
        (calendar("DTSTART;VALUE=DATE:20261224\nDURATION:P99999D"), "longer than 3,660 days"),
        (calendar("DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY"), "more than one RRULE"),
    ],
)
def test_what_cannot_be_used_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(CalendarFileError, match=said):
        read(data)


def test_so_many_recurrences_and_times_are_too_many() -> None:
    with pytest.raises(CalendarFileError, match="500 events that recur"):
        read(calendar(*["DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=DAILY"] * 501))
    times = ",".join(["20260101"] * 5_001)
    with pytest.raises(CalendarFileError, match="5,000 times"):
        read(calendar(f"DTSTART;VALUE=DATE:20261224\nRDATE;VALUE=DATE:{times}"))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=300) | st.lists(st.sampled_from(calendar(
    "DTSTART;TZID=Europe/Berlin:20261224T000000\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20261225T000000Z"
).split(b"\r\n")), max_size=14).map(b"\r\n".join))  # fmt: skip
def test_whatever_the_bytes_are_they_are_read_or_refused(data: bytes) -> None:
    try:
        file = read(data)
    except CalendarFileError:
        return
    for zone in ("UTC", "Pacific/Apia"):
        assert isinstance(file.holds(date(2026, 12, 24), zone), bool)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 1)),  # noqa: DTZ001 -- a wall time
    st.sampled_from(["FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=MO,TH", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=YEARLY",
                     "FREQ=WEEKLY;INTERVAL=2;COUNT=5", "FREQ=DAILY;UNTIL=20260901T000000Z"]),
    st.integers(0, 100),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]),
    st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
)  # fmt: skip
def test_days_are_those_of_dateutil(start: datetime, rule: str, hours: int, own: str, zone: str) -> None:
    start = start.replace(second=0, microsecond=0)
    where, there = zones.zone(own), zones.zone(zone)
    data = calendar(f"DTSTART;TZID={own}:{start:%Y%m%dT%H%M%S}\nDURATION:PT{hours}H\nRRULE:{rule}")
    others = rrulestr(rule.partition(";UNTIL")[0], dtstart=start).between(
        datetime(2024, 1, 1),  # noqa: DTZ001
        datetime(2027, 2, 1),  # noqa: DTZ001
    )
    walls = {start, *others}
    until = datetime(2026, 9, 1, tzinfo=UTC) if "UNTIL" in rule else None
    wanted: set[date] = set()
    for wall in walls:
        if until is not None and wall != start and wall.replace(tzinfo=where) > until:
            continue
        begin = wall.replace(tzinfo=where).astimezone(there)
        end = (wall + timedelta(hours=hours)).replace(tzinfo=where).astimezone(there)
        minute = begin
        wanted |= {begin.date(), max(begin, end - timedelta(microseconds=1)).date()}
        while minute < end:
            wanted.add(minute.date())
            minute += timedelta(minutes=30)
    assert days(data, zone) == [f"{day:%m-%d}" for day in YEAR if day in wanted]


def test_a_file_is_checked_before_the_merge(tmp_path: Path) -> None:
    (tmp_path / "opsconductor.yaml").write_text(
        "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n"
    )
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions/c.yaml").write_text(
        "apiVersion: opsconductor/v1\nkind: Calendar\nmetadata: {name: c}\nspec:\n  ics: days.ics\n"
    )
    (tmp_path / "days.ics").write_bytes(calendar("SUMMARY:Freeze"))
    (found,) = validate_paths(tmp_path).findings
    assert (found.code, found.span.file, found.span.line) == ("OC510", "definitions/c.yaml", 5)
    assert "days.ics: event 'Freeze' needs one DTSTART" in found.message

    (tmp_path / "days.ics").write_bytes(b"x" * (1024 * 1024 + 1))
    assert "larger than 1 MiB" in validate_paths(tmp_path).findings[0].message

    (tmp_path / "days.ics").write_bytes(calendar("DTSTART;VALUE=DATE:20261224"))
    report = validate_paths(tmp_path)
    assert report.findings == ()
    assert report.compiled.catalog is not None
    assert report.compiled.catalog.calendar_files["days.ics"].holds(date(2026, 12, 24), "UTC")
    assert calendarfile.MAX_EVENTS == 5_000
