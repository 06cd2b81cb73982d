"""Runs go to whoever holds the fewest, and none waits for a runner that does not come."""

from datetime import UTC, datetime

import pytest

from journal.shares import Load, Share, share
from runners.fairness import PATIENCE, Fairness


class Given:
    """A clock that a test moves."""

    seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("waiting", "own", "others", "taken"),
    [
        (1, Load(0, 50), (), 1),
        (60, Load(0, 50), (), 50),
        (1, Load(0, 50), (Load(0, 50), Load(0, 50)), 1),
        (9, Load(0, 50), (Load(0, 50), Load(0, 50)), 3),
        (10, Load(0, 50), (Load(0, 50), Load(0, 50)), 4),
        (1, Load(2, 48), (Load(0, 50),), 0),
        (4, Load(2, 48), (Load(0, 50),), 1),
        (4, Load(0, 50), (Load(2, 48),), 3),
        (9, Load(0, 50), (Load(2, 0), Load(0, 1)), 8),
        (500, Load(0, 50), (Load(0, 50),), 50),
        (0, Load(0, 50), (Load(0, 50),), 0),
    ],
)
def test_each_run_goes_to_whoever_holds_the_fewest(
    waiting: int, own: Load, others: tuple[Load, ...], taken: int
) -> None:
    assert share(waiting, own, others) == taken


def test_all_shares_together_leave_nothing_that_there_is_room_for() -> None:
    for waiting in range(40):
        loads = (Load(0, 7), Load(3, 4), Load(5, 20))
        found = [share(waiting, one, (*loads[:at], *loads[at + 1 :])) for at, one in enumerate(loads)]
        assert sum(found) >= min(waiting, 31)


def test_what_others_do_not_take_in_time_is_anybodys() -> None:
    clock = Given()
    fairness = Fairness(clock)
    assert fairness.taken(Share(4, 2, oldest=7), free=50) == 2
    assert fairness.waits
    assert fairness.taken(Share(2, 0, oldest=9), free=48) == 0, "another one is the oldest: its own time begins"
    clock.seconds += PATIENCE
    assert fairness.taken(Share(2, 0, oldest=9), free=48) == 48
    assert fairness.taken(Share(0, 0, oldest=None), free=48) == 0
    assert not fairness.waits


def test_a_runner_that_is_alone_need_not_ask_for_its_share_for_a_while() -> None:
    clock = Given()
    fairness = Fairness(clock)
    assert not fairness.alone, "nobody has asked yet"
    fairness.taken(Share(0, 0, oldest=None, alone=True), free=50)
    assert fairness.alone
    fairness.taken(Share(0, 0, oldest=None), free=0)
    assert fairness.alone, "without room nobody is asked"
    clock.seconds += 10
    assert not fairness.alone, "another may have come"
    fairness.taken(Share(1, 1, oldest=7, alone=True), free=50)
    assert fairness.alone
    fairness.taken(Share(2, 1, oldest=8), free=50)
    assert not fairness.alone
