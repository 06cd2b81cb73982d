"""What the pages show, from the definitions in force and the journal: for each page one value that is plain data.

The page and the JSON beside it are made of the same value, so they cannot disagree.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from sqlalchemy import Connection

from engine import zones
from engine.catalog import Catalog
from engine.gates import ADVISORY
from engine.identity import RunId
from engine.pinned import RUNNER
from engine.readmodel import gate_file, run_file, sync_file
from engine.states import StepState
from engine.views import NodeView, RunBrief, StepView, SyncView, TargetView
from engine.yamltext import stamp
from journal import graphs, history, runviews
from journal.clock import Clock
from journal.store import JournalReader
from opsconductor.dashboard import sentence
from opsconductor.dashboard.logpage import window
from opsconductor.runlog import log_files

Data = dict[str, Any]
_NEXT, _OPEN, _ENDED, _USUAL = 15, 100, 15, 20


class Engine(Protocol):
    """What the running engine knows without asking the journal. Everything it gives is frozen."""

    @property
    def catalog(self) -> Catalog | None: ...

    def sync(self) -> SyncView: ...

    def soonest(self, count: int) -> Iterable[tuple[datetime, str]]: ...


class Facts:
    """The questions that pages ask. One value a page; `read` may be asked by any number of them at once."""

    def __init__(self, engine: Engine, journal: JournalReader, clock: Clock, logs: Path) -> None:
        self.engine = engine
        self.journal = journal
        self.clock = clock
        self.logs = logs

    async def now(self) -> Data:
        """What needs somebody, what is going on, what comes next."""
        at, catalog = self.clock.now(), self.engine.catalog
        found = await self.journal.read(lambda conn: _now(conn, catalog, at))
        return {"at": stamp(at), "sync": sync_file(self.engine.sync())["status"], **found, "next": self._next()}

    def _next(self) -> list[Data]:
        catalog = self.engine.catalog
        if catalog is None:
            return []
        soonest = ((name, instant) for instant, name in self.engine.soonest(_NEXT) if name in catalog.schedules)
        return [_due(catalog, name, instant) for name, instant in soonest]

    async def run(self, name: str) -> Data | None:
        """A run as its file says it, with what people see beside it."""
        return await self.journal.read(lambda conn: _run(conn, name, self.clock.now()))

    async def log(self, run: str, target: str, step: str, line: int | None) -> Data | None:
        """What one step printed: its attempts, and a window of the last one that printed anything."""
        view = await self.journal.read(lambda conn: runviews.get(conn, RunId(run)))
        if view is None:
            return None
        found = await asyncio.to_thread(_logs_of, self.logs, view.id, target or RUNNER, step)
        shown = await asyncio.to_thread(window, found[-1], line) if found else None
        return {
            "at": stamp(self.clock.now()),
            "run": view.id,
            "state": str(view.state),
            "target": target,
            "step": step,
            "window": shown,
        }

    async def ping(self) -> None:
        """Raises Unavailable where the journal cannot be read."""
        await self.journal.read(lambda conn: conn.exec_driver_sql("SELECT 1").scalar_one())


def _logs_of(logs: Path, run: RunId, target: str, step: str) -> list[Path]:
    """The logs of a step's attempts, oldest first. Only names that are there are compared: nothing asked is a path."""
    named = [(name, file) for place, name, file in log_files(logs, run) if place == target]
    return [file for name, file in sorted(named, key=_attempt) if _step_of(name) == step]


def _step_of(name: str) -> str:
    """`finally/finally_1` of `finally.finally_1.2.log`; the phase of the steps themselves is not said."""
    phase, _, rest = name.removesuffix(".log").partition(".")
    step = rest.rpartition(".")[0]
    return step if phase == "steps" else f"{phase}/{step}"


def _attempt(log: tuple[str, Path]) -> int:
    attempt = log[0].removesuffix(".log").rpartition(".")[2]
    return int(attempt) if attempt.isdecimal() else 0


def _due(catalog: Catalog, name: str, instant: datetime) -> Data:
    spec = catalog.schedules[name].spec
    zone = spec.time_zone or catalog.project.spec.defaults.time_zone or "UTC"
    return {
        "schedule": name,
        "starts": spec.job_ref or spec.workflow_ref or spec.discovery_ref,
        "instant": stamp(instant),
        "local": instant.astimezone(zones.zone(zone)).isoformat(timespec="minutes"),
        "timeZone": zone,
    }


