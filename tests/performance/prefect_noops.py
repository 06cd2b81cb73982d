"""Run by the interpreter of Prefect's own environment: `prefect_noops.py drive|work NOTES`.

A no-op is a background task: `work` serves it, `drive` delays it and answers what was measured. That is the lightest
way in which Prefect hands work to other processes; a deployed flow starts a process for each run. Which server they
ask is in the environment. Knows nothing of this project.
"""

# mypy: ignore-errors
import asyncio
import sys
from pathlib import Path

from noop_measures import Noted, Notes, serve
from prefect import task

notes = Notes(Path(sys.argv[2]))


@task(log_prints=False)
async def noop(name: str) -> None:
    notes.add(name)


class Delayed(Noted):
    async def put(self, names: list[str], *, urgent: bool) -> None:
        for name in names:
            noop.delay(name)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        noop.serve()
    else:
        asyncio.run(serve(Delayed(notes)))
