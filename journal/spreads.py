"""What several runners that work on one run agree on: its batches, places and failures, exact across all of them.

Everything is decided in the transaction that records the end of a target, or gives targets out; writers take turns, so
each of these sees all that came before. A place is a target in a slice: it is free when the target has ended, or the
slice was taken away.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    true,
    update,
)

from engine.runs import strategy
from engine.runs.pinned import PinnedSpec
from engine.runs.progress import Ending, StepRecord
from engine.runs.strategy import Halt
from engine.states import StepState
from journal import outbox, points, steprecords, targetends
from journal.databases import leaseclock
from journal.databases.tables import AnyRow, run_targets, runs
from journal.databases.tables import steps as steps_table
from journal.errors import FenceLost
from journal.fence import Fence
from journal.slicetables import slice_targets as waiting
from journal.slicetables import slices
from journal.slicetables import spreads as table
from journal.targetends import TargetEnd

AT_ONCE = 100
"""So many targets are given out, or left out, in one transaction: all who write wait for it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A target to work on, with what earlier runners recorded of it."""

    target: str
    records: tuple[StepRecord, ...]


@dataclass(frozen=True, slots=True)
class Asks:
    """What a runner has done of a run, what it has of it, and wants.

    `ended` are targets on which nothing is left to do, AT_ONCE at most. `have` are those that it works on, of which
    `failing` will not succeed any more. `ending`: the run is to end, as far as it knows. Without `more` it says so and
    wants nothing.
    """

    have: frozenset[str] = frozenset()
    ended: tuple[TargetEnd, ...] = ()
    failing: tuple[str, ...] = ()
    ending: Ending | None = None
    more: bool = True


@dataclass(frozen=True, slots=True)
class Share:
    """What a runner is to do now: `targets` are new to it. `again`: there is more at once.

    `opens_in`: after so many seconds the next batch opens. `over`: all targets have ended, and the run with them once
    somebody says so. `alone`: nobody else works on the run, so nobody else makes room.
    """

    targets: tuple[Taken, ...] = ()
    again: bool = False
    opens_in: float | None = None
    over: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the targets of a run ended, and why some never began."""

    states: frozenset[StepState]
    halt: str | None


Which = Literal["open", "begun", "unbegun", "any"]
"""Of the targets that wait: those of the open batch; those that have begun, or have not; or all."""

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
# They may have begun, too: that is noted when a slice is taken away.
_MINE = select(waiting.c.target, literal(True).label("begun")).where(
    waiting.c.run == bindparam("of_run"), waiting.c.token == bindparam("held")
)
_FREE = (waiting.c.run == bindparam("of_run"), waiting.c.token.is_(None))
_ORDER = (waiting.c.batch, waiting.c.number)
_ONLY: Mapping[Which, ColumnElement[bool]] = {
    "open": waiting.c.batch == bindparam("batch_"),
    "begun": waiting.c.begun,
    "unbegun": ~waiting.c.begun,
    "any": true(),
}
_NEXT = {
    which: select(waiting.c.target).where(*_FREE, only).order_by(*_ORDER).limit(bindparam("most"))
    for which, only in _ONLY.items()
}
_GIVE = {
    which: update(waiting)
    .where(waiting.c.run == bindparam("of_run"), waiting.c.target.in_(query.scalar_subquery()))
    .values(token=bindparam("held"))
    .returning(waiting.c.target, waiting.c.begun, waiting.c.number)
    for which, query in _NEXT.items()
}
_NAMED = (waiting.c.run == bindparam("of_run"), waiting.c.target.in_(bindparam("named", expanding=True)))
_FAILS = (
    update(waiting)
    .where(*_NAMED, waiting.c.token == bindparam("held"), ~waiting.c.failing)
    .values(failing=True)
    .execution_options(preserve_rowcount=True)
)
_REMOVE = delete(waiting).where(*_NAMED).returning(waiting.c.target, waiting.c.failing)
_COUNT = (
    update(table)
    .where(table.c.run == bindparam("of_run"))
    .values(
        failed=table.c.failed + bindparam("more"),
        good=case((bindparam("fine"), True), else_=table.c.good),
    )
    .returning(table)
)
_OPEN_LEFT = (
    select(waiting.c.target)
    .where(waiting.c.run == bindparam("of_run"), waiting.c.batch == bindparam("batch_"))
    .limit(1)
)
_FIRST_LEFT = (
    select(waiting.c.batch, waiting.c.begun)
    .where(waiting.c.run == bindparam("of_run"))
    .order_by(waiting.c.batch, waiting.c.begun.desc())
    .limit(1)
)
_HELD = (
    select(runs.c.seq, runs.c.wish)
    .join(slices, (slices.c.run == runs.c.seq) & (slices.c.token == bindparam("token")))
    .where(runs.c.id == bindparam("of"), runs.c.finished_at.is_(None))
)


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
    wait, alone = _opens_in(conn, row, wish), row.runners == 1
    if not row.left or wait is not None:
        return Share(over=not row.left, opens_in=wait, alone=alone)
    some = _room(row) > 0 and _is_any(conn, row, _which(row, wish))
    return Share(again=some or (_is_over(row, wish) and _is_any(conn, row, "unbegun")), alone=alone)


