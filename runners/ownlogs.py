"""The logs of a runner among several: each brings those in its own folder to where logs are kept, and removes those of
runs that retention has removed.

What was brought is remembered by a file beside the logs, so that nothing is asked of the journal but whether a run has
ended. Bringing it again is harmless.
"""

import asyncio
import contextlib
import math
import os
import time
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy import Connection, select

from engine.identity import RunId
from journal.databases.tables import runs
from journal.errors import Refused, Unavailable
from journal.store import Journal
from runners.logs import files_in, folder_of, remove
from runners.logstore import LogStore

log = structlog.get_logger(__name__)

_LOOK = 10.0
_SWEEP = 600.0
"""Seconds between two looks at all runs: what retention has removed is gone some minutes later."""
_ASKED_AT_ONCE = 200
_BROUGHT = "brought"
_YOUNG = timedelta(hours=1)
"""So long the logs stay of a run that the journal does not know."""


class OwnLogs:
    """`keep_up` beside the work; `finish` once more at the end. Without a `store` logs are removed and not brought.

    A folder may have those of a hundred thousand runs, so all of them are looked at seldom; meanwhile it is asked of
    the runs that had not ended, and of those that have begun since.
    """

    def __init__(self, journal: Journal, folder: Path, store: LogStore | None) -> None:
        self._journal = journal
        self._folder = folder
        self._store = store
        self._days: dict[Path, int] = {}
        """The folders of days, each with when something was last made in it, as of the last look."""
        self._open: set[RunId] = set()
        """Runs that are to be brought when they end."""

    async def keep_up(self) -> None:
        """Bring what ends, for ever."""
        due = -math.inf
        while True:
            try:
                if time.monotonic() >= due:
                    await self.finish()
                    due = time.monotonic() + _SWEEP
                else:
                    await self.look()
            except (Unavailable, Refused) as error:
                log.warning("logs are brought to their place later", error=error.message)
            await asyncio.sleep(_LOOK)

    async def look(self) -> None:
        """Bring what has ended since the last look, which costs what goes on and no more. Raises Unavailable."""
        if self._store is not None:
            self._open.update(await asyncio.to_thread(self._begun))
            await self._settle_all(sorted(self._open))

    async def finish(self) -> None:
        """Bring what is left, of all runs. Raises Unavailable; the next start makes up for it."""
        self._days.clear()
        await self._settle_all(sorted(await asyncio.to_thread(self._begun)))

    async def _settle_all(self, names: list[RunId]) -> None:
        for start in range(0, len(names), _ASKED_AT_ONCE):
            some = names[start : start + _ASKED_AT_ONCE]
            known = await self._journal.read(lambda conn, some=some: _ended(conn, some))  # type: ignore[misc]
            for run in some:
                await self._settle(run, known.get(run))
                if known.get(run) is False:
                    self._open.add(run)
                else:
                    self._open.discard(run)

    async def _settle(self, run: RunId, ended: bool | None) -> None:
        if ended is None:
            await asyncio.to_thread(self._remove, run)
        elif ended and self._store is not None and not self._mark(run).exists():
            for name in await asyncio.to_thread(files_in, self._folder, run):
                await self._store.put(name, self._folder / name)
            await asyncio.to_thread(self._mark(run).touch)

    def _begun(self) -> list[RunId]:
        """The runs of the days in whose folders something was made since the last look."""
        found: list[RunId] = []
        for day in self._folder.glob("[0-9]*/[0-9]*/[0-9]*"):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # removed as empty just then
                changed = day.stat().st_mtime_ns  # before it is read: what is made meanwhile is seen the next time
                if self._days.get(day) != changed:
                    with os.scandir(day) as entries:
                        found += [RunId(entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
                    self._days[day] = changed
        return found

    def _mark(self, run: RunId) -> Path:
        return self._folder / (folder_of(run) or "") / _BROUGHT

    def _remove(self, run: RunId) -> None:
        folder = folder_of(run)
        if folder is not None and time.time() - (self._folder / folder).stat().st_mtime > _YOUNG.total_seconds():
            remove(self._folder, run)


def _ended(conn: Connection, names: list[RunId]) -> dict[RunId, bool]:
    rows = conn.execute(select(runs.c.id, runs.c.finished_at).where(runs.c.id.in_(names)))
    return {RunId(row.id): row.finished_at is not None for row in rows}
