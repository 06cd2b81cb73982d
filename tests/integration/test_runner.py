"""A runner on a real journal: what it does when something of its own went wrong."""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection, select

from engine.identity import Cause, RunId, run_id
from engine.runs.pinned import RUNNER, PinnedSpec, PlannedStep, Use
from engine.states import RunState, StepState, is_final
from engine.status.views import RunView
from journal import leases, points, runs, steps
from journal.clock import SystemClock
from journal.databases.tables import runs as run_rows
from journal.databases.tables import steps as step_rows
from journal.errors import Refused
from journal.runs import NewRun
from journal.store import Journal
from runners import heartbeat
from runners.pool import Runner, RunnerSettings
from runners.secrets import Secrets

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NAME = "default/7b2e"


class Place:
    """A journal and, once asked for, a runner on it."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.journal = Journal.open(f"sqlite:///{folder}/journal.sqlite3", clock=self.clock)
        settings = RunnerSettings(name=NAME, host="here", lock=folder / "runner.lock")
        self.runner = Runner(
            self.journal,
            pools=None,
            clock=self.clock,
            secrets=Secrets(folder / "secrets", {}),
            logs=folder / "logs",
            settings=settings,
        )
        self.work: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.work = asyncio.create_task(self.runner.run())

    async def close(self) -> None:
        if self.work is not None:
            self.work.cancel()
            await asyncio.gather(self.work, return_exceptions=True)
        await self.journal.close()

    async def enqueue(self, name: str, *planned: PlannedStep) -> RunId:
        cause = Cause("request", name, AT)
        spec = PinnedSpec(job="rotate", commit="1f0c" * 10, steps=planned)
        new = NewRun(id=run_id("rotate", cause), cause=cause, spec=spec, params={}, pool="default")
        await self.journal.write(lambda tx: runs.enqueue(tx, new, self.clock.now()))
        return new.id

    async def claim(self) -> leases.Claim:
        (claim,) = await self.journal.write(lambda tx: leases.claim(tx, NAME, None, 1, self.clock.now()))
        return claim

    async def until(self, run: RunId, *states: RunState) -> RunView:
        """The run, once it is in one of the states."""
        watch = self.journal.watch()
        async with asyncio.timeout(30):
            while True:
                view = await self.journal.read(lambda conn: runs.get(conn, run))
                if view is not None and view.state in states:
                    watch.close()
                    return view
                await watch.changed(1.0)


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made = Place(tmp_path)
    yield made
    await made.close()


def dummy(phase: str = "steps", **more: object) -> PlannedStep:
    inputs = more.pop("inputs", {})
    return PlannedStep(id="only", phase=phase, action=Use("dummy", inputs), **more)  # type: ignore[arg-type]


async def test_a_run_that_nothing_works_on_is_given_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are renewed by the runner's name; without this its stray would be renewed as long as it lives."""
    monkeypatch.setattr(heartbeat, "_BEAT", 0.3)
    stray = await place.enqueue("stray", dummy())
    await place.claim()  # as if by this runner, whose execution of it is gone
    long = await place.enqueue("long", dummy(inputs={"sleep": "1h"}))
    place.start()
    view = await place.until(stray, RunState.SUCCEEDED)
    assert view.attempt == 2, "it was lost, queued again and executed"
    assert (await place.until(long, RunState.RUNNING)).attempt == 1, "what is worked on is kept"


async def test_a_finally_step_whose_condition_ceased_to_hold_is_skipped_after_a_crash(place: Place) -> None:
    """Its first attempt is lost, the author allows a second, and the run was cancelled meanwhile."""
    run = await place.enqueue("crashed", dummy("finally", idempotent=True, condition="!cancelled()"))
    claim = await place.claim()

    def crash(tx: Connection) -> None:
        steps.start(tx, claim.fence, RUNNER, "finally", "only", 1, place.clock.now())
        leases.void(tx, place.clock.now())
        runs.cancel(tx, run, reason=None, by="ann", now=place.clock.now())

    await place.journal.write(crash)
    place.start()
    view = await place.until(run, *(state for state in RunState if is_final(state)))
    ((step,),) = (result.steps for result in view.results)
    assert (step.state, step.attempts) == (StepState.SKIPPED, 2)
    assert view.reason != "internalError"


