"""Runs: caused once, admitted one a slot, ended once. Every function takes the transaction that it is part of."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, func, insert, select, union_all, update
from sqlalchemy.exc import IntegrityError

from engine.identity import Cause, RunId
from engine.runs import runnerlabels
from engine.runs.concurrency import Demand, InTheWay, Replace, Slot
from engine.runs.pinned import PinnedSpec
from engine.runs.rehearsal import Rehearsal
from engine.runs.repetition import Records
from engine.states import RUN_TRANSITIONS, NodeState, RunState
from engine.workflows.graphfacts import NodeRecord
from engine.workflows.workflowplan import PinnedWorkflow
from journal import graphs, outbox, places, points, specs, steprecords
from journal.causes import cause_to_json
from journal.databases.portions import portions
from journal.databases.savepoint import in_savepoint
from journal.databases.tables import AnyRow, Instant, causes, runs
from journal.runends import ended
from journal.runviews import counts, get, get_all, open_runs, recent, step_counts
from schemas.job import OnConflict

__all__ = [
    "OVERLAP", "AlreadyThere", "CancelAnswer", "Enqueue", "Enqueued", "NewRun", "Overlap", "Slot", "admit",
    "cancel", "counts", "end", "ended", "enqueue", "enqueue_all", "expire", "get", "get_all", "next_wake",
    "open_runs", "recent", "row_of", "step_counts", "there",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be. `group` None: it needs no slot. `starts_at`: not before this (notBefore, jitter)."""

    id: RunId
    cause: Cause
    spec: PinnedSpec | PinnedWorkflow
    params: Mapping[str, Any]
    pool: str
    """Of a workflow, which no runner takes, none."""
    known_as: str | None = None
    """What its job or workflow is called today, where its plan has a former name."""
    naming: int | None = None
    """The generation of names that its plan and its cause are written in; None: nobody knows."""
    priority: int = 0
    group: str | None = None
    limit: int = 1
    on_conflict: OnConflict = "queueOne"
    max_queue: int | None = None
    """How many may wait under `queue`; None: any number."""
    queue_timeout: timedelta = timedelta(hours=1)
    starts_at: datetime | None = None
    inline: bool = False
    libraries: Mapping[str, str] = field(default_factory=dict)
    rerun_of: str | None = None
    carried: Records = field(default_factory=dict)
    """Results taken over from the run that it repeats."""
    rehearsal: Rehearsal | None = None
    """It is a dry run, and this is all of it: it ends as it is recorded, takes no slot and waits for nothing."""
    carried_nodes: Mapping[str, NodeRecord] = field(default_factory=dict)
    """The same of a workflow: its nodes that are not done again."""

    @property
    def past(self) -> tuple[str, str]:
        """The topic and name of the recent past that it is a part of."""
        return topic_of(self.spec), self.known_as or self.spec.job


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The run is new, and waiting or queued; a dry run has ended, and so has one that fails for want of a place."""

    run: RunId
    state: RunState


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """The cause had its run before; nothing has changed."""

    run: RunId
    state: RunState


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another run is in the way and the job does not want to queue; nothing has changed."""

    blocking: RunId


Enqueue = Enqueued | AlreadyThere | Overlap
CancelAnswer = Literal["cancelled", "asked", "ended", "missing"]


OVERLAP = "overlap"
"""The reason of a run that ended because another of its group was in its way."""

_OPEN = runs.c.finished_at.is_(None)
_KNOWN = union_all(
    select(runs.c.id, runs.c.state).where(runs.c.cause_key == bindparam("key")),
    select(causes.c.run, causes.c.state).where(causes.c.key == bindparam("key")),
)
_OF_KEYS = bindparam("keys", expanding=True, type_=runs.c.cause_key.type)
_KNOWN_OF = union_all(
    select(runs.c.cause_key).where(runs.c.cause_key.in_(_OF_KEYS)),
    select(causes.c.key).where(causes.c.key.in_(_OF_KEYS)),
)
_BUSY_OF = (
    select(runs.c.concurrency).where(_OPEN, runs.c.concurrency.in_(bindparam("groups", expanding=True))).distinct()
)
_ADD_RUN = insert(runs).returning(runs.c.seq)
_ADD_RUNS = insert(runs)
_TO_END = (runs.c.seq, runs.c.id, runs.c.known_as, runs.c.concurrency, runs.c.state, runs.c.workflow)
_EXPIRED = select(*_TO_END, runs.c.pool, runs.c.needs).where(
    _OPEN,
    runs.c.state.in_((RunState.WAITING.value, RunState.QUEUED.value)),
    runs.c.queue_deadline <= bindparam("now", type_=Instant),
)
_END = (
    update(runs)
    .where(runs.c.seq == bindparam("which"))
    .values(
        state=bindparam("to_state"),
        reason=bindparam("why"),
        message=func.coalesce(bindparam("said"), runs.c.message),
        finished_at=bindparam("now", type_=Instant),
        slot=None,
        lease_until=None,
        due_at=None,
        queue_deadline=None,
    )
)


