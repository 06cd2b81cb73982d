"""The time of runners on one database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from sqlalchemy import Connection, create_engine

from journal.databases import leaseclock
from runners.sharedclock import SharedClock

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Set:
    """A clock that stands where it is set."""

    def __init__(self) -> None:
        self.shows = NOON

    def now(self) -> datetime:
        return self.shows

    def monotonic(self) -> float:
        return 7.0


@pytest.fixture
def database() -> Iterator[Connection]:
    """Its clock shows noon."""
    engine = create_engine("sqlite://")
    leaseclock.count_on(lambda _: NOON.timestamp(), engine)
    with engine.connect() as found:
        yield found
    engine.dispose()


@pytest.mark.parametrize("seconds", [-60, -1, 0, 59])
def test_a_clock_that_is_about_right_is_left_as_it_is(database: Connection, seconds: int) -> None:
    own = Set()
    clock = SharedClock(own, structlog.get_logger())
    own.shows += timedelta(seconds=seconds)
    clock.look(database)
    assert (clock.now(), clock.monotonic()) == (own.shows, 7.0)


def test_a_clock_that_is_apart_goes_by_the_database_s_until_they_agree_again(database: Connection) -> None:
    """Each is said once."""
    own = Set()
    clock = SharedClock(own, structlog.get_logger())
    with structlog.testing.capture_logs() as told:
        own.shows -= timedelta(hours=2)
        for _ in range(3):
            clock.look(database)
            assert clock.now() == NOON
        own.shows += timedelta(seconds=30)
        clock.look(database)
        assert clock.now() == NOON + timedelta(seconds=30), "it goes on by itself"
        own.shows = NOON + timedelta(seconds=2)
        for _ in range(3):
            clock.look(database)
            assert clock.now() == own.shows
    assert [one["event"].rpartition(":")[0] or one["event"] for one in told] == [
        "this clock and the database's are apart",
        "this clock and the database's agree again",
    ]
    assert told[0]["seconds"] == 7200
