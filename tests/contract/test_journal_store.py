"""Group commit: what is acknowledged is durable, what fails alone fails alone, and a fault leaves nothing behind."""

import asyncio
import gc
import signal
import threading

import pytest
from sqlalchemy import delete, insert, inspect, select
from sqlalchemy.exc import IntegrityError

from engine.states import RunState
from journal import evidence, facts, leases, points, runs, steps, store
from journal.databases import upgrades, workers
from journal.databases.tables import VERSION, meta
from journal.errors import FenceLost, Refused, Unavailable
from tests.contract.conftest import START, opened
from tests.journalwriter import get, other_process, put, wait_until_stopped

# --- group commit ---------------------------------------------------------------------------------------------------


async def test_a_change_gives_back_what_it_returns_and_is_read_at_once(desk):
    assert await desk.journal.write(lambda tx: (facts.put(tx, "x", {"deep": [1]}), 7)[1]) == 7
    assert await desk.journal.read(get("x")) == {"deep": [1]}
    assert await desk.journal.read(lambda conn: facts.get(conn, "y", "default")) == "default"


async def test_waiting_changes_share_a_commit_in_the_order_of_the_calls(desk, monkeypatch):
    """Many changes, few commits: the fsync is paid once for all that wait."""
    monkeypatch.setattr(workers, "_LONGEST", 60.0)
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


async def test_a_transaction_that_takes_long_leaves_what_waits_to_the_next(desk, monkeypatch):
    """Other processes wait for their turn. Nothing is lost or out of order, and what fails still fails alone."""
    monkeypatch.setattr(workers, "_LONGEST", 0.0)
    commits = []
    points.install(lambda name: commits.append(name))
    try:
        order = []

        def change(number):
            def apply(tx):
                points.record("consume")
                if number == 30:
                    raise ZeroDivisionError("mine")
                order.append(number)

            return apply

        writes = (desk.journal.write(change(number)) for number in range(60))
        results = await asyncio.gather(*writes, return_exceptions=True)
    finally:
        points.install(None)
    assert [number for number, result in enumerate(results) if result is not None] == [30]
    assert list(dict.fromkeys(order)) == [number for number in range(60) if number != 30], "made again, in order"
    assert commits.count("consume.committed") >= 60 / (2 * workers._FEWEST)


async def test_a_change_in_a_hurry_is_made_before_those_that_wait(desk):
    held = threading.Event()
    order = []

    def waits(tx):
        held.wait(60)

    async def write(name, *, hurry):
        await desk.journal.write(lambda tx: order.append(name), hurry=hurry)

    first = asyncio.create_task(desk.journal.write(waits))
    await asyncio.sleep(0)
    others = [asyncio.create_task(write(f"n{number}", hurry=False)) for number in range(3)]
    hurried = [asyncio.create_task(write(f"h{number}", hurry=True)) for number in range(2)]
    await asyncio.sleep(0)
    held.set()
    await asyncio.gather(first, *others, *hurried)
    assert order == ["h0", "h1", "n0", "n1", "n2"]


async def test_a_change_that_has_waited_for_a_while_is_overtaken_by_none(desk, monkeypatch):
    monkeypatch.setattr(workers, "_AHEAD", 0.0)
    order = []

    async def write(name, *, hurry):
        await desk.journal.write(lambda tx: order.append(name), hurry=hurry)

    await asyncio.gather(write("a", hurry=False), write("b", hurry=True), write("c", hurry=False))
    assert order == ["a", "b", "c"]


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
    with pytest.raises((Refused, Unavailable)):
        await desk.journal.read(put("x"))
    assert await desk.journal.read(get("x")) is None
    await desk.journal.write(put("x"))


async def a_watch(desk, **more):
    """Once the journal listens to others it wakes all who watch: they may have missed something."""
    watch = desk.journal.watch(**more)
    assert not desk.journal.shared or await watch.changed(20)
    return watch


async def test_a_watch_wakes_for_changes_alone(desk):
    watch = await a_watch(desk)
    await desk.journal.write(lambda tx: None)
    assert await watch.changed(0.01) is False
    await asyncio.gather(*(desk.journal.write(put(f"k{number}")) for number in range(10)))
    assert await watch.changed(5) is True
    await asyncio.sleep(0)
    assert await watch.changed(0.01) is False, "wakes that come together are one"
    watch.close()


