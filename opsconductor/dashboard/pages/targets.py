"""Targets: how each has been doing, how it is reached, and which jobs choose it and why."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from engine.catalog import Catalog, connection_of
from engine.groupvars import Variables
from engine.identity import RunId
from engine.selection import members
from engine.states import StepState
from engine.status.views import TargetStatusView
from engine.status.yamltext import one_line, stamp
from journal import heartbeats, history, trends
from journal.heartbeats import Beat
from journal.trends import FirstError
from opsconductor.dashboard.definitions import address, entries, matching
from opsconductor.dashboard.documentlines import masked
from opsconductor.dashboard.pages.kinds import SEARCHED, page_number, portion, words_of
from opsconductor.dashboard.pages.page import Asked, Page
from opsconductor.dashboard.reasons import reasons
from opsconductor.dashboard.sources import Data, Sources
from opsconductor.lasttests import LastTest, last, noted
from schemas.target import Target

_A_PAGE = 100
_BEATS, _ALL_BEATS = 30, 100
_JOBS = 200
_GOOD = (StepState.SUCCEEDED, StepState.SKIPPED)
_NAMED = 5
_EXPLAINED, _WHY = 50, 200
"""So many ends say what went wrong, in so many characters."""
_LINKED = {"credentialRef": "Credential", "jump": "Target"}


async def listed(sources: Sources, asked: Asked) -> Data:
    """The targets that match `q`, a page of them, each with its last ends."""
    query, number, catalog = words_of(asked), page_number(asked), sources.engine.catalog
    found = portion(_matching(catalog, query), number, _A_PAGE)
    names = [one["name"] for one in found["documents"]]
    beats = await sources.journal.read(lambda conn: heartbeats.of_targets(conn, names, _BEATS))
    shown = [one | _row(catalog, one["name"], beats[one["name"]]) for one in found.pop("documents")]
    head = {"at": stamp(sources.clock.now()), "commit": catalog and catalog.commit, "q": query}
    return head | found | {"sentence": sentence(shown), "notWell": _not_well(shown), "targets": shown}


async def one(sources: Sources, asked: Asked) -> Data | None:
    """A target that is defined, or on which a run has ended."""
    name, catalog = asked.path["name"], sources.engine.catalog
    beats, errors, status, shared = await sources.journal.read(lambda conn: _past(conn, name))
    target = catalog.targets.get(name) if catalog is not None else None
    if target is None and not beats:
        return None
    tested = None if target is None else await asyncio.to_thread(_last_test, sources, target.name, shared)
    head = {
        "at": stamp(sources.clock.now()),
        "commit": catalog and catalog.commit,
        "name": name,
        "defined": target is not None,
        "state": status.state,
        "unreachableSince": status.unreachable_since and stamp(status.unreachable_since),
        "beats": [_beat(beat) | {"why": _why(beat, errors.get(beat.run))} for beat in beats],
        "well": _share(beats),
        "tested": _tested(name, tested),
    }
    return head | (_defined(catalog, target) if catalog is not None and target is not None else _UNDEFINED)


PAGES = (
    Page(
        "/targets", "targets", listed, name="Targets", asks=SEARCHED,
        gives=("commit", "q", "total", "page", "pages", "sentence", "notWell", "targets"),
    ),
    Page(
        "/targets/{name}", "target", one,
        gives=("commit", "name", "defined", "state", "unreachableSince", "beats", "well", "tested", "host", "os",
               "labels", "description", "owner", "connections", "jobs", "jobsTotal", "vars", "facts", "groups"),
    ),
)  # fmt: skip

_UNDEFINED: Data = {
    "host": None, "os": None, "labels": {}, "description": "", "owner": "", "connections": [], "jobs": [],
    "jobsTotal": 0, "vars": [], "facts": {}, "groups": [],
}  # fmt: skip


def _matching(catalog: Catalog | None, query: str) -> list[Data]:
    return matching(entries(catalog, "Target"), query) if catalog is not None else []


def _row(catalog: Catalog | None, name: str, beats: tuple[Beat, ...]) -> Data:
    target = catalog.targets.get(name) if catalog is not None else None
    last = beats[-1] if beats else None
    return {
        "host": target.spec.host if target is not None else None,
        "os": target.spec.os if target is not None else None,
        "href": f"/targets/{name}",
        "state": last and last.state,
        "lastAt": last and stamp(last.at),
        "lastRun": last and last.run,
        "beats": [_beat(beat) for beat in beats],
        "well": _share(beats),
    }


def _beat(beat: Beat) -> Data:
    return {"run": beat.run, "job": beat.job, "state": beat.state, "at": stamp(beat.at), "reason": beat.reason}


def _share(beats: Iterable[Beat]) -> str:
    """How many of its ends were good, in words."""
    states = [beat.state for beat in beats]
    return f"{sum(state in _GOOD for state in states)} of the last {len(states)} ended well" if states else "never used"


def _not_well(shown: list[Data]) -> list[str]:
    return [one["name"] for one in shown if one["state"] not in (None, *_GOOD)]


def sentence(shown: list[Data]) -> str:
    """How the targets of a list are, each with its `name` and `state`; None of one that was never used."""
    bad = _not_well(shown)
    used = sum(one["state"] is not None for one in shown)
    left = len(shown) - used
    unused = f"; {left} {'was' if left == 1 else 'were'} never used" if left else ""
    if not used:
        return "No target here was used yet." if shown else "There is no target here."
    if not bad:
        well = "The one target" if used == 1 else f"All {used} targets"
        return f"{well} here that {'was' if used == 1 else 'were'} used ended well last time{unused}."
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    return f"{len(bad)} of {used} targets here did not end well last time: {', '.join(bad[:_NAMED])}{more}{unused}."


def _last_test(sources: Sources, name: str, shared: LastTest | None) -> LastTest | None:
    """The newer of what the journal has and what lies on this machine."""
    kept = None if sources.tests is None else last(sources.tests, name)
    return max((one for one in (kept, shared) if one is not None), key=lambda one: one.at, default=None)


def _tested(name: str, found: LastTest | None) -> Data:
    """What `target test` found last, and how to ask it again."""
    trials = () if found is None else found.trials
    return {
        "recorded": found is not None,
        "command": f"opsconductor target test {name}",
        "at": found and stamp(found.at),
        "failed": sum(not one.ok for one in trials),
        "trials": {
            one.connection: {"ok": one.ok, "message": one.message, "seconds": round(one.seconds, 3)} for one in trials
        },
    }


def _past(
    conn: Connection, name: str
) -> tuple[tuple[Beat, ...], Mapping[RunId, FirstError], TargetStatusView, LastTest | None]:
    beats = heartbeats.of_targets(conn, (name,), _ALL_BEATS)[name]
    bad = [beat.run for beat in beats if beat.state not in _GOOD][-_EXPLAINED:]
    errors = trends.first_errors(conn, bad, target=name)
    return beats, errors, history.target(conn, name), noted(conn, name)


def _why(beat: Beat, first: FirstError | None) -> str | None:
    return beat.reason if first is None else f"{first.step}: {first.error.partition(chr(10))[0][:_WHY]}"


def _defined(catalog: Catalog, target: Target) -> Data:
    metadata, spec = target.metadata, target.spec
    jobs, only = list(_choosing(catalog, target)), {target.name: target}
    return {
        "host": spec.host,
        "os": spec.os,
        "labels": dict(metadata.labels),
        "description": metadata.description,
        "owner": metadata.owner,
        "connections": _connections(target),
        "jobs": jobs[:_JOBS],
        "jobsTotal": len(jobs),
        "vars": _vars(catalog, target),
        "facts": masked(target.to_json()["spec"].get("facts", {})),
        "groups": [name for name in sorted(catalog.groups) if target.name in members(name, only, catalog.groups)],
    }


def _choosing(catalog: Catalog, target: Target) -> Iterable[Data]:
    for name, job in sorted(catalog.jobs.items()):
        if job.spec.targets is not None and (why := reasons(job.spec.targets, target, catalog.groups)):
            yield {"job": name, "why": why, "held": catalog.held.get(job.identity)}


def _connections(target: Target) -> list[Data]:
    """How it is reached, without what it is logged in with."""
    given = target.to_json()["spec"].get("connections", {})
    found = {name: given[name] for name in given if name != "plugins"} | given.get("plugins", {})
    default = connection_of(target)
    return [
        {"name": name, "default": name == default, "settings": [_setting(*one) for one in masked(settings).items()]}
        for name, settings in found.items()
    ]


def _setting(name: str, value: Any) -> Data:
    kind = _LINKED.get(name) if isinstance(value, str) else None
    shown = "a certificate in the text" if isinstance(value, str) and "-----BEGIN" in value else one_line(value)
    return {"name": name, "value": value if kind else shown, "href": address(kind, value) if kind else None}


def _vars(catalog: Catalog, target: Target) -> list[Data]:
    """What expressions see as `target.vars`, and where each is from."""
    own = {key: (value, "") for key, value in target.spec.vars.items()}
    found = Variables(catalog.groups).given(target) | own
    return [
        {"name": key, "value": masked(value, key), "group": group or None}
        for key, (value, group) in sorted(found.items())
    ]
