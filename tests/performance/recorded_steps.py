"""What the two durable records of a step cost on PostgreSQL, beside two bare commits of a row."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg

from engine.identity import Cause, run_id
from engine.states import StepState
from journal import leases, runs, steps
from journal.clock import SystemClock
from journal.runs import NewRun
from journal.steps import StepEnd
from journal.store import Journal
from tests.performance.measuring import alternating, milliseconds, times
from tests.performance.noop_ours import SPEC
from tests.performance.table import Row
from tests.postgresql import Server

_STEPS = 40
_ROUNDS = 5
_DONE = StepEnd(StepState.SUCCEEDED, exit_code=0, duration=0.1)


async def rows(server: Server) -> list[Row]:
    clock = SystemClock()
    journal = Journal.open(server.url(server.database()), clock=clock)
    cause = Cause("request", "steps", datetime.now(UTC))
    new = NewRun(run_id("empty", cause), cause, SPEC, {}, "default", queue_timeout=timedelta(hours=1))
    await journal.write(lambda tx: runs.enqueue(tx, new, clock.now()))
    (claim,) = await journal.write(lambda tx: leases.claim(tx, "bench/1", None, 1, clock.now()))
    fence, count = claim.fence, iter(range(1_000_000))

    async def ours() -> None:
        for _ in range(_STEPS):
            name = f"s{next(count)}"
            await journal.write(lambda tx, name=name: steps.start(tx, fence, "here", "steps", name, 1, clock.now()))  # type: ignore[misc]
            await journal.write(
                lambda tx, name=name: steps.end(tx, fence, "here", "steps", name, 1, _DONE, clock.now())  # type: ignore[misc]
            )

    with closing(psycopg.connect(server.url(server.database()), autocommit=True)) as connection:
        connection.execute("CREATE TABLE bare (id integer PRIMARY KEY, state text)")

        async def bare() -> None:
            for _ in range(_STEPS):
                number = next(count)
                connection.execute("INSERT INTO bare VALUES (%s, 'running')", (number,))
                connection.execute("UPDATE bare SET state = 'succeeded' WHERE id = %s", (number,))

        taken = await alternating(_ROUNDS, {"ours": ours, "bare": bare})
    await journal.close()
    return [
        Row(
            "a step's two durable records, one after another",
            milliseconds(taken.of("ours") / _STEPS),
            f"bare psycopg, two commits of a row: {milliseconds(taken.of('bare') / _STEPS)}",
            times(taken.ratio("ours", "bare")),
        )
    ]
