"""Whoever is to know that other definitions are in force is told of each commit that is, and of no other."""

import asyncio
from pathlib import Path

from journal.clock import SystemClock
from journal.store import Journal
from opsconductor.service.up import Engine
from opsconductor.settings import Settings, StateFolder, parse_source
from tests.catalogs import HEAD, PROJECT, local_target
from tests.performance.installed_engine import MAIN, Source

_LIMIT = 60


async def test_each_commit_that_comes_into_force_is_told_and_no_rejected_one(tmp_path: Path) -> None:
    source = Source(tmp_path / "ops.git")
    first = source.commit(MAIN, {"opsconductor.yaml": PROJECT})
    source.push(MAIN, first)
    (tmp_path / "state").mkdir()
    settings = Settings(parse_source(str(source.path)), StateFolder(tmp_path / "state"))
    journal = Journal.open(f"sqlite:///{settings.state.journal}", clock=SystemClock())
    in_force, told = [], asyncio.Event()

    def adopted() -> None:
        in_force.append(engine.sync().applied)
        told.set()

    async def next_one() -> None:
        async with asyncio.timeout(_LIMIT):
            await told.wait()
        told.clear()

    engine = Engine(settings, journal, SystemClock(), adopted=adopted)
    running = asyncio.create_task(engine.run())
    await next_one()
    bad = source.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/a.yaml": f"{HEAD}kind: Jobb\n"})
    source.push(MAIN, bad)
    async with asyncio.timeout(_LIMIT):
        while engine.sync().observed != bad:
            await asyncio.sleep(0.05)
    good = source.commit(MAIN, {"opsconductor.yaml": PROJECT, "definitions/a.yaml": HEAD + local_target("a")})
    source.push(MAIN, good)
    await next_one()
    engine.stop()
    await running
    await journal.close()
    assert in_force == [first, good]
