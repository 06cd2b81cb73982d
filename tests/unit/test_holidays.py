"""Public holidays, as calendars ask for them."""

import sys
import threading
from collections.abc import Iterator
from datetime import date

import pytest

from engine.times import calendars
from engine.times.calendars import Days, holidays_of

CHRISTMAS = date(2027, 12, 25)


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def _asked_together(holds: Days, threads: int = 2) -> list[bool]:
    answers: list[bool] = []
    go = threading.Barrier(threads)

    def ask() -> None:
        go.wait()
        answers.append(holds(CHRISTMAS))

    each = [threading.Thread(target=ask) for _ in range(threads)]
    for one in each:
        one.start()
    for one in each:
        one.join()
    return answers


@pytest.mark.usefixtures("eager_threads")
def test_threads_that_ask_for_a_new_year_at_once_hear_the_same() -> None:
    """The loop asks, the threads on which commits are judged, and those of the dashboard."""
    for _ in range(40):
        calendars._holidays_of_year.cache_clear()
        holds = holidays_of("US", None)
        assert holds is not None
        assert _asked_together(holds) == [True, True]


def test_a_country_that_nobody_lists() -> None:
    assert holidays_of("XX", None) is None
    assert holidays_of("US", "XX") is None
