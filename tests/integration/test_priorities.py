"""Who waits less: the priority of a RunRequest counts before that of the Schedule, and that before the Job's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from engine.states import RunState
from journal import leases
from journal.clock import SystemClock
from journal.store import Journal
from tests.catalogs import job, local_target
from tests.integration.test_held_runs import MINUTE, T0, Bench, asked

GREET = job("greet", spec="  targets: {names: [here]}\n  priority: 5\n  concurrency: {onConflict: queue}\n")


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    yield Bench(journal)
    await journal.close()


def schedule(name: str, priority: str) -> str:
    return f"kind: Schedule\nmetadata: {{name: {name}}}\nspec: {{jobRef: greet, every: 10m{priority}}}\n"


async def test_what_waits_begins_by_the_priority_of_what_asked_for_it(bench: Bench) -> None:
    """All are due in the same minute behind one that has the place; those alike begin in the order they came."""
    priorities = {"plain": "", "low": ", priority: 0", "high": ", priority: 9"}
    shown = [schedule(name, text) for name, text in priorities.items()]
    await bench.adopt(0, local_target("here"), GREET, *shown)
    await asked(bench, 1, "holds", jobRef="greet")
    await bench.look(10)
    await asked(bench, 11, "urgent", jobRef="greet", priority=20)
    await asked(bench, 11, "whenever", jobRef="greet", priority=-1)
    await asked(bench, 11, "usual", jobRef="greet")
    began = []
    await bench.journal.write(lambda tx: leases.register(tx, "default/r", "default", "h", T0))
    for minute in range(7):
        now = T0 + (12 + minute / 10) * MINUTE
        await bench.look(12 + minute / 10)
        (claim,) = await bench.journal.write(lambda tx, now=now: leases.claim(tx, "default/r", None, 8, now))
        run = claim.fence.run
        began += [one.cause.name for one in await bench.seen() if one.id == run]
        end = lambda tx, fence=claim.fence, now=now: leases.finish(tx, fence, RunState.SUCCEEDED, now=now)  # noqa: E731
        await bench.journal.write(end)
    assert began == ["holds", "urgent", "high", "plain", "usual", "low", "whenever"]
