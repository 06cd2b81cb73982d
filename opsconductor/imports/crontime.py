"""The five fields of a crontab, as Vixie's cron and its heirs read them, as the time of a Schedule."""

import re
from dataclasses import dataclass

from engine.times.cron import Cron, CronError, parse

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@every_minute": "* * * * *",
}
_DAYS = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
_SINGLE_STEP = re.compile(r"(?:^|,)\w+/\d+", re.ASCII)
_RANDOM = re.compile(r"(\d*)~(\d*)", re.ASCII)


class CarryError(ValueError):
    """The time means something that a Schedule cannot say, or nothing; `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Timing:
    """The fields of a Schedule that say when, and how far it is spread, in minutes. `note` says what changed form."""

    fields: tuple[tuple[str, str], ...]
    jitter_minutes: int = 0
    note: str = ""


def timing(words: list[str]) -> Timing:
    """Five fields as a time. Raises CarryError."""
    minute, *rest = words
    quiet = len(minute) > 1 and minute.startswith("-")
    minute = minute[1:] if quiet else minute
    note = "the '-' before the time kept it out of the system's log; a run is recorded always" if quiet else ""
    minute, jitter = _spread(minute)
    if any("~" in word for word in rest):
        raise CarryError("'~' takes a time by chance", "write a fixed time, and spread the starts with 'jitter'")
    words = [minute, *rest]
    if any(_SINGLE_STEP.search(word) for word in words):
        raise CarryError(
            "a step after a single number means different things to different crons",
            "write the range it steps through, as in 5-59/10, or the number alone",
        )
    try:
        cron = parse(" ".join(words))
    except CronError as error:
        raise CarryError(error.message, error.hint) from error
    both = words[2] != "*" and words[4] != "*"
    if not (both and (words[2].startswith("*") or words[4].startswith("*"))):
        return Timing((("cron", " ".join(words)),), jitter, note)
    return _both_days(words, cron, jitter)


def _both_days(words: list[str], cron: Cron, jitter: int) -> Timing:
    """A day field that begins with `*` must match as well: crons AND it, where a Schedule has OR."""
    assert cron.days is not None and cron.weekdays is not None
    if len(cron.days) == 31:
        return Timing((("cron", " ".join([*words[:2], "*", *words[3:]])),), jitter)
    if len(cron.weekdays) == 7:
        return Timing((("cron", " ".join([*words[:4], "*"])),), jitter)
    parts = ["FREQ=HOURLY" if cron.elapsed else "FREQ=DAILY"]
    if len(cron.months) < 12:
        parts.append(f"BYMONTH={_numbers(cron.months)}")
    parts.append(f"BYMONTHDAY={_numbers(cron.days)}")
    parts.append(f"BYDAY={','.join(_DAYS[day] for day in cron.weekdays)}")
    if not (cron.elapsed and len(cron.hours) == 24):
        parts.append(f"BYHOUR={_numbers(cron.hours)}")
    parts += [f"BYMINUTE={_numbers(cron.minutes)}", "BYSECOND=0"]
    note = "a day field that begins with * must match together with the other one, which is a rule and no cron here"
    return Timing((("rrule", ";".join(parts)),), jitter, note)


def _spread(minute: str) -> tuple[str, int]:
    """`A~B` of cronie and OpenBSD, a minute by chance, as the first of them and how far it is spread."""
    if (found := _RANDOM.fullmatch(minute)) is None:
        return minute, 0
    low, high = int(found[1] or 0), int(found[2] or 59)
    if not 0 <= low <= high <= 59:
        raise CarryError(f"'{minute}' is no range of minutes", "write a fixed minute, and spread it with 'jitter'")
    return str(low), high - low


def _numbers(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values))
