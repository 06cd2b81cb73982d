"""What people said of what waits is in the closed `sync.yaml`, and a store that is new takes it from there."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from engine.authority import permits
from engine.authority.permits import Want
from engine.status import readmodel
from engine.status.views import EngineView, SyncView
from journal import acts
from reconciler.acts import actgate, changegate
from reconciler.acts.actgate import OpenAct
from reconciler.acts.changegate import OpenChange
from reconciler.acts.votes import Vote
from reconciler.publication import rebuild
from reconciler.publication.claim import claim_in, with_claim
from tests.integration.test_rebuild import COMMIT, NOON, Site

WANTS = (Want(("Job/work",), 2, ("dee",), ("ana",), not_requester=True),)
VOTES = (Vote("dee", approves=True, act="yes", reason="fine"),)
BASE = "b" * 40
CHANGE = OpenChange(permits.digest_of(BASE, COMMIT), BASE, COMMIT, ("bo",), WANTS, VOTES)


def waiting(name: str) -> OpenAct:
    digest, until = permits.digest_of_act(name, COMMIT), NOON + timedelta(hours=1)
    return OpenAct(digest, name, COMMIT, "run Job/work", ("bo",), WANTS, VOTES, f"requests/{name}.yaml", until)


GO, DONE = waiting("go"), waiting("done")
OPEN = EngineView("one", "here", NOON)
CLOSED = EngineView("one", "here", NOON, NOON + timedelta(minutes=5))


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    for journal in made.journals:
        await journal.close()


def left_behind() -> bytes:
    """What the engine published last, without its claim."""
    view = SyncView(change=CHANGE.shown(), requests=(GO.shown(), DONE.shown()))
    return readmodel.to_yaml(readmodel.sync_file(view)).encode()


def test_a_claim_keeps_what_waits_and_what_was_said_of_it() -> None:
    """One that is closed, and the one that is pushed over that."""
    text = with_claim(with_claim(left_behind(), CLOSED), OPEN)
    assert claim_in(text) == OPEN
    found = readmodel.parse_sync_file(text)
    assert found.change is not None
    assert OpenChange.of(found.change) == CHANGE
    assert [OpenAct.of(one) for one in found.requests] == [GO, DONE]


@pytest.mark.parametrize(
    ("before", "trusts", "change", "requests"),
    [
        (CLOSED, True, CHANGE, {GO.digest: GO}),
        (OPEN, True, CHANGE, {}),
        (CLOSED, False, None, {}),
    ],
    ids=["drained", "undrained", "unsigned branch where commits must be signed"],
)
async def test_a_lost_store_takes_in_what_was_said(
    site: Site, before: EngineView, trusts: bool, change: OpenChange | None, requests: dict[str, OpenAct]
) -> None:
    """Of a change, and after a drained stop of requests that have no answer yet; doing it again changes nothing."""
    journal = site.store("new")
    await journal.write(lambda tx: acts.settle(tx, "done", state="done", now=NOON))
    await site.publisher.publish({"sync.yaml": with_claim(left_behind(), before)}, "status: left")
    for _ in range(2):
        await rebuild.from_branch(
            journal, site.publisher, before=before, present=frozenset({"go"}), now=NOON, trusts=trusts
        )
        assert await journal.read(changegate.kept) == change
        assert await journal.read(actgate.kept) == requests
