"""Taking runs in from a status branch: their past, since what was open when a store was lost cannot be proven."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from engine.states import RUN_TRANSITIONS, RunState, StepState
from engine.views import RunView, StepView, TargetView
from journal import outbox, points
from journal.causes import cause_to_json
from journal.runs import there
from journal.tables import run_targets, runs, steps


def import_run(tx: Connection, view: RunView, now: datetime) -> bool:
    """Take in a run from the status branch. False where the journal has it, or its cause, already.

    A run that was open when the store was lost becomes unknown with reason storeLost, and so do its open steps.
    """
    if there(tx, view.cause) is not None:
        return False
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
            "queued_at": view.queued_at,
            "starts_at": view.starts_at,
            "started_at": view.started_at,
            "finished_at": now if lost else view.finished_at,
            "attempt": view.attempt,
            "runner": view.runner,
            "outputs": dict(view.outputs) or None,
        },
    ).scalar_one()
    for place in view.results:
        _import_place(tx, seq, place, view.finished_at or now, view.started_at or view.queued_at)
    outbox.add_all(tx, (("run", view.id), ("job", view.job)))
    return True


def _import_place(tx: Connection, run: int, place: TargetView, at: datetime, began: datetime) -> None:
    def settled(state: StepState | None) -> str:
        return StepState.UNKNOWN.value if state in (None, StepState.RUNNING) else str(state)

    if place.state is not None:
        tx.execute(
            insert(run_targets),
            {
                "run": run,
                "target": place.name,
                "state": settled(place.state),
                "outputs": dict(place.outputs) or None,
                "ended_at": at,
            },
        )
    if place.steps:
        tx.execute(
            insert(steps), [_import_step(run, place.name, step, settled(step.state), began) for step in place.steps]
        )


def _import_step(run: int, target: str, step: StepView, state: str, began: datetime) -> dict[str, Any]:
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
        "ended_at": None,
        "exit_code": step.exit_code,
        "duration": step.duration,
        "outputs": dict(step.outputs) or None,
        "stdout_tail": step.stdout_tail,
        "stderr_tail": step.stderr_tail,
        "error": step.error,
        "log": step.log,
        "continued": step.continued,
    }
