"""Slices: what each of several runners holds of one run, under a token and a lease of its own.

A slice is fenced as a run is: it is gone as soon as it is given back or taken away, and what it held waits for whoever
works on the run.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, delete, exists, func, insert, literal, or_, select, update

from engine.identity import RunId
from engine.runs import runnerlabels
from engine.runs.pinned import PinnedSpec
from engine.states import RunState
from journal import points, spreads
from journal.databases.tables import AnyRow, runs, steps
from journal.fence import Fence
from journal.slicetables import slice_targets as held
from journal.slicetables import slices as table
from journal.slicetables import spreads as spread

_WORKED_ON = (runs.c.finished_at.is_(None), runs.c.state == RunState.RUNNING.value)
_RENEW = (
    update(table)
    .where(table.c.runner == bindparam("by"))
    .values(lease_until=bindparam("until"))
    .returning(table.c.run, table.c.token)
)
_FOUND = select(
    runs.c.seq,
    runs.c.id,
    runs.c.known_as,
    runs.c.concurrency,
    runs.c.state,
    runs.c.lost,
    table.c.runner,
    runs.c.workflow,
    table.c.token,
).join_from(table, runs, (runs.c.seq == table.c.run))
_EXPIRED = _FOUND.where(
    *_WORKED_ON, or_(table.c.lease_until < bindparam("now"), table.c.lease_until > bindparam("latest"))
)
_EVERY = _FOUND.where(*_WORKED_ON)
_ONE = _FOUND.where(runs.c.id == bindparam("of"), table.c.token == bindparam("held"))
_OF_RUNNER = _EVERY.where(table.c.runner == bindparam("by"), runs.c.id.in_(bindparam("which", expanding=True)))
_BEGAN = exists(literal(1)).where(
    steps.c.run == held.c.run, steps.c.target == held.c.target, steps.c.token == bindparam("held_by")
)
_PUT_BACK = (
    update(held)
    .where(held.c.run == bindparam("of_run"), held.c.token == bindparam("held_by"))
    .values(token=None, begun=case((_BEGAN, True), else_=held.c.begun), lost=held.c.lost + bindparam("more"))
    .returning(held.c.lost)
)
_COUNT = select(func.count()).where(table.c.run == bindparam("of_run"))
_OWN = exists(literal(1)).where(table.c.run == runs.c.seq, table.c.runner == bindparam("by"))
_RUNNERS = select(func.count()).where(table.c.run == runs.c.seq).correlate(runs).scalar_subquery()
_SOME_WAITS = exists(literal(1)).where(held.c.run == runs.c.seq, held.c.token.is_(None), held.c.batch == spread.c.batch)
"""Of the open batch: who waits for the next one would have a place here and nothing to do."""
_JOINABLE = (
    select(runs.c.id, runs.c.pool, runs.c.needs, spread.c.opens_at, spread.c.pause)
    .join_from(runs, spread, spread.c.run == runs.c.seq)
    .where(
        *_WORKED_ON,
        runs.c.wish.is_(None),
        spread.c.halt.is_(None),
        _SOME_WAITS,
        ~_OWN,
        _RUNNERS > 0,
        spread.c.max_parallel > _RUNNERS,
    )
    .order_by(runs.c.priority.desc(), runs.c.seq)
)
_JOINED = _JOINABLE.add_columns(
    runs.c.seq,
    runs.c.token,
    runs.c.attempt,
    runs.c.priority,
    runs.c.spec,
    runs.c.params,
    runs.c.cause,
    runs.c.started_at,
    runs.c.wish,
).where(runs.c.id.in_(bindparam("which", expanding=True)))


@dataclass(frozen=True, slots=True)
class Left:
    """What a slice has left behind: so many `runners` work on the run still, and of its targets the one that was
    `lost` most often was so often."""

    runners: int
    lost: int


def begin(tx: Connection, seq: int, spec: PinnedSpec, *, token: int, runner: str, until: float) -> None:
    """Let others work on a run, too, which a runner has just claimed: what it holds of it is the first slice."""
    spreads.lay_out(tx, seq, spec)
    _add(tx, seq, token, runner, until)
    tx.execute(update(runs).where(runs.c.seq == seq).values(runner=None, lease_until=None))


def joinable(
    conn: Connection, runner: str, pools: Collection[str] | None, labels: Mapping[str, str] | None
) -> tuple[RunId, ...]:
    """The runs that others work on, and that the runner may work on, too; by priority, then by age."""
    rows = conn.execute(_JOINABLE, {"by": runner}).all()
    return tuple(
        RunId(row.id)
        for row in rows
        if (pools is None or row.pool in pools)
        and (labels is None or runnerlabels.met(row.needs, labels))
        and spreads.opens_in(conn, row) is None
    )


def join(tx: Connection, runner: str, which: Collection[RunId], until: float) -> Sequence[AnyRow]:
    """Give the runner an empty slice of each of these runs that may be joined still. The runs as they are by now."""
    rows = tx.execute(_JOINED, {"by": runner, "which": sorted(which)}).all()
    for row in rows:
        points.record("claim")
        _add(tx, row.seq, row.token + 1, runner, until)
        tx.execute(update(runs).where(runs.c.seq == row.seq).values(token=row.token + 1))
    return rows


def _add(tx: Connection, seq: int, token: int, runner: str, until: float) -> None:
    tx.execute(insert(table), {"run": seq, "token": token, "runner": runner, "lease_until": until})


def renew(tx: Connection, runner: str, until: float) -> Mapping[Fence, str | None]:
    """Renew the leases of all slices of the runner: their claims, with what somebody wishes of the run of each."""
    tokens = {row.run: row.token for row in tx.execute(_RENEW, {"by": runner, "until": until})}
    if not tokens:
        return {}
    rows = tx.execute(select(runs.c.seq, runs.c.id, runs.c.wish).where(*_WORKED_ON, runs.c.seq.in_(tokens)))
    return {Fence(RunId(row.id), tokens[row.seq]): row.wish for row in rows}


def expired(tx: Connection, at: float, latest: float) -> Sequence[AnyRow]:
    """The slices whose runners were silent, as rows of their runs with the slice's runner and token."""
    return tx.execute(_EXPIRED, {"now": at, "latest": latest}).all()


