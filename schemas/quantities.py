"""Text forms of durations, shares and instants, and the values they stand for."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from schemas import patterns

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?", re.ASCII)
_OF_ANY_LENGTH = re.compile(r"(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?", re.ASCII)
_TOO_LONG = "a duration of more than ten years"
_PERCENT = re.compile(r"(\d{1,3})%", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def parse_duration(text: object) -> timedelta:
    """`90s 15m 6h 2d 1h30m` as a timedelta. Raises ValueError for anything else, numbers without a unit included."""
    if isinstance(text, timedelta):
        return text
    if isinstance(text, str) and text and (match := _DURATION.fullmatch(text)):
        seconds = sum(int(n) * _UNITS[unit] for n, unit in zip(match.groups(), "dhms", strict=True) if n)
        if seconds <= 10 * 366 * 86400:
            return timedelta(seconds=seconds)
        raise ValueError(_TOO_LONG)
    if isinstance(text, str) and text and _OF_ANY_LENGTH.fullmatch(text):
        raise ValueError(_TOO_LONG)
    raise ValueError("not a duration; write a number with a unit, as in 90s, 15m, 6h, 2d or 1h30m")


def parse_period(text: object) -> timedelta:
    """A duration of at least a second: of what would have no meaning, or no end, with none."""
    value = parse_duration(text)
    if value < timedelta(seconds=1):
        raise ValueError("not long enough; it must be at least 1s")
    return value


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as the same whole seconds."""
    rest = int(value.total_seconds())
    parts = []
    for unit, seconds in _UNITS.items():
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_instant(text: object) -> datetime:
    """An RFC 3339 instant as an aware datetime in UTC. An offset is required."""
    if isinstance(text, datetime) and text.tzinfo is not None:
        return text.astimezone(UTC)
    if isinstance(text, str) and _INSTANT.fullmatch(text):
        try:
            return datetime.fromisoformat(text.upper().replace("Z", "+00:00")).astimezone(UTC)
        except OverflowError as error:
            raise ValueError("an instant that is in no year from 1 to 9999 in UTC") from error
        except ValueError as error:
            raise ValueError("not an instant that exists; check its day, its time and its offset") from error
    raise ValueError("not an instant; write RFC 3339 with an offset, as in 2026-12-01T00:00:00Z")


def format_instant(value: datetime) -> str:
    """RFC 3339 in UTC to the second, or to the millisecond where there is a fraction."""
    spec = "milliseconds" if value.microsecond else "seconds"
    return value.astimezone(UTC).isoformat(timespec=spec).replace("+00:00", "Z")


def _share(value: object) -> object:
    if isinstance(value, str):
        if not ((match := _PERCENT.fullmatch(value)) and int(match[1]) <= 100):
            raise ValueError('not a share; write a whole number or a percentage from "0%" to "100%"')
    elif isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError('not a share; write a whole number or a percentage from "0%" to "100%"')
    return value


def _some_share(value: object) -> object:
    if _share(value) in (0, "0%", "00%", "000%"):
        raise ValueError('a share of nothing; write a whole number from 1 on, or a percentage from "1%" to "100%"')
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": patterns.DURATION, "examples": ["90s", "1h30m"]}),
]
Period = Annotated[
    timedelta,
    BeforeValidator(parse_period),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": patterns.PERIOD, "examples": ["90s", "1h30m"]}),
]
"""A duration that is not nothing."""
Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant),
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": patterns.INSTANT,
            "examples": ["2026-12-01T00:00:00Z"],
        }
    ),
]
Share = Annotated[
    int | str,
    BeforeValidator(_share),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": patterns.SHARE}]}),
]
PositiveShare = Annotated[
    int | str,
    BeforeValidator(_some_share),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": patterns.POSITIVE_SHARE}]}
    ),
]
"""A share that is not nothing."""
Positive = Annotated[int, Field(ge=1, le=1_000_000)]
