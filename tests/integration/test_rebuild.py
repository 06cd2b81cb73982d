"""Rebuilding both ways: the branch from the store, and a store from the branch, on a real repository."""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from engine.identity import Cause, RunId, run_id
from engine.runs.pinned import PinnedSpec, PinnedTarget, PlannedStep, Script
from engine.schedules.decide import Decided, Skips
from engine.states import RunState, StepState
from engine.status.views import EngineView, ScheduleView, SyncView
from journal import acts, evidence, facts, leases, runs, schedules, steps
from journal.runs import NewRun
from journal.steps import StepEnd
from journal.store import Journal
from reconciler.publication import rebuild
from reconciler.publication.projection import Projection
from reconciler.publication.publish import BranchGone, Publisher
from reconciler.repository.mirror import Mirror

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
        self.mirror = Mirror(folder / "mirror.git", str(self.remote), environment=os.environ)
        self.publisher = Publisher(self.mirror, STATUS, engine_id="one", clock=Fixed())

    def store(self, name: str) -> Journal:
        self.journals.append(Journal.open(f"sqlite:///{self.folder / name}.sqlite3", clock=Fixed()))
        return self.journals[-1]

    def projection(self, journal: Journal) -> Projection:
        return Projection(
            journal, self.publisher, schedule=_schedule, sync=lambda: SyncView(applied=COMMIT, last_good=COMMIT)
        )

    def tree(self, folder: str = "") -> str:
        return subprocess.run(
            ["git", "-C", self.remote, "rev-parse", f"{STATUS}:{folder}"], check=True, capture_output=True, text=True
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
    (claim,) = await journal.write(lambda tx: leases.claim(tx, "default/1", None, 1, NOON))
    fence = claim.fence

    def work(tx: object) -> None:
        steps.start(tx, fence, "web-01", "steps", "space", 1, NOON)  # type: ignore[arg-type]
        end = StepEnd(StepState.SUCCEEDED, exit_code=0, duration=0.25, outputs={"used": 71})
        steps.end(tx, fence, "web-01", "steps", "space", 1, end, NOON)  # type: ignore[arg-type]
        steps.end_target(tx, fence, "web-01", StepState.SUCCEEDED, {"freed": 3}, NOON)  # type: ignore[arg-type]
        leases.finish(tx, fence, RunState.SUCCEEDED, reason=None, outputs={"freed": {"web-01": 3}}, now=NOON)  # type: ignore[arg-type]

    await journal.write(work)
    await journal.write(lambda tx: runs.enqueue(tx, open_, NOON))
    (claim,) = await journal.write(lambda tx: leases.claim(tx, "default/1", None, 1, NOON))
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


async def test_a_store_that_was_moved_knows_what_it_wrote_where_it_was(site: Site) -> None:
    """It has another id now, and the branch still has its claim by the former one: that is no other engine's."""
    moved = site.store("moved")
    await moved.write(lambda tx: facts.put(tx, rebuild.REBUILT, "before"))
    before = EngineView("there", "db", NOON)
    assert await rebuild.intend(moved, "here", before)
    for _ in range(2):
        await moved.write(lambda tx: rebuild.was(tx, "there"))
    assert not await rebuild.intend(moved, "here", before)
    assert await rebuild.pending(moved) is None
    assert await rebuild.intend(moved, "here", EngineView("another", "else", NOON))


async def test_who_led_here_before_is_remembered_where_the_branch_is_believed(site: Site) -> None:
    """People made acts for that engine, which are done by the one that took over."""
    new = site.store("new")
    for name, believed in (("two", True), ("three", False), ("four", True), ("two", True), ("one", True)):
        before = EngineView(name, "there", NOON, NOON)
        await rebuild.from_branch(new, site.publisher, before=before, present=frozenset(), now=NOON, believed=believed)
    assert await new.read(rebuild.took_over) == ("four", "two")


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
    await rebuild.intend(new, "one", before)
    await rebuild.intend(new, "one", EngineView("one", "here", NOON))  # a start that was cut off had claimed meanwhile
    assert await rebuild.pending(new) == rebuild.Pending(before)
    later = NOON + timedelta(hours=3)
    found = await rebuild.from_branch(
        new, site.publisher, before=before, present=frozenset({"done", "never-answered"}), now=later
    )
    assert (found.runs, found.requests, found.schedules) == (2, 2, 1)
    assert await rebuild.pending(new) is None
    assert await journal.read(lambda conn: runs.get(conn, done)) == await new.read(lambda conn: runs.get(conn, done))
    lost = await new.read(lambda conn: runs.get(conn, open_))
    assert lost is not None
    assert (lost.state, lost.reason) == (RunState.UNKNOWN, "storeLost")
    clock = (await new.read(schedules.clocks))["nightly"]
    # The newest published decision is the mark. What followed it cannot be proven, or was not decided while draining.
    assert clock.considered_until == NOON - timedelta(hours=1)
    assert clock.lost_until == (None if closed else later)
    answered = await new.read(lambda conn: acts.seen(conn, ["done", "no", "never-answered"]))
    assert {name: row.state for name, row in answered.items()} == {"done": "done", "no": "refused"}
    remembered = await new.read(lambda conn: facts.get(conn, rebuild.REBUILT))
    assert remembered["lostRequests"] == ([] if closed else ["never-answered"])


async def taken_in(site: Site, journal: Journal, other: Journal, *, now: datetime) -> None:
    """The other engine takes in the branch, undrained as it is left, publishes and closes; ours takes it in again."""
    await rebuild.from_branch(
        other, site.publisher, before=EngineView("one", "here", NOON), present=frozenset({"late"}), now=now
    )
    await other.write(lambda tx: acts.settle(tx, "late", state="refused", reason="storeLost", message="lost", now=now))
    while await site.projection(other).publish():
        pass
    closed = EngineView("two", "there", now, now)
    await rebuild.from_branch(journal, site.publisher, before=closed, present=frozenset(), now=now)


async def test_an_open_run_that_another_engine_has_ended_meanwhile_has_ended(site: Site) -> None:
    """What people have read is not taken back: a run of one's own is not resumed, nor started, after it was unknown."""
    journal = site.store("one")
    _, open_ = await fill(journal)
    waiting = new_run("waiting")
    await journal.write(lambda tx: runs.enqueue(tx, waiting, NOON))
    while await site.projection(journal).publish():
        pass
    other = site.store("two")
    await taken_in(site, journal, other, now=NOON + timedelta(hours=1))
    told = site.tree("runs")
    for run in (open_, waiting.id):
        ours, theirs = [await one.read(lambda conn, run=run: runs.get(conn, run)) for one in (journal, other)]
        assert ours is not None
        assert theirs is not None
        assert (ours.state, ours.reason) == (RunState.UNKNOWN, "storeLost")
        assert (ours.state, ours.reason, ours.results) == (theirs.state, theirs.reason, theirs.results)
    assert await journal.write(lambda tx: leases.void(tx, NOON)) == ()
    assert await journal.write(lambda tx: leases.claim(tx, "default/1", None, 9, NOON)) == ()
    assert [one.state for one in await journal.read(lambda conn: evidence.of(conn, open_))] == ["running", "running"]
    while await site.projection(journal).publish():
        pass
    assert site.tree("runs") == told


async def test_what_another_engine_was_never_told_of_is_not_done_after_all(site: Site) -> None:
    """It has said storeLost of the instant and of the request; a run that had not begun is not begun behind that."""
    journal = site.store("one")
    await fill(journal)
    while await site.projection(journal).publish():
        pass
    late = new_run("late")

    def accept(tx: object) -> None:
        runs.enqueue(tx, late, NOON)  # type: ignore[arg-type]
        acts.settle(tx, "late", state="accepted", run=late.id, now=NOON)  # type: ignore[arg-type]

    await journal.write(accept)
    await taken_in(site, journal, site.store("two"), now=NOON + timedelta(hours=1))
    assert await journal.write(lambda tx: leases.claim(tx, "default/1", None, 9, NOON)) == ()
    assert await journal.read(lambda conn: runs.get(conn, late.id)) is None
    assert (await journal.read(lambda conn: acts.seen(conn, ["late"])))["late"].reason == "storeLost"
    again = await journal.write(lambda tx: runs.enqueue(tx, late, NOON))
    assert isinstance(again, runs.AlreadyThere)


async def test_skips_that_another_engine_added_to_a_record_are_taken_in(site: Site) -> None:
    journal = site.store("one")
    first = Skips("nightly", NOON, NOON + timedelta(hours=1), 2, "missed")
    longer = Skips("nightly", NOON, NOON + timedelta(hours=5), 6, "missed")
    for skips in ((first,), (longer,), (first,)):
        await journal.write(lambda tx, skips=skips: schedules.import_skips(tx, skips, NOON))
    assert await journal.read(lambda conn: schedules.day(conn, NOON.date())) == (longer,)


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


RUN = """\
apiVersion: opsconductor/v1
kind: Run
metadata: {name: %s}
spec:
  job: rotate
  commit: 1f0c
  cause: {kind: schedule, name: %s, instant: "2026-11-21T00:15:00Z"}
  params: {}
  targets: [web-01]
status:
  state: succeeded
  queuedAt: "2026-11-21T00:15:00Z"
  startedAt: "2026-11-21T00:15:00Z"
  finishedAt: "2026-11-21T00:15:00Z"
  attempt: 1
  targets: {web-01: {state: succeeded, steps: [{id: space, state: succeeded}]}}
"""
A, B = "x-20261121T001500Z-0123456789", "y-20261121T001500Z-0123456789"
DAY = "runs/2026/11/21"
STEP = "{id: space, state: succeeded}"


def _request(name: str) -> str:
    return (
        f"apiVersion: opsconductor/v1\nkind: RequestStatus\nmetadata: {{name: {name}}}\n"
        'status: {state: accepted, at: "2026-11-21T00:15:00Z"}\n'
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param(f"{DAY}/{B}.yaml", RUN % (A, "other"), id="two files with one run id"),
        pytest.param(f"{DAY}/{B}.yaml", (RUN % (B, "s")).replace(STEP, f"{STEP}, {STEP}"), id="one step twice"),
        pytest.param(
            f"{DAY}/{B}.yaml",
            (RUN % (B, "s")).replace("2026-11-21T00:15:00Z", "0001-01-01T00:00:00+23:00"),
            id="an instant before year 1",
        ),
        pytest.param(
            f"{DAY}/{B}.yaml",
            (RUN % (B, "s")).replace("attempt: 1", f"attempt: {10**30}"),
            id="a number beyond 64 bits",
        ),
        pytest.param(
            f"{DAY}/{B}.yaml", (RUN % (B, "s")).replace("attempt: 1", "slices: 3000000"), id="slices that are not there"
        ),
        pytest.param(f"{DAY}/{B}.yaml", RUN % (B, "s") + "#" * 1_100_000, id="a file that is too large"),
        pytest.param(f"{DAY}/{B}.yaml", "[" * 30_000, id="no YAML that is read"),
        pytest.param("requests/again.yaml", "kind: moon", id="a request"),
        pytest.param("schedules/nightly.yaml", "{}", id="a schedule"),
        pytest.param("decisions/2026/11/21.yaml", "{}", id="decisions"),
        pytest.param("sync.yaml", "{}", id="sync"),
    ],
)
async def test_a_tampered_file_is_left_out_and_the_rest_taken_in(site: Site, path: str, text: str) -> None:
    """Whoever may push to the status branch must not be able to keep an engine from starting."""
    good = {f"{DAY}/{A}.yaml": (RUN % (A, "s1")).encode(), "requests/one.yaml": _request("one").encode()}
    await site.publisher.publish({**good, path: text.encode()}, "tampered")
    new = site.store("new")
    began = EngineView("one", "here", NOON, NOON)
    found = await rebuild.from_branch(new, site.publisher, before=began, present=frozenset({"again"}), now=NOON)
    assert (found.runs, found.requests, found.left_out) == (1, 1, 1)
    assert [brief.id for brief in await new.read(lambda conn: runs.recent(conn))] == [A]
    remembered = await new.read(lambda conn: facts.get(conn, rebuild.REBUILT))
    # The answer of a request that is there and cannot be read: it was given, so the request is not answered again.
    assert remembered["lostRequests"] == (["again"] if path == "requests/again.yaml" else [])


