"""What happens to runs, targets, schedules and runners, as notices; each in the transaction of the change itself."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select

from engine.identity import RunId
from engine.states import RunState, StepState
from engine.workflows.graphfacts import OpenGate
from journal import tallies
from journal.databases.tables import AnyRow, Instant, runs
from journal.notices import Kind, Notice, happened, note_all
from schemas.notification import EventName
from schemas.quantities import format_instant

LATE_AFTER = timedelta(minutes=1)
"""A run that has not begun this long after its start time is late."""
_MOST_LATE = 500
_FAILURES: Mapping[RunState, EventName] = {
    RunState.FAILED: "run.failed",
    RunState.TIMED_OUT: "run.timedOut",
    RunState.UNKNOWN: "run.unknown",
}
_NEVER_RAN = frozenset({"missed", "catchUpMax", "storeLost"})
_BEGINS = func.coalesce(runs.c.starts_at, runs.c.queued_at)
_NOT_BEGUN = (
    runs.c.finished_at.is_(None),
    or_(runs.c.state == RunState.WAITING.value, runs.c.state == RunState.QUEUED.value),
    runs.c.attempt == 0,
    runs.c.parent.is_(None),
)
_LATE = (
    select(runs.c.id, runs.c.job, runs.c.workflow, runs.c.cause, _BEGINS.label("due"))
    .where(*_NOT_BEGUN, _BEGINS.op("<=")(bindparam("until", type_=Instant)))
    .order_by(runs.c.seq)
)
_NEXT_LATE = select(func.min(_BEGINS)).where(*_NOT_BEGUN, _BEGINS.op(">")(bindparam("since", type_=Instant)))


def runs_began(
    tx: Connection, begun: Iterable[tuple[RunId, str, Mapping[str, Any]]], now: datetime, *, workflow: bool = False
) -> None:
    """Runs, with their jobs and causes as the tables have them, that somebody has begun, for the first time."""
    kind: Kind = "Workflow" if workflow else "Job"
    note_all(tx, [Notice("run.started", now, kind, job, run, run, _of_cause(cause)) for run, job, cause in begun])


def run_ended(tx: Connection, run: RunId, row: AnyRow, now: datetime) -> None:
    """A run that has ended, as `journal.runends` sees it.

    The first that succeeds after failures is `run.recovered`, whatever lies between.
    """
    kind: Kind = "Workflow" if row.workflow else "Job"
    data: dict[str, Any] = {"state": row.state, **_of_cause(row.cause)}
    if row.reason is not None:
        data["reason"] = row.reason
    if row.started_at is not None and row.finished_at is not None:
        data["seconds"] = (row.finished_at - row.started_at).total_seconds()
    kind_of_end: EventName = "run.cancelled"
    if (failure := _FAILURES.get(RunState(row.state))) is not None:
        kind_of_end = failure
        data["failures"] = 1 if row.inline else tallies.failed(tx, kind, row.known_as)
    elif row.state == RunState.SUCCEEDED.value:
        before = tallies.mended(tx, kind, row.known_as) if row.failures and not row.inline else 0
        kind_of_end = "run.recovered" if before else "run.succeeded"
        if before:
            data["failuresBefore"] = before
    note_all(tx, [Notice(kind_of_end, now, kind, row.job, run, run, data)])


def target_ended(tx: Connection, target: str, state: StepState, run: RunId, now: datetime) -> None:
    """A run has ended on a target: each that could not reach it, and the first that did, is a notice."""
    if state is StepState.UNREACHABLE:
        data = {"failures": tallies.failed(tx, "Target", target)}
        happened(tx, Notice("target.unreachable", now, "Target", target, run, run, data))
    elif state in _REACHED and (before := tallies.mended(tx, "Target", target)):
        happened(tx, Notice("target.recovered", now, "Target", target, run, run, {"failuresBefore": before}))


def targets_ended(tx: Connection, ends: Mapping[str, StepState], run: RunId, now: datetime) -> None:
    """The same of many at once: most of them were well before, and are."""
    unwell = tallies.unwell(tx, "Target", [name for name, state in ends.items() if state in _REACHED])
    for name, state in ends.items():
        if state is StepState.UNREACHABLE or name in unwell:
            target_ended(tx, name, state, run, now)


_REACHED = frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.TIMED_OUT})


def skipped(
    tx: Connection, schedule: str, first: datetime, last: datetime, count: int, reason: str | None, now: datetime
) -> None:
    """Due instants of a schedule that never run, by a record of skips that is new."""
    data = {"reason": reason, "from": format_instant(first), "to": format_instant(last), "count": count}
    if reason == "noTargets":
        happened(tx, Notice("run.noTargets", now, "Schedule", schedule, format_instant(first), data=data))
    elif reason in _NEVER_RAN:
        happened(tx, Notice("run.missed", now, "Schedule", schedule, format_instant(first), data=data))


def gate_opened(
    tx: Connection, run: RunId, workflow: str, node: str, gate: OpenGate, *, until: datetime, now: datetime
) -> None:
    """A workflow's run waits for people."""
    data = {"gate": gate.digest, "node": node, "until": format_instant(until)}
    happened(tx, Notice("run.waitingApproval", now, "Workflow", workflow, gate.digest, run, data))


def runner_lost(tx: Connection, runner: str | None, now: datetime) -> None:
    """A runner was silent for a whole lease, or died, while it had runs: one notice, however many they were."""
    pool = (runner or "default").partition("/")[0]
    happened(tx, Notice("runner.lost", now, "RunnerPool", pool, f"{runner} {now.isoformat()}", data={"runner": runner}))


def late(conn: Connection, now: datetime, told: Collection[RunId]) -> tuple[Notice, ...]:
    """Runs that have not begun `LATE_AFTER` their start time, those of `told` apart; at most some hundred."""
    found = []
    for row in conn.execute(_LATE, {"until": now - LATE_AFTER}):
        if row.id not in told:
            found.append(_late(row, now))
            if len(found) == _MOST_LATE:
                break
    return tuple(found)


def next_late(conn: Connection, now: datetime) -> datetime | None:
    """When the next run will be late, if it does not begin before; of those that are late already none."""
    due: datetime | None = conn.execute(_NEXT_LATE, {"since": now - LATE_AFTER}).scalar_one()
    return None if due is None else due + LATE_AFTER


def _of_cause(cause: Mapping[str, Any]) -> dict[str, Any]:
    return {"cause": {"kind": cause["kind"], "name": cause["name"]}}


def _late(row: AnyRow, now: datetime) -> Notice:
    run = RunId(row.id)
    return Notice(
        "run.late",
        now,
        "Workflow" if row.workflow else "Job",
        row.job,
        run,
        run,
        {"due": format_instant(row.due), **_of_cause(row.cause)},
    )
