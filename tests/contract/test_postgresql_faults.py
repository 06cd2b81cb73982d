"""A journal on a server: what its stops, its limits and other processes do to it, and what is said of each."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, text
from structlog.testing import capture_logs

from journal import outbox
from journal.databases import deadlines, listener
from journal.databases.postgresql import TURN
from journal.databases.postgresqltext import NUL
from journal.databases.turns import STANDS_STILL, TURNS
from journal.errors import Refused, Unavailable
from journal.store import Journal
from tests.contract.conftest import GivenClock
from tests.journalwriter import get, other_process, put, wait_until_stopped
from tests.postgresql import Server
from tests.wire import Silent, Stalled, Unread, wire

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One of this module's own, that writes durably."""
    server = Server(fast=False, settings=("log_statement=all",))
    (server.data / "pg_hba.conf").write_text("local all locked scram-sha-256\nlocal all all trust\n")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    name = server.database()
    yield name
    server.drop(name)


@pytest.fixture
async def journal(server: Server, database: str, clock: GivenClock) -> AsyncIterator[Journal]:
    journal = Journal.open(server.url(database), clock=clock)
    yield journal
    await journal.close()


async def until_it_answers(journal: Journal) -> None:
    """As its callers do: again after a while."""
    async with asyncio.timeout(60):
        while await journal.unwritable() is not None:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_server_that_stops_is_unavailable_and_nothing_acknowledged_is_lost(
    server: Server, journal: Journal, at_once: bool
) -> None:
    """Also where it stops as in a power cut."""
    await journal.write(put("before"))
    server.stop(at_once=at_once)
    try:
        for asked in (journal.write(put("while")), journal.read(get("before")), journal.write(put("while"))):
            with pytest.raises(Unavailable) as caught:
                await asked
            assert caught.value.retry_after.total_seconds() > 0
        assert journal.faults >= 2
    finally:
        server.start()
    await until_it_answers(journal)
    await journal.write(put("after"))
    assert [await journal.read(get(name)) for name in ("before", "while", "after")] == [1, None, 1]


async def test_a_server_that_is_not_there_yet_is_unavailable(clock: GivenClock, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no connection"):
        Journal.open(f"postgresql://ops@/journal?host={tmp_path}", clock=clock)
    with pytest.raises(Unavailable, match="no connection"):
        Journal.open("postgresql://ops@127.0.0.1:1/journal", clock=clock)


async def test_an_ended_connection_is_unavailable_once(journal: Journal, server: Server, database: str) -> None:
    await journal.write(put("before"))
    with server.connect() as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))
    with pytest.raises(Unavailable):
        await journal.write(put("x"))
    await journal.write(put("y"))
    assert [await journal.read(get(name)) for name in ("before", "x", "y")] == [1, None, 1]


async def test_a_turn_that_does_not_come_is_unavailable(journal: Journal, server: Server, database: str) -> None:
    """Somebody is at work with the turn for too long."""
    await journal.write(lambda tx: tx.exec_driver_sql("SET lock_timeout = 50"))
    with server.connect(database) as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(%s, hashtext(current_schema()))", (TURNS,))
        with pytest.raises(Unavailable, match="locked by another"):
            await journal.write(put("x"))
        assert await journal.read(get("x")) is None
    await journal.write(put("x"))


async def test_a_process_that_stands_still_in_a_transaction_holds_the_others_up_for_seconds(
    journal: Journal, server: Server, database: str
) -> None:
    """It is frozen before its commit; when it goes on, its transaction is over and nothing of it happened."""
    other = other_process(server.url(database), "consume.uncommitted", "SIGSTOP")
    try:
        assert other.stdout is not None
        assert (await asyncio.to_thread(other.stdout.readline)).strip() == "consume.uncommitted"
        wait_until_stopped(other)
        async with asyncio.timeout(60):
            while True:
                try:
                    await journal.write(put("mine"))
                    break
                except Unavailable:  # the machine is slow, and it may be asked again
                    continue
        os.kill(other.pid, signal.SIGCONT)
        assert await asyncio.to_thread(other.wait, 30) != 0
        assert await journal.read(get("k0")) is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("fault", [Stalled(b"stalls here"), Unread(b"is not read")], ids=["half sent", "unread"])
