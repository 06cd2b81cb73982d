"""Several runners on one database: none idles while another has more to do than it must."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, event, func, select

from engine.identity import Cause, run_id
from engine.runs.pinned import PinnedSpec, PlannedStep, Use
from journal import attendance, runs
from journal.clock import SystemClock
from journal.databases import leaseclock
from journal.databases.tables import runs as table
from journal.runs import NewRun
from journal.store import Journal
from runners.pool import Runner, RunnerSettings
from runners.secrets import Secrets
from tests.postgresql import for_postgresql, postgresql_database, postgresql_url

__all__ = ["for_postgresql", "postgresql_database", "postgresql_url"]

AT = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = ("default/ann", "default/bob", "default/cid")


def long(name: str) -> NewRun:
    cause = Cause("request", name, AT)
    step = PlannedStep(id="only", phase="steps", action=Use("dummy", {"sleep": "1h"}))
    spec = PinnedSpec(job=name, commit="1f0c" * 10, steps=(step,))
    return NewRun(id=run_id(name, cause), cause=cause, spec=spec, params={}, pool="default")


def held(conn: Connection) -> dict[str, int]:
    query = select(table.c.runner, func.count()).where(table.c.runner.is_not(None)).group_by(table.c.runner)
    return {str(name): int(count) for name, count in conn.execute(query)}


def runner(journal: Journal, folder: Path, name: str) -> Runner:
    folder.mkdir()
    settings = RunnerSettings(name=name, host="here", lock=folder / "runner.lock")
    secrets = Secrets(folder / "secrets", {})
    return Runner(
        journal,
        pools=lambda: frozenset({"default"}),
        clock=SystemClock(),
        secrets=secrets,
        logs=folder,
        settings=settings,
    )


async def test_runs_that_come_at_once_are_spread_over_all_who_have_room(postgresql_url: str, tmp_path: Path) -> None:
    """And those of a runner that does not come are taken by others after a moment."""
    clock = SystemClock()
    journal = Journal.open(postgresql_url, clock=clock)

    def sign(tx: Connection) -> None:
        for name in NAMES:
            one = attendance.Runner(name, "default", "here", "1.0", AT, clock.now(), 0, 50, {})
            attendance.runner(tx, one, at=leaseclock.at(tx) + 60)

    def enqueue(tx: Connection) -> None:
        for number in range(9):
            runs.enqueue(tx, long(f"n{number}"), clock.now())

    await journal.write(sign)
    await journal.write(enqueue)
    watch = journal.watch(objects=True)
    ann, bob = (asyncio.create_task(runner(journal, tmp_path / name[-3:], name).run()) for name in NAMES[:2])
    try:
        seen: list[dict[str, int]] = []
        async with asyncio.timeout(30):
            while sum((now := await journal.read(held)).values()) < 9:
                seen.append(now)
                await watch.changed(0.02)
        assert {NAMES[0]: 3, NAMES[1]: 3} in seen, "the third one's share is left to it for a while"
        assert sum(now.values()) == 9
    finally:
        watch.close()
        for task in (ann, bob):
            task.cancel()
        await asyncio.gather(ann, bob, return_exceptions=True)
        await journal.close()


async def test_who_is_alone_claims_without_a_look_before(postgresql_url: str, tmp_path: Path) -> None:
    """A look is a way to the server and back, and a start waits for it. The answer is known where nobody else is."""
    clock = SystemClock()
    journal = Journal.open(postgresql_url, clock=clock)
    statements: list[str] = []
    event.listen(journal._database.reading, "before_cursor_execute", lambda *given: statements.append(given[2]))
    work = asyncio.create_task(runner(journal, tmp_path / "ann", NAMES[0]).run())
    watch = journal.watch(objects=True)
    try:
        async with asyncio.timeout(30):
            while not any("FROM runners" in one for one in statements):  # its first look: nobody else is there
                await asyncio.sleep(0.01)
            statements.clear()
            await journal.write(lambda tx: runs.enqueue(tx, long("alone"), clock.now()))
            while not (await journal.read(held)).get(NAMES[0]):
                await watch.changed(0.02)
        assert not [one for one in statements if "FROM runners" in one]
    finally:
        watch.close()
        work.cancel()
        await asyncio.wait({work})
        await journal.close()
