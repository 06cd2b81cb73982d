"""Runs that have not ended, as far as windows ask for them; and starts that are put off."""

from datetime import datetime

from sqlalchemy import Connection, and_, or_, select, update

from engine.identity import RunId
from engine.schedules.standing import Standing
from engine.states import RunState
from journal import outbox, points
from journal.causes import cause_from_json
from journal.databases.tables import AnyRow, runs
from journal.runs import NewRun

_OPEN = runs.c.finished_at.is_(None)
_SHOWN = (
    runs.c.id, runs.c.known_as, runs.c.cause, runs.c.targets, runs.c.workflow, runs.c.state, runs.c.attempt,
    runs.c.due_at, runs.c.inline, runs.c.naming,
)  # fmt: skip
_QUEUED = runs.c.state == RunState.QUEUED.value
_IN_LINE = and_(runs.c.state == RunState.WAITING.value, runs.c.due_at.is_(None))
_NOT_BEGUN = or_(runs.c.state == RunState.WAITING.value, and_(_QUEUED, runs.c.attempt == 0))
_STANDING = select(*_SHOWN).where(_OPEN, or_(runs.c.parent.is_(None), _NOT_BEGUN), runs.c.wish.is_(None))


def standing(conn: Connection) -> tuple[Standing, ...]:
    """The open runs, oldest first; of workflows' nodes only those that no runner has begun."""
    return tuple(_standing(row) for row in conn.execute(_STANDING.order_by(runs.c.seq)))


def fresh(conn: Connection, since: datetime, now: datetime) -> tuple[Standing, ...]:
    """Those of them that came or began since, also into the line of a group, and those whose time has come."""
    news = or_(
        and_(runs.c.state == RunState.WAITING.value, runs.c.due_at <= now),
        and_(or_(_QUEUED, _IN_LINE), runs.c.queued_at >= since),
        and_(runs.c.state == RunState.RUNNING.value, runs.c.started_at >= since),
    )
    return tuple(_standing(row) for row in conn.execute(_STANDING.where(news).order_by(runs.c.seq)))


def still(tx: Connection, run: Standing) -> bool:
    """Whether the run stands as it was read: a runner may have begun it since, or have ended it."""
    row = tx.execute(_STANDING.where(runs.c.id == run.run)).first()
    return row is not None and _standing(row) == run


def _standing(row: AnyRow) -> Standing:
    waits = row.state == RunState.WAITING.value
    begun = row.state == RunState.RUNNING.value or row.attempt > 0
    return Standing(
        run=RunId(row.id),
        job=row.known_as,
        cause=cause_from_json(row.cause),
        targets=frozenset(row.targets),
        workflow=row.workflow,
        phase="waits" if waits else "begun" if begun else "queued",
        due_at=row.due_at,
        inline=row.inline,
        naming=row.naming,
    )


def crowd(tx: Connection, new: NewRun) -> RunId | None:
    """One of those that leave no place for a run that is put off to the end of a window; None where there is one.

    Who was put off to the same instant before comes first. Of a hundred that a window holds, those that could only end
    for an overlap when it is over need not be there: the journal and the status branch would hold nothing else.
    """
    most = _places(new)
    if most is None or new.group is None or new.starts_at is None:
        return None
    waiting = (_OPEN, runs.c.state == RunState.WAITING.value, runs.c.concurrency == new.group)
    before = (runs.c.due_at == new.starts_at, runs.c.priority >= new.priority)
    found = tx.execute(select(runs.c.id).where(*waiting, *before).order_by(runs.c.seq).limit(most)).scalars().all()
    return RunId(found[0]) if len(found) >= most else None


def _places(new: NewRun) -> int | None:
    """How many runs of its group can start or wait at one instant; None: any number, or each is to have its end."""
    match new.on_conflict:
        case "skip":
            return new.limit
        case "queueOne":
            return new.limit + 1
        case "queue":
            return None if new.max_queue is None else new.limit + new.max_queue
        case "allow" | "fail" | "cancelRunning":
            return None


def start_at(tx: Connection, run: RunId, instant: datetime, now: datetime) -> bool:
    """Let a run that no runner has begun start at another time; its queueTimeout counts from then. False: one has.

    One that has its place gives it back, and asks for one when its time comes.
    """
    row = tx.execute(
        select(runs.c.seq, runs.c.due_at, runs.c.queue_deadline).where(runs.c.id == run, _OPEN, _NOT_BEGUN)
    ).first()
    if row is None:
        return False
    points.record("put-off")
    moved = instant - (row.due_at or now)
    tx.execute(
        update(runs)
        .where(runs.c.seq == row.seq)
        .values(
            state=RunState.WAITING.value,
            slot=None,
            due_at=instant,
            starts_at=instant,
            queue_deadline=row.queue_deadline and row.queue_deadline + moved,
        )
    )
    outbox.add(tx, "run", run)
    return True
