"""The last ends on targets: how each of them has been doing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from engine.identity import RunId
from engine.states import StepState
from journal.tables import run_targets, runs


@dataclass(frozen=True, slots=True)
class Beat:
    """The end of a run on a target; `reason` where its steps do not say it."""

    run: RunId
    job: str
    state: StepState
    at: datetime
    reason: str | None = None


# By the index on targets: however long a target's history is, only so many rows of it are read.
_LAST = (
    select(runs.c.id, runs.c.job, run_targets.c.state, run_targets.c.ended_at, run_targets.c.reason)
    .join(runs, runs.c.seq == run_targets.c.run)
    .where(run_targets.c.target == bindparam("name"))
    .order_by(run_targets.c.run.desc())
    .limit(bindparam("most"))
)


_STATES = {state.value: state for state in StepState}
"""Of a page of targets thousands are read; the enumeration itself takes a microsecond for each."""


def of_targets(conn: Connection, names: Iterable[str], limit: int) -> Mapping[str, tuple[Beat, ...]]:
    """By target its last `limit` ends, the oldest first; none where no run has ended on it."""
    return {
        name: tuple(
            Beat(RunId(row.id), row.job, _STATES[row.state], row.ended_at, row.reason)
            for row in reversed(conn.execute(_LAST, {"name": name, "most": limit}).all())
        )
        for name in names
    }
