"""Long work on the loop leaves others their turns: whoever renews a lease does not wait for ten thousand schedules."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from journal.clock import SystemClock
from journal.store import Journal
from reconciler import turns
from reconciler.schedules import Schedules
from reconciler.turns import in_turns
from tests.catalogs import catalog, job, local_target

T0 = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MANY = 60


async def _turns_of_others(work: Callable[[], Awaitable[object]]) -> int:
    """How often another task of the loop had its turn meanwhile."""
    count = 0

    async def others() -> None:
        nonlocal count
        while True:
            count += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await work()
    beside.cancel()
    return count


async def _through(items: range) -> list[int]:
    return [item async for item in in_turns(items)]


async def test_others_have_their_turn_when_it_has_taken_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST", 3600)
    assert await _turns_of_others(lambda: _through(range(MANY))) <= 1
    monkeypatch.setattr(turns, "LONGEST", -1)
    assert await _turns_of_others(lambda: _through(range(MANY))) >= MANY
    assert await _through(range(5)) == [0, 1, 2, 3, 4]


async def test_schedules_are_adopted_and_decided_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread plans; between any two schedules that are placed or decided others have a turn."""
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    given = 0

    async def turn(seconds: float) -> None:
        nonlocal given
        given += 1
        await asyncio.sleep(seconds)

    monkeypatch.setattr(turns, "LONGEST", -1)
    monkeypatch.setattr(
        turns, "asyncio", SimpleNamespace(sleep=turn)
    )  # its own alone: the journal's waits are no turns
    each = [f"kind: Schedule\nmetadata: {{name: s{n}}}\nspec: {{jobRef: greet, every: 1m}}\n" for n in range(MANY)]
    found = catalog(local_target("here"), job("greet", spec="  targets: {names: [here]}\n"), *each)
    schedules = Schedules(journal)
    await schedules.adopt(found, T0)
    assert given >= MANY
    given = 0
    await schedules.decide(T0 + timedelta(minutes=1))
    assert given >= MANY
    await journal.close()