def every(tx: Connection) -> Sequence[AnyRow]:
    """As `expired`, all there are."""
    return tx.execute(_EVERY).all()


def of_runner(tx: Connection, runner: str, which: Collection[RunId]) -> Sequence[AnyRow]:
    """As `expired`, those that the runner holds of these runs."""
    return tx.execute(_OF_RUNNER, {"by": runner, "which": sorted(which)}).all()


def held_by(tx: Connection, fence: Fence) -> AnyRow | None:
    """As `expired`, the one of this fence; None where there is none."""
    return tx.execute(_ONE, {"of": fence.run, "held": fence.token}).first()


def holders(tx: Connection, row: AnyRow) -> Mapping[int, str]:
    """By token who works on the run, and who has just lost its slice `row` of it; nobody where it is one runner's."""
    if tx.execute(select(spread.c.run).where(spread.c.run == row.seq)).first() is None:
        return {}
    held = tx.execute(select(table.c.token, table.c.runner).where(table.c.run == row.seq))
    return {row.token: row.runner} | {one.token: one.runner for one in held}


def take_away(tx: Connection, row: AnyRow, *, lost: bool) -> Left:
    """End a slice: what it held waits again. `lost`: with its runner."""
    values = {"of_run": row.seq, "held_by": row.token, "more": int(lost)}
    times = tx.execute(_PUT_BACK, values).scalars().all()
    tx.execute(delete(table).where(table.c.run == row.seq, table.c.token == row.token))
    # the run's own token may be that of this slice, and must not hold any more
    tx.execute(update(runs).where(runs.c.seq == row.seq).values(token=runs.c.token + 1))
    return Left(tx.execute(_COUNT, {"of_run": row.seq}).scalar_one(), max(times, default=0))
