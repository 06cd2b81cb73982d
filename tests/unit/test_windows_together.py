"""What is said of windows in combination is true: beside every instant of years, looked at one by one."""

from datetime import UTC, date, datetime, timedelta
from itertools import chain

import holidays
import pytest
import yaml
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.checks.windows import REFERENCE
from engine.compile import Compiled
from engine.schedules.windows import Windows
from engine.times import recurrence, zones
from schemas.diagnostic import Diagnostic
from tests.planned import schedule, tree

WORK = "kind: Job\nmetadata: {name: work}\nspec: {steps: [{uses: dummy}]}\n"
UNTIL = datetime(2029, 2, 15, tzinfo=UTC)


def window(name: str, spec: str) -> str:
    return f"kind: Window\nmetadata: {{name: {name}}}\nspec: {{jobs: {{names: [work]}}, {spec}}}\n"


def found(compiled: Compiled, code: str) -> list[Diagnostic]:
    return [one for one in compiled.findings if one.code == code]


schedules = st.sampled_from(
    [
        'cron: "0 3 * * *", timeZone: UTC', 'cron: "30 2,3 * * *", timeZone: UTC', 'cron: "0 3 * * 1", timeZone: UTC',
        'cron: "0 12 1 * *", timeZone: UTC', "every: 6h", "every: 9h", "at: 2029-05-05T03:00:00Z",
        'cron: "0 3 * * *", timeZone: UTC, startAt: 2028-03-01T00:00:00Z, endAt: 2028-04-01T00:00:00Z',
    ]
)  # fmt: skip
windows = st.sampled_from(
    [
        'effect: deny, cron: "0 2 * * *", duration: 2h, timeZone: UTC',
        'effect: deny, cron: "0 2 * * 1-5", duration: 2h, timeZone: UTC',
        'effect: deny, cron: "0 0 * * 6,0", duration: 1d, timeZone: UTC',
        'effect: deny, cron: "0 4 * * *", duration: 22h, timeZone: UTC',
        'effect: deny, cron: "0 2 * * *", duration: 2h, timeZone: UTC, blocked: defer',
        'effect: allow, cron: "0 4 * * *", duration: 20h, timeZone: UTC',
        'effect: allow, cron: "0 4 * * *", duration: 6h, timeZone: UTC',
        "effect: allow, from: 2028-01-10T00:00:00Z, until: 2028-02-01T00:00:00Z",
        "effect: deny, from: 2028-01-10T00:00:00Z, until: 2029-02-01T00:00:00Z",
    ]
)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(schedules, st.lists(windows, min_size=1, max_size=3, unique=True))
def test_a_schedule_that_never_runs_is_one_whose_every_instant_is_blocked(when: str, drawn: list[str]) -> None:
    compiled = tree(WORK, schedule("s", "work", when), *(window(f"w{n}", spec) for n, spec in enumerate(drawn)))
    assert compiled.catalog is not None
    one = compiled.catalog.schedules["s"]
    rules = Windows(compiled.catalog).of_schedule(one)
    begin = one.spec.start_at or REFERENCE
    blocks = [rules.at(due) for due in recurrence.instants(one.spec, begin - recurrence.TICK, UNTIL)]
    runs = any(block is None or (block.action == "defer" and block.until) for block in blocks)
    said = found(compiled, "OC504")
    if said:
        assert not runs
        assert {place.message.split(":")[0] for place in said[0].related} <= {f"Window/w{n}" for n in range(3)}
    elif not runs:
        # Left out on purpose: nothing is due, or the windows leave no time to anybody, which is said there.
        assert not blocks or found(compiled, "OC506")


# Where no minute is left, each instant is followed through a thousand openings.
@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(windows, min_size=2, max_size=3, unique=True))
def test_windows_that_leave_no_time_are_such_as_block_every_minute(drawn: list[str]) -> None:
    compiled = tree(WORK, *(window(f"w{n}", spec) for n, spec in enumerate(drawn)))
    assert compiled.catalog is not None
    rules = Windows(compiled.catalog).together(compiled.catalog.windows)
    # The windows repeat by the week, but for what begins and ends in these two spans.
    first, last = REFERENCE + timedelta(days=35), UNTIL - timedelta(days=16)
    every = chain(recurrence.instants(tick().spec, REFERENCE, first), recurrence.instants(tick().spec, last, UNTIL))
    assert bool(found(compiled, "OC506")) == all(rules.at(instant) is not None for instant in every)


