"""Leases and fences: who works on a run, until when, and what happens when nobody hears of him any more.

Every claim raises the run's token. Whatever a runner writes carries its token, and is refused when the run has
another, or is not running: so a runner that was believed lost changes nothing when it comes back.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from engine.identity import Cause, RunId
from engine.runs import pinned
from engine.runs.pinned import PinnedSpec
from engine.runs.progress import Ending, StepRecord
from engine.states import RUN_TRANSITIONS, RunState, StepState
from journal import evidence, happenings, outbox, points, runs, specs
from journal.causes import cause_from_json
from journal.databases import leaseclock
from journal.databases.tables import AnyRow, Instant, run_targets, runners, steps
from journal.databases.tables import runs as table
from journal.errors import FenceLost
from journal.fence import Fence
from journal.steprecords import records_of

LEASE = timedelta(seconds=12)
"""How long a runner may be silent. It renews three times in this time, so a standstill of 5 s costs it nothing; with a
round of the reaper on top, one that is lost is noticed within 15 s."""
LOWEST = -(2**31)
"""Less than any priority."""
MOST_LOST = 3
"""After so many lost attempts a run is unknown: it may be what kills its runners."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A run to work on. A resumed one has records of earlier attempts; go on at the first step without an end.

    `records` and `ended_targets` are by target; a job without targets has one, `engine.runs.pinned.RUNNER`.
    """

    fence: Fence
    attempt: int
    runner: str
    spec: PinnedSpec
    params: Mapping[str, Any]
    cause: Cause
    records: Mapping[str, tuple[StepRecord, ...]]
    ended_targets: Mapping[str, StepState]
    started_at: datetime
    ending: Ending | None
    pool: str
    """That it was queued for."""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Renewed:
    """The runs that the runner still holds, and those of them that someone wants to end."""

    held: frozenset[RunId]
    wishes: Mapping[RunId, Ending]


@dataclass(frozen=True, slots=True)
class Reaped:
    """A run whose runner was lost, and what became of it."""

    run: RunId
    to: RunState


__all__ = [
    "LEASE", "LOWEST", "MOST_LOST", "Claim", "Fence", "Reaped", "Renewed",
    "claim", "finish", "give_back", "give_up", "left", "reap", "register", "release", "renew", "unprove", "void",
]  # fmt: skip

_OPEN = table.c.finished_at.is_(None)
_RUNNING = table.c.state == RunState.RUNNING.value
_SECONDS = LEASE.total_seconds()

_QUEUED = (
    select(
        table.c.seq,
        table.c.id,
        table.c.job,
        table.c.token,
        table.c.attempt,
        table.c.spec,
        table.c.params,
        table.c.cause,
        table.c.started_at,
        table.c.wish,
        table.c.rerun_of,
        table.c.pool,
        table.c.priority,
    )
    .where(_OPEN, table.c.state == RunState.QUEUED.value, ~table.c.workflow, table.c.priority > bindparam("above"))
    .order_by(table.c.priority.desc(), table.c.seq)
    .limit(bindparam("most"))
)
_FIT = or_(table.c.needs.is_(None), table.c.needs.in_(bindparam("needs", expanding=True)))
_QUEUED_IN_POOLS = _QUEUED.where(table.c.pool.in_(bindparam("pools", expanding=True)))
_QUEUED_FITTING, _QUEUED_FITTING_IN_POOLS = _QUEUED.where(_FIT), _QUEUED_IN_POOLS.where(_FIT)
_CLAIM = (
    update(table)
    .where(table.c.seq == bindparam("which"), table.c.state == RunState.QUEUED.value)
    .values(
        state=RunState.RUNNING.value,
        token=bindparam("to_token"),
        attempt=bindparam("to_attempt"),
        runner=bindparam("by"),
        lease_until=bindparam("until"),
        started_at=bindparam("began", type_=Instant),
        queue_deadline=None,
    )
)
_ENDED = select(run_targets).where(run_targets.c.run.in_(bindparam("which", expanding=True)))
_RENEW = (
    update(table)
    .where(_OPEN, _RUNNING, table.c.runner == bindparam("by"))
    .values(lease_until=bindparam("until"))
    .returning(table.c.id, table.c.wish)
)
_RENEW_RUNNER = update(runners).where(runners.c.name == bindparam("by")).values(lease_until=bindparam("until"))
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
_TO_QUEUE = {"state": RunState.QUEUED.value, "runner": None, "lease_until": None}
_COUNT_LOST = update(table).where(table.c.seq == bindparam("which")).values(lost=table.c.lost + 1)
_REQUEUE = update(table).where(table.c.seq == bindparam("which")).values(**_TO_QUEUE)
_RELEASE = (
    update(table)
    .where(table.c.id == bindparam("which"), table.c.token == bindparam("held"), _RUNNING)
    .values(**_TO_QUEUE)
)
_AS_LEFT = select(table.c.token, table.c.state, table.c.finished_at).where(table.c.id == bindparam("which"))
_FINISH = (
    update(table)
    .where(table.c.id == bindparam("which"), table.c.token == bindparam("held"), _RUNNING)
    .values(
        state=bindparam("to_state"),
        reason=func.coalesce(bindparam("why"), table.c.wish_reason),
        outputs=bindparam("gave", type_=table.c.outputs.type),
        finished_at=bindparam("now", type_=Instant),
        slot=None,
        lease_until=None,
    )
    .returning(table.c.known_as, table.c.concurrency)
)


def register(tx: Connection, runner: str, pool: str, host: str, now: datetime) -> None:
    """Make a runner known. Doing it again is harmless."""
    points.record("register")
    values = {"pool": pool, "host": host, "since": now}
    if tx.execute(update(runners).where(runners.c.name == runner).values(values)).rowcount == 0:
        tx.execute(insert(runners), {"name": runner, **values})


def claim(
    tx: Connection,
    runner: str,
    pools: Collection[str] | None,
    limit: int,
    now: datetime,
    *,
    needs: Collection[str] | None = None,
    above: int = LOWEST,
) -> tuple[Claim, ...]:
    """Take up to `limit` queued runs of the pools (None: of every pool), by priority, then by age.

    `needs`: of the runs that ask for labels those that ask for one of these (`engine.runs.runnerlabels`); None: all.
    Only those of a higher priority than `above` are taken.
    """
    if limit <= 0 or (pools is not None and not pools):
        return ()
    query = _QUEUED if pools is None else _QUEUED_IN_POOLS
    values: dict[str, Any] = {"most": limit, "above": above} | ({} if pools is None else {"pools": sorted(pools)})
    if needs is not None:
        query = _QUEUED_FITTING if pools is None else _QUEUED_FITTING_IN_POOLS
        values |= {"needs": sorted(needs)}
    rows = tx.execute(query, values).all()
    if not rows:
        return ()
    points.record("claim")
    until = leaseclock.at(tx) + _SECONDS
    tx.execute(
        _CLAIM,
        [
            {
                "which": row.seq,
                "to_token": row.token + 1,
                "to_attempt": row.attempt + 1,
                "by": runner,
                "until": until,
                "began": row.started_at or now,
            }
            for row in rows
        ],
    )
    outbox.add_all(tx, tuple(("run", row.id) for row in rows), work=False)
    happenings.runs_began(tx, [(RunId(row.id), row.job, row.cause) for row in rows if row.attempt == 0], now)
    before = [row.seq for row in rows if row.attempt > 0 or row.rerun_of is not None]
    records, targets = (records_of(tx, before), _ended_targets(tx, before)) if before else ({}, {})
    return tuple(
        Claim(
            fence=Fence(RunId(row.id), row.token + 1),
            attempt=row.attempt + 1,
            runner=runner,
            spec=specs.load(tx, row.spec),
            params=row.params,
            cause=cause_from_json(row.cause),
            records=records.get(row.seq, {}),
            ended_targets=targets.get(row.seq, {}),
            started_at=row.started_at or now,
            ending=row.wish,
            pool=row.pool,
            priority=row.priority,
        )
        for row in rows
    )


def _ended_targets(tx: Connection, seqs: list[int]) -> dict[int, dict[str, StepState]]:
    found: dict[int, dict[str, StepState]] = {}
    for row in tx.execute(_ENDED, {"which": seqs}):
        found.setdefault(row.run, {})[row.target] = StepState(row.state)
    return found


def renew(tx: Connection, runner: str) -> Renewed:
    """Renew all leases of the runner at once, and hear of wishes. What is not `held` is lost: stop working on it."""
    points.record("renew")
    values = {"by": runner, "until": leaseclock.at(tx) + _SECONDS}
    rows = tx.execute(_RENEW, values).all()
    tx.execute(_RENEW_RUNNER, values)
    return Renewed(
        held=frozenset(RunId(row.id) for row in rows),
        wishes={RunId(row.id): row.wish for row in rows if row.wish is not None},
    )


def reap(tx: Connection, now: datetime) -> tuple[Reaped, ...]:
    """Take the runs away from runners that were silent for a whole lease.

    Each is queued again, or unknown after three lost attempts. Whoever calls this after a pause of his own waits one
    lease first: the others may have been stopped with him (`journal.reaper`).
    """
    at = leaseclock.at(tx)
    rows = tx.execute(_EXPIRED, {"now": at, "latest": leaseclock.latest(at, LEASE)}).all()
    return tuple(_lose(tx, row, now) for row in rows)


def give_back(tx: Connection, runner: str, strays: Collection[RunId], now: datetime) -> tuple[Reaped, ...]:
    """Take runs that the runner holds, and does not work on, away from it as lost; it would renew them for ever.

    One of which nothing was begun under this claim does not count as lost: the answer to the claim's commit was.
    """
    rows = tx.execute(_STRAYED, {"by": runner, "which": sorted(strays)}).all()
    return tuple(_lose(tx, row, now) if _has_begun(tx, row) else _requeued(tx, row) for row in rows)


def _has_begun(tx: Connection, row: AnyRow) -> bool:
    return tx.execute(_BEGUN, {"which": row.seq, "held": row.token}).first() is not None


def void(tx: Connection, now: datetime) -> tuple[Reaped, ...]:
    """Take all runs away from all runners: at the start of the one process that uses the journal, none can be alive."""
    return tuple(_lose(tx, row, now) for row in tx.execute(_ALL_RUNNING).all())


def _lose(tx: Connection, row: AnyRow, now: datetime) -> Reaped:
    points.record("reap")
    run = RunId(row.id)
    happenings.runner_lost(tx, row.runner, now)
    tx.execute(_COUNT_LOST, {"which": row.seq})
    if row.lost + 1 >= MOST_LOST:
        unprove(tx, row.seq, "its runner was lost; nothing proves an end", now)
        runs.end(tx, row, RunState.UNKNOWN, reason="lostTooOften", now=now)
        return Reaped(run, RunState.UNKNOWN)
    if RunState.QUEUED not in RUN_TRANSITIONS[RunState(row.state)]:
        raise ValueError(f"run {run} is {row.state} and cannot be queued again")
    return _requeued(tx, row)


def _requeued(tx: Connection, row: AnyRow) -> Reaped:
    points.record("reap")
    tx.execute(_REQUEUE, {"which": row.seq})
    outbox.add(tx, "run", row.id)
    return Reaped(RunId(row.id), RunState.QUEUED)


def unprove(tx: Connection, seq: int, why: str, now: datetime) -> None:
    """What has begun and has no recorded end is unknown."""
    begun = set(tx.execute(select(steps.c.target).where(steps.c.run == seq).distinct()).scalars())
    ended = set(tx.execute(select(run_targets.c.target).where(run_targets.c.run == seq)).scalars())
    tx.execute(
        update(steps)
        .where(steps.c.run == seq, steps.c.state == StepState.RUNNING.value)
        .values(state=StepState.UNKNOWN.value, ended_at=now, error=why)
    )
    lost = [
        {"run": seq, "target": target, "state": StepState.UNKNOWN.value, "ended_at": now}
        for target in sorted(begun - ended)
    ]
    if lost:
        tx.execute(insert(run_targets), lost)
        outbox.add_all(tx, tuple(("target", row["target"]) for row in lost if row["target"] != pinned.RUNNER))


def left(tx: Connection, fence: Fence, state: RunState, at: datetime | None) -> bool:
    """Whether this claim has left the run so already: a write that seemed to fail may have been done."""
    row = tx.execute(_AS_LEFT, {"which": fence.run}).first()
    return row is not None and (row.token, row.state, row.finished_at) == (fence.token, state.value, at)


def release(tx: Connection, fence: Fence, now: datetime) -> None:
    """Hand a run back while draining: it is queued again, and the attempt does not count as lost.

    Doing it again, before another has claimed it, changes nothing.
    """
    if tx.execute(_RELEASE, {"which": fence.run, "held": fence.token}).rowcount == 0:
        if left(tx, fence, RunState.QUEUED, None):
            return
        raise FenceLost(fence.run)
    points.record("release")
    outbox.add(tx, "run", fence.run)


def finish(
    tx: Connection,
    fence: Fence,
    state: RunState,
    *,
    now: datetime,
    reason: str | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> None:
    """End the run, free its slot and admit the next that waits for it. The same again changes nothing."""
    if state not in RUN_TRANSITIONS[RunState.RUNNING] or state is RunState.QUEUED:
        raise ValueError(f"a running run cannot finish as {state}")
    gave = dict(outputs) if outputs else None
    values = {"which": fence.run, "held": fence.token, "to_state": state.value, "why": reason, "gave": gave, "now": now}
    row = tx.execute(_FINISH, values).first()
    if row is None:
        if left(tx, fence, state, now):
            return
        raise FenceLost(fence.run, evidence.of_run(fence, state, reason, gave, now))
    points.record("finish")
    runs.ended(tx, fence.run, row.known_as, row.concurrency, now)


def give_up(tx: Connection, fence: Fence, *, reason: str, now: datetime) -> None:
    """End the run as unknown after an error in its runner; what has begun of it and has no recorded end is so too."""
    finish(tx, fence, RunState.UNKNOWN, now=now, reason=reason)
    seq = tx.execute(select(table.c.seq).where(table.c.id == fence.run)).scalar_one()
    unprove(tx, seq, "an error in its runner; nothing proves an end", now)
