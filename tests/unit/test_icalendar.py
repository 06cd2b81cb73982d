"""The calendar file: what RFC 5545 asks of its lines, whatever names are in it."""

from datetime import UTC, date, datetime, timedelta

from opsconductor.dashboard.icalendar import Event, calendar

AT = datetime(2026, 11, 21, 20, 15, tzinfo=UTC)


def test_an_event_is_read_back_by_another_reader() -> None:
    from icalendar import Calendar

    event = Event("a@x", AT, timedelta(minutes=5), "rotate; or, not\\", "line\nünïcode " * 20)
    read = Calendar.from_ical(calendar("Ops", [event], AT))
    (found,) = read.walk("VEVENT")
    assert (str(found["SUMMARY"]), str(found["DESCRIPTION"])) == (event.summary, event.description)
    assert (found["DTSTART"].dt, found["DTEND"].dt) == (AT, AT + timedelta(minutes=5))


def test_lines_are_short_and_hold_no_line_break_of_others() -> None:
    event = Event("a@x", AT, timedelta(0), "é" * 200 + "\r\nEND:VCALENDAR\x1b", "")
    lines = calendar("Ops", [event], AT).split("\r\n")
    assert all(len(line.encode()) <= 75 for line in lines)
    assert lines.count("END:VCALENDAR") == 1 and lines[-1] == ""


def test_what_is_left_out_is_said_by_the_calendar_and_by_a_whole_day() -> None:
    from icalendar import Calendar

    said = "Without entries: schedule a, b; 9 times.\n" * 3
    note = Event("left-out@x", AT, timedelta(days=1), "Not in this calendar", said, all_day=True)
    read = Calendar.from_ical(calendar("Ops", [note], AT, said))
    (found,) = read.walk("VEVENT")
    assert (found["DTSTART"].dt, found["DTEND"].dt) == (date(2026, 11, 21), date(2026, 11, 22))
    assert str(found["DESCRIPTION"]) == said and str(read["X-WR-CALDESC"]).startswith("Without entries: ")
