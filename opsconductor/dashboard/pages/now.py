"""What needs somebody, what is going on, what comes next."""

from datetime import datetime, timedelta
from math import isfinite

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.runs.waits import sentence, wait_file
from engine.schedules.admission import Admissions
from engine.schedules.decide import Skips
from engine.schedules.fires import fires_of
from engine.states import RunState
from engine.status.readmodel import gate_file, sync_file
from engine.status.views import RunBrief
from engine.status.yamltext import stamp
from engine.times import zones
from engine.times.recurrence import TICK
from journal import graphs, happenings, history, trends
from journal.graphs import Progress
from journal.notices import Notice
from journal.trends import FirstError
from opsconductor.dashboard.forges import commit_at, line_at
from opsconductor.dashboard.pages.briefs import brief_of, usual_seconds
from opsconductor.dashboard.pages.page import Asked, Page
from opsconductor.dashboard.sources import Data, Engine, Sources
from opsconductor.dashboard.values import took
from opsconductor.service import health

_NEXT, _OPEN, _ENDED, _LATE, _MISSED, _NAMED = 15, 100, 15, 50, 50, 3
_OVERDUE = timedelta(seconds=30)
"""What is due is decided within a second or two."""
_RECENT = timedelta(hours=24)
_WISHED = (None, RunState.SUCCEEDED, RunState.CANCELLED)


async def load(sources: Sources, _: Asked) -> Data:
    """The first page."""
    at, catalog, view = sources.clock.now(), sources.engine.catalog, sources.engine.sync()
    advisory = not view.signed
    found = await sources.journal.read(lambda conn: _now(conn, catalog, at, advisory=advisory))
    next_ = _next(sources.engine)
    sync, trouble = sync_file(view)["status"], _trouble(sources.engine)
    found = {"toApprove": [dict(one) for one in view.to_approve], **found}
    return {
        "at": stamp(at),
        "sentence": _sentence(found, next_, sync, at, ready=trouble is None),
        "trouble": trouble,
        "sync": sync | {"findings": [_finding(sources.engine, sync, one) for one in sync["findings"]]},
        "source": _source(sources.engine, sync),
        **found,
        "overdue": [one for one in next_ if at - datetime.fromisoformat(one["instant"]) > _OVERDUE],
        "next": next_,
    }


PAGE = Page(
    "/", "now", load, api="/now", name="Now",
    gives=("trouble", "sync", "gates", "failing", "open", "ended", "next"),
)  # fmt: skip


def _trouble(engine: Engine) -> str | None:
    """Why the engine does not do its work, where it does not; whether its journal can be written is asked elsewhere,
    for that may take seconds."""
    pulse = engine.pulse()
    if pulse.never_began:
        return None
    found = health.in_short(health.ready(pulse, None))
    return found and (f"{found} (publishing: {pulse.unpublished})" if pulse.unpublished else found)


def _sentence(found: Data, next_: list[Data], sync: Data, at: datetime, *, ready: bool) -> str:
    failing, running = found["failing"], sum(one["state"] == "running" for one in found["open"])
    parts = [] if ready else ["The engine does not do its work"]
    if not sync["appliedCommit"]:
        parts.append("no commit is in force yet")
    elif sync["observedCommit"] != sync["appliedCommit"]:
        parts.append("the newest commit is not in force")
    begins_with_a_name = bool(failing) and not parts
    if failing:
        names = [one["job"] for one in failing[:_NAMED]]
        names += [f"{len(failing) - _NAMED} more"] if len(failing) > _NAMED else []
        named = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
        parts.append(f"{named} {'fail' if len(names) > 1 else 'fails'}")
    else:
        parts.append("nothing fails")
    if found["late"]:
        parts.append(f"{len(found['late'])} run{'s are' if len(found['late']) > 1 else ' is'} late")
    if waiting := len(found["gates"]) + len(found["toApprove"]):
        parts.append(f"{waiting} wait{'s' if waiting == 1 else ''} for people")
    parts.append(f"{running} run{'s' if running == 1 else ''}" if running else "nothing runs")
    if starting := [one for one in next_ if one["startsAt"]]:
        first = min(starting, key=lambda one: str(one["startsAt"]))
        ahead = max((datetime.fromisoformat(first["startsAt"]) - at).total_seconds(), 0.0)
        parts.append(f"{first['starts']} is next, in {took(ahead)}")
    text = ", ".join(parts)
    return f"{text if begins_with_a_name else text[0].upper() + text[1:]}."


def _source(engine: Engine, sync: Data) -> Data:
    """How fresh all of this is. Seconds; None for what has not happened yet."""
    pulse = engine.pulse()
    seen, passed = pulse.since(pulse.seen), pulse.since(pulse.passed)
    return {
        "seen": round(seen, 1) if isfinite(seen) else None,
        "reconciled": round(passed, 1) if isfinite(passed) else None,
        "every": pulse.pace.total_seconds(),
        "href": sync["appliedCommit"] and commit_at(engine.source, sync["appliedCommit"]),
    }


