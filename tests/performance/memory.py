"""Memory that `opsconductor up` has in use: idle, and with a thousand runs in the queue."""

import asyncio
import sys
from pathlib import Path

from tests.catalogs import HEAD
from tests.performance.installed_engine import MAIN, REQUESTS, Running, Source, up
from tests.performance.latency import definitions
from tests.performance.measuring import times
from tests.performance.table import Row

_QUEUED = 1000
_RUNNING = 50  # what a runner does at once; they hold the others in the queue
_SETTLED = 5
_IMPORTS = (
    "import opsconductor.wiring\n"
    "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmRSS:')))"
)


async def rows(folder: Path) -> list[Row]:
    source = Source(folder / "source.git")
    source.push(MAIN, source.commit(MAIN, definitions()))
    bare = await _imports()
    async with up(source, folder / "state") as engine:
        await asyncio.sleep(_SETTLED)
        idle = engine.resident()
        source.push(REQUESTS, source.commit(REQUESTS, dict(_asked(number) for number in range(_QUEUED + _RUNNING))))
        await _queued(engine)
        await asyncio.sleep(_SETTLED)
        full = engine.resident()
    return [
        Row("resident memory of `up`, idle", _mebibytes(idle), f"its imports alone {_mebibytes(bare)}",
            times(idle / bare)),
        Row(f"the same with {_QUEUED:,} runs queued and {_RUNNING} running", _mebibytes(full),
            f"idle {_mebibytes(idle)}", f"{(full - idle) / 1024 / _QUEUED:.1f} KiB a run"),
    ]  # fmt: skip


def _asked(number: int) -> tuple[str, str]:
    text = (
        f"{HEAD}kind: RunRequest\nmetadata: {{name: wait-{number}}}\n"
        "spec: {job: {steps: [{run: sleep 600}], targets: {names: [here]}}}\n"
    )
    return f"requests/wait-{number}.yaml", text


async def _queued(engine: Running) -> None:
    async with asyncio.timeout(300):
        while engine.ask("SELECT count(*) FROM runs WHERE state = 'queued'") != [(_QUEUED,)]:
            await asyncio.sleep(0.2)


async def _imports() -> int:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _IMPORTS, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return int(said) * 1024


def _mebibytes(size: int) -> str:
    return f"{size / 1024 / 1024:.0f} MiB"
