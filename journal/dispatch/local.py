"""Dispatch inside one process: runners wake on the commits of their own journal, and when a waiting run comes due."""

import asyncio

from journal import runs
from journal.clock import Clock
from journal.errors import Unavailable
from journal.store import Journal


class LocalDispatch:
    """Wakes one runner after any commit of this process. Other processes are heard of at the timeout."""

    def __init__(self, journal: Journal) -> None:
        self._watch = journal.watch()

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 - part of the port
        await self._watch.changed(timeout)

    def close(self) -> None:
        self._watch.close()


class Doorkeeper:
    """Queues waiting runs when their time has come, and ends those that waited too long. One a journal is enough."""

    def __init__(self, journal: Journal, clock: Clock, *, longest: float = 60.0) -> None:
        self._journal = journal
        self._clock = clock
        self._longest = longest

    async def run(self) -> None:
        """Work until cancelled."""
        watch = self._journal.watch()
        try:
            while True:
                try:
                    pause = await self.look()
                except Unavailable as error:
                    pause = error.retry_after.total_seconds()
                    await asyncio.sleep(pause)
                await watch.changed(pause)
        finally:
            watch.close()

    async def look(self) -> float:
        """Do what is due; the seconds until the next look, unless something is committed before."""
        now = self._clock.now()
        due = await self._journal.read(runs.next_wake)
        if due is not None and due <= now:
            await self._journal.write(lambda tx: (runs.expire(tx, now), runs.admit(tx, now)))
            due = await self._journal.read(runs.next_wake)
        if due is None:
            return self._longest
        return max(0.0, min(self._longest, (due - self._clock.now()).total_seconds()))
