"""One large run on several runners: its batches, places and failures are exact across all of them."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select

from engine.states import RunState, StepState
from engine.status.views import RunView
from journal import runs
from journal.clock import SystemClock
from journal.slicetables import slices
from journal.store import Journal
from runners.pool import Runner
from tests.hall import Hall, a_runner, hall, wide
from tests.postgresql import for_postgresql, postgresql_database, postgresql_url
from tests.running import Pipe, script

__all__ = ["for_postgresql", "hall", "postgresql_database", "postgresql_url"]


def most_at_once(lines: list[tuple[str, str]]) -> int:
    now = most = 0
    for what, _ in lines:
        now += 1 if what == "begin" else -1
        most = max(most, now)
    return most


def by_runner(view: RunView) -> Counter[str | None]:
    return Counter(found.runner for found in view.results)


def counted(lines: list[tuple[str, str]], what: str) -> Counter[str]:
    return Counter(target for said, target in lines if said == what)


class InThisProcess:
    """Runners beside the test, on one database."""

    def __init__(self, url: str, folder: Path) -> None:
        self.journal = Journal.open(url, clock=SystemClock())
        self.hall = Hall(url, folder, self.journal)
        self._folder = folder
        self._working: list[asyncio.Task[None]] = []

    def start(self, name: str, clock: SystemClock | None = None) -> Runner:
        made = a_runner(self.journal, self._folder / name, f"default/{name}", clock)
        self._working.append(asyncio.create_task(made.run()))
        return made

    async def close(self) -> None:
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        await self.journal.close()


@asynccontextmanager
async def in_this_process(url: str, folder: Path, *pipes: Pipe) -> AsyncIterator[InThisProcess]:
    made = InThisProcess(url, folder)
    try:
        yield made
    finally:
        await made.close()
        for pipe in pipes:
            pipe.close()


async def test_two_runners_work_on_one_large_run(postgresql_url: str, tmp_path: Path) -> None:
    go = Pipe(tmp_path / "go")
    step = script(f"read go <{go}; echo hello")
    new = wide(step, count=101, max_parallel=8, outputs={"said": "${{ steps.only.stdout }}"})
    names = ("default/ann", "default/bob")
    async with in_this_process(postgresql_url, tmp_path, go) as here:
        await here.hall.enqueue(new)
        here.start("ann")
        here.start("bob")
        await both_have_joined(here.journal)
        go.let_go(101)
        done = await here.hall.ended(new.id, 60)
    assert (done.state, done.attempt, len(done.results)) == (RunState.SUCCEEDED, 1, 101)
    assert {found.state for found in done.results} == {StepState.SUCCEEDED}
    assert done.outputs == {"said": dict.fromkeys(done.targets, "hello")}
    assert done.runner in names
    shares = by_runner(done)
    assert set(shares) == set(names)
    assert min(shares.values()) > 20


class Off(SystemClock):
    """A clock that somebody has set wrong."""

    def __init__(self, hours: int) -> None:
        self.hours = hours

    def now(self) -> datetime:
        return super().now() + timedelta(hours=self.hours)


@pytest.mark.parametrize(("claims", "joins"), [(-2, 0), (2, 0), (0, 2), (0, -2)])
async def test_runners_whose_clocks_are_apart_work_on_one_run(
    postgresql_url: str, tmp_path: Path, claims: int, joins: int
) -> None:
    """When it began and whether its time is over goes by the clock of the database: the one that they share."""
    go = Pipe(tmp_path / "go")
    new = wide(script(f"read go <{go}"), count=101, max_parallel=4, timeout=timedelta(hours=1))
    async with in_this_process(postgresql_url, tmp_path, go) as here:
        with structlog.testing.capture_logs() as told:
            here.start("ann", Off(claims))
            await here.hall.enqueue(new)
            await here.hall.until(new.id, lambda view: view.state is RunState.RUNNING)
            here.start("bob", Off(joins))
            await both_have_joined(here.journal)
        go.let_go(101)
        done = await here.hall.ended(new.id, 60)
    assert (done.state, {found.state for found in done.results}) == (RunState.SUCCEEDED, {StepState.SUCCEEDED})
    assert set(by_runner(done)) == {"default/ann", "default/bob"}
    truly(done)
    (warned,) = [one["runner"] for one in told if "apart" in one["event"]]
    assert warned == ("default/ann" if claims else "default/bob")


@pytest.mark.parametrize(("first", "second"), [(-2, 0), (0, 2)])
async def test_the_time_of_a_run_that_is_handed_over_goes_by_one_clock(
    postgresql_url: str, tmp_path: Path, first: int, second: int
) -> None:
    go = Pipe(tmp_path / "go")
    new = wide(script(f"echo >{go}.began; read go <{go}"), count=2, max_parallel=1, timeout=timedelta(hours=1))
    began = Pipe(tmp_path / "go.began")
    async with in_this_process(postgresql_url, tmp_path, go, began) as here:
        ann = here.start("ann", Off(first))
        await here.hall.enqueue(new)
        await began.lines(1)
        draining = asyncio.create_task(ann.drain(timedelta(seconds=30)))
        await asyncio.sleep(0)
        go.let_go(2)
        await draining
        here.start("bob", Off(second))
        done = await here.hall.ended(new.id, 60)
    assert (done.state, done.attempt, done.runner) == (RunState.SUCCEEDED, 2, "default/bob")
    truly(done)


def truly(done: RunView) -> None:
    """It says when it was begun and when it ended."""
    now, while_ago = SystemClock().now(), timedelta(minutes=10)
    assert done.started_at is not None
    assert done.finished_at is not None
    steps = [at for found in done.results for step in found.steps for at in (step.started_at,) if at is not None]
    assert all(now - while_ago < at <= now for at in (done.started_at, done.finished_at, *steps))
    assert done.started_at <= done.finished_at


async def both_have_joined(journal: Journal) -> None:
    watch = journal.watch()
    try:
        async with asyncio.timeout(30):
            while len(await journal.read(lambda conn: conn.execute(select(slices)).all())) < 2:
                await watch.changed(1.0)
    finally:
        watch.close()


@pytest.mark.slow
@pytest.mark.parametrize("names", [("ann", "bob"), ("ann", "bob", "cid", "dan")], ids=["two", "four"])
async def test_batches_and_places_are_kept_by_all_of_them_together(hall: Hall, names: tuple[str, ...]) -> None:
    new = wide(hall.on_each("sleep 0.2"), max_parallel=12, batches=(1, "25%", "100%"))
    hall.start(*names)
    run = await hall.enqueue(new)
    done = await hall.ended(run)
    assert done.state is RunState.SUCCEEDED
    lines = hall.lines()
    once = dict.fromkeys(done.targets, 1)
    assert (counted(lines, "begin"), counted(lines, "end")) == (once, once)
    assert most_at_once(lines) <= 12
    for border in (1, 61):
        before, after = set(done.targets[:border]), lines[2 * border :]
        assert not before & {target for _, target in after}, "a batch begins when the one before has ended"
    assert set(by_runner(done)) == {f"default/{name}" for name in names}


@pytest.mark.slow
async def test_after_a_kill_the_others_do_what_was_in_its_hands(hall: Hall) -> None:
    """They never stand still, and no other target is done twice."""
    new = wide(hall.on_each("sleep 0.3", idempotent=True), max_parallel=8)
    hall.start("ann", "bob", "cid")
    run = await hall.enqueue(new)

    def all_at_work(view: RunView) -> bool:
        return len({found.runner for found in view.results if found.state is StepState.SUCCEEDED}) == 3

    await hall.until(run, all_at_work)
    hall.processes["bob"].kill()
    hall.processes["bob"].wait()
    killed = await hall.until(run, lambda _: True)
    open_ = {found.name for found in killed.results if found.state is StepState.RUNNING}
    done = await hall.ended(run)
    assert (done.state, done.attempt) == (RunState.SUCCEEDED, 1)
    assert {found.state for found in done.results} == {StepState.SUCCEEDED}
    begun = counted(hall.lines(), "begin")
    assert set(begun) == set(done.targets)
    twice = {target for target, times in begun.items() if times > 1}
    assert twice <= open_
    assert len(twice) <= 4, "no more than its places"
    assert {found.runner for found in done.results if found.name in twice} <= {"default/ann", "default/cid"}


@pytest.mark.slow
async def test_a_failure_too_many_stops_all_of_them(hall: Hall) -> None:
    new = wide(hall.on_each("exit 3"), max_parallel=2, max_failures=9)
    hall.start("ann", "bob")
    done = await hall.ended(await hall.enqueue(new))
    assert (done.state, done.reason) == (RunState.FAILED, "maxFailures")
    begun = counted(hall.lines(), "begin")
    assert 10 <= len(begun) <= 11, "the tenth failure is the one too many, and one more may be at work then"
    assert set(begun.values()) == {1}
    rest = [found for found in done.results if found.name not in begun]
    assert {(found.state, found.reason) for found in rest} == {(StepState.SKIPPED, "maxFailures")}
    assert len(done.results) == len(done.targets)


@pytest.mark.slow
async def test_one_that_drains_hands_its_part_to_the_others(hall: Hall) -> None:
    """And one that comes later joins in: nothing is lost, and nothing done twice, though nothing may be repeated."""
    new = wide(hall.on_each("sleep 0.2"), max_parallel=6)
    hall.start("ann", "bob")
    run = await hall.enqueue(new)
    await hall.until(run, lambda view: len(by_runner(view)) == 2)
    hall.start("cid")
    hall.processes["ann"].send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(hall.processes["ann"].wait, 30) == 0
    done = await hall.ended(run)
    assert done.state is RunState.SUCCEEDED
    lines = hall.lines()
    once = dict.fromkeys(done.targets, 1)
    assert (counted(lines, "begin"), counted(lines, "end")) == (once, once)
    assert most_at_once(lines) <= 6
    assert set(by_runner(done)) == {"default/ann", "default/bob", "default/cid"}


@pytest.mark.slow
async def test_when_all_are_gone_the_run_goes_on_with_who_comes_next(hall: Hall) -> None:
    new = wide(hall.on_each("sleep 0.2", idempotent=True), count=160, max_parallel=6, batches=(20, "100%"))
    hall.start("ann", "bob")
    run = await hall.enqueue(new)
    await hall.until(run, lambda view: len(by_runner(view)) == 2 and len(view.results) > 30)
    for name in ("ann", "bob"):
        hall.processes[name].kill()
        hall.processes[name].wait()
    await hall.until(run, lambda view: view.state is RunState.QUEUED)
    hall.start("cid", "dan")
    done = await hall.ended(run)
    assert (done.state, done.attempt) == (RunState.SUCCEEDED, 2)
    begun = counted(hall.lines(), "begin")
    assert (set(begun), sum(begun.values()) - len(begun) <= 6) == (set(done.targets), True)


@pytest.mark.slow
@pytest.mark.parametrize("why", ["cancelled", "timedOut"])
async def test_all_of_them_hear_that_the_run_is_to_end(hall: Hall, why: str) -> None:
    last = script(f'echo "bye $OC1" >>{hall.record}', "bye", holes=("target.name",), phase="finally")
    limit = timedelta(seconds=6) if why == "timedOut" else timedelta(hours=1)
    new = wide(hall.on_each("sleep 600"), last, count=120, max_parallel=4, timeout=limit)
    hall.record.touch()
    hall.start("ann", "bob")
    run = await hall.enqueue(new)
    await hall.until(run, lambda view: len(view.results) == 4 == len(counted(hall.lines(), "begin")))
    if why == "cancelled":
        told = await hall.journal.write(lambda tx: runs.cancel(tx, run, reason=None, by="ann", now=hall.clock.now()))
        assert told == "asked"
    done = await hall.ended(run)
    assert (done.state, {found.state for found in done.results}) == (RunState(why), {StepState(why)})
    lines = hall.lines()
    assert counted(lines, "begin") == counted(lines, "bye")
    assert len(done.results) == 120