def take(tx: Connection, fence: Fence, asks: Asks, now: datetime, *, runner: str) -> Share:
    """Record what the runner has done, and give it more targets of the open batch, as there are places for it.

    What has ended counts for the others first: its place, a failure, the next batch. Where the run is to end, what is
    left is given out whatever its batch. Where it is halted, what has begun before is given out, and what has not ends
    here. Raises FenceLost where the slice was taken away, and keeps what had ended as evidence. Doing it again changes
    nothing, and gives what was given before, as long as that is not among what the runner has.
    """
    if asks.ended or asks.failing:
        _count(tx, fence, asks, now, runner)
    row = _looked(tx, fence)
    if row is None:
        return Share(over=True)
    wish = _wished(tx, fence, row, asks.ending)
    if not asks.more:
        return Share(over=not row.left)
    # What it holds and does not know of: the answer to the commit was lost.
    unknown = [one for one in _mine(tx, row, fence) if one.target not in asks.have] if row.own > len(asks.have) else []
    wait, alone = _opens_in(tx, row, wish), row.runners == 1
    if not row.left or wait is not None:
        return Share(_with_records(tx, row, unknown), opens_in=wait, over=not row.left, alone=alone)
    found = _given(tx, row, fence, _which(row, wish), most=min(AT_ONCE, _room(row)))
    left_out = _leave_out(tx, fence, row, now) if _is_over(row, wish) else 0
    again = AT_ONCE in (left_out, len(found))
    return Share(_with_records(tx, row, [*unknown, *found]), again=again, alone=alone)


def outcome(conn: Connection, seq: int) -> Outcome:
    """Of a run all of whose targets have ended."""
    of = run_targets.c.run == seq
    states = conn.execute(select(run_targets.c.state).distinct().where(of)).scalars()
    left_out = select(run_targets.c.reason).where(of, run_targets.c.state == StepState.SKIPPED.value)
    reasons = conn.execute(left_out.where(run_targets.c.reason.is_not(None)).limit(1))
    return Outcome(frozenset(StepState(state) for state in states), reasons.scalar())


def _count(tx: Connection, fence: Fence, asks: Asks, now: datetime, runner: str) -> None:
    """Count what has ended, and what will not succeed any more, each once; and what follows for the others."""
    run = tx.execute(_HELD, {"of": fence.run, "token": fence.token}).first()
    if run is None:
        if asks.ended:
            raise FenceLost(fence.run, targetends.refused(fence, asks.ended, now))
        return
    new = targetends.record(tx, run.seq, fence, asks.ended, now, runner=runner)
    states = {end.target: end.state for end in new}
    removed = tx.execute(_REMOVE, {"of_run": run.seq, "named": sorted(states)}).all() if states else []
    bad = [strategy.is_failure(states[row.target]) for row in removed]
    more = sum(bad) - sum(row.failing for row in removed) + _fail(tx, run.seq, fence, asks.failing)
    if not (removed or more):
        return
    spread = tx.execute(_COUNT, {"of_run": run.seq, "more": more, "fine": not all(bad)}).one()
    if _wished(tx, fence, run, asks.ending) is None and _settle(tx, spread):
        outbox.add(tx, "run", fence.run)  # those who have not joined yet, since there was nothing to do


