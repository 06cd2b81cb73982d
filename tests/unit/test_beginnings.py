"""How many runs a runner has in its hands before they begin."""

from engine.identity import RunId
from runners.beginnings import AT_ONCE, FOR_URGENT, SLOW, Beginnings
from tests.contract.conftest import GivenClock


def test_no_more_are_claimed_than_begin_soon() -> None:
    beginnings = Beginnings(GivenClock())
    assert (bool(beginnings), beginnings.room) == (False, AT_ONCE)
    for number in range(AT_ONCE):
        beginnings.claimed(RunId(f"run-{number}"))
    assert (bool(beginnings), beginnings.room) == (True, 0)
    assert beginnings.done(RunId("run-0"))
    assert not beginnings.done(RunId("run-0"))
    assert beginnings.room == 1


def test_those_that_are_slow_to_begin_keep_no_others_waiting() -> None:
    clock = GivenClock()
    beginnings = Beginnings(clock)
    for number in range(AT_ONCE):
        beginnings.claimed(RunId(f"run-{number}"))
    clock.advance(SLOW)
    assert beginnings.room == AT_ONCE


def test_what_is_urgent_has_room_beside_the_others() -> None:
    beginnings = Beginnings(GivenClock())
    for number in range(AT_ONCE + FOR_URGENT):
        assert beginnings.room_for_urgent == AT_ONCE + FOR_URGENT - number
        beginnings.claimed(RunId(f"n{number}"))
    assert (beginnings.room, beginnings.room_for_urgent) == (0, 0)
