"""Retention over all that the engine keeps of a run: the journal, the status branch's outbox and the logs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.identity import Cause, RunId, run_id
from engine.states import RunState
from engine.views import RunView
from journal import runs
from journal.store import Journal
from opsconductor.settings import Settings, StateFolder, parse_source
from opsconductor.up import Engine
from runners import logs
from runners.logs import LogFile

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
    await journal.write(lambda tx: runs.import_run(tx, view, at))
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
    await engine._prune()
    assert await journal.read(lambda conn: runs.get(conn, old)) is None
    assert [path.name for path in settings.state.logs.glob("*/*/*/*")] == [new]
    await journal.close()
