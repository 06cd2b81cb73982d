"""Every attempt of a run's steps with its times, its plan, and the run before it: for people who look at one run."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from engine.identity import RunId
from engine.runs.pinned import PinnedSpec
from engine.states import StepState
from engine.workflows.workflowplan import PinnedWorkflow
from journal import specs
from journal.databases.portions import portions
from journal.databases.tables import runs, steps


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a step in one place; `ended_at` is None while it runs, or where nobody saw its end.

    One that is `running` and has it was interrupted: its runner stopped, or was lost and what was left of it has been
    ended; another attempt may follow.
    """

    target: str
    phase: str
    step: str
    number: int
    state: StepState
    started_at: datetime
    ended_at: datetime | None

    @property
    def is_over_unseen(self) -> bool:
        """Whether nothing of it runs any more, and nobody knows how it ended."""
        return self.state is StepState.RUNNING and self.ended_at is not None


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run was given. `plan` is None where it was imported: the status branch does not hold it."""

    run: RunId
    commit: str
    params: Mapping[str, Any]
    targets: tuple[str, ...]
    libraries: Mapping[str, str]
    plan: PinnedSpec | PinnedWorkflow | None


def attempts(conn: Connection, run: RunId, targets: Collection[str], *, limit: int) -> tuple[Attempt, ...]:
    """Of these places, in the order in which they started; the first `limit` of them."""
    number = select(runs.c.seq).where(runs.c.id == run).scalar_subquery()
    found: list[Attempt] = []
    for part in portions(targets):
        shown = select(
            steps.c.target, steps.c.phase, steps.c.step, steps.c.attempt, steps.c.state, steps.c.started_at,
            steps.c.ended_at,
        )  # fmt: skip
        rows = conn.execute(
            shown.where(steps.c.run == number, steps.c.target.in_(part)).order_by(steps.c.seq).limit(limit)
        )
        found += [Attempt(*row[:4], StepState(row.state), *row[5:]) for row in rows]
    return tuple(found[:limit])


def planned(conn: Connection, run: RunId) -> Planned | None:
    """What a run was given."""
    columns = (runs.c.id, runs.c.commit, runs.c.params, runs.c.targets, runs.c.libraries, runs.c.spec, runs.c.workflow)
    row = conn.execute(select(*columns).where(runs.c.id == run)).first()
    if row is None:
        return None
    plan = None
    if row.spec is not None:
        plan = specs.load_workflow(conn, row.spec) if row.workflow else specs.load(conn, row.spec)
    return Planned(RunId(row.id), row.commit, row.params, tuple(row.targets), row.libraries or {}, plan)


def before(conn: Connection, run: RunId) -> RunId | None:
    """The run of the same job, or workflow, that came before; a dry run is none."""
    own = select(runs.c.seq, runs.c.known_as, runs.c.workflow).where(runs.c.id == run).subquery()
    query = (
        select(runs.c.id)
        .join(
            own,
            (runs.c.known_as == own.c.known_as) & (runs.c.workflow == own.c.workflow) & (runs.c.seq < own.c.seq),
        )
        .where(runs.c.rehearsal.is_(None))
    )
    found = conn.execute(query.order_by(runs.c.seq.desc()).limit(1)).scalar()
    return None if found is None else RunId(found)
