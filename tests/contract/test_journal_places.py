"""Two processes on one journal: whoever comes first, no place of a group is given twice, and nobody is forgotten."""

import asyncio
import random

import pytest

from engine.states import RunState
from journal import leases, runs
from journal.store import Journal
from tests.contract.conftest import GivenClock, a_run, opened

LIMITS = {"solo": 1, "pair": 2}
RUNS = 40


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_place_is_given_twice_whoever_asks(url: str, clock: GivenClock, seed: int) -> None:
    chance = random.Random(seed)
    doors = [opened(url, clock) for _ in range(2)]
    at_work = dict.fromkeys(LIMITS, 0)
    done: list[str] = []

    async def ask(number: int) -> None:
        group = chance.choice([*LIMITS])
        new = a_run(f"n{number}", job=group, group=group, limit=LIMITS[group], on_conflict="queue", priority=number % 3)
        await asyncio.sleep(chance.random() / 50)
        # Both doors are asked for the same run: it is caused once.
        await asyncio.gather(*(door.write(lambda tx: runs.enqueue(tx, new, clock.now())) for door in doors))

    async def work(door: Journal, name: str) -> None:
        while len(done) < RUNS:
            claims = await door.write(lambda tx: leases.claim(tx, name, None, 2, clock.now()))
            for claim in claims:
                group = claim.spec.job
                at_work[group] += 1
                assert at_work[group] <= LIMITS[group], f"{at_work[group]} runs of {group} at once"
            await asyncio.sleep(chance.random() / 100)
            for claim in claims:
                at_work[claim.spec.job] -= 1
                fence = claim.fence
                await door.write(
                    lambda tx, fence=fence: leases.finish(tx, fence, RunState.SUCCEEDED, now=clock.now())  # type: ignore[misc]
                )
                done.append(fence.run)

    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*map(ask, range(RUNS)), *(work(door, str(door)) for door in doors))
        assert sorted(done) == sorted(set(done))
        assert await doors[0].read(runs.open_runs) == ()
    finally:
        for door in doors:
            await door.close()
