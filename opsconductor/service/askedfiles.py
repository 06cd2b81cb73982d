"""The files of the repository for a runner without git: asked for in the journal, answered by who leads."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from journal import files
from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.files import Answer, Wanted
from journal.store import Journal
from runners.repository import MOST, Entry, NoFile, Repository

T = TypeVar("T")

_PATIENCE = 60.0
"""Seconds that an answer may take: a controller that follows another needs some of them."""
_POLL = 0.2
_ASKED_AT_ONCE = 8


class AskedFiles:
    """A runners.repository.Repository. What was read last is kept, MOST bytes of it."""

    def __init__(self, journal: Journal, clock: Clock, *, patience: float = _PATIENCE) -> None:
        self._journal = journal
        self._clock = clock
        self._patience = patience
        # Those who ask block their thread; the journal answers on event loops, so each question has one of its own.
        self._asking = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="asked-files")
        self._lock = threading.Lock()
        self._kept: dict[Wanted, bytes] = {}

    def read(self, commit: str, path: str) -> bytes:
        return self._answered(Wanted(commit, path))

    def listed(self, commit: str, folder: str) -> tuple[Entry, ...]:
        return tuple(Entry(**one) for one in json.loads(self._answered(Wanted(commit, folder, folder=True))))

    def _answered(self, wanted: Wanted) -> bytes:
        with self._lock:
            data = self._kept.get(wanted)
        if data is None:
            answer = self._asking.submit(lambda: asyncio.run(self._ask(wanted))).result()
            if answer.data is None:
                raise NoFile(answer.trouble or f"'{wanted.path}' cannot be read")
            data = answer.data
        self._keep(wanted, data)
        return data

    def _keep(self, wanted: Wanted, data: bytes) -> None:
        with self._lock:
            self._kept.pop(wanted, None)
            self._kept[wanted] = data
            while sum(map(len, self._kept.values())) > MOST and len(self._kept) > 1:
                del self._kept[next(iter(self._kept))]

    async def _ask(self, wanted: Wanted) -> Answer:
        until = time.monotonic() + self._patience
        trouble = "no controller has answered"
        asked = False
        watch = self._journal.watch()
        try:
            while time.monotonic() < until:
                try:
                    if not asked:
                        await self._journal.write(lambda tx: files.ask(tx, wanted, self._clock.now()))
                        asked = True
                    found = await self._journal.read(lambda conn: files.found(conn, wanted))
                    if found is not None and found.parts:
                        found = await self._together(wanted, found.parts)
                        asked = found is not None
                    if found is not None:
                        return found
                    await watch.changed(_POLL)
                except Unavailable as error:
                    trouble = error.message
                    await asyncio.sleep(error.retry_after.total_seconds())
                except Refused as error:
                    return Answer(None, error.message)
        finally:
            watch.close()
        return Answer(None, f"'{wanted.path}' is not here, and was not given in {self._patience:g} s: {trouble}")

    async def _together(self, wanted: Wanted, parts: int) -> Answer | None:
        """All parts; each is read by itself, so that nobody waits for all of them. None where one is gone."""
        data = bytearray()
        for number in range(parts):
            part = await self._journal.read(partial(files.part, wanted=wanted, number=number))
            if part is None:
                return None
            data += part
        return Answer(bytes(data), None)


class FirstOf:
    """A runners.repository.Repository: the files that are here, else those of another."""

    def __init__(self, here: Repository, elsewhere: Repository) -> None:
        self._here = here
        self._elsewhere = elsewhere

    def read(self, commit: str, path: str) -> bytes:
        return self._first(lambda one: one.read(commit, path))

    def listed(self, commit: str, folder: str) -> tuple[Entry, ...]:
        return self._first(lambda one: one.listed(commit, folder))

    def _first(self, ask: Callable[[Repository], T]) -> T:
        try:
            return ask(self._here)
        except NoFile:
            return ask(self._elsewhere)
