"""Logs of ended runs, brought to where they are kept: a consumer of the outbox, which holds nothing back.

A run's logs are put there once it has ended, and put again where it is not certain that they were. What fails is tried
again, later and later, and said: where nothing gets through, the outbox waits; where others do, the run is set aside.
What retention has removed is removed there too, and nothing that is brought waits for that.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
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
GONE, ASIDE = facts.LOGS_GONE, facts.LOGS_ASIDE
_MOST = 20
_MOST_ASIDE = 1_000
_MOST_GONE = 10_000
_AT_ONCE = 4
_SHORTEST, _LONGEST = timedelta(seconds=5), timedelta(minutes=5)
_LOOK = 60.0


def off(tx: Connection) -> None:
    """Logs are kept nowhere else (any more): the outbox waits for nobody."""
    left_to_runners(tx)
    _emptied(tx, GONE)


def left_to_runners(tx: Connection) -> None:
    """Each runner brings its own (`runners.ownlogs`): the outbox waits for nobody, as it did for an engine on one
    machine whose journal this was."""
    outbox.forget(tx, CONSUMER)
    _emptied(tx, ASIDE)


def _emptied(tx: Connection, fact: str) -> None:
    if facts.get(tx, fact) is not None:
        facts.put(tx, fact, [])


def removed(tx: Connection, gone: tuple[RunId, ...]) -> None:
    """Retention has removed these runs. Of those that cannot be removed there, the newest 10 000 are remembered."""
    facts.put(tx, GONE, [*facts.get(tx, GONE, ()), *gone][-_MOST_GONE:])


@dataclass(frozen=True, slots=True)
class Left:
    """How many runs wait for another attempt."""

    aside: int
    """Their logs could not be brought, while those of others could."""
    gone: int
    """Retention has removed them; their logs are still where they are kept."""


def left(conn: Connection) -> Left:
    return Left(len(facts.get(conn, ASIDE, ())), len(facts.get(conn, GONE, ())))


@dataclass(frozen=True, slots=True)
class _Brought:
    """What became of a run's logs: how many files got there, and why another did not."""

    run: RunId
    files: int
    error: Unavailable | None


