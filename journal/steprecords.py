"""What is recorded of a run's steps, as decisions read it: the last attempt of each; and results taken over."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select

from engine.identity import RunId
from engine.runs.concurrency import Membership
from engine.runs.pinned import Phase
from engine.runs.progress import StepRecord
from engine.runs.repetition import Original, Records
from engine.states import StepState
from engine.workflows.graphrepeat import OriginalGraph
from journal import runviews
from journal.databases.tables import AnyRow, runs, steps
from journal.specs import load, load_workflow

_RECORDS = select(steps).where(steps.c.run.in_(bindparam("which", expanding=True))).order_by(steps.c.seq)
_PLACE = select(
    runs.c.seq, runs.c.spec, runs.c.pool, runs.c.concurrency, runs.c.on_conflict, runs.c.slots, runs.c.max_queue
).where(runs.c.id == bindparam("run"))


def records_of(conn: Connection, seqs: Sequence[int]) -> Mapping[int, Records]:
    """By the number of the run, and by target."""
    last: dict[int, dict[str, dict[tuple[Phase, str], StepRecord]]] = {}
    for row in conn.execute(_RECORDS, {"which": list(seqs)}):
        _keep(last.setdefault(row.run, {}).setdefault(row.target, {}), row)
    return {run: {target: tuple(found.values()) for target, found in places.items()} for run, places in last.items()}


def records_on(conn: Connection, seq: int, targets: Sequence[str]) -> Records:
    """Those of a run on these targets; no more than a statement takes."""
    query = _RECORDS.where(steps.c.target.in_(list(targets)))
    last: dict[str, dict[tuple[Phase, str], StepRecord]] = {}
    for row in conn.execute(query, {"which": [seq]}):
        _keep(last.setdefault(row.target, {}), row)
    return {target: tuple(found.values()) for target, found in last.items()}


def original(conn: Connection, run: RunId) -> Original | OriginalGraph | None:
    """All that a repetition of a run needs to know of it; None where there is no such run."""
    view, row = runviews.get(conn, run), conn.execute(_PLACE, {"run": run}).first()
    if view is None or row is None:
        return None
    if view.workflow:
        return OriginalGraph(view, load_workflow(conn, row.spec) if row.spec is not None else None, _membership(row))
    spec = load(conn, row.spec) if row.spec is not None else None
    return Original(view, spec, records_of(conn, [row.seq]).get(row.seq, {}), row.pool, _membership(row))


def _membership(row: AnyRow) -> Membership | None:
    if row.concurrency is None:
        return None
    return Membership(row.concurrency, row.on_conflict or "queue", row.slots, row.max_queue)


def carry_over(tx: Connection, seq: int, carried: Records, now: datetime) -> None:
    """Take over results of another run into one that has no steps yet. They carry no token: nobody ran them here."""
    rows = [
        {
            "run": seq,
            "target": target,
            "phase": record.phase,
            "step": record.id,
            "attempt": record.attempt,
            "state": record.state.value,
            "token": 0,
            "started_at": now,
            "ended_at": now,
            "exit_code": record.exit_code,
            "duration": record.duration,
            "outputs": dict(record.outputs) or None,
            "stdout": record.stdout,
            "stderr": record.stderr,
            "error": record.error,
            "continued": record.continued,
            "rescued": record.rescued,
            "inherited": True,
        }
        for target, records in carried.items()
        for record in records
    ]
    if rows:
        tx.execute(insert(steps), rows)


def _keep(known: dict[tuple[Phase, str], StepRecord], row: AnyRow) -> None:
    """Oldest first: the last attempt wins, and an earlier one that nobody has ended stays in doubt."""
    record = _record(row)
    before = known.get(record.key)
    open_ = record.state is StepState.RUNNING and record.ended_at is None  # else it was interrupted
    known[record.key] = replace(record, doubt=open_ or (before is not None and before.doubt))


def _record(row: AnyRow) -> StepRecord:
    return StepRecord(
        phase=row.phase,
        id=row.step,
        state=StepState(row.state),
        attempt=row.attempt,
        exit_code=row.exit_code,
        duration=row.duration,
        outputs=row.outputs or {},
        stdout=row.stdout,
        stderr=row.stderr,
        error=row.error,
        continued=row.continued,
        again=row.again,
        rescued=row.rescued,
        started_at=row.started_at,
        ended_at=row.ended_at,
        inherited=row.inherited,
    )
