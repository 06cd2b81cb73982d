"""PostgreSQL is a URL away: the journal has the same tables there, and each of its statements was executed there."""

import ast
import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.schema import CreateIndex, CreateTable

from journal import acts, attendance, deliveries, facts, leadership, leases, messages, outbox, runs, runviews
from journal.databases import leaseclock
from journal.databases.tables import metadata
from journal.databases.tables import runs as table
from journal.leadership import Candidate
from journal.messages import Channel, NewMessage
from journal.store import Journal
from tests.contract.conftest import START, Desk, GivenClock, a_run
from tests.postgresql import DIALECT, JOURNAL, Site

ROOT = Path(__file__).parents[2]
OF_THE_DRIVERS = {"sqlite.py", "postgresql.py", "turns.py", "listener.py"}
"""What they execute goes past SQLAlchemy, to a connection of the driver."""

SUITES = [*map(str, sorted(Path(__file__).parent.glob("test_journal_*.py"))), __file__]
"""The journal's; plug-ins have nothing to do with it."""

EVERYTHING = f"""
import json, pytest
from tests import postgresql
code = pytest.main(["-q", "-p", "no:cacheprovider", "-m", "not slow", *{SUITES!r}])
print()
print(json.dumps([int(code), sorted(postgresql.sites)]))
"""


def test_the_tables_are_the_same() -> None:
    """With their partial indexes: a rule that SQLite keeps is kept there too."""
    for each in metadata.sorted_tables:
        assert str(CreateTable(each).compile(dialect=DIALECT)).strip().startswith("CREATE TABLE")
        for index in each.indexes:
            made = str(CreateIndex(index).compile(dialect=DIALECT))
            assert ("WHERE" in made) == (index.dialect_options["sqlite"]["where"] is not None), made


async def test_what_other_suites_ask_is_answered_too(desk: Desk) -> None:
    claim = await desk.running()
    run = claim.fence.run
    await desk.see(acts.recent)
    together = [a_run(name, job="purge", group=name, limit=1, on_conflict="queue") for name in ("two", "three")]
    assert len(await desk.do(runs.enqueue_all, together, START)) == 2
    await desk.do(outbox.add_selected, "run", select(table.c.id))
    last = await desk.see(outbox.last)
    await desk.do(outbox.advance, "status", 0)
    await desk.do(outbox.advance, "status", last)
    await desk.see(runviews.counts)
    await desk.see(runviews.open_runs)
    await desk.see(runviews.step_counts, [run])


async def test_leases_count_on_the_clock_of_the_server(postgresql_url: str, clock: GivenClock) -> None:
    """Whatever the clocks of the machines show that share it."""
    journal = Journal.open(postgresql_url, clock=clock)
    assert journal.shared

    def seen(tx: Connection) -> tuple[float, float, float]:
        began = tx.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one()
        tx.exec_driver_sql("SELECT pg_sleep(0.01)")
        return float(began), leaseclock.at(tx), leaseclock.at(tx)

    before = 0.0
    for door in (journal.read, journal.write, journal.read):
        began, first, second = await door(seen)
        assert before < first == second <= began, "it is read once in a transaction, and anew in each"
        before = began + 0.01
    await journal.write(lambda tx: runs.enqueue(tx, a_run(), START))
    await journal.write(lambda tx: leases.claim(tx, "default/1", None, 1, START))
    until = await journal.read(lambda conn: conn.execute(select(table.c.lease_until)).scalar_one())
    assert first < until - leases.LEASE.total_seconds() < first + 30
    await journal.close()


async def test_leases_of_a_clock_that_was_set_back_hold_nobody_up(postgresql_url: str, clock: GivenClock) -> None:
    """They would hold for an hour more by the clock that all have now: no lease is taken for so long."""
    journal = Journal.open(postgresql_url, clock=clock)
    desk = Desk(journal, clock)
    claim = await desk.running()
    channel = Channel("chat", "default", {"spec": {"type": "slack"}}, "1f0c")
    await desk.do(messages.set_channels, [channel])
    message = NewMessage("one", "chat", "default", "failures", "one", {"event": {}}, ("n-one",), START)
    await desk.do(messages.write, message)
    assert len(await desk.do(deliveries.claim, "default/1", None, {}, 1, START, each=1)) == 1
    signs = attendance.Controller("ann", "ann", "1", START, START)

    def lead(tx: Connection, name: str) -> int | None:
        return leadership.take(tx, Candidate(name, name, "1"), at=leaseclock.at(tx), now=START)

    def known(conn: Connection) -> list[bool]:
        return [one.lost for one in attendance.known_controllers(conn, at=leaseclock.at(conn))]

    await desk.do(lambda tx: attendance.controller(tx, signs, at=leaseclock.at(tx)))
    assert await desk.do(lead, "ann") == 1
    for back in (1.5, 3600.0):
        assert (await desk.reap(), await desk.do(deliveries.reclaim), await desk.do(lead, "bob")) == ((), 0, None)
        assert await desk.see(known) == [False]
        for held in ("runs", "messages", "leadership", "controllers"):
            later = f"UPDATE {held} SET lease_until = lease_until + {back}"
            await journal.write(lambda tx, later=later: tx.exec_driver_sql(later))  # type: ignore[misc]
    assert [one.run for one in await desk.reap()] == [claim.fence.run]
    assert await desk.see(deliveries.lost)
    assert await desk.do(deliveries.reclaim) == 1
    assert await desk.see(known) == [True]
    assert await desk.do(lead, "bob") == 2
    await journal.close()


