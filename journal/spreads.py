"""What several runners that work on one run agree on: its batches, places and failures, exact across all of them.

Everything is decided in the transaction that records the end of a target, or gives targets out; writers take turns, so
each of these sees all that came before. A place is a target in a slice: it is free when the target has ended, or the
slice was taken away.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, case, delete, exists, func, insert, literal, select, update

from engine.runs import strategy
from engine.runs.pinned import PinnedSpec
from engine.runs.progress import Ending, StepRecord
from engine.runs.strategy import Halt
from engine.states import StepState
from journal import outbox, points, steprecords, steps
from journal.databases import leaseclock
from journal.databases.tables import AnyRow, run_targets, runs
from journal.databases.tables import steps as steps_table
from journal.errors import FenceLost
from journal.fence import Fence
from journal.slicetables import slice_targets as waiting
from journal.slicetables import slices
from journal.slicetables import spreads as table

AT_ONCE = 100
"""So many targets are given out, or left out, in one transaction: all who write wait for it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A target to work on, with what earlier runners recorded of it."""

    target: str
    records: tuple[StepRecord, ...]


@dataclass(frozen=True, slots=True)
class Asks:
    """What a runner has of a run, and wants.

    `have` are the targets that it works on, of which `failing` will not succeed any more. `ending`: the run is to end,
    as far as it knows. Without `more` it says so and wants nothing.
    """

    have: frozenset[str]
    failing: tuple[str, ...] = ()
    ending: Ending | None = None
    more: bool = True


@dataclass(frozen=True, slots=True)
class Share:
    """What a runner is to do now: `targets` are new to it. `again`: there is more at once.

    `opens_in`: after so many seconds the next batch opens. `over`: all targets have ended, and the run with them once
    somebody says so.
    """

    targets: tuple[Taken, ...] = ()
    again: bool = False
    opens_in: float | None = None
    over: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the targets of a run ended, and why some never began."""

    states: frozenset[StepState]
    halt: str | None


_OF_RUN = waiting.c.run == runs.c.seq
_LOOK = (
    select(
        runs.c.seq,
        runs.c.wish,
        runs.c.rerun_of,
        slices.c.runner,
        table,
        select(func.count()).where(slices.c.run == runs.c.seq).correlate(runs).scalar_subquery().label("runners"),
        select(func.count()).where(_OF_RUN, waiting.c.token.is_not(None)).correlate(runs).scalar_subquery()
        .label("held"),
        select(func.count()).where(_OF_RUN, waiting.c.token == bindparam("token")).correlate(runs).scalar_subquery()
        .label("own"),
        exists(literal(1)).where(_OF_RUN).correlate(runs).label("left"),
    )
    .join(slices, (slices.c.run == runs.c.seq) & (slices.c.token == bindparam("token")))
    .join(table, table.c.run == runs.c.seq)
    .where(runs.c.id == bindparam("of"), runs.c.finished_at.is_(None))
)  # fmt: skip
_HAS_ENDED = select(runs.c.seq).where(runs.c.id == bindparam("of"), runs.c.finished_at.is_not(None))
_MINE = select(waiting.c.target).where(waiting.c.run == bindparam("of_run"), waiting.c.token == bindparam("held"))
_NEXT = (
    select(waiting.c.target, waiting.c.begun)
    .where(waiting.c.run == bindparam("of_run"), waiting.c.token.is_(None))
    .order_by(waiting.c.batch, waiting.c.number)
    .limit(bindparam("most"))
)
_IN_BATCH = waiting.c.batch == bindparam("open")
_OF_TARGET = (waiting.c.run == bindparam("of_run"), waiting.c.target == bindparam("at"))
_FAILS = (
    update(waiting)
    .where(*_OF_TARGET, waiting.c.token == bindparam("held"), ~waiting.c.failing)
    .values(failing=True)
    .execution_options(preserve_rowcount=True)
)
_REMOVE = delete(waiting).where(*_OF_TARGET).returning(waiting.c.failing)
_COUNT = (
    update(table)
    .where(table.c.run == bindparam("of_run"))
    .values(
        failed=table.c.failed + bindparam("more"),
        good=case((bindparam("fine"), True), else_=table.c.good),
    )
    .returning(table)
)
_OPEN_LEFT = select(waiting.c.target).where(waiting.c.run == bindparam("of_run"), _IN_BATCH).limit(1)
_FIRST_LEFT = (
    select(waiting.c.batch, waiting.c.begun)
    .where(waiting.c.run == bindparam("of_run"))
    .order_by(waiting.c.batch, waiting.c.begun.desc())
    .limit(1)
)
_SEQ = select(runs.c.seq, runs.c.wish).where(runs.c.id == bindparam("of"))


