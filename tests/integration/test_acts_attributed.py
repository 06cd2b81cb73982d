"""Who an act is put down to, whatever else is on the branch: never to somebody who did not sign it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pygit2
import pytest
import pytest_asyncio

from reconciler.repository import objects
from tests.integration.test_policies_in_force import REQUESTS, Site, said
from tests.integration.test_waiting_requests import act
from tests.signing import ran
from tests.trees import without_end


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    await made.journal.close()


async def test_where_the_walk_ends_nobody_is_taken_for_who_brought_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody signs something else on top of it, and then so many commits come that it is out of sight."""
    monkeypatch.setattr(objects, "_MAX_WALK", 4)
    await site.begin()
    site.push({"requests/evil.yaml": act("evil", "{jobRef: dump}")}, by=None, ref=REQUESTS)
    site.push({"requests/innocent.yaml": act("innocent", "{jobRef: work}")}, by="ana", ref=REQUESTS)
    for number in range(4):
        site.push({f"x{number}": "x"}, by=None, ref=REQUESTS)
    await site.look()
    answer = await site.answer("evil")
    assert answer is not None
    assert (said(answer), answer.requested_by) == (("refused", "unproven"), None)


async def test_what_was_hidden_while_the_branch_was_not_read_is_nobodys(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_MAX_WALK", 4)
    await site.begin()
    repository = site.repository
    endless = without_end(pygit2.Repository(str(repository.path)))
    evil = site.push({"requests/evil.yaml": act("evil", "{jobRef: dump}")}, by=None, ref=REQUESTS)
    tree = repository.git("mktree", data=f"{repository.git('ls-tree', evil)}\n040000 tree {endless}\tx\n".encode())
    hiding = repository.commit({}, evil, tree=tree)
    repository.git("update-ref", REQUESTS, hiding)
    await site.look()
    assert site.loop.sync.requests_trouble is not None
    blob = repository.git("hash-object", "-w", "--stdin", data=act("innocent", "{jobRef: work}").encode())
    listed = f"{repository.git('ls-tree', f'{hiding}:requests')}\n100644 blob {blob}\tinnocent.yaml\n"
    folder = repository.git("mktree", data=listed.encode())
    both = f"040000 tree {folder}\trequests\n040000 tree {endless}\tx\n"
    signed = repository.commit(
        {}, hiding, tree=repository.git("mktree", data=both.encode()), by=site.keys.ssh("ana"), who="ana@example.org"
    )
    repository.git("update-ref", REQUESTS, signed)
    await site.look()
    plain, tip = repository.git("mktree", data=f"040000 tree {folder}\trequests\n".encode()), signed
    for _ in range(4):
        tip = repository.commit({}, tip, tree=plain, who="eve@example.org")
    repository.git("update-ref", REQUESTS, tip)
    await site.look()
    answer = await site.answer("evil")
    assert answer is not None
    assert (said(answer), answer.requested_by, answer.run) == (("refused", "unproven"), None, None)


async def test_a_path_that_is_no_text_is_a_path(site: Site) -> None:
    await site.begin()
    repository = site.repository
    start = site.push({"readme.md": "x"}, ref=REQUESTS)
    blob = repository.git("hash-object", "-w", "--stdin", data=act("odd", "{jobRef: work}").encode()).encode()
    listed = b"100644 blob %s\t\xff\xfd.yaml\n100644 blob %s\t\xff\xfe.yaml\n100644 blob %s\tz.txt\n" % ((blob,) * 3)
    tree = ran("git", "-C", repository.path, "mktree", env=repository.env, data=listed).decode().strip()
    made = repository.commit({}, start, tree=tree, by=site.keys.ssh("bo"), who="bo@example.org")
    repository.git("update-ref", REQUESTS, made)
    await site.look()
    answer = await site.answer("odd")
    assert answer is not None
    assert (said(answer), answer.requested_by) == (("accepted", None), "bo@example.org")
    assert site.loop.sync.requests_trouble is None


@pytest.mark.parametrize("by", [None, "cy"])
@pytest.mark.parametrize("path", ["aa.yaml", "requests/go.yaml"])
async def test_a_file_of_the_same_name_beside_or_over_it_takes_nobodys_place(
    site: Site, path: str, by: str | None
) -> None:
    """Fetched together."""
    await site.begin()
    site.push({"requests/go.yaml": act("go", "{jobRef: work}")}, by="bo", ref=REQUESTS)
    site.push({path: act("go", "{jobRef: work, priority: 3}")}, by=by, ref=REQUESTS)
    await site.look()
    answer = await site.answer("go")
    assert answer is not None
    assert (said(answer), answer.requested_by) == (("accepted", None), "bo@example.org")