async def test_the_wait_for_a_turn_makes_no_lease_shorter(two: tuple[Journal, Journal]) -> None:
    one, other = two
    began, leave = threading.Event(), threading.Event()

    def slowly(tx: Connection) -> float:
        began.set()
        leave.wait(10)
        return float(tx.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())

    first = asyncio.ensure_future(one.write(slowly))
    await asyncio.to_thread(began.wait, 10)
    second = asyncio.ensure_future(other.write(leaseclock.at))
    await asyncio.wait({second}, timeout=0.05)
    assert not second.done()
    leave.set()
    assert await first < await second


@pytest.fixture
async def two(postgresql_url: str, clock: GivenClock) -> AsyncIterator[tuple[Journal, Journal]]:
    """Doors of two processes, as far as the database can tell."""
    doors = Journal.open(postgresql_url, clock=clock), Journal.open(postgresql_url, clock=clock)
    for door in doors:
        watch = door.watch(objects=True)
        assert await watch.changed(10), "it listens by now"
        watch.close()
    yield doors
    for door in doors:
        await door.close()


def queued(name: str = "one") -> Callable[[Connection], object]:
    return lambda tx: runs.enqueue(tx, a_run(name), START)


async def test_a_watch_wakes_for_what_other_processes_commit(two: tuple[Journal, Journal]) -> None:
    mine, other = two
    watch, own = mine.watch(objects=True), other.watch(objects=True)
    await other.write(queued())
    assert await watch.changed(10)
    assert await own.changed(10)
    assert not await own.changed(0.05), "nobody hears of himself"
    await other.write(lambda tx: facts.put(tx, "x", 1))
    await other.write(lambda tx: tx.info.update({outbox.TOLD: True}))
    assert not await watch.changed(0.05), "nor of what tells of no object, or changes nothing"


async def test_who_works_is_not_woken_by_what_others_have_done(two: tuple[Journal, Journal]) -> None:
    mine, other = two
    work, objects = mine.watch(work=True), mine.watch(objects=True)
    await other.write(queued())
    assert await work.changed(10)
    await objects.changed(10)
    await other.write(lambda tx: leases.claim(tx, "default/ann", None, 1, START))
    assert await objects.changed(10)
    assert not await work.changed(0.05)


async def test_what_was_told_while_nobody_listened_is_looked_for(two: tuple[Journal, Journal]) -> None:
    """The listener's connection is lost: it listens again, and wakes all who may have missed something."""
    mine, other = two
    watch = mine.watch(objects=True)
    others = "pid <> pg_backend_pid() AND datname = current_database() AND query LIKE 'LISTEN%%'"
    ended = await other.read(
        lambda conn: conn.exec_driver_sql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
        ).all()
    )
    assert len(ended) == 2
    assert await watch.changed(20)
    await other.write(queued("two"))
    assert await watch.changed(20)


@pytest.mark.slow
def test_no_statement_is_left_out() -> None:
    """Each place in the journal that executes something did so on PostgreSQL while its contract was tested."""
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING], cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False
    )
    code, seen = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stdout
    places = {(name, line) for name, line in seen}
    assert [where for where in executions() if not places.intersection(where)] == []


def executions() -> Iterator[frozenset[Site]]:
    """The lines of every call of `execute`."""
    for file in sorted(JOURNAL.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                not isinstance(node, ast.Call)
                or not isinstance(node.func, ast.Attribute)
                or node.func.attr != "execute"
            ):
                continue
            if file.name not in OF_THE_DRIVERS:
                last = node.end_lineno or node.lineno
                yield frozenset((file.name, line) for line in range(node.lineno, last + 1))
