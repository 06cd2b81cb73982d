"""Workflows' runs: begun once they have their place, and led from node to node as `engine.workflows` decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import Connection, bindparam, func, select, update

from engine.expressions.contexts import RunFacts
from engine.identity import Cause, RunId, run_id
from engine.runs.pinned import PinnedSpec
from engine.states import NodeState, RunState, is_final
from engine.workflows.graphfacts import Facts, OpenGate
from engine.workflows.moves import Ask, Begin, End, Finish, Launch, Move, Sleep, Stop, TimeOut
from engine.workflows.workflow import advance
from engine.workflows.workflowplan import PinnedWorkflow
from journal import graphs, happenings, outbox, points, runs, specs
from journal.causes import cause_from_json
from journal.databases.tables import AnyRow, cursors
from journal.databases.tables import outbox as changes
from journal.databases.tables import runs as table

OpenGateOf = Callable[[PinnedWorkflow, Facts, Ask], OpenGate]
StartOf = Callable[[PinnedSpec, Cause, int | None], datetime | None]
_OPEN = select(table.c.id).where(table.c.finished_at.is_(None), table.c.workflow).order_by(table.c.seq)
_LED = (RunState.QUEUED.value, RunState.RUNNING.value)
_BEGUN = {"state": RunState.RUNNING.value, "attempt": 1, "queue_deadline": None}


_TRIMMED = select(func.min(cursors.c.seq))
_TOUCHED = (
    select(func.coalesce(table.c.parent, table.c.id))
    .join(changes, changes.c.key == table.c.id)
    .where(changes.c.topic == "run", changes.c.seq > bindparam("after"))
    .distinct()
)


@dataclass(frozen=True, slots=True)
class Today:
    """What jobs and groups of plans are called now that were renamed since, by their former names."""

    jobs: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


_TODAY = Today()
NamesOf = Callable[[int | None], Today]
"""By the generation of names that a plan is written in; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Led:
    """The workflows' runs that have their place and have not ended, oldest first."""

    runs: tuple[RunId, ...]
    touched: frozenset[RunId]
    """Those of which something has changed since, or one of whose nodes' runs has; there may be others among them."""
    seen: int
    """What `led` takes the next time."""


def led(conn: Connection, seen: int | None) -> Led:
    """What is open, and what has changed of it: a few statements, however many are open. `seen` None: all of it."""
    open_ = tuple(RunId(run) for run in conn.execute(_OPEN.where(table.c.state.in_(_LED))).scalars())
    last = outbox.last(conn)
    if last == seen:
        return Led(open_, frozenset(), last)
    if seen is None or (conn.execute(_TRIMMED).scalar_one() or 0) > seen:  # what came since may be gone already
        return Led(open_, frozenset(open_), last)
    return Led(open_, frozenset(RunId(run) for run in conn.execute(_TOUCHED, {"after": seen}).scalars()), last)


def only_waits(conn: Connection, run: RunId) -> bool:
    """Whether nothing of an open workflow's run is under way: it waits for people, or for a time."""
    row = _row(conn, run)
    if row is None or not row.workflow or row.state != RunState.RUNNING.value:
        return False
    states = {record.state for record in graphs.records_of(conn, [row.seq]).get(row.seq, {}).values()}
    return NodeState.WAITING in states and NodeState.RUNNING not in states


def known(conn: Connection, run: RunId, now: datetime) -> tuple[PinnedWorkflow, Facts] | None:
    """The plan of a run and all that is known of it; None where it is not led (any more)."""
    row = _row(conn, run)
    if row is None or row.state not in _LED or row.spec is None:
        return None
    cause = cause_from_json(row.cause)
    return specs.load_workflow(conn, row.spec), Facts(
        run=RunFacts(RunId(row.id), row.job, row.commit, cause.instant, 1, cause),
        params=row.params,
        started_at=row.started_at or now,
        records=graphs.records_of(conn, [row.seq]).get(row.seq, {}),
        children=graphs.children_of(conn, run),
        ending=row.wish,
    )


def has_news(conn: Connection, run: RunId, now: datetime) -> bool:
    """Whether `step` has something to do."""
    row, found = _row(conn, run), known(conn, run, now)
    if row is None or found is None:
        return False
    return row.state == RunState.QUEUED.value or bool(advance(*found, now))