async def test_slices_are_read_as_far_as_they_are_in_the_tree(site: Site) -> None:
    head = (RUN % (A, "s1")).replace("  attempt: 1", "  attempt: 1\n  slices: 2")
    slice_ = (
        "apiVersion: opsconductor/v1\nkind: Run\nmetadata: {name: x}\n"
        "status: {slice: %d, targets: {web-%02d: {state: failed, steps: []}}}\n"
    )
    files = {f"{DAY}/{A}.yaml": head} | {f"{DAY}/{A}.{n}.yaml": slice_ % (n, n) for n in (1, 2, 10)}
    await site.publisher.publish({path: text.encode() for path, text in files.items()}, "sliced")
    new = site.store("new")
    found = await rebuild.from_branch(new, site.publisher, before=None, present=frozenset(), now=NOON)
    assert (found.runs, found.left_out) == (1, 0)
    view = await new.read(lambda conn: runs.get(conn, RunId(A)))
    assert view is not None
    assert [(place.name, place.state) for place in view.results] == [
        ("web-01", StepState.FAILED),
        ("web-02", StepState.FAILED),
    ]


async def test_the_loop_goes_on_while_a_branch_is_read(site: Site) -> None:
    """A thousand runs take a second to parse; meanwhile a signal to stop must be heard."""
    names = [f"x{number}-20261121T001500Z-0123456789" for number in range(1000)]
    await site.publisher.publish({f"{DAY}/{name}.yaml": (RUN % (name, name)).encode() for name in names}, "many")
    # A busy machine may keep this process waiting once; a loop that is held up is held up every time.
    shares: list[float] = []
    while len(shares) < 3 and min(shares, default=1) >= 0.4:
        shares.append(await _longest_silence(site, f"new-{len(shares)}"))
    assert min(shares) < 0.4, shares


