"""Why a schedule is due at an instant, or not, in words that agree with when it is."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.schedules.dueness import fire_at, neighbours, rule, why_not
from schemas.quantities import format_instant, parse_instant
from schemas.schedule import Schedule

NIGHTLY = {"cron": "30 2 * * *", "timeZone": "Europe/Berlin"}


def schedule(**fields: object) -> Schedule:
    document = {"apiVersion": "opsconductor/v1", "kind": "Schedule", "metadata": {"name": "s"}}
    return Schedule.model_validate({**document, "spec": {"jobRef": "j", **fields}})


def due(instant: str, **fields: object) -> str:
    one = schedule(**fields)
    fire = fire_at(one, parse_instant(instant), zone_default=None)
    assert fire is not None
    return rule(one, fire)


def off(instant: str, **fields: object) -> tuple[str, ...]:
    one = schedule(**fields)
    assert fire_at(one, parse_instant(instant), zone_default=None) is None
    return why_not(one, parse_instant(instant), zone_default=None)


@pytest.mark.parametrize(
    ("instant", "fields", "said"),
    [
        ("2026-06-01T00:30:00Z", NIGHTLY, 'cron: "30 2 * * *" in Europe/Berlin'),
        (
            "2026-03-29T01:00:00Z",
            NIGHTLY,
            "does not exist on this day, and dst.gap: next takes the first instant after",
        ),
        ("2026-10-25T00:30:00Z", NIGHTLY, "comes twice on this day, and dst.fold: first takes this pass"),
        ("2026-10-25T01:30:00Z", {**NIGHTLY, "dst": {"fold": "both"}}, "dst.fold: both takes this pass"),
        ("2026-10-25T01:30:00Z", {**NIGHTLY, "cron": "30 * * * *"}, "follows elapsed time: both"),
        (
            "2026-03-29T01:00:00Z",
            {"rrule": "FREQ=DAILY;BYHOUR=2;BYMINUTE=30\nEXDATE:20260401", "timeZone": "Europe/Berlin"},
            'rrule: "FREQ=DAILY;BYHOUR=2;BYMINUTE=30 EXDATE:20260401" in Europe/Berlin; that time does not exist',
        ),
        (
            "2026-10-25T01:30:00Z",
            {"rrule": "FREQ=HOURLY;BYMINUTE=30", "timeZone": "Europe/Berlin"},
            "this hour comes twice, and an rrule of HOURLY or finer follows elapsed time: both",
        ),
        ("2026-06-01T12:00:00Z", {"at": "2026-06-01T12:00:00Z"}, "at: 2026-06-01T12:00:00Z"),
        ("2026-06-01T12:00:00Z", {"every": "90m"}, "every: 1h30m, counted from 1970-01-01T00:00:00Z"),
    ],
)
def test_the_rule_by_which_it_is_due(instant: str, fields: dict[str, object], said: str) -> None:
    assert said in due(instant, **fields)


@pytest.mark.parametrize(
    ("instant", "fields", "said"),
    [
        ("2026-06-01T00:31:00Z", NIGHTLY, ['the minute is 31 in Europe/Berlin, and cron: "30 2 * * *" says 30']),
        ("2026-06-01T02:30:30Z", NIGHTLY, ["cron fires at full minutes", "the hour is 4"]),
        ("2026-10-25T01:30:00Z", NIGHTLY, ["this is the second pass of a time that comes twice, and dst.fold: first"]),
        ("2026-10-25T00:30:00Z", {**NIGHTLY, "dst": {"fold": "second"}}, ["the first pass of a time that comes twice"]),
        ("2026-06-02T00:30:00Z", {**NIGHTLY, "cron": "30 2 1 * fri"}, ["it is Tuesday, day 2 of the month"]),
        ("2026-06-01T00:30:00Z", {**NIGHTLY, "cron": "30 2 * dec *"}, ["the month is 6"]),
        ("2026-06-01T00:30:00Z", {**NIGHTLY, "startAt": "2027-01-01T00:00:00Z"}, ["startAt: 2027-01-01T00:00:00Z is"]),
        ("2026-06-01T00:30:00Z", {**NIGHTLY, "endAt": "2026-01-01T00:00:00Z"}, ["endAt: 2026-01-01T00:00:00Z"]),
        ("2026-06-02T10:00:00Z", {"rrule": "FREQ=WEEKLY;BYHOUR=12", "timeZone": "Europe/Berlin"},
         ["does not name Tuesday 2026-06-02 12:00:00 in Europe/Berlin, counted from 1970-01-01T00:00"]),
        ("2026-10-25T01:30:00Z", {"rrule": "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "timeZone": "Europe/Berlin"},
         ["this is the second pass of a time that comes twice, and dst.fold: first"]),
        ("2026-06-02T10:00:00Z", {"rrule": "FREQ=DAILY;BYHOUR=12;UNTIL=20260601T100000Z", "timeZone": "Europe/Berlin"},
         ["its UNTIL was reached"]),
        ("2026-06-02T10:00:00Z",
         {"rrule": "FREQ=DAILY;BYHOUR=12\nEXDATE:20260602T100000Z", "timeZone": "Europe/Berlin"},
         ["its EXDATE leaves out 2026-06-02T10:00:00Z"]),
        ("2026-03-29T01:00:00Z",
         {"rrule": "FREQ=DAILY;BYHOUR=2;BYMINUTE=30\nEXDATE:20260329T010000Z", "timeZone": "Europe/Berlin"},
         ["its EXDATE leaves out 2026-03-29T01:00:00Z"]),
        ("2026-06-02T11:00:00Z",
         {"rrule": "FREQ=DAILY;BYHOUR=12\nEXDATE:20260602T110000Z", "timeZone": "Europe/Berlin"},
         ["does not name Tuesday 2026-06-02 13:00:00"]),
        ("2026-06-01T12:00:05Z", {"every": "90m"}, ["this is 0:00:05 after one of its instants"]),
        ("2026-06-01T12:00:05Z", {"at": "2026-06-01T12:00:00Z"}, ["it fires once, at: 2026-06-01T12:00:00Z"]),
    ],
)  # fmt: skip
def test_everything_that_keeps_it_from_being_due(instant: str, fields: dict[str, object], said: list[str]) -> None:
    found = off(instant, **fields)
    assert len(found) == len(said)
    for sentence, part in zip(found, said, strict=True):
        assert part in sentence


def test_the_nearest_due_instants() -> None:
    spec = schedule(cron="0 12 1 1 *", timeZone="UTC").spec
    before, after = neighbours(spec, parse_instant("2026-06-01T00:00:00Z"), zone_default=None)
    assert (before and format_instant(before), after and format_instant(after)) == (
        "2026-01-01T12:00:00Z",
        "2027-01-01T12:00:00Z",
    )
    once = schedule(at="2026-06-01T00:00:00Z").spec
    assert neighbours(once, parse_instant("2026-06-01T00:00:00Z"), zone_default=None) == (None, None)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from(["30 2 * * *", "*/20 1-3 * * *", "0 * * * *", "15 2 25 * sun", "30 2 * 3,10 *"]),
    st.sampled_from([{"fold": "first"}, {"fold": "second"}, {"fold": "both", "gap": "skip"}]),
    st.sampled_from(["2026-03-28T23:00:00Z", "2026-10-24T22:00:00Z", "2026-07-31T12:00:00Z"]),
    st.integers(0, 3000),
)
def test_there_is_a_reason_exactly_where_it_is_not_due(cron: str, dst: dict[str, str], day: str, minutes: int) -> None:
    """The words and the clock are written apart; they must never disagree."""
    one = schedule(cron=cron, timeZone="Europe/Berlin", dst=dst)
    instant = parse_instant(day) + timedelta(minutes=minutes)
    fire = fire_at(one, instant, zone_default=None)
    if fire is None:
        assert why_not(one, instant, zone_default=None) != ("it is not due then",)
    elif "does not exist" not in rule(one, fire):
        assert why_not(one, instant, zone_default=None) == ("it is not due then",) or "comes twice" in rule(one, fire)
