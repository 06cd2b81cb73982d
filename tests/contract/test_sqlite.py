"""A journal in a file: what its disk, its locks and a power cut do to it."""

import asyncio
import os
import re
import resource
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, make_url

from journal import deliveries, letters
from journal.databases import sqlite
from journal.errors import Refused, Unavailable
from journal.store import Journal
from tests.contract.conftest import START
from tests.journalwriter import get, other_process, put, wait_until_stopped


def path_of(url: str) -> Path:
    return Path(str(make_url(url).database))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/journal.db"


async def test_a_full_disk_is_unavailable_and_nothing_of_the_batch_happened(desk, new_run):
    pages = await desk.journal.write(lambda tx: tx.exec_driver_sql("PRAGMA page_count").scalar_one())
    await desk.journal.write(lambda tx: tx.exec_driver_sql(f"PRAGMA max_page_count={pages + 8}"))
    big = put("big", "x" * 500_000)
    results = await asyncio.gather(
        *(desk.journal.write(change) for change in (put("a"), big, put("b"))), return_exceptions=True
    )
    assert [type(result) for result in results] == [Unavailable] * 3
    assert "full" in str(results[0])
    assert [await desk.journal.read(get(name)) for name in ("a", "b", "big")] == [None] * 3
    await desk.enqueue(new_run())  # what still fits, or fits again, is written


async def test_a_disk_that_refuses_bytes_is_unavailable_and_heals(desk, url):
    """The system itself refuses to let the log grow, in the middle of whatever is being written, and then allows it."""
    await desk.journal.write(put("before"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = path_of(url).with_name("journal.db-wal")
    written = []
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 100_000, hard))
    try:
        with pytest.raises(Unavailable):
            for number in range(1000):
                await desk.journal.write(put(f"k{number}", "x" * 1000))
                written.append(number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 0 < len(written) < 1000
    await desk.journal.write(put("after"))
    found = [number for number in range(1000) if await desk.journal.read(get(f"k{number}")) is not None]
    assert found == written, "acknowledged is there, refused is not"


async def test_a_lock_held_too_long_is_unavailable_and_nothing_happened(desk, url, monkeypatch):
    with closing(sqlite3.connect(path_of(url), isolation_level=None)) as other:
        await desk.journal.write(lambda tx: tx.exec_driver_sql("PRAGMA busy_timeout=50"))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked") as caught:
            await desk.journal.write(put("x"))
        assert caught.value.retry_after.total_seconds() > 0
        assert await desk.journal.read(get("x")) is None
        other.execute("ROLLBACK")
    await desk.journal.write(put("x"))
    assert await desk.journal.read(get("x")) == 1


async def test_a_file_that_is_no_database_is_refused(url, clock):
    path_of(url).write_bytes(b"dear diary, " * 1000)
    with pytest.raises(Refused, match="damaged or not a database"):
        Journal.open(url, clock=clock)
    assert path_of(url).read_bytes().startswith(b"dear diary")


async def test_a_foreign_database_is_refused_and_left_alone(url, clock):
    with closing(sqlite3.connect(path_of(url))) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
        other.commit()
    with pytest.raises(Refused, match=r"not an OpsConductor journal.*--state"):
        Journal.open(url, clock=clock)
    with closing(sqlite3.connect(path_of(url))) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("songs",)]


async def test_a_damaged_journal_is_refused(desk, url, clock, new_run):
    for number in range(50):
        await desk.enqueue(new_run(f"n{number}"))
    await desk.journal.close()
    with path_of(url).open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(40_000))
    with pytest.raises(Refused, match="damaged"):
        Journal.open(url, clock=clock)


async def test_a_folder_that_cannot_be_made_is_refused(url, clock):
    path_of(url).write_text("a file where a folder should be")
    with pytest.raises(Refused, match="cannot make the folder"):
        Journal.open(f"{url}/state/journal.db", clock=clock)


async def test_a_copy_of_the_files_taken_at_any_moment_holds_all_that_was_acknowledged(desk, url, clock, tmp_path):
    """What a power cut leaves: the main file and the log as they lie there."""
    place, copies = path_of(url), []
    for number in range(30):
        await desk.journal.write(put(f"k{number}", "x" * 3000))
        if number % 10 == 5:
            folder = tmp_path / f"copy{number}"
            folder.mkdir()
            for name in ("journal.db", "journal.db-wal"):
                shutil.copy(place.with_name(name), folder / name)
            copies.append((number, folder))
    for number, folder in copies:
        again = Journal.open(f"sqlite:///{folder}/journal.db", clock=clock)
        found = [await again.read(get(f"k{k}")) is not None for k in range(30)]
        assert found == [k <= number for k in range(30)]
        await again.close()


async def test_a_torn_log_loses_nothing_but_its_last_commit(desk, url, clock, tmp_path):
    for number in range(10):
        await desk.journal.write(put(f"k{number}", "x" * 3000))
    folder = tmp_path / "torn"
    folder.mkdir()
    for name in ("journal.db", "journal.db-wal"):
        shutil.copy(path_of(url).with_name(name), folder / name)
    log = folder / "journal.db-wal"
    os.truncate(log, log.stat().st_size - 700)
    again = Journal.open(f"sqlite:///{folder}/journal.db", clock=clock)
    found = [await again.read(get(f"k{k}")) is not None for k in range(10)]
    assert found == [True] * 9 + [False]
    await again.close()


async def test_a_process_stopped_with_the_lock_makes_the_journal_unavailable_and_then_not(desk, url, clock):
    """Controller and runner share the file; one is frozen in the middle of a commit."""
    await desk.journal.write(lambda tx: tx.exec_driver_sql("PRAGMA busy_timeout=100"))
    other = other_process(url, "consume.uncommitted", "SIGSTOP")
    try:
        assert other.stdout is not None
        assert (await asyncio.to_thread(other.stdout.readline)).strip() == "consume.uncommitted"
        wait_until_stopped(other)
        with pytest.raises(Unavailable, match="locked"):
            await desk.journal.write(put("mine"))
        assert await desk.journal.read(get("mine")) is None
        other.kill()
        await asyncio.to_thread(other.wait)
        await desk.journal.write(put("mine"))
        assert await desk.journal.read(get("k0")) is None, "what the frozen one had not committed is not there"
    finally:
        other.kill()
        other.wait()


async def test_connections_are_set_up_for_durability(desk):
    def settings(conn):
        return {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert await desk.journal.write(settings) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": sqlite.BUSY * 1000,
    }


async def test_beside_a_long_backlog_what_each_delivery_asks_is_found_without_going_through_it(desk):
    """Of two indexes that fit as well SQLite takes any: each question has one that fits better than all others."""
    asked = []

    def ask_all(tx):
        event.listen(tx, "before_cursor_execute", lambda *given: asked.append(given[2:4]))
        letters.last_delivered(tx, "chat")
        letters.is_failing(tx, "chat")
        deliveries.next_due(tx, START)
        deliveries.lost(tx)
        deliveries.hasten(tx, ["chat"])
        deliveries.reclaim(tx)

    await desk.journal.write(ask_all)
    path = path_of(str(desk.journal._database.writing.url))
    with closing(sqlite3.connect(path)) as connection:
        plans = [connection.execute(f"EXPLAIN QUERY PLAN {text}", given).fetchall() for text, given in asked]
    found = [re.search(r"INDEX (\w+)", plan[0][3]) for plan in plans]
    assert [one and one[1] for one in found] == [
        "messages_delivered", "messages_in_vain", "sqlite_autoindex_facts_1", "messages_next", "messages_held",
        "messages_sending", "messages_later", "messages_sending",
    ]  # fmt: skip
