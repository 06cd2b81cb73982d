"""What one step printed: its attempts, and a window of the last one that printed anything."""

import asyncio
from dataclasses import asdict
from pathlib import Path

from engine.identity import RunId
from engine.pinned import RUNNER
from engine.yamltext import stamp
from journal import runviews
from opsconductor.dashboard.logpage import window
from opsconductor.dashboard.pages.page import Asked, Page, UnfitQuery
from opsconductor.dashboard.sources import Data, Sources
from opsconductor.runlog import log_files


async def load(sources: Sources, asked: Asked) -> Data | None:
    """The query has `step`, `target` where there is one, and `line`, where the window begins; else it is the last."""
    target, step, line = (asked.query.get(name, "") for name in ("target", "step", "line"))
    if line and not (line.isascii() and line.isdecimal() and len(line) <= 12):
        raise UnfitQuery("'line' is a number from 1 on")
    view = await sources.journal.read(lambda conn: runviews.get(conn, RunId(asked.path["run"])))
    if view is None:
        return None
    found = await asyncio.to_thread(_logs_of, sources.logs, view.id, target or RUNNER, step)
    shown = await asyncio.to_thread(window, found[-1], int(line) if line else None) if found else None
    return {
        "at": stamp(sources.clock.now()),
        "run": view.id,
        "state": str(view.state),
        "target": target,
        "step": step,
        "window": shown and asdict(shown),
    }


PAGE = Page("/runs/{run}/log", "log", load)


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
