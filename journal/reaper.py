"""The reaper: finds the runs whose runner has been silent for a whole lease. Any process may run one."""

import asyncio
from dataclasses import dataclass

import structlog

from journal import leases
from journal.clock import Clock
from journal.errors import Unavailable
from journal.leases import LEASE, Reaped
from journal.store import Journal

log = structlog.get_logger(__name__)
ROUND = LEASE / 3
"""How often the reaper looks."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Until when nothing is reaped, in seconds of the monotonic clock, and when the reaper last looked.

    Whoever was stopped, or could not reach the database, must first give the others a lease to renew: they may have
    been stopped with him.
    """

    looked: float
    until: float

    def woken(self, now: float) -> "Patience":
        """Look again at `now`: a gap longer than two rounds is a pause, and starts a new wait."""
        paused = now - self.looked > 2 * ROUND.total_seconds()
        return Patience(now, now + ROUND.total_seconds() * 2 if paused else self.until)

    def failed(self, now: float) -> "Patience":
        """The database did not answer."""
        return Patience(now, now + LEASE.total_seconds())

    def over(self) -> bool:
        return self.looked >= self.until


class Reaper:
    """Reaps every third of a lease until cancelled. It outlasts a database that is away."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._patience = Patience(clock.monotonic(), clock.monotonic())

    async def run(self) -> None:
        while True:
            await asyncio.sleep(ROUND.total_seconds())
            await self.look()

    async def look(self) -> tuple[Reaped, ...]:
        """One round: what was reaped."""
        self._patience = self._patience.woken(self._clock.monotonic())
        if not self._patience.over():
            return ()
        try:
            found = await self._journal.write(lambda tx: leases.reap(tx, self._clock.now(), self._clock.monotonic()))
        except Unavailable as error:
            self._patience = self._patience.failed(self._clock.monotonic())
            log.warning("cannot look for lost runs", error=str(error))
            return ()
        for reaped in found:
            log.warning("a run's runner was lost", run=reaped.run, state=reaped.to)
        return found
