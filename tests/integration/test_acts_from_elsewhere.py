"""Acts that somebody signed for another repository, or long ago, and others push here."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from journal import acts, facts
from reconciler import lookout
from tests.integration.test_policies_in_force import (
    ASKS,
    ASKS_TO_RUN,
    BEGINS,
    ENGINE,
    MAIN,
    REQUESTS,
    RULES,
    WORK,
    Site,
    said,
)
from tests.integration.test_waiting_requests import act, waits_for
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


def made_for(*engines: str) -> str:
    return "\n".join(("change\n", *(f"OpsConductor-Engine: {one}" for one in engines)))


@pytest.mark.parametrize("engines", [("1234",), (ENGINE, "1234")], ids=["another", "both"])
async def test_what_says_that_it_is_for_another_engine_is_not_done_here(site: Site, engines: tuple[str, ...]) -> None:
    """Whoever may push both branches merges this one into the other: what is signed there builds on ours then."""
    await site.begin()
    assert said(await site.asks("one", "{jobRef: work}", by="bo")) == ("accepted", None)
    ours, theirs = site.repository.git("rev-parse", REQUESTS), elsewhere(site, {"readme.md": "theirs"})
    both = site.repository.commit({}, theirs, ours, who="eve@example.org")
    there = elsewhere(site, {"requests/old.yaml": OLD}, both, message=made_for(*engines))
    site.repository.git("update-ref", REQUESTS, there)
    await site.look()
    answer = await site.answer("old")
    assert answer is not None
    assert said(answer) == ("refused", "foreign")
    assert answer.message is not None
    assert f"it says that it was made for the engine 1234, and this one is {ENGINE}" in answer.message


async def test_what_is_for_the_engine_that_led_here_before_counts_on_our_branch_alone(site: Site) -> None:
    await site.begin()
    await site.journal.write(lambda tx: facts.put(tx, "enginesBefore", ["1234"]))
    assert was_heard(await site.asks("one", "{jobRef: work}", by="bo"))
    tip = site.repository.git("rev-parse", REQUESTS)
    for name, on, reason in (("here", (tip,), None), ("there", (), "foreign")):
        files = {f"requests/{name}.yaml": act(name, "{jobRef: work}")}
        site.repository.git("update-ref", REQUESTS, elsewhere(site, files, *on, message=made_for("1234")))
        await site.look()
        answer = await site.answer(name)
        assert was_heard(answer) if reason is None else said(answer) == ("refused", reason)


async def begun_before_this_rule(site: Site) -> None:
    """A request waits on a branch that says nothing, of an engine that knew of no such rule."""
    site.repository.git("update-ref", REQUESTS, elsewhere(site, {"readme.md": "x"}))
    await site.begin({RULES: ASKS_TO_RUN})
    await waits_for(site, "go")
    for name in ("requestsAnchors", "definitionsAnchor"):
        await site.journal.write(lambda tx, name=name: facts.put(tx, name, None))  # type: ignore[misc]
    site.loop = site.new_loop()


async def waits_on(site: Site) -> None:
    assert (await site.answer("go"), [one.request for one in site.loop.sync.asks]) == (None, ["go"])


@pytest.mark.parametrize("lost", [False, True], ids=["older", "lost"])
async def test_what_waits_is_not_foreign_before_its_branch_was_seen(
    site: Site, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an older store, or of one that was filled from the status branch, where the branch cannot be fetched."""
    await begun_before_this_rule(site)
    if lost:
        await site.journal.write(lambda tx: facts.put(tx, "requestsAnswered", None))
    fetch = lookout.Lookout._fetch

    async def broken(self: lookout.Lookout, news: list[str]) -> dict[str, str]:
        return {**(await fetch(self, [ref for ref in news if ref != REQUESTS])), REQUESTS: "bad object"}

    await site.loop.start()
    with monkeypatch.context() as patched:
        patched.setattr(lookout.Lookout, "_fetch", broken)
        await site.look()
        assert await site.answer("go") is None
    await site.look()
    await waits_on(site)


async def test_what_waits_is_not_foreign_where_its_branch_is_gone(site: Site) -> None:
    await begun_before_this_rule(site)
    site.repository.git("update-ref", "-d", REQUESTS)
    await site.loop.start()
    await site.look()
    await waits_on(site)
    foreign = elsewhere(site, {"requests/old.yaml": OLD})
    site.repository.git("update-ref", REQUESTS, foreign)
    await site.look()
    assert said(await site.answer("old")) == ("refused", "foreign"), "it was looked at: what comes now was not there"


async def test_nobody_makes_a_branch_unknown_by_beginning_others(site: Site) -> None:
    await begun_before_this_rule(site)
    await site.loop.start()
    await site.look()
    for number in range(9):
        other = site.repository.commit({"readme.md": f"{number}"}, who="eve@example.org", message=BEGINS)
        site.repository.git("update-ref", REQUESTS, other)
        await site.look()
    site.loop = site.new_loop()
    await site.loop.start()
    await site.look()
    await waits_on(site)


async def test_a_branch_that_says_for_whom_it_is_goes_on_below_another(site: Site) -> None:
    """An unsigned merge that puts another history first makes what comes by hand on top of it nobody else's."""
    await site.begin()
    assert said(await site.asks("one", "{jobRef: work}", by="bo")) == ("accepted", None)
    tip, foreign = site.repository.git("rev-parse", REQUESTS), elsewhere(site, {"readme.md": "theirs"})
    merge = site.repository.commit({}, foreign, tip, who="eve@example.org")
    site.repository.git("update-ref", REQUESTS, merge)
    assert was_heard(await site.asks("two", "{jobRef: work}", by="bo"))
