"""What was: queries for the pages and files that people read, and the journal's own retention."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy import Boolean, ColumnElement, Connection, and_, bindparam, delete, func, insert, or_, select

from engine.identity import RunId
from engine.runs.pinned import RUNNER
from engine.runs.waits import Wait
from engine.states import TARGET_SEVERITY, NodeState, RunState, StepState
from engine.status.views import JobView, RunBrief, TargetStatusView, TestedView
from journal import facts, outbox, places, points
from journal.databases.portions import portions
from journal.databases.tables import AnyRow, causes, decisions, evidence, nodes, run_targets, runs, specs
from schemas.project import Retention
from schemas.quantities import parse_instant

_NAMED = 5
"""How many failed targets a brief names."""
_LOOKED_BACK = 1000
_UNSWEPT = "logs.unswept"
_BAD_NODES = tuple(state.value for state in (NodeState.FAILED, NodeState.TIMED_OUT, NodeState.UNKNOWN))
_NO_FAILURE = (RunState.SUCCEEDED.value, RunState.CANCELLED.value)
_OPEN = runs.c.finished_at.is_(None)
_ENDED = runs.c.finished_at.is_not(None)
_SHOWN = (
    runs.c.seq,
    runs.c.id,
    runs.c.known_as.label("job"),
    runs.c.state,
    runs.c.cause,
    runs.c.queued_at,
    runs.c.started_at,
    runs.c.finished_at,
    runs.c.reason,
    runs.c.targets,
    runs.c.rehearsal.is_not(None).label("dry_run"),
    runs.c.workflow,
    runs.c.concurrency,
    runs.c.due_at,
    runs.c.pool,
    runs.c.needs,
)
# Made once: the first page asks them for every job that fails.
_PAST = (
    _ENDED, runs.c.known_as == bindparam("name"), runs.c.workflow == bindparam("workflow", type_=Boolean),
    runs.c.rehearsal.is_(None),
)  # fmt: skip
_LAST = select(*_SHOWN).where(*_PAST).order_by(runs.c.seq.desc()).limit(1)
_LAST_SUCCESS = _LAST.where(runs.c.state == RunState.SUCCEEDED.value)
_STATES = select(runs.c.state).where(*_PAST).order_by(runs.c.seq.desc()).limit(_LOOKED_BACK)
_RANK = {state.value: rank for rank, state in enumerate(TARGET_SEVERITY)}


def briefs(conn: Connection, where: ColumnElement[bool] | None = None, *, limit: int = 50) -> tuple[RunBrief, ...]:
    """The newest runs, newest first."""
    query = select(*_SHOWN).order_by(runs.c.seq.desc()).limit(limit)
    return _briefs(conn, conn.execute(query if where is None else query.where(where)).all())


def listed(conn: Connection, *, limit: int, before: RunId | None = None) -> tuple[RunBrief, ...]:
    """The newest runs, newest first; with `before` those that are older than that run."""
    older = None if before is None else runs.c.seq < select(runs.c.seq).where(runs.c.id == before).scalar_subquery()
    return briefs(conn, older, limit=limit)


def _open(conn: Connection, where: ColumnElement[bool], limit: int) -> tuple[RunBrief, ...]:
    """The newest open runs, newest first. They are few: sorted, they cost nothing, while who walks along the numbers
    of all runs until there are enough of them reads the whole journal."""
    query = select(*_SHOWN).where(_OPEN, where).order_by((runs.c.seq + 0).desc()).limit(limit)
    return _briefs(conn, conn.execute(query).all())


def brief(conn: Connection, run: RunId) -> RunBrief | None:
    """A run in one line; None where it is not in the journal."""
    return next(iter(briefs(conn, runs.c.id == run, limit=1)), None)


def _briefs(conn: Connection, rows: Collection[AnyRow]) -> tuple[RunBrief, ...]:
    bad = [row for row in rows if row.state not in _NO_FAILURE]
    failed = _failed(conn, [row.seq for row in bad if not row.workflow])
    failed |= _failed_nodes(conn, [row.seq for row in bad if row.workflow])
    waits = places.waits(conn, rows)
    return tuple(_brief(row, failed.get(row.seq, ()), waits.get(row.seq)) for row in rows)


def _brief(row: AnyRow, failed: Sequence[str], wait: Wait | None) -> RunBrief:
    return RunBrief(
        id=RunId(row.id),
        job=row.job,
        state=RunState(row.state),
        cause_kind=row.cause["kind"],
        cause_name=row.cause["name"],
        instant=datetime.fromisoformat(row.cause["instant"]),
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        reason=row.reason,
        targets=len(row.targets),
        failed=tuple(failed[:_NAMED]),
        failures=len(failed),
        dry_run=row.dry_run,
        workflow=row.workflow,
        wait=wait,
    )


def _failed(conn: Connection, seqs: Collection[int]) -> dict[int, list[str]]:
    """The targets that did not succeed, the worst first."""
    good = (StepState.SUCCEEDED.value, StepState.SKIPPED.value)
    found: dict[int, list[tuple[int, str]]] = {}
    for part in portions(seqs):
        query = select(run_targets.c.run, run_targets.c.target, run_targets.c.state)
        for run, name, state in conn.execute(
            query.where(run_targets.c.run.in_(part), run_targets.c.state.not_in(good))
        ):
            found.setdefault(run, []).append((_RANK[state], name))
    return {run: [name for _, name in sorted(names)] for run, names in found.items()}


def _failed_nodes(conn: Connection, seqs: Collection[int]) -> dict[int, list[str]]:
    """Of workflows' runs: the nodes that kept them from succeeding, in the order of the text."""
    found: dict[int, list[str]] = {}
    for part in portions(seqs):
        query = select(nodes.c.run, nodes.c.node).where(
            nodes.c.run.in_(part), nodes.c.state.in_(_BAD_NODES), ~nodes.c.continued
        )
        for run, name in conn.execute(query.order_by(nodes.c.seq)):
            found.setdefault(run, []).append(name)
    return found


