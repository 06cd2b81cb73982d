"""No-ops of our own: runs of one step that does nothing, worked on by the installed program on PostgreSQL.

They are queued as a leading controller queues what is due, by the same change of the journal. One has begun when its
step's work has been done, whose start is durable by then: its own record says when.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from engine.identity import Cause, run_id
from engine.runs.pinned import PinnedSpec, PlannedStep, Use
from journal import runs
from journal.clock import SystemClock
from journal.databases.tables import runners, steps
from journal.databases.tables import runs as table
from journal.runs import NewRun
from journal.store import Journal

_BEGUN = (
    select(table.c.cause_key, steps.c.ended_at)
    .join(steps, steps.c.run == table.c.seq)
    .where(steps.c.ended_at.is_not(None))
)
SPEC = PinnedSpec("empty", "1f0c" * 10, (PlannedStep("only", "steps", Use("dummy", {})),))


class Runs:
    """The queue that the journal is."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._clock = SystemClock()

    async def put(self, names: Sequence[str], *, urgent: bool) -> None:
        news = [self._new(name, urgent=urgent) for name in names]
        await self._journal.write(lambda tx: runs.enqueue_all(tx, news, self._clock.now()))

    async def began(self) -> Mapping[str, float]:
        return await self._journal.read(_began)

    async def has_begun(self, name: str) -> bool:
        query = _BEGUN.where(table.c.cause_key == f"request/{name}")
        return await self._journal.read(lambda conn: conn.execute(query).first()) is not None

    async def ended(self) -> int:
        return await self._journal.read(_ended)

    def runners(self, conn: Connection) -> int:
        """How many have said that they are at work."""
        return conn.execute(select(func.count()).select_from(runners)).scalar_one()

    def _new(self, name: str, *, urgent: bool) -> NewRun:
        cause = Cause("request", name, datetime.now(UTC))
        return NewRun(
            run_id("empty", cause), cause, SPEC, {}, "default", priority=1 if urgent else 0,
            queue_timeout=timedelta(hours=1),
        )  # fmt: skip


def _began(conn: Connection) -> dict[str, float]:
    rows = conn.execute(_BEGUN)
    return {row.cause_key.removeprefix("request/"): row.ended_at.timestamp() for row in rows}


def _ended(conn: Connection) -> int:
    return conn.execute(select(func.count()).where(table.c.finished_at.is_not(None))).scalar_one()
