"""Many runs recorded at once come to what they come to one by one, whatever they ask of each other."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from engine.identity import RunId
from engine.schedules.decide import Decided, Due, Skips
from journal import runs, schedules
from journal.databases.tables import decisions, outbox
from journal.databases.tables import runs as runs_table
from journal.runs import NewRun
from tests.contract.conftest import START, GivenClock, a_run, opened
from tests.postgresql import a_journal

CONFLICTS = ("skip", "queueOne", "queue", "cancelRunning", "fail", "allow")
MOST = 260


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """URLs of empty journals."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/two.db"
    else:
        with a_journal() as one, a_journal() as other:
            yield one, other


def some_runs(chance: random.Random, round_: int) -> list[NewRun]:
    """Some with a group of their own, some that share one, some early, some that are there already."""
    found = []
    for number in range(chance.randrange(2, MOST)):
        group = chance.choice([None, f"own-{round_}-{number}", f"own-{round_}-{number}", "few", "pair"])
        new = a_run(
            f"n{round_ - chance.randrange(2)}-{number}",
            job=group or "free",
            group=group,
            limit=2 if group == "pair" else 1,
            on_conflict=chance.choice(CONFLICTS),
            priority=chance.randrange(2),
        )
        later = chance.random() < 0.1
        found.append(replace(new, starts_at=START + timedelta(hours=1)) if later else new)
    return found


def one_by_one(tx: Connection, news: Sequence[NewRun], now: datetime) -> list[runs.Enqueue]:
    return [runs.enqueue(tx, new, now) for new in news]


def whole(conn: Connection) -> tuple[Any, ...]:
    """All that is in the journal of runs, in the order in which they were recorded: places are given in it."""
    columns = [column for column in runs_table.c if column.name != "seq"]
    told = conn.execute(select(outbox.c.topic, outbox.c.key).distinct()).all()
    return [str(row) for row in conn.execute(select(*columns).order_by(runs_table.c.seq))], sorted(map(str, told))


@pytest.mark.parametrize("seed", range(3))
async def test_runs_that_are_recorded_together(two: tuple[str, str], clock: GivenClock, seed: int) -> None:
    alone, together = (opened(url, clock) for url in two)
    chance = random.Random(seed)
    try:
        for round_ in range(3):
            news = some_runs(chance, round_)
            expected = await alone.write(lambda tx, news=news: one_by_one(tx, news, START))  # type: ignore[misc]
            found = await together.write(lambda tx, news=news: runs.enqueue_all(tx, news, START))  # type: ignore[misc]
            assert found == expected
        assert await together.read(whole) == await alone.read(whole)
    finally:
        await alone.close()
        await together.close()


def some_decisions(chance: random.Random, begin: datetime) -> list[tuple[Decided, Mapping[datetime, RunId]]]:
    found = []
    for number in range(12):
        name, at = f"s{number}", begin
        due, skips, enqueued = [], [], {}
        for _ in range(chance.randrange(4)):
            at += timedelta(minutes=chance.randrange(1, 9))
            if chance.random() < 0.5:
                due.append(Due(name, at))
                enqueued[at] = RunId(f"{name}-{at:%H%M}")
            else:
                skips.append(Skips(name, at, at, 1, chance.choice(["missed", "window"])))
        found.append((Decided(tuple(due), tuple(skips), at), enqueued))
    return found


@pytest.mark.parametrize("seed", range(6))
async def test_decisions_that_are_recorded_together(two: tuple[str, str], clock: GivenClock, seed: int) -> None:
    alone, together = (opened(url, clock) for url in two)
    chance = random.Random(seed)

    def clocks(tx: Connection) -> None:
        for number in range(12):
            schedules.put_clock(tx, f"s{number}", fingerprint="f", considered_until=START)

    def each(tx: Connection, every: list[tuple[Decided, Mapping[datetime, RunId]]]) -> None:
        for decided, enqueued in every:
            schedules.record(tx, decided, enqueued, START)

    def rows(conn: Connection) -> list[str]:
        return sorted(str(row[1:]) for row in conn.execute(select(decisions)))

    try:
        for journal in (alone, together):
            await journal.write(clocks)
        for round_ in range(4):
            # Some begin before the last ended: what is decided already stays as it is.
            every = some_decisions(chance, START + timedelta(minutes=20 * round_))
            await alone.write(lambda tx, every=every: each(tx, every))  # type: ignore[misc]
            await together.write(lambda tx, every=every: schedules.record_all(tx, every, START))  # type: ignore[misc]
        assert await together.read(rows) == await alone.read(rows) != []
    finally:
        await alone.close()
        await together.close()
