"""Acts that come with other commits in one fetch: nobody else's commit on top of a signed act ends it."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from journal import facts
from reconciler.acts import brought
from reconciler.acts.door import RequestsDoor
from tests.integration.test_policies_in_force import ASKS_TO_RUN, BEGINS, REQUESTS, RULES, Site, said
from tests.permits import FILES, doc

GO = "requests/go.yaml"


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    await made.journal.close()


def act(name: str, spec: str, kind: str = "RunRequest") -> str:
    return doc(f"kind: {kind}\nmetadata: {{name: {name}, labels: {{team: web}}}}\nspec: {spec}\n")


MINE = act("go", "{jobRef: work}")
LATE = act("go", "{jobRef: work, expiresAt: 2026-01-01T00:00:00Z}")


def pushed(site: Site, files: Mapping[str, str | None], *parents: str, by: str | None = None) -> str:
    """A commit on the requests branch, on its tip or on others; a file of None is taken away."""
    tip = site.repository.git("for-each-ref", "--format=%(objectname)", REQUESTS)
    on = parents or ((tip,) if tip else ())
    tree = site.repository.tree({path: text for path, text in files.items() if text is not None}, on[0] if on else None)
    for path, text in files.items():
        tree = without(site, tree, path) if text is None else tree
    key = site.keys.ssh(by) if by is not None else None
    message = "change" if on else BEGINS
    made = site.repository.commit({}, *on, by=key, tree=tree, who=f"{by or 'mal'}@example.org", message=message)
    site.repository.git("update-ref", REQUESTS, made)
    return made


def without(site: Site, tree: str, path: str) -> str:
    index = {"GIT_INDEX_FILE": str(site.folder / "without")}
    site.repository.git("read-tree", tree, **index)
    site.repository.git("rm", "--cached", "-q", path, **index)
    return site.repository.git("write-tree", **index)


ON_TOP: Mapping[str, tuple[Mapping[str, str | None], str | None]] = {
    "deleted": ({GO: None}, None),
    "deleted by another": ({GO: None}, "cy"),
    "unsigned": ({GO: act("go", "{jobRef: work, priority: 9}")}, None),
    "comment": ({GO: f"{MINE}# x\n"}, None),
    "forbidden": ({GO: act("go", "{jobRef: dump}")}, "cy"),
    "another's": ({GO: act("go", "{jobRef: work, priority: 9}")}, "dee"),
    "malformed": ({GO: "kind: {\n"}, None),
    "expired": ({GO: LATE}, None),
    "moved": ({GO: None, "aa/go.yaml": MINE}, None),
    "beside": ({"aa.yaml": LATE}, None),
    "beside, by another": ({"aa.yaml": LATE}, "cy"),
    "another kind": ({GO: act("go", f"{{gate: 'sha256:{'0' * 64}', decision: reject}}", "Approval")}, None),
}


@pytest.mark.parametrize("change", ON_TOP)
@pytest.mark.parametrize("branch", ["is new", "was there"])
async def test_nobody_else_ends_a_request_on_top_of_it_in_the_same_fetch(site: Site, change: str, branch: str) -> None:
    await site.begin()
    if branch == "was there":
        await site.asks("before", "{jobRef: work}", by="ana")
    pushed(site, {GO: MINE}, by="bo")
    files, by = ON_TOP[change]
    pushed(site, files, by=by)
    await site.look()
    answer = await site.answer("go")
    assert answer is not None
    assert (said(answer), answer.requested_by) == (("accepted", None), "bo@example.org")


async def test_nobody_else_ends_a_cancel_in_the_same_fetch(site: Site) -> None:
    await site.begin()
    run = (await site.asks("start", "{jobRef: work}", by="bo")).run
    pushed(site, {"requests/stop.yaml": act("stop", f"{{action: cancel, run: {run}}}")}, by="bo")
    pushed(site, {"requests/stop.yaml": None})
    await site.look()
    assert said(await site.answer("stop")) == ("done", None)


async def test_a_vote_is_heard_whatever_is_pushed_on_top_of_it(site: Site) -> None:
    await site.begin({RULES: ASKS_TO_RUN})
    assert await site.brings("go", "{jobRef: work}", by="bo") is None
    (waiting,) = site.loop.sync.asks
    vote = act("no", f"{{gate: '{waiting.digest}', decision: reject}}", "Approval")
    pushed(site, {"requests/no.yaml": vote}, by="dee")
    pushed(site, {"requests/no.yaml": vote.replace("reject", "approve")})
    await site.look()
    await site.look()
    answers = [await site.answer(name) for name in ("no", "go")]
    assert [said(one) for one in answers if one is not None] == [("done", None), ("refused", "rejected")]


async def test_a_merge_that_nobody_signed_brings_what_somebody_did(site: Site) -> None:
    await site.begin()
    await site.asks("before", "{jobRef: work}", by="ana")
    base = pushed(site, {"readme.md": "x"})
    mine = pushed(site, {GO: MINE}, base, by="bo")
    pushed(site, {GO: MINE}, base, mine)
    await site.look()
    answer = await site.answer("go")
    assert answer is not None
    assert (said(answer), answer.requested_by) == (("accepted", None), "bo@example.org")


async def test_who_signed_it_may_change_it_and_take_it_away(site: Site) -> None:
    """Their last word counts, whatever others did in between; a merge of that is no word of theirs."""
    await site.begin({RULES: ASKS_TO_RUN})
    pushed(site, {GO: MINE, "requests/gone.yaml": act("gone", "{jobRef: work}")}, by="bo")
    pushed(site, {GO: LATE})
    mine = pushed(site, {GO: act("go", "{jobRef: work, priority: 5}"), "requests/gone.yaml": None}, by="bo")
    theirs = pushed(site, {GO: None}, mine)
    beside = pushed(site, {"readme.md": "x"}, mine, by="bo")
    pushed(site, {GO: None}, beside, theirs, by="bo")
    await site.look()
    assert [(one.request, one.commit) for one in site.loop.sync.asks] == [("go", mine)]
    assert said(await site.answer("gone")) == ("refused", "withdrawn")


async def test_what_nobody_signed_is_refused_and_leaves_no_trace_where_it_is_gone(site: Site) -> None:
    await site.begin()
    pushed(site, {GO: MINE, "requests/gone.yaml": act("gone", "{jobRef: work}")})
    pushed(site, {"requests/gone.yaml": None})
    await site.look()
    assert said(await site.answer("go")) == ("refused", "unsigned")
    assert await site.answer("gone") is None


async def test_what_was_over_when_the_engine_first_looked_stays_over(site: Site) -> None:
    """What is deleted is not looked for before that, and what is there is refused as ever."""
    pushed(site, {GO: MINE, "requests/old.yaml": act("old", "{jobRef: work}")}, by="bo")
    pushed(site, {GO: None}, by="bo")
    await site.begin()
    assert said(await site.answer("old")) == ("refused", "tooOld")
    assert await site.answer("go") is None


async def test_without_signatures_the_head_alone_counts(site: Site) -> None:
    await site.begin({"opsconductor.yaml": FILES["opsconductor.yaml"]})
    pushed(site, {GO: MINE, "requests/gone.yaml": act("gone", "{jobRef: work}")}, by="bo")
    pushed(site, {GO: act("go", "{jobRef: dump}"), "requests/gone.yaml": None})
    await site.look()
    answer = await site.answer("go")
    assert answer is not None
    assert answer.run is not None
    assert answer.run.startswith("dump-")
    assert await site.answer("gone") is None


async def test_more_commits_than_are_looked_at_wait_and_lose_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.begin()
    await site.asks("before", "{jobRef: work}", by="ana")
    mine = pushed(site, {GO: MINE}, by="bo")
    head = pushed(site, {GO: None})
    with monkeypatch.context() as patch:
        patch.setattr(brought, "LONGEST", 1)
        await site.look()
    assert await site.answer("go") is None
    assert "push fewer at a time" in site.conditions()["Stalled"][2]
    site.repository.git("update-ref", REQUESTS, mine)
    await site.look()
    assert said(await site.answer("go")) == ("accepted", None)
    site.repository.git("update-ref", REQUESTS, head)
    await site.look()
    assert site.conditions()["Stalled"][0] == "False"


async def test_a_crash_before_all_is_answered_loses_and_doubles_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.begin()
    await site.asks("before", "{jobRef: work}", by="ana")
    names = [f"go{number}" for number in range(3)]
    for name in names:
        pushed(site, {f"requests/{name}.yaml": act(name, "{jobRef: work}")}, by="bo")
        pushed(site, {f"requests/{name}.yaml": None})

    async def cut_off(door: RequestsDoor, head: str | None) -> None:
        raise ZeroDivisionError("the power is cut")

    with monkeypatch.context() as patch:
        patch.setattr(RequestsDoor, "answered", cut_off)
        with pytest.raises(ZeroDivisionError):
            await site.look()
    before = [await site.answer(name) for name in names]
    site.loop = site.new_loop()
    await site.loop.start()
    await site.look()
    assert [await site.answer(name) for name in names] == before
    assert [one.run for one in before if one is not None and one.run is not None] != []


async def test_the_first_commits_of_a_branch_that_was_not_there_are_known(site: Site) -> None:
    """Also by the engine's next process."""
    await site.begin()
    assert await site.journal.read(lambda conn: facts.get(conn, "requestsAnswered", None)) == ""
    site.loop = site.new_loop()
    await site.loop.start()
    pushed(site, {GO: MINE}, by="bo")
    pushed(site, {GO: None})
    await site.look()
    assert said(await site.answer("go")) == ("accepted", None)


async def test_acts_wait_while_it_cannot_be_known_who_signed_them(site: Site, tmp_path: Path) -> None:
    """As commits do: the trust file is away, and nothing is judged until it is there again."""
    trust = tmp_path / "signers"
    trust.write_text(f'ana@example.org namespaces="git" {site.keys.ssh("ana").public}\n')
    site.trust = trust
    site.loop = site.new_loop()
    await site.begin()
    text = trust.read_text()
    trust.unlink()
    assert await site.brings("go", "{jobRef: work}", by="bo") is None
    assert (site.loop.sync.requests_trouble or "").startswith("acts wait")
    trust.write_text(text)
    await site.look()
    assert said(await site.answer("go")) == ("accepted", None)
    assert site.conditions()["Stalled"][0] == "False"
