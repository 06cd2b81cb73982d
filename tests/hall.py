"""Runners in processes of their own on one PostgreSQL, and what the targets of a large run record of them."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.identity import Cause, RunId, run_id
from engine.runs.pinned import PinnedSpec, PlannedStep
from engine.status.views import RunView
from journal import runs
from journal.attendance import Runner as Sign
from journal.clock import Clock, SystemClock
from journal.databases.tables import runs as table
from journal.reaper import Reaper
from journal.runs import NewRun
from journal.store import Journal
from opsconductor import __version__
from opsconductor.service.signs import Signs
from runners.pool import Runner, RunnerSettings
from runners.secrets import Secrets
from tests.postgresql import postgresql_url
from tests.running import here, script

__all__ = ["postgresql_url"]

AT = datetime(2026, 11, 22, tzinfo=UTC)
WORKER = """
import asyncio, sys
from tests.hall import worked
asyncio.run(worked(*sys.argv[1:]))
"""
GRACE = timedelta(seconds=20)


def a_runner(journal: Journal, folder: Path, name: str, clock: Clock | None = None) -> Runner:
    folder.mkdir(parents=True)
    return Runner(
        journal,
        pools=lambda: frozenset({"default"}),
        clock=clock or SystemClock(),
        secrets=Secrets(folder / "secrets", {}),
        logs=folder,
        settings=RunnerSettings(name=name, host="here", lock=folder / "runner.lock"),
    )


async def worked(url: str, folder: str, name: str) -> None:
    """In a process of its own: be a runner until SIGTERM, which drains it."""
    clock = SystemClock()
    journal = Journal.open(url, clock=clock)
    runner = a_runner(journal, Path(folder), name)
    working = asyncio.create_task(runner.run())
    since = clock.now()

    def sign(now: datetime) -> Sign:
        return Sign(name, "default", "here", __version__, since, now, len(runner.active), runner.capacity, labels={})

    signs = asyncio.create_task(Signs(journal, clock).runner(sign))  # by which those beside it know that it is there
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    print("works", flush=True)
    await asyncio.wait({working, asyncio.create_task(told.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await runner.drain(GRACE)
    await working
    signs.cancel()
    await asyncio.gather(signs, return_exceptions=True)
    await journal.close()


def wide(*planned: PlannedStep, count: int = 240, **more: Any) -> NewRun:
    cause = Cause("request", "wide", AT)
    targets = tuple(here(f"web-{number:04}") for number in range(count))
    spec = PinnedSpec(job="wide", commit="1f0c" * 10, steps=planned, targets=targets, on_targets=True, **more)
    return NewRun(id=run_id("wide", cause), cause=cause, spec=spec, params={}, pool="default")


@dataclass
class Hall:
    """A journal on PostgreSQL, with runners in processes of their own, and what targets have recorded."""

    url: str
    folder: Path
    journal: Journal
    clock: SystemClock = field(default_factory=SystemClock)
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    @property
    def record(self) -> Path:
        return self.folder / "record"

    def start(self, *names: str) -> None:
        for name in names:
            process = subprocess.Popen(
                [sys.executable, "-c", WORKER, self.url, str(self.folder / name), f"default/{name}"],
                cwd=Path(__file__).parents[1],
                stdout=subprocess.PIPE,
                text=True,
            )
            self.processes[name] = process
            assert process.stdout is not None
            assert process.stdout.readline() == "works\n"

    def on_each(self, text: str = "", **more: Any) -> PlannedStep:
        """A step that says of each target when it begins and when it ends; each line is written at once."""
        said = f'echo "begin $OC1" >>{self.record}\n{text}\necho "end $OC1" >>{self.record}'
        return script(said, holes=("target.name",), **more)

    def lines(self) -> list[tuple[str, str]]:
        found = [line.split() for line in self.record.read_text().splitlines()]
        return [(what, target) for what, target in found]

    async def enqueue(self, new: NewRun) -> RunId:
        await self.journal.write(lambda tx: runs.enqueue(tx, new, self.clock.now()))
        return new.id

    async def until(self, run: RunId, holds: Callable[[RunView], bool], seconds: float = 120) -> RunView:
        watch = self.journal.watch()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    view = await self.journal.read(lambda conn: runs.get(conn, run))
                    assert view is not None
                    if holds(view):
                        return view
                    await watch.changed(0.2)
        finally:
            watch.close()

    async def ended(self, run: RunId, seconds: float = 120) -> RunView:
        watch = self.journal.watch(objects=True)
        query = select(table.c.finished_at).where(table.c.id == run)  # all of a large run takes its time to read
        try:
            async with asyncio.timeout(seconds):
                while await self.journal.read(lambda conn: conn.execute(query).scalar()) is None:
                    await watch.changed(1.0)
        finally:
            watch.close()
        return await self.until(run, lambda _: True)

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
async def hall(postgresql_url: str, tmp_path: Path) -> AsyncIterator[Hall]:
    journal = Journal.open(postgresql_url, clock=SystemClock())
    found = Hall(postgresql_url, tmp_path, journal)
    reaping = asyncio.create_task(Reaper(journal, found.clock).run())
    yield found
    reaping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reaping
    found.close()
    await journal.close()
