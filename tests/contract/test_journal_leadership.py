"""One controller of a database leads, and what a former leader writes does not happen."""

from datetime import timedelta

import pytest

from journal import facts, leadership
from journal.errors import LeadershipLost, Unavailable
from journal.leadership import LEASE, Candidate
from journal.store import Journal
from tests.contract.conftest import START, Desk

ANN = Candidate("ann/1f0c", "ann", "1.0")
BOB = Candidate("bob/7b2e", "bob", "1.1")


async def took(desk: Desk, candidate: Candidate, at: float = 0.0) -> int | None:
    found: int | None = await desk.do(leadership.take, candidate, at=at, now=START + timedelta(seconds=at))
    return found


async def test_nobody_leads_a_new_database(desk: Desk) -> None:
    assert await desk.see(leadership.leader) is None


async def test_one_leads_at_a_time_until_the_lease_is_over(desk: Desk) -> None:
    token = await took(desk, ANN)
    assert token is not None
    assert await took(desk, BOB, LEASE.total_seconds() - 0.1) is None
    await desk.do(leadership.renew, token, at=4.0)
    assert await took(desk, BOB, 4.0 + LEASE.total_seconds() - 0.1) is None
    second = await took(desk, BOB, 4.0 + LEASE.total_seconds())
    assert second is not None
    assert second > token
    found = await desk.see(leadership.leader)
    assert (found.name, found.host, found.version, found.token) == ("bob/7b2e", "bob", "1.1", second)
    assert found.since == START + timedelta(seconds=4.0) + LEASE


async def test_who_gives_the_lead_up_is_followed_at_once(desk: Desk) -> None:
    token = await took(desk, ANN)
    await desk.do(leadership.give_up, token)
    assert (await desk.see(leadership.leader)).until is None
    with pytest.raises(LeadershipLost):
        await desk.do(leadership.renew, token, at=0.5)
    with pytest.raises(LeadershipLost):
        await desk.do(leadership.held, token)
    assert await took(desk, BOB, 0.5) is not None
    await desk.do(leadership.give_up, token)  # too late: it changes nothing of Bob's
    assert (await desk.see(leadership.leader)).until is not None


async def test_a_former_leader_renews_nothing(desk: Desk) -> None:
    token = await took(desk, ANN)
    await took(desk, BOB, 6.0)
    with pytest.raises(LeadershipLost, match=r"bob/7b2e on bob"):
        await desk.do(leadership.renew, token, at=6.1)


async def test_a_lease_that_is_over_ends_no_role_that_nobody_else_has_taken(desk: Desk) -> None:
    token = await took(desk, ANN)
    await desk.do(leadership.held, token)
    await desk.do(leadership.renew, token, at=100.0)
    assert (await desk.see(leadership.leader)).until == 100.0 + LEASE.total_seconds()


async def test_a_new_life_under_the_same_name_has_a_new_token(desk: Desk) -> None:
    token = await took(desk, ANN)
    again = await took(desk, ANN, 0.1)
    assert again is not None
    with pytest.raises(LeadershipLost):
        await desk.do(leadership.held, token)
    await desk.do(leadership.held, again)


async def test_what_a_former_leader_writes_does_not_happen(desk: Desk) -> None:
    """Through its own door; the change is not even begun, and others that share the commit are not touched."""
    first, second = await took(desk, ANN), await took(desk, BOB, 6.0)
    assert first is not None
    assert second is not None

    def door(token: int) -> Journal:
        return desk.journal.guarded(lambda tx: leadership.held(tx, token))

    with pytest.raises(LeadershipLost):
        await door(first).write(lambda tx: facts.put(tx, "decided", "by ann"))
    assert await desk.see(facts.get, "decided", None) is None
    await door(second).write(lambda tx: facts.put(tx, "decided", "by bob"))
    assert await door(first).read(lambda conn: facts.get(conn, "decided", None)) == "by bob"


async def test_a_guarded_door_closes_with_its_journal(desk: Desk) -> None:
    door = desk.journal.guarded(lambda tx: leadership.held(tx, 1))
    await desk.journal.close()
    with pytest.raises(Unavailable):
        await door.read(leadership.leader)


async def test_a_database_has_one_id_for_all_its_controllers(desk: Desk) -> None:
    found = await desk.do(leadership.engine_id)
    assert len(found) == 12
    assert await desk.do(leadership.engine_id) == found
