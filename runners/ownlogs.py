"""The logs of a runner among several: each brings those in its own folder to where logs are kept, and removes those of
runs that retention has removed.

What was brought is remembered by a file beside the logs, so that nothing is asked of the journal but whether a run has
ended. Bringing it again is harmless. Logs of a run that the journal has never had stay: it may be another journal than
theirs, by a mistaken URL, a restored backup, or because what the status branch has was not taken in yet.
"""

import asyncio
import contextlib
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Connection, select

from engine.identity import RunId
from journal.databases.tables import causes, runs
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


@dataclass(frozen=True, slots=True)
class _Known:
    """What the journal says of some runs; it has never had those that are in none of these."""

    ended: frozenset[RunId]
    open: frozenset[RunId]
    removed: frozenset[RunId]


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
        """Bring what has ended since the last look, which costs what goes on and no more.

        Raises Unavailable and Refused, once all that could be brought was.
        """
        if self._store is not None:
            self._open.update(await asyncio.to_thread(self._begun))
            await self._settle_all(sorted(self._open))

    async def finish(self) -> None:
        """Bring what is left, of all runs. Raises as `look` does; the next start makes up for it."""
        self._days.clear()
        await self._settle_all(sorted(await asyncio.to_thread(self._begun)))

    async def _settle_all(self, names: list[RunId]) -> None:
        failed: Unavailable | Refused | None = None
        strange = 0
        for start in range(0, len(names), _ASKED_AT_ONCE):
            some = names[start : start + _ASKED_AT_ONCE]
            known = await self._journal.read(lambda conn, some=some: _known(conn, some))  # type: ignore[misc]
            strange += len({*some} - known.ended - known.open - known.removed)
            for run in some:
                try:
                    await self._settle(run, known)
                except (Unavailable, Refused) as error:  # one that cannot be brought holds no other up
                    failed = failed or error
                    self._open.add(run)
        if strange:
            log.warning(
                "logs of runs that the journal never had are left alone", runs=strange, folder=str(self._folder)
            )
        if failed is not None:
            raise failed

    async def _settle(self, run: RunId, known: _Known) -> None:
        if run in known.open:
            self._open.add(run)
            return
        if run in known.removed:
            await asyncio.to_thread(remove, self._folder, run)
        elif run in known.ended and self._store is not None and not self._mark(run).exists():
            for name in await asyncio.to_thread(files_in, self._folder, run):
                await self._store.put(name, self._folder / name)
            await asyncio.to_thread(self._mark(run).touch)
        self._open.discard(run)

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


def _known(conn: Connection, names: list[RunId]) -> _Known:
    rows = conn.execute(select(runs.c.id, runs.c.finished_at).where(runs.c.id.in_(names))).all()
    ended = frozenset(RunId(row.id) for row in rows if row.finished_at is not None)
    open_ = frozenset(RunId(row.id) for row in rows if row.finished_at is None)
    others = [run for run in names if run not in ended and run not in open_]
    gone = conn.execute(select(causes.c.run).where(causes.c.run.in_(others))).scalars() if others else ()
    return _Known(ended, open_, frozenset(RunId(run) for run in gone))
