"""Run by the interpreter of Prefect's own environment: what Prefect adds to a task that spawns one process.

Prints JSON: `{"version", "returned", "recorded"}`, seconds added to a task, one figure a round. `returned`: until the
flow goes on. `recorded`: until Prefect's server has all of them in its database, which it does in the background.
Knows nothing of this project.
"""

import asyncio
import json
import sys
import time
from itertools import pairwise
from statistics import median

# mypy: ignore-errors
import prefect
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.runtime import flow_run

TASKS, ROUNDS = int(sys.argv[1]), int(sys.argv[2])


async def spawn() -> None:
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", ":", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await process.communicate()


@task
async def one() -> None:
    await spawn()


@flow
async def in_tasks() -> tuple[list[float], str]:
    times = [time.perf_counter()]
    for _ in range(TASKS):
        await one()
        times.append(time.perf_counter())
    return times, flow_run.id


async def recorded(run: str) -> float:
    only = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    async with get_client() as client:
        while True:
            found = await client.read_task_runs(flow_run_filter=only, limit=TASKS)
            if sum(one.state is not None and one.state.is_completed() for one in found) == TASKS:
                return time.perf_counter()
            await asyncio.sleep(0.02)


async def directly() -> list[float]:
    times = [time.perf_counter()]
    for _ in range(TASKS):
        await spawn()
        times.append(time.perf_counter())
    return times


def middle(times: list[float]) -> float:
    return median(later - one for one, later in pairwise(times))


async def main() -> None:
    await in_tasks()  # starts Prefect's server, and warms everything up
    figures: dict[str, list[float]] = {"returned": [], "recorded": []}
    for _ in range(ROUNDS):
        alone = await directly()
        times, run = await in_tasks()
        written = await recorded(run)
        figures["returned"].append(middle(times) - middle(alone))
        figures["recorded"].append((written - times[0]) / TASKS - middle(alone))
    print(json.dumps({"version": prefect.__version__, **figures}))


if __name__ == "__main__":
    asyncio.run(main())