def running(conn: Connection, limit: int = 200) -> tuple[RunBrief, ...]:
    """Running runs, newest first."""
    return _open(conn, runs.c.state == RunState.RUNNING.value, limit)


def waiting(conn: Connection, limit: int = 200) -> tuple[RunBrief, ...]:
    """Waiting and queued runs, newest first."""
    return _open(conn, runs.c.state != RunState.RUNNING.value, limit)


def open_in(conn: Connection, group: str, limit: int) -> tuple[RunBrief, ...]:
    """The open runs of a concurrency group, newest first."""
    return _open(conn, runs.c.concurrency == group, limit)


def open_of(conn: Connection, name: str, *, workflow: bool, limit: int) -> tuple[RunBrief, ...]:
    """The open runs of a job, or of a workflow, newest first. One may have the name of the other."""
    return _open(conn, and_(runs.c.known_as == name, runs.c.workflow.is_(workflow)), limit)


def ended(conn: Connection, limit: int = 50) -> tuple[RunBrief, ...]:
    """Ended runs, newest first."""
    return briefs(conn, _ENDED, limit=limit)


def succeeded(conn: Connection, name: str, *, workflow: bool, limit: int = 20) -> tuple[RunBrief, ...]:
    """The newest successful runs of a job, or of a workflow, newest first. One may have the name of the other."""
    own = and_(_ENDED, runs.c.known_as == name, runs.c.workflow.is_(workflow), runs.c.rehearsal.is_(None))
    return briefs(conn, and_(own, runs.c.state == RunState.SUCCEEDED.value), limit=limit)


def last_of(conn: Connection, job: str) -> RunBrief | None:
    """The newest run of a job that has ended; one whose steps stood in a request, or that was a rehearsal, is none."""
    own = and_(_ENDED, runs.c.known_as == job, runs.c.rehearsal.is_(None), ~runs.c.inline, ~runs.c.workflow)
    return next(iter(briefs(conn, own, limit=1)), None)


def ended_targets(conn: Connection, wanted: Collection[RunId]) -> Mapping[RunId, int]:
    """On how many targets each of the runs is done; those on none are left out."""
    found: dict[RunId, int] = {}
    counted = select(runs.c.id, func.count()).join(run_targets, run_targets.c.run == runs.c.seq).group_by(runs.c.id)
    for part in portions(wanted):
        found |= {RunId(run): count for run, count in conn.execute(counted.where(runs.c.id.in_(part)))}
    return found


