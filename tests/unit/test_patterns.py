"""The patterns of the published schemas: nothing that a parser takes, and what parsers refuse where a pattern can."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from engine.times import cron
from schemas import patterns
from schemas.addresses import Network
from schemas.calendar import Day
from schemas.discovery import PortRange
from schemas.paths import Branch, BranchName, BranchRef, Certificate, Glob, RepositoryPath
from schemas.quantities import Duration, Instant, Period, Share


def taken_by(kind: object) -> Callable[[str], bool]:
    adapter: TypeAdapter[object] = TypeAdapter(kind)

    def taken(text: str) -> bool:
        try:
            adapter.validate_python(text, strict=True)
        except ValidationError:
            return False
        return True

    return taken


def _is_cron(text: str) -> bool:
    try:
        cron.parse(text)
    except cron.CronError:
        return False
    return True


CASES: dict[str, tuple[str, Callable[[str], bool], str, tuple[str, ...]]] = {
    "a day": (patterns.DAY, taken_by(Day), "0123456789-", ("2026-12-24", "2028-02-29", "0001-01-01")),
    "an instant": (
        patterns.INSTANT,
        taken_by(Instant),
        "0123456789-:TtZz.+",
        ("2026-12-01T00:00:00Z", "2028-02-29t23:59:59.123456+14:00", "2026-12-01T00:00:00-23:59"),
    ),
    "a duration": (patterns.DURATION, taken_by(Duration), "0123456789dhms", ("0s", "3660d", "87840h", "1h30m")),
    "a period": (patterns.PERIOD, taken_by(Period), "0123456789dhms", ("1s", "0d1s", "00010d", "999999m")),
    "a share": (patterns.SHARE, taken_by(Share), "0123456789%", ("0%", "007%", "100%", "25%")),
    "a path": (patterns.PATH, taken_by(RepositoryPath), "a./~\\ \n\u00e9", ("a", "a/b.c", "..a/b..", ".a", "a/...")),
    "a glob": (patterns.GLOB, taken_by(Glob), "a./~\\*?[{", ("**", "a/**/b", "*", "a/*b", "?")),
    "a certificate": (
        patterns.CERTIFICATE,
        taken_by(Certificate),
        "a./~\\ \n-BEGIN",
        ("-----BEGIN X\nabc\n", "\n -----BEGIN ", "keys/ca.pem"),
    ),
    "a branch": (patterns.BRANCH, taken_by(Branch), "a./@{~^:-", ("main", "a/b", "a@b", "a-b", "@a")),
    "a branch's name": (patterns.BRANCH_NAME, taken_by(BranchName), "a./-_", ("main", "a/b", "a.b", "a.lockb")),
    "a ref": (patterns.BRANCH_REF, taken_by(BranchRef), "a./-_", ("refs/heads/main", "refs/heads/_a/b")),
    "a network": (
        patterns.NETWORK,
        taken_by(Network),
        "0123456789abcf.:/%",
        ("10.0.0.0/8", "0.0.0.0/0", "10.1.2.3", "10.0.0.0/255.0.0.0", "::/0", "fd00::1", "1:2:3:4:5:6:7:8",
         "::ffff:10.0.0.1", "1:2:3:4:5:6:7::", "fe80::%eth0", "2001:db8::/032"),
    ),
    "ports": (patterns.PORTS, taken_by(PortRange), "0123456789-", ("1-65535", "00080-00090", "80-80")),
    "a cron": (patterns.CRON, _is_cron, "0123456789*/,- MONAJ", ("* * * * *", "*/5 1,2 1-3 jan MON", " 0 0  1 1 0\t")),
}  # fmt: skip
WRONG = {
    "a day": ("2026-02-29", "1900-02-29", "2026-04-31", "2026-13-01", "0000-01-01", "2026-1-1"),
    "an instant": ("2026-12-01T00:00:00", "2026-12-01", "2026-02-30T00:00:00Z", "2026-12-01T24:00:00Z", "tomorrow",
                   "2026-12-01T00:00:60Z", "2026-12-01T00:00:00+24:00", "2026-12-01 00:00:00Z"),
    "a duration": ("", "3661d", "11000d", "87841h", "1000000h", "5", "1m1h"),
    "a period": ("0s", "0d0h", "3661d"),
    "a share": ("101%", "120%", "999%", "%", "0100%", "10"),
    "a path": ("..", "a/..", "../a", "a/../b", "/a", "~/a", "a\\b", "a\nb", ""),
    "a glob": ("../**", "a/../b", "[a]", "a**", "**b", "/a"),
    "a certificate": ("../a", "/etc/a", "-----END"[5:] + "\\"),
    "a branch": ("a..b", "a.lock", "-a", "@", "a@{b", "a b", "a/"),
    "a branch's name": ("a..b", "a.lock", "a.lock/b", "a//b", "a/.b", "a.", "a/"),
    "a ref": ("refs/heads/a..b", "refs/heads/.a", "refs/tags/a", "refs/heads/a.lock", "refs/heads/"),
    "a network": ("10.0.0.0/33", "10.0.0.256", "::g", "lab.example", "::/129", "1::2::3", ":::", "12345::", "01.2.3.4"),
    "ports": ("0-80", "80-0", "1-65536", "80-", "1-99999"),
    "a cron": ("* * * *", "* * * * * *", "@daily", "0 2 2#3 * *", "? * * * *", ""),
}  # fmt: skip


def matches(pattern: str, text: str) -> bool:
    found = re.search(pattern, text)
    return found is not None and found.end() == len(text)  # `$` of Python also stands before a last line break


@pytest.mark.parametrize("kind", CASES)
def test_a_pattern_says_what_the_parser_says(kind: str) -> None:
    pattern, taken, _, right = CASES[kind]

    assert [text for text in right if not (taken(text) and matches(pattern, text))] == []
    assert [text for text in WRONG[kind] if taken(text) or matches(pattern, text)] == []


@pytest.mark.parametrize("kind", CASES)
def test_a_pattern_refuses_nothing_that_the_parser_takes(kind: str) -> None:
    pattern, taken, characters, right = CASES[kind]
    pieces = st.one_of(st.text(characters, max_size=4), st.sampled_from(right))

    @settings(derandomize=True, max_examples=400, deadline=None)
    @given(st.lists(pieces, max_size=3).map("".join), st.integers(0, 20), st.sampled_from(characters))
    def agreed(text: str, at: int, character: str) -> None:
        for one in (text, text[:at] + character + text[at + 1 :]):
            if taken(one):
                assert matches(pattern, one)

    agreed()


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.dates(), st.timedeltas(timedelta(0), timedelta(days=1)))
@example(date(2000, 2, 29), timedelta(0))
def test_every_day_and_instant_is_taken(day: date, time: timedelta) -> None:
    assert matches(patterns.DAY, day.isoformat())
    if day < date(9999, 12, 31):
        instant = datetime(day.year, day.month, day.day, tzinfo=UTC) + time
        assert matches(patterns.INSTANT, instant.isoformat())


@given(st.integers(0, 100_000), st.integers(0, 200_000))
@example(0, 0)
@example(10, 10)
@example(100, 101)
def test_digits_up_to_a_number(most: int, number: int) -> None:
    assert (re.fullmatch(patterns.up_to(most), str(number)) is not None) is (number <= most)
