"""`python many_schedules.py LOADED DUE FOLDER`: what schedules cost the engine, as one line of JSON.

A program of its own, so that the memory of whoever measures is not counted.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, text

from engine.catalog import Catalog
from engine.compile import compile_files
from journal import leases
from journal.clock import SystemClock
from journal.store import Journal
from reconciler.schedules import Schedules
from schemas.reader import ParsedFile, read
from tests.catalogs import HEAD, PROJECT
from tests.performance.measuring import percentile

_A_FILE = 200
_TICKS = 1000
_BEFORE, _QUIET, _SOON, _DUE = (
    datetime(2026, 11, *day, tzinfo=UTC) for day in ((20, 12), (20, 12, 0, 1), (20, 23, 59), (21, 0, 0, 1))
)
_SLOTS = 50


def _loaded(number: int) -> str:
    """Fires at some minute of the day, but not at once after noon."""
    when = f"cron: '{number * 7 % 60} {number % 12} * * *', timeZone: Europe/Chisinau"
    return _schedule(f"load-{number:06}", f"shared-{number % 100}", when)


def _due(number: int) -> str:
    return _schedule(f"due-{number:06}", f"due-{number:06}", "cron: '0 2 * * *', timeZone: Europe/Chisinau")


def _schedule(name: str, job: str, when: str) -> str:
    return f"{HEAD}kind: Schedule\nmetadata: {{name: {name}}}\nspec: {{jobRef: {job}, {when}}}\n"


def _job(name: str) -> str:
    return f"{HEAD}kind: Job\nmetadata: {{name: {name}}}\nspec: {{steps: [{{uses: dummy}}]}}\n"


def _files(documents: list[str]) -> Iterator[ParsedFile]:
    yield read(PROJECT.encode(), "opsconductor.yaml")
    for first in range(0, len(documents), _A_FILE):
        yield read("---\n".join(documents[first : first + _A_FILE]).encode(), f"definitions/{first}.yaml")


def _catalog(documents: list[str]) -> Catalog:
    compiled = compile_files("c" * 40, list(_files(documents)))
    assert compiled.catalog is not None, compiled.findings[:3]
    return compiled.catalog


class _Timed:
    """A journal that notes when each change was durable."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.done: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    async def write(self, change: Callable[[Connection], Any]) -> Any:
        answer = await self.journal.write(change)
        self.done.append(time.perf_counter())
        return answer


async def _known(folder: Path, count: int) -> dict[str, float]:
    """Seconds from files to the next fire of every schedule, what a look with nothing due costs, and the memory."""
    documents = [_job(f"shared-{number}") for number in range(100)] + [_loaded(number) for number in range(count)]
    began = time.perf_counter()
    catalog = _catalog(documents)
    read_ = time.perf_counter()
    journal = Journal.open(f"sqlite:///{folder / 'loaded.sqlite3'}", clock=SystemClock())
    schedules = Schedules(journal)
    await schedules.adopt(catalog, _BEFORE)
    adopted = time.perf_counter()
    again = Schedules(journal)
    await again.adopt(catalog, _BEFORE)
    restarted = time.perf_counter()
    for _ in range(_TICKS):
        assert await schedules.decide(_QUIET) == 0
    ticked = time.perf_counter()
    await journal.close()
    return {
        "read": read_ - began,
        "adopted": adopted - read_,
        "restarted": restarted - adopted,
        "tick": (ticked - restarted) / _TICKS,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


async def _enqueued(folder: Path, count: int) -> dict[str, float]:
    """How long the 99th of a hundred of those that are due at one time waits until its run is durably queued.

    The minute before, the engine had time to work them out, as it has where it runs.
    """
    names = range(count)
    catalog = _catalog([_job(f"due-{number:06}") for number in names] + [_due(number) for number in names])
    journal = Journal.open(f"sqlite:///{folder / 'due.sqlite3'}", clock=SystemClock())
    timed = _Timed(journal)
    schedules = Schedules(timed)  # type: ignore[arg-type]
    await schedules.adopt(catalog, _BEFORE)
    while schedules.work_ahead(_SOON) < 1:
        pass
    timed.done.clear()
    began = time.perf_counter()
    assert await schedules.decide(_DUE) == count
    waits = [at - began for at in timed.done]
    order = await _order(journal, count)
    await journal.close()
    return {"p99": percentile(waits, 99), "inOrder": order}


async def _order(journal: Journal, count: int) -> bool:
    """Whether a runner with some slots is given the first that were enqueued."""
    clock = SystemClock()
    claimed = await journal.write(lambda tx: leases.claim(tx, "bench/1", ("default",), _SLOTS, clock.now()))
    first = await journal.read(
        lambda conn: (
            conn.execute(text("SELECT id FROM runs ORDER BY priority DESC, seq LIMIT :most"), {"most": _SLOTS})
            .scalars()
            .all()
        )
    )
    return [claim.fence.run for claim in claimed] == list(first) and len(claimed) == min(_SLOTS, count)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    _place = Path(sys.argv[3])
    _figures = asyncio.run(_known(_place, int(sys.argv[1]))) | asyncio.run(_enqueued(_place, int(sys.argv[2])))
    print(json.dumps(_figures), flush=True)