async def test_a_watch_for_objects_sleeps_through_what_the_outbox_is_not_told(desk, new_run):
    watch, every = await a_watch(desk, objects=True), desk.journal.watch()
    await desk.journal.write(put("x"))
    assert await every.changed(5) is True
    assert await watch.changed(0.01) is False
    await desk.enqueue(new_run())
    assert await watch.changed(5) is True
    await desk.journal.write(put("y"))
    assert await watch.changed(0.01) is False
    watch.close()
    every.close()


async def test_a_watch_for_work_sleeps_through_what_was_only_done(desk, new_run):
    """Many runners hear of every commit: those that queue nothing must not have all of them look."""
    watch, objects = await a_watch(desk, work=True), desk.journal.watch(objects=True)
    await desk.enqueue(new_run(group="g"))
    assert await watch.changed(5) is True
    (claim,) = await desk.claim("default/ann", 1)
    await desk.do(steps.start, claim.fence, "runner", "steps", "only", 1, START)
    assert await objects.changed(5) is True
    assert await watch.changed(0.01) is False, "a claim leaves nothing more to claim"
    await desk.enqueue(new_run(name="two", group="g"))
    assert await watch.changed(5) is True
    await desk.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=START)
    assert await watch.changed(5) is True, "the next one has its place by it"
    (claim,) = await desk.claim("default/ann", 1)
    await desk.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=START)
    assert await objects.changed(5) is True
    assert await watch.changed(0.01) is False
    watch.close()
    objects.close()


