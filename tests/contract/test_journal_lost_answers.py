"""The answer to a commit may be lost: what its writer does again is found to be done, and is told of once."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from engine.runs import strategy
from engine.runs.pinned import PlannedStep, Script
from engine.states import RunState, StepState
from journal import evidence, leases, outbox, points, runs, steps, uses
from journal.databases.tables import runs as table
from journal.errors import FenceLost, Unavailable
from journal.steps import StepEnd
from journal.store import Journal
from journal.targetends import TargetEnd
from runners import record as recording
from runners.keyring import Keyring
from runners.masking import Masker
from runners.record import Record
from tests.contract.conftest import Desk, GivenClock, a_run, opened
from tests.journalwriter import get, put
from tests.postgresql import shared
from tests.wire import LostCommit, wire

T = "web-01"
SPACE = PlannedStep(id="space", phase="steps", action=Script("sh", "true"))
NOT_HELD = "run is no longer held: handed over without an answer, or lost to another runner before"
GOOD = StepEnd(StepState.SUCCEEDED, 0, 0.1, {"used": 71})


@dataclass
class Losing:
    """A desk whose next commits are made, and nobody hears of it."""

    desk: Desk
    lose: Callable[[int], object]

    async def recorded(self) -> tuple[Record, Any]:
        """What a runner writes with about a run that it has claimed."""
        fence = (await self.desk.running()).fence
        await self.desk.do(outbox.advance, "status", await self.desk.see(outbox.last))
        return self.record(fence), fence

    def record(self, fence: Any) -> Record:
        keys = Keyring(NoSecrets(), Masker())  # type: ignore[arg-type]
        return Record(self.desk.journal, self.desk.clock, fence, keys, structlog.get_logger("tests"))


class NoSecrets:
    """Nothing is opened here."""


@pytest.fixture
def losing_sqlite() -> Iterator[Callable[[int], object]]:
    """A disk that fails when the commit is in the log."""
    left = [0]

    def fail(point: str) -> None:
        if left[0] and point.endswith(".committed"):
            left[0] -= 1
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise OperationalError("COMMIT", {}, error)

    points.install(fail)
    yield lambda times: left.__setitem__(0, times)
    points.install(None)


@pytest.fixture
async def losing(
    url: str, clock: GivenClock, losing_sqlite: Callable[[int], object], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Losing]:
    monkeypatch.setattr(recording, "_LONGEST_PAUSE", 0.02)
    if url.startswith("sqlite"):
        journal = opened(url, clock)
        yield Losing(Desk(journal, clock), losing_sqlite)
        await journal.close()
        return
    fault = LostCommit()
    database = url.partition("?")[0].rpartition("/")[2]
    with wire(shared(), database, fault) as through:
        journal: Journal = opened(through, clock)  # type: ignore[no-redef]
        yield Losing(Desk(journal, clock), lambda times: setattr(fault, "times", times))
        await journal.close()


async def test_a_commit_whose_answer_is_lost_has_happened(losing: Losing) -> None:
    """Its maker is told only that the journal cannot be used now."""

    def change(tx: Connection) -> None:
        points.record("consume")
        put("x")(tx)

    losing.lose(1)
    with pytest.raises(Unavailable):
        await losing.desk.journal.write(change)
    assert await losing.desk.journal.read(get("x")) == 1


@pytest.mark.parametrize("times", [1, 3])
async def test_a_step_whose_start_and_end_were_not_answered_is_done_once_and_known(losing: Losing, times: int) -> None:
    record, fence = await losing.recorded()
    losing.lose(times)
    assert await record.start(T, SPACE, 1), "it was us: the step is to be done"
    losing.lose(times)
    await record.end(T, SPACE, 1, GOOD)
    losing.lose(times)
    await record.end_target(TargetEnd(T, StepState.SUCCEEDED, {"freed": 1}))
    view = await losing.desk.see(runs.get, fence.run)
    ((step,),) = [place.steps for place in view.results]
    assert (step.state, step.attempts, step.outputs) == (StepState.SUCCEEDED, 1, {"used": 71})
    assert await losing.desk.see(evidence.of, fence.run) == ()


async def test_what_another_has_started_is_not_taken_for_ones_own(losing: Losing) -> None:
    """Of the same claim at another instant, and of an earlier one that had the same."""
    record, fence = await losing.recorded()
    assert await record.start(T, SPACE, 1)
    losing.desk.clock.advance(0.000001)
    assert not await record.start(T, SPACE, 1)
    losing.desk.clock.advance(60)
    await losing.desk.reap()
    (claim,) = await losing.desk.claim("default/other")
    again = Record(losing.desk.journal, losing.desk.clock, claim.fence, record._keys, record._log)
    losing.desk.clock.instant = claim.started_at
    assert claim.fence.token == fence.token + 1
    assert not await again.start(T, SPACE, 1)


async def test_other_writes_about_a_step_that_were_not_answered_are_done_once(losing: Losing) -> None:
    record, fence = await losing.recorded()
    losing.lose(1)
    skipped = await record.skip(T, SPACE, 1, "condition")
    assert skipped.state is StepState.SKIPPED
    losing.lose(1)
    failed = StepEnd(StepState.FAILED, 3, error="exit 3")
    await record.start_and_end("web-02", SPACE, 1, failed)
    losing.lose(1)
    await record.rescue("web-02", SPACE)
    view = await losing.desk.see(runs.get, fence.run)
    found = [(place.name, step.state, step.error, step.rescued) for place in view.results for step in place.steps]
    assert found == [
        (T, StepState.SKIPPED, "condition", False),
        ("web-02", StepState.FAILED, "exit 3", True),
    ]
    assert await losing.desk.see(evidence.of, fence.run) == ()
    assert await losing.desk.see(uses.of_run, fence.run) == ()


@pytest.mark.parametrize("end", ["finish", "finish with its last target", "give_up", "release"])
async def test_the_end_of_a_run_that_was_not_answered_is_told_once(losing: Losing, end: str) -> None:
    """And its runner does not take itself for replaced."""
    record, fence = await losing.recorded()
    await record.start(T, SPACE, 1)
    losing.lose(2)
    match end:
        case "finish":
            await record.finish(RunState.SUCCEEDED, {"freed": 1})
        case "finish with its last target":
            last = TargetEnd(T, StepState.SUCCEEDED, {})
            await record.finish(RunState.SUCCEEDED, {"freed": 1}, last=last)
        case "give_up":
            await record.give_up("an error")
        case _:
            await record.release()
    state = {"give_up": "unknown", "release": "queued"}.get(end, "succeeded")
    assert await losing.desk.state(fence.run) == state
    assert await losing.desk.see(evidence.of, fence.run) == ()
    lost = await losing.desk.see(lambda conn: conn.execute(select(table.c.lost)).scalar_one())
    assert lost == 0
    if end != "release":
        losing.desk.clock.advance(1)
        with pytest.raises(FenceLost):
            await record.finish(RunState.SUCCEEDED, {}, last=TargetEnd(T, StepState.SUCCEEDED, {}))


@pytest.mark.parametrize("sliced", [False, True])
async def test_a_run_handed_over_without_an_answer_is_not_taken_for_lost(
    losing: Losing, monkeypatch: pytest.MonkeyPatch, sliced: bool
) -> None:
    """Neither where another has it by then, nor of a slice, of which nothing is left once it is given back."""
    monkeypatch.setattr(strategy, "SLICED_ABOVE", 1)
    desk = losing.desk
    await desk.enqueue(a_run())
    (claim,) = await desk.do(leases.claim, desk.runner, None, 1, desk.clock.now(), sliced=sliced)
    record = losing.record(claim.fence)
    losing.lose(1)
    write, others = desk.journal.write, []

    async def written(change: Callable[[Connection], Any], *, hurry: bool = False) -> Any:
        try:
            return await write(change, hurry=hurry)
        except Unavailable:
            others.extend(await desk.claim("default/other"))
            raise

    with monkeypatch.context() as meanwhile, capture_logs() as said:
        meanwhile.setattr(desk.journal, "write", written)
        await record.release()
    assert (claim.sliced, [one.runner for one in others]) == (sliced, ["default/other"])
    assert [one["event"] for one in said if one["event"].startswith("run ")] == [NOT_HELD]
    with pytest.raises(FenceLost):
        await record.release()


async def test_a_run_that_another_took_before_it_was_handed_over_is_not_called_handed_over(
    losing: Losing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit had not happened, and by the next attempt the lease had run out."""
    desk = losing.desk
    record, fence = await losing.recorded()
    write, refused = desk.journal.write, []

    async def written(change: Callable[[Connection], Any], *, hurry: bool = False) -> Any:
        if refused:
            return await write(change, hurry=hurry)

        def undone(tx: Connection) -> None:
            refused.append(change(tx))
            raise Unavailable("the disk is away")

        try:
            return await write(undone, hurry=hurry)
        except Unavailable:
            desk.clock.advance(60)
            await desk.reap()
            await desk.claim("default/other")
            raise

    with monkeypatch.context() as meanwhile, capture_logs() as said:
        meanwhile.setattr(desk.journal, "write", written)
        await record.release()
    assert [one["event"] for one in said if one["event"].startswith("run ")] == [NOT_HELD]
    view = await desk.see(runs.get, fence.run)
    assert (view.state, view.attempt) == (RunState.RUNNING, 2)


