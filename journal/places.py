"""Places in concurrency groups, as the tables have them: who holds one, who waits, and who comes next.

The unique index over (group, slot) is the promise that no place is given twice; what stands here keeps to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal, select, union_all, update

from engine.identity import RunId
from engine.runs.concurrency import Demand, Holder, InTheWay, Replace, Slot, Waiter, free, place
from engine.runs.waits import SHOWN, Wait
from engine.states import RunState
from journal import outbox, points
from journal.databases.tables import AnyRow, Instant, runs
from schemas.job import OnConflict

_WAITS = (runs.c.finished_at.is_(None), runs.c.state == RunState.WAITING.value)
_BY_ORDER = (runs.c.priority.desc(), runs.c.seq)
_OF_GROUP = runs.c.concurrency == bindparam("grp")
_LATE = runs.c.due_at <= bindparam("now", type_=Instant)
# Whose time has not come has `due_at`, and is not in line.
_LINE = select(runs.c.seq, runs.c.id, runs.c.concurrency, runs.c.slots, runs.c.priority).where(
    *_WAITS, _OF_GROUP, runs.c.due_at.is_(None)
)
_ALL_IN_LINE = _LINE.order_by(*_BY_ORDER)
_NEXT = _ALL_IN_LINE.limit(1)
_HEAD = _ALL_IN_LINE.limit(SHOWN)
_HELD = select(runs.c.id).where(_OF_GROUP, runs.c.slot.is_not(None)).order_by(runs.c.slot)
_LENGTH = select(func.count()).select_from(_LINE.with_only_columns(runs.c.seq).limit(bindparam("most")).subquery())
_SLOTS = select(runs.c.slot).where(_OF_GROUP, runs.c.slot.is_not(None))
_WAITING_GROUPS = select(runs.c.concurrency).where(*_WAITS, runs.c.due_at.is_(None)).distinct()
_ALONE = select(runs.c.seq, runs.c.id).where(
    *_WAITS, runs.c.due_at.is_(None), runs.c.concurrency.is_(None)
).order_by(*_BY_ORDER)  # fmt: skip


def _seen_as(kind: str, rows: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    found = rows.subquery()
    return select(
        literal(kind).label("kind"), found.c.slot, found.c.id, found.c.seq, found.c.wish, found.c.priority
    )  # fmt: skip


_SHOWN = select(runs.c.slot, runs.c.id, runs.c.seq, runs.c.wish, runs.c.priority)
# In one question, since it is asked for every run: who has a place, who is next, and whose time has come meanwhile.
_GROUP = union_all(
    _seen_as("holds", _SHOWN.where(_OF_GROUP, runs.c.slot.is_not(None)).order_by(runs.c.slot)),
    _seen_as("next", _SHOWN.where(*_WAITS, _OF_GROUP, runs.c.due_at.is_(None)).order_by(*_BY_ORDER).limit(1)),
    _seen_as("come", _SHOWN.where(*_WAITS, _OF_GROUP, _LATE).limit(1)),
)
_COME = (
    select(
        runs.c.seq, runs.c.id, runs.c.known_as, runs.c.concurrency, runs.c.slots, runs.c.priority, runs.c.state,
        runs.c.workflow, runs.c.on_conflict, runs.c.max_queue,
    )
    .where(*_WAITS, _LATE)
    .order_by(runs.c.due_at, *_BY_ORDER)
)  # fmt: skip
_COME_OF_GROUP = _COME.where(_OF_GROUP)
_TO_QUEUE = (
    update(runs)
    .where(runs.c.seq == bindparam("which"), runs.c.state == RunState.WAITING.value)
    .values(state=RunState.QUEUED.value, slot=bindparam("to_slot"), due_at=None)
)
_HAS_COME = update(runs).where(runs.c.seq == bindparam("which")).values(due_at=None)
_LIKE_A_QUEUE: OnConflict = "queue"
"""How a run waits that an older version recorded."""


@dataclass(frozen=True, slots=True)
class Group:
    """Who has a place in a group, and who is next; `has_come`: some have seen their time come, and were not judged."""

    holders: tuple[Holder, ...] = ()
    next: Waiter | None = None
    has_come: bool = False


def look(conn: Connection, name: str, now: datetime) -> Group:
    """The group as it is now."""
    rows = conn.execute(_GROUP, {"grp": name, "now": now}).all()
    return Group(
        tuple(Holder(row.slot, row.id, row.seq, leaving=row.wish is not None) for row in rows if row.kind == "holds"),
        next((Waiter(row.id, row.seq, row.priority) for row in rows if row.kind == "next"), None),
        any(row.kind == "come" for row in rows),
    )


def judged(conn: Connection, name: str, demand: Demand, group: Group) -> Slot | InTheWay | Replace | None:
    """What becomes of a run whose time has come, in this group; None: it waits."""
    waiting: tuple[Waiter, ...] = (group.next,) if group.next is not None else ()
    full: bool | None = None
    if demand.on_conflict == "cancelRunning":
        rows = conn.execute(_ALL_IN_LINE, {"grp": name})
        waiting = tuple(Waiter(row.id, row.seq, row.priority) for row in rows)
    elif demand.on_conflict == "queue" and waiting and demand.most_waiting is not None:
        length = conn.execute(_LENGTH, {"grp": name, "most": demand.most_waiting}).scalar_one()
        full = length >= demand.most_waiting
    return place(demand, group.holders, waiting, full)


def come(conn: Connection, now: datetime, name: str | None = None) -> Sequence[AnyRow]:
    """The runs (of the group) that waited for their time, and whose time has come, in the order in which it came."""
    if name is None:
        return conn.execute(_COME, {"now": now}).all()
    return conn.execute(_COME_OF_GROUP, {"now": now, "grp": name}).all()


def demand_of(row: AnyRow) -> Demand:
    """What a run that waited for its time asks; `row` is one of `come`."""
    wants: OnConflict = row.on_conflict or _LIKE_A_QUEUE
    return Demand(wants, row.slots, row.max_queue, row.priority)


def waits_on(tx: Connection, row: AnyRow) -> None:
    """Its time has come, and it waits for a place from now on."""
    tx.execute(_HAS_COME, {"which": row.seq})
    outbox.add(tx, "run", row.id)


def give(tx: Connection, row: AnyRow, slot: Slot) -> RunId:
    """A waiting run has its place, and waits for a runner from now on."""
    points.record("admit")
    tx.execute(_TO_QUEUE, {"which": row.seq, "to_slot": slot.number})
    outbox.add(tx, "run", row.id)
    return RunId(row.id)


def waits(conn: Connection, rows: Iterable[AnyRow]) -> dict[int, Wait]:
    """Why those of the runs wait that do, by seq; `rows` have seq, state, concurrency, due_at, pool and needs.

    One that is queued says so where not every runner of its pool may take it.
    """
    rows = tuple(rows)
    needy = (row for row in rows if row.state == RunState.QUEUED.value and row.needs is not None)
    waiting = [row for row in rows if row.state == RunState.WAITING.value]
    found: dict[int, Wait] = {row.seq: Wait(until=row.due_at) for row in waiting if row.due_at is not None}
    found |= {row.seq: Wait(pool=row.pool, needs=row.needs) for row in needy}
    groups: dict[str, tuple[tuple[str, ...], frozenset[int]]] = {}
    for row in waiting:
        if row.seq in found or row.concurrency is None:
            continue
        if row.concurrency not in groups:
            held = conn.execute(_HELD, {"grp": row.concurrency}).scalars().all()
            first = frozenset(one.seq for one in conn.execute(_HEAD, {"grp": row.concurrency}))
            groups[row.concurrency] = (tuple(held), first)
        held_by, head = groups[row.concurrency]
        found[row.seq] = Wait(group=row.concurrency, held_by=held_by if row.seq in head else ())
    return found


def _tell_line(tx: Connection, name: str) -> None:
    """Others have the places now: those that are next say so in their files."""
    outbox.add_all(tx, tuple(("run", row.id) for row in tx.execute(_HEAD, {"grp": name})))


def admit_group(tx: Connection, name: str | None) -> tuple[RunId, ...]:
    """Give the places of the group that are free to those that wait, by priority, then by age."""
    admitted: list[RunId] = []
    while name is not None and (row := tx.execute(_NEXT, {"grp": name}).first()) is not None:
        number = free(row.slots, tx.execute(_SLOTS, {"grp": name}).scalars())
        if number is None:  # nobody overtakes, whatever limit he asks for
            break
        admitted.append(give(tx, row, Slot(number)))
    if name is not None and admitted:
        _tell_line(tx, name)
    return tuple(admitted)


def admit_all(tx: Connection) -> tuple[RunId, ...]:
    """The same for every group."""
    groups = tx.execute(_WAITING_GROUPS).scalars().all()
    alone = tuple(give(tx, row, Slot(None)) for row in tx.execute(_ALONE).all())
    return (*alone, *(run for name in groups for run in admit_group(tx, name)))


__all__ = [
    "Group", "admit_all", "admit_group", "come", "demand_of", "give", "judged", "look", "waits", "waits_on",
]  # fmt: skip