def tick():  # type: ignore[no-untyped-def]
    """A schedule that is due every other hour: no window of these begins or ends in between."""
    compiled = tree(WORK, schedule("s", "work", "every: 2h"))
    assert compiled.catalog is not None
    return compiled.catalog.schedules["s"]


def test_the_other_windows_are_named_with_their_places() -> None:
    night = window("night", 'effect: deny, cron: "0 18 * * *", duration: 12h, timeZone: UTC')
    day = window("day", 'effect: deny, cron: "0 6 * * *", duration: 12h, timeZone: UTC')
    (finding,) = found(tree(WORK, night, day), "OC506")
    assert (finding.span.file, finding.message) == ("definitions/1.yaml", "with Window/day it blocks all the time")
    assert [(place.span.file, place.message) for place in finding.related] == [
        ("definitions/2.yaml", "Window/day: deny")
    ]


def test_windows_for_different_jobs_leave_each_some_time() -> None:
    day = window("day", 'effect: deny, cron: "0 6 * * *", duration: 12h, timeZone: UTC')
    other = window("night", 'effect: deny, cron: "0 18 * * *", duration: 12h, timeZone: UTC').replace(
        "[work]", "[other]"
    )
    assert found(tree(WORK, WORK.replace("work", "other"), day, other), "OC506") == []


def test_a_window_that_cannot_be_read_is_left_out() -> None:
    broken = [window("x", 'effect: deny, cron: "61 * * * *", duration: 1h, timeZone: UTC')]
    broken += [window("y", 'effect: deny, cron: "0 2 * * *", duration: 1h, timeZone: Mars/Olympus')]
    compiled = tree(WORK, schedule("s", "work", 'cron: "0 3 * * *", timeZone: UTC'), *broken)
    assert {one.code for one in compiled.findings} == {"OC501", "OC503"}


# --- with jitter, recurrence rules and calendars ---

CALENDARS = {
    "dates": "dates: ['2028-01-03', '2028-02-29', '2028-12-25']",
    "mondays": "rrules: ['FREQ=WEEKLY;BYDAY=MO']",
    "weekdays": "rrules: ['FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR']",
    "last": "rrules: ['FREQ=MONTHLY;BYDAY=-1FR']",
    "holidays": "holidays: {country: MD}",
    "both": "holidays: {country: DE, subdivision: BY}, rrules: ['FREQ=WEEKLY;BYDAY=SU']",
    "file": "ics: freeze.ics",
}
FIRST, LAST = datetime(2028, 1, 1), datetime(2031, 1, 1)  # noqa: DTZ001 -- days have no zone
RULES = {
    "mondays": rrulestr("FREQ=WEEKLY;BYDAY=MO", dtstart=FIRST),
    "weekdays": rrulestr("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", dtstart=FIRST),
    "last": rrulestr("FREQ=MONTHLY;BYDAY=-1FR", dtstart=FIRST),
    "both": rrulestr("FREQ=WEEKLY;BYDAY=SU", dtstart=FIRST),
}
HOLIDAYS = {
    "holidays": holidays.country_holidays("MD", years=range(2028, 2031)),
    "both": holidays.country_holidays("DE", subdiv="BY", years=range(2028, 2031)),
}


def days_of(name: str) -> frozenset[date]:
    """By the libraries themselves, from the beginning of 2028 to the end of 2030."""
    if name == "dates":
        return frozenset(date.fromisoformat(day) for day in yaml.safe_load(f"{{{CALENDARS[name]}}}")["dates"])
    rule = RULES.get(name)
    found = {one.date() for one in rule.between(FIRST, LAST, inc=True)} if rule is not None else set()
    return frozenset(found | set(HOLIDAYS.get(name, ())))