def enqueue(tx: Connection, new: NewRun, now: datetime) -> Enqueue:
    """Record the run that `new.cause` causes, exactly once.

    It is queued when it is due and has a slot, else it waits; or nothing is written, and the answer names the run
    that is in the way (`on_conflict`; under `fail` it is written, and has failed). A run that is not due yet takes no
    slot and overlaps with nothing: that is judged when its time comes (`admit`).
    """
    # Before a place is made for it: a cause whose run is there already must not cancel that run.
    if (known := there(tx, new.cause)) is not None:
        return known
    if new.rehearsal is not None:
        return _rehearsed(tx, new, new.rehearsal, now)
    slot: Slot | InTheWay | None = None
    if new.starts_at is None or new.starts_at <= now:
        slot = _place(tx, new, now)
        if isinstance(slot, InTheWay) and new.on_conflict != "fail":
            return there(tx, new.cause) or Overlap(RunId(slot.run))
    points.record("enqueue")
    row = row_of(tx, new, now) | _position(slot, now)
    try:
        seq = in_savepoint(tx, lambda tx: tx.execute(_ADD_RUN, row).scalar_one())
    except IntegrityError:
        # The cause key decides, not the look beforehand: two processes may look at once.
        if (known := there(tx, new.cause)) is not None:
            return known
        raise
    if isinstance(new.spec, PinnedWorkflow):
        graphs.lay_out(tx, seq, new.spec, new.carried_nodes)
        if isinstance(slot, InTheWay):
            graphs.close(tx, seq, now)
    if new.carried:
        steprecords.carry_over(tx, seq, new.carried, now)
    if isinstance(slot, InTheWay):
        ended(tx, new.id, new.past[1], None, now, workflow=isinstance(new.spec, PinnedWorkflow))
    else:
        outbox.add_all(tx, (("run", new.id), new.past))
    return Enqueued(new.id, RunState(row["state"]))


def enqueue_all(
    tx: Connection,
    news: Sequence[NewRun],
    now: datetime,
    *,
    one: Callable[[Connection, NewRun, datetime], Enqueue] = enqueue,
) -> list[Enqueue]:
    """As `one` of each, one after another; those that are due and that no other run concerns are recorded together.

    Most that are due at one time have a group of their own and nobody in it: one statement records hundreds of them.
    All keep their order, which is the order in which places are given.
    """
    alone = _alone(tx, news, now)
    enqueued: list[Enqueue] = []
    for together, part in groupby(enumerate(news), key=lambda numbered: numbered[0] in alone):
        portion = [new for _, new in part]
        enqueued += _enqueue_alone(tx, portion, now) if together else [one(tx, new, now) for new in portion]
    return enqueued


def _enqueue_alone(tx: Connection, news: Sequence[NewRun], now: datetime) -> list[Enqueue]:
    points.record("enqueue")
    plans = specs.keep_all(tx, [new.spec for new in news if isinstance(new.spec, PinnedSpec)])
    rows = [
        row_of(tx, new, now, plan=plan) | _position(_first_place(new), now)
        for new, plan in zip(news, plans, strict=True)
    ]
    tx.execute(_ADD_RUNS, rows)
    told = ((("run", new.id), new.past) for new in news)
    outbox.add_all(tx, tuple(topic for topics in told for topic in topics))
    return [Enqueued(new.id, RunState.QUEUED) for new in news]


def _alone(tx: Connection, news: Sequence[NewRun], now: datetime) -> dict[int, NewRun]:
    """The jobs' runs that are due and new, and whose group has no other open run, by their place in the list."""
    times = Counter(new.group for new in news)
    plain = {
        number: new
        for number, new in enumerate(news)
        if isinstance(new.spec, PinnedSpec)
        and new.rehearsal is None
        and not new.carried
        and (new.starts_at is None or new.starts_at <= now)
        and (new.group is None or times[new.group] == 1)
    }
    keys = {number: new.cause.key for number, new in plain.items()}
    groups = [new.group for new in plain.values() if new.group is not None]
    known = {key for part in portions(keys.values()) for key in tx.execute(_KNOWN_OF, {"keys": part}).scalars()}
    busy = {group for part in portions(groups) for group in tx.execute(_BUSY_OF, {"groups": part}).scalars()}
    return {number: new for number, new in plain.items() if keys[number] not in known and new.group not in busy}


