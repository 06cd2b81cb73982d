"""What people said of a change outlives whatever is pushed over it, and counts again only for that change."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from journal import facts
from reconciler.acts.changegate import OpenChange
from tests.integration.test_policies_in_force import ASKS, MAIN, RULES, WORK, Site, said
from tests.permits import job

TWO = ASKS.replace("approvals: 1", "approvals: 2").replace("[web], verbs: [run, approve]", "[web], verbs: [approve]")


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    await made.journal.close()


async def waits(site: Site) -> tuple[str, str, OpenChange]:
    """The commit in force, one that waits upon it, and what is known of that."""
    root = await site.begin({RULES: TWO})
    head = site.push({WORK: job("work", "[{run: uptime}]")}, by="bo")
    await site.look()
    assert site.loop.sync.change is not None
    return root, head, site.loop.sync.change


async def vote(site: Site, name: str, gate: str, by: str, decision: str = "approve") -> tuple[str, str | None]:
    found = await site.asks(name, f"{{gate: '{gate}', decision: {decision}}}", by=by, kind="Approval")
    await site.look()
    return said(found)


def moved_to(site: Site, commit: str) -> None:
    site.repository.git("update-ref", MAIN, commit)


@pytest.mark.parametrize("by", [None, "bo"])
async def test_a_vote_outlives_what_is_pushed_over_the_change(site: Site, by: str | None) -> None:
    """Unsigned, or another that waits in its place; also for the engine's next process."""
    root, head, change = await waits(site)
    assert await vote(site, "yes", change.digest, "dee") == ("done", None)
    site.push({WORK: job("work", "[{run: evil}]")}, by=by, on=root)
    await site.look()
    answer = await site.asks("away", f"{{gate: '{change.digest}', decision: approve}}", by="ana", kind="Approval")
    assert said(answer) == ("done", None), "nobody's word is lost because of what is on the branch for a moment"
    assert answer.message is not None
    assert answer.message.startswith(f"ana approved commit {head[:12]}; it is not what stops the branch now")
    assert site.loop.sync.applied == root
    site.loop = site.new_loop()
    await site.loop.start()
    moved_to(site, head)
    await site.look()
    await site.look()
    await site.look()
    assert site.loop.sync.applied == head
    assert await vote(site, "late", change.digest, "ana") == ("refused", "gateClosed")


async def test_a_no_is_not_shaken_off_by_pushing_the_change_again(site: Site) -> None:
    root, head, change = await waits(site)
    assert await vote(site, "no", change.digest, "dee", "reject") == ("done", None)
    moved_to(site, root)
    await site.look()
    moved_to(site, head)
    await site.look()
    await site.look()
    assert site.loop.sync.frozen is not None
    assert site.loop.sync.frozen[0] == "Rejected"


async def test_what_was_said_counts_no_more_once_another_commit_is_trusted(site: Site) -> None:
    """Not even where a person on the server takes the branch back to what the change builds on."""
    root, head, change = await waits(site)
    assert await vote(site, "yes", change.digest, "dee") == ("done", None)
    moved_to(site, root)
    await site.look()
    site.push({"readme.md": "x"}, by="ana", on=root)
    await site.look()
    moved_to(site, root)
    await site.journal.write(lambda tx: facts.put(tx, "acceptance", root))
    await site.look()
    moved_to(site, head)
    await site.look()
    await site.look()
    assert site.loop.sync.applied == root
    assert site.loop.sync.change is not None
    assert (site.loop.sync.change.digest, site.loop.sync.change.votes) == (change.digest, ())
