"""Rebuilding both ways: the branch from the store, and a store from the branch, on a real repository."""

import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from engine.decide import Decided, Skips
from engine.identity import Cause, RunId, run_id
from engine.pinned import PinnedSpec, PinnedTarget, PlannedStep, Script
from engine.states import RunState, StepState
from engine.views import EngineView, ScheduleView, SyncView
from journal import acts, facts, leases, runs, schedules, steps
from journal.runs import NewRun
from journal.steps import StepEnd
from journal.store import Journal
from reconciler import rebuild
from reconciler.mirror import Mirror
from reconciler.projection import Projection
from reconciler.publish import BranchGone, Publisher

STATUS = "refs/heads/opsconductor/status"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
COMMIT = "1f0c" * 10


class Fixed:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 1000.0


class Site:
    """One repository, and stores that are projected onto it or filled from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remote = folder / "ops.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.remote], check=True)
        self.journals: list[Journal] = []
        self.publisher = Publisher(
            Mirror(folder / "mirror.git", str(self.remote)), STATUS, engine_id="one", clock=Fixed()
        )

    def store(self, name: str) -> Journal:
        self.journals.append(Journal.open(f"sqlite:///{self.folder / name}.sqlite3", clock=Fixed()))
        return self.journals[-1]

    def projection(self, journal: Journal) -> Projection:
        return Projection(
            journal, self.publisher, schedule=_schedule, sync=lambda: SyncView(applied=COMMIT, last_good=COMMIT)
        )

    def tree(self) -> str:
        return subprocess.run(
            ["git", "-C", self.remote, "rev-parse", f"{STATUS}^{{tree}}"], check=True, capture_output=True, text=True
        ).stdout


def _schedule(name: str, clock: schedules.ClockRow) -> ScheduleView:
    return ScheduleView(name, "rotate", clock.fingerprint, clock.considered_from, clock.last)


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    for journal in made.journals:
        await journal.close()


def spec() -> PinnedSpec:
    step = PlannedStep(id="space", phase="steps", action=Script("sh", "true"))
    return PinnedSpec(job="rotate", commit=COMMIT, steps=(step,), targets=(PinnedTarget("web-01"),), on_targets=True)


def new_run(name: str) -> NewRun:
    cause = Cause("request", name, NOON, requested_by="ana@example.org")
    return NewRun(id=run_id("rotate", cause), cause=cause, spec=spec(), params={"days": 14}, pool="default")


async def fill(journal: Journal) -> tuple[RunId, RunId]:
    """One run that succeeded, one that runs; a schedule with a skip; two answered requests."""
    done, open_ = new_run("done"), new_run("open")
    await journal.write(lambda tx: runs.enqueue(tx, done, NOON))
    (claim,) = await journal.write(lambda tx: leases.claim(tx, "default/1", None, 1, NOON, 1000.0))
    fence = claim.fence

    def work(tx: object) -> None:
        steps.start(tx, fence, "web-01", "steps", "space", 1, NOON)  # type: ignore[arg-type]
        end = StepEnd(StepState.SUCCEEDED, exit_code=0, duration=0.25, outputs={"used": 71})
        steps.end(tx, fence, "web-01", "steps", "space", 1, end, NOON)  # type: ignore[arg-type]
        steps.end_target(tx, fence, "web-01", StepState.SUCCEEDED, {"freed": 3}, NOON)  # type: ignore[arg-type]
        leases.finish(tx, fence, RunState.SUCCEEDED, reason=None, outputs={"freed": {"web-01": 3}}, now=NOON)  # type: ignore[arg-type]

    await journal.write(work)
    await journal.write(lambda tx: runs.enqueue(tx, open_, NOON))
    (claim,) = await journal.write(lambda tx: leases.claim(tx, "default/1", None, 1, NOON, 1000.0))
    second = claim.fence
    await journal.write(lambda tx: steps.start(tx, second, "web-01", "steps", "space", 1, NOON))
    skip = Skips("nightly", NOON - timedelta(hours=2), NOON - timedelta(hours=1), 2, "missed")

    def decide(tx: object) -> None:
        schedules.put_clock(tx, "nightly", fingerprint="f1", considered_until=NOON - timedelta(days=1))  # type: ignore[arg-type]
        schedules.record(tx, Decided((), (skip,), NOON), {}, NOON)  # type: ignore[arg-type]
        schedules.put_clock(tx, "nightly", fingerprint="f1", considered_until=NOON)  # type: ignore[arg-type]
        acts.settle(tx, "done", state="done", run=done.id, now=NOON)  # type: ignore[arg-type]
        acts.settle(tx, "no", state="refused", reason="unknownJob", message="there is no Job 'x'", now=NOON)  # type: ignore[arg-type]

    await journal.write(decide)
    return done.id, open_.id


async def test_a_deleted_branch_is_written_again_the_same(site: Site) -> None:
    journal = site.store("one")
    await fill(journal)
    while await site.projection(journal).publish():
        pass
    before = site.tree()
    subprocess.run(["git", "-C", site.remote, "update-ref", "-d", STATUS], check=True)
    with pytest.raises(BranchGone):
        await site.publisher.look()
    await site.projection(journal).rewrite()
    assert site.tree() == before


async def test_nothing_is_committed_while_nothing_changes(site: Site) -> None:
    journal = site.store("one")
    await fill(journal)
    projection = site.projection(journal)
    while await projection.publish():
        pass
    tip = site.publisher.tip
    assert await projection.publish() is False
    await projection.rewrite()
    assert site.publisher.tip == tip


@pytest.mark.parametrize("closed", [NOON + timedelta(minutes=5), None])
async def test_a_lost_store_takes_in_the_branch_and_says_what_it_cannot_prove(
    site: Site, closed: datetime | None
) -> None:
    before = EngineView("one", "here", NOON, closed)
    journal = site.store("one")
    done, open_ = await fill(journal)
    while await site.projection(journal).publish():
        pass
    new = site.store("two")
    assert await rebuild.needed(new)
    later = NOON + timedelta(hours=3)
    found = await rebuild.from_branch(
        new, site.publisher, before=before, present=frozenset({"done", "never-answered"}), now=later
    )
    assert (found.runs, found.requests, found.schedules) == (2, 2, 1)
    assert not await rebuild.needed(new)
    assert await journal.read(lambda conn: runs.get(conn, done)) == await new.read(lambda conn: runs.get(conn, done))
    lost = await new.read(lambda conn: runs.get(conn, open_))
    assert lost is not None
    assert (lost.state, lost.reason) == (RunState.UNKNOWN, "storeLost")
    clock = (await new.read(schedules.clocks))["nightly"]
    if closed is None:  # the newest published decision is the mark, and what followed it cannot be proven
        assert (clock.considered_until, clock.lost_until) == (NOON - timedelta(hours=1), later)
    else:  # everything up to the drained stop was decided
        assert (clock.considered_until, clock.lost_until) == (closed, None)
    answered = await new.read(lambda conn: acts.seen(conn, ["done", "no", "never-answered"]))
    assert {name: row.state for name, row in answered.items()} == {"done": "done", "no": "refused"}
    remembered = await new.read(lambda conn: facts.get(conn, rebuild.REBUILT))
    assert remembered["lostRequests"] == ([] if closed else ["never-answered"])


async def test_rebuilding_twice_changes_nothing(site: Site) -> None:
    journal = site.store("one")
    await fill(journal)
    while await site.projection(journal).publish():
        pass
    new = site.store("two")
    for _ in range(2):
        await rebuild.from_branch(
            new, site.publisher, before=EngineView("one", "here", NOON), present=frozenset(), now=NOON
        )
    assert len(await new.read(lambda conn: runs.recent(conn))) == 2
