"""The pasts of jobs and workflows as pages draw them: many runs in few columns. Each query reads a bounded number."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, cast

from sqlalchemy import Boolean, ColumnElement, Connection, Select, bindparam, case, func, select

from engine.identity import RunId
from engine.schedules.decide import SkipReason, Skips
from engine.states import NodeState, RunState, StepState
from journal.databases.portions import portions
from journal.databases.tables import AnyRow, decisions, nodes, runs, specs, steps

LOOKED_BACK = 20_000
"""So many of the newest runs are looked through for what was active."""
UNPLANNED = ("missed", "overlap", "catchUpMax", "noTargets", "storeLost")
"""Why something is skipped that calendars, windows and people have not asked for."""
_JOINED = timedelta(days=30)
"""Skips one after another are one record; so far back it is looked for one that goes on."""
_BEGAN = func.coalesce(runs.c.started_at, runs.c.queued_at)
_MARKED = (
    runs.c.seq, runs.c.id, runs.c.state, runs.c.commit, runs.c.spec, runs.c.queued_at, runs.c.started_at,
    runs.c.finished_at, runs.c.reason, runs.c.rehearsal.is_not(None).label("dry_run"),
)  # fmt: skip
_MARKS = (
    select(*_MARKED)
    .where(runs.c.known_as == bindparam("name"), runs.c.workflow == bindparam("workflow", type_=Boolean))
    .order_by(runs.c.seq.desc())
    .limit(bindparam("most"))
)
_BAD_STEPS = (StepState.FAILED.value, StepState.TIMED_OUT.value, StepState.UNREACHABLE.value, StepState.UNKNOWN.value)
_BAD_NODES = (NodeState.FAILED.value, NodeState.TIMED_OUT.value, NodeState.UNKNOWN.value)


_HAS_ENDED = (runs.c.finished_at.is_not(None), runs.c.rehearsal.is_(None))


def _each_last_ended() -> Select[*tuple[Any, ...]]:
    """From one name to the next by the index, instead of through all runs: SQL has no word for that but recursion."""
    names = select(func.min(runs.c.known_as).label("name")).cte("names", recursive=True)
    following = select(func.min(runs.c.known_as)).where(runs.c.known_as > names.c.name).scalar_subquery()
    names = names.union_all(select(following).where(names.c.name.is_not(None)))
    others = runs.alias("others")
    ended = (others.c.known_as == names.c.name, others.c.finished_at.is_not(None), others.c.rehearsal.is_(None))
    last = select(others.c.seq).where(*ended).order_by(others.c.seq.desc()).limit(1).correlate(names).scalar_subquery()
    found = select(runs.c.known_as.label("job"), runs.c.workflow, runs.c.state)
    return found.select_from(names).join(runs, runs.c.seq == last)


_LAST_ENDED = _each_last_ended()
_LAST_ENDED_OF = (
    select(runs.c.state)
    .where(runs.c.known_as == bindparam("name"), runs.c.workflow == bindparam("workflow", type_=Boolean), *_HAS_ENDED)
    .order_by(runs.c.seq.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A run as a mark in a drawing. `plan` names what it does, commit included; None where nobody knows any more."""

    number: int
    id: RunId
    state: RunState
    commit: str
    plan: str | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    reason: str | None
    dry_run: bool

    @property
    def began(self) -> datetime:
        """When it started; where it has not, when it was asked for."""
        return self.started_at or self.queued_at

    @property
    def seconds(self) -> float | None:
        """How long it took; None where it has not ended, or never started."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Active:
    """A job or workflow with runs in a time: how many, how the newest stands that is no dry run (None: all are),
    and the number of the newest of all."""

    name: str
    workflow: bool
    runs: int
    last: RunState | None
    newest: int = 0


@dataclass(frozen=True, slots=True)
class FirstError:
    """Where a run went wrong first: a step on a target, or a node of a workflow's run (then without a target)."""

    target: str | None
    step: str
    error: str


def active(conn: Connection, since: datetime, until: datetime, state: RunState | None = None) -> tuple[Active, ...]:
    """Who has runs that began in [since, until) (and are in a state), by name, of the newest LOOKED_BACK runs."""
    newest = (
        select(
            runs.c.seq,
            runs.c.known_as.label("job"),
            runs.c.workflow,
            runs.c.state,
            _BEGAN.label("began"),
            case((runs.c.rehearsal.is_(None), runs.c.seq)).label("real"),
        )
        .order_by(runs.c.seq.desc())
        .limit(LOOKED_BACK)
        .subquery()
    )
    counted = select(
        newest.c.job,
        newest.c.workflow,
        func.count().label("runs"),
        func.max(newest.c.real).label("last"),
        func.max(newest.c.seq).label("newest"),
    )
    wanted: list[ColumnElement[bool]] = [newest.c.began >= since, newest.c.began < until]
    if state is not None:
        wanted.append(newest.c.state == state.value)
    rows = conn.execute(counted.where(*wanted).group_by(newest.c.job, newest.c.workflow).order_by(newest.c.job)).all()
    states = _states(conn, [row.last for row in rows if row.last is not None])
    return tuple(Active(row.job, row.workflow, row.runs, states.get(row.last), row.newest) for row in rows)


