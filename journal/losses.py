"""Runners that were lost: what they held is taken away, and another goes on, or nothing proves how it ended."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from engine.identity import RunId
from engine.runs import pinned
from engine.states import RUN_TRANSITIONS, RunState, StepState
from journal import happenings, outbox, points, runs, slices, spreads
from journal.databases import leaseclock
from journal.databases.tables import AnyRow, run_targets, steps
from journal.databases.tables import runs as table

LEASE = timedelta(seconds=12)
"""How long a runner may be silent. It renews five times in this time, so a standstill of 5 s costs it nothing; with a
round of the reaper on top, one that is lost is noticed within 15 s."""
MOST_LOST = 3
"""After so many lost attempts a run is unknown: it may be what kills its runners."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """A run whose runner was lost, or one of its runners, and what became of it."""

    run: RunId
    to: RunState


_OPEN = table.c.finished_at.is_(None)
_RUNNING = table.c.state == RunState.RUNNING.value
_LOST = select(
    table.c.seq,
    table.c.id,
    table.c.known_as,
    table.c.concurrency,
    table.c.state,
    table.c.lost,
    table.c.runner,
    table.c.workflow,
    table.c.token,
).where(~table.c.workflow)
_EXPIRED = _LOST.where(
    _OPEN, _RUNNING, or_(table.c.lease_until < bindparam("now"), table.c.lease_until > bindparam("latest"))
)
_ALL_RUNNING = _LOST.where(_OPEN, _RUNNING)
_STRAYED = _LOST.where(
    _OPEN, _RUNNING, table.c.runner == bindparam("by"), table.c.id.in_(bindparam("which", expanding=True))
)
_BEGUN = select(steps.c.seq).where(steps.c.run == bindparam("which"), steps.c.token == bindparam("held")).limit(1)
_NAME = (
    update(steps)
    .where(
        steps.c.run == bindparam("which"),
        steps.c.token == bindparam("held"),
        steps.c.state == StepState.RUNNING.value,
        steps.c.ended_at.is_(None),  # else it is proven that nothing of it runs
    )
    .values(error=bindparam("said"))
)
_UNPROVEN = "; nothing proves an end"
TO_QUEUE = {"state": RunState.QUEUED.value, "runner": None, "lease_until": None}
_COUNT_LOST = update(table).where(table.c.seq == bindparam("which")).values(lost=table.c.lost + 1)
# of several, the one whose loss ended it
_LOST_BY = update(table).where(table.c.seq == bindparam("which")).values(runner=bindparam("by"))
_REQUEUE = update(table).where(table.c.seq == bindparam("which")).values(**TO_QUEUE)


def reap(tx: Connection, now: datetime) -> tuple[Reaped, ...]:
    """Take the runs away from runners that were silent for a whole lease, and their slices of runs.

    Each is queued again, or unknown after three lost attempts, be they of one of its targets; one that others work on
    goes on with them. Whoever calls this after a pause of his own waits one
    lease first: the others may have been stopped with him (`journal.reaper`).
    """
    at = leaseclock.at(tx)
    latest = leaseclock.latest(at, LEASE)
    rows = tx.execute(_EXPIRED, {"now": at, "latest": latest}).all()
    parts = slices.expired(tx, at, latest)
    return (*(_lose(tx, row, now) for row in rows), *_lose_slices(tx, parts, now))


def give_back(tx: Connection, runner: str, strays: Collection[RunId], now: datetime) -> tuple[Reaped, ...]:
    """Take runs that the runner holds, and does not work on, away from it as lost; it would renew them for ever.

    One of which nothing was begun under this claim does not count as lost: the answer to the claim's commit was.
    """
    rows = tx.execute(_STRAYED, {"by": runner, "which": sorted(strays)}).all()
    given = [_lose(tx, row, now) if _has_begun(tx, row) else _requeued(tx, row) for row in rows]
    for row in slices.of_runner(tx, runner, strays):
        given += _lose_slices(tx, (row,), now) if _has_begun(tx, row) else [leave(tx, row)]
    return tuple(given)


def _has_begun(tx: Connection, row: AnyRow) -> bool:
    return tx.execute(_BEGUN, {"which": row.seq, "held": row.token}).first() is not None


def void(tx: Connection, now: datetime) -> tuple[Reaped, ...]:
    """Take all runs away from all runners: at the start of the one process that uses the journal, none can be alive."""
    parts = _lose_slices(tx, slices.every(tx), now)
    return (*parts, *(_lose(tx, row, now) for row in tx.execute(_ALL_RUNNING).all()))


def _lose_slices(tx: Connection, rows: Sequence[AnyRow], now: datetime) -> tuple[Reaped, ...]:
    """A run is lost with the last of them, and unknown when it may be what kills its runners."""
    found: dict[RunId, Reaped] = {}
    for row in rows:
        _name(tx, row)
        left = slices.take_away(tx, row, lost=True)
        run = RunId(row.id)
        if run in found and found[run].to is RunState.UNKNOWN:
            continue
        if left.lost >= MOST_LOST:
            happenings.runner_lost(tx, row.runner, now)
            found[run] = _unknown(tx, row, now)
        elif left.runners == 0:
            found[run] = _lose(tx, row, now)
        else:
            points.record("reap")
            happenings.runner_lost(tx, row.runner, now)
            outbox.add(tx, "run", row.id)  # those who are left have more to do
            found[run] = Reaped(run, RunState.RUNNING)
    return tuple(found.values())


def _lose(tx: Connection, row: AnyRow, now: datetime) -> Reaped:
    points.record("reap")
    run = RunId(row.id)
    _name(tx, row)
    happenings.runner_lost(tx, row.runner, now)
    tx.execute(_COUNT_LOST, {"which": row.seq})
    if row.lost + 1 >= MOST_LOST:
        return _unknown(tx, row, now)
    if RunState.QUEUED not in RUN_TRANSITIONS[RunState(row.state)]:
        raise ValueError(f"run {run} is {row.state} and cannot be queued again")
    return _requeued(tx, row)


def _name(tx: Connection, row: AnyRow) -> None:
    """Say of each step that ran under a lost claim which runner had it: in its state folder the logs lie."""
    said = f"its runner {row.runner} was lost while it ran"
    tx.execute(_NAME, {"which": row.seq, "held": row.token, "said": said})


def _unknown(tx: Connection, row: AnyRow, now: datetime) -> Reaped:
    points.record("reap")
    unprove(tx, row.seq, f"its runner was lost{_UNPROVEN}", now, slices.holders(tx, row))
    spreads.dissolve(tx, row.seq)
    tx.execute(_LOST_BY, {"which": row.seq, "by": row.runner})
    runs.end(tx, row, RunState.UNKNOWN, reason="lostTooOften", now=now)
    return Reaped(RunId(row.id), RunState.UNKNOWN)


def _requeued(tx: Connection, row: AnyRow) -> Reaped:
    points.record("reap")
    tx.execute(_REQUEUE, {"which": row.seq})
    outbox.add(tx, "run", row.id)
    return Reaped(RunId(row.id), RunState.QUEUED)


def unprove(tx: Connection, seq: int, why: str, now: datetime, holders: Mapping[int, str] | None = None) -> None:
    """What has begun and has no recorded end is unknown. `holders`: by token, of a run that several worked on."""
    own = (steps.c.run == seq, ~steps.c.inherited)
    rows = tx.execute(select(steps.c.target, steps.c.token).where(*own).order_by(steps.c.seq)).all()
    begun = {row.target: row.token for row in rows}
    ended = set(tx.execute(select(run_targets.c.target).where(run_targets.c.run == seq)).scalars())
    open_ = update(steps).where(steps.c.run == seq, steps.c.state == StepState.RUNNING.value)
    tx.execute(open_.where(steps.c.ended_at.is_not(None)).values(state=StepState.UNKNOWN.value))
    said = func.coalesce(steps.c.error + _UNPROVEN, why)
    tx.execute(open_.values(state=StepState.UNKNOWN.value, ended_at=now, error=said))
    lost = sorted(begun.keys() - ended)
    unknown = {"run": seq, "state": StepState.UNKNOWN.value, "ended_at": now}
    if lost:
        by = holders or {}
        tx.execute(insert(run_targets), [unknown | {"target": one, "runner": by.get(begun[one])} for one in lost])
        outbox.add_all(tx, tuple(("target", target) for target in lost if target != pinned.RUNNER))


def leave(tx: Connection, row: AnyRow) -> Reaped:
    if slices.take_away(tx, row, lost=False).runners == 0:
        return _requeued(tx, row)
    points.record("release")
    outbox.add(tx, "run", row.id)
    return Reaped(RunId(row.id), RunState.RUNNING)
