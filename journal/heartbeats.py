"""The last ends on targets: how each of them has been doing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, bindparam, func, select

from engine.identity import RunId
from engine.states import StepState
from journal.databases.tables import run_targets, runs


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
    select(runs.c.id, runs.c.known_as.label("job"), run_targets.c.state, run_targets.c.ended_at, run_targets.c.reason)
    .join(runs, runs.c.seq == run_targets.c.run)
    .where(run_targets.c.target == bindparam("name"))
    .order_by(run_targets.c.run.desc())
    .limit(bindparam("most"))
)


def _each_unreachable() -> Select[tuple[str | None]]:
    """From one target to the next by the index, instead of through all ends: SQL has no word for that but recursion."""
    names = select(func.min(run_targets.c.target).label("name")).cte("names", recursive=True)
    following = select(func.min(run_targets.c.target)).where(run_targets.c.target > names.c.name).scalar_subquery()
    names = names.union_all(select(following).where(names.c.name.is_not(None)))
    ends = run_targets.alias("ends")
    newest = select(ends.c.state).where(ends.c.target == names.c.name).order_by(ends.c.run.desc()).limit(1)
    return select(names.c.name).where(newest.correlate(names).scalar_subquery() == StepState.UNREACHABLE.value)


_UNREACHABLE = _each_unreachable()
_STATES = {state.value: state for state in StepState}
"""Of a page of targets thousands are read; the enumeration itself takes a microsecond for each."""


def unreachable(conn: Connection) -> frozenset[str]:
    """The targets that the last run which ended on them could not reach."""
    return frozenset(str(name) for name in conn.execute(_UNREACHABLE).scalars())


def of_targets(conn: Connection, names: Iterable[str], limit: int) -> Mapping[str, tuple[Beat, ...]]:
    """By target its last `limit` ends, the oldest first; none where no run has ended on it."""
    return {
        name: tuple(
            Beat(RunId(row.id), row.job, _STATES[row.state], row.ended_at, row.reason)
            for row in reversed(conn.execute(_LAST, {"name": name, "most": limit}).all())
        )
        for name in names
    }
