"""What one step printed: its attempts, and a window of the last one that printed anything."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import Connection

from engine.identity import RunId
from engine.runs.pinned import RUNNER, PinnedSpec
from engine.states import is_final
from engine.status.views import RunView
from engine.status.yamltext import stamp
from journal import attempts, history, runviews
from opsconductor.dashboard.fetched import Fetched
from opsconductor.dashboard.logpage import Line, groups, window
from opsconductor.dashboard.pages.page import Asked, Page, number_of
from opsconductor.dashboard.sentence import phase_and_step, places
from opsconductor.dashboard.sources import Data, Sources
from opsconductor.dashboard.troubles import Elsewhere, NoSuchThing, Way
from opsconductor.runlog import log_files, named_logs
from runners.logstore import LogStore

_WAYS = 30


async def load(sources: Sources, asked: Asked) -> Data | None:
    """The query has `step`, `target` where there is one, `attempt`, and `line`, where the window begins.

    Without `attempt` it is the last, without `line` the end. Without `step` it is elsewhere: the one log that there is,
    or the list of them.
    """
    target, step, line = (asked.query.get(name, "") for name in ("target", "step", "line"))
    first = number_of(asked.query, "line", 1) if line else None
    attempt = number_of(asked.query, "attempt", 1) if asked.query.get("attempt") else None
    found = await sources.journal.read(lambda conn: history.brief(conn, RunId(asked.path["run"])))
    if found is None:
        return None
    if not step:
        raise Elsewhere(await sources.journal.read(lambda conn: _nearest(conn, found.id, target)))
    place = (target or RUNNER, step)
    logs = await asyncio.to_thread(logs_of, sources.logs, found.id, *place)
    if not logs and sources.log_store is not None and is_final(found.state):  # they go there at its end
        logs = await kept_log(sources.kept.fetched, sources.log_store, found.id, place, attempt)
    if not logs and (wrong := await sources.journal.read(lambda conn: _unknown(conn, found.id, place))) is not None:
        raise wrong
    shown = await asyncio.to_thread(_shown, sources, logs, attempt, first)
    return {
        "at": stamp(sources.clock.now()),
        "run": found.id,
        "state": str(found.state),
        "ended": is_final(found.state),
        "target": target,
        "step": step,
        "line": first,
        **shown,
    }


def _unknown(conn: Connection, run: RunId, place: tuple[str, str]) -> NoSuchThing | None:
    """What to say where a run has no such step, or not there, with the logs that it has; None where it has, or will."""
    view, given = runviews.get(conn, run), attempts.planned(conn, run)
    if view is None:
        return None
    there = [(one.name, phase_and_step(step)) for one in places(view) for step in one.steps]
    if place in there or _may_come(view, given, *place):
        return None
    on = "" if place[0] == RUNNER else f" on {place[0]}"
    said = f"run {run} has no step {place[1]}{on}"
    ways = [_way(run, *one) for one in _logged(view)][:_WAYS]
    return NoSuchThing(f"{said}; these are the logs that it has" if ways else said, (*ways, Way(run, f"/runs/{run}")))


def _nearest(conn: Connection, run: RunId, target: str) -> str:
    """Where somebody is led who does not say which step: to the one log of the run, or of the target; else to all."""
    view = runviews.get(conn, run)
    logged = [one for one in _logged(view) if not target or one[0] == target] if view is not None else []
    return _way(run, *logged[0]).href if len(logged) == 1 else f"/runs/{run}/logs"


def _logged(view: RunView) -> list[tuple[str, str]]:
    """The logs that a run has, by target and step."""
    return [(one.name, phase_and_step(step)) for one in places(view) for step in one.steps if step.log is not None]


def _may_come(view: RunView, given: attempts.Planned | None, target: str, step: str) -> bool:
    """Whether a run that goes on has this step still before it."""
    plan = None if given is None else given.plan
    if is_final(view.state) or not isinstance(plan, PinnedSpec) or target not in (view.targets or (RUNNER,)):
        return False
    return step in {one.id if one.phase == "steps" else f"{one.phase}/{one.id}" for one in plan.every_step}


def _way(run: RunId, target: str, step: str) -> Way:
    on = "" if target == RUNNER else target
    query = urlencode({"target": on, "step": step})
    return Way(f"{step} on {on}" if on else step, f"/runs/{run}/log?{query}")


PAGE = Page(
    "/runs/{run}/log",
    "log",
    load,
    asks={
        "step": "The step; without it a redirect leads to the one log there is, or to the list of all.",
        "target": "The target, where it has one.",
        "attempt": "The attempt, from 1 on; else the last.",
        "line": "The first line; else the last ones.",
    },
    gives=("run", "state", "target", "step", "window"),
)


def _shown(sources: Sources, logs: Mapping[int, Path], attempt: int | None, first: int | None) -> Data:
    chosen = attempt if attempt is not None else max(logs, default=None)
    if chosen is None or chosen not in logs:
        return {"attempts": sorted(logs), "attempt": chosen, "window": None, "groups": []}
    try:
        seen = window(logs[chosen], first, sources.kept.logs.of(logs[chosen]))
        share = round(seen.size / max(logs[chosen].stat().st_size, 1), 3)
    except OSError:  # it went while it was looked at
        return {"attempts": sorted(logs), "attempt": chosen, "window": None, "groups": []}
    return {
        "attempts": sorted(logs),
        "attempt": chosen,
        "window": {
            "first": seen.first,
            "total": seen.total,
            "lines": [_line(line) for line in seen.lines],
            "error": seen.error,
            "size": seen.size,
            "whole": seen.whole,
            "share": share,
        },
        "groups": [{"lines": one.lines, "folds": one.folds} for one in groups(seen.lines)],
    }


def _line(line: Line) -> Data:
    pieces = [{"text": one.text, "classes": one.classes} for one in line.pieces]
    return {"number": line.number, "pieces": pieces, "cut": line.cut}


async def kept_log(
    fetched: Fetched, store: LogStore, run: RunId, place: tuple[str, str], attempt: int | None
) -> dict[int, Path]:
    """The logs of a step's attempts that the place for logs has; of them only the one that is shown is fetched."""
    target, step = place
    root = Path("/")
    named = named_logs([root / name for name in await store.names(run)], root)
    logs = _by_attempt(((name, file) for where, name, file in named if where == target), step)
    chosen = attempt if attempt is not None else max(logs, default=None)
    if chosen is not None and chosen in logs:
        logs[chosen] = await fetched.file(store, logs[chosen].relative_to(root).as_posix())
    return logs


def logs_of(logs: Path, run: RunId, target: str, step: str) -> dict[int, Path]:
    """The logs of a step's attempts, by number. Only names that are there are compared: nothing asked is a path."""
    return _by_attempt(((name, file) for place, name, file in log_files(logs, run) if place == target), step)


def _by_attempt(named: Iterable[tuple[str, Path]], step: str) -> dict[int, Path]:
    known = ((number_and_step(name), file) for name, file in named)
    return {attempt: file for (attempt, one), file in known if one == step}


def number_and_step(name: str) -> tuple[int, str]:
    """2 and `finally/finally_1` of `finally.finally_1.2.log`; the phase of the steps themselves is not said."""
    phase, _, rest = name.removesuffix(".log").partition(".")
    step, _, attempt = rest.rpartition(".")
    return int(attempt) if attempt.isdecimal() else 0, step if phase == "steps" else f"{phase}/{step}"
