"""What a controller that does not lead does next."""

from datetime import UTC, datetime, timedelta

import pytest

from journal.leadership import LEASE, Leader
from reconciler.candidacy import LOOK, Patience, StandBy, Step, Take, step

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CALM = Patience()


def led(until: float | None, name: str = "ann/1f0c") -> Leader:
    return Leader(name, "ann", "1.0", NOON, 7, until)


@pytest.mark.parametrize(
    ("leader", "expected"),
    [
        pytest.param(None, Take(), id="nobody ever led"),
        pytest.param(led(None), Take(), id="it was given up"),
        pytest.param(led(104.0, "bob/7b2e"), Take(), id="it is ours, from an earlier life"),
        pytest.param(led(104.0), StandBy(LOOK, led(104.0)), id="another leads"),
        pytest.param(led(106.0), StandBy(LOOK, led(106.0)), id="another leads, and the clock went back a little"),
        pytest.param(led(3700.0), Take(), id="no lease lasts so long: the clock was set back"),
        pytest.param(led(100.25), StandBy(timedelta(seconds=0.25), led(100.25)), id="its lease is over soon"),
        pytest.param(led(100.0), Take(), id="its lease is over"),
    ],
)
def test_the_lead_is_taken_where_nobody_has_it(leader: Leader | None, expected: Step) -> None:
    assert step(leader, "bob/7b2e", at=100.0, patience=CALM, now=5.0) == expected


def test_after_a_fault_of_the_database_the_leader_is_given_a_lease_to_come_back() -> None:
    patience = CALM.failed(5.0)
    over = 5.0 + LEASE.total_seconds()
    assert step(led(100.0), "bob", at=100.0, patience=patience, now=5.1) == StandBy(LOOK, None)
    assert step(led(100.0), "bob", at=100.0, patience=patience, now=over) == Take()
    assert step(led(None), "bob", at=100.0, patience=patience, now=5.1) == Take(), "given up is given up"


def test_after_a_jump_of_the_servers_clock_the_leader_is_given_a_lease_to_renew_by_it() -> None:
    """Set back, its lease seems to hold for an hour; set forward, to be over."""
    for jump in (-3600.0, 3600.0):
        patience = CALM.seen(5000.0, 5.0).seen(5001.0, 6.0)
        assert step(led(5000.0), "bob", at=5001.0, patience=patience, now=6.0) == Take()
        patience = patience.seen(5002.0 + jump, 7.0)
        held = step(led(5006.0), "bob", at=5002.0 + jump, patience=patience, now=7.0)
        assert held == StandBy(LOOK, None)
        late = 7.0 + LEASE.total_seconds()
        at = 5002.0 + jump + LEASE.total_seconds()
        assert step(led(5006.0), "bob", at=at, patience=patience.seen(at, late), now=late) == Take()
