"""Recurrence rules are read as strictly as RFC 5545 asks, and never more loosely than the library that follows them."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from engine.checks.times import fires_on
from engine.times import cron, rrule
from engine.times.coverage import covers

START = datetime(2026, 11, 21, tzinfo=UTC)


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    return st.lists(st.integers(low, high), min_size=1, max_size=3).map(lambda many: ",".join(map(str, many)))


DAY = st.tuples(st.sampled_from(["", "1", "-1", "+2", "5"]), st.sampled_from(["MO", "FR", "SU"])).map("".join)
PARTS = st.fixed_dictionaries(
    {"FREQ": st.sampled_from(rrule.FREQUENCIES)},
    optional={
        "INTERVAL": st.integers(0, 3).map(str),
        "COUNT": st.integers(0, 3).map(str),
        "UNTIL": st.sampled_from(["20270101T000000Z", "20271301", "x"]),
        "BYMONTH": numbers(0, 13),
        "BYMONTHDAY": numbers(-32, 32),
        "BYYEARDAY": numbers(-367, 367),
        "BYWEEKNO": numbers(-54, 54),
        "BYDAY": st.lists(DAY, min_size=1, max_size=3).map(",".join),
        "BYHOUR": numbers(-1, 24),
        "BYSETPOS": numbers(-2, 2),
        "WKST": st.sampled_from(["MO", "SU", "XX"]),
        "BYEASTER": st.just("1"),
    },
)


@given(PARTS)
def test_what_is_accepted_the_library_accepts(parts: dict[str, str]) -> None:
    text = ";".join(f"{key}={value}" for key, value in parts.items())
    try:
        read = rrule.parse(text)
    except rrule.RuleError as error:
        assert 0 <= error.offset <= len(text) and error.length > 0
        return
    found = rrulestr(text, dtstart=START)
    if read.ever and read.whole_days and not read.by and read.until is None:
        assert next(iter(found)) == START


@pytest.mark.parametrize("text", ["FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=4,6;BYMONTHDAY=31,-31"])
def test_a_rule_that_never_comes_gives_nothing(text: str) -> None:
    assert not rrule.parse(text).ever
    assert not rrulestr(text, dtstart=START).between(START, START + timedelta(days=3000))


@pytest.mark.parametrize(
    "text", ["0 0 * * *", "0 */6 * * *", "0 8,20 * * 1-5", "0 0 1,15 * 1", "0 0 31 * *", "30 4 * 6-8 *", "0 0 29 2 *"]
)
def test_a_window_covers_all_time_when_it_is_as_long_as_the_longest_pause(text: str) -> None:
    read = cron.parse(text)
    walls = list(islice(read.walls(datetime(2096, 1, 1)), 3000))  # noqa: DTZ001 -- wall time
    longest = max(later - earlier for earlier, later in pairwise(walls))

    assert not covers(read, longest - timedelta(minutes=1))
    assert covers(read, longest + timedelta(days=7))
    assert len(read.months) < 12 or covers(read, longest)


@pytest.mark.parametrize("text", ["0 0 1,15 * 1", "0 0 * 2 *", "0 0 29 * *", "0 0 */2 * 1-5", "0 0 * * 7"])
def test_the_days_of_a_cron_are_those_on_which_it_fires(text: str) -> None:
    read = cron.parse(text)
    start = datetime(2026, 1, 1)  # noqa: DTZ001 -- wall time
    days = {wall.date() for wall in islice(read.walls(start), 400) if wall < start + timedelta(days=365)}

    assert days == {day for number in range(365) if fires_on(read, day := (start + timedelta(days=number)).date())}
