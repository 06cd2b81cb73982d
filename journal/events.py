"""Events: what sets triggers off, and what became of each. Recorded with the change that they are about, decided once.

The end of a run records its events in its own transaction, the acceptance of a commit in its own, a webhook before it
is answered. Each waits as `pending` until it is decided; what it starts is in the transaction of that decision.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from engine.identity import RunId
from engine.status.views import EventState
from journal import outbox, points
from journal.databases.tables import AnyRow, Instant, events, runs, watches

EventKind = Literal["webhook", "run", "definitions", "rejected"]
MOST_WAITING = 1_000
"""Events that may wait to be decided; further webhooks are turned away until some are."""
MOST_WAITING_BYTES = 64 << 20
MOST_KEPT = 10_000
"""Decided events that are kept of a trigger, so that what is sent again is known.

And as many that started a run under a dedupe key: whoever sends much that starts nothing must not make us forget them.
"""
SOON_AFTER = timedelta(minutes=2)
"""A commit that comes within this time of a run's end may be the run's own."""
_TRIM_EVERY = 100
_PENDING = events.c.state == "pending"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What came. `key` is at most 200 characters; the same key sets a trigger off once."""

    trigger: str
    key: str
    kind: EventKind
    arrived_at: datetime
    type: str | None = None
    """What its sender calls it, as in `push`."""
    delivery: str | None = None
    payload: bytes | None = None
    """JSON, as it came."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as the journal has it."""

    seq: int
    trigger: str
    key: str
    kind: EventKind
    type: str | None
    delivery: str | None
    arrived_at: datetime
    state: EventState
    reason: str | None
    message: str | None
    run: RunId | None
    times: int
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Watch:
    """Ends of runs that set a trigger off. `job` None: of any job, or with `workflow` of any workflow."""

    trigger: str
    workflow: bool
    job: str | None
    state: str


Received = Literal["new", "known", "conflict", "full"]
"""`known`: it came before. `conflict`: its delivery came before and was another event. `full`: too many wait."""

_COLUMNS = tuple(events.c[field.name] for field in fields(EventRow))
_KNOWN = select(events.c.key, events.c.delivery).where(
    events.c.trigger == bindparam("which"),
    or_(events.c.key == bindparam("by_key"), events.c.delivery == bindparam("by_delivery")),
)
_WAITING = select(func.count(), func.coalesce(func.sum(func.length(events.c.payload)), 0)).where(_PENDING)
_ADD = insert(events)
_CROWDED = select(events.c.trigger).group_by(events.c.trigger).having(func.count() > bindparam("most"))


def is_set_off_by(
    workflow: ColumnElement[bool], job: ColumnElement[str], state: ColumnElement[str]
) -> ColumnElement[bool]:
    """Of a watch: whether it waits for this end of a run of this job, or workflow, as it is called today."""
    return and_(watches.c.workflow == workflow, watches.c.state == state, watches.c.job.in_(("", job)))


_RUN_ENDED = insert(events).from_select(
    ["trigger", "key", "kind", "arrived_at", "state", "times"],
    select(
        watches.c.trigger,
        literal("run/").concat(runs.c.id),
        literal("run"),
        bindparam("now", type_=Instant),
        literal("pending"),
        literal(1),
    )
    .select_from(watches.join(runs, is_set_off_by(runs.c.workflow, runs.c.known_as, runs.c.state)))
    .where(
        runs.c.id == bindparam("ended"),
        ~exists().where(events.c.trigger == watches.c.trigger, events.c.key == literal("run/").concat(runs.c.id)),
    )
    .distinct()
    .order_by(watches.c.trigger),
)
_TO_DECIDE = select(*_COLUMNS).where(_PENDING).order_by(events.c.seq).limit(bindparam("most"))
_DEDUPED = (
    select(events.c.run)
    .where(
        events.c.trigger == bindparam("which"),
        events.c.dedupe == bindparam("same"),
        events.c.state == "started",
        events.c.arrived_at > bindparam("after", type_=Instant),
    )
    .order_by(events.c.seq.desc())
    .limit(1)
)


_BY_COMMITS = (
    select(events.c.arrived_at, runs.c.queued_at, runs.c.finished_at)
    .join(runs, runs.c.id == events.c.run)
    .where(events.c.trigger == bindparam("which"), events.c.kind == "definitions", events.c.state == "started")
    .order_by(events.c.seq.desc())
    .limit(bindparam("most"))
)