def lay_out(tx: Connection, seq: int, spec: PinnedSpec) -> None:
    """Say where the run stands, from what is recorded of it, before the first runner works on it, or the next."""
    names = [target.name for target in spec.targets]
    batches = strategy.batches_of(names, spec.batches)
    ends = tx.execute(select(run_targets.c.target, run_targets.c.state).where(run_targets.c.run == seq))
    ended = {row.target: StepState(row.state) for row in ends}
    own_steps = (steps_table.c.run == seq, ~steps_table.c.inherited)
    begun = {*ended, *tx.execute(select(steps_table.c.target).distinct().where(*own_steps)).scalars()}
    before = {row.target: row for row in tx.execute(select(waiting).where(waiting.c.run == seq))}
    failing = {name for name, row in before.items() if row.failing}
    known = tx.execute(select(table).where(table.c.run == seq)).first()
    now = strategy.stands(spec, batches, ended, begun, failing)
    opens_at = leaseclock.at(tx) + spec.pause_between.total_seconds() if now.pauses else None
    if known is not None and known.batch == now.batch:
        opens_at = known.opens_at
    dissolve(tx, seq)
    row = {
        "run": seq,
        "max_parallel": spec.max_parallel,
        "allowed": strategy.allowed_failures(spec.max_failures, len(names)),
        "pause": spec.pause_between.total_seconds(),
        "batch": now.batch,
        "opens_at": opens_at,
        "failed": now.failed,
        "good": now.good,
        "halt": now.halt,
    }
    tx.execute(insert(table), row)
    numbered = enumerate((name, number) for number, batch in enumerate(batches) for name in batch)
    rows = [
        {
            "run": seq,
            "target": name,
            "number": number,
            "batch": batch,
            "begun": name in begun,
            "failing": name in failing,
            "lost": before[name].lost if name in before else 0,
        }
        for number, (name, batch) in numbered
        if name not in ended
    ]
    if rows:
        tx.execute(insert(waiting), rows)


def dissolve(tx: Connection, seq: int) -> None:
    """Forget it, and whose slices there are: the run has ended, or is one runner's."""
    for of in (waiting, slices, table):
        tx.execute(delete(of).where(of.c.run == seq))


def share(conn: Connection, fence: Fence, *, ending: Ending | None) -> Share:
    """What `take` would give now, its `targets` apart: `again` says that it would give some."""
    row = _looked(conn, fence)
    if row is None:
        return Share(over=True)
    wish = row.wish or ending
    wait = _opens_in(conn, row) if wish is None and row.halt is None else None
    if not row.left or wait is not None:
        return Share(over=not row.left, opens_in=wait)
    some = _room(row) > 0 and bool(_next(conn, row, wish, most=1))
    return Share(again=some or (wish is None and row.halt is not None and bool(_unbegun(conn, row, most=1))))


def take(tx: Connection, fence: Fence, asks: Asks, now: datetime) -> Share:
    """Give the runner more targets of the open batch, as many as there are places for it.

    Where the run is to end, what is left is given out whatever its batch. Where it is halted, what has begun before is
    given out, and what has not ends here. Raises FenceLost where the slice was taken away. Doing it again gives what
    was given before, as long as that is not among what the runner has.
    """
    row = _looked(tx, fence)
    if row is None:
        return Share(over=True)
    wish = _wished(tx, fence, row, asks.ending)
    halt = _fail(tx, row, fence, asks.failing, wish)
    if not asks.more:
        return Share(over=not row.left)
    # What it holds and does not know of: the answer to the commit was lost.
    unknown = [name for name in _mine(tx, row, fence) if name not in asks.have] if row.own > len(asks.have) else []
    wait = _opens_in(tx, row) if wish is None and halt is None else None
    if not row.left or wait is not None:
        return Share(_with_records(tx, row, unknown), opens_in=wait, over=not row.left)
    found = _next(tx, row, wish, most=min(AT_ONCE, max(0, _room(row))), halt=halt)
    if found:
        _give(tx, row, fence, found)
    left_out = _leave_out(tx, fence, row, halt, now) if halt is not None and wish is None else 0
    names = [*unknown, *found]
    return Share(_with_records(tx, row, names), again=left_out == AT_ONCE or len(found) == AT_ONCE)


def end_target(
    tx: Connection,
    fence: Fence,
    target: str,
    state: StepState,
    outputs: Mapping[str, object],
    now: datetime,
    reason: str | None = None,
    *,
    runner: str,
    ending: Ending | None,
) -> None:
    """As `journal.steps.end_target`, and what follows from it for the others: a place, a failure, the next batch."""
    if not steps.end_target(tx, fence, target, state, outputs, now, reason, runner=runner):
        return
    run = tx.execute(_SEQ, {"of": fence.run}).one()
    known = tx.execute(_REMOVE, {"of_run": run.seq, "at": target}).first()
    if known is None:
        return
    bad = strategy.is_failure(state)
    more = int(bad) - int(known.failing)
    row = tx.execute(_COUNT, {"of_run": run.seq, "more": more, "fine": not bad}).one()
    if _wished(tx, fence, run, ending) is None:
        _settle(tx, row)


def outcome(conn: Connection, seq: int) -> Outcome:
    """Of a run all of whose targets have ended."""
    of = run_targets.c.run == seq
    states = conn.execute(select(run_targets.c.state).distinct().where(of)).scalars()
    left_out = select(run_targets.c.reason).where(of, run_targets.c.state == StepState.SKIPPED.value)
    reasons = conn.execute(left_out.where(run_targets.c.reason.is_not(None)).limit(1))
    return Outcome(frozenset(StepState(state) for state in states), reasons.scalar())