def failures(conn: Connection, limit: int = 50) -> tuple[RunBrief, ...]:
    """Ended runs that neither succeeded nor were cancelled, newest first."""
    return briefs(conn, and_(_ENDED, runs.c.rehearsal.is_(None), runs.c.state.not_in(_NO_FAILURE)), limit=limit)


def job(conn: Connection, name: str) -> JobView:
    """A job's recent past. A dry run is none of it."""
    return _past_of(conn, name, workflow=False)


def workflow(conn: Connection, name: str) -> JobView:
    """A workflow's recent past."""
    return _past_of(conn, name, workflow=True)


def has_runs(conn: Connection, name: str, *, workflow: bool) -> bool:
    """Whether there are runs of it, open ones and dry runs included; of a former name there are none."""
    own = select(runs.c.seq).where(runs.c.known_as == name, runs.c.workflow.is_(workflow))
    return conn.execute(own.limit(1)).first() is not None


def _past_of(conn: Connection, name: str, *, workflow: bool) -> JobView:
    others = (runs.c.known_as == name, runs.c.workflow.is_(workflow), runs.c.job != name)
    former = conn.execute(select(runs.c.job).where(*others).distinct().order_by(runs.c.job)).scalars()
    return replace(pasts(conn, [(name, workflow)])[0], former_names=tuple(former))


def pasts(conn: Connection, wanted: Sequence[tuple[str, bool]]) -> tuple[JobView, ...]:
    """The recent pasts of jobs (name, False) and workflows (name, True), in their order."""
    asked = [{"name": name, "workflow": is_workflow} for name, is_workflow in wanted]
    last = [conn.execute(_LAST, one).first() for one in asked]
    success = [conn.execute(_LAST_SUCCESS, one).first() for one in asked]
    failed = [_in_a_row(conn, one) for one in asked]
    rows = {row.seq: row for row in (*last, *success) if row is not None}
    shown = dict(zip(rows, _briefs(conn, list(rows.values())), strict=True))
    return tuple(
        JobView(name, newest and shown[newest.seq], good and shown[good.seq], bad)
        for (name, _), newest, good, bad in zip(wanted, last, success, failed, strict=True)
    )


def _in_a_row(conn: Connection, asked: Mapping[str, object]) -> int:
    """How many of its newest runs were failures."""
    states = conn.execute(_STATES, asked).scalars()
    found = sum(1 for _ in takewhile(lambda state: state not in _NO_FAILURE, states))
    states.close()
    return found


def jobs(conn: Connection) -> tuple[str, ...]:
    """The names of all jobs that have runs."""
    named = select(runs.c.known_as).where(runs.c.rehearsal.is_(None), ~runs.c.workflow).distinct()
    return tuple(conn.execute(named.order_by(runs.c.known_as)).scalars())


def workflows(conn: Connection) -> tuple[str, ...]:
    """The names of all workflows that have runs."""
    named = select(runs.c.known_as).where(runs.c.workflow).distinct()
    return tuple(conn.execute(named.order_by(runs.c.known_as)).scalars())


def target(conn: Connection, name: str) -> TargetStatusView:
    """What the last run that ended on a target says of it."""
    rows = conn.execute(
        select(run_targets.c.state, run_targets.c.ended_at, runs.c.id)
        .join(runs, runs.c.seq == run_targets.c.run)
        .where(run_targets.c.target == name)
        .order_by(run_targets.c.run.desc())
        .limit(_LOOKED_BACK)
    )
    last: AnyRow | None = None
    since: datetime | None = None
    for row in rows:
        last = last or row
        if row.state != StepState.UNREACHABLE.value:
            break
        since = row.ended_at
    tested = _tested(conn, name)
    if last is None:
        return TargetStatusView(name, tested=tested)
    return TargetStatusView(name, StepState(last.state), RunId(last.id), last.ended_at, since, tested)


