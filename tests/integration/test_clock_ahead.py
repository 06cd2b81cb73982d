"""A clock that was far ahead for one look: schedules go on, and no instant runs twice. On a real journal."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from engine.schedules import why
from engine.status import readback, readmodel
from journal import schedules, setback
from journal.clock import SystemClock
from journal.databases.tables import decisions
from journal.errors import Unavailable
from journal.store import Journal
from reconciler.publication import rebuild
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


RESUMED = [("skipped", 5, 10, 2), *(("run", m, m, 1) for m in range(15, 51, 5))]
"""Of a schedule that a clock at 40 skipped, and that was resumed when it was 13."""


@pytest.mark.parametrize("removed_at", [12, 40])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_schedule_that_was_removed_meanwhile_comes_back_without_them(
    bench: Bench, removed_at: int, restarted: bool
) -> None:
    """Whether it went before the clock was set back or after, and whoever knew what it meant."""
    target, greet, often = work("allow", "5m")
    await bench.adopt(0, target, greet, _suspended(often, "true"))
    await bench.look(40)
    if restarted:
        bench.schedules = Schedules(bench.journal)
    await bench.adopt(removed_at, target, greet)
    await bench.look(12)
    await bench.adopt(13, target, greet, often)
    for minute in range(15, 51, 5):
        await bench.look(minute)
    assert await _decided(bench) == RESUMED


async def test_what_was_skipped_under_a_former_name_is_taken_back(bench: Bench) -> None:
    target, greet, often = work("allow", "5m")
    renamed = often.replace("name: often", "name: frequent, previousNames: [often]")
    await bench.adopt(0, target, greet, _suspended(often, "true"))
    await bench.look(40)
    await bench.adopt(12, target, greet, _suspended(renamed, "true"))
    await bench.look(13)
    assert await _decided(bench) == [("skipped", 5, 40, 8)], "a new name alone decides nothing anew"
    await bench.adopt(13, target, greet, renamed)
    for minute in range(15, 51, 5):
        await bench.look(minute)
    assert await _decided(bench) == RESUMED


async def test_a_record_ends_where_the_time_of_its_schedule_changes(bench: Bench) -> None:
    """So what is left of it, when a clock is set back, is counted by what it was made by."""
    target, greet, often = work("allow", "5m")
    await bench.adopt(0, target, greet, _suspended(often, "true"))
    await bench.look(60)
    await bench.adopt(60, target, greet, _suspended(often, "true").replace("5m", "20m"))
    await bench.look(180)
    assert await _decided(bench) == [("skipped", 5, 60, 12), ("skipped", 80, 180, 6)]
    await bench.look(101)
    assert await _decided(bench) == [("skipped", 5, 60, 12), ("skipped", 80, 100, 2)]


async def test_memory_and_store_agree_where_the_store_is_away_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever access to it fails: nothing is lost in between."""
    await bench.adopt(0, *work("allow", "5m"))
    await bench.look(300)
    read, write, accesses = bench.journal.read, bench.journal.write, 0

    def failing(access: Any, at: int) -> Any:
        async def tried(work: Any) -> Any:
            nonlocal accesses
            accesses += 1
            if accesses == at:
                raise Unavailable("the disk is full", timedelta(seconds=1))
            return await access(work)

        return tried

    for at in range(1, 4):
        accesses = 0
        with monkeypatch.context() as away:
            away.setattr(bench.journal, "read", failing(read, at))
            away.setattr(bench.journal, "write", failing(write, at))
            with suppress(Unavailable):
                await bench.look(11 + at)
        clocks = await bench.journal.read(schedules.clocks)
        memory = bench.schedules._clocks["often"].considered_until
        assert memory == clocks["often"].considered_until
    for minute in range(15, 31, 5):
        await bench.look(minute)
    assert [at for at in await instants(bench) if at < 60] == [15, 20, 25, 30]


async def test_the_branch_says_up_to_where_it_is_decided(bench: Bench, tmp_path: Path) -> None:
    """And a store that is filled from it goes on there: the newest decision may be a run of a clock that was ahead."""
    target, greet, often = work("allow", "5m")
    often = often.replace("every: 5m", "every: 5m, catchUp: {policy: all, window: 1d, max: 3}")
    await bench.adopt(0, target, greet, often)
    for minute in (5, 300, 12, 15, 20):
        await bench.look(minute)
    row = (await bench.journal.read(schedules.clocks))["often"]
    shown = bench.schedules.view("often", row)
    assert shown is not None
    text = readmodel.to_yaml(readmodel.schedule_status(shown))
    published = readback.parse_schedule_status(text)
    assert published.considered_until == readmodel.considered_until(published) == T0 + 20 * MINUTE
    assert published.last is not None
    assert published.last.instant == T0 + 300 * MINUTE
    known = why.Known(
        "often",
        T0 + 47 * MINUTE,
        current=why.Definition(bench.catalog.schedules["often"], "c" * 40),
        clock=published,
    )
    assert why.answer(known, T0 + 45 * MINUTE).decision == "pending"

    ahead = await bench.seen()
    new = Bench(Journal.open(f"sqlite:///{tmp_path / 'new.sqlite3'}", clock=SystemClock()))
    await new.journal.write(lambda tx: rebuild._import_clock(tx, published, None, None, ran=ahead))
    await new.adopt(25, target, greet, often)
    for minute in range(25, 41, 5):
        await new.look(minute)
    await new.look(301)
    again = [run for run in await instants(new) if run in {290, 295, 300}]
    assert (await instants(new))[:4] == [25, 30, 35, 40]
    assert not again
    row = (await new.journal.read(schedules.clocks))["often"]
    unmarked = new.schedules.view("often", row)
    assert unmarked is not None
    assert "consideredUntil" not in readmodel.to_yaml(readmodel.schedule_status(unmarked)), "only while it is ahead"
    await new.journal.close()


async def test_who_ran_ahead_is_found_by_the_clocks(bench: Bench) -> None:
    """Not by all runs of years: it is asked in the transaction of each commit that comes into force."""
    plan = await bench.journal.read(lambda conn: conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {setback.RAN_AHEAD}").all())
    steps = [str(step[-1]) for step in plan]
    assert steps[0].startswith("SCAN schedules")
    assert steps[1].startswith("SEARCH decisions USING INDEX decisions_by_last (schedule=? AND last>?)")
    assert len(steps) == 2


def test_sync_says_that_the_clock_was_set_back() -> None:
    stalled = [one for one in view(Sync(applied="a" * 40, ahead=T0), None, T0).conditions if one.type == "Stalled"]
    assert [(one.status, one.reason) for one in stalled] == [("True", "ClockSetBack")]
    assert "2026-11-21T12:00:00Z" in stalled[0].message
