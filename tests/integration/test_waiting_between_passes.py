"""Requests that wait for approvals, from pass to pass: what holds them, who may change them, and what they cost."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from journal import facts
from journal.clock import SystemClock
from reconciler import lookout
from reconciler.acts import actgate, contenders
from reconciler.loop import Loop
from reconciler.repository.mirror import Mirror
from reconciler.repository.objects import Objects
from reconciler.wake import Wake
from schemas.policy import User
from tests.integration.test_policies_in_force import ASKS_TO_RUN, BEGINS, ENGINE, REQUESTS, RULES, Site, said
from tests.integration.test_waiting_requests import act, waits_for

LONG = "{jobRef: work, expiresAt: 2999-01-01T00:00:00Z}"


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    await made.journal.close()


def took_away(site: Site) -> None:
    """The branch is another, which knows nothing of what was on it."""
    other = site.repository.commit({"readme.md": "x"}, who="cy@example.org", message=BEGINS)
    site.repository.git("update-ref", REQUESTS, other)


async def approve(site: Site, digest: str) -> None:
    yes = await site.asks("yes", f"{{gate: '{digest}', decision: approve}}", by="dee", kind="Approval")
    assert said(yes) == ("done", None)
    await site.look()


async def test_what_waits_outlives_its_branch_and_a_restart_of_the_machine(site: Site) -> None:
    await site.begin({RULES: ASKS_TO_RUN})
    digest = await waits_for(site, "go")
    took_away(site)
    await site.look()
    mark = site.folder / "mirror.git" / "opsconductor.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "boot": "another"}))
    site.loop = site.new_loop()
    mirror = Mirror(site.folder / "mirror.git", str(site.repository.path), environment=site.repository.env)
    await mirror.open()  # it is made again, of what its refs hold
    await site.loop.start()
    await site.look()
    assert await site.answer("go") is None
    assert mirror.held("act-") == (f"act-{digest}",)
    await approve(site, digest)
    assert said(await site.answer("go")) == ("accepted", None)
    await site.look()
    assert mirror.held("act-") == (), "what has its answer is not held"
    mirror.close()


async def test_a_request_is_gone_only_where_its_branch_was_seen_without_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another controller, whose mirror is new, cannot fetch the branch at first."""
    await site.begin({RULES: ASKS_TO_RUN})
    await waits_for(site, "go")
    fetch = lookout.Lookout._fetch

    async def broken(self: lookout.Lookout, news: list[str]) -> dict[str, str]:
        return {**(await fetch(self, [ref for ref in news if ref != REQUESTS])), REQUESTS: "bad object"}

    mirror = Mirror(site.folder / "other" / "mirror.git", str(site.repository.path), environment=site.repository.env)
    site.loop = Loop(
        journal=site.journal, mirror=mirror, objects=Objects(mirror.path), wake=Wake(None), clock=SystemClock(),
        branch="main", engine=ENGINE,
    )  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(lookout.Lookout, "_fetch", broken)
        await mirror.open()
        await site.loop.start()
        await site.look()
        assert (await site.answer("go"), [one.request for one in site.loop.sync.asks]) == (None, ["go"])
    await site.look()
    assert await site.answer("go") is None
    await site.journal.write(lambda tx: facts.put(tx, "requestsWait", _of_nowhere(facts.get(tx, "requestsWait"))))
    await site.look()
    assert said(await site.answer("go")) == ("refused", "gone")