def _first_place(new: NewRun) -> Slot:
    return Slot(None if new.group is None or new.on_conflict == "allow" else 0)


def _position(slot: Slot | InTheWay | None, now: datetime) -> dict[str, Any]:
    match slot:
        case Slot(number=number):
            return {"state": RunState.QUEUED.value, "slot": number}
        case InTheWay(run=other):
            over = {"finished_at": now, "due_at": None, "queue_deadline": None}
            return {"state": RunState.FAILED.value, "reason": OVERLAP, "message": _in_the_way(other), **over}
        case None:
            return {"state": RunState.WAITING.value}


def _in_the_way(other: str) -> str:
    return f"run {other} of the same concurrency group was in its way"


def _rehearsed(tx: Connection, new: NewRun, rehearsal: Rehearsal, now: datetime) -> Enqueue:
    points.record("enqueue")
    ended_at_once = {
        "state": rehearsal.state.value,
        "rehearsal": rehearsal.to_json(),
        "finished_at": now,
        "due_at": None,
        "queue_deadline": None,
        "concurrency": None,
    }
    try:
        in_savepoint(tx, lambda tx: tx.execute(insert(runs), row_of(tx, new, now) | ended_at_once))
    except IntegrityError:
        if (known := there(tx, new.cause)) is not None:
            return known
        raise
    outbox.add(tx, "run", new.id)
    return Enqueued(new.id, rehearsal.state)


def topic_of(spec: PinnedSpec | PinnedWorkflow) -> str:
    """Of whose recent past the run is a part."""
    return "workflow" if isinstance(spec, PinnedWorkflow) else "job"


def there(tx: Connection, cause: Cause) -> AlreadyThere | None:
    """The run that the cause has had, be it that retention has removed it since."""
    found = tx.execute(_KNOWN, {"key": cause.key}).first()
    return None if found is None else AlreadyThere(RunId(found[0]), RunState(found[1]))


def row_of(tx: Connection, new: NewRun, now: datetime, *, plan: str | None = None) -> dict[str, Any]:
    """What the journal holds of a run that was caused at `now`, its place apart; its plan is kept, or is as `plan`."""
    due_at = new.starts_at if new.starts_at is not None and new.starts_at > now else None
    return {
        "id": new.id,
        "cause_key": new.cause.key,
        "cause": cause_to_json(new.cause),
        "job": new.spec.job,
        "known_as": new.past[1],
        "naming": new.naming,
        "commit": new.spec.commit,
        "spec": plan or specs.keep(tx, new.spec),
        "params": dict(new.params),
        "targets": (
            list(new.spec.reached)
            if isinstance(new.spec, PinnedWorkflow)
            else [target.name for target in new.spec.targets]
        ),
        "on_targets": new.spec.on_targets,
        "libraries": dict(new.libraries) or None,
        "rerun_of": new.rerun_of,
        "pool": new.pool,
        "needs": runnerlabels.text_of(new.spec.needs) if isinstance(new.spec, PinnedSpec) else None,
        "priority": new.priority,
        "inline": new.inline,
        "workflow": isinstance(new.spec, PinnedWorkflow),
        "parent": new.cause.name if new.cause.kind == "workflow" else None,
        "concurrency": new.group,
        "slots": new.limit,
        "on_conflict": new.on_conflict,
        "max_queue": new.max_queue,
        "queued_at": now,
        "starts_at": new.starts_at,
        "due_at": due_at,
        "queue_deadline": (due_at or now) + new.queue_timeout,
    }


def _place(tx: Connection, new: NewRun, now: datetime) -> Slot | InTheWay | None:
    """The slot of a run that is due; None: it waits."""
    return _placed(tx, new.group, Demand(new.on_conflict, new.limit, new.max_queue, new.priority), now)


