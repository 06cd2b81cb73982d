"""Requests that wait for approvals: whose word lets them be done, and that nobody else's file ends them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from reconciler.acts import actgate
from tests.integration.test_policies_in_force import ASKS_TO_RUN, BEGINS, REQUESTS, RULES, Site, said
from tests.permits import doc


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    await made.journal.close()


async def waits_for(site: Site, name: str, by: str = "bo") -> str:
    """The digest of a request that waits."""
    assert await site.brings(name, "{jobRef: work}", by=by) is None
    return next(one.digest for one in site.loop.sync.asks if one.request == name)


def act(name: str, spec: str, kind: str = "RunRequest") -> str:
    return doc(f"kind: {kind}\nmetadata: {{name: {name}, labels: {{team: web}}}}\nspec: {spec}\n")


LATE = "{jobRef: work, expiresAt: 2026-01-01T00:00:00Z}"


@pytest.mark.parametrize(
    ("path", "text", "by"),
    [
        ("requests/go.yaml", act("go", "{jobRef: work, priority: 9}"), None),
        ("requests/go.yaml", act("go", "{jobRef: dump}"), "cy"),
        ("requests/go.yaml", act("go", "{jobRef: work}"), "dee"),
        ("requests/go.yaml", act("go", LATE), None),
        ("requests/go.yaml", "kind: {\n", None),
        ("requests/go.yaml", "", None),
        ("aa.yaml", act("go", "{jobRef: work}"), None),
        ("aa.yaml", act("go", "{action: cancel, run: x}"), "cy"),
        ("requests/go.yaml", act("go", f"{{gate: 'sha256:{'0' * 64}', decision: reject}}", "Approval"), None),
    ],
    ids=["unsigned", "forbidden", "permitted", "expired", "malformed", "empty", "beside", "other", "approval"],
)
async def test_nobody_else_ends_a_request_that_waits(site: Site, path: str, text: str, by: str | None) -> None:
    """Neither by a file in its place nor by one of its name: what waits is what its commit holds."""
    await site.begin({RULES: ASKS_TO_RUN})
    digest = await waits_for(site, "go")
    site.push({path: text}, by=by, ref=REQUESTS)
    await site.look()
    await site.look()
    assert await site.answer("go") is None
    assert [one.digest for one in site.loop.sync.asks] == [digest]
    site.loop = site.new_loop()
    await site.loop.start()
    yes = await site.asks("yes", f"{{gate: '{digest}', decision: approve}}", by="dee", kind="Approval")
    assert said(yes) == ("done", None)
    await site.look()
    answer = await site.answer("go")
    assert answer is not None
    assert (said(answer), answer.requested_by) == (("accepted", None), "bo@example.org")
    assert site.loop.sync.asks == ()
    assert await site.journal.read(actgate.kept) == {}


async def test_a_request_that_waits_outlives_its_file_and_its_branch(site: Site) -> None:
    await site.begin({RULES: ASKS_TO_RUN})
    first = site.repository.git("for-each-ref", "--format=%(objectname)", REQUESTS) or None
    digest = await waits_for(site, "go")
    other = site.repository.commit(
        {"readme.md": "x"}, *([first] if first else []), who="cy@example.org", message=BEGINS
    )
    site.repository.git("update-ref", REQUESTS, other)
    await site.look()
    assert await site.answer("go") is None
    yes = await site.asks("yes", f"{{gate: '{digest}', decision: approve}}", by="dee", kind="Approval")
    assert said(yes) == ("done", None)
    await site.look()
    assert said(await site.answer("go")) == ("accepted", None)


async def test_of_two_files_of_one_name_the_one_that_somebody_answers_for_is_judged(site: Site) -> None:
    """Fetched together, in whatever order their paths are."""
    await site.begin()
    site.push({"requests/go.yaml": act("go", "{jobRef: work}")}, by="bo", ref=REQUESTS)
    site.push({"aa.yaml": act("go", "{jobRef: work}"), "zz.yaml": act("go", LATE)}, ref=REQUESTS)
    await site.look()
    answer = await site.answer("go")
    assert answer is not None
    assert (said(answer), answer.requested_by) == (("accepted", None), "bo@example.org")


async def test_who_asked_takes_a_request_back_by_a_no_or_by_another_in_its_place(site: Site) -> None:
    await site.begin({RULES: ASKS_TO_RUN})
    digest = await waits_for(site, "go")
    no = await site.asks("no", f"{{gate: '{digest}', decision: reject}}", by="bo", kind="Approval")
    assert (said(no), no.message) == (("done", None), "bo rejected request go")
    await site.look()
    assert said(await site.answer("go")) == ("refused", "rejected")
    before = await waits_for(site, "again")
    assert await site.brings("again", "{jobRef: work, priority: 5}", by="bo") is None
    (now,) = site.loop.sync.asks
    assert now.digest != before
    void = f"{{gate: '{before}', decision: approve}}"
    assert said(await site.asks("void", void, by="dee", kind="Approval")) == ("refused", "gateClosed")


async def test_a_cancel_waits_for_its_approvals_too(site: Site) -> None:
    await site.begin({RULES: ASKS_TO_RUN.replace("verbs: [run]", "verbs: [run, cancel]")})
    run = (await site.asks("start", "{jobRef: work}", by="ana")).run
    assert await site.brings("stop", f"{{action: cancel, run: {run}}}", by="bo") is None
    (waiting,) = site.loop.sync.asks
    assert (waiting.asks, waiting.file) == ("cancel Job/work", "requests/stop.yaml")
    assert waiting.until is not None
    spec = f"{{gate: '{waiting.digest}', decision: approve}}"
    assert said(await site.asks("own", spec, by="bo", kind="Approval")) == ("refused", "requester")
    assert said(await site.asks("yes", spec, by="cy", kind="Approval")) == ("done", None)
    await site.look()
    assert said(await site.answer("stop")) == ("done", None)


async def test_n_of_m_is_n_different_people(site: Site) -> None:
    await site.begin({RULES: ASKS_TO_RUN.replace("approvals: 1", "approvals: 2")})
    digest = await waits_for(site, "go")
    spec = f"{{gate: '{digest}', decision: approve}}"
    assert said(await site.asks("one", spec, by="dee", kind="Approval")) == ("done", None)
    await site.look()
    assert said(await site.asks("same", spec, by="dee", kind="Approval")) == ("refused", "twice")
    assert await site.answer("go") is None
    assert site.loop.sync.asks[0].wants[0].given == ("dee",)
    assert said(await site.asks("two", spec, by="cy", kind="Approval")) == ("done", None)
    await site.look()
    assert said(await site.answer("go")) == ("accepted", None)
