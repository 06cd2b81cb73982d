"""What scans saw: of each Discovery the last, settled once by whoever looks at it, and forgotten with it."""

from journal import discoveries
from tests.contract.conftest import START


async def test_a_scan_is_open_until_it_is_settled_and_a_newer_one_opens_it_again(desk, clock):
    fence = (await desk.running()).fence
    assert await desk.see(discoveries.get, "lan") is None
    await desk.do(discoveries.scanned, fence, "lan", b"{}", clock.now())
    assert await desk.see(discoveries.unsettled) == ("lan",)
    assert await desk.do(discoveries.settle, "lan", fence.run, {"hosts": []}, {"web": "2026-11-22T07:00:00Z"})
    assert await desk.see(discoveries.unsettled) == ()

    clock.advance(60)
    await desk.do(discoveries.scanned, fence, "lan", b"{1}", clock.now())
    row = await desk.see(discoveries.get, "lan")
    assert (row.scan, row.settled, row.report) == (b"{1}", False, {"hosts": []})
    assert row.scanned_at > START
    assert row.last_seen == {"web": "2026-11-22T07:00:00Z"}, "when hosts were seen outlasts the next scan"


async def test_what_came_of_an_older_scan_does_not_settle_a_newer_one(desk, clock):
    fence = (await desk.running()).fence
    await desk.do(discoveries.scanned, fence, "lan", b"{}", clock.now())
    assert not await desk.do(discoveries.settle, "lan", "another-run", None, {})
    assert await desk.see(discoveries.unsettled) == ("lan",)


async def test_a_renamed_discovery_takes_along_what_is_kept_of_it(desk, clock):
    """Of a scan that began under the former name and one of the name of now the newer one is looked at."""
    fence = (await desk.running()).fence
    await desk.do(discoveries.scanned, fence, "lan", b"{}", clock.now())
    seen = {"web": "2026-11-22T07:00:00Z"}
    await desk.do(discoveries.settle, "lan", fence.run, {"hosts": []}, seen)
    for _ in range(2):
        await desk.do(discoveries.follow, {"lan": "office", "attic": "cellar"})
    (row,) = await desk.see(discoveries.every)
    assert (row.name, row.settled, row.report, row.last_seen) == ("office", True, {"hosts": []}, seen)

    clock.advance(60)
    await desk.do(discoveries.scanned, fence, "lan", b"{1}", clock.now())
    await desk.do(discoveries.follow, {"lan": "office"})
    (row,) = await desk.see(discoveries.every)
    assert (row.name, row.scan, row.settled, row.last_seen) == ("office", b"{1}", False, seen)

    await desk.do(discoveries.scanned, fence, "lan", b"{0}", START)
    await desk.do(discoveries.follow, {"lan": "office"})
    assert [(row.name, row.scan) for row in await desk.see(discoveries.every)] == [("office", b"{1}")]


async def test_what_nobody_defines_any_more_is_forgotten(desk, clock):
    fence = (await desk.running()).fence
    await desk.do(discoveries.scanned, fence, "lan", b"{}", clock.now())
    await desk.do(discoveries.scanned, fence, "attic", b"{}", clock.now())
    await desk.do(discoveries.forget, "lan")
    await desk.do(discoveries.forget, "lan")
    assert [row.name for row in await desk.see(discoveries.every)] == ["attic"]
