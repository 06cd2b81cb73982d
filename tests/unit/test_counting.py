"""Due instants are counted by place, not walked through: of an outage only the edges cost, whatever the rule."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.schedules.decide import ScheduleClock, decide
from engine.times import recurrence
from schemas.schedule import ScheduleSpec
from tests.calls import calls

FREQUENT = (
    "FREQ=SECONDLY;BYMINUTE=7,59;BYSECOND=0,3,59",
    "FREQ=SECONDLY;INTERVAL=60",
    "FREQ=SECONDLY;INTERVAL=48;BYHOUR=0,1,2,3,22",
    "FREQ=SECONDLY;INTERVAL=77",
    "FREQ=MINUTELY;BYSECOND=0,30",
    "FREQ=MINUTELY;INTERVAL=15;BYSECOND=5,6,7;BYSETPOS=1,-1",
    "FREQ=MINUTELY;INTERVAL=9;BYHOUR=2,3;BYSECOND=59",
    "FREQ=HOURLY;INTERVAL=2;BYMINUTE=0,59;BYSECOND=0,59",
    "FREQ=HOURLY;BYDAY=SA,SU;BYMINUTE=10,50",
    "FREQ=DAILY;BYHOUR=0,2,3,23;BYMINUTE=0,30,59;BYSECOND=0,59",
    "FREQ=DAILY;BYHOUR=2,3,4;BYSETPOS=2",
)
ENDS = ("", ";UNTIL=20261025T003000Z", ";UNTIL=20261025T010001Z", ";UNTIL=20261025T023000", ";UNTIL=20300101T000000Z")


def spec(rule: str, **fields: Any) -> ScheduleSpec:
    return ScheduleSpec.model_validate({"jobRef": "job", "rrule": rule, "timeZone": "Europe/Berlin", **fields})


@given(
    rule=st.sampled_from(FREQUENT),
    end=st.sampled_from(ENDS),
    start=st.sampled_from(["2026-10-20T00:00:00Z", "2026-10-23T13:37:11Z", None]),
    after=st.integers(0, 96 * 3_600_000),
    length=st.integers(0, 60 * 3600),
    most=st.integers(1, 90),
)
@settings(max_examples=300, deadline=None)
def test_a_span_and_the_newest_are_those_of_all_instants(
    rule: str, end: str, start: str | None, after: int, length: int, most: int
) -> None:
    """Over the night on which clocks go back, over the end of the rule, and from the middle of a second on."""
    schedule = spec(rule + end, startAt=start) if start else spec(rule + end)
    begin = datetime(2026, 10, 22, tzinfo=UTC) + timedelta(milliseconds=after)
    until = begin + timedelta(seconds=length)
    every = list(recurrence.instants(schedule, begin, until))
    found = recurrence.span(schedule, begin, until)
    assert (found and (found.first, found.last, found.count)) == ((every[0], every[-1], len(every)) if every else None)
    assert list(recurrence.newest(schedule, begin, until, most)) == every[-most:]


@pytest.mark.parametrize("policy", ["none", "latest", "all"])
@pytest.mark.parametrize(
    "end",
    ["", ";UNTIL=20300101T000000Z", ";UNTIL=20261121T235959Z", ";UNTIL=20300101T000000", ";UNTIL=20261119T120000"],
)
def test_an_outage_of_a_rule_of_seconds_is_not_walked_through(policy: str, end: str) -> None:
    """Ten days of seconds are 864 000: the loop that decides them renews leases, too."""
    now = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
    schedule = spec(f"FREQ=SECONDLY{end}", catchUp={"policy": policy, "window": "1h"})
    outage = ScheduleClock(now - timedelta(days=10))
    assert decide("n", schedule, outage, now).skips
    assert calls(lambda: decide("n", schedule, outage, now)) < 100_000


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
@pytest.mark.parametrize("end", ["00010101", "00010101T000000", "00010101T000000Z"])
def test_a_rule_that_ended_in_the_first_year_gives_nothing(zone: str, end: str) -> None:
    """East of Greenwich that is before all years there are."""
    rule = spec(f"FREQ=DAILY;UNTIL={end}", timeZone=zone)
    day = datetime(2026, 11, 21, tzinfo=UTC)
    assert recurrence.newest(rule, day, day + timedelta(days=3), 2) == ()
    assert recurrence.span(rule, day, day + timedelta(days=3)) is None
    assert recurrence.next_due(rule, day) is None
