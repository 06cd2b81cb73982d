"""Long lists, a portion at a time."""

from datetime import UTC, datetime, timedelta

from journal.databases.portions import MOST, portions_alike

T0 = datetime(2026, 11, 22, tzinfo=UTC)
DAY = timedelta(days=1)


def test_one_that_lags_is_asked_for_alone() -> None:
    """A portion is asked for by its earliest instant: what is far from it would be asked for from then on as well."""
    instants = {"new": T0, "newer": T0 + DAY, "lags": T0 - 365 * DAY, "newest": T0 + DAY + timedelta(seconds=1)}
    assert list(portions_alike(instants, DAY)) == [["lags"], ["new", "newer"], ["newest"]]


def test_no_portion_is_too_long() -> None:
    instants = {f"s{number:04}": T0 for number in range(MOST + 1)}
    assert [len(part) for part in portions_alike(instants, DAY)] == [MOST, 1]
    assert list(portions_alike({}, DAY)) == []
