"""Calendar events of systemd, held against what systemd itself makes of them; and its time spans."""

from itertools import islice

import pytest

from engine.times.recurrence import HORIZON, instants
from opsconductor.imports.calendarspec import duration, event, timing
from opsconductor.imports.crontime import CarryError
from schemas.quantities import format_instant
from schemas.schedule import ScheduleSpec
from tests.systemd_calendar import MANY, START, asked, cases

SAYS = cases()
NOT_SAID_HERE = {"08:05:40.25", "*:*:0.5/0.25", "2026,2028-01-01 00:00", "2024/2-1-1"}
"""What systemd takes, and a Schedule cannot say: it is listed as not carried."""


def ours(text: str) -> list[str] | None:
    try:
        when = event(text)
        zone = when.zone or "UTC"
        fields = dict(timing(when, zone).fields)
    except CarryError:
        return None
    spec = ScheduleSpec.model_validate({"jobRef": "x", "timeZone": zone, **fields})
    return [format_instant(one) for one in islice(instants(spec, START, START + HORIZON), MANY)]


@pytest.mark.parametrize("text", [text for text in SAYS if text not in NOT_SAID_HERE])
def test_a_schedule_fires_when_the_timer_would(text: str) -> None:
    assert ours(text) == SAYS[text]


@pytest.mark.parametrize("text", SAYS)
def test_what_is_known_of_systemd_is_so(text: str) -> None:
    """Where it is installed it is asked; versions differ in what they say, so a difference is to be looked at."""
    assert asked(text) == SAYS[text]


@pytest.mark.parametrize("text", sorted(NOT_SAID_HERE))
def test_what_a_schedule_cannot_say_is_refused_and_not_rounded(text: str) -> None:
    assert SAYS[text] is not None
    assert ours(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("90", "1m30s"),
        ("5min", "5m"),
        ("5 min", "5m"),
        ("1h 30min", "1h30m"),
        ("1h30min10s", "1h30m10s"),
        ("2 weeks", "14d"),
        ("1d", "1d"),
        ("3600", "1h"),
        ("1.5h", "1h30m"),
        ("500ms", "1s"),
        ("1h 2", "1h2s"),
        ("1M", "30d10h30m"),
        ("1 y", "365d6h"),
        ("0", "0s"),
    ],
)
def test_a_time_span_is_as_long_as_there(text: str, said: str) -> None:
    assert duration(text) == said


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "-5min", "9" * 9 + "y"])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(CarryError):
        duration(text)


def test_a_long_text_is_refused_and_not_walked() -> None:
    with pytest.raises(CarryError, match="characters"):
        event(",".join(["1"] * 100_000) + ":00")
