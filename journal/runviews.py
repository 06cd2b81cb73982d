"""Runs as people and other parts see them: whole, with the last attempt of every step, or counted."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, func, select

from engine.identity import RunId
from engine.runs.pinned import PHASES, RUNNER
from engine.runs.rehearsal import nodes_of, places_of
from engine.runs.waits import Held, Wait
from engine.states import RunState, StepState
from engine.status.views import NodeView, RunBrief, RunView, StepView, TargetView
from journal import graphs, history
from journal import places as groups
from journal.causes import cause_from_json
from journal.databases.portions import portions
from journal.databases.tables import AnyRow, run_targets, runs, steps
from journal.slicetables import slice_targets, slices

_OPEN = runs.c.finished_at.is_(None)


def get(conn: Connection, run: RunId) -> RunView | None:
    """All of a run, with its targets and the last attempt of every step."""
    return get_all(conn, (run,)).get(run)


def get_all(conn: Connection, wanted: Collection[RunId]) -> Mapping[RunId, RunView]:
    """Those of the runs that are in the journal."""
    found: dict[RunId, RunView] = {}
    for part in portions(wanted):
        rows = conn.execute(select(runs).where(runs.c.id.in_(part))).all()
        places = _places(conn, [row.seq for row in rows])
        first = _first_runners(conn, [row.seq for row in rows if _is_shared(row)])
        waits = groups.waits(conn, rows)
        graphs_ = graphs.views_of(conn, [row.seq for row in rows if row.workflow])
        found |= {
            RunId(row.id): _view(
                row,
                places.get(row.seq, {}),
                graphs_.get(row.seq, ()),
                waits.get(row.seq),
                row.runner or first.get(row.seq),
            )
            for row in rows
        }
    return found


def step_counts(conn: Connection, wanted: Collection[RunId]) -> Mapping[RunId, int]:
    """How many attempts of steps each of the runs has; those without any are left out."""
    found: dict[RunId, int] = {}
    counted = select(runs.c.id, func.count()).join(steps, steps.c.run == runs.c.seq).group_by(runs.c.id)
    for part in portions(wanted):
        found |= {RunId(run): count for run, count in conn.execute(counted.where(runs.c.id.in_(part)))}
    return found


def _view(
    row: AnyRow, places: Mapping[str, TargetView], nodes: tuple[NodeView, ...], wait: Wait | None, runner: str | None
) -> RunView:
    planned = tuple(row.targets) if row.on_targets else (RUNNER,)
    names = [name for name in planned if name in places] + [name for name in places if name not in planned]
    return RunView(
        id=RunId(row.id),
        job=row.job,
        commit=row.commit,
        cause=cause_from_json(row.cause),
        state=RunState(row.state),
        queued_at=row.queued_at,
        params=row.params,
        targets=tuple(row.targets),
        on_targets=row.on_targets,
        libraries=row.libraries or {},
        started_at=row.started_at,
        finished_at=row.finished_at,
        reason=row.reason,
        message=row.message,
        attempt=row.attempt,
        runner=runner,
        outputs=row.outputs or {},
        results=tuple(places[name] for name in names) if row.rehearsal is None else places_of(row.rehearsal),
        rerun_of=row.rerun_of,
        priority=row.priority,
        starts_at=row.starts_at,
        inline=row.inline,
        rehearsal=None if row.rehearsal is None else row.rehearsal["strategy"],
        workflow=row.workflow,
        nodes=nodes if row.rehearsal is None else nodes_of(row.rehearsal),
        held=None if row.slot is None else Held(row.concurrency, row.slot),
        wait=wait,
        known_as=row.known_as,
        naming=row.naming,
    )


_SHOWN = [column for column in steps.c if column.name not in ("stdout", "stderr", "token", "ended_at")]


def _places(conn: Connection, seqs: list[int]) -> dict[int, dict[str, TargetView]]:
    if not seqs:
        return {}
    found: dict[int, dict[str, dict[tuple[str, str], StepView]]] = {seq: {} for seq in seqs}
    # Oldest first: the last attempt wins, in the place of the first.
    for step in conn.execute(select(*_SHOWN).where(steps.c.run.in_(seqs)).order_by(steps.c.seq)):
        found[step.run].setdefault(step.target, {})[(step.phase, step.step)] = _step(step)
    ends = {
        (row.run, row.target): row for row in conn.execute(select(run_targets).where(run_targets.c.run.in_(seqs))).all()
    }
    for run, target in ends:
        found[run].setdefault(target, {})
    holders = _holders(conn, seqs)
    return {
        run: {
            target: _place_view(target, views, ends.get((run, target)), holders.get((run, target)))
            for target, views in places.items()
        }
        for run, places in found.items()
    }


def _is_shared(row: AnyRow) -> bool:
    return row.state == RunState.RUNNING.value and row.runner is None and not row.workflow


def _holders(conn: Connection, seqs: list[int]) -> dict[tuple[int, str], str]:
    """Whose slice the targets are in that have not ended."""
    query = select(slice_targets.c.run, slice_targets.c.target, slices.c.runner).join_from(
        slice_targets, slices, (slices.c.run == slice_targets.c.run) & (slices.c.token == slice_targets.c.token)
    )
    return {(row.run, row.target): row.runner for row in conn.execute(query.where(slice_targets.c.run.in_(seqs)))}


def _first_runners(conn: Connection, seqs: list[int]) -> dict[int, str]:
    """Who came first of those that work on these runs."""
    if not seqs:
        return {}
    rows = conn.execute(select(slices).where(slices.c.run.in_(seqs)).order_by(slices.c.token.desc()))
    return {row.run: row.runner for row in rows}


def _step(row: AnyRow) -> StepView:
    return StepView(
        id=row.step,
        state=StepState(row.state),
        phase=row.phase,
        name=row.name,
        attempts=row.attempt,
        exit_code=row.exit_code,
        duration=row.duration,
        outputs=row.outputs or {},
        continued=row.continued,
        again=row.again,
        rescued=row.rescued,
        inherited=row.inherited,
        error=row.error,
        stdout_tail=row.stdout_tail,
        stderr_tail=row.stderr_tail,
        log=row.log,
        started_at=row.started_at,
    )


def _place_view(
    name: str, views: Mapping[tuple[str, str], StepView], ended_: AnyRow | None, holder: str | None
) -> TargetView:
    shown = tuple(sorted(views.values(), key=lambda step: PHASES.index(step.phase)))
    if ended_ is None:
        return TargetView(name, StepState.RUNNING, {}, shown, runner=holder)
    return TargetView(name, StepState(ended_.state), ended_.outputs or {}, shown, ended_.reason, ended_.runner)


def open_runs(conn: Connection) -> tuple[RunId, ...]:
    """Runs that have not ended, oldest first."""
    return tuple(RunId(found) for found in conn.execute(select(runs.c.id).where(_OPEN).order_by(runs.c.seq)).scalars())


def recent(conn: Connection, job: str | None = None, limit: int = 50) -> tuple[RunBrief, ...]:
    """The newest runs (of a job), open ones included, newest first."""
    return history.briefs(conn, runs.c.known_as == job if job is not None else None, limit=limit)


def counts(conn: Connection) -> Mapping[RunState, int]:
    """How many runs are waiting, queued and running."""
    rows = conn.execute(select(runs.c.state, func.count()).where(_OPEN).group_by(runs.c.state))
    found = {RunState(state): count for state, count in rows}
    return {state: found.get(state, 0) for state in (RunState.WAITING, RunState.QUEUED, RunState.RUNNING)}