def _now(conn: Connection, catalog: Catalog | None, at: datetime) -> Data:
    open_ = (*history.running(conn, limit=_OPEN), *history.waiting(conn, limit=_OPEN))
    done = history.ended_targets(conn, [brief.id for brief in open_])
    usual = {name: usual_seconds(conn, name) for name in {brief.job for brief in open_}}
    return {
        "gates": [gate_file(gate, advisory=ADVISORY) for gate in graphs.open_gates(conn)],
        "failing": _failing(conn, catalog),
        "open": [_open(brief, at, done.get(brief.id, 0), usual[brief.job]) for brief in open_],
        "ended": [brief_of(brief) for brief in history.ended(conn, limit=_ENDED)],
    }


def _failing(conn: Connection, catalog: Catalog | None) -> list[Data]:
    """Jobs and workflows that are defined and whose newest run was none that one could wish for."""
    if catalog is None:
        return []
    pasts = [history.job(conn, name) for name in history.jobs(conn) if name in catalog.jobs]
    pasts += [history.workflow(conn, name) for name in history.workflows(conn) if name in catalog.workflows]
    return [
        {"job": past.name, "failures": past.consecutive_failures, "last": brief_of(past.last),
         "lastSuccess": past.last_success and brief_of(past.last_success)}
        for past in sorted(pasts, key=lambda past: past.name)
        if past.consecutive_failures and past.last is not None
    ]  # fmt: skip


def brief_of(run: RunBrief) -> Data:
    """A run in one line."""
    took = run.finished_at - run.started_at if run.finished_at and run.started_at else None
    return {
        "run": run.id,
        "job": run.job,
        "workflow": run.workflow,
        "state": "dry run" if run.dry_run else str(run.state),
        "cause": {"kind": run.cause_kind, "name": run.cause_name, "instant": stamp(run.instant)},
        "queuedAt": stamp(run.queued_at),
        "startedAt": run.started_at and stamp(run.started_at),
        "finishedAt": run.finished_at and stamp(run.finished_at),
        "seconds": took and round(took.total_seconds(), 3),
        "reason": run.reason,
        "targets": run.targets,
        "failed": list(run.failed),
    }


def _open(run: RunBrief, at: datetime, done: int, usual: float | None) -> Data:
    """One that has not ended: how far it is, and how long such a run usually takes."""
    since = (at - (run.started_at or run.queued_at)) / timedelta(seconds=1)
    return brief_of(run) | {"since": round(max(since, 0.0), 3), "usual": usual, "done": done}


def usual_seconds(conn: Connection, job: str) -> float | None:
    """The middle of how long its last successful runs took."""
    taken = [
        (brief.finished_at - brief.started_at).total_seconds()
        for brief in history.succeeded(conn, job, limit=_USUAL)
        if brief.finished_at and brief.started_at
    ]
    return round(median(taken), 3) if taken else None


def _run(conn: Connection, name: str, at: datetime) -> Data | None:
    view = runviews.get(conn, RunId(name))
    if view is None:
        return None
    usual = usual_seconds(conn, view.job)
    shown = {
        "at": stamp(at),
        "usual": usual,
        "sentence": sentence.of_run(view, at, usual),
        "places": [_place(place) for place in sentence.places(view)],
        "nodes": [_node(node) for node in view.nodes],
    }
    return run_file(view) | {"shown": shown}


def _place(place: TargetView) -> Data:
    name = "" if place.name == RUNNER else place.name
    return {"name": name, "state": place.state and str(place.state), "steps": [_step(step) for step in place.steps]}


def _step(step: StepView) -> Data:
    good = step.state is StepState.SUCCEEDED
    return {
        "id": step.id,
        "phase": "" if step.phase == "steps" else step.phase,
        "logged": sentence.phase_and_step(step),
        "state": str(step.state),
        "rescued": step.rescued,
        "continued": step.continued,
        "duration": step.duration,
        "attempts": step.attempts,
        "error": step.error or "",
        "tail": "" if good else step.stderr_tail or step.stdout_tail or "",
        "log": step.log is not None,
    }


def _node(node: NodeView) -> Data:
    return {
        "id": node.id,
        "kind": node.kind,
        "state": str(node.state),
        "needs": list(node.needs),
        "runs": list(node.record.runs),
        "reason": node.record.reason or "",
    }
