"""What a runner should take of the runs that wait, so that those beside it have as much to do.

Runners are counted by their signs of life and by the runs that they hold. A count may be wrong for a moment: it decides
who takes a run first, and never whether it is taken (`runners.fairness`).
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from engine.states import RunState
from journal import leaseclock
from journal.tables import AnyRow, runners
from journal.tables import runs as table

_OPEN = table.c.finished_at.is_(None)
_SEEN = 500
"""So many of the runs that wait are counted: beyond, everybody has more than enough."""


@dataclass(frozen=True, slots=True)
class Load:
    """Of a runner: the runs that it holds, and how many more it has room for."""

    held: int
    room: int


@dataclass(frozen=True, slots=True)
class Share:
    """Of `waiting` runs, `take` are a runner's. `oldest` is the number of the one that has waited longest, if any."""

    waiting: int
    take: int
    oldest: int | None


def share(waiting: int, own: Load, others: Iterable[Load]) -> int:
    """How many of the runs that wait a runner should take, where each goes to whoever holds the fewest.

    Of those who hold as many as it does, none comes before it: whoever looks first takes what is left over.
    """
    all_loads = (own, *others)

    def filled(level: int) -> int:
        return sum(_up_to(level, load) for load in all_loads)

    top = max(load.held + load.room for load in all_loads)
    return min(waiting, _up_to(bisect_left(range(top), waiting, key=filled), own))


def _up_to(level: int, load: Load) -> int:
    return min(load.room, max(0, level - load.held))


def alone(conn: Connection, pools: Collection[str] | None, free: int) -> Share:
    """For the one runner of a journal: whatever waits is its own."""
    oldest = conn.execute(select(table.c.seq).where(*_waiting(pools)).limit(1)).scalar()
    return Share(0, 0, None) if oldest is None else Share(1, free, oldest)


def among(conn: Connection, runner: str, pools: Collection[str] | None, free: int) -> Share:
    """For one of several; the others are those that give signs of life and serve the pool of a run."""
    first = select(table.c.pool, table.c.seq).where(*_waiting(pools))
    first = first.order_by(table.c.priority.desc(), table.c.seq).limit(_SEEN)
    some = first.subquery()
    rows = conn.execute(select(some.c.pool, func.count(), func.min(some.c.seq)).group_by(some.c.pool)).all()
    if not rows:
        return Share(0, 0, None)
    others = _others(conn, runner)
    held = _held(conn) if others else {}  # alone it takes what it has room for, whatever it holds
    take = 0
    for pool, waiting, _ in rows:
        loads = [_load(held.get(one.name, 0), one.capacity) for one in others if _serves(one.pool, pool)]
        take += share(waiting, Load(held.get(runner, 0), free), loads)
    return Share(sum(row[1] for row in rows), min(free, take), min(row[2] for row in rows))


def _waiting(pools: Collection[str] | None) -> list[ColumnElement[bool]]:
    found = [_OPEN, table.c.state == RunState.QUEUED.value, ~table.c.workflow]
    return found if pools is None else [*found, table.c.pool.in_(sorted(pools))]


def _held(conn: Connection) -> dict[str, int]:
    query = select(table.c.runner, func.count()).where(_OPEN, table.c.state == RunState.RUNNING.value)
    return {str(name): int(count) for name, count in conn.execute(query.group_by(table.c.runner))}


def _others(conn: Connection, runner: str) -> Sequence[AnyRow]:
    """Those who give signs of life."""
    alive = runners.c.shown_until >= leaseclock.at(conn)
    query = select(runners.c.name, runners.c.pool, runners.c.capacity)
    return conn.execute(query.where(alive, runners.c.name != runner)).all()


def _load(held: int, capacity: int | None) -> Load:
    return Load(held, max(0, (capacity or 0) - held))


def _serves(pools: str, pool: str) -> bool:
    """Whether a runner of these pools, as its row names them, takes runs of that one."""
    return pools == "*" or pool in pools.split(",")