class Uploads:
    """`keep_up` beside the work; `finish` once more at the end."""

    def __init__(self, journal: Journal, clock: Clock, logs: Path, store: LogStore) -> None:
        self._journal = journal
        self._clock = clock
        self._logs = logs
        self._store = store
        self._pause = _SHORTEST
        self._rest_pause = _SHORTEST
        self._rest_due = clock.monotonic()
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def keep_up(self) -> None:
        """Bring what ends, for ever."""
        await self._register()
        watch = self._journal.watch(objects=True)
        while True:
            try:
                try:
                    await self._bring_all()
                finally:
                    await self._rest()
            except Unavailable as error:
                await self._later(error)
            else:
                self._pause = _SHORTEST
                await watch.changed(timeout=_LOOK)

    async def clear(self) -> None:
        """Remove what retention has removed, for ever, and bring nothing: runners elsewhere bring what they have."""
        while True:
            try:
                await self._remove_gone()
            except Unavailable as error:
                await self._later(error)
            else:
                await asyncio.sleep(_LOOK)

    async def finish(self) -> None:
        """Bring what is left. Raises Unavailable; the next start makes up for it."""
        await self._bring_all()
        await self._rest()

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
            pending = await self._journal.read(lambda conn: outbox.pending(conn, CONSUMER))
            batch = pending.head(_MOST)
            if not batch.objects:
                return
            tried = await self._bring_each(await self._journal.read(partial(_ended, batch=batch)))
            failed = [one for one in tried if one.error is not None]
            if failed and not any(one.files for one in tried):
                await self._prove_the_place(pending.objects[len(batch.objects) :], failed)
            await self._journal.write(partial(_dealt_with, seq=batch.last_seq, failed=tuple(failed)))
            for one in failed:
                self._say_set_aside(one)

    async def _bring_each(self, ended: Iterable[RunId]) -> list[_Brought]:
        return await asyncio.gather(*(self._bring(run) for run in ended))

    async def _bring(self, run: RunId) -> _Brought:
        files, trouble = 0, None
        for name in await asyncio.to_thread(files_in, self._logs, run):
            async with self._turn:
                try:
                    await self._store.put(name, self._logs / name)
                    files += 1
                except Unavailable as error:
                    trouble = error
        return _Brought(run, files, trouble)

    async def _prove_the_place(self, later: tuple[tuple[str, str], ...], failed: list[_Brought]) -> None:
        """Return where the logs of a later run get through. Raises Unavailable where they do not, or there is none."""
        for run in (await self._journal.read(partial(_ended, batch=outbox.Batch(0, later[-_MOST:]))))[::-1]:
            tried = await self._bring(run)
            if tried.files:
                return
            if tried.error is not None:
                raise tried.error
        raise failed[0].error or AssertionError(failed)

    def _say_set_aside(self, one: _Brought) -> None:
        log.warning(
            "a run's logs are set aside; they are tried again from time to time",
            run=one.run, place=self._store.shown, error=one.error and one.error.message,
        )  # fmt: skip

    async def _rest(self) -> None:
        """Try again what was set aside, and remove what is to be removed: each by itself, and seldom while it fails."""
        if self._clock.monotonic() < self._rest_due:
            return
        brought, cleared = await self._bring_aside(), await self._remove_gone()
        self._rest_pause = _SHORTEST if brought and cleared else min(2 * self._rest_pause, _LONGEST)
        self._rest_due = self._clock.monotonic() + (0 if brought and cleared else self._rest_pause.total_seconds())

    async def _bring_aside(self) -> bool:
        """Whether all that was tried got there. What did not goes to the end of the list."""
        runs_ = (await self._journal.read(lambda conn: facts.get(conn, ASIDE, ())))[:_MOST]
        tried = await self._bring_each(RunId(run) for run in runs_)
        failed = [one.run for one in tried if one.error is not None]
        if runs_:
            await self._journal.write(partial(_settle, fact=ASIDE, done=frozenset(runs_), again=tuple(failed)))
        return not failed

    async def _remove_gone(self) -> bool:
        """Whether all that was to be removed is. A place that refuses is asked for one run."""
        while gone := (await self._journal.read(lambda conn: facts.get(conn, GONE, ())))[:_MOST]:
            done: list[str] = []
            trouble: Unavailable | None = None
            again: list[str] = []
            for run in gone:
                try:
                    await self._store.remove(RunId(run))
                    done.append(run)
                except Unavailable as error:
                    trouble = error
                    again.append(run)
                    if not done:
                        break
            await self._journal.write(partial(_settle, fact=GONE, done=frozenset(done + again), again=tuple(again)))
            if trouble is not None:
                log.warning(
                    "logs that retention has removed stay where they are kept: that place does not let them be removed",
                    place=self._store.shown, run=again[0], error=trouble.message,
                )  # fmt: skip
                return False
        return True


def _dealt_with(tx: Connection, seq: int, failed: tuple[_Brought, ...]) -> None:
    """Pass the batch, and remember what was set aside. Raises Unavailable where too many are: nothing is forgotten."""
    aside = list(dict.fromkeys([*facts.get(tx, ASIDE, ()), *(one.run for one in failed)]))
    if failed:
        if len(aside) > _MOST_ASIDE:
            raise failed[0].error or AssertionError(failed)
        facts.put(tx, ASIDE, aside)
    outbox.advance(tx, CONSUMER, seq)


def _settle(tx: Connection, fact: str, done: frozenset[str], again: tuple[str, ...]) -> None:
    """Take runs off a list; those to be tried again go to its end."""
    facts.put(tx, fact, [*(run for run in facts.get(tx, fact, ()) if run not in done), *again])


def _ended(conn: Connection, batch: outbox.Batch) -> list[RunId]:
    """The runs of the batch that have ended: those that go on are named again when they end."""
    views = (runs.get(conn, RunId(key)) for topic, key in batch.objects if topic == "run")
    return [view.id for view in views if view is not None and view.finished_at is not None]
