"""Who is at work on a shared journal: signs of life, for people to look at."""

from dataclasses import replace
from datetime import timedelta

from journal import attendance
from journal.attendance import Controller, Runner
from journal.databases import leaseclock
from journal.leases import LEASE
from tests.contract.conftest import START, Desk

ANN = Controller("ann/1f0c", "ann", "1.0", START, START)
CID = Runner("default/7b2e", "default,eu", "cid", "1.0", START, START, 2, 50, {"site": "eu"})


async def test_whoever_gives_signs_is_known_and_lost_after_a_lease(desk: Desk) -> None:
    await desk.do(attendance.controller, ANN, at=100.0)
    await desk.do(attendance.runner, CID, at=100.0)
    later = replace(CID, seen_at=START + timedelta(seconds=4), runs=3)
    await desk.do(attendance.runner, later, at=104.0)
    over = 100.0 + LEASE.total_seconds() + 1
    assert await desk.see(attendance.known_controllers, at=101.0) == (ANN,)
    assert await desk.see(attendance.known_runners, at=over) == (later,)
    assert await desk.see(attendance.known_controllers, at=over) == (replace(ANN, lost=True),)
    assert await desk.see(attendance.known_runners, at=over + 5) == (replace(later, lost=True),)


async def test_who_stops_in_order_is_gone_and_who_is_lost_is_forgotten_after_a_day(desk: Desk) -> None:
    await desk.do(attendance.controller, ANN, at=0.0)
    await desk.do(attendance.runner, CID, at=0.0)
    await desk.do(attendance.gone, ANN.name)
    assert await desk.see(attendance.known_controllers, at=0.0) == ()
    await desk.do(attendance.forget, START + timedelta(hours=23))
    assert await desk.see(attendance.known_runners, at=0.0) == (CID,)
    await desk.do(attendance.forget, START + timedelta(hours=25))
    assert await desk.see(attendance.known_runners, at=0.0) == ()


async def test_the_lease_clock_can_be_asked_where_is_read(desk: Desk) -> None:
    assert await desk.see(leaseclock.at) <= await desk.do(leaseclock.at)