async def _longest_silence(site: Site, name: str) -> float:
    """For how much of the time that the reading takes the loop is not heard of, at the longest."""
    new = site.store(name)
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            longest = max(longest, time.perf_counter() - before)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    began = time.perf_counter()
    found = await rebuild.from_branch(new, site.publisher, before=None, present=frozenset(), now=NOON)
    took = time.perf_counter() - began
    await asyncio.sleep(0.02)
    watching.cancel()
    assert found.runs == 1000
    return longest / took


@pytest.mark.parametrize(
    ("held", "expected"),
    [(True, {"applied": COMMIT, "trusted": COMMIT}), (False, {"applied": None, "trusted": COMMIT})],
)
async def test_a_commit_that_the_definitions_do_not_contain_is_not_in_force(
    site: Site, held: bool, expected: dict[str, str | None]
) -> None:
    """Whoever can write to the status branch alone names a commit of their own there: nothing of it may run."""
    journal = site.store("one")
    await fill(journal)
    while await site.projection(journal).publish():
        pass
    new = site.store("two")
    asked: list[str] = []

    def in_history(commit: str) -> bool:
        asked.append(commit)
        return held

    await rebuild.from_branch(
        new, site.publisher, before=None, present=frozenset(), now=NOON, in_history=in_history
    )  # fmt: skip

    assert await new.read(lambda conn: facts.get(conn, "accepted")) == expected
    assert asked == [COMMIT]


async def test_what_is_no_commit_id_is_never_looked_up(site: Site) -> None:
    journal = site.store("one")
    await fill(journal)
    site.projection = lambda journal: Projection(  # type: ignore[method-assign]
        journal, site.publisher, schedule=_schedule, sync=lambda: SyncView(applied="main@{1}", last_good="main@{1}")
    )
    while await site.projection(journal).publish():
        pass
    new = site.store("two")

    await rebuild.from_branch(
        new, site.publisher, before=None, present=frozenset(), now=NOON, in_history=lambda _: pytest.fail("looked up")
    )

    assert await new.read(lambda conn: facts.get(conn, "accepted", None)) is None
