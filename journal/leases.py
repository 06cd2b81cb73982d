"""Leases and fences: who works on a run, until when, and what happens when nobody hears of him any more.

Every claim raises the run's token. Whatever a runner writes carries its token, and is refused when the run has
another, or is not running: so a runner that was believed lost changes nothing when it comes back. Of a run that
several work on, each has a slice with a token and a lease of its own (`journal.slices`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, or_, select, update

from engine.identity import Cause, RunId
from engine.runs import strategy
from engine.runs.pinned import PinnedSpec
from engine.runs.progress import Ending, StepRecord
from engine.states import RUN_TRANSITIONS, RunState, StepState, run_state
from journal import evidence, happenings, losses, outbox, points, runs, slices, specs, spreads
from journal.causes import cause_from_json
from journal.databases import leaseclock
from journal.databases.tables import Instant, run_targets, runners
from journal.databases.tables import runs as table
from journal.errors import FenceLost
from journal.fence import Fence, holds
from journal.losses import LEASE, MOST_LOST, Reaped, give_back, reap, unprove, void
from journal.slicetables import slices as slices_
from journal.steprecords import records_of

LOWEST = -(2**31)
"""Less than any priority."""


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
    sliced: bool = False
    """Others may work on it, too: which targets are its own, `journal.spreads` says, with their records."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """The runs that the runner still holds, or slices of, and those of them that someone wants to end."""

    fences: frozenset[Fence]
    """By which claim it holds each of them: it may have lost one of a run, and have claimed it anew."""
    wishes: Mapping[RunId, Ending]

    @property
    def held(self) -> frozenset[RunId]:
        return frozenset(fence.run for fence in self.fences)


__all__ = [
    "LEASE", "LOWEST", "MOST_LOST", "Claim", "Fence", "Reaped", "Renewed",
    "claim", "finish", "finish_together", "give_back", "give_up", "join", "left", "reap", "register", "release",
    "renew", "unprove", "void", "wishes",
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
    .returning(table.c.id, table.c.token, table.c.wish)
)
_RENEW_RUNNER = update(runners).where(runners.c.name == bindparam("by")).values(lease_until=bindparam("until"))
_RELEASE = (
    update(table)
    .where(table.c.id == bindparam("which"), table.c.token == bindparam("held"), _RUNNING)
    .values(**losses.TO_QUEUE)
)
_IN_SLICES = select(slices_.c.run).where(slices_.c.runner == bindparam("by"))
_WISHES = select(table.c.id, table.c.wish).where(
    _OPEN, _RUNNING, table.c.wish.is_not(None), or_(table.c.runner == bindparam("by"), table.c.seq.in_(_IN_SLICES))
)
_AS_LEFT = select(table.c.token, table.c.state, table.c.finished_at).where(table.c.id == bindparam("which"))
_FINISH = (
    update(table)
    .where(table.c.id == bindparam("which"), holds(bindparam("held")))
    .values(
        state=bindparam("to_state"),
        runner=func.coalesce(table.c.runner, bindparam("by", type_=table.c.runner.type)),
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
    sliced: bool = False,
) -> tuple[Claim, ...]:
    """Take up to `limit` queued runs of the pools (None: of every pool), by priority, then by age.

    `needs`: of the runs that ask for labels those that ask for one of these (`engine.runs.runnerlabels`); None: all.
    Only those of a higher priority than `above` are taken.
    With `sliced`, large ones are taken so that others can `join` in.
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
    happenings.runs_began(tx, [(RunId(row.id), row.job, row.cause) for row in rows if row.attempt == 0], now)
    plans = {row.seq: specs.load(tx, row.spec) for row in rows}
    large = {seq for seq, plan in plans.items() if sliced and strategy.may_be_sliced(plan)}
    large -= {row.seq for row in rows if row.wish is not None}  # one runner ends what is to end
    outbox.add_all(tx, tuple(("run", row.id) for row in rows), work=bool(large))  # others may join in
    for row in rows:
        if row.seq in large:
            slices.begin(tx, row.seq, plans[row.seq], token=row.token + 1, runner=runner, until=until)
        elif row.attempt > 0:
            spreads.dissolve(tx, row.seq)
    before = [row.seq for row in rows if row.seq not in large and (row.attempt > 0 or row.rerun_of is not None)]
    records, targets = (records_of(tx, before), _ended_targets(tx, before)) if before else ({}, {})
    return tuple(
        Claim(
            fence=Fence(RunId(row.id), row.token + 1),
            attempt=row.attempt + 1,
            runner=runner,
            spec=plans[row.seq],
            params=row.params,
            cause=cause_from_json(row.cause),
            records=records.get(row.seq, {}),
            ended_targets=targets.get(row.seq, {}),
            started_at=row.started_at or now,
            ending=row.wish,
            pool=row.pool,
            priority=row.priority,
            sliced=row.seq in large,
        )
        for row in rows
    )