async def test_an_error_of_ours_leaves_no_step_running(place: Place) -> None:
    """Attempts in an order that nothing writes: the second one's skip is refused, and the run is given up."""
    run = await place.enqueue("broken", dummy("finally", idempotent=True, condition="!cancelled()"))
    claim = await place.claim()

    def crash(tx: Connection) -> None:
        for attempt in (2, 1):
            steps.start(tx, claim.fence, RUNNER, "finally", "only", attempt, place.clock.now())
        leases.void(tx, place.clock.now())
        runs.cancel(tx, run, reason=None, by="ann", now=place.clock.now())

    await place.journal.write(crash)
    place.start()
    view = await place.until(run, *(state for state in RunState if is_final(state)))
    assert (view.state, view.reason) == (RunState.UNKNOWN, "internalError")
    states = await place.journal.read(lambda conn: conn.execute(select(step_rows.c.state)).scalars().all())
    assert states == ["unknown", "unknown"]
    assert [(result.name, result.state) for result in view.results] == [(RUNNER, StepState.UNKNOWN)]


async def test_a_damaged_journal_ends_the_runner_with_the_message_itself(place: Place, tmp_path: Path) -> None:
    """Not within a group of errors, which whoever starts the runner would take for a bug."""
    run = await place.enqueue("long", dummy(inputs={"sleep": "1h"}))
    place.start()
    await place.until(run, RunState.RUNNING)
    for file in tmp_path.glob("journal.sqlite3*"):
        if not file.name.endswith("-shm"):
            file.write_bytes(os.urandom(file.stat().st_size))
    assert place.work is not None
    with pytest.raises(Refused, match="damaged"):
        await asyncio.wait_for(place.work, 30)


@contextlib.contextmanager
def claim_held_up() -> Iterator[tuple[threading.Event, threading.Event]]:
    """The next claim is in the journal, and whoever made it does not know yet: `reached`, until `go_on` is set."""
    reached, go_on = threading.Event(), threading.Event()

    def hook(name: str) -> None:
        if name == "claim.committed":
            reached.set()
            go_on.wait(30)

    points.install(hook)
    try:
        yield reached, go_on
    finally:
        go_on.set()
        points.install(None)


async def test_what_is_being_claimed_when_a_runner_drains_is_handed_over(place: Place) -> None:
    """It would be nobody's until its lease is over, and count as lost."""
    place.start()
    with claim_held_up() as (reached, go_on):
        run = await place.enqueue("late", dummy(inputs={"sleep": "1h"}))
        assert await asyncio.to_thread(reached.wait, 30)
        draining = asyncio.create_task(place.runner.drain(timedelta(seconds=20)))
        done, _ = await asyncio.wait({draining}, timeout=0.2)
        assert not done, "it waits for the claim that is under way"
        go_on.set()
        await draining
    view = await place.until(run, RunState.QUEUED)
    assert view.attempt == 1
    assert (await place.journal.read(lambda conn: conn.execute(select(run_rows.c.lost)).scalar_one())) == 0


async def test_what_is_being_claimed_when_a_runner_is_stopped_at_once_is_handed_over(place: Place) -> None:
    place.start()
    with claim_held_up() as (reached, go_on):
        run = await place.enqueue("late", dummy(inputs={"sleep": "1h"}))
        assert await asyncio.to_thread(reached.wait, 30)
        assert place.work is not None
        place.work.cancel()
        await asyncio.wait({place.work}, timeout=0.2)
        go_on.set()
        await asyncio.wait({place.work})
    view = await place.until(run, RunState.QUEUED)
    assert view.attempt == 1
