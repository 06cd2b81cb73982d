"""What is due as an iCalendar file (RFC 5545), to be subscribed to. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_MOST_OCTETS = 73
"""Of a line: 75 with the line break, says the RFC; one less for the blank that a folded line begins with."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry; `uid` stays the same for the same thing."""

    uid: str
    start: datetime
    length: timedelta
    summary: str
    description: str = ""
    all_day: bool = False
    """Of the whole UTC days that it touches."""


def calendar(name: str, events: Iterable[Event], at: datetime, description: str = "") -> str:
    """The file, made at an instant."""
    return "".join(f"{line}\r\n" for line in _lines(name, description, events, at))


def _lines(name: str, description: str, events: Iterable[Event], at: datetime) -> Iterator[str]:
    yield from ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//OpsConductor//Schedule//EN", "CALSCALE:GREGORIAN")
    yield from _folded(f"X-WR-CALNAME:{_text(name)}")
    if description:
        yield from _folded(f"X-WR-CALDESC:{_text(description)}")
    for event in events:
        yield "BEGIN:VEVENT"
        yield from _folded(f"UID:{_text(event.uid)}")
        yield f"DTSTAMP:{_instant(at)}"
        yield from _times(event)
        yield from _folded(f"SUMMARY:{_text(event.summary)}")
        if event.description:
            yield from _folded(f"DESCRIPTION:{_text(event.description)}")
        yield "TRANSP:TRANSPARENT"
        yield "END:VEVENT"
    yield "END:VCALENDAR"


def _times(event: Event) -> Iterator[str]:
    end = event.start + event.length
    if event.all_day:
        yield f"DTSTART;VALUE=DATE:{event.start.astimezone(UTC):%Y%m%d}"
        yield f"DTEND;VALUE=DATE:{end.astimezone(UTC):%Y%m%d}"
    else:
        yield f"DTSTART:{_instant(event.start)}"
        yield f"DTEND:{_instant(end)}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(value: str) -> str:
    shown = value
    if not value.isprintable():
        shown = "".join(char if char == "\n" or char.isprintable() else " " for char in value)
    for char in ("\\", ";", ","):
        shown = shown.replace(char, f"\\{char}")
    return shown.replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """A line in pieces of at most 75 octets, none of which ends within a character."""
    if line.isascii() and len(line) <= _MOST_OCTETS:
        yield line
        return
    piece, lead = b"", ""
    for char in line:
        encoded = char.encode("utf-8", "replace")
        if len(piece) + len(encoded) > _MOST_OCTETS:
            yield lead + piece.decode()
            piece, lead = b"", " "
        piece += encoded
    yield lead + piece.decode()
