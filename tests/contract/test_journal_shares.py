"""What is a runner's share of the runs that wait."""

from dataclasses import replace

from journal import attendance, leaseclock, shares
from journal.attendance import Runner
from journal.leases import LEASE
from journal.shares import Share
from tests.contract.conftest import START, Desk, a_run

ANN = Runner("default/ann", "default", "ann", "1.0", START, START, 0, 50, {})
BOB = replace(ANN, name="default/bob", pool="default,eu")


async def signs(desk: Desk, *runners: Runner) -> None:
    for one in runners:
        at = await desk.do(leaseclock.at)
        await desk.do(attendance.runner, one, at=at)


async def test_runs_are_spread_over_the_runners_of_a_pool(desk: Desk) -> None:
    await signs(desk, ANN, BOB, replace(ANN, name="eu/cid", pool="eu"))
    for name in ("one", "two", "three", "four"):
        await desk.enqueue(a_run(name, job=name))
    first = await desk.see(shares.among, ANN.name, {"default"}, 50)
    assert first == Share(4, 2, 1)
    assert len(await desk.claim(ANN.name, first.take)) == 2
    assert await desk.see(shares.among, ANN.name, {"default"}, 48) == Share(2, 0, 3)
    assert await desk.see(shares.among, BOB.name, {"default", "eu"}, 50) == Share(2, 2, 3)
    assert len(await desk.claim(BOB.name, 2)) == 2
    assert await desk.see(shares.among, BOB.name, {"default", "eu"}, 48) == Share(0, 0, None)


async def test_a_runner_that_gives_no_sign_gets_no_share(desk: Desk) -> None:
    await signs(desk, ANN, BOB)
    desk.clock.advance(LEASE.total_seconds() + 1)
    await signs(desk, ANN)
    for name in ("one", "two"):
        await desk.enqueue(a_run(name, job=name))
    assert await desk.see(shares.among, ANN.name, None, 50) == Share(2, 2, 1)
    assert await desk.see(shares.alone, None, 50) == Share(1, 50, 1)
    assert await desk.see(shares.alone, {"eu"}, 50) == Share(0, 0, None)