def run_ended(tx: Connection, run: RunId, now: datetime) -> None:
    """Record the events of a run's end, in its transaction. Which triggers watch for it, the accepted commit says.

    Called with every end that one `is_set_off_by`.
    """
    if tx.execute(_RUN_ENDED, {"ended": run, "now": now}, execution_options={"preserve_rowcount": True}).rowcount:
        points.record("event")


def watch(tx: Connection, wanted: Iterable[Watch]) -> None:
    """From now on these ends of runs set triggers off, and no others."""
    tx.execute(delete(watches))
    rows = [
        {"trigger": one.trigger, "workflow": one.workflow, "job": one.job or "", "state": one.state} for one in wanted
    ]
    if rows:
        tx.execute(insert(watches), rows)


def receive(tx: Connection, new: NewEvent) -> Received:
    """Record an event to be decided, once. The answer says what is wrong where it is not recorded."""
    before = tx.execute(_KNOWN, {"which": new.trigger, "by_key": new.key, "by_delivery": new.delivery}).all()
    if before:
        return "known" if any(row.key == new.key for row in before) else "conflict"
    count, size = tx.execute(_WAITING).one()
    if count >= MOST_WAITING or size + len(new.payload or b"") > MOST_WAITING_BYTES:
        return "full"
    _add(tx, new)
    return "new"


def happened(tx: Connection, new: NewEvent) -> None:
    """Record an event that follows from what else the transaction does; it waits however many do."""
    if tx.execute(_KNOWN, {"which": new.trigger, "by_key": new.key, "by_delivery": None}).first() is None:
        _add(tx, new)


def _add(tx: Connection, new: NewEvent) -> None:
    points.record("event")
    row = {field.name: getattr(new, field.name) for field in fields(NewEvent)}
    tx.execute(_ADD, row | {"state": "pending", "times": 1})
    outbox.add(tx, "trigger", new.trigger)


def reject(tx: Connection, trigger: str, reason: str, message: str, times: int, at: datetime) -> None:
    """Count requests that were turned away before they were events: those of an hour and a reason are one record."""
    key = f"rejected/{reason}/{at:%Y%m%dT%H}"
    same = (events.c.trigger == trigger, events.c.key == key)
    values = {"times": events.c.times + times, "settled_at": at, "message": message}
    if tx.execute(update(events).where(*same).values(values)).rowcount == 0:
        row = {"trigger": trigger, "key": key, "kind": "rejected", "arrived_at": at, "state": "refused"}
        tx.execute(insert(events), row | {"reason": reason, "message": message, "times": times, "settled_at": at})
    outbox.add(tx, "trigger", trigger)


def pending(conn: Connection, limit: int = 50) -> tuple[EventRow, ...]:
    """The events to be decided, oldest first."""
    return tuple(_row(row) for row in conn.execute(_TO_DECIDE, {"most": limit}))


def waiting(conn: Connection) -> int:
    """How many events are to be decided."""
    return int(conn.execute(_WAITING).one()[0])


def payload(conn: Connection, seq: int) -> bytes | None:
    """What an undecided event brought."""
    return conn.execute(select(events.c.payload).where(events.c.seq == seq)).scalar_one_or_none()


def settle(
    tx: Connection,
    event: EventRow,
    state: EventState,
    now: datetime,
    *,
    reason: str | None = None,
    message: str | None = None,
    run: RunId | None = None,
    dedupe: str | None = None,
) -> bool:
    """Say what became of an event. False, and nothing changes, where that was said before."""
    points.record("trigger")
    values = {"state": state, "reason": reason, "message": message, "run": run, "dedupe": dedupe}
    changed = tx.execute(
        update(events).where(events.c.seq == event.seq, _PENDING).values(**values, settled_at=now, payload=None)
    ).rowcount
    if changed:
        outbox.add(tx, "trigger", event.trigger)
    if (
        changed and event.seq % _TRIM_EVERY == 0
    ):  # whatever set it off: webhooks, ends of runs and commits all pass here
        for trigger in tx.execute(_CROWDED, {"most": MOST_KEPT}).scalars().all():
            _trim(tx, trigger)
    return bool(changed)


def is_pending(conn: Connection, seq: int) -> bool:
    """Whether it is still to be decided."""
    return conn.execute(select(events.c.seq).where(events.c.seq == seq, _PENDING)).first() is not None


