"""Logs of ended runs, brought to where they are kept: a consumer of the outbox, which holds nothing back.

A run's logs are put there once it has ended, and put again where it is not certain that they were. What fails is tried
again, later and later, and said. What retention has removed is removed there too.
"""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection

from engine.identity import RunId
from journal import facts, outbox, runs
from journal.clock import Clock
from journal.errors import Unavailable
from journal.store import Journal
from runners.logs import files_in
from runners.logstore import LogStore

log = structlog.get_logger(__name__)

CONSUMER = "logs"
GONE = "logs.gone"
"""The fact that names runs whose logs are to be removed where they are kept."""
_MOST = 20
_AT_ONCE = 4
_SHORTEST, _LONGEST = timedelta(seconds=5), timedelta(minutes=5)
_LOOK = 60.0


def off(tx: Connection) -> None:
    """Logs are kept nowhere else (any more): the outbox waits for nobody."""
    outbox.forget(tx, CONSUMER)
    if facts.get(tx, GONE) is not None:
        facts.put(tx, GONE, [])


def removed(tx: Connection, gone: tuple[RunId, ...]) -> None:
    """Retention has removed these runs."""
    facts.put(tx, GONE, [*facts.get(tx, GONE, ()), *gone])


class Uploads:
    """`keep_up` beside the work; `finish` once more at the end."""

    def __init__(self, journal: Journal, clock: Clock, logs: Path, store: LogStore) -> None:
        self._journal = journal
        self._clock = clock
        self._logs = logs
        self._store = store
        self._pause = _SHORTEST
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def keep_up(self) -> None:
        """Bring what ends, for ever."""
        await self._register()
        watch = self._journal.watch(objects=True)
        while True:
            try:
                await self._bring_all()
            except Unavailable as error:
                await self._later(error)
            else:
                self._pause = _SHORTEST
                await watch.changed(timeout=_LOOK)

    async def finish(self) -> None:
        """Bring what is left. Raises Unavailable; the next start makes up for it."""
        await self._bring_all()

    async def _register(self) -> None:
        """From now on the outbox waits for us."""
        while True:
            try:
                await self._journal.write(lambda tx: outbox.advance(tx, CONSUMER, outbox.position(tx, CONSUMER)))
            except Unavailable as error:
                await self._later(error)
            else:
                return

    async def _later(self, error: Unavailable) -> None:
        seconds = self._pause.total_seconds()
        log.warning(
            "logs are brought to their place later", place=self._store.shown, error=error.message, seconds=seconds
        )
        await asyncio.sleep(seconds)
        self._pause = min(2 * self._pause, _LONGEST)

    async def _bring_all(self) -> None:
        while True:
            batch = (await self._journal.read(lambda conn: outbox.pending(conn, CONSUMER))).head(_MOST)
            await self._remove_gone()
            if not batch.objects:
                return
            ended = await self._journal.read(partial(_ended, batch=batch))
            for done in await asyncio.gather(*(self._bring(run) for run in ended), return_exceptions=True):
                if done is not None:
                    raise done
            await self._journal.write(partial(outbox.advance, consumer=CONSUMER, seq=batch.last_seq))

    async def _bring(self, run: RunId) -> None:
        for name in await asyncio.to_thread(files_in, self._logs, run):
            async with self._turn:
                await self._store.put(name, self._logs / name)

    async def _remove_gone(self) -> None:
        gone = await self._journal.read(lambda conn: facts.get(conn, GONE, ()))
        for run in gone:
            await self._store.remove(RunId(run))
        if gone:
            done = set(gone)
            await self._journal.write(
                lambda tx: facts.put(tx, GONE, [run for run in facts.get(tx, GONE, ()) if run not in done])
            )


def _ended(conn: Connection, batch: outbox.Batch) -> list[RunId]:
    """The runs of the batch that have ended: those that go on are named again when they end."""
    views = (runs.get(conn, RunId(key)) for topic, key in batch.objects if topic == "run")
    return [view.id for view in views if view is not None and view.finished_at is not None]
