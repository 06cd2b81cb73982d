"""What a local step costs over the process that it starts: the runner, with a durable start and a durable end."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

from engine.identity import Cause, RunId, run_id
from engine.runs.pinned import PinnedSpec, PinnedTarget, PlannedStep, Script
from engine.states import RunState
from engine.status.views import RunView
from journal import runs
from journal.clock import SystemClock
from journal.runs import NewRun
from journal.store import Journal
from runners.connections.local import LocalSettings
from runners.pool import Runner, RunnerSettings
from runners.secrets import Secrets
from schemas.target import Connections, LocalConnection
from tests.performance import prefect_peer
from tests.performance.measuring import Taken, alternating, milliseconds, times
from tests.performance.table import Row, Verdict

_STEPS = 40
_ROUNDS = 25
_GOAL = 0.001
_GOAL_BESIDE_PREFECT = 15


class _OneRunner:
    """A journal and a runner in this process, that run jobs of many empty steps."""

    def __init__(self, folder: Path) -> None:
        self._clock = SystemClock()
        self.journal = Journal.open(f"sqlite:///{folder / 'journal.sqlite3'}", clock=self._clock)
        self._watch = self.journal.watch(objects=True)
        self.runner = Runner(
            self.journal,
            pools=None,
            clock=self._clock,
            secrets=Secrets(None, {}),
            logs=folder / "logs",
            settings=RunnerSettings("bench/1", "here", folder / "runner.lock", local=LocalSettings()),
        )
        self._count = 0

    async def steps(self) -> float:
        """A run of many steps; seconds from a step's start to the next one's, the median."""
        self._count += 1
        run = await self._enqueue(f"bench-{self._count}")
        while run in await self.journal.read(runs.open_runs):
            await self._watch.changed(5)
        view = await self.journal.read(lambda conn: runs.get(conn, run))
        assert view is not None
        return _a_step(view)

    async def _enqueue(self, name: str) -> RunId:
        cause = Cause("request", name, datetime.now(UTC))
        steps = tuple(PlannedStep(f"s{number}", "steps", Script("sh", ":")) for number in range(_STEPS))
        here = PinnedTarget("here", connections=Connections(local=LocalConnection()), default_connection="local")
        spec = PinnedSpec("empty", "1f0c" * 10, steps, targets=(here,), on_targets=True)
        new = NewRun(run_id("empty", cause), cause, spec, {}, "default", queue_timeout=timedelta(hours=1))
        await self.journal.write(lambda tx: runs.enqueue(tx, new, self._clock.now()))
        return new.id


def _a_step(view: RunView) -> float:
    assert view.state is RunState.SUCCEEDED, view
    began = [step.started_at for step in view.results[0].steps]
    return median((later - one).total_seconds() for one, later in pairwise(began) if one and later)


async def _directly() -> float:
    """As many processes without us; seconds that one takes, the median."""
    return median([await _spawned() for _ in range(_STEPS)])


async def _spawned() -> float:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", ":", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await process.communicate()
    return time.perf_counter() - began


async def measured(folder: Path) -> Taken:
    """Seconds a step, and seconds a process without us, in turns."""
    one = _OneRunner(folder)
    running = asyncio.create_task(one.runner.run())
    try:
        return await alternating(_ROUNDS, {"ours": one.steps, "directly": _directly})
    finally:
        await one.runner.drain(timedelta(seconds=5))
        await running
        await one.journal.close()


async def rows(folder: Path) -> list[Row]:
    taken = await measured(folder)
    (folder / "prefect").mkdir()
    prefect = await prefect_peer.measured(folder / "prefect")
    added = taken.difference("ours", "directly")
    bare = taken.of("directly")
    first = Row(
        "a local step with its durable record adds", milliseconds(added), f"the process alone {milliseconds(bare)}",
        times(taken.ratio("ours", "directly")), "at most 1 ms", Verdict.of(added <= _GOAL),
    )  # fmt: skip
    return [first, *_beside(prefect, added)]


def _beside(prefect: prefect_peer.Added | prefect_peer.Missing, added: float) -> list[Row]:
    what = "the same, beside a task of Prefect 3"
    goal = f"at least {_GOAL_BESIDE_PREFECT}x less"
    if isinstance(prefect, prefect_peer.Missing):
        return [Row(what, milliseconds(added), prefect.reason, "", goal, Verdict.UNMEASURED)]
    until = ((prefect.recorded, "with its record"), (prefect.returned, "without waiting for its record"))
    return [
        Row(what if number == 0 else "", milliseconds(added), f"{prefect.version} {how} adds {milliseconds(theirs)}",
            f"{times(theirs / added)} less", goal, Verdict.of(theirs / added >= _GOAL_BESIDE_PREFECT))
        for number, (theirs, how) in enumerate(until)
    ]  # fmt: skip
