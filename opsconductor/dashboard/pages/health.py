"""Health: whether the engine does its work, who runs what, what waits, what could not be told, how long git takes."""

import shutil
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Connection

from engine.notifications.channels import OF_PROJECT
from engine.runs import runnerlabels
from engine.status.yamltext import stamp
from engine.times import zones
from journal import attendance, leadership, letters, measures, shares, wellbeing
from journal.databases import leaseclock
from journal.errors import Unavailable
from journal.measures import Measures
from opsconductor.dashboard.pages.page import Asked, Page
from opsconductor.dashboard.sources import Data, Sources
from opsconductor.service import health

_RUNNERS, _DEAD = 100, 50


async def load(sources: Sources, _: Asked) -> Data:
    """How the engine is; of the journal nothing where that cannot be read."""
    pulse, at = sources.engine.pulse(), sources.clock.now()
    parts = health.ready(pulse, await sources.engine.unwritable())
    bad = [part for part in parts if part.trouble is not None]
    head = {
        "at": stamp(at),
        "ready": not bad,
        "sentence": _sentence(bad),
        "parts": [{"name": part.name, "trouble": part.trouble} for part in parts],
        "version": version("opsconductor"),
        "startedAt": stamp(pulse.started_at),
        "upSeconds": round((at - pulse.started_at).total_seconds()),
        "clock": {"now": stamp(at), "timeZoneData": zones.source().to_json()},
        "paused": pulse.paused,
        "unpublished": pulse.unpublished,
        "git": [
            {"operation": name, "seconds": round(took.seconds, 3), "at": stamp(took.at), "failed": took.failed}
            for name, took in sorted(sources.lately.git.items())
        ],
        "store": _store(sources.journal_file),
        "working": pulse.working and {"runs": pulse.working.runs, "capacity": pulse.working.capacity},
        "rank": pulse.rank and {"name": pulse.rank.name, "leads": pulse.rank.leads, "leader": pulse.rank.leader},
    }
    try:
        return head | await sources.journal.read(lambda conn: _journal(conn, sources))
    except Unavailable as error:
        return head | _NOTHING | {"unread": error.message}


PAGE = Page(
    "/health", "health", load, name="Health",
    gives=("ready", "sentence", "parts", "version", "startedAt", "upSeconds", "clock", "paused", "unpublished", "git",
           "store", "working", "rank", "unread", "controllers", "runners", "untaken", "queues", "open", "gates",
           "behind", "messages", "failing", "dead"),
)  # fmt: skip

_NOTHING: Data = {"unread": None, "controllers": [], "runners": [], "untaken": [], "queues": [], "open": [], "gates": 0,
                  "behind": [], "messages": [], "failing": [], "dead": []}  # fmt: skip


def _store(file: Path) -> Data:
    """Bytes of the journal, and those that are free beside it."""
    log = file.with_name(file.name + "-wal")
    return {"journal": _size(file), "writeAheadLog": _size(log), "free": shutil.disk_usage(file.parent).free}


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # there is no write-ahead log just now
        return 0


def _journal(conn: Connection, sources: Sources) -> Data:
    at, measured = sources.clock.now(), measures.read(conn)
    pulse = sources.engine.pulse()
    known = _shared(conn) if pulse.rank is not None else {"runners": _alone(conn, pulse.started_at)}
    return _NOTHING | {
        **known,
        "queues": [
            {"pool": one.pool, "count": one.count, "oldest": stamp(one.oldest), "seconds": _age(at, one.oldest)}
            for one in measured.queues
        ],
        "open": _by_state(measured),
        "gates": measured.gates,
        "behind": [{"consumer": name, "entries": count} for name, count in measured.behind],
        "messages": [
            {"channel": one.channel, "state": one.state, "count": one.count, "oldest": stamp(one.oldest)}
            for one in measured.messages
        ],
        "failing": [
            {
                "channel": one.name,
                "waiting": one.waiting,
                "since": stamp(one.failing_since),
                "error": one.error,
                "canBeTried": one.name not in OF_PROJECT,
            }
            for one in letters.failing(conn)
            if one.failing_since is not None
        ],
        "dead": [
            {"id": one.id, "channel": one.channel, "subject": one.subject, "error": one.error, "at": stamp(one.at)}
            for one in wellbeing.dead_letters(conn, _DEAD)
        ],
    }


def _alone(conn: Connection, since: datetime) -> list[Data]:
    return [
        {"name": one.name, "pool": one.pool, "host": one.host, "since": stamp(one.since)}
        for one in wellbeing.begun(conn, since, _RUNNERS)
    ]


def _shared(conn: Connection) -> Data:
    """Who is at work on a journal that several processes share, by their signs of life."""
    at, leads = leaseclock.at(conn), leadership.leader(conn)
    controllers = attendance.known_controllers(conn, at=at)
    runners = attendance.known_runners(conn, at=at)
    led = None if leads is None or leads.until is None else leads.name
    return {
        "untaken": [
            {"pool": one.pool, "labels": runnerlabels.labels_of(one.needs), "count": one.count}
            for one in shares.untaken(conn)[:_RUNNERS]
        ],
        "controllers": [_shown(one) | {"leads": one.name == led} for one in controllers[:_RUNNERS]],
        "runners": [
            _shown(one) | {"pool": one.pool, "runs": one.runs, "capacity": one.capacity, "labels": dict(one.labels)}
            for one in runners[:_RUNNERS]
        ],
    }


def _shown(one: attendance.Controller | attendance.Runner) -> Data:
    return {
        "name": one.name,
        "host": one.host,
        "version": one.version,
        "since": stamp(one.since),
        "seenAt": stamp(one.seen_at),
        "lost": one.lost,
    }


def _by_state(measured: Measures) -> list[Data]:
    """How many runs are open, by state."""
    found: dict[str, int] = {}
    for one in measured.open:
        found[one.state] = found.get(one.state, 0) + one.count
    return [{"state": state, "count": count} for state, count in sorted(found.items())]


def _age(at: datetime, since: datetime) -> float:
    return round(max((at - since).total_seconds(), 0.0), 3)


def _sentence(bad: list[health.Part]) -> str:
    if not bad:
        return "The engine does its work."
    return "Not well: " + "; ".join(f"{part.name}, {part.trouble}" for part in bad) + "."
