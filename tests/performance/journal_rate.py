"""Runs a second through the journal, fifty at once, everything durable; and bare sqlite3 with as many commits."""

import asyncio
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Engine

from engine.identity import Cause, run_id
from engine.runs.pinned import PinnedSpec, PinnedTarget, PlannedStep, Script
from engine.states import RunState, StepState
from journal import leases, runs, steps
from journal.clock import SystemClock
from journal.runs import NewRun
from journal.steps import StepEnd
from journal.store import Journal
from tests.performance.measuring import alternating, times
from tests.performance.table import Row

_RUNS = 500
_AT_ONCE = 50
_ROUNDS = 5
_CHANGES = 6  # enqueue, claim, start, end, the target's end, finish


class _Ours:
    def __init__(self, folder: Path) -> None:
        self._clock = SystemClock()
        self.journal = Journal.open(f"sqlite:///{folder / 'journal.sqlite3'}", clock=self._clock)
        self._round = 0

    async def runs(self) -> None:
        self._round += 1
        names = iter([f"act-{self._round}-{number}" for number in range(_RUNS)])

        async def one_after_another() -> None:
            for name in names:
                await self._run(name)

        await asyncio.gather(*(one_after_another() for _ in range(_AT_ONCE)))

    async def _run(self, name: str) -> None:
        write, clock = self.journal.write, self._clock
        cause = Cause("request", name, datetime.now(UTC))
        script = PlannedStep("only", "steps", Script("sh", "true"))
        spec = PinnedSpec("empty", "1f0c" * 10, (script,), targets=(PinnedTarget("here"),), on_targets=True)
        new = NewRun(run_id("empty", cause), cause, spec, {}, "default", queue_timeout=timedelta(hours=1))
        await write(lambda tx: runs.enqueue(tx, new, clock.now()))
        # Another task may have taken our run: then one of its kind is left for us.
        (claim,) = await write(lambda tx: leases.claim(tx, "bench/1", ("default",), 1, clock.now()))
        fence, done = claim.fence, StepEnd(StepState.SUCCEEDED, exit_code=0, duration=0.1)
        await write(lambda tx: steps.start(tx, fence, "here", "steps", "only", 1, clock.now()))
        await write(lambda tx: steps.end(tx, fence, "here", "steps", "only", 1, done, clock.now()))
        await write(lambda tx: steps.end_target(tx, fence, "here", StepState.SUCCEEDED, {}, clock.now()))
        await write(lambda tx: leases.finish(tx, fence, RunState.SUCCEEDED, now=clock.now()))


class _Bare:
    """One connection, one row a commit, nothing else."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE t (a TEXT)"):
            self._connection.execute(statement)

    def commit(self, times_: int) -> float:
        began = time.perf_counter()
        for number in range(times_):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT INTO t VALUES (?)", (f"run {number}",))
            self._connection.execute("COMMIT")
        return time.perf_counter() - began


async def rows(folder: Path) -> list[Row]:
    bare = _Bare(folder / "bare.sqlite3")
    ours = _Ours(folder)
    with _Commits() as commits:
        taken = await alternating(
            _ROUNDS,
            {"ours": ours.runs, "bare": lambda: asyncio.to_thread(bare.commit, _RUNS * _CHANGES)},
        )
    await ours.journal.close()
    shared = _RUNS * (_ROUNDS + 1) * _CHANGES / commits.count
    return [
        Row(
            f"runs a second through the journal, {_AT_ONCE} at once",
            f"{_RUNS / taken.of('ours'):,.0f} ({shared:.0f} records a commit)",
            f"bare sqlite3, a commit a record: {_RUNS / taken.of('bare'):,.0f}",
            times(taken.ratio("bare", "ours")),
        )
    ]


class _Commits:
    """Counts the transactions that SQLAlchemy ends by a COMMIT."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "_Commits":
        event.listen(Engine, "commit", self._one)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "commit", self._one)

    def _one(self, _: object) -> None:
        self.count += 1
