"""What needs somebody, what is going on, what comes next."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from engine import zones
from engine.catalog import Catalog
from engine.gates import ADVISORY
from engine.readmodel import gate_file, sync_file
from engine.views import RunBrief
from engine.yamltext import stamp
from journal import graphs, history
from opsconductor.dashboard.pages.briefs import brief_of, usual_seconds
from opsconductor.dashboard.pages.page import Asked, Page
from opsconductor.dashboard.sources import Data, Engine, Sources

_NEXT, _OPEN, _ENDED = 15, 100, 15


async def load(sources: Sources, _: Asked) -> Data:
    """The first page."""
    at, catalog = sources.clock.now(), sources.engine.catalog
    found = await sources.journal.read(lambda conn: _now(conn, catalog, at))
    return {"at": stamp(at), "sync": sync_file(sources.engine.sync())["status"], **found, "next": _next(sources.engine)}


PAGE = Page(
    "/", "now", load, api="/now", name="Now",
    gives=("sync", "gates", "failing", "open", "ended", "next"),
)  # fmt: skip


def _next(engine: Engine) -> list[Data]:
    catalog = engine.catalog
    if catalog is None:
        return []
    soonest = ((name, instant) for instant, name in engine.soonest(_NEXT) if name in catalog.schedules)
    return [_due(catalog, name, instant) for name, instant in soonest]


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


def _open(run: RunBrief, at: datetime, done: int, usual: float | None) -> Data:
    """One that has not ended: how far it is, and how long such a run usually takes."""
    since = (at - (run.started_at or run.queued_at)) / timedelta(seconds=1)
    return brief_of(run) | {"since": round(max(since, 0.0), 3), "usual": usual, "done": done}
