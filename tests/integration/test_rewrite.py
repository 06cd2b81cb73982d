"""A branch that is gone or new is drawn from the store a portion at a time, and what is new does not wait for it."""

import subprocess
import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection

from engine.identity import Cause, run_id
from engine.states import RunState, StepState
from engine.status import readmodel
from engine.status.views import RunView, StepView, TargetView
from journal import runimport
from journal.errors import Unavailable
from journal.store import Journal
from reconciler.publication import projection
from reconciler.publication.projection import Projection, unpublished
from reconciler.publication.publish import BranchGone, Publisher
from tests.integration.test_rebuild import COMMIT, NOON, STATUS, Fixed, Site

PORTION = 250
ELSEWHERE = "refs/heads/elsewhere"


@pytest_asyncio.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(projection, "_OBJECTS", PORTION)
    made = Site(tmp_path)
    yield made
    for journal in made.journals:
        await journal.close()


def a_run(number: int) -> RunView:
    at = NOON + timedelta(seconds=number)
    cause = Cause("schedule", f"nightly-{number % 7}", at)
    steps = tuple(StepView(f"s{n}", StepState.SUCCEEDED, exit_code=0, duration=0.5) for n in range(2))
    return RunView(
        id=run_id("rotate", cause), job="rotate", commit=COMMIT, cause=cause, state=RunState.SUCCEEDED,
        queued_at=at, started_at=at, finished_at=at, targets=("web-01", "web-02"), on_targets=True,
        results=tuple(TargetView(name, StepState.SUCCEEDED, {}, steps) for name in ("web-01", "web-02")),
    )  # fmt: skip


async def fill(journal: Journal, count: int, start: int = 0) -> None:
    def change(tx: Connection) -> None:
        for number in range(start, start + count):
            runimport.import_run(tx, a_run(number), NOON)

    await journal.write(change)


async def published(drawing: Projection) -> None:
    while await drawing.publish():
        pass


def files(site: Site, ref: str = STATUS) -> set[str]:
    said = subprocess.run(
        ["git", "-C", site.remote, "ls-tree", "-r", "--name-only", ref], capture_output=True, text=True, check=False
    )
    return set(said.stdout.split())


def commits(site: Site) -> int:
    said = subprocess.run(["git", "-C", site.remote, "rev-list", "--count", STATUS], capture_output=True, check=True)
    return int(said.stdout)


def path_of(number: int) -> str:
    view = a_run(number)
    return readmodel.run_path(view.id, view.cause.instant)


async def delete(site: Site) -> None:
    subprocess.run(["git", "-C", site.remote, "update-ref", "-d", STATUS], check=True)
    with pytest.raises(BranchGone):
        await site.publisher.look()


async def test_what_is_new_does_not_wait_for_what_is_old(site: Site) -> None:
    """The newest runs come back first, and a run that ends meanwhile is in the next commit."""
    journal = site.store("one")
    await fill(journal, 3 * PORTION)
    drawing = site.projection(journal)
    await published(drawing)
    before = site.tree()
    await delete(site)
    await drawing.redraw()
    assert await drawing.publish()
    assert drawing.more
    assert path_of(3 * PORTION - 1) in files(site)
    assert path_of(0) not in files(site)
    await fill(journal, 1, start=3 * PORTION)
    assert await drawing.publish()
    assert path_of(3 * PORTION) in files(site)
    assert path_of(0) not in files(site)
    await published(drawing)
    assert not drawing.more
    assert {path_of(number) for number in range(3 * PORTION + 1)} <= files(site)
    assert commits(site) == 4
    assert site.tree() != before


async def test_a_restart_goes_on_with_the_rest(site: Site) -> None:
    """The branch is there and lacks most: what is still to be drawn is known to the store, not to the process."""
    journal = site.store("one")
    await fill(journal, 3 * PORTION)
    await site.projection(journal).rewrite()
    before = site.tree()
    await delete(site)
    drawing = site.projection(journal)
    await drawing.redraw()
    await drawing.publish()
    again = site.projection(journal)
    await again.begin()
    assert await journal.read(unpublished)
    assert commits(site) == 1
    await published(again)
    assert site.tree() == before
    assert not await journal.read(unpublished)
    await again.begin()
    assert not await journal.read(unpublished)


async def test_a_branch_that_has_only_a_claim_is_drawn(site: Site) -> None:
    """An engine that found no branch, and was killed after it had claimed it."""
    journal = site.store("one")
    await fill(journal, 3)
    await site.projection(journal).rewrite()
    before = site.tree()
    await delete(site)
    await site.publisher.publish({readmodel.SYNC: b"kind: SyncStatus\n"}, "claimed")
    drawing = site.projection(journal)
    await drawing.begin()
    await published(drawing)
    assert site.tree() == before


async def test_another_branch_than_last_time_is_drawn_whole(site: Site) -> None:
    """Also one that was used before, and by an engine that was killed right after it had claimed it."""
    journal = site.store("one")
    await fill(journal, 2)
    await site.projection(journal).rewrite()
    first, second = site.publisher, Publisher(site.mirror, ELSEWHERE, engine_id="one", clock=Fixed())
    for publisher in (second, first):
        site.publisher = publisher
        await publisher.open()
        await publisher.publish({readmodel.SYNC: b"kind: SyncStatus\n"}, "claimed")
        await fill(journal, 1, start=10 if publisher is second else 20)
        moved = site.projection(journal)
        assert await moved.publish()
        await published(moved)
        expected = {path_of(n) for n in ((0, 1, 10) if publisher is second else (0, 1, 10, 20))}
        assert expected <= files(site, publisher.ref)
    assert path_of(20) not in files(site, ELSEWHERE)


async def test_a_store_that_is_away_leaves_no_half_branch(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be drawn is in the store before the first commit of the new branch is pushed."""
    journal = site.store("one")
    await fill(journal, 3)
    drawing = site.projection(journal)
    await drawing.rewrite()
    before = site.tree()
    await delete(site)

    def full(_: Connection) -> None:
        raise Unavailable("the disk is full", timedelta(seconds=1))

    with monkeypatch.context() as patch:
        patch.setattr("journal.census.announce", full)
        for attempt in (drawing.redraw, drawing.publish):
            with pytest.raises(Unavailable):
                await attempt()
    assert files(site) == set()
    await published(drawing)
    assert site.tree() == before


async def test_a_wide_run_makes_a_portion_of_its_own(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "_STEPS", 3)
    journal = site.store("one")
    await fill(journal, 3)
    await site.projection(journal).rewrite()
    assert commits(site) >= 3
    assert {path_of(number) for number in range(3)} <= files(site)


@pytest.mark.slow
async def test_thousands_of_runs_take_the_memory_of_a_portion(site: Site) -> None:
    """Eight times the history takes less than three times the memory, and every file is there."""
    peaks = []
    journal = site.store("one")
    have = 0
    for count in (2 * PORTION, 16 * PORTION):
        await fill(journal, count - have, start=have)
        have = count
        if site.publisher.tip:
            await delete(site)
        drawing = site.projection(journal)
        await drawing.redraw()
        tracemalloc.start()
        await published(drawing)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert {path_of(number) for number in range(count)} <= files(site)
    assert peaks[1] < 3 * peaks[0], peaks  # the names in a tree grow, the files in hand do not
