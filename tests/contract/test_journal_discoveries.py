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


async def test_what_nobody_defines_any_more_is_forgotten(desk, clock):
    fence = (await desk.running()).fence
    await desk.do(discoveries.scanned, fence, "lan", b"{}", clock.now())
    await desk.do(discoveries.scanned, fence, "attic", b"{}", clock.now())
    await desk.do(discoveries.forget, "lan")
    await desk.do(discoveries.forget, "lan")
    assert [row.name for row in await desk.see(discoveries.every)] == ["attic"]