def same_before(conn: Connection, event: EventRow, dedupe: str, window: timedelta) -> RunId | None:
    """The run that another event of the same trigger and key has started within the window before this one."""
    asked = {"which": event.trigger, "same": dedupe, "after": event.arrived_at - window}
    return conn.execute(_DEDUPED, asked).scalar_one_or_none()


def in_a_row(conn: Connection, trigger: str, at: datetime, most: int) -> int:
    """How many commits, one after another, set the trigger off while the run of the one before was open, or at once
    after it; `at` is when the next one came. At most `most` are looked at.
    """
    rows = conn.execute(_BY_COMMITS, {"which": trigger, "most": most}).all()
    for count, row in enumerate(rows):
        if not row.queued_at <= at or (row.finished_at is not None and at > row.finished_at + SOON_AFTER):
            return count
        at = row.arrived_at
    return len(rows)


def recent(conn: Connection, trigger: str, limit: int = 15, *, rejected: int = 5) -> tuple[EventRow, ...]:
    """The newest events of a trigger, newest first, with the newest records of what was turned away.

    They have places of their own: whoever sends rubbish must not drive what happened out of sight.
    """
    newest = select(*_COLUMNS).where(events.c.trigger == trigger).order_by(events.c.seq.desc())
    turned_away = events.c.kind == "rejected"
    rows = [
        *conn.execute(newest.where(~turned_away).limit(limit)),
        *conn.execute(newest.where(turned_away).limit(rejected)),
    ]
    return tuple(sorted(map(_row, rows), key=lambda one: one.seq, reverse=True))


def counts(conn: Connection, trigger: str) -> Mapping[str, int]:
    """How many of the kept events of a trigger are in each state."""
    query = select(events.c.state, func.sum(events.c.times)).where(events.c.trigger == trigger)
    return {state: int(count) for state, count in conn.execute(query.group_by(events.c.state))}


def rename(tx: Connection, former: Mapping[str, str]) -> None:
    """Events of triggers go on under another name: `former` gives the new one of each. What is known stays known.

    Those whose key the new name has had already are dropped; what was turned away in the same hour is counted together.
    """
    known = set(tx.execute(select(events.c.trigger).distinct()).scalars()) if former else set()
    for old in sorted(known & former.keys()):
        new, had = former[old], events.alias()
        _add_rejected(tx, old, new)
        once = ~exists().where(had.c.trigger == new, had.c.key == events.c.key)
        tx.execute(update(events).where(events.c.trigger == old, once).values(trigger=new))
        tx.execute(delete(events).where(events.c.trigger == old))
        outbox.add_all(tx, (("trigger", old), ("trigger", new)))


def _add_rejected(tx: Connection, old: str, new: str) -> None:
    """What was turned away under one name is counted with what was under the other for the same reason in that hour."""
    theirs, rejected = events.alias(), events.c.kind == "rejected"
    both = (
        select(theirs.c.key, theirs.c.times + events.c.times, events.c.settled_at, theirs.c.settled_at)
        .join(theirs, theirs.c.key == events.c.key)
        .where(events.c.trigger == old, rejected, theirs.c.trigger == new)
    )
    for key, times, *ends in tx.execute(both).all():
        same = (events.c.trigger == new, events.c.key == key)
        tx.execute(update(events).where(*same).values(times=times, settled_at=max(ends)))


def forget(tx: Connection, defined: Collection[str]) -> None:
    """Drop the events of triggers that are not defined any more. Their runs' causes stay: none starts again."""
    known = set(tx.execute(select(events.c.trigger).distinct()).scalars())
    for name in sorted(known - set(defined)):
        tx.execute(delete(events).where(events.c.trigger == name))
        outbox.add(tx, "trigger", name)


def _trim(tx: Connection, trigger: str) -> None:
    mine = events.c.trigger == trigger
    newest = select(events.c.seq).where(mine).order_by(events.c.seq.desc()).offset(MOST_KEPT).limit(1)
    newest_key = newest.where(events.c.dedupe.is_not(None))
    oldest = tx.execute(newest).scalar_one_or_none()
    if oldest is not None:
        forgotten = or_(events.c.dedupe.is_(None), events.c.seq <= func.coalesce(newest_key.scalar_subquery(), 0))
        tx.execute(delete(events).where(mine, events.c.seq <= oldest, ~_PENDING, forgotten))


def _row(row: AnyRow) -> EventRow:
    return EventRow(**row._mapping)