def _looked(conn: Connection, fence: Fence) -> AnyRow | None:
    """The run as its slice sees it; None where it has ended. Raises FenceLost where it has no such slice."""
    row = conn.execute(_LOOK, {"of": fence.run, "token": fence.token}).first()
    if row is None and conn.execute(_HAS_ENDED, {"of": fence.run}).first() is None:
        raise FenceLost(fence.run)
    return row


def _wished(tx: Connection, fence: Fence, run: AnyRow, ending: Ending | None) -> str | None:
    """Whether the run is to end; the first of its runners to know, as its time is over, tells the others."""
    if run.wish is None and ending is not None:
        tx.execute(update(runs).where(runs.c.seq == run.seq).values(wish=ending))
        outbox.add(tx, "run", fence.run)
    return run.wish or ending


def _opens_in(conn: Connection, row: AnyRow) -> float | None:
    """Seconds until the open batch may begin; None: it may. A clock that was set back makes nobody wait for longer."""
    if row.opens_at is None:
        return None
    left: float = row.opens_at - leaseclock.at(conn)
    return left if 0 < left <= row.pause + leaseclock.STEADY else None


def _room(row: AnyRow) -> int:
    return strategy.share_of_places(row.max_parallel, row.runners, row.held, row.own)


def _next(conn: Connection, row: AnyRow, wish: str | None, *, most: int, halt: str | None = None) -> list[str]:
    if most <= 0:
        return []
    query, values = _NEXT, {"of_run": row.seq, "most": most}
    if wish is None and (halt or row.halt) is not None:
        query = query.where(waiting.c.begun)
    elif wish is None:
        query, values = query.where(_IN_BATCH), values | {"open": row.batch}
    return [one.target for one in conn.execute(query, values)]


def _unbegun(conn: Connection, row: AnyRow, *, most: int) -> list[str]:
    query = _NEXT.where(~waiting.c.begun)
    return [one.target for one in conn.execute(query, {"of_run": row.seq, "most": most})]


def _mine(conn: Connection, row: AnyRow, fence: Fence) -> Sequence[str]:
    return conn.execute(_MINE, {"of_run": row.seq, "held": fence.token}).scalars().all()


def _give(tx: Connection, row: AnyRow, fence: Fence, names: Sequence[str]) -> None:
    points.record("claim")
    which = (waiting.c.run == row.seq, waiting.c.target.in_(names))
    tx.execute(update(waiting).where(*which).values(token=fence.token))


def _with_records(conn: Connection, row: AnyRow, names: Sequence[str]) -> tuple[Taken, ...]:
    known = steprecords.records_on(conn, row.seq, names) if names else {}
    return tuple(Taken(name, known.get(name, ())) for name in names)


def _fail(tx: Connection, row: AnyRow, fence: Fence, failing: Collection[str], wish: str | None) -> str | None:
    """Count those that will not succeed any more, each once. Why nothing else begins, if so."""
    more = 0
    for name in failing:
        more += tx.execute(_FAILS, {"of_run": row.seq, "at": name, "held": fence.token}).rowcount
    if not more:
        return row.halt  # type: ignore[no-any-return]
    counted = tx.execute(_COUNT, {"of_run": row.seq, "more": more, "fine": False}).one()
    if wish is None and counted.halt is None and strategy.beyond(counted.failed, counted.allowed):
        _halt(tx, row.seq, "maxFailures")
        return "maxFailures"
    return counted.halt  # type: ignore[no-any-return]


def _settle(tx: Connection, row: AnyRow) -> None:
    """After the end of a target: halt the run, or open its next batch, where it is time for that."""
    if row.halt is not None:
        return
    if strategy.beyond(row.failed, row.allowed):
        _halt(tx, row.run, "maxFailures")
        return
    if tx.execute(_OPEN_LEFT, {"of_run": row.run, "open": row.batch}).first() is not None:
        return
    first = tx.execute(_FIRST_LEFT, {"of_run": row.run}).first()
    if not row.good:
        _halt(tx, row.run, "batchFailed")
    elif first is not None:
        pauses = row.pause > 0 and not first.begun
        opens_at = leaseclock.at(tx) + row.pause if pauses else None
        opened = {"batch": first.batch, "good": False, "opens_at": opens_at}
        tx.execute(update(table).where(table.c.run == row.run).values(opened))


def _halt(tx: Connection, seq: int, why: Halt) -> None:
    tx.execute(update(table).where(table.c.run == seq).values(halt=why))


def _leave_out(tx: Connection, fence: Fence, row: AnyRow, why: str, now: datetime) -> int:
    """End some of those that do not begin any more; how many."""
    names = _unbegun(tx, row, most=AT_ONCE)
    for name in names:
        steps.end_target(tx, fence, name, StepState.SKIPPED, {}, now, why)
    if names:
        tx.execute(delete(waiting).where(waiting.c.run == row.seq, waiting.c.target.in_(names)))
    return len(names)
