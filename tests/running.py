"""A runner on a journal of its own, and what tests need to watch the processes of its steps without sleeping."""

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy import Connection, update

from engine.identity import Cause, RunId, run_id
from engine.runs.pinned import RUNNER, PinnedSpec, PinnedTarget, PlannedStep, Script
from engine.states import RunState, StepState, is_final
from engine.status.views import RunView, StepView, TargetView
from journal import leases, runs
from journal.clock import SystemClock
from journal.databases import leaseclock
from journal.databases.tables import runs as table
from journal.runs import NewRun
from journal.store import Journal
from opsconductor.committed import file_below
from runners.pool import Runner, RunnerSettings
from runners.repository import Entry, NoFile
from runners.secrets import Secrets
from schemas.target import Connections, LocalConnection

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PATIENCE = 30.0


class Pipe:
    """A FIFO between a test and the steps of a run on this host: lines are events for both."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        # for reading and writing: it has no end as long as the test holds it
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""

    def __str__(self) -> str:
        return str(self.path)

    async def lines(self, count: int) -> list[str]:
        """The next lines that steps write, once they are there."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while self._rest.count(b"\n") < count:
                ready = asyncio.Event()
                loop.add_reader(self._end, ready.set)
                try:
                    await ready.wait()
                finally:
                    loop.remove_reader(self._end)
                with contextlib.suppress(BlockingIOError):
                    self._rest += os.read(self._end, 65536)
        *found, self._rest = self._rest.split(b"\n", count)
        return [line.decode() for line in found]

    async def pids(self, count: int) -> list[int]:
        return [int(line) for line in await self.lines(count)]

    def let_go(self, count: int = 1) -> None:
        """Let so many steps go on that read a line from here."""
        os.write(self._end, b"\n" * count)

    def close(self) -> None:
        os.close(self._end)


def lives(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int, seconds: float = PATIENCE) -> bool:
    """Wait for the end of any process of this host."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(handle)


def end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def script(
    text: str, step_id: str = "only", *, shell: Any = "sh", holes: tuple[str, ...] = (), **more: Any
) -> PlannedStep:
    """A step that runs a script; `phase` and all else may be given."""
    phase = more.pop("phase", "steps")
    return PlannedStep(id=step_id, phase=phase, action=Script(shell, text, holes), **more)


def here(name: str) -> PinnedTarget:
    """A target that is this host."""
    return PinnedTarget(name, connections=Connections(local=LocalConnection()), default_connection="local")


@dataclass
class Ran:
    """An ended run, with short words for its parts."""

    view: RunView

    @property
    def state(self) -> RunState:
        return self.view.state

    def steps(self, target: str | None = None) -> dict[str, StepView]:
        """By id; none before the first has started."""
        found = next((each for each in self.view.results if target in (None, each.name)), TargetView("-"))
        return {step.id: step for step in found.steps}

    def states(self, target: str | None = None) -> dict[str, StepState]:
        return {name: step.state for name, step in self.steps(target).items()}


class FolderFiles:
    """The files of the repository, as a folder has them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, commit: str, path: str) -> bytes:
        return file_below(self._root, path)

    def listed(self, commit: str, folder: str) -> tuple[Entry, ...]:
        top = self._root / folder
        if not top.is_dir():
            raise NoFile(f"'{folder}' is no folder")
        found = (file for file in sorted(top.rglob("*")) if file.is_file())
        return tuple(
            Entry(str(file.relative_to(top)), file.stat().st_size, bool(file.stat().st_mode & 0o100)) for file in found
        )


