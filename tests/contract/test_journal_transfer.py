"""A journal taken to another database, and back: everything arrives, and whoever leaves it cannot go on there."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, delete, func, insert, inspect, make_url, select, update

from engine.states import RunState
from journal import facts, leases, outbox, runs, steps
from journal.databases import postgresql, transfer, turns
from journal.databases.database import Database
from journal.databases.postgresql import Server
from journal.databases.sqlite import File
from journal.databases.tables import meta, metadata
from journal.databases.tables import outbox as told
from journal.databases.tables import steps as steps_table
from journal.errors import Refused
from tests.contract.conftest import START, Desk, GivenClock, a_run, opened
from tests.journalwriter import get, put


@pytest.fixture
def source(url: str) -> Iterator[Database]:
    yield from a_database(url)


@pytest.fixture
def target(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Of the other kind, with nothing in it."""
    if url.startswith("postgresql"):
        yield from a_database(f"sqlite:///{tmp_path}/other/journal.sqlite3")
    else:
        yield from a_database(request.getfixturevalue("postgresql_database"))


def a_database(url: str) -> Iterator[Database]:
    parsed = make_url(url)
    database: Database = Server(parsed) if url.startswith("postgresql") else File(Path(str(parsed.database)))
    yield database
    database.close()


def url_of(database: Database) -> str:
    return database.writing.url.render_as_string(hide_password=False).replace("+psycopg", "")


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, but what tables say of themselves and what counts on a clock."""
    with database.reading.connect() as conn, conn.begin():
        return {table.name: rows_of(conn, table) for table in metadata.sorted_tables if table is not meta}


def rows_of(conn: Connection, table: object) -> list[tuple[object, ...]]:
    named = [column for column in table.columns if column.name not in ("lease_until", "shown_until")]  # type: ignore[attr-defined]
    return sorted((tuple(row) for row in conn.execute(select(*named))), key=repr)


async def lived_in(desk: Desk) -> None:
    """Runs that wait, run, and have ended, with what they said."""
    for number in range(3):
        claim = await desk.running(f"n{number}")
        await desk.do(steps.start, claim.fence, "web-01", "steps", "space", 1, START)
        if number:
            await desk.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=START, outputs={"ü": [1.5, None, "a\0b"]})
    await desk.enqueue(a_run("waits", group="g", limit=1, on_conflict="queue"))
    await desk.do(facts.put, "x", {"deep": [None, True, 1e300]})
    await desk.do(leases.register, desk.runner, "default", "host", START)


async def test_everything_arrives_and_goes_back_again(desk: Desk, source: Database, target: Database) -> None:
    await lived_in(desk)
    await desk.do(lambda tx: tx.execute(update(steps_table).values(error="€ 𝄞 '\"\\%")))
    await desk.journal.close()
    before = everything(source)
    moved = transfer.move(source, target)
    assert moved.rows["runs"] == 4
    assert moved.total == sum(map(len, before.values()))
    assert everything(target) == before

    there = opened(url_of(target), desk.clock)
    desk.clock.advance(60)
    (reaped,) = await there.write(lambda tx: leases.reap(tx, desk.clock.now()))  # leases do not outlast a move
    await there.write(put("y", 2))
    await there.close()
    changed = everything(target)
    transfer.move(target, source)
    assert everything(source) == changed
    back = opened(url_of(source), desk.clock)
    assert await back.read(get("y")) == 2
    assert (await back.read(lambda conn: runs.get(conn, reaped.run))).state == RunState.QUEUED
    await back.close()


async def test_who_left_a_journal_cannot_go_on_there(
    desk: Desk, source: Database, target: Database, clock: GivenClock
) -> None:
    await desk.journal.write(put("x"))
    await desk.journal.close()
    transfer.move(source, target)
    with pytest.raises(Refused, match="moved to") as caught:
        opened(url_of(source), clock)
    assert target.place in str(caught.value)
    with pytest.raises(Refused, match="moved to"):
        transfer.move(source, target)


async def test_numbers_go_on_where_they_were(desk: Desk, source: Database, target: Database, clock: GivenClock) -> None:
    """A cursor has passed entries of the outbox that are gone: a new one must not get the number of one of those."""
    await desk.do(outbox.add_all, tuple(("run", str(number)) for number in range(10)))
    await desk.do(lambda tx: tx.execute(delete(told)))
    await desk.journal.close()
    for here, there in ((source, target), (target, source)):
        transfer.move(here, there)
    journal = opened(url_of(source), clock)
    await journal.write(lambda tx: outbox.add(tx, "run", "next"))
    assert await journal.read(lambda conn: conn.execute(select(told.c.seq)).scalar_one()) == 11
    run = a_run("first")
    await journal.write(lambda tx: runs.enqueue(tx, run, START))
    await journal.close()


async def test_a_target_with_another_journal_is_refused_and_left_alone(
    desk: Desk, source: Database, target: Database, clock: GivenClock
) -> None:
    await desk.journal.write(put("x"))
    await desk.journal.close()
    other = opened(url_of(target), clock)
    await other.write(put("theirs"))
    await other.close()
    with pytest.raises(Refused, match="holds another journal already"):
        transfer.move(source, target)
    for url, name in ((url_of(target), "theirs"), (url_of(source), "x")):
        journal = opened(url, clock)
        assert await journal.read(get(name)) == 1
        await journal.close()


async def test_an_empty_place_has_no_journal_to_move(source: Database, target: Database) -> None:
    with pytest.raises(Refused, match="holds no journal"):
        transfer.move(target, source)
    with target.reading.connect() as conn, conn.begin():
        assert inspect(conn).get_table_names() == []


async def test_what_does_not_arrive_as_it_was_moves_nothing(
    desk: Desk, source: Database, target: Database, clock: GivenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.journal.write(put("x"))
    await desk.journal.close()
    carried = transfer._carried
    seen: list[object] = []

    def changed(row: object) -> dict[str, object]:
        seen.append(row)
        return {**carried(row), "value": len(seen)} if "value" in carried(row) else carried(row)  # type: ignore[arg-type]

    monkeypatch.setattr(transfer, "_carried", changed)
    with pytest.raises(Refused, match="nothing was moved"):
        transfer.move(source, target)
    journal = opened(url_of(source), clock)
    assert await journal.read(get("x")) == 1
    await journal.close()


async def test_the_id_of_the_engine_goes_along(desk: Desk, source: Database, target: Database) -> None:
    await desk.do(lambda tx: tx.execute(insert(meta), {"key": "engine", "value": "1f0c"}))
    await desk.journal.close()
    transfer.move(source, target)
    with target.reading.connect() as conn, conn.begin():
        assert conn.execute(select(meta.c.value).where(meta.c.key == "engine")).scalar_one() == "1f0c"
        assert conn.execute(select(func.count()).select_from(meta)).scalar_one() == 4


async def test_a_journal_that_others_use_is_not_moved(postgresql_url: str, clock: GivenClock, tmp_path: Path) -> None:
    """Whoever has it open, even if he does nothing; and of those that come meanwhile, nobody goes on there."""
    user = opened(postgresql_url, clock)
    await user.write(put("x"))
    (source,), (target,) = a_database(postgresql_url), a_database(f"sqlite:///{tmp_path}/journal.sqlite3")
    with pytest.raises(Refused, match="is in use"):
        transfer.move(source, target)
    await user.write(put("y"))
    user._writer._drop()  # as by a lost connection, which is made anew when it is wanted
    transfer.move(source, target)
    with pytest.raises(Refused, match="moved to"):
        await user.write(put("z"))
    await user.close()


async def test_who_has_just_hung_up_is_not_at_work(postgresql_url: str, clock: GivenClock, tmp_path: Path) -> None:
    """The server ends a session a moment after its other side has gone."""
    (source,), (target,) = a_database(postgresql_url), a_database(f"sqlite:///{tmp_path}/journal.sqlite3")
    user = opened(postgresql_url, clock)
    await user.write(put("x"))

    def leaves() -> None:
        with psycopg.connect(url_of(source), autocommit=True) as session:
            session.execute(f"SELECT pg_advisory_lock_shared({postgresql.USERS}, {turns.SCHEMA})")
            there.set()
            session.execute("SELECT pg_sleep(0.5)")

    there = threading.Event()
    leaving = threading.Thread(target=leaves)
    leaving.start()
    assert there.wait(20)
    await user.close()
    transfer.move(source, target)
    leaving.join(20)


async def test_a_move_may_take_longer_than_a_writer_may_stand_still(
    desk: Desk, source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either side is idle while the other one is read or written."""
    await lived_in(desk)
    await desk.journal.close()
    monkeypatch.setattr(postgresql, "STANDS_STILL", 1.0)
    of, to = again(source), again(target)
    try:
        moved = transfer.move(of, to, moved=lambda *_: time.sleep(1.3))
    finally:
        of.close()
        to.close()
    assert moved.rows["runs"] == 4


def again(database: Database) -> Database:
    """The same database, opened anew."""
    return Server(make_url(url_of(database))) if isinstance(database, Server) else database
