"""The logs that a run has, and each of them as the text that it is: for the command line, and for whoever saves one."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from engine.identity import RunId
from engine.runs.pinned import RUNNER
from engine.states import is_final
from engine.status.yamltext import stamp
from journal import history
from opsconductor.dashboard.pages.log import kept_log, logs_of, number_and_step
from opsconductor.dashboard.pages.page import Asked, Page, number_of
from opsconductor.dashboard.sources import Data, Sources
from opsconductor.runlog import begun, log_files, named_logs

_MOST = 20_000
_PART = 1 << 18


async def listed(sources: Sources, asked: Asked) -> Data | None:
    """Every log of a run, by target in the order in which its steps began to print; `bytes` where it is here."""
    found = await sources.journal.read(lambda conn: history.brief(conn, RunId(asked.path["run"])))
    if found is None:
        return None
    logs = await asyncio.to_thread(_here, sources.logs, found.id)
    if not logs and sources.log_store is not None and is_final(found.state):
        root = Path("/")
        named = sorted(named_logs([root / name for name in await sources.log_store.names(found.id)], root))
        logs = [_entry(target, name, None) for target, name, _ in named]
    return {
        "at": stamp(sources.clock.now()),
        "run": found.id,
        "state": str(found.state),
        "ended": is_final(found.state),
        "total": len(logs),
        "logs": logs[:_MOST],
    }


PAGE = Page("/runs/{run}/logs", "logs", listed, gives=("run", "state", "ended", "total", "logs"))


@dataclass(frozen=True, slots=True)
class Text:
    """A part of a file as it was when it was asked for: `size` bytes from `begin` on."""

    file: Path
    begin: int
    size: int

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Never more than was promised: the file may grow while it is read."""
        left = self.size
        with self.file.open("rb") as stream:
            stream.seek(self.begin)
            while left and (part := await asyncio.to_thread(stream.read, min(_PART, left))):
                left -= len(part)
                yield part


async def text(sources: Sources, asked: Asked) -> Text | None:
    """The query is that of the log's page, with `from`, the bytes that the reader has already, in place of `line`."""
    begin = number_of(asked.query, "from", 1) if asked.query.get("from") not in (None, "", "0") else 0
    attempt = number_of(asked.query, "attempt", 1) if asked.query.get("attempt") else None
    found = await sources.journal.read(lambda conn: history.brief(conn, RunId(asked.path["run"])))
    if found is None:
        return None
    place = (asked.query.get("target") or RUNNER, asked.query.get("step", ""))
    logs = await asyncio.to_thread(logs_of, sources.logs, found.id, *place)
    if not logs and sources.log_store is not None and is_final(found.state):
        logs = await kept_log(sources.kept.fetched, sources.log_store, found.id, place, attempt)
    file = logs.get(attempt if attempt is not None else max(logs, default=0))
    try:
        return None if file is None else Text(file, begin, max(file.stat().st_size - begin, 0))
    except OSError:  # it went while it was looked at
        return None


def _here(logs: Path, run: RunId) -> list[Data]:
    """Those that are there; none of what retention removes meanwhile."""
    try:
        return [
            _entry(target, name, file.stat().st_size) for target, name, file in sorted(log_files(logs, run), key=begun)
        ]
    except OSError:
        return []


def _entry(target: str, name: str, size: int | None) -> Data:
    attempt, step = number_and_step(name)
    return {"target": "" if target == RUNNER else target, "step": step, "attempt": attempt, "name": name, "bytes": size}
