"""Every due instant is decided once: it runs, or it is skipped for one reason."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalog import Catalog
from engine.schedules.decide import Decided, Due, ScheduleClock, Skips, decide, fingerprint, joined, restarts
from engine.schedules.fires import dropped, upcoming
from engine.times import recurrence
from schemas.project import Project
from schemas.quantities import format_instant
from schemas.schedule import Schedule, ScheduleSpec

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOURLY = {"cron": "0 * * * *", "timeZone": "UTC"}


def spec(**fields: Any) -> ScheduleSpec:
    return ScheduleSpec.model_validate({"jobRef": "job", **fields})


def at(clock: str) -> datetime:
    """A time of the day of NOON."""
    return datetime.fromisoformat(f"2026-11-21T{clock}+00:00")


def decided(found: Decided) -> list[str]:
    """`run 12:00` and `missed 09:00-11:00 x3`, by time."""
    lines = [(due.instant, f"run {due.instant:%H:%M:%S}") for due in found.runs]
    lines += [(s.first, f"{s.reason} {s.first:%H:%M:%S}-{s.last:%H:%M:%S} x{s.count}") for s in found.skips]
    return [line for _, line in sorted(lines)]


TABLE = [
    ("on time", {}, "11:59:00", "12:00:00", ["run 12:00:00"]),
    ("thirty seconds late is on time", {}, "11:59:00", "12:00:30", ["run 12:00:00"]),
    ("nothing is due", {}, "12:00:00", "12:59:59", []),
    ("what was considered is not decided again", {}, "12:00:00", "12:00:10", []),
    (
        "late: the latest within an hour runs by default",
        {},
        "08:30:00",
        "12:00:31",
        ["missed 09:00:00-11:00:00 x3", "run 12:00:00"],
    ),
    ("an hour late runs, by default", {}, "11:30:00", "13:00:00", ["run 12:00:00", "run 13:00:00"]),
    (
        "later than the window is missed",
        {"catchUp": {"policy": "latest", "window": "30m"}},
        "10:30:00",
        "12:45:00",
        ["missed 11:00:00-12:00:00 x2"],
    ),
    (
        "none: what is late is missed",
        {"catchUp": {"policy": "none"}},
        "09:30:00",
        "12:00:10",
        ["missed 10:00:00-11:00:00 x2", "run 12:00:00"],
    ),
    (
        "all: the newest of the window run",
        {"catchUp": {"policy": "all", "window": "4h", "max": 2}},
        "05:30:00",
        "12:10:00",
        ["missed 06:00:00-08:00:00 x3", "catchUpMax 09:00:00-10:00:00 x2", "run 11:00:00", "run 12:00:00"],
    ),
    (
        "the window counts its own edge in",
        {"catchUp": {"policy": "all", "window": "2h"}},
        "08:30:00",
        "12:00:00",
        ["missed 09:00:00-09:00:00 x1", "run 10:00:00", "run 11:00:00", "run 12:00:00"],
    ),
    ("suspended", {"suspend": True}, "10:30:00", "12:10:00", ["suspended 11:00:00-12:00:00 x2"]),
    (
        "suspended for a reason and without an end",
        {"suspend": {"reason": "freeze"}},
        "11:30:00",
        "12:00:00",
        ["suspended 12:00:00-12:00:00 x1"],
    ),
    (
        "suspended until: the end itself is free again, and what was suspended is never caught up",
        {"suspend": {"until": "2026-11-21T12:00:00Z"}},
        "09:30:00",
        "12:00:31",
        ["suspended 10:00:00-11:00:00 x2", "run 12:00:00"],
    ),
    (
        "suspended goes before missed",
        {"suspend": {"until": "2026-11-21T10:30:00Z"}, "catchUp": {"policy": "none"}},
        "08:30:00",
        "12:10:00",
        ["suspended 09:00:00-10:00:00 x2", "missed 11:00:00-12:00:00 x2"],
    ),
]


@pytest.mark.parametrize(("title", "fields", "considered", "now", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_decisions_are_those_of_the_table(
    title: str, fields: dict[str, Any], considered: str, now: str, expected: list[str]
) -> None:
    found = decide("s", spec(**HOURLY, **fields), ScheduleClock(at(considered)), at(now))
    assert decided(found) == expected
    assert found.considered_until == at(now)


def test_after_a_lost_store_instants_that_may_have_run_are_skipped() -> None:
    found = decide("s", spec(**HOURLY), ScheduleClock(at("07:30:00"), lost_until=at("10:10:00")), at("12:00:00"))
    assert decided(found) == ["storeLost 08:00:00-10:00:00 x3", "run 11:00:00", "run 12:00:00"]


def test_a_suspended_project_suspends_every_schedule() -> None:
    found = decide("s", spec(**HOURLY), ScheduleClock(at("10:30:00")), NOON, suspended=True)
    assert decided(found) == ["suspended 11:00:00-12:00:00 x2"]


def test_a_clock_that_was_set_back_decides_nothing_twice() -> None:
    assert decide("s", spec(**HOURLY), ScheduleClock(NOON), at("11:00:00")) == Decided((), (), NOON)


def test_ten_days_of_seconds_are_a_few_values() -> None:
    """An outage costs neither memory nor time by its length."""
    found = decide("s", spec(every="1s"), ScheduleClock(NOON - timedelta(days=10)), NOON)
    assert [(skip.count, skip.reason) for skip in found.skips] == [(10 * 86400 - 32, "missed")]
    assert len(found.runs) == 32
    assert found.runs[-1] == Due("s", NOON)


@given(
    schedule=st.builds(
        spec,
        every=st.sampled_from(["7s", "1m", "13m", "1h"]),
        catchUp=st.builds(
            lambda policy, window, most: {"policy": policy, "window": f"{window}s", "max": most},
            st.sampled_from(["none", "latest", "all"]),
            st.integers(0, 4000),
            st.integers(1, 5),
        ),
        suspend=st.one_of(
            st.booleans(),
            st.integers(0, 8000).map(lambda ago: {"until": format_instant(NOON - timedelta(seconds=ago))}),
        ),
    ),
    looks=st.lists(st.integers(0, 3000), min_size=1, max_size=4),
    lost=st.one_of(st.none(), st.integers(0, 9000)),
)
@settings(max_examples=200, deadline=None)
def test_every_instant_is_decided_exactly_once(schedule: ScheduleSpec, looks: list[int], lost: int | None) -> None:
    """However often and however late one looks."""
    start = NOON - timedelta(seconds=sum(looks))
    clock = ScheduleClock(start, None if lost is None else NOON - timedelta(seconds=lost))
    now = start
    runs: list[datetime] = []
    covered: list[datetime] = []
    for wait in looks:
        now += timedelta(seconds=wait)
        found = decide("s", schedule, clock, now)
        runs += [due.instant for due in found.runs]
        for skip in found.skips:
            inside = list(recurrence.instants(schedule, skip.first - recurrence.TICK, skip.last))
            assert (inside[0], inside[-1], len(inside)) == (skip.first, skip.last, skip.count)
            covered += inside
        clock = ScheduleClock(found.considered_until, clock.lost_until)
    assert sorted(runs + covered) == list(recurrence.instants(schedule, start, NOON))


def test_consecutive_skips_of_one_reason_are_one_record_unless_a_run_lies_between() -> None:
    first = Skips("s", at("01:00:00"), at("02:00:00"), 2, "missed")
    second = Skips("s", at("04:00:00"), at("05:00:00"), 2, "missed")
    assert joined([second, first]) == (Skips("s", at("01:00:00"), at("05:00:00"), 4, "missed"),)
    assert joined([first, second], [at("03:00:00")]) == (first, second)
    assert joined([first, Skips("t", at("04:00:00"), at("05:00:00"), 2, "missed")])[0] == first


# --- when a schedule's clock starts anew ---


def test_a_change_of_time_fields_restarts_the_clock_and_nothing_else_does() -> None:
    before = fingerprint(spec(**HOURLY))
    for fields in (
        {"cron": "5 * * * *"},
        {"timeZone": "Asia/Tokyo"},
        {"startAt": "2026-01-01T00:00:00Z"},
        {"dst": {"gap": "skip"}},
    ):
        assert restarts(before, fingerprint(spec(**HOURLY | fields)), NOON)
    for fields in ({"jobRef": "other"}, {"params": {"a": 1}}, {"catchUp": {"policy": "none"}}, {"priority": 3}):
        assert not restarts(before, fingerprint(spec(**HOURLY | fields)), NOON)
    assert not restarts(before, fingerprint(spec(cron="0 * * * *"), zone_default="UTC"), NOON)


def test_the_end_of_a_suspension_restarts_the_clock_and_its_beginning_does_not() -> None:
    free, held = fingerprint(spec(**HOURLY)), fingerprint(spec(**HOURLY, suspend=True))
    assert restarts(held, free, NOON)
    assert not restarts(free, held, NOON)
    assert restarts(fingerprint(spec(**HOURLY), suspended=True), free, NOON)
    until_one = fingerprint(spec(**HOURLY, suspend={"until": "2026-11-21T13:00:00Z"}))
    assert not restarts(held, until_one, NOON)
    assert restarts(until_one, free, NOON)
    assert not restarts(until_one, free, at("13:00:00"))  # it had ended by itself


# --- the days ahead ---


def catalog(*schedules: dict[str, Any], **project: Any) -> Catalog:
    envelope = {"apiVersion": "opsconductor/v1"}
    return Catalog(
        commit="c",
        project=Project.model_validate({**envelope, "kind": "Project", "metadata": {"name": "p"}, "spec": project}),
        schedules={
            one["name"]: Schedule.model_validate(
                {**envelope, "kind": "Schedule", "metadata": {"name": one.pop("name")}, "spec": {"jobRef": "j", **one}}
            )
            for one in map(dict, schedules)
        },
    )


def test_fires_are_shown_with_the_offset_of_their_own_pass() -> None:
    nightly = {"name": "nightly", "cron": "30 2 * * *", "timeZone": "Europe/Berlin", "dst": {"fold": "both"}}
    fires = upcoming(catalog(nightly), datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 22, tzinfo=UTC))
    assert fires[0].to_json() == {
        "schedule": "nightly",
        "instant": "2026-10-25T00:30:00Z",
        "local": "2026-10-25T02:30:00+02:00",
        "timeZone": "Europe/Berlin",
        "decision": "run",
        "reason": None,
        "startsAt": "2026-10-25T00:30:00Z",
        "heldBy": [],
    }
    hourly = upcoming(
        catalog({"name": "h", **HOURLY, "timeZone": "Europe/Berlin"}),
        datetime(2026, 10, 25, 0, tzinfo=UTC),
        datetime(2026, 10, 25, 2, tzinfo=UTC),
    )
    assert [fire.to_json()["local"] for fire in hourly] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]


def test_fires_are_sorted_the_start_counts_in_and_the_end_does_not() -> None:
    found = upcoming(catalog({"name": "b", **HOURLY}, {"name": "a", **HOURLY}), NOON, at("14:00:00"))
    assert [(fire.schedule, f"{fire.instant:%H}") for fire in found] == [
        ("a", "12"),
        ("b", "12"),
        ("a", "13"),
        ("b", "13"),
    ]


def test_skipped_fires_are_shown_with_their_reason() -> None:
    until = catalog({"name": "a", **HOURLY, "suspend": {"until": "2026-11-21T13:00:00Z"}})
    found = upcoming(until, NOON, at("13:30:00"))
    assert [(fire.decision, fire.reason, fire.starts_at) for fire in found] == [
        ("skipped", "suspended", None),
        ("run", None, at("13:00:00")),
    ]
    project = catalog({"name": "a", "cron": "0 0 * * *"}, suspend=True, defaults={"timeZone": "Asia/Tokyo"})
    (fire,) = upcoming(project, NOON, NOON + timedelta(days=1))
    assert (fire.reason, fire.to_json()["local"]) == ("suspended", "2026-11-22T00:00:00+09:00")


SPRING = (datetime(2027, 3, 27, 20, tzinfo=UTC), datetime(2027, 3, 28, 20, tzinfo=UTC))


def test_a_time_that_a_gap_leaves_out_is_named() -> None:
    nightly = {"cron": "10,30 2,3 * * *", "timeZone": "Europe/Berlin"}
    found = catalog({"name": "skips", **nightly, "dst": {"gap": "skip"}}, {"name": "moves", **nightly})

    left_out = dropped(found, *SPRING)

    assert [(one.schedule, one.message) for one in left_out] == [
        ("skips", "02:10 does not exist on 2027-03-28: skipped"),
        ("skips", "02:30 does not exist on 2027-03-28: skipped"),
    ]
    assert left_out[1].to_json() == {
        "schedule": "skips",
        "local": "2027-03-28T02:30:00",
        "timeZone": "Europe/Berlin",
        "gapEndsAt": "2027-03-28T01:00:00Z",
        "message": "02:30 does not exist on 2027-03-28: skipped",
    }
    assert [f"{fire.local:%H:%M}" for fire in upcoming(found, *SPRING) if fire.schedule == "skips"] == [
        "03:10",
        "03:30",
    ]


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        ("2027-03-28T01:00:00Z", "2027-03-28T01:00:01Z", 1),  # the end of the gap counts, as an instant there would
        ("2027-03-28T00:00:00Z", "2027-03-28T01:00:00Z", 0),
        ("2027-03-28T01:00:01Z", "2027-04-30T00:00:00Z", 0),
        ("2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z", 10),
    ],
)
def test_times_left_out_belong_to_the_end_of_their_gap(start: str, end: str, count: int) -> None:
    found = catalog({"name": "a", "cron": "30 2 * * *", "timeZone": "Europe/Berlin", "dst": {"gap": "skip"}})
    assert len(dropped(found, datetime.fromisoformat(start), datetime.fromisoformat(end))) == count


@pytest.mark.parametrize("spec", [{"cron": "30 * * * *"}, {"every": "1h"}, {"cron": "30 4 * * *"}])
def test_nothing_is_left_out_of_what_follows_elapsed_time(spec: dict[str, str]) -> None:
    assert dropped(catalog({"name": "a", "timeZone": "Europe/Berlin", "dst": {"gap": "skip"}, **spec}), *SPRING) == ()


@pytest.mark.parametrize("policy", ["none", "latest", "all"])
@pytest.mark.parametrize("suspended", [False, True])
def test_what_ran_before_the_clock_was_set_back_is_neither_run_nor_skipped(policy: str, suspended: bool) -> None:
    ran = (at("09:00:00"), at("11:00:00"), at("12:00:00"))
    hourly = spec(**HOURLY, catchUp={"policy": policy, "window": "3h", "max": 2})
    found = decide("s", hourly, ScheduleClock(at("07:30:00"), ran=ran), NOON, suspended=suspended)
    left = {due.instant for due in found.runs}
    for skip in found.skips:
        inside = recurrence.instants(hourly, skip.first - recurrence.TICK, skip.last)
        left |= (covered := set(inside))
        assert len(covered) == skip.count
    assert left == {at("08:00:00"), at("10:00:00")}


def test_a_clock_is_implausible_when_it_is_more_than_an_hour_ahead() -> None:
    assert not ScheduleClock(NOON).implausible(at("11:00:00"))
    assert ScheduleClock(NOON).implausible(at("10:59:59"))
