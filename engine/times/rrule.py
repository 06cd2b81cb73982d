"""The text of an RFC 5545 recurrence rule, read strictly (sections 3.3.10 and 3.8.5.3). When it is due is not here."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

_MAX_TEXT = 4_096
FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
"""From coarse to fine."""
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_UNTIL = re.compile(r"\d{8}(T\d{6}Z?)?", re.ASCII)
_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,6}", re.ASCII)


class RuleError(ValueError):
    """What is wrong with a rule, what to write instead, and where: `offset` counts code points from 0."""

    def __init__(self, message: str, hint: str = "", offset: int = 0, length: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset = offset
        self.length = length


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read. `by` holds the numbers of each BY part, and of BYDAY the days without their numbers."""

    frequency: str
    interval: int = 1
    count: int | None = None
    until: str | None = None
    by: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    nth: tuple[tuple[int, str], ...] = ()
    """BYDAY with its numbers; 0 where there is none."""
    positions: tuple[int, ...] = ()
    """BYSETPOS."""
    week_start: str = "MO"
    exdates: tuple[str, ...] = ()
    """Days, times in local time, and instants in UTC (they end in Z) that are left out."""

    @property
    def names_instants(self) -> bool:
        """Whether an EXDATE is an instant in UTC: which local time that is, only a zone tells."""
        return any(text.endswith("Z") for text in self.exdates)

    @property
    def elapsed(self) -> bool:
        """Whether it follows elapsed time: HOURLY and finer do."""
        return self.frequency in FREQUENCIES[4:]

    @property
    def whole_days(self) -> bool:
        """Whether it names days, and no times of them."""
        return self.frequency in FREQUENCIES[:4] and not self.by.keys() & {"BYHOUR", "BYMINUTE", "BYSECOND"}

    @property
    def names_days(self) -> bool:
        """Whether the rule alone says which days; a WEEKLY without BYDAY takes the weekday of its start."""
        if self.interval > 1 or self.count is not None:
            return False
        match self.frequency:
            case "WEEKLY":
                return "BYDAY" in self.by
            case "MONTHLY":
                return bool(self.by.keys() & {"BYDAY", "BYMONTHDAY"})
            case "YEARLY":
                return bool(self.by.keys() & {"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"})
        return True

    @property
    def ever(self) -> bool:
        """False where no month of the ones it names has such a day."""
        months, days = self.by.get("BYMONTH"), self.by.get("BYMONTHDAY")
        if not months or not days:
            return True
        return any(abs(int(day)) <= _LONGEST[int(month) - 1] for month in months for day in days)


@lru_cache(maxsize=4096)
def parse(text: str) -> Rule:
    """Read a rule without its `RRULE:`, and the lines of EXDATE below it. Raises RuleError."""
    if len(text) > _MAX_TEXT:
        raise RuleError(f"a rule of {len(text)} characters", f"at most {_MAX_TEXT}", 0, len(text))
    text, *below = text.rstrip("\n").split("\n")
    exdates: list[str] = []
    offset = len(text) + 1
    for line in below:
        exdates += _exdates(line, offset)
        offset += len(line) + 1
    return replace(_parse(text), exdates=tuple(exdates))


def _exdates(line: str, offset: int) -> Iterator[str]:
    name, colon, values = line.partition(":")
    if name.upper() != "EXDATE" or not colon:
        hint = "below a rule stand lines of EXDATE only, as in EXDATE:20261225,20261231T180000"
        raise RuleError(f"'{line.strip()[:40]}' is no EXDATE", hint, offset, max(1, len(line)))
    for word, at in _words("EXDATE", values.upper(), offset + len(name) + 1):
        if not _is_time(word):
            hint = "write days, local times and instants in UTC, as in EXDATE:20261225,20261231T180000,20270101T110000Z"
            raise RuleError(f"'{word[:40]}' is no day or time", hint, at, max(1, len(word)))
        yield word


def _parse(text: str) -> Rule:
    parts: dict[str, tuple[str, int]] = {}
    offset = 0
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        key = name.upper()
        _check_name(key, name, equals, part, offset)
        if key in parts:
            raise RuleError(f"'{key}' is given twice", "write its values as one list", offset, len(part))
        parts[key] = (value.upper(), offset + len(name) + 1)
        offset += len(part) + 1
    if "FREQ" not in parts:
        raise RuleError("a rule without FREQ", "begin it with FREQ=DAILY, FREQ=WEEKLY, FREQ=MONTHLY …", 0, len(text))
    return _rule(parts)


def _check_name(key: str, name: str, equals: str, part: str, offset: int) -> None:
    if key.startswith(("RRULE:", "DTSTART", "EXDATE", "RDATE", "EXRULE")) or "\n" in part:
        hint = "write the rule alone, as in FREQ=MONTHLY;BYDAY=-1FR; its start is 'startAt'"
        raise RuleError(f"'{part.strip()[:40]}' does not belong in a rule", hint, offset, max(1, len(name)))
    if not equals or key not in _READERS:
        hint = f"a rule has {', '.join(_READERS)}, with ; between them"
        raise RuleError(f"'{part[:40]}' is no part of a rule", hint, offset, max(1, len(part)))


