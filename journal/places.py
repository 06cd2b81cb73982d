"""Places in concurrency groups, as the tables have them: who holds one, who waits, and who comes next.

The unique index over (group, slot) is the promise that no place is given twice; what stands here keeps to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from engine.concurrency import Demand, Holder, InTheWay, Replace, Slot, Waiter, free, place
from engine.identity import RunId
from engine.states import RunState
from journal import outbox, points
from journal.tables import AnyRow, Instant, runs
from schemas.job import OnConflict

_WAITS = (runs.c.finished_at.is_(None), runs.c.state == RunState.WAITING.value)
_BY_ORDER = (runs.c.priority.desc(), runs.c.seq)
_WAITING_ROWS = select(runs.c.seq, runs.c.id, runs.c.concurrency, runs.c.slots, runs.c.priority)
_HOLDERS = (
    select(runs.c.slot, runs.c.id, runs.c.seq, runs.c.wish)
    .where(runs.c.concurrency == bindparam("grp"), runs.c.slot.is_not(None))
    .order_by(runs.c.slot)
)
# Whose time has not come has `due_at`, and is not among them.
_WAITING_OF_GROUP = _WAITING_ROWS.where(
    *_WAITS, runs.c.concurrency == bindparam("grp"), runs.c.due_at.is_(None)
).order_by(*_BY_ORDER)
_WAITING = _WAITING_ROWS.where(*_WAITS, runs.c.due_at.is_(None)).order_by(*_BY_ORDER)
_COME = (
    select(
        runs.c.seq, runs.c.id, runs.c.job, runs.c.concurrency, runs.c.slots, runs.c.priority, runs.c.state,
        runs.c.workflow, runs.c.on_conflict, runs.c.max_queue,
    )
    .where(*_WAITS, runs.c.due_at <= bindparam("now", type_=Instant))
    .order_by(runs.c.due_at, *_BY_ORDER)
)  # fmt: skip
_COME_OF_GROUP = _COME.where(runs.c.concurrency == bindparam("grp"))
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
    """Who has a place in a group, and who waits for one, the next first."""

    holders: tuple[Holder, ...] = ()
    waiting: tuple[Waiter, ...] = ()


def group(conn: Connection, name: str) -> Group:
    """The group as it is now."""
    held = conn.execute(_HOLDERS, {"grp": name}).all()
    waiting = conn.execute(_WAITING_OF_GROUP, {"grp": name}).all()
    return Group(
        tuple(Holder(row.slot, row.id, row.seq, leaving=row.wish is not None) for row in held),
        tuple(Waiter(row.id, row.seq, row.priority) for row in waiting),
    )


def judged(conn: Connection, name: str | None, demand: Demand) -> Slot | InTheWay | Replace | None:
    """What becomes of a run whose time has come, in this group; None: it waits."""
    if name is None or demand.on_conflict == "allow":
        return Slot(None)
    found = group(conn, name)
    return place(demand, found.holders, found.waiting)


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


def admit_group(tx: Connection, name: str | None) -> tuple[RunId, ...]:
    """Give the places of the group that are free to those that wait, by priority, then by age."""
    if name is None or not (waiting := tx.execute(_WAITING_OF_GROUP, {"grp": name}).all()):
        return ()
    taken = {held.slot for held in tx.execute(_HOLDERS, {"grp": name})}
    admitted = []
    for row in waiting:
        number = free(row.slots, taken)
        if number is None:  # nobody overtakes, whatever limit he asks for
            break
        taken.add(number)
        admitted.append(give(tx, row, Slot(number)))
    return tuple(admitted)


def admit_all(tx: Connection) -> tuple[RunId, ...]:
    """The same for every group."""
    waiting = tx.execute(_WAITING).all()
    alone = tuple(give(tx, row, Slot(None)) for row in waiting if row.concurrency is None)
    groups: Mapping[str, None] = dict.fromkeys(row.concurrency for row in waiting if row.concurrency is not None)
    return (*alone, *(run for name in groups for run in admit_group(tx, name)))


__all__ = [
    "Group", "admit_all", "admit_group", "come", "demand_of", "give", "group", "judged", "waits_on",
]  # fmt: skip