def looked_back_to(conn: Connection) -> datetime | None:
    """How far `active` sees; None: to the first run there is."""
    return conn.execute(select(_BEGAN).order_by(runs.c.seq.desc()).offset(LOOKED_BACK - 1).limit(1)).scalar()


def _states(conn: Connection, numbers: Collection[int]) -> Mapping[int, RunState]:
    found: dict[int, RunState] = {}
    for part in portions(numbers):
        rows = conn.execute(select(runs.c.seq, runs.c.state).where(runs.c.seq.in_(part)))
        found |= {number: RunState(state) for number, state in rows}
    return found


def marks(
    conn: Connection,
    name: str,
    *,
    workflow: bool,
    limit: int,
    before: RunId | None = None,
    up_to: int | None = None,
) -> tuple[Mark, ...]:
    """The newest runs of a job or workflow, newest first; with `before` those that are older than that run, with
    `up_to` those that are no newer than the run of that number."""
    query = _MARKS
    if before is not None:
        query = query.where(runs.c.seq < select(runs.c.seq).where(runs.c.id == before).scalar_subquery())
    if up_to is not None:
        query = query.where(runs.c.seq <= up_to)
    return tuple(map(_mark, conn.execute(query, {"name": name, "workflow": workflow, "most": limit})))


def _mark(row: AnyRow) -> Mark:
    number, name, state, *rest = row  # in the order of _MARKED: by name each would be looked up, on pages of thousands
    return Mark(number, RunId(name), RunState(state), *rest)


def changed(conn: Connection, found: Sequence[Mark], *, most: int) -> frozenset[RunId]:
    """Those of a job's runs, newest first, whose plan another commit made than that of the run before.

    A commit that left the plan as it was is none. At most `most` plans are compared, the newest first.
    """
    pairs = [
        (newer, older)
        for newer, older in pairwise(found)
        if newer.commit != older.commit and newer.plan is not None and older.plan is not None
    ][: most // 2]
    bodies = _bodies(conn, {one.plan for pair in pairs for one in pair if one.plan is not None})
    return frozenset(newer.id for newer, older in pairs if _naked(bodies, newer) != _naked(bodies, older))


def _bodies(conn: Connection, digests: Iterable[str]) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for part in portions(sorted(digests)):
        rows = conn.execute(select(specs.c.digest, specs.c.body).where(specs.c.digest.in_(part)))
        found |= {row.digest: row.body for row in rows}
    return found


def _naked(bodies: Mapping[str, bytes], mark: Mark) -> bytes:
    """A plan without its commit."""
    return hashlib.sha256(bodies[mark.plan or ""].replace(mark.commit.encode(), b"")).digest()


def first_errors(conn: Connection, wanted: Sequence[RunId], *, target: str | None = None) -> Mapping[RunId, FirstError]:
    """Where each of a few runs went wrong first (on a target); those of which that is not known are left out."""
    known = {seq: RunId(run) for seq, run in conn.execute(select(runs.c.seq, runs.c.id).where(runs.c.id.in_(wanted)))}
    firsts = (
        select(func.min(steps.c.seq))
        .where(
            steps.c.run.in_(known), steps.c.state.in_(_BAD_STEPS),
            ~steps.c.continued, ~steps.c.again, ~steps.c.rescued,
            *([] if target is None else [steps.c.target == target]),
        )
        .group_by(steps.c.run)
    )  # fmt: skip
    rows = conn.execute(select(steps).where(steps.c.seq.in_(firsts)))
    found = {known[row.run]: FirstError(row.target, row.step, row.error or row.state) for row in rows}
    if target is not None:
        return found
    bad = select(nodes).where(nodes.c.run.in_(known), nodes.c.state.in_(_BAD_NODES), ~nodes.c.continued)
    for row in conn.execute(bad.order_by(nodes.c.seq)):
        found.setdefault(known[row.run], FirstError(None, row.node, row.reason or row.state))
    return found


def last_ended(conn: Connection, wanted: Collection[tuple[str, bool]]) -> Mapping[tuple[str, bool], RunState]:
    """How the newest runs of jobs (name, False) and workflows (name, True) ended that have ended; dry runs are none.

    One question for all of them, which reads a run or two of each name.
    """
    found = {(row.job, row.workflow): RunState(row.state) for row in conn.execute(_LAST_ENDED)}
    # Of a job and a workflow of one name only the newer run was found.
    for name, workflow in wanted:
        if (name, workflow) not in found and (name, not workflow) in found:
            state = conn.execute(_LAST_ENDED_OF, {"name": name, "workflow": workflow}).scalar()
            found |= {} if state is None else {(name, workflow): RunState(state)}
    return {one: found[one] for one in wanted if one in found}


def missed(conn: Connection, since: datetime, *, limit: int) -> tuple[Skips, ...]:
    """What was due since then and did not run, though nobody had planned that; the newest first."""
    query = select(decisions).where(
        decisions.c.verdict == "skipped",
        decisions.c.first >= since - _JOINED,
        decisions.c.last >= since,
        decisions.c.reason.in_(UNPLANNED),
    )
    rows = conn.execute(query.order_by(decisions.c.first.desc()).limit(limit))
    return tuple(Skips(row.schedule, row.first, row.last, row.times, cast(SkipReason, row.reason)) for row in rows)
