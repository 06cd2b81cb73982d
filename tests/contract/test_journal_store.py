"""Group commit: what is acknowledged is durable, what fails alone fails alone, and a fault leaves nothing behind."""

import asyncio
import gc
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, make_url, select
from sqlalchemy.exc import IntegrityError

from engine.states import RunState
from journal import evidence, facts, leases, points, runs, sqlite, steps
from journal.errors import FenceLost, Refused, Unavailable
from journal.store import Journal
from journal.tables import meta

ROOT = Path(__file__).parents[2]


def path_of(url: str) -> Path:
    return Path(str(make_url(url).database))


def put(name: str, value: object = 1):
    return lambda tx: facts.put(tx, name, value)


def get(name: str):
    return lambda conn: facts.get(conn, name)


# --- group commit ---------------------------------------------------------------------------------------------------


async def test_a_change_gives_back_what_it_returns_and_is_read_at_once(desk):
    assert await desk.journal.write(lambda tx: (facts.put(tx, "x", {"deep": [1]}), 7)[1]) == 7
    assert await desk.journal.read(get("x")) == {"deep": [1]}
    assert await desk.journal.read(lambda conn: facts.get(conn, "y", "default")) == "default"


async def test_waiting_changes_share_a_commit_in_the_order_of_the_calls(desk):
    """Many changes, few commits: the fsync is paid once for all that wait."""
    commits = []
    points.install(lambda name: commits.append(name))
    try:
        order = []

        def change(number):
            def apply(tx):
                points.record("consume")
                order.append(number)
                facts.put(tx, "last", number)

            return apply

        await asyncio.gather(*(desk.journal.write(change(number)) for number in range(200)))
    finally:
        points.install(None)
    assert order == list(range(200))
    assert await desk.journal.read(get("last")) == 199
    assert commits.count("consume.committed") < 20


async def test_a_failing_change_fails_alone(desk):
    def fails(tx):
        facts.put(tx, "half", 1)
        raise ZeroDivisionError("mine")

    def collides(tx):
        facts.put(tx, "half", 1)
        tx.execute(insert(meta), {"key": "version", "value": "2"})

    results = await asyncio.gather(
        *(desk.journal.write(change) for change in (put("a"), fails, put("b"), collides, put("c"))),
        return_exceptions=True,
    )
    nothing = type(None)
    assert [type(result) for result in results] == [nothing, ZeroDivisionError, nothing, IntegrityError, nothing]
    found = [await desk.journal.read(get(name)) for name in ("a", "b", "c", "half")]
    assert found == [1, 1, 1, None]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyError])
async def test_a_change_that_fails_on_its_own_leaves_nothing(desk, error):
    def fails(tx):
        facts.put(tx, "half", 1)
        raise error("mine")

    with pytest.raises(error):
        await desk.journal.write(fails)
    assert await desk.journal.read(get("half")) is None
    await desk.journal.write(put("next"))


async def test_a_change_that_another_process_overtook_looks_again(desk):
    """A unique key that is taken means: somebody was quicker. The change runs again and sees what is there."""
    looks = []

    def change(tx):
        looks.append(tx.execute(select(meta.c.value).where(meta.c.key == "k")).scalar_one_or_none())
        if len(looks) == 1:
            tx.execute(insert(meta), {"key": "version", "value": "taken"})
        return "second look"

    assert await desk.journal.write(change) == "second look"


async def test_a_cancelled_caller_leaves_no_noise(desk, caplog):
    """The change may or may not have happened; the writer goes on, and nobody hears of an exception not fetched."""

    def fails(_tx):
        raise ZeroDivisionError

    tasks = [
        asyncio.create_task(desk.journal.write(fails if number % 2 else put(f"k{number}"))) for number in range(50)
    ]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await desk.journal.write(put("after"))
    del tasks
    gc.collect()
    assert await desk.journal.read(get("after")) == 1
    assert "never retrieved" not in caplog.text


async def test_a_reader_sees_one_moment(desk):
    await desk.journal.write(put("x", 1))
    blocked, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def reads(conn):
        first = facts.get(conn, "x")
        loop.call_soon_threadsafe(blocked.set)
        assert go_on.wait(10)
        return first, facts.get(conn, "x")

    reading = asyncio.create_task(desk.journal.read(reads))
    await blocked.wait()
    await desk.journal.write(put("x", 2))
    go_on.set()
    assert await reading == (1, 1)
    assert await desk.journal.read(get("x")) == 2


async def test_reading_cannot_write(desk):
    with pytest.raises(Refused):
        await desk.journal.read(put("x"))
    await desk.journal.write(put("x"))


async def test_a_watch_wakes_for_changes_alone(desk):
    watch = desk.journal.watch()
    await desk.journal.write(lambda tx: None)
    assert await watch.changed(0.01) is False
    await asyncio.gather(*(desk.journal.write(put(f"k{number}")) for number in range(10)))
    assert await watch.changed(5) is True
    await asyncio.sleep(0)
    assert await watch.changed(0.01) is False, "wakes that come together are one"
    watch.close()