def join(tx: Connection, runner: str, which: Collection[RunId]) -> tuple[Claim, ...]:
    """Work on these runs beside the runners that hold slices of them; those that cannot be joined any more are left
    out. It is no new attempt of the run."""
    rows = slices.join(tx, runner, which, leaseclock.at(tx) + _SECONDS)
    return tuple(
        Claim(
            fence=Fence(RunId(row.id), row.token + 1),
            attempt=row.attempt,
            runner=runner,
            spec=specs.load(tx, row.spec),
            params=row.params,
            cause=cause_from_json(row.cause),
            records={},
            ended_targets={},
            started_at=row.started_at,
            ending=row.wish,
            pool=row.pool,
            priority=row.priority,
            sliced=True,
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
    values: dict[str, Any] = {"by": runner, "until": leaseclock.at(tx) + _SECONDS}
    rows = tx.execute(_RENEW, values).all()
    tx.execute(_RENEW_RUNNER, values)
    whole = {Fence(RunId(row.id), row.token): row.wish for row in rows}
    held = whole | dict(slices.renew(tx, runner, values["until"]))
    return Renewed(frozenset(held), {fence.run: wish for fence, wish in held.items() if wish is not None})


def wishes(conn: Connection, runner: str) -> dict[RunId, Ending]:
    """Wishes for runs of this runner: heard at once in the process where they are written, else with the renewal."""
    rows = conn.execute(_WISHES, {"by": runner})
    return {RunId(row.id): row.wish for row in rows}


def left(tx: Connection, fence: Fence, state: RunState, at: datetime | None) -> bool:
    """Whether this claim has left the run so already: a write that seemed to fail may have been done."""
    row = tx.execute(_AS_LEFT, {"which": fence.run}).first()
    return row is not None and (row.token, row.state, row.finished_at) == (fence.token, state.value, at)


def release(tx: Connection, fence: Fence, now: datetime) -> None:
    """Hand a run back while draining: it is queued again, and the attempt does not count as lost.

    Doing it again, before another has claimed it, changes nothing. Of a slice, what it holds waits for the others.
    Raises FenceLost where neither is held: another has claimed the run since, or the slice is gone, also by this.
    """
    if (part := slices.held_by(tx, fence)) is not None:
        losses.leave(tx, part)
        return
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
    runner: str | None = None,
) -> None:
    """End the run, free its slot and admit the next that waits for it. The same again changes nothing.

    Of a run that several worked on, `runner` is the one who says so.
    """
    if state not in RUN_TRANSITIONS[RunState.RUNNING] or state is RunState.QUEUED:
        raise ValueError(f"a running run cannot finish as {state}")
    gave = dict(outputs) if outputs else None
    values = {"which": fence.run, "held": fence.token, "to_state": state.value, "why": reason, "gave": gave, "now": now}
    values |= {"by": runner}
    row = tx.execute(_FINISH, values).first()
    if row is None:
        if left(tx, fence, state, now):
            return
        raise FenceLost(fence.run, evidence.of_run(fence, state, reason, gave, now))
    points.record("finish")
    runs.ended(tx, fence.run, row.known_as, row.concurrency, now)


def finish_together(
    tx: Connection, fence: Fence, *, runner: str, now: datetime, outputs: Mapping[str, Any] | None = None
) -> RunState | None:
    """End a run that several worked on, all of whose targets have ended. None where another has said so before."""
    part = slices.held_by(tx, fence)
    if part is None or part.state != RunState.RUNNING.value:
        return None
    found = spreads.outcome(tx, part.seq)
    state = run_state(found.states)
    finish(tx, fence, state, now=now, reason=found.halt, outputs=outputs, runner=runner)
    spreads.dissolve(tx, part.seq)
    return state


def give_up(tx: Connection, fence: Fence, *, reason: str, now: datetime) -> None:
    """End the run as unknown after an error in its runner; what has begun of it and has no recorded end is so too."""
    part = slices.held_by(tx, fence)
    finish(tx, fence, RunState.UNKNOWN, now=now, reason=reason, runner=part.runner if part is not None else None)
    seq = tx.execute(select(table.c.seq).where(table.c.id == fence.run)).scalar_one()
    holders = slices.holders(tx, part) if part is not None else None
    unprove(tx, seq, "an error in its runner; nothing proves an end", now, holders)
    spreads.dissolve(tx, seq)