async def test_what_was_handed_over_is_said_to_be(losing: Losing) -> None:
    """Also where only the answer to the commit was lost, and nobody has claimed it since."""
    record, _ = await losing.recorded()
    losing.lose(1)
    with capture_logs() as said:
        await record.release()
    assert [one["event"] for one in said if one["event"].startswith("run ")] == ["run handed over"]


async def test_a_claim_that_was_not_answered_costs_the_run_none_of_its_attempts(losing: Losing) -> None:
    """Its runner holds what it does not know of, and gives it back; nothing of it has begun."""
    desk = losing.desk
    await desk.enqueue(a_run())
    for _ in range(4):
        losing.lose(1)
        with pytest.raises(Unavailable):
            await desk.claim()
        (held,) = (await desk.do(leases.renew, desk.runner)).held
        (given,) = await desk.do(leases.give_back, desk.runner, [held], desk.clock.now())
        assert given.to is RunState.QUEUED
    (claim,) = await desk.claim()
    await desk.do(steps.start, claim.fence, T, "steps", "space", 1, desk.clock.now())
    await desk.do(leases.give_back, desk.runner, [claim.fence.run], desk.clock.now())
    lost = await desk.see(lambda conn: conn.execute(select(table.c.lost)).scalar_one())
    assert lost == 1, "what has begun was lost"