more_schedules = st.sampled_from(
    [
        'rrule: "FREQ=DAILY;BYHOUR=3;BYMINUTE=0;BYSECOND=0", timeZone: UTC',
        'rrule: "FREQ=WEEKLY;BYDAY=MO;BYHOUR=3;BYMINUTE=0;BYSECOND=0", timeZone: Europe/Chisinau',
        'rrule: "FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=12;BYMINUTE=0;BYSECOND=0", timeZone: UTC',
        'rrule: "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=2;BYMINUTE=30;BYSECOND=0", timeZone: UTC',
        'rrule: "FREQ=HOURLY;INTERVAL=6;BYMINUTE=0;BYSECOND=0", timeZone: UTC',
        'cron: "30 2 * * *", timeZone: UTC, jitter: 20m',
        'cron: "50 3 * * *", timeZone: UTC, jitter: 40m',
        'cron: "40 1 * * *", timeZone: UTC, jitter: 30m',
        'cron: "0 3 * * 1", timeZone: UTC, jitter: 5m',
        'cron: "0 3 * * 6,0", timeZone: Europe/Chisinau',
        "every: 6h, jitter: 1h", "every: 9h",
        "at: 2028-12-25T03:00:00Z, jitter: 10m",
    ]
)  # fmt: skip
names = st.lists(st.sampled_from([name for name in CALENDARS if name != "file"]), max_size=2, unique=True)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(more_schedules, st.lists(windows, max_size=2, unique=True), names, names)
def test_what_is_said_of_a_schedule_among_windows_and_calendars_is_true(
    when: str, drawn: list[str], only: list[str], left_out: list[str]
) -> None:
    """By every instant of three years: its day by dateutil and the holidays library, its start with its jitter."""
    of_calendars = f", calendars: {{only: [{', '.join(only)}], except: [{', '.join(left_out)}]}}"
    calendars = (
        f"kind: Calendar\nmetadata: {{name: {name}}}\nspec: {{{CALENDARS[name]}}}\n" for name in {*only, *left_out}
    )
    among = (window(f"w{n}", spec) for n, spec in enumerate(drawn))
    compiled = tree(WORK, schedule("s", "work", when + of_calendars), *among, *sorted(calendars))
    assert compiled.catalog is not None
    one = compiled.catalog.schedules["s"]
    rules = Windows(compiled.catalog).of_schedule(one)
    where = zones.zone(recurrence.zone_of(one.spec, None))
    within = frozenset().union(*map(days_of, only)) if only else None
    without = frozenset().union(*map(days_of, left_out))
    until = datetime(2030, 12, 30, tzinfo=UTC)
    runs = False
    for due in recurrence.instants(one.spec, REFERENCE - recurrence.TICK, until):
        day = due.astimezone(where).date()
        if (within is None or day in within) and day not in without:
            block = rules.at(recurrence.starts_at("s", one.spec, due))
            runs = runs or block is None or (block.action == "defer" and block.until is not None)
    said = found(compiled, "OC504")
    assert not (said and runs), said
    assert runs or said or found(compiled, "OC506"), "it never runs, and nobody says so"


def test_a_file_of_days_is_not_taken_for_none() -> None:
    freeze = f"kind: Calendar\nmetadata: {{name: freeze}}\nspec: {{{CALENDARS['file']}}}\n"
    mondays = f"kind: Calendar\nmetadata: {{name: mondays}}\nspec: {{{CALENDARS['mondays']}}}\n"
    for calendars, said in (
        ("only: [freeze], except: [mondays]", 0),
        ("only: [mondays], except: [freeze]", 0),
        ("except: [freeze, mondays]", 1),
    ):
        when = f'cron: "0 3 * * 1", timeZone: UTC, calendars: {{{calendars}}}'
        assert len(found(tree(WORK, schedule("s", "work", when), freeze, mondays), "OC504")) == said


def test_a_rule_that_has_no_instant_is_said_at_its_place() -> None:
    start = "timeZone: UTC, startAt: 2028-02-01T00:00:00Z"
    for when, message in (
        ('rrule: "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1", timeZone: UTC', "the rule has no instant in 40 years"),
        (f'rrule: "FREQ=DAILY;UNTIL=20270101T000000Z", {start}', "the rule has no instant in 40 years"),
        (f'rrule: "FREQ=MONTHLY;BYMONTHDAY=31", {start}, endAt: 2028-03-01T00:00:00Z', "lies between 'startAt'"),
    ):
        (finding,) = found(tree(WORK, schedule("s", "work", when)), "OC504")
        assert message in finding.message
    past = 'rrule: "FREQ=DAILY;UNTIL=20200101T000000Z", timeZone: UTC'
    assert found(tree(WORK, schedule("s", "work", past)), "OC504") == []


def test_jitter_that_leads_out_of_a_window_runs() -> None:
    night = window("night", 'effect: deny, cron: "0 2 * * *", duration: 2h, timeZone: UTC')
    within = schedule("s", "work", 'cron: "0 3 * * *", timeZone: UTC, jitter: 30m')
    beyond = schedule("s", "work", 'cron: "50 3 * * *", timeZone: UTC, jitter: 1h')
    assert len(found(tree(WORK, within, night), "OC504")) == 1
    assert found(tree(WORK, beyond, night), "OC504") == []
