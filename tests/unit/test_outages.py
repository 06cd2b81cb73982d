"""Nobody looked for an hour, twelve hours, ten days: what runs then, what is missed, and that the schedule goes on.

And what went wrong elsewhere: a storm of late runs, a daily job that runs twice in autumn or never in spring, a
schedule that stops for ever after a hundred missed starts.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from engine.schedules.decide import Decided, ScheduleClock, decide
from engine.times import recurrence, zones
from schemas.schedule import ScheduleSpec

BEGIN = datetime(2026, 3, 24, 5, 17, tzinfo=UTC)
OUTAGES = {"an hour": timedelta(hours=1), "twelve hours": timedelta(hours=12), "ten days": timedelta(days=10)}
"""The ten days hold the night on which Berlin's clocks go forward."""
SCHEDULES: Mapping[str, dict[str, str]] = {
    "every ten seconds": {"every": "10s"},
    "every minute": {"cron": "* * * * *"},
    "hourly": {"cron": "30 * * * *"},
    "daily": {"cron": "30 2 * * *"},
    "weekly": {"rrule": "FREQ=WEEKLY;BYDAY=MO;BYHOUR=3;BYMINUTE=0;BYSECOND=0"},
}
POLICIES: Mapping[str, tuple[dict[str, Any], timedelta, int]] = {
    "none": ({"policy": "none"}, timedelta(0), 0),
    "latest": ({"policy": "latest", "window": "1h"}, timedelta(hours=1), 1),
    "latest of a week": ({"policy": "latest", "window": "7d"}, timedelta(days=7), 1),
    "all": ({"policy": "all", "window": "6h", "max": 10}, timedelta(hours=6), 10),
    "all of a month": ({"policy": "all", "window": "30d", "max": 3}, timedelta(days=30), 3),
}


def spec(clock: Mapping[str, str], **fields: Any) -> ScheduleSpec:
    zone = {} if "every" in clock else {"timeZone": "Europe/Berlin"}
    return ScheduleSpec.model_validate({"jobRef": "job", **clock, **zone, **fields})


def accounted(found: Decided) -> int:
    return len(found.runs) + sum(skip.count for skip in found.skips)


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("clock", SCHEDULES)
@pytest.mark.parametrize("policy", POLICIES)
def test_after_an_outage(outage: str, clock: str, policy: str) -> None:
    """Of what is late the newest of `window` run, no more than `max`; the rest is a record or two; nothing is lost."""
    fields, window, most = POLICIES[policy]
    schedule = spec(SCHEDULES[clock], catchUp=fields)
    now = BEGIN + OUTAGES[outage]
    due = list(recurrence.instants(schedule, BEGIN, now))
    late = [one for one in due if now - one > timedelta(seconds=30)]
    within = [one for one in late if now - one <= window]

    found = decide("s", schedule, ScheduleClock(BEGIN), now)

    assert [one.instant for one in found.runs] == within[max(0, len(within) - most) :][:most] + due[len(late) :]
    assert accounted(found) == len(due)
    assert len(found.skips) <= 2
    assert {skip.reason for skip in found.skips} <= {"missed", "catchUpMax"}
    if "all" in policy and len(within) > most:
        assert sum(skip.count for skip in found.skips if skip.reason == "catchUpMax") == len(within) - most


@pytest.mark.parametrize("policy", POLICIES)
def test_a_schedule_goes_on_after_any_number_of_missed_starts(policy: str) -> None:
    schedule = spec({"cron": "* * * * *"}, catchUp=POLICIES[policy][0])
    after = decide("s", schedule, ScheduleClock(BEGIN), BEGIN + timedelta(days=365))

    then = decide("s", schedule, ScheduleClock(after.considered_until), after.considered_until + timedelta(minutes=3))

    assert accounted(after) == 365 * 1_440
    assert len(after.runs) <= 11
    assert accounted(then) == 3
    assert then.runs != ()
    assert recurrence.next_due(schedule, then.considered_until) is not None


@pytest.mark.parametrize(
    "zone",
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "Africa/Cairo",
     "Europe/Dublin", "Africa/Casablanca", "America/St_Johns", "Pacific/Chatham", "Antarctica/Troll", "America/Nuuk"],
)  # fmt: skip
@pytest.mark.parametrize("time", ["30 2 * * *", "0 0 * * *", "15 0 * * *", "59 23 * * *", "0 3 * * *", "30 1 * * *"])
def test_a_daily_job_runs_once_a_day_in_spring_and_in_autumn(zone: str, time: str) -> None:
    """For ten years, by defaults: as often as there are days, and never twice within one.

    A time that a change of clocks leaves out right before midnight moves to the first minutes of the next day.
    """
    schedule = ScheduleSpec.model_validate({"jobRef": "job", "cron": time, "timeZone": zone})
    where = zones.zone(zone)
    begin, end = (datetime(year, 1, 1, 12, tzinfo=where).astimezone(UTC) for year in (2020, 2030))

    found = list(recurrence.instants(schedule, begin, end))

    assert len(found) == (end.astimezone(where).date() - begin.astimezone(where).date()).days
    apart = {later - earlier for earlier, later in pairwise(found)}
    assert timedelta(hours=21) < min(apart) <= timedelta(hours=24) <= max(apart) < timedelta(hours=27)


def test_a_clock_that_jumps_forwards_is_an_outage_and_one_that_jumps_back_decides_nothing_twice() -> None:
    schedule = spec({"cron": "* * * * *"}, catchUp={"policy": "latest"})
    clock, seen = ScheduleClock(BEGIN), []
    for minutes in (1, 2, 182, 183, 3, 4, 182, 183, 184):  # three hours on, back again, and on
        found = decide("s", schedule, clock, BEGIN + timedelta(minutes=minutes))
        clock = ScheduleClock(found.considered_until)
        seen += [one.instant for one in found.runs]
        seen += [skip.first for skip in found.skips]

    assert len(seen) == len(set(seen))
    assert [(one - BEGIN) // timedelta(minutes=1) for one in seen] == [1, 2, 181, 182, 3, 183, 184]
