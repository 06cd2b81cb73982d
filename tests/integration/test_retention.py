"""Retention over all that the engine keeps of a run: the journal, the status branch's outbox and the logs."""

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.identity import Cause, RunId, run_id
from engine.states import RunState
from engine.status.views import RunView
from journal import history, runimport, runs
from journal.errors import Refused, Unavailable
from journal.store import Journal
from opsconductor.service.up import Engine
from opsconductor.settings import Settings, StateFolder, parse_source
from runners import logs
from runners.logs import LogFile
from schemas.project import Retention

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Fixed:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 1000.0


async def ended(journal: Journal, folder: Path, name: str, at: datetime) -> RunId:
    """A run that ended at `at`, with a log."""
    cause = Cause("request", name, at)
    run = run_id("rotate", cause)
    view = RunView(
        id=run, job="rotate", commit="1f0c", cause=cause, state=RunState.SUCCEEDED, queued_at=at, finished_at=at
    )
    await journal.write(lambda tx: runimport.import_run(tx, view, at))
    file = LogFile(folder, logs.reference(run, at, "web-01", "steps", "space", 1))
    file.write(b"71%\n")
    file.close()
    return run


async def test_a_run_that_is_past_its_retention_leaves_no_logs(tmp_path: Path) -> None:
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.sqlite3", clock=Fixed())
    settings = Settings(parse_source(str(tmp_path / "ops")), StateFolder(tmp_path))
    engine = Engine(settings, journal, Fixed())
    old = await ended(journal, settings.state.logs, "old", NOON - timedelta(days=1000))
    new = await ended(journal, settings.state.logs, "new", NOON - timedelta(days=1))
    await engine.controlling.showing.prune()
    assert await journal.read(lambda conn: runs.get(conn, old)) is None
    assert [path.name for path in settings.state.logs.glob("*/*/*/*")] == [new]
    await journal.close()


DIES = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from journal import points
from journal.store import Journal
from opsconductor.settings import Settings, StateFolder, parse_source
from opsconductor.service.up import Engine
from tests.integration.test_retention import Fixed

async def main():
    folder = Path({folder!r})
    journal = Journal.open(f"sqlite:///{{folder}}/journal.sqlite3", clock=Fixed())
    engine = Engine(Settings(parse_source(str(folder / "ops")), StateFolder(folder)), journal, Fixed())
    points.install(lambda point: os.kill(os.getpid(), signal.SIGKILL) if point == "prune.committed" else None)
    await engine.controlling.showing.prune()
asyncio.run(main())
"""


async def test_logs_go_though_the_engine_was_killed_before_it_removed_them(tmp_path: Path) -> None:
    """Their records are gone by then; the journal remembers what is still to be removed, and nothing else is."""
    settings = Settings(parse_source(str(tmp_path / "ops")), StateFolder(tmp_path))
    folder = settings.state.logs
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.sqlite3", clock=Fixed())
    old = await ended(journal, folder, "old", NOON - timedelta(days=1000))
    new = await ended(journal, folder, "new", NOON - timedelta(days=1))
    await journal.close()
    stray = folder / "2024" / "01" / "01" / "rotate-20240101T000000Z-0123456789"
    stray.mkdir(parents=True)
    code = DIES.format(root=str(ROOT), folder=str(tmp_path))
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert {path.name for path in folder.glob("*/*/*/*")} == {old, new, stray.name}

    journal = Journal.open(f"sqlite:///{tmp_path}/journal.sqlite3", clock=Fixed())
    assert await journal.read(lambda conn: runs.get(conn, old)) is None
    for _ in range(2):
        await Engine(settings, journal, Fixed()).controlling.showing.sweep_logs()
        assert {path.name for path in folder.glob("*/*/*/*")} == {new, stray.name}
        assert await journal.read(history.unswept) == ()
    await journal.close()


async def test_what_is_past_its_retention_goes_also_while_nothing_can_be_published(tmp_path: Path) -> None:
    """The remote is away."""
    journal = Journal.open(f"sqlite:///{tmp_path}/journal.sqlite3", clock=Fixed())
    settings = Settings(parse_source(str(tmp_path / "away")), StateFolder(tmp_path))
    engine = Engine(settings, journal, Fixed())
    old = await ended(journal, settings.state.logs, "old", NOON - timedelta(days=1000))
    branch = engine.controlling.status_branch("opsconductor/status")
    await journal.write(lambda tx: history.prune(tx, Retention(), NOON))
    with pytest.raises((Unavailable, Refused)):
        await branch.projection.publish()
    showing = asyncio.create_task(engine.controlling.showing.keep_up(branch))
    try:
        async with asyncio.timeout(60):
            while await journal.read(history.unswept) and not showing.done():
                await asyncio.sleep(0.02)
    finally:
        showing.cancel()
        await asyncio.wait({showing})
    assert not list(settings.state.logs.glob(f"*/*/*/{old}"))
    assert await journal.read(history.unswept) == ()
    await journal.close()
