"""Acts that somebody signed for another repository, or long ago, and others push here."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from journal import acts
from tests.integration.test_policies_in_force import ASKS, ENGINE, MAIN, REQUESTS, RULES, WORK, Site, said
from tests.integration.test_waiting_requests import act
from tests.permits import job

OLD = act("old", "{jobRef: work}")


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    await made.journal.close()


def elsewhere(site: Site, files: dict[str, str], *parents: str, by: str = "bo", message: str = "change") -> str:
    """What somebody signed in another repository, which shares nothing with this one."""
    return site.repository.commit(files, *parents, by=site.keys.ssh(by), who=f"{by}@example.org", message=message)


def was_heard(answer: acts.ActRow | None) -> bool:
    """It was judged as somebody's: the run of an earlier one may be in its way."""
    return said(answer) in (("accepted", None), ("refused", "overlap"))


async def test_what_was_signed_for_another_repository_is_not_done_here(site: Site) -> None:
    """Not as the second of two histories, not as the branch, and not on top of what was refused before."""
    await site.begin()
    foreign = elsewhere(site, {"requests/old.yaml": OLD})
    site.repository.git("update-ref", REQUESTS, foreign)
    await site.look()
    answer = await site.answer("old")
    assert answer is not None
    assert said(answer) == ("refused", "foreign")
    assert answer.message is not None
    assert f"a commit whose message has the line 'OpsConductor-Engine: {ENGINE}'" in answer.message
    more = elsewhere(site, {"requests/more.yaml": act("more", "{jobRef: work}")}, foreign)
    site.repository.git("update-ref", REQUESTS, more)
    await site.look()
    assert said(await site.answer("more")) == ("refused", "foreign")


@pytest.mark.parametrize(("first", "reason"), [("foreign", "foreign"), ("own", "unsigned")])
async def test_a_merge_brings_nothing_of_another_history(site: Site, first: str, reason: str) -> None:
    await site.begin()
    assert said(await site.asks("one", "{jobRef: work}", by="bo")) == ("accepted", None)
    tip = site.repository.git("rev-parse", REQUESTS)
    foreign = elsewhere(site, {"requests/old.yaml": OLD})
    both = (foreign, tip) if first == "foreign" else (tip, foreign)
    tree = site.repository.tree({"requests/old.yaml": OLD}, tip)
    merge = site.repository.commit({}, *both, tree=tree, who="eve@example.org")
    site.repository.git("update-ref", REQUESTS, merge)
    await site.look()
    assert said(await site.answer("old")) == ("refused", reason)
    again = elsewhere(site, {"requests/again.yaml": act("again", "{jobRef: work}")}, foreign)
    tree = site.repository.tree({"requests/again.yaml": act("again", "{jobRef: work}")}, merge)
    site.repository.git(
        "update-ref", REQUESTS, site.repository.commit({}, merge, again, tree=tree, who="eve@example.org")
    )
    await site.look()
    assert said(await site.answer("again")) == ("refused", "unsigned")
    tip = elsewhere(site, {"requests/third.yaml": act("third", "{jobRef: work}")}, again)
    site.repository.git("update-ref", REQUESTS, tip)
    await site.look()
    assert said(await site.answer("third")) == ("refused", "foreign"), "what was merged once vouches for nothing"


async def test_an_approval_is_of_the_repository_that_it_was_signed_in(site: Site) -> None:
    """A copy has the same commits, and so the same digest of the same change."""
    root = await site.begin({RULES: ASKS})
    site.push({WORK: job("work", "[{run: uptime}]")}, by="bo")
    await site.look()
    assert site.loop.sync.change is not None
    spec = f"{{gate: '{site.loop.sync.change.digest}', decision: approve}}"
    text, of_copy = act("yes", spec, "Approval"), "change\n\nOpsConductor-Engine: 1234"
    site.repository.git("update-ref", REQUESTS, elsewhere(site, {"requests/yes.yaml": text}, by="dee", message=of_copy))
    await site.look()
    await site.look()
    assert said(await site.answer("yes")) == ("refused", "foreign")
    assert site.loop.sync.applied == root


async def test_an_old_commit_is_stale(site: Site) -> None:
    await site.begin()
    assert said(await site.asks("one", "{jobRef: work}", by="bo")) == ("accepted", None)
    for name, days, answer in (("older", 8, ("refused", "stale")), ("younger", 6, ("accepted", None))):
        at = f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
        tip = site.repository.git("rev-parse", REQUESTS)
        files = {f"requests/{name}.yaml": act(name, "{jobRef: work}")}
        made = site.repository.commit(files, tip, by=site.keys.ssh("bo"), who="bo@example.org", at=at)
        site.repository.git("update-ref", REQUESTS, made)
        await site.look()
        found = await site.answer(name)
        assert said(found) == answer
        if answer[1] == "stale":
            assert found is not None
            assert found.message is not None
            assert found.message.endswith("and counts for 7 days; sign it anew")


async def test_a_branch_of_before_this_rule_goes_on(site: Site) -> None:
    """Its first commit says nothing; also where it is begun by hand on top of the definitions."""
    one = elsewhere(site, {"requests/one.yaml": act("one", "{jobRef: work}")})
    site.repository.git("update-ref", REQUESTS, one)
    await site.begin()
    assert was_heard(await site.asks("two", "{jobRef: work}", by="bo"))
    site.loop = site.new_loop()
    await site.loop.start()
    assert was_heard(await site.asks("three", "{jobRef: work}", by="bo"))
    main = site.repository.git("rev-parse", MAIN)
    by_hand = elsewhere(site, {"requests/four.yaml": act("four", "{jobRef: work}")}, main)
    site.repository.git("update-ref", REQUESTS, by_hand)
    await site.look()
    assert was_heard(await site.answer("four"))


async def test_a_branch_that_is_begun_again_by_the_command_line_is_ours(site: Site) -> None:
    await site.begin()
    assert said(await site.asks("one", "{jobRef: work}", by="bo")) == ("accepted", None)
    site.repository.git("update-ref", "-d", REQUESTS)
    await site.look()
    assert was_heard(await site.asks("two", "{jobRef: work}", by="bo"))
    assert was_heard(await site.asks("three", "{jobRef: work}", by="bo"))
