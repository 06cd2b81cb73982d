"""When a message is tried again, and when a channel is left alone."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.notifications.delivery import FIRST, LONGEST, OPENS_AT, Circuit, pause

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (10_000, 900)])
def test_pauses_double_up_to_a_bound(attempts: int, seconds: float) -> None:
    assert pause(attempts, 0) == timedelta(seconds=seconds)
    assert pause(attempts, 1) == timedelta(seconds=seconds / 2)


def test_what_the_other_side_asks_for_is_the_least() -> None:
    assert pause(1, 0.5, timedelta(minutes=30)) == timedelta(minutes=30)
    assert pause(20, 0, timedelta(seconds=1)) == LONGEST


def test_a_circuit_opens_after_failures_in_a_row_and_one_message_asks() -> None:
    circuit = Circuit()
    for _ in range(OPENS_AT - 1):
        circuit = circuit.failed(NOW, 0)
        assert (circuit.is_open, circuit.room(NOW, 1, 4)) == (False, 3)
    circuit = circuit.failed(NOW, 0)
    assert (circuit.is_open, circuit.room(NOW, 0, 4)) == (True, 0)
    assert (circuit.room(NOW + FIRST, 0, 4), circuit.room(NOW + FIRST, 1, 4)) == (1, 0)
    assert circuit.failed(NOW + FIRST, 0).room(NOW + 2 * FIRST, 0, 4) == 0
    assert circuit.worked().room(NOW, 0, 4) == 4


def test_one_who_asks_to_be_left_alone_is_left_alone_at_once() -> None:
    circuit = Circuit().failed(NOW, 0, timedelta(minutes=10))
    assert circuit.room(NOW + timedelta(minutes=9), 0, 4) == 0
    assert circuit.room(NOW + timedelta(minutes=10), 0, 4) == 4


def test_a_clock_that_was_set_back_leaves_nobody_alone_for_ever() -> None:
    circuit = Circuit().failed(NOW, 0, timedelta(hours=1))
    assert circuit.room(NOW - timedelta(minutes=30), 0, 4) == 0
    assert circuit.room(NOW - timedelta(days=365), 0, 4) == 4