async def test_a_watch_for_objects_sleeps_through_what_the_outbox_is_not_told(desk, new_run):
    watch, every = desk.journal.watch(objects=True), desk.journal.watch()
    await desk.journal.write(put("x"))
    assert await every.changed(5) is True
    assert await watch.changed(0.01) is False
    await desk.enqueue(new_run())
    assert await watch.changed(5) is True
    await desk.journal.write(put("y"))
    assert await watch.changed(0.01) is False
    watch.close()
    every.close()


async def test_a_closed_journal_finishes_what_waits_and_then_is_unavailable(desk, url):
    last = [asyncio.create_task(desk.journal.write(put(f"k{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    await desk.journal.close()
    await desk.journal.close()
    assert await asyncio.gather(*last) == [None] * 20
    with pytest.raises(Unavailable, match="closed"):
        await desk.journal.write(put("x"))
    assert not path_of(url).with_name("journal.db-wal").exists()


# --- faults ---------------------------------------------------------------------------------------------------------


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


async def test_a_journal_of_a_newer_version_is_refused(desk, url, clock):
    await desk.journal.write(lambda tx: tx.execute(meta.update().where(meta.c.key == "version").values(value="99")))
    await desk.journal.close()
    with pytest.raises(Refused, match="newer OpsConductor"):
        Journal.open(url, clock=clock)


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


@pytest.mark.parametrize("bad", ["sqlite://", "sqlite:///:memory:", "mysql://host/db"])
async def test_other_places_are_refused(bad, clock):
    with pytest.raises(Refused):
        Journal.open(bad, clock=clock)


# --- crashes and other processes --------------------------------------------------------------------------------------


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


_WRITER = """
import asyncio, sys
from journal import facts, points
from journal.clock import SystemClock
from journal.store import Journal

async def main(url, stop_at):
    journal = Journal.open(url, clock=SystemClock())
    for number in range(1000):
        def change(tx):
            points.record("consume")
            facts.put(tx, f"k{number}", number)
        await journal.write(change)
        print(number, flush=True)

def hook(name):
    if name == sys.argv[2]:
        import os, signal
        print(name, flush=True)
        os.kill(os.getpid(), getattr(signal, sys.argv[3]))

points.install(hook)
asyncio.run(main(sys.argv[1], None))
"""


def other_process(url: str, point: str, signal_name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, url, point, signal_name],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize(("point", "durable"), [("consume.uncommitted", False), ("consume.committed", True)])
async def test_killed_around_the_commit(url, clock, point, durable):
    other = other_process(url, point, "SIGKILL")
    said, _ = await asyncio.to_thread(other.communicate, timeout=30)
    assert said.split() == [point]
    journal = Journal.open(url, clock=clock)
    assert await journal.read(get("k0")) == (0 if durable else None)
    await journal.close()


async def test_a_process_stopped_with_the_lock_makes_the_journal_unavailable_and_then_not(desk, url, clock):
    """Controller and runner share the file; one is frozen in the middle of a commit."""
    await desk.journal.write(lambda tx: tx.exec_driver_sql("PRAGMA busy_timeout=100"))
    other = other_process(url, "consume.uncommitted", "SIGSTOP")
    try:
        assert other.stdout is not None
        assert (await asyncio.to_thread(other.stdout.readline)).strip() == "consume.uncommitted"
        for _ in range(100):  # the stop is delivered a moment after the line
            if Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                break
            await asyncio.sleep(0.01)
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


async def test_a_thawed_runner_in_another_process_is_fenced_off(desk, url, clock, new_run):
    """Its run was given away while it was stopped: it learns so at its next write, and its word is kept."""
    stale = await desk.running()
    other = Journal.open(url, clock=clock)
    clock.advance(16)
    await other.write(lambda tx: leases.reap(tx, clock.now(), clock.monotonic()))
    (fresh,) = await other.write(lambda tx: leases.claim(tx, "default/other", None, 1, clock.now(), clock.monotonic()))
    with pytest.raises(FenceLost):
        await desk.do(leases.finish, stale.fence, RunState.SUCCEEDED, now=clock.now())
    await other.write(lambda tx: steps.start(tx, fresh.fence, "web-01", "steps", "space", 1, clock.now()))
    assert (await desk.see(runs.get, stale.fence.run)).runner == "default/other"
    assert len(await desk.see(evidence.of, stale.fence.run)) == 1
    await other.close()


async def test_two_journals_on_one_file_enqueue_one_cause_once(desk, url, clock, new_run):
    other = Journal.open(url, clock=clock)
    both = [desk.journal, other]
    answers = await asyncio.gather(
        *(both[n % 2].write(lambda tx, n=n: runs.enqueue(tx, new_run(f"n{n // 4}"), clock.now())) for n in range(80))
    )
    assert sum(isinstance(answer, runs.Enqueued) for answer in answers) == 20
    await other.close()


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
