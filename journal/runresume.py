"""Taking in runs that go on: after a drained stop the branch says everything about them that matters (CONTRACT 4).

`runimport` has what ended, and what cannot be proven.
"""

from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select, update

from engine.identity import RunId
from engine.runs.resumption import Unprovable
from engine.states import RUN_TRANSITIONS, RunState, StepState
from engine.status.views import RunView
from engine.workflows import gates
from engine.workflows.workflowplan import PinnedWorkflow
from journal import graphs, leases, outbox, points, runs, spreads
from journal.databases.tables import AnyRow, run_targets, steps
from journal.databases.tables import runs as table
from journal.runimport import KNOWN, import_places, import_run, keep_evidence, let_go
from journal.runs import NewRun

Wrote = Literal["ours", "drained", "undrained"]
"""Who wrote the branch last: this engine, or another, that drained before it stopped or did not."""

_HOLDERS = select(table.c.id, table.c.slot, table.c.attempt).where(table.c.slot.is_not(None)).order_by(table.c.seq)


def take_in(tx: Connection, view: RunView, plan: NewRun | Unprovable | None, wrote: Wrote, now: datetime) -> bool:
    """Take in a run from the status branch. False where the journal has it so, or its cause, already.

    `plan` is that of an open run that may go on, or says why it cannot; None where nothing proves that the branch says
    everything. One that goes on keeps its id, its attempt and the ends of its steps, and is claimed as usual.
    """
    if _is_open(view):
        own = tx.execute(select(*KNOWN).where(table.c.id == view.id, table.c.finished_at.is_(None))).first()
        if own is not None:
            return wrote != "ours" and _follow(tx, own, view, plan, wrote, now)
        if isinstance(plan, NewRun) and runs.there(tx, view.cause) is None:
            _insert(tx, view, plan, now)
            return True
    return import_run(tx, view, now, message=plan.message if isinstance(plan, Unprovable) else None)


def _is_open(view: RunView) -> bool:
    return view.finished_at is None and bool(RUN_TRANSITIONS[view.state])


def _insert(tx: Connection, view: RunView, plan: NewRun, now: datetime) -> None:
    points.record("import")
    if _replaces(view, plan):
        _cancel_holders(tx, plan, now)
    waits = view.state is RunState.WAITING
    row = runs.row_of(tx, plan, view.queued_at) | _position(view)
    row |= {"state": (RunState.WAITING if waits else RunState.QUEUED).value, "libraries": dict(view.libraries) or None}
    row |= {"rerun_of": view.rerun_of}
    if view.wait is not None and view.wait.until is None:
        row |= {"due_at": None}  # its time had come, and it was let into the line
    if not waits:
        row |= {"slot": _slot(tx, plan), "due_at": None}
    if view.attempt:
        row |= {"queue_deadline": None}
    seq = tx.execute(insert(table).returning(table.c.seq), row).scalar_one()
    import_places(tx, seq, _with_open_places(view), now, goes_on=True)
    _take_in_graph(tx, seq, view, plan)
    outbox.add_all(tx, (("run", view.id), plan.past))


def _take_in_graph(tx: Connection, seq: int, view: RunView, plan: NewRun) -> None:
    """Raises ValueError where an open gate does not follow from the plan: without its rule anybody could answer it."""
    if not isinstance(plan.spec, PinnedWorkflow):
        return
    nodes = gates.reopened(plan.spec, view)
    if nodes is None:
        raise ValueError(f"an open gate of run {view.id} does not follow from its plan")
    graphs.take_in(tx, seq, nodes)


def _position(view: RunView) -> dict[str, Any]:
    return {"attempt": view.attempt, "token": view.attempt, "started_at": view.started_at}


def _with_open_places(view: RunView) -> RunView:
    """A target that was being worked on has no end to take in."""
    results = (replace(one, state=None) if one.state is StepState.RUNNING else one for one in view.results)
    return replace(view, results=tuple(results))


def _slot(tx: Connection, plan: NewRun) -> int | None:
    """It had a slot and keeps one, whatever the limit is by now; what waits is admitted by the limit."""
    if plan.group is None or plan.on_conflict == "allow":
        return None
    held = {row.slot for row in tx.execute(_HOLDERS.where(table.c.concurrency == plan.group))}
    return next(number for number in count() if number not in held)


def _replaces(view: RunView, plan: NewRun) -> bool:
    if view.wait is not None:
        has_come = view.wait.until is None
    else:  # it waits no more, or a version wrote it that did not say why it waits
        waits = view.state is RunState.WAITING and view.starts_at is not None
        has_come = not waits or (view.starts_at is not None and view.starts_at <= view.queued_at)
    return plan.on_conflict == "cancelRunning" and plan.group is not None and has_come


def _cancel_holders(tx: Connection, plan: NewRun, now: datetime) -> None:
    """Those that were too many when the run came were told to end; that wish is not on the branch."""
    wanted = tx.execute(_HOLDERS.where(table.c.concurrency == plan.group, table.c.wish.is_(None))).all()
    for row in wanted[: max(len(wanted) + 1 - plan.limit, 0)]:
        if row.attempt:
            runs.cancel(tx, RunId(row.id), reason="replaced by a newer run", by=None, now=now)


def _follow(
    tx: Connection, own: AnyRow, view: RunView, plan: NewRun | Unprovable | None, wrote: Wrote, now: datetime
) -> bool:
    """An open run of this journal, which another engine has taken in meanwhile and left open."""
    if wrote == "drained" and view.attempt == own.attempt and not own.workflow:
        return False  # it was never claimed there: this journal knows all, and more than the branch
    points.record("import")
    keep_evidence(tx, own, now)
    if not isinstance(plan, NewRun):
        why = plan.message if plan is not None else "another engine had taken it over, and did not stop in order"
        leases.unprove(tx, own.seq, why, now)
        let_go(tx, own, now, why)
        return True
    tx.execute(delete(steps).where(steps.c.run == own.seq))
    tx.execute(delete(run_targets).where(run_targets.c.run == own.seq))
    spreads.dissolve(tx, own.seq)
    slot = own.slot if own.slot is not None else _slot(tx, plan)
    left = {"runner": None, "lease_until": None, "due_at": None, "queue_deadline": None, "slot": slot}
    state = {"state": RunState.QUEUED.value, "token": max(own.token, view.attempt)}
    tx.execute(update(table).where(table.c.seq == own.seq).values({**_position(view), **left, **state}))
    import_places(tx, own.seq, _with_open_places(view), now, goes_on=True)
    _take_in_graph(tx, own.seq, view, plan)
    outbox.add_all(tx, (("run", view.id), (runs.topic_of(plan.spec), own.known_as)))
    return True
