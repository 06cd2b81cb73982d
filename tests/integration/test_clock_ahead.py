"""A clock that was far ahead for one look: schedules go on, and no instant runs twice. On a real journal."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from journal import schedules
from journal.clock import SystemClock
from journal.store import Journal
from journal.tables import decisions
from reconciler.schedules import Schedules
from reconciler.sync import Sync, view
from tests.integration.test_held_runs import MINUTE, T0, Bench, work

YEAR = 525_600


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    yield Bench(journal)
    await journal.close()


async def instants(bench: Bench) -> list[float]:
    return [(run.cause.instant - T0) / MINUTE for run in await bench.seen()]


async def test_a_look_a_year_ahead_silences_nothing(bench: Bench) -> None:
    await bench.adopt(0, *work("allow", "10m"))
    await bench.look(10)
    await bench.look(YEAR)
    for minute in range(25, 66, 10):
        await bench.look(minute)
    assert await instants(bench) == [10, 30, 40, 50, 60, YEAR - 10, YEAR]
    last = await bench.journal.read(lambda conn: schedules.decision(conn, "often", T0 + 20 * MINUTE))
    assert last is not None
    assert (last.decision, last.reason) == ("skipped", "missed")
    assert await bench.journal.read(lambda conn: schedules.decision(conn, "often", T0 + 70 * MINUTE)) is None


async def test_what_ran_ahead_of_its_time_does_not_run_again(bench: Bench) -> None:
    """Also when the engine starts anew in between, and when what ran is the one that would be caught up."""
    await bench.adopt(0, *work("allow", "30m"))
    await bench.look(180)
    before = await instants(bench)
    assert before
    await bench.look(61)
    bench.schedules = Schedules(bench.journal)
    await bench.adopt(62, *work("allow", "30m"))
    await bench.look(180)
    await bench.look(211)
    assert await instants(bench) == [*before, 210]
    skipped = await bench.journal.read(lambda conn: schedules.day(conn, T0.date()))
    assert sum(skip.count for skip in skipped) + len(before) + 1 == 7
    told = [(skip.first, skip.last) for skip in skipped]
    assert told == sorted(told)


async def test_nor_under_another_name(bench: Bench) -> None:
    """A rename keeps what is decided, ahead of the clock too."""
    target, greet, often = work("allow", "30m")
    await bench.adopt(0, target, greet, often)
    await bench.look(180)
    before = await instants(bench)
    renamed = often.replace("name: often", "name: frequent, previousNames: [often]")
    await bench.adopt(61, target, greet, renamed)
    await bench.look(61)
    await bench.look(180)
    await bench.look(211)
    assert await instants(bench) == [*before, 210]


async def test_a_clock_that_was_a_little_ahead_is_waited_for(bench: Bench) -> None:
    await bench.adopt(0, *work("allow", "10m"))
    await bench.look(40)
    before = await instants(bench)
    await bench.look(20)
    assert bench.schedules.ahead(T0 + 20 * MINUTE) == T0 + 40 * MINUTE
    assert bench.schedules.ahead(T0 + 36 * MINUTE) is None
    await bench.look(50)
    assert await instants(bench) == [*before, 50]


def _suspended(document: str, suspend: str) -> str:
    return document.replace("every: 5m", f"every: 5m, suspend: {suspend}")


async def _decided(bench: Bench) -> list[tuple[str, float, float, int]]:
    query = select(decisions).order_by(decisions.c.first)
    rows = await bench.journal.read(lambda conn: conn.execute(query).all())
    return [(row.verdict, (row.first - T0) / MINUTE, (row.last - T0) / MINUTE, row.times) for row in rows]


async def test_a_commit_takes_back_what_a_clock_a_little_ahead_has_skipped(bench: Bench) -> None:
    """An instant has one decision: skipped beforehand, and run by what came into force before it was due, is none."""
    target, greet, often = work("allow", "5m")
    await bench.adopt(0, target, greet, _suspended(often, "true"))
    await bench.look(40)
    await bench.look(12)
    await bench.adopt(12, target, greet, often)
    for minute in range(15, 51, 5):
        await bench.look(minute)
    assert await _decided(bench) == [("skipped", 5, 10, 2), *(("run", m, m, 1) for m in range(15, 51, 5))]
    assert await instants(bench) == [*range(15, 51, 5)]


async def test_also_one_that_renames_the_schedule(bench: Bench) -> None:
    target, greet, often = work("allow", "5m")
    await bench.adopt(0, target, greet, _suspended(often, "true"))
    await bench.look(40)
    await bench.look(12)
    await bench.adopt(12, target, greet, often.replace("name: often", "name: frequent, previousNames: [often]"))
    for minute in range(15, 51, 5):
        await bench.look(minute)
    assert await _decided(bench) == [("skipped", 5, 10, 2), *(("run", m, m, 1) for m in range(15, 51, 5))]


async def test_where_nobody_knows_how_it_was_decided_it_stays(bench: Bench) -> None:
    """Such as by another version of ours, before a restart."""
    target, greet, often = work("allow", "5m")
    await bench.adopt(0, target, greet, _suspended(often, "true"))
    await bench.look(40)
    bench.schedules = Schedules(bench.journal)
    await bench.adopt(12, target, greet, often)
    for minute in range(15, 51, 5):
        await bench.look(minute)
    assert await _decided(bench) == [("skipped", 5, 40, 8), ("run", 45, 45, 1), ("run", 50, 50, 1)]


def test_sync_says_that_the_clock_was_set_back() -> None:
    stalled = [one for one in view(Sync(applied="a" * 40, ahead=T0), None, T0).conditions if one.type == "Stalled"]
    assert [(one.status, one.reason) for one in stalled] == [("True", "ClockSetBack")]
    assert "2026-11-21T12:00:00Z" in stalled[0].message
