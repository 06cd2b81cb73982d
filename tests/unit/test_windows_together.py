"""What is said of windows in combination is true: beside every instant of years, looked at one by one."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from engine import recurrence
from engine.checks.windows import REFERENCE
from engine.compile import Compiled
from engine.windows import Windows
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


@settings(max_examples=50, deadline=None, derandomize=True)
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


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(windows, min_size=2, max_size=3, unique=True))
def test_windows_that_leave_no_time_are_such_as_block_every_minute(drawn: list[str]) -> None:
    compiled = tree(WORK, *(window(f"w{n}", spec) for n, spec in enumerate(drawn)))
    assert compiled.catalog is not None
    rules = Windows(compiled.catalog).together(compiled.catalog.windows)
    every = recurrence.instants(tick().spec, REFERENCE, UNTIL)
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
    assert {one.code for one in compiled.findings} == {"OC501", "OC503", "OC902"}