def _finding(engine: Engine, sync: Data, found: Data) -> Data:
    commit = sync["observedCommit"]
    return found | {"href": commit and line_at(engine.source, commit, found["file"], found["line"])}


def _next(engine: Engine) -> list[Data]:
    catalog = engine.catalog
    if catalog is None:
        return []
    admissions = Admissions(catalog)
    soonest = ((name, instant) for instant, name in engine.soonest(_NEXT) if name in catalog.schedules)
    return [_due(catalog, admissions, name, instant) for name, instant in soonest]


def _due(catalog: Catalog, admissions: Admissions, name: str, instant: datetime) -> Data:
    """What is due next of a schedule, and what would be decided if it were due now as the definitions are."""
    project, schedule = catalog.project.spec, catalog.schedules[name]
    spec, default = schedule.spec, project.defaults.time_zone
    zone = spec.time_zone or default or "UTC"
    due = fires_of(
        schedule,
        instant,
        instant + TICK,
        zone_default=default,
        suspended=project.suspend,
        admission=admissions.of(name),
    )
    fire = next(due, None)
    starts = fire and fire.starts_at
    return {
        "schedule": name,
        "kind": "job" if spec.job_ref else "workflow" if spec.workflow_ref else "discovery",
        "starts": spec.job_ref or spec.workflow_ref or spec.discovery_ref,
        "instant": stamp(instant),
        "local": instant.astimezone(zones.zone(zone)).isoformat(timespec="minutes"),
        "timeZone": zone,
        "decision": fire.decision if fire else "run",
        "reason": fire and fire.reason,
        "heldBy": list(fire.held_by) if fire else [],
        "startsAt": starts and stamp(starts),
    }


def _now(conn: Connection, catalog: Catalog | None, at: datetime, *, advisory: bool) -> Data:
    open_ = (*history.running(conn, limit=_OPEN), *history.waiting(conn, limit=_OPEN))
    done = history.ended_targets(conn, [brief.id for brief in open_])
    graphs_ = graphs.progress(conn, [brief.id for brief in open_ if brief.workflow])
    named = {(brief.job, brief.workflow) for brief in open_}
    usual = {(name, workflow): usual_seconds(conn, name, workflow=workflow) for name, workflow in named}
    return {
        "gates": [gate_file(gate, advisory=advisory) for gate in graphs.open_gates(conn)],
        "failing": _failing(conn, catalog),
        "open": [
            _open(one, at, done.get(one.id, 0), usual[one.job, one.workflow], graphs_.get(one.id)) for one in open_
        ],
        "late": [_late(notice, at) for notice in happenings.late(conn, at, ())[:_LATE]],
        "missed": [_missed(skips) for skips in trends.missed(conn, at - _RECENT, limit=_MISSED)],
        "ended": [brief_of(brief) for brief in history.ended(conn, limit=_ENDED)],
    }


def _failing(conn: Connection, catalog: Catalog | None) -> list[Data]:
    """Jobs and workflows that are defined and whose newest run was none that one could wish for."""
    if catalog is None:
        return []
    named = [(name, False) for name in catalog.jobs] + [(name, True) for name in catalog.workflows]
    last = trends.last_ended(conn, named)
    pasts = history.pasts(conn, [one for one in named if last.get(one) not in _WISHED])
    errors = trends.first_errors(conn, [past.last.id for past in pasts if past.last is not None][:_OPEN])
    return [
        {"job": past.name, "failures": past.consecutive_failures, "last": brief_of(past.last),
         "first": _first(errors.get(past.last.id)),
         "lastSuccess": past.last_success and brief_of(past.last_success)}
        for past in sorted(pasts, key=lambda past: past.name)
        if past.consecutive_failures and past.last is not None
    ]  # fmt: skip


def _first(found: FirstError | None) -> Data | None:
    return None if found is None else {"target": found.target, "step": found.step, "error": found.error}


def _late(notice: Notice, at: datetime) -> Data:
    due = datetime.fromisoformat(str(notice.data["due"]))
    return {"run": notice.run, "job": notice.name, "due": stamp(due), "by": round((at - due).total_seconds(), 1)}


def _missed(skips: Skips) -> Data:
    return {
        "schedule": skips.schedule,
        "from": stamp(skips.first),
        "to": stamp(skips.last),
        "count": skips.count,
        "reason": skips.reason,
    }


def _open(run: RunBrief, at: datetime, done: int, usual: float | None, graph: Progress | None) -> Data:
    """One that has not ended: how far it is, and how long such a run usually takes."""
    since = (at - (run.started_at or run.queued_at)) / timedelta(seconds=1)
    waits = sentence(wait_file(run.wait).get("waitsFor"))
    return brief_of(run) | {
        "waits": waits,
        "since": round(max(since, 0.0), 3),
        "usual": usual,
        "done": done,
        "nodes": graph and {"ended": graph.ended, "all": graph.nodes},
    }