async def test_a_closed_journal_finishes_what_waits_and_then_is_unavailable(desk, url):
    last = [asyncio.create_task(desk.journal.write(put(f"k{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    await desk.journal.close()
    await desk.journal.close()
    assert await asyncio.gather(*last) == [None] * 20
    with pytest.raises(Unavailable, match="closed"):
        await desk.journal.write(put("x"))


# --- faults ---------------------------------------------------------------------------------------------------------


def saying(**values):
    """The change that has the tables say of themselves what another program would."""

    def change(tx):
        tx.execute(delete(meta).where(meta.c.key.in_(values)))
        rows = [{"key": key, "value": value} for key, value in values.items() if value is not None]
        tx.execute(insert(meta), rows)

    return change


async def described(desk, **values):
    await desk.journal.write(saying(**values))
    await desk.journal.close()


@pytest.mark.parametrize("compatible", ["99", str(VERSION + 1), None, "soon"])
async def test_a_journal_that_only_newer_programs_can_use_is_refused(desk, url, clock, compatible):
    await described(desk, version="99", compatible=compatible)
    with pytest.raises(Refused, match="newer OpsConductor"):
        opened(url, clock)


async def test_an_older_program_goes_on_beside_a_newer_one(desk, url, clock):
    """While programs are replaced one after another: where the new tables say that it may."""
    await described(desk, version="99", compatible=str(VERSION))
    journal = opened(url, clock)
    await journal.write(put("x"))
    rows = await journal.read(lambda conn: conn.execute(select(meta.c.key, meta.c.value)).all())
    versions = {row.key: row.value for row in rows}
    assert (versions["version"], versions["compatible"]) == ("99", str(VERSION))
    await journal.close()


@pytest.mark.parametrize(
    ("says", "said"),
    [
        pytest.param({"version": "99", "compatible": "99"}, "newer OpsConductor", id="upgraded"),
        pytest.param({"movedTo": "sqlite:///elsewhere"}, "moved to sqlite:///elsewhere", id="moved"),
    ],
)
async def test_who_is_connected_notices_at_once_that_the_journal_is_not_for_it_any_more(desk, url, clock, says, said):
    """Its next change is refused, and each after it; what was read with is read with still."""
    newer = opened(url, clock)
    await desk.journal.write(put("x"))
    await newer.write(saying(**says))
    for _ in range(2):
        with pytest.raises(Refused, match=said):
            await desk.journal.write(put("x", 2))
    assert said in await desk.journal.unwritable()
    assert await desk.journal.read(get("x")) == 1
    await newer.close()


async def test_who_is_connected_goes_on_beside_a_newer_program_where_the_tables_say_so(desk, url, clock):
    newer = opened(url, clock)
    await newer.write(saying(version="99", compatible=str(VERSION)))
    await desk.journal.write(put("x", 2))
    assert await newer.read(get("x")) == 2
    await newer.close()


@pytest.mark.parametrize("compatible", [VERSION, VERSION + 1])
async def test_an_older_process_beside_one_that_upgrades_the_journal(desk, url, clock, monkeypatch, compatible):
    """The rule both ways: the process goes on where the newer one's tables are said to suit it, and stops where not."""
    other = other_process(url, "consume.committed", "SIGSTOP")
    try:
        assert await asyncio.to_thread(other.stdout.readline) == "consume.committed\n"
        wait_until_stopped(other)
        with monkeypatch.context() as newer:
            newer.setattr(upgrades, "VERSION", VERSION + 1)
            newer.setattr(upgrades, "COMPATIBLE", compatible)
            upgrade = "CREATE TABLE songs (title VARCHAR)"
            newer.setitem(upgrades._UPGRADES, VERSION + 1, lambda connection: connection.exec_driver_sql(upgrade))
            await asyncio.to_thread(lambda: upgraded(url).close())
        for _ in range(3 if compatible == VERSION else 1):
            other.send_signal(signal.SIGCONT)
            said = [await asyncio.to_thread(other.stdout.readline) for _ in range(2)]
            if compatible != VERSION:
                assert said == ["0\n", ""], "the change that was committed before, and no other"
                _, why = await asyncio.to_thread(other.communicate, timeout=30)
                assert "changed by a newer OpsConductor" in why
                return
            assert said[1] == "consume.committed\n", "it has made another change"
            await asyncio.to_thread(wait_until_stopped, other)
    finally:
        other.kill()
        await asyncio.to_thread(other.communicate)


async def test_an_older_journal_is_upgraded_once(desk, url, clock, monkeypatch):
    """By the first program that opens it, whoever opens it at once; what is half done is not there."""
    made = []

    def fails(connection):
        connection.exec_driver_sql("CREATE TABLE half (x INTEGER)")
        raise ZeroDivisionError

    def upgrade(connection):
        made.append(1)
        connection.exec_driver_sql("CREATE TABLE songs (title VARCHAR)")

    await described(desk, version=str(VERSION))
    monkeypatch.setattr(upgrades, "VERSION", VERSION + 1)
    monkeypatch.setitem(upgrades._UPGRADES, VERSION + 1, fails)
    with pytest.raises(ZeroDivisionError):
        opened(url, clock)
    monkeypatch.setitem(upgrades._UPGRADES, VERSION + 1, upgrade)
    doors = await asyncio.gather(*(asyncio.to_thread(upgraded, url) for _ in range(4)))
    assert made == [1]
    for connection in doors:
        assert sorted({"half", "songs"} & set(inspect(connection).get_table_names())) == ["songs"]
        connection.close()


def upgraded(url):
    """Upgraded as by `Journal.open`, which wants a loop for what follows."""
    database = store.database_of(url)
    with database.writing.connect() as connection, connection.begin():
        upgrades.prepare(connection, database)
    return database.reading.connect()


@pytest.mark.parametrize("bad", ["sqlite://", "sqlite:///:memory:", "mysql://host/db", "postgresql://a:1,b:2/db"])
async def test_other_places_are_refused(bad, clock):
    with pytest.raises(Refused):
        opened(bad, clock)


# --- crashes and other processes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("point", "durable"), [("consume.uncommitted", False), ("consume.committed", True)])
async def test_killed_around_the_commit(url, clock, point, durable):
    other = other_process(url, point, "SIGKILL")
    said, _ = await asyncio.to_thread(other.communicate, timeout=30)
    assert said.split() == [point]
    journal = opened(url, clock)
    assert await journal.read(get("k0")) == (0 if durable else None)
    await journal.close()


async def test_a_thawed_runner_in_another_process_is_fenced_off(desk, url, clock, new_run):
    """Its run was given away while it was stopped: it learns so at its next write, and its word is kept."""
    stale = await desk.running()
    other = opened(url, clock)
    clock.advance(16)
    await other.write(lambda tx: leases.reap(tx, clock.now()))
    (fresh,) = await other.write(lambda tx: leases.claim(tx, "default/other", None, 1, clock.now()))
    with pytest.raises(FenceLost):
        await desk.do(leases.finish, stale.fence, RunState.SUCCEEDED, now=clock.now())
    await other.write(lambda tx: steps.start(tx, fresh.fence, "web-01", "steps", "space", 1, clock.now()))
    assert (await desk.see(runs.get, stale.fence.run)).runner == "default/other"
    assert len(await desk.see(evidence.of, stale.fence.run)) == 1
    await other.close()


async def test_two_journals_on_one_file_enqueue_one_cause_once(desk, url, clock, new_run):
    other = opened(url, clock)
    both = [desk.journal, other]
    answers = await asyncio.gather(
        *(both[n % 2].write(lambda tx, n=n: runs.enqueue(tx, new_run(f"n{n // 4}"), clock.now())) for n in range(80))
    )
    assert sum(isinstance(answer, runs.Enqueued) for answer in answers) == 20
    await other.close()