async def test_a_peer_that_stands_still_within_a_message_loses_its_turn(
    journal: Journal, server: Server, database: str, clock: GivenClock, fault: Stalled
) -> None:
    """Its session is neither idle nor at work, and what lies between is alive: who waits for the turn ends it."""

    def much(tx: Connection) -> int:
        put("a", {"text": "stalls here" + 1_000_000 * "x"})(tx)
        return len(tx.execute(text("SELECT repeat('is not read', 10000000)")).scalar_one())

    with wire(server, database, fault) as url:
        other = Journal.open(url, clock=clock)
        stalled = asyncio.ensure_future(other.write(much))
        assert await asyncio.to_thread(fault.happened.wait, 30)
        with capture_logs() as logs:
            await journal.write(put("mine"))
        assert [one["event"] for one in logs] == ["a session that held up all who write to the journal was ended"]
        assert await journal.read(get("a")) is None
    with pytest.raises(Unavailable):
        await stalled
    await other.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in a shorter time."""
    monkeypatch.setattr(deadlines.Deadline, "patience", 3.0)
    monkeypatch.setattr(deadlines, "BEGINNING", 3.0)
    monkeypatch.setattr(deadlines, "ANSWER", 4.0)
    monkeypatch.setattr(listener, "_PROBED", 1.0)


@pytest.mark.usefixtures("hurried")
async def test_who_waits_for_a_proxy_that_hangs_is_told_in_time_and_connects_anew(
    server: Server, database: str, clock: GivenClock
) -> None:
    """It answers TCP, takes what is sent and passes nothing on: before a change, within one, and at its end."""
    hung = Silent()

    def within(tx: Connection) -> None:
        put("x")(tx)
        hung.hangs.set()
        tx.execute(text("SELECT 1"))

    def at_its_end(tx: Connection) -> None:
        put("y")(tx)
        hung.hangs.set()

    with wire(server, database, hung) as url:
        journal = Journal.open(url, clock=clock)
        await journal.write(put("before"))
        hung.hangs.set()
        for asked in (journal.write(put("x")), journal.read(get("before"))):
            async with asyncio.timeout(30):
                with pytest.raises(Unavailable, match=r"has not answered for 3 s|no connection"):
                    await asked
        hung.hangs.clear()
        for change in (within, at_its_end):
            await until_it_answers(journal)
            async with asyncio.timeout(30):
                with pytest.raises(Unavailable, match=r"has not answered for 4 s|no connection"):
                    await journal.write(change)
            hung.hangs.clear()
        await until_it_answers(journal)
        assert [await journal.read(get(name)) for name in ("before", "x")] == [1, None]
        await journal.close()


@pytest.mark.usefixtures("hurried")
async def test_who_listens_behind_a_proxy_that_hangs_listens_anew(
    server: Server, database: str, journal: Journal, clock: GivenClock
) -> None:
    """It asks nothing, so it would never learn that nothing comes any more."""
    hung = Silent()
    listening = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND query LIKE 'LISTEN%%'"
    with wire(server, database, hung) as url, server.connect() as admin:
        other = Journal.open(url, clock=clock)
        watch = other.watch(objects=True)
        assert await watch.changed(30)
        hung.hangs.set()
        async with asyncio.timeout(60):
            while admin.execute(listening, (database,)).fetchone() is not None:
                await asyncio.sleep(0.05)
            hung.hangs.clear()
            assert await watch.changed(), "something may have been missed"
            await journal.write(lambda tx: (put("x")(tx), outbox.tell(tx)))
            assert await watch.changed()
        await other.close()


async def test_who_works_long_with_the_turn_is_left_to_it(journal: Journal, server: Server, database: str) -> None:
    """Who waits gives up, and comes again."""
    with server.connect(database) as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(%s, hashtext(current_schema()))", (TURNS,))
        work = asyncio.create_task(asyncio.to_thread(other.execute, f"SELECT pg_sleep({TURN + 1.0})"))
        with pytest.raises(Unavailable, match="locked by another"):
            await journal.write(put("x"))
        await work
    await journal.write(put("x"))


async def test_who_is_not_let_in_is_refused_and_told_why(server: Server, database: str, clock: GivenClock) -> None:
    with server.connect() as admin:
        admin.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
        admin.execute("CREATE ROLE guest LOGIN CONNECTION LIMIT 1")
    try:
        for url, said in (
            (server.url("nowhere"), "no such database"),
            (server.url(database, user="nobody-here"), "does not let this user in"),
            (server.url(database, user="locked:wrong"), "does not let this user in"),
            (server.url(database, user="locked"), "does not let this user in"),
            (server.url(database, user="guest"), "may not use the journal's tables"),
            (server.url(database, sslmodus="verify-full"), "asks for what is not there"),
            (server.url(database, sslmode="verify-everything"), "asks for what is not there"),
        ):
            with pytest.raises(Refused, match=said) as caught:
                Journal.open(url, clock=clock)
            assert "wrong" not in str(caught.value), "no password is said"
        with (
            server.connect(database, client_encoding="utf8") as _,
            psycopg.connect(server.url(database, user="guest")),
            pytest.raises(Unavailable, match="no connection left"),
        ):
            Journal.open(server.url(database, user="guest"), clock=clock)
    finally:
        with server.connect() as admin:
            admin.execute("DROP ROLE locked; DROP ROLE guest")


async def test_a_statement_that_takes_too_long_is_told_as_what_it_is(journal: Journal) -> None:
    """The server is there and has stopped nothing but the statement. It is undone with all of its change."""

    def slow(tx: Connection) -> None:
        put("x")(tx)
        tx.exec_driver_sql("SET LOCAL statement_timeout = 50")
        tx.exec_driver_sql("SELECT pg_sleep(5)")

    for asked in (journal.write(slow), journal.read(slow_to_read)):
        with pytest.raises(Unavailable, match=r"not done with a statement in a minute.*statement timeout") as caught:
            await asked
        assert "stopped, or ended the connection" not in str(caught.value)
    assert await journal.read(get("x")) is None


def slow_to_read(conn: Connection) -> None:
    conn.exec_driver_sql("SET LOCAL statement_timeout = 50")
    conn.exec_driver_sql("SELECT pg_sleep(5)")


async def test_a_table_that_somebody_has_locked_is_unavailable(journal: Journal, server: Server, database: str) -> None:
    def put_hastily(tx: Connection) -> None:
        tx.exec_driver_sql("SET LOCAL lock_timeout = 50")
        put("x")(tx)

    with server.connect(database) as other, other.transaction():
        other.execute("LOCK TABLE facts IN EXCLUSIVE MODE")
        with pytest.raises(Unavailable, match=r"one of its tables by somebody's session.*pg_locks"):
            await journal.write(put_hastily)
    await journal.write(put_hastily)


async def test_a_server_that_takes_no_changes_is_unavailable(journal: Journal, server: Server, database: str) -> None:
    """A standby, or one that an administrator has set so."""
    await journal.write(put("before"))
    with server.connect() as admin:
        admin.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")  # type: ignore[arg-type]
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))
    with pytest.raises(Unavailable):
        await journal.write(put("x"))
    with pytest.raises(Unavailable, match="takes no changes"):
        await journal.write(put("x"))
    assert await journal.unwritable() is not None


async def test_what_is_kept_elsewhere_is_refused_and_left_alone(
    server: Server, database: str, clock: GivenClock
) -> None:
    with server.connect(database) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(Refused, match=r"not an OpsConductor journal.*schema of its own"):
        Journal.open(server.url(database), clock=clock)
    with server.connect(database) as other:
        assert other.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall() == [("songs",)]
        other.execute("CREATE SCHEMA ours")
    journal = Journal.open(server.url(database, options="-csearch_path=ours"), clock=clock)
    await journal.write(put("x"))
    await journal.close()
    with pytest.raises(Refused, match="no schema"):
        Journal.open(server.url(database, options="-csearch_path=theirs"), clock=clock)


async def test_a_database_in_another_encoding_is_refused(server: Server, clock: GivenClock) -> None:
    with server.connect() as admin:
        admin.execute("CREATE DATABASE old TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(Refused, match="ENCODING 'UTF8'"):
        Journal.open(server.url("old"), clock=clock)
    server.drop("old")


async def test_text_keeps_every_character_but_nul(journal: Journal) -> None:
    """PostgreSQL takes no NUL in text; in values of JSON it is kept."""
    every = "".join(map(chr, (1, 9, 10, 127, 0x85, 0x2028, 0xFFFF, 0x1F600)))
    await journal.write(put("json", f"a\0b{every}"))
    assert await journal.read(get("json")) == f"a\0b{every}"
    await journal.write(lambda tx: tx.execute(text("INSERT INTO meta VALUES ('k', :v)"), {"v": f"a\0b{every}"}))
    found = await journal.read(lambda conn: conn.execute(text("SELECT value FROM meta WHERE key = 'k'")).scalar_one())
    assert found == f"a{NUL}b{every}"


async def test_connections_are_set_up_for_durability_and_for_ends_in_time(journal: Journal) -> None:
    def settings(conn: Connection) -> dict[str, str]:
        names = ("synchronous_commit", "idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout")
        return {name: conn.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names}

    assert await journal.write(settings) == {
        "synchronous_commit": "on",
        "idle_in_transaction_session_timeout": f"{STANDS_STILL:g}s",
        "lock_timeout": f"{TURN:g}s",
        "statement_timeout": "1min",
    }


async def test_the_server_too_is_told_when_to_give_up_a_connection(server: Server, journal: Journal) -> None:
    """One that is cut within a message is neither idle nor in a statement, and would hold all writers up for hours.

    On a Unix socket the settings have no effect and cannot be read, so what the server was sent is looked at.
    """
    await journal.write(put("x"))
    said = server.log.read_text()
    for name in ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout"):
        assert f"SET {name} = " in said