def _fail(tx: Connection, seq: int, fence: Fence, failing: Collection[str]) -> int:
    if not failing:
        return 0
    return tx.execute(_FAILS, {"of_run": seq, "named": sorted(failing), "held": fence.token}).rowcount


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


def _opens_in(conn: Connection, row: AnyRow, wish: str | None) -> float | None:
    return None if wish is not None or row.halt is not None else opens_in(conn, row)


def opens_in(conn: Connection, row: AnyRow) -> float | None:
    """Seconds until the open batch may begin; None: it may. A clock that was set back makes nobody wait for longer."""
    if row.opens_at is None:
        return None
    left: float = row.opens_at - leaseclock.at(conn)
    return left if 0 < left <= row.pause + leaseclock.STEADY else None


def _room(row: AnyRow) -> int:
    return strategy.share_of_places(row.max_parallel, row.runners, row.held, row.own)


def _is_over(row: AnyRow, wish: str | None) -> bool:
    """Whether what has not begun is left out."""
    return wish is None and row.halt is not None


def _which(row: AnyRow, wish: str | None) -> Which:
    """Those that are given out."""
    if wish is not None:
        return "any"
    return "open" if row.halt is None else "begun"


def _of(row: AnyRow, which: Which) -> dict[str, object]:
    return {"of_run": row.seq} | ({"batch_": row.batch} if which == "open" else {})


def _is_any(conn: Connection, row: AnyRow, which: Which) -> bool:
    return conn.execute(_NEXT[which], _of(row, which) | {"most": 1}).first() is not None


def _mine(conn: Connection, row: AnyRow, fence: Fence) -> Sequence[AnyRow]:
    return conn.execute(_MINE, {"of_run": row.seq, "held": fence.token}).all()


def _given(tx: Connection, row: AnyRow, fence: Fence, which: Which, *, most: int) -> list[AnyRow]:
    if most <= 0:
        return []
    found = tx.execute(_GIVE[which], _of(row, which) | {"most": most, "held": fence.token}).all()
    if found:
        points.record("claim")
    return sorted(found, key=lambda one: one.number)


def _with_records(conn: Connection, row: AnyRow, given: Sequence[AnyRow]) -> tuple[Taken, ...]:
    names = [one.target for one in given if one.begun or row.rerun_of is not None]
    known = steprecords.records_on(conn, row.seq, names) if names else {}
    return tuple(Taken(one.target, known.get(one.target, ())) for one in given)


def _settle(tx: Connection, row: AnyRow) -> bool:
    """After the end of a target, or a failure: halt the run, or open its next batch, where it is time for that.

    Whether the next batch is open.
    """
    if row.halt is not None:
        return False
    if strategy.beyond(row.failed, row.allowed):
        _halt(tx, row.run, "maxFailures")
    elif tx.execute(_OPEN_LEFT, {"of_run": row.run, "batch_": row.batch}).first() is None:
        return _close(tx, row)
    return False


def _close(tx: Connection, row: AnyRow) -> bool:
    """The open batch has ended: the next one opens, where any of it went well."""
    first = tx.execute(_FIRST_LEFT, {"of_run": row.run}).first()
    if not row.good:
        _halt(tx, row.run, "batchFailed")
    elif first is not None:
        pauses = row.pause > 0 and not first.begun
        opens_at = leaseclock.at(tx) + row.pause if pauses else None
        opened = {"batch": first.batch, "good": False, "opens_at": opens_at}
        tx.execute(update(table).where(table.c.run == row.run).values(opened))
        return True
    return False


def _halt(tx: Connection, seq: int, why: Halt) -> None:
    tx.execute(update(table).where(table.c.run == seq).values(halt=why))


def _leave_out(tx: Connection, fence: Fence, row: AnyRow, now: datetime) -> int:
    """End some of those that do not begin any more; how many."""
    names = tx.execute(_NEXT["unbegun"], _of(row, "unbegun") | {"most": AT_ONCE}).scalars().all()
    if names:
        ends = [TargetEnd(str(name), StepState.SKIPPED, {}, row.halt) for name in names]
        targetends.record(tx, row.seq, fence, ends, now, runner=None)
        tx.execute(_REMOVE, {"of_run": row.seq, "named": names})
    return len(names)
