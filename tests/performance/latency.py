"""From a commit to a run's start, and from a schedule's instant to it: `opsconductor up` on a repository on disk."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.catalogs import HEAD, PROJECT, job, local_target
from tests.performance.installed_engine import MAIN, REQUESTS, Running, Source, up
from tests.performance.measuring import milliseconds, percentile
from tests.performance.table import Row

_ASKED = 30
_DUE = 20
_STARTED = "SELECT started_at / 1e6 FROM runs WHERE cause_key = ? AND finished_at IS NOT NULL"


def definitions() -> dict[str, str]:
    """One job on this machine that does nothing."""
    documents = {"here": local_target("here"), "empty": job("empty", ":", "  targets: {names: [here]}\n")}
    return {"opsconductor.yaml": PROJECT, **{f"definitions/{name}.yaml": HEAD + it for name, it in documents.items()}}


async def rows(folder: Path) -> list[Row]:
    source = Source(folder / "source.git")
    source.push(MAIN, source.commit(MAIN, definitions()))
    async with up(source, folder / "state") as engine:
        asked = [await _request(source, engine, REQUESTS, f"ask-{number}") for number in range(_ASKED)]
        on_main = [await _request(source, engine, MAIN, f"main-{number}") for number in range(_ASKED)]
        due = await _schedules(source, engine)
    return [
        _row(f"from the commit of a RunRequest to its run's start ({_ASKED})", asked),
        _row(f"the same on the definitions branch ({_ASKED})", on_main),
        _row(f"from a schedule's `at` to its run's start ({_DUE})", due),
    ]


async def _request(source: Source, engine: Running, ref: str, name: str) -> float:
    text = f"{HEAD}kind: RunRequest\nmetadata: {{name: {name}}}\nspec: {{jobRef: empty}}\n"
    commit = source.commit(ref, {f"definitions/requests/{name}.yaml": text})
    await asyncio.sleep(random.uniform(0.1, 0.6))  # the engine's own rhythm must not be met
    pushed = time.time()
    source.push(ref, commit)
    ((started,),) = await engine.asked(_STARTED, f"request/{name}")
    return float(str(started)) - pushed


async def _schedules(source: Source, engine: Running) -> list[float]:
    """One commit of many schedules, each due a second after the one before."""
    first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=6)
    instants = [first + timedelta(seconds=number) for number in range(_DUE)]
    files = {
        f"definitions/at-{number}.yaml": f"{HEAD}kind: Schedule\nmetadata: {{name: at-{number}}}\n"
        f"spec: {{jobRef: empty, at: {instant:%Y-%m-%dT%H:%M:%SZ}}}\n"
        for number, instant in enumerate(instants)
    }
    source.push(MAIN, source.commit(MAIN, files))
    found = []
    for number, instant in enumerate(instants):
        key = f"schedule/at-{number}/{instant:%Y%m%dT%H%M%SZ}"
        ((started,),) = await engine.asked(_STARTED, key)
        found.append(float(str(started)) - instant.timestamp())
    return found


def _row(what: str, seconds: list[float]) -> Row:
    half, most = (milliseconds(percentile(seconds, hundredth)) for hundredth in (50, 95))
    return Row(what, f"p50 {half}, p95 {most}")
