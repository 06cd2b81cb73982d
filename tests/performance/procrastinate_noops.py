"""Run by the interpreter of Procrastinate's own environment: `procrastinate_noops.py drive|work CONNINFO NOTES`.

`work` is a worker as its documentation has it; `drive` defers no-ops and answers what was measured. Knows nothing of
this project.
"""

# mypy: ignore-errors
import asyncio
import logging
import sys
from pathlib import Path

import procrastinate
from noop_measures import Noted, Notes, serve

AT_ONCE = 50
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=sys.argv[2], min_size=4, max_size=10))
notes = Notes(Path(sys.argv[3]))


@app.task(name="noop", queue="default")
async def noop(name: str) -> None:
    notes.add(name)


class Deferred(Noted):
    async def put(self, names: list[str], *, urgent: bool) -> None:
        await noop.configure(priority=1 if urgent else 0).batch_defer_async(*({"name": name} for name in names))

    async def ended(self) -> int:
        found = await app.connector.execute_query_one_async(
            "SELECT count(*) AS count FROM procrastinate_jobs WHERE status = 'succeeded'"
        )
        return found["count"]


async def main() -> None:
    logging.disable(logging.CRITICAL)
    async with app.open_async():
        if sys.argv[1] == "work":
            await app.run_worker_async(queues=["default"], concurrency=AT_ONCE)
        else:
            await app.schema_manager.apply_schema_async()
            await serve(Deferred(notes))


if __name__ == "__main__":
    asyncio.run(main())
