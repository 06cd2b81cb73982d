"""What is a runner's share of the runs that wait."""

from dataclasses import replace

from engine.runs.pinned import PinnedSpec
from engine.runs.waits import Wait
from journal import attendance, leases, runs, shares
from journal.attendance import Runner
from journal.databases import leaseclock
from journal.leases import LEASE
from journal.runs import NewRun
from journal.shares import Share, Untaken
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
    assert await desk.see(shares.among, ANN.name, None, 50) == Share(2, 2, 1, alone=True)
    assert await desk.see(shares.alone, None, 50) == Share(1, 50, 1, alone=True)
    assert await desk.see(shares.alone, {"eu"}, 50) == Share(0, 0, None, alone=True)


async def test_a_runner_is_alone_where_nobody_else_serves_a_pool_of_it(desk: Desk) -> None:
    await signs(desk, ANN, replace(BOB, pool="eu"))
    assert (await desk.see(shares.among, ANN.name, {"default"}, 50)).alone, "though nothing waits"
    await desk.enqueue(a_run("one", job="one"))
    assert (await desk.see(shares.among, ANN.name, {"default"}, 50)).alone
    assert not (await desk.see(shares.among, ANN.name, {"default", "eu"}, 50)).alone
    assert not (await desk.see(shares.among, ANN.name, None, 50)).alone
    await signs(desk, replace(BOB, pool="*"))
    assert not (await desk.see(shares.among, ANN.name, {"default"}, 50)).alone


def needy(name: str, **needs: str) -> NewRun:
    plain = a_run(name, job=name)
    assert isinstance(plain.spec, PinnedSpec)
    return replace(plain, spec=replace(plain.spec, needs=needs))


async def test_a_run_that_asks_for_labels_goes_only_to_a_runner_that_has_them(desk: Desk) -> None:
    await signs(desk, ANN, replace(BOB, labels={"site": "eu", "gpu": "yes"}))
    plain, gpu, far = a_run("plain", job="plain"), needy("gpu", gpu="yes", site="eu"), needy("far", site="us")
    for one in (plain, gpu, far):
        await desk.enqueue(one)
    pools = {"default"}
    of_ann = await desk.see(shares.among, ANN.name, pools, 50, {})
    assert of_ann == Share(1, 1, 1, ())
    of_bob = await desk.see(shares.among, BOB.name, pools, 50, {"site": "eu", "gpu": "yes", "rack": "7"})
    assert of_bob == Share(2, 2, 1, ("gpu=yes,site=eu",))
    assert (await desk.see(shares.among, "x/all", None, 50, None)).waiting == 3, "`up` takes all"

    claims = await desk.do(leases.claim, ANN.name, pools, 9, START, needs=of_ann.needs)
    assert [one.fence.run for one in claims] == [plain.id]
    assert await desk.do(leases.claim, ANN.name, pools, 9, START, needs=of_ann.needs) == ()
    claims = await desk.do(leases.claim, BOB.name, pools, 9, START, needs=of_bob.needs)
    assert [one.fence.run for one in claims] == [gpu.id]

    assert await desk.see(shares.untaken) == (Untaken("default", "site=us", 1),)
    view = await desk.see(runs.get, far.id)
    assert view.wait == Wait(pool="default", needs="site=us")
    assert (await desk.see(runs.get, gpu.id)).wait is None
    (brief,) = (one for one in await desk.see(runs.recent) if one.id == far.id)
    assert brief.wait == view.wait
    desk.clock.advance(3601)
    assert await desk.do(runs.expire, desk.clock.now()) == (far.id,)
    assert (await desk.see(runs.get, far.id)).message == "no runner of pool default with labels site=us took it in time"


async def test_what_waits_for_a_pool_without_a_runner_is_known(desk: Desk) -> None:
    await desk.enqueue(a_run("one", job="one"))
    assert await desk.see(shares.untaken) == (Untaken("default", None, 1),)
    await signs(desk, replace(ANN, pool="*"))
    assert await desk.see(shares.untaken) == ()