def _tested(conn: Connection, name: str) -> TestedView | None:
    found = facts.get(conn, f"{facts.TESTED}{name}")
    try:
        connections = tuple((str(one["connection"]), one["ok"] is True) for one in found["trials"])
        return TestedView(parse_instant(found["at"]), connections)
    except (TypeError, KeyError, ValueError):  # none, or of another version
        return None


def targets(conn: Connection) -> tuple[str, ...]:
    """The names of all targets that a run has ended on."""
    query = select(run_targets.c.target).where(run_targets.c.target != RUNNER).distinct()
    return tuple(conn.execute(query.order_by(run_targets.c.target)).scalars())


def prune(tx: Connection, retention: Retention, now: datetime, *, limit: int = 500) -> tuple[RunId, ...]:
    """Remove ended runs that are past the retention, at most `limit` at once; call it again until it returns none.

    A job keeps its newest `runs` ended runs, and as many dry runs, each no longer than `days`, or `failedDays` where
    it did not succeed.
    The causes stay for ever. The outbox names each removed run, so that its status file goes too; `unswept` names them
    until their logs are gone as well.
    """
    rows = _past(tx, retention, now, limit)
    if not rows:
        _sweep(tx, retention, now)
        return ()
    points.record("prune")
    tx.execute(insert(causes), [{"key": row.cause_key, "run": row.id, "state": row.state} for row in rows])
    tx.execute(delete(evidence).where(evidence.c.run.in_([row.id for row in rows])))
    tx.execute(delete(runs).where(runs.c.seq.in_([row.seq for row in rows])))
    outbox.add_all(tx, tuple(("run", row.id) for row in rows))
    facts.put(tx, _UNSWEPT, [*unswept(tx), *(row.id for row in rows)])
    return tuple(RunId(row.id) for row in rows)


def unswept(conn: Connection) -> tuple[RunId, ...]:
    """Runs that `prune` has removed and whose logs may still be there. None of them can come back."""
    return tuple(RunId(run) for run in facts.get(conn, _UNSWEPT, ()))


def swept(tx: Connection, runs_: Collection[RunId]) -> None:
    """The logs of these runs are gone."""
    gone = set(runs_)
    facts.put(tx, _UNSWEPT, [run for run in unswept(tx) if run not in gone])


def _past(tx: Connection, retention: Retention, now: datetime, limit: int) -> Collection[AnyRow]:
    nth = (
        func.row_number()
        .over(partition_by=(runs.c.known_as, runs.c.workflow, runs.c.rehearsal.is_(None)), order_by=runs.c.seq.desc())
        .label("nth")
    )
    columns = (runs.c.seq, runs.c.id, runs.c.cause_key, runs.c.state, runs.c.finished_at, nth)
    # A workflow that goes on reads what its nodes' runs gave.
    led = select(runs.c.id).where(_OPEN, runs.c.workflow)
    free = or_(runs.c.parent.is_(None), runs.c.parent.not_in(led))
    ranked = select(*columns).where(_ENDED, free).subquery()
    succeeded = ranked.c.state == RunState.SUCCEEDED.value
    old = or_(
        ranked.c.nth > retention.runs,
        and_(succeeded, ranked.c.finished_at < now - timedelta(days=retention.days)),
        ranked.c.finished_at < now - timedelta(days=max(retention.days, retention.failed_days)),
    )
    return tx.execute(select(ranked).where(old).order_by(ranked.c.seq).limit(limit)).all()


def _sweep(tx: Connection, retention: Retention, now: datetime) -> None:
    """Remove specs that no run has, and decisions that are too old, the last of each schedule apart."""
    tx.execute(delete(specs).where(specs.c.digest.not_in(select(runs.c.spec).where(runs.c.spec.is_not(None)))))
    newest = select(func.max(decisions.c.seq)).group_by(decisions.c.schedule)
    before = now - timedelta(days=max(retention.days, retention.failed_days))
    tx.execute(delete(decisions).where(decisions.c.last < before, decisions.c.seq.not_in(newest)))


def summary(conn: Connection) -> Mapping[RunState, int]:
    """How many runs the journal holds in each state."""
    rows = conn.execute(select(runs.c.state, func.count()).group_by(runs.c.state))
    return {RunState(state): count for state, count in rows}