class Bench:
    """A journal, and runners on it, one after the other."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        """`url` is of the store; without it, of one in the folder."""
        self.folder = folder
        self.clock = SystemClock()
        self.journal = Journal.open(url or f"sqlite:///{folder}/journal.sqlite3", clock=self.clock)
        self.secrets = folder / "secrets"
        self.secrets.mkdir(exist_ok=True)
        self.environ: dict[str, str] = {}
        self.serves: frozenset[str] | None = None
        """The pools that its runners serve, for what credentials ask; None for every one."""
        self.logs = folder / "logs"
        self.files = folder / "repository"
        """What the repository holds, at every commit."""
        self.files.mkdir(exist_ok=True)
        self.runner: Runner
        self._made = 0
        self._work: list[asyncio.Task[None]] = []
        self._pipes: list[Pipe] = []

    def start(self, **settings: Any) -> Runner:
        """A runner begins to work."""
        self._made += 1
        self.runner = Runner(
            self.journal,
            pools=None,
            clock=self.clock,
            secrets=Secrets(
                self.secrets, self.environ, None if self.serves is None else lambda: self.serves or frozenset()
            ),
            logs=self.logs,
            repository=FolderFiles(self.files),
            settings=RunnerSettings(
                name=f"default/{self._made}", host="here", lock=self.folder / "runner.lock", **settings
            ),
        )
        self._work.append(asyncio.create_task(self.runner.run()))
        return self.runner

    def pipe(self, name: str) -> Pipe:
        made = Pipe(self.folder / name)
        self._pipes.append(made)
        return made

    async def close(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self.journal.close()
        for pipe in self._pipes:
            pipe.close()

    async def enqueue(
        self,
        *planned: PlannedStep,
        targets: tuple[PinnedTarget, ...] = (),
        params: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> RunId:
        cause = Cause("request", "one", AT)
        pinned = PinnedSpec(
            job="rotate", commit="1f0c" * 10, steps=planned, targets=targets, on_targets=bool(targets), **spec
        )
        new = NewRun(id=run_id("rotate", cause), cause=cause, spec=pinned, params=params or {}, pool="default")
        await self.journal.write(lambda tx: runs.enqueue(tx, new, self.clock.now()))
        return new.id

    async def execute(self, *planned: PlannedStep, patience: float = PATIENCE, **more: Any) -> Ran:
        """Queue a run, work on it, and wait for its end."""
        run = await self.enqueue(*planned, **more)
        self.start()
        return await self.ended(run, patience=patience)

    async def cancel(self, run: RunId) -> None:
        await self.journal.write(lambda tx: runs.cancel(tx, run, reason=None, by="ann", now=self.clock.now()))

    async def lose(self, *steps_: PlannedStep, target: str = RUNNER) -> None:
        """A runner claims the run, starts these, and is never heard of again."""
        from journal import steps

        (claim,) = await self.journal.write(lambda tx: leases.claim(tx, "default/lost", None, 1, self.clock.now()))

        def crash(tx: Any) -> None:
            for step in steps_:
                steps.start(tx, claim.fence, target, step.phase, step.id, 1, self.clock.now())
            leases.void(tx, self.clock.now())

        await self.journal.write(crash)

    async def take_away(self) -> None:
        """All that runners hold is taken away from them, as when they were silent for too long."""

        def change(tx: Connection) -> None:
            tx.execute(update(table).values(lease_until=leaseclock.at(tx) - 1))
            leases.reap(tx, self.clock.now())

        await self.journal.write(change)

    async def see(self, run: RunId) -> Ran:
        view = await self.journal.read(lambda conn: runs.get(conn, run))
        assert view is not None
        return Ran(view)

    async def until(self, run: RunId, holds: Callable[[Ran], bool]) -> Ran:
        """The run, as soon as something holds of it."""
        watch = self.journal.watch()
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds(found := await self.see(run)):
                    await watch.changed(1.0)
                return found
        finally:
            watch.close()

    async def ended(self, run: RunId, *, patience: float = PATIENCE) -> Ran:
        """The run, once it has ended; not later than `patience` seconds from now."""
        watch = self.journal.watch()
        try:
            async with asyncio.timeout(patience):
                while not is_final((found := await self.see(run)).state):
                    await watch.changed(1.0)
                return found
        finally:
            watch.close()

    async def kill(self) -> None:
        """The runner is gone, and has given nothing back."""
        self._work[-1].cancel()
        await asyncio.gather(self._work[-1], return_exceptions=True)

    async def drain(self, grace: timedelta) -> None:
        """The runner gives back what it has, and stops."""
        await self.runner.drain(grace)
        await self._work[-1]


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.close()
