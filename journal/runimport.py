"""Taking runs in from a status branch: their past, since what was open when a store was lost cannot be proven.

What the branch shows as ended has ended, whoever said so: people have read it, and nothing settled is ever taken back.
A journal that knows better, because another engine took the branch away from its own, keeps that as evidence.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from engine.identity import RunId
from engine.runs.pinned import RUNNER
from engine.runs.rehearsal import Rehearsal
from engine.states import RUN_TRANSITIONS, NodeState, RunState, StepState
from engine.status.views import RunView, StepView, TargetView
from journal import acts, counts, evidence, graphs, leases, outbox, points, schedules, spreads
from journal.causes import cause_to_json
from journal.databases.tables import AnyRow, causes, run_targets, runs, steps
from journal.runs import ended, there

KNOWN = (
    runs.c.seq,
    runs.c.id,
    runs.c.known_as,
    runs.c.concurrency,
    runs.c.state,
    runs.c.reason,
    runs.c.outputs,
    runs.c.token,
    runs.c.attempt,
    runs.c.cause_key,
    runs.c.slot,
    runs.c.workflow,
)
HELD_NO_MORE = {"slot": None, "lease_until": None, "due_at": None, "queue_deadline": None, "wish": None}
"""An ended run has no slot, no runner and nothing to wait for."""


def import_run(tx: Connection, view: RunView, now: datetime, *, message: str | None = None) -> bool:
    """Take in a run from the status branch. False where the journal has it so, or its cause, already.

    A run that was open when the store was lost becomes unknown with reason storeLost, and so do its open steps;
    `message` says why it cannot go on. One that the journal has, and the branch shows as ended, ends so, with its steps
    as the branch has them.
    """
    if there(tx, view.cause) is not None:
        return _end_as_shown(tx, view, now)
    points.record("import")
    lost = view.finished_at is None or bool(RUN_TRANSITIONS[view.state])
    state, reason = (RunState.UNKNOWN, "storeLost") if lost else (view.state, view.reason)
    seq = tx.execute(
        insert(runs).returning(runs.c.seq),
        {
            "id": view.id,
            "cause_key": view.cause.key,
            "cause": cause_to_json(view.cause),
            "job": view.job,
            "known_as": view.job,
            "commit": view.commit,
            "spec": None,
            "params": dict(view.params),
            "targets": list(view.targets),
            "on_targets": view.on_targets,
            "libraries": dict(view.libraries) or None,
            "rerun_of": view.rerun_of,
            "pool": (view.runner or "default").partition("/")[0],
            "priority": view.priority,
            "inline": view.inline,
            "state": state.value,
            "reason": reason,
            "message": message if lost else view.message,
            "queued_at": view.queued_at,
            "starts_at": view.starts_at,
            "started_at": view.started_at,
            "finished_at": now if lost else view.finished_at,
            "attempt": view.attempt,
            "runner": view.runner,
            "outputs": dict(view.outputs) or None,
            "rehearsal": _rehearsal(view),
            "workflow": view.workflow,
            "parent": view.cause.name if view.cause.kind == "workflow" else None,
        },
    ).scalar_one()
    if view.rehearsal is not None:
        outbox.add(tx, "run", view.id)
        return True
    counts.run_known(tx, "workflow" if view.workflow else "job", view.job, state, now if lost else view.finished_at)
    import_places(tx, seq, view, now)
    graphs.take_in(tx, seq, view.nodes, lost_at=now if lost else None)
    outbox.add_all(tx, (("run", view.id), ("workflow" if view.workflow else "job", view.job)))
    return True


def _rehearsal(view: RunView) -> dict[str, Any] | None:
    if view.rehearsal is None:
        return None
    return Rehearsal(view.state, view.rehearsal, view.results, view.nodes).to_json()


def end_untold(tx: Connection, told: Collection[RunId], now: datetime) -> None:
    """See to the open runs that a branch, written by another engine meanwhile, does not show.

    That engine has accounted for their causes without them: as storeLost, if it could not know better. So what has
    begun of them is unknown, and what has not begun is taken back before anybody was told of it.
    """
    rows = tx.execute(select(*KNOWN).where(runs.c.finished_at.is_(None)).order_by(runs.c.seq)).all()
    for row in [row for row in rows if row.id not in told]:
        points.record("import")
        if row.attempt:
            leases.unprove(tx, row.seq, "another engine took the branch over; nothing proves an end", now)
            let_go(tx, row, now)
        else:
            tx.execute(insert(causes), {"key": row.cause_key, "run": row.id, "state": RunState.CANCELLED.value})
            acts.take_back(tx, RunId(row.id), now)
            schedules.take_back(tx, RunId(row.id))
            tx.execute(delete(runs).where(runs.c.seq == row.seq))
            outbox.add_all(tx, (("run", row.id), ("workflow" if row.workflow else "job", row.known_as)))


def let_go(tx: Connection, row: AnyRow, now: datetime, message: str | None = None) -> None:
    """Say of an open run (`row` has KNOWN) that nothing proves its end."""
    gone = {"state": RunState.UNKNOWN.value, "reason": "storeLost", "message": message, "finished_at": now}
    tx.execute(update(runs).where(runs.c.seq == row.seq).values(**gone, **HELD_NO_MORE))
    spreads.dissolve(tx, row.seq)
    if row.workflow:
        graphs.close(tx, row.seq, now, NodeState.UNKNOWN)
    ended(tx, RunId(row.id), row.known_as, None, now, workflow=row.workflow)


def _end_as_shown(tx: Connection, view: RunView, now: datetime) -> bool:
    row = tx.execute(select(*KNOWN).where(runs.c.id == view.id)).first()
    open_there = view.finished_at is None or bool(RUN_TRANSITIONS[view.state])
    if row is None or open_there or row.state == view.state.value:
        return False
    points.record("import")
    keep_evidence(tx, row, now)
    tx.execute(delete(steps).where(steps.c.run == row.seq))
    tx.execute(delete(run_targets).where(run_targets.c.run == row.seq))
    spreads.dissolve(tx, row.seq)
    shown = {
        "state": view.state.value,
        "reason": view.reason,
        "message": view.message,
        "started_at": view.started_at,
        "finished_at": view.finished_at,
        "attempt": view.attempt,
        "runner": view.runner,
        "outputs": dict(view.outputs) or None,
    }
    tx.execute(update(runs).where(runs.c.seq == row.seq).values(**shown, **HELD_NO_MORE))
    import_places(tx, row.seq, view, now)
    graphs.take_in(tx, row.seq, view.nodes)
    ended(
        tx, view.id, row.known_as, None, now, workflow=row.workflow, tells=False
    )  # who waits for its slot is admitted when all is taken in
    return True


def keep_evidence(tx: Connection, row: AnyRow, now: datetime) -> None:
    """Keep what this journal had recorded of the run, where the branch says something else."""
    detail = {"reason": row.reason, "outputs": row.outputs}
    found = [evidence.Evidence(RunId(row.id), row.token, "run", None, None, None, None, row.state, detail, now)]
    for step in tx.execute(select(steps).where(steps.c.run == row.seq).order_by(steps.c.seq)):
        said = {"exitCode": step.exit_code, "outputs": step.outputs, "error": step.error}
        place = (step.target, step.phase, step.step, step.attempt)
        found.append(evidence.Evidence(RunId(row.id), step.token, "step", *place, step.state, said, now))
    for one in found:
        evidence.keep(one)(tx)


def import_places(tx: Connection, run: int, view: RunView, now: datetime, *, goes_on: bool = False) -> None:
    """Take in what happened on each target, into a run that has no steps yet.

    Where it `goes_on`, what is open stays so: loops, of which every item that had begun has an end.
    """
    for place in view.results:
        _import_place(tx, run, place, view.finished_at or now, view.started_at or view.queued_at, goes_on)
        if place.name != RUNNER and place.state is not None:
            outbox.add(tx, "target", place.name)


def _import_place(tx: Connection, run: int, place: TargetView, at: datetime, began: datetime, goes_on: bool) -> None:
    def settled(state: StepState | None) -> str:
        if goes_on and state is StepState.RUNNING:
            return state.value
        return StepState.UNKNOWN.value if state in (None, StepState.RUNNING) else str(state)

    if place.state is not None:
        tx.execute(
            insert(run_targets),
            {
                "run": run,
                "target": place.name,
                "state": settled(place.state),
                "outputs": dict(place.outputs) or None,
                "reason": place.reason,
                "ended_at": at,
                "runner": place.runner,
            },
        )
    if place.steps:
        tx.execute(
            insert(steps), [_import_step(run, place.name, step, settled(step.state), began, at) for step in place.steps]
        )


def _import_step(run: int, target: str, step: StepView, state: str, began: datetime, at: datetime) -> dict[str, Any]:
    return {
        "run": run,
        "target": target,
        "phase": step.phase,
        "step": step.id,
        "attempt": step.attempts,
        "name": step.name,
        "state": state,
        "token": 0,
        "started_at": step.started_at or began,
        "ended_at": at if step.again else None,  # the pause before the next attempt counts from now
        "exit_code": step.exit_code,
        "duration": step.duration,
        "outputs": dict(step.outputs) or None,
        "stdout_tail": step.stdout_tail,
        "stderr_tail": step.stderr_tail,
        "error": step.error,
        "log": step.log,
        "continued": step.continued,
        "again": step.again,
        "rescued": step.rescued,
        "inherited": step.inherited,
    }