def step(
    tx: Connection,
    run: RunId,
    now: datetime,
    *,
    gate: OpenGateOf,
    starts: StartOf = lambda *_: None,
    names: NamesOf = lambda _: _TODAY,
) -> bool:
    """Do what is to be done next of a run; False where that is nothing.

    `gate` says what an opened gate shows, `starts` when windows let a node's run start (None: at once), `names` whose
    the names in its plan are today.
    """
    found = known(tx, run, now)
    row = _row(tx, run)
    if found is None or row is None:
        return False
    plan, facts = found
    begins = row.state == RunState.QUEUED.value
    if begins:
        tx.execute(update(table).where(table.c.seq == row.seq).values(started_at=row.started_at or now, **_BEGUN))
        happenings.runs_began(tx, [(run, row.job, row.cause)], now, workflow=True)
    moves = advance(plan, facts, now)
    for move in moves:
        _apply(tx, row, plan, facts, move, now, gate, starts, names)
    if moves or begins:
        outbox.add(tx, "run", run)
    return bool(moves or begins)


def _row(conn: Connection, run: RunId) -> AnyRow | None:
    return conn.execute(select(table).where(table.c.id == run)).first()


def _apply(
    tx: Connection,
    row: AnyRow,
    plan: PinnedWorkflow,
    facts: Facts,
    move: Move,
    now: datetime,
    gate: OpenGateOf,
    starts: StartOf,
    names: NamesOf,
) -> None:
    match move:
        case Begin(node=node, items=items, cleanup=cleanup):
            graphs.begin(tx, row.seq, node.id, NodeState.RUNNING, now, items=items, cleanup=cleanup)
        case Sleep(node=node, until=until):
            graphs.begin(tx, row.seq, node.id, NodeState.WAITING, now, until=until)
        case Ask(node=node, until=until):
            opened = gate(plan, facts, move)
            graphs.begin(tx, row.seq, node.id, NodeState.WAITING, now, until=until, gate=opened)
            outbox.add(tx, "gate", opened.digest)
            happenings.gate_opened(tx, facts.run.id, row.job, node.id, opened, until=until, now=now)
        case Launch():
            _launch(tx, row, facts, move, now, starts, names(row.naming))
        case End(node=node):
            graphs.end(tx, row.seq, move, now)
            if (opened_ := facts.records[node.id].gate) is not None:
                outbox.add(tx, "gate", opened_.digest)
        case Stop(run=run, reason=reason):
            runs.cancel(tx, run, reason=reason, by=None, now=now)
        case TimeOut():
            tx.execute(update(table).where(table.c.seq == row.seq).values(wish="timedOut", wish_reason=None))
        case Finish(state=state, outputs=outputs, reason=reason):
            _finish(tx, row, state, outputs, reason, now)
        case _:
            assert_never(move)


def _launch(
    tx: Connection, row: AnyRow, facts: Facts, launch: Launch, now: datetime, starts: StartOf, today: Today
) -> None:
    """A node's run always waits for its place: `onConflict` is for runs that nobody waits for.

    Where only its workflow's own run could make room it fails, rather than that each waits for the other.
    """
    by = facts.run.cause.requested_by
    cause = Cause(
        "workflow",
        facts.run.id,
        facts.run.instant,
        requested_by=by,
        node=launch.node.id,
        item=launch.item,
        chain=facts.run.cause.triggers,
    )
    job, group = launch.job, None if launch.group is None else today.groups.get(launch.group, launch.group)
    new = runs.NewRun(
        id=run_id(launch.plan.job, cause),
        cause=cause,
        spec=launch.plan,
        params=launch.params,
        known_as=today.jobs.get(launch.plan.job),
        naming=row.naming,
        pool=job.pool,
        priority=row.priority or job.priority,
        group=group,
        limit=job.slots,
        on_conflict="allow" if group is None else "fail" if group == row.concurrency else "queue",
        queue_timeout=job.queue_timeout,
        libraries=launch.plan.libraries,
        starts_at=starts(launch.plan, cause, row.naming),
    )
    runs.enqueue(tx, new, now)
    graphs.caused(tx, row.seq, launch.node.id, new.id)


def _finish(
    tx: Connection, row: AnyRow, state: RunState, outputs: Mapping[str, Any], reason: str | None, now: datetime
) -> None:
    points.record("workflow-end")
    tx.execute(update(table).where(table.c.seq == row.seq).values(outputs=dict(outputs) or None))
    fresh = _row(tx, RunId(row.id))
    assert fresh is not None
    why = reason or (row.wish_reason if state is RunState.CANCELLED else None)
    runs.end(tx, fresh, state, reason=why, now=now)


def give_up(tx: Connection, run: RunId, reason: str, now: datetime) -> None:
    """End a run as unknown after an error of ours; runs of its nodes go on by themselves."""
    row = _row(tx, run)
    if row is not None and not is_final(RunState(row.state)):
        runs.end(tx, row, RunState.UNKNOWN, reason=reason, now=now)


__all__ = ["Led", "OpenGateOf", "StartOf", "Today", "give_up", "has_news", "known", "led", "only_waits", "step"]
