"""What a runner should take of the runs that wait, so that those beside it have as much to do.

Runners are counted by their signs of life and by the runs that they hold. A count may be wrong for a moment: it decides
who takes a run first, and never whether it is taken (`runners.fairness`).
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, or_, select, union_all

from engine.runs import runnerlabels
from engine.states import RunState
from journal.databases import leaseclock
from journal.databases.tables import AnyRow, runners
from journal.databases.tables import runs as table
from journal.slicetables import slices

_OPEN = table.c.finished_at.is_(None)
_SEEN = 500
"""So many of the runs that wait are counted: beyond, everybody has more than enough."""
# Made once: making them takes as long as asking the server does, and runners ask at every start.
_WAITS = (_OPEN, table.c.state == RunState.QUEUED.value, ~table.c.workflow)
_IN_POOLS = table.c.pool.in_(bindparam("pools", expanding=True))
_FITS = or_(table.c.needs.is_(None), table.c.needs.in_(bindparam("needs", expanding=True)))


def _grouped(first: Select[tuple[str, str | None, int]]) -> Select[tuple[str, str | None, int, int]]:
    some = first.order_by(table.c.priority.desc(), table.c.seq).limit(_SEEN).subquery()
    grouped = select(some.c.pool, some.c.needs, func.count(), func.min(some.c.seq))
    return grouped.group_by(some.c.pool, some.c.needs)


_WAITING = select(table.c.pool, table.c.needs, table.c.seq).where(*_WAITS)
_FIRST = _grouped(_WAITING)
_FIRST_FITTING = _grouped(_WAITING.where(_FITS))
_FIRST_IN_POOLS = _grouped(_WAITING.where(_IN_POOLS))
_FIRST_FITTING_IN_POOLS = _grouped(_WAITING.where(_FITS, _IN_POOLS))
_OLDEST = select(table.c.seq).where(*_WAITS).limit(1)
_OLDEST_IN_POOLS = _OLDEST.where(_IN_POOLS)
_WHOLE = select(table.c.runner).where(_OPEN, table.c.state == RunState.RUNNING.value, table.c.runner.is_not(None))
_HOLDING = union_all(_WHOLE, select(slices.c.runner)).subquery()
_HELD = select(_HOLDING.c.runner, func.count()).group_by(_HOLDING.c.runner)
_LIVE = select(runners.c.name, runners.c.pool, runners.c.capacity, runners.c.labels).where(
    runners.c.shown_until >= bindparam("at")
)


@dataclass(frozen=True, slots=True)
class Load:
    """Of a runner: the runs that it holds, and how many more it has room for."""

    held: int
    room: int


@dataclass(frozen=True, slots=True)
class Share:
    """Of `waiting` runs, `take` are a runner's. `oldest` is the number of the one that has waited longest, if any.

    `needs`: what those runs ask for that ask for labels, as far as the runner has them; None: it takes all.
    """

    waiting: int
    take: int
    oldest: int | None
    needs: tuple[str, ...] | None = None
    alone: bool = False
    """Nobody else who gives signs of life serves any of its pools."""


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
    asked, values = (_OLDEST, {}) if pools is None else (_OLDEST_IN_POOLS, {"pools": sorted(pools)})
    oldest = conn.execute(asked, values).scalar()
    return Share(0, 0, None, alone=True) if oldest is None else Share(1, free, oldest, alone=True)


def among(
    conn: Connection,
    runner: str,
    pools: Collection[str] | None,
    free: int,
    labels: Mapping[str, str] | None = None,
) -> Share:
    """For one of several with these labels (None: it takes runs that ask for any); the others are those that give
    signs of life, serve the pool of a run and have the labels that it asks for."""
    rows = _first(conn, pools)
    needs = None if labels is None else tuple(sorted({row[1] for row in rows if row[1] is not None}))
    if labels is not None and not all(runnerlabels.met(one, labels) for one in needs or ()):
        # What it may not take must not hide what comes after the first of them. Most look once, to find nothing.
        needs = tuple(one for one in _asked_for(conn) if runnerlabels.met(one, labels))
        rows = _first(conn, pools, needs)
    others = [one for one in _alive(conn) if one.name != runner]
    alone = not any(_is_beside(one, pools) for one in others)
    if not rows:
        return Share(0, 0, None, needs, alone)
    held = _held(conn) if others else {}  # alone it takes what it has room for, whatever it holds
    take = 0
    for pool, asked, waiting, _ in rows:
        loads = [_load(held.get(one.name, 0), one.capacity) for one in others if _serves(one, pool, asked)]
        take += share(waiting, Load(held.get(runner, 0), free), loads)
    waiting, oldest = sum(row[2] for row in rows), min(row[3] for row in rows)
    return Share(waiting, min(free, take), oldest, needs, alone)


def _first(conn: Connection, pools: Collection[str] | None, needs: Collection[str] | None = None) -> Sequence[AnyRow]:
    """Of those that come first: pool, labels, how many, and the oldest of them."""
    values: dict[str, Any] = {} if pools is None else {"pools": sorted(pools)}
    if needs is None:
        return conn.execute(_FIRST if pools is None else _FIRST_IN_POOLS, values).all()
    asked = _FIRST_FITTING if pools is None else _FIRST_FITTING_IN_POOLS
    return conn.execute(asked, values | {"needs": sorted(needs)}).all()


@dataclass(frozen=True, slots=True)
class Untaken:
    """So many runs of a pool wait, and none of those who give signs of life takes them: `needs` are their labels."""

    pool: str
    needs: str | None
    count: int


def untaken(conn: Connection) -> tuple[Untaken, ...]:
    """What waits for a runner that there is none of, by pool and labels."""
    waiting = select(table.c.pool, table.c.needs, func.count()).where(*_WAITS)
    rows = conn.execute(waiting.group_by(table.c.pool, table.c.needs)).all()
    alive = _alive(conn) if rows else ()
    found = (Untaken(*row) for row in rows if not any(_serves(one, row[0], row[1]) for one in alive))
    return tuple(sorted(found, key=lambda one: (one.pool, one.needs or "")))


def _asked_for(conn: Connection) -> Sequence[str]:
    """Everything that runs ask for that wait and ask for labels."""
    needy = (_OPEN, table.c.state == RunState.QUEUED.value, table.c.needs.is_not(None))
    return conn.execute(select(table.c.needs).where(*needy).distinct()).scalars().all()


def _held(conn: Connection) -> dict[str, int]:
    return {str(name): int(count) for name, count in conn.execute(_HELD)}


def _alive(conn: Connection) -> Sequence[AnyRow]:
    """Those who give signs of life."""
    return conn.execute(_LIVE, {"at": leaseclock.at(conn)}).all()


def _load(held: int, capacity: int | None) -> Load:
    return Load(held, max(0, (capacity or 0) - held))


def _is_beside(runner: AnyRow, pools: Collection[str] | None) -> bool:
    """Whether it may take runs of these pools."""
    return runner.pool == "*" or pools is None or not set(pools).isdisjoint(runner.pool.split(","))


def _serves(runner: AnyRow, pool: str, asked: str | None) -> bool:
    """Whether it takes such runs; who serves every pool has every label."""
    return runner.pool == "*" or (pool in runner.pool.split(",") and runnerlabels.met(asked, runner.labels or {}))