def _of_nowhere(waiting: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    return {digest: {**one, "commit": "a" * 40} for digest, one in waiting.items()}


async def test_a_key_that_has_expired_replaces_nothing_that_waits(site: Site, tmp_path: Path) -> None:
    """The signature of a commit is judged as of when that commit arrived, and not when its name was seen first."""
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
    site.trust = tmp_path / "signers"
    line = f'bo@example.org valid-before="{ends:%Y%m%d%H%M%S}Z" {site.keys.ssh("bo").public}\n'
    site.trust.write_text(line)
    site.loop = site.new_loop()
    await site.begin({RULES: ASKS_TO_RUN})
    digest = await waits_for(site, "go")
    while datetime.now(UTC) <= ends + timedelta(seconds=1):  # ssh-keygen goes by the clock in whole seconds
        await asyncio.sleep(0.1)
    more = {"requests/go.yaml": act("go", "{jobRef: work, priority: 9}"), "requests/new.yaml": act("new", LONG)}
    site.push(more, by="bo", ref=REQUESTS)
    await site.look()
    assert said(await site.answer("new")) == ("refused", "unsigned"), "in the same commit, of another name"
    assert (await site.answer("go"), [one.digest for one in site.loop.sync.asks]) == (None, [digest])
    site.loop = site.new_loop()
    await site.loop.start()
    await site.look()
    await approve(site, digest)
    assert said(await site.answer("go")) == ("accepted", None), "its own signature was good when it arrived"


async def test_nobody_fills_the_places_of_those_that_wait(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actgate, "MOST_OF_ONE", 2)
    await site.begin({RULES: ASKS_TO_RUN.replace("subjects: [web], verbs: [run]", "subjects: [web, cy], verbs: [run]")})
    for name in ("one", "two"):
        assert await site.brings(name, LONG, by="bo") is None
    full = await site.asks("three", LONG, by="bo")
    message = "2 requests of bo wait for approvals already; ask again once some are answered"
    assert (said(full), full.message) == (("refused", "tooMany"), message)
    assert await site.brings("other", LONG, by="cy") is None, "another person's waits"
    (first, *_) = site.loop.sync.asks
    assert first.until is not None
    assert first.since is not None
    assert first.until - first.since <= timedelta(days=7)


async def test_what_waits_is_judged_again_only_where_something_changed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred of them cost an idle pass no program's start, and no reading of their files."""
    await site.begin({RULES: ASKS_TO_RUN})
    looked_at: list[str] = []
    signed = site.loop._requests._arrivals.signed

    def counted(commit: str, users: Mapping[str, User], at: datetime) -> object:
        looked_at.append(commit)
        return signed(commit, users, at)

    monkeypatch.setattr(site.loop._requests._arrivals, "signed", counted)
    digest = await waits_for(site, "go")
    looked_at.clear()
    await site.look()
    await site.look()
    assert looked_at == []
    await approve(site, digest)
    assert said(await site.answer("go")) == ("accepted", None)


async def test_a_store_that_was_lost_gives_no_fresh_hour(site: Site) -> None:
    """What `sync.yaml` shows of a request says until when it waits."""
    await site.begin({RULES: ASKS_TO_RUN})
    await waits_for(site, "go")
    (before,) = site.loop.sync.asks
    assert before.until is not None
    shown = {**before.shown(), "expiresAt": f"{datetime.now(UTC) - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"}
    await site.journal.write(lambda tx: actgate.forget(tx, ("go",)))
    await site.journal.write(lambda tx: actgate.take_in(tx, (shown,)))
    await site.look()
    answer = await site.answer("go")
    assert answer is not None
    assert said(answer) == ("refused", "expired")
    assert answer.message == "it has waited for its approvals as long as it may; ask again"


async def test_of_many_commits_of_one_name_the_first_are_looked_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may push has the engine check no more signatures than that, and hides nobody's request below them."""
    monkeypatch.setattr(contenders, "MOST_OF_NAME", 2)
    await site.begin()
    site.push({"requests/go.yaml": act("go", "{jobRef: work}")}, by="bo", ref=REQUESTS)
    for number in range(4):
        more = {f"{number}.yaml": act(name, f"{{jobRef: work, priority: {number}}}") for name in ("go", "no")}
        site.push(more, by="stranger", ref=REQUESTS)
    await site.look()
    assert said(await site.answer("go")) == ("accepted", None)
    crowded = await site.answer("no")
    assert crowded is not None
    assert said(crowded) == ("refused", "tooMany")
    assert crowded.message is not None
    assert crowded.message.endswith("ask again under another name")