def _rule(parts: Mapping[str, tuple[str, int]]) -> Rule:
    values = {key: _READERS[key](key, text, offset) for key, (text, offset) in parts.items()}
    frequency = str(values["FREQ"][0])
    for wrong, hint in _contradictions(frequency, parts):
        text, offset = parts[wrong]
        raise RuleError(f"'{wrong}' does not go with the rest of the rule", hint, offset, max(1, len(text)))
    return Rule(
        frequency=frequency,
        interval=int(values.get("INTERVAL", (1,))[0]),
        count=int(values["COUNT"][0]) if "COUNT" in values else None,
        until=str(values["UNTIL"][0]) if "UNTIL" in values else None,
        by={key: found for key, found in values.items() if key.startswith("BY") and key != "BYSETPOS"},
        nth=_numbered(parts["BYDAY"][0]) if "BYDAY" in parts else (),
        positions=tuple(int(place) for place in values.get("BYSETPOS", ())),
        week_start=str(values.get("WKST", ("MO",))[0]),
    )


def _numbered(text: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(word[:-2] or 0), word[-2:]) for word in text.split(","))


def _contradictions(frequency: str, parts: Mapping[str, tuple[str, int]]) -> list[tuple[str, str]]:
    """What RFC 5545 says must not stand together, each with what to do."""
    numbered = "BYDAY" in parts and any(part[:1] in "+-0123456789" for part in parts["BYDAY"][0].split(","))
    day = [name for name in parts if name.startswith("BY") and name != "BYSETPOS"]
    checks = (
        ("COUNT", "COUNT" in parts and "UNTIL" in parts, "a rule has COUNT or UNTIL, not both"),
        ("BYWEEKNO", frequency != "YEARLY", "BYWEEKNO goes with FREQ=YEARLY only"),
        ("BYYEARDAY", frequency in ("DAILY", "WEEKLY", "MONTHLY"), "BYYEARDAY goes with FREQ=YEARLY"),
        ("BYMONTHDAY", frequency == "WEEKLY", "BYMONTHDAY does not go with FREQ=WEEKLY; use FREQ=MONTHLY"),
        (
            "BYDAY",
            numbered and frequency not in ("MONTHLY", "YEARLY"),
            "a number before a day needs FREQ=MONTHLY or YEARLY",
        ),
        ("BYDAY", numbered and "BYWEEKNO" in parts, "a number before a day does not go with BYWEEKNO"),
        ("BYSETPOS", not day, "BYSETPOS chooses among what another BY part gives"),
    )
    return [(name, hint) for name, wrong, hint in checks if wrong and name in parts]


def _words(key: str, text: str, offset: int) -> list[tuple[str, int]]:
    found = []
    for word in text.split(","):
        found.append((word, offset))
        offset += len(word) + 1
    return found


def _one_of(*known: str) -> Callable[[str, str, int], tuple[int | str, ...]]:
    def reader(key: str, text: str, offset: int) -> tuple[int | str, ...]:
        if text not in known:
            raise RuleError(f"'{text[:40]}' is no {key}", f"one of {', '.join(known)}", offset, max(1, len(text)))
        return (text,)

    return reader


def _numbers(
    low: int, high: int, *, signed: bool = False, single: bool = False
) -> Callable[[str, str, int], tuple[int | str, ...]]:
    def reader(key: str, text: str, offset: int) -> tuple[int | str, ...]:
        words = [(text, offset)] if single else _words(key, text, offset)
        return tuple(_number(key, word, at, low, high, signed=signed) for word, at in words)

    return reader


def _number(key: str, word: str, offset: int, low: int, high: int, *, signed: bool) -> int:
    value = int(word) if _NUMBER.fullmatch(word) else None
    size = None if value is None else abs(value) if signed else value
    if value is None or size is None or not low <= size <= high or (not signed and word[:1] in "+-"):
        hint = f"a whole number from {low} to {high}" + (f", or from -{high} to -{low}" if signed else "")
        raise RuleError(f"'{word[:40]}' is no value of {key}", hint, offset, max(1, len(word)))
    return value


def _days(key: str, text: str, offset: int) -> tuple[int | str, ...]:
    found: list[int | str] = []
    for word, at in _words(key, text, offset):
        match = _DAY.fullmatch(word)
        if match is None or (match[1] and not 1 <= abs(int(match[1])) <= 53):
            hint = f"one of {', '.join(DAYS)}, under MONTHLY and YEARLY also as in 2MO or -1FR"
            raise RuleError(f"'{word[:40]}' is no value of {key}", hint, at, max(1, len(word)))
        found.append(match[2])
    return tuple(found)


def _until(key: str, text: str, offset: int) -> tuple[int | str, ...]:
    if not _is_time(text):
        hint = "write a day or an instant, as in 20261231 or 20261231T230000Z"
        raise RuleError(f"'{text[:40]}' is no value of {key}", hint, offset, max(1, len(text)))
    return (text,)


def _is_time(text: str) -> bool:
    if not _UNTIL.fullmatch(text):
        return False
    try:
        datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S" if "T" in text else "%Y%m%d")  # noqa: DTZ007 -- only tried
    except ValueError:
        return False
    return True


_READERS: Mapping[str, Callable[[str, str, int], tuple[int | str, ...]]] = {
    "FREQ": _one_of(*FREQUENCIES),
    "INTERVAL": _numbers(1, 100_000, single=True),
    "COUNT": _numbers(1, 100_000, single=True),
    "UNTIL": _until,
    "BYMONTH": _numbers(1, 12),
    "BYWEEKNO": _numbers(1, 53, signed=True),
    "BYYEARDAY": _numbers(1, 366, signed=True),
    "BYMONTHDAY": _numbers(1, 31, signed=True),
    "BYDAY": _days,
    "BYHOUR": _numbers(0, 23),
    "BYMINUTE": _numbers(0, 59),
    "BYSECOND": _numbers(0, 59),
    "BYSETPOS": _numbers(1, 366, signed=True),
    "WKST": _one_of(*DAYS),
}