def _placed(
    tx: Connection, group: str | None, demand: Demand, now: datetime, *, others: bool = True
) -> Slot | InTheWay | None:
    """`others`: those of the group whose time has come before, though nobody has looked since, are seen to first."""
    if group is None or demand.on_conflict == "allow":
        return Slot(None)
    seen = places.look(tx, group, now)
    if others and seen.has_come:
        _admit(tx, now, group)
        seen = places.look(tx, group, now)
    found = places.judged(tx, group, demand, seen)
    if isinstance(found, Replace):
        for run in found.runs:
            cancel(tx, RunId(run), reason="replaced by a newer run", by=None, now=now)
        found = places.judged(tx, group, demand, places.look(tx, group, now))
    assert not isinstance(found, Replace), "those that it replaces are told to end"
    return found


def admit(tx: Connection, now: datetime) -> tuple[RunId, ...]:
    """See to the runs that wait: queue those whose slot is free, by priority, then by age.

    One whose time has come meanwhile is judged now: where `on_conflict` does not let it wait it ends, as cancelled or
    failed, for the reason `overlap`.
    """
    return (*_admit(tx, now), *places.admit_all(tx))


def _admit(tx: Connection, now: datetime, group: str | None = None) -> tuple[RunId, ...]:
    admitted = []
    for row in places.come(tx, now, group):
        match _placed(tx, row.concurrency, places.demand_of(row), now, others=False):
            case Slot() as slot:
                admitted.append(places.give(tx, row, slot))
            case InTheWay(run=other):
                points.record("overlap")
                state = RunState.FAILED if row.on_conflict == "fail" else RunState.CANCELLED
                end(tx, row, state, reason=OVERLAP, now=now, message=_in_the_way(other))
            case None:
                places.waits_on(tx, row)
    return tuple(admitted)


def expire(tx: Connection, now: datetime) -> tuple[RunId, ...]:
    """End the runs that have waited longer than their queueTimeout. Runs that were started once are not among them."""
    expired = tx.execute(_EXPIRED, {"now": now}).all()
    for row in expired:
        points.record("expire")
        end(tx, row, RunState.TIMED_OUT, reason="queueTimeout", now=now, message=_waited_for(row))
    return tuple(RunId(row.id) for row in expired)


def _waited_for(row: AnyRow) -> str:
    if row.state == RunState.WAITING.value and row.concurrency is not None:
        return f"no place in group {row.concurrency} became free in time"
    if row.needs is not None:
        return f"no runner of pool {row.pool} with labels {row.needs} took it in time"
    return "no runner took it in time"


def end(
    tx: Connection, row: AnyRow, state: RunState, *, reason: str | None, now: datetime, message: str | None = None
) -> None:
    """End a run: free its slot, admit the next, answer its acts.

    `row` has seq, id, known_as, concurrency, state, workflow. The nodes of a workflow that have not ended are cancelled
    with it, or `unknown` where it is: their jobs may go on.
    """
    if state not in RUN_TRANSITIONS[RunState(row.state)]:
        raise ValueError(f"run {row.id} is {row.state} and cannot become {state}")
    tx.execute(_END, {"which": row.seq, "to_state": state.value, "why": reason, "said": message, "now": now})
    if row.workflow:
        graphs.close(tx, row.seq, now, NodeState.UNKNOWN if state is RunState.UNKNOWN else NodeState.CANCELLED)
    ended(tx, RunId(row.id), row.known_as, row.concurrency, now, workflow=row.workflow)


def next_wake(conn: Connection) -> datetime | None:
    """When `admit` or `expire` next has something to do that no commit announces."""
    moments = conn.execute(select(func.min(runs.c.due_at), func.min(runs.c.queue_deadline)).where(_OPEN)).one()
    return min((moment for moment in moments if moment is not None), default=None)


def cancel(tx: Connection, run: RunId, *, reason: str | None, by: str | None, now: datetime) -> CancelAnswer:
    """Cancel a run. One that has not been started ends at once; a started one is told by its runner's next renewal.

    A run that was started, lost its runner and is queued again is `asked` too: its next runner runs `finally`.
    """
    row = tx.execute(select(*_TO_END, runs.c.attempt, runs.c.finished_at).where(runs.c.id == run)).first()
    if row is None:
        spent = tx.execute(select(causes.c.key).where(causes.c.run == run)).first()
        return "missing" if spent is None else "ended"
    if row.finished_at is not None:
        return "ended"
    points.record("cancel")
    why = reason or (f"cancelled by {by}" if by else None)
    if row.attempt == 0:
        end(tx, row, RunState.CANCELLED, reason=why, now=now)
        return "cancelled"
    tx.execute(update(runs).where(runs.c.seq == row.seq).values(wish="cancelled", wish_reason=why))
    outbox.add(tx, "run", run)
    return "asked"
