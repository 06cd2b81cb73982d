"""The reaper: finds the runs whose runner has been silent for a whole lease. Any process may run one."""

import asyncio
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from journal import leases
from journal.clock import Clock
from journal.databases import leaseclock
from journal.databases.leaseclock import STEADY
from journal.errors import Unavailable
from journal.leases import LEASE, Reaped
from journal.store import Journal

log = structlog.get_logger(__name__)
ROUND = LEASE / 6
"""How often the reaper looks."""
_PAUSE = 2 * LEASE / 3
"""A gap between two looks that is longer was a standstill; the others are given as long to renew after it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Until when nothing is reaped, in seconds of the monotonic clock, and when the reaper last looked.

    Whoever was stopped, or could not reach the database, must first give the others a lease to renew: they may have
    been stopped with him.
    """

    looked: float
    until: float
    ahead: float | None = None
    """How far the lease clock was before the monotonic one when it was last seen."""

    def woken(self, now: float) -> "Patience":
        """Look again at `now`: a long gap is a standstill, and starts a new wait."""
        still = now - self.looked > _PAUSE.total_seconds()
        return replace(self, looked=now, until=now + _PAUSE.total_seconds() if still else self.until)

    def failed(self, now: float) -> "Patience":
        """The database did not answer, or its clock has jumped."""
        return replace(self, looked=now, until=now + LEASE.total_seconds())

    def seen(self, ahead: float, now: float) -> "Patience":
        """The lease clock was so far ahead at `now`. Where it has jumped, leases are over that nobody was late with."""
        jumped = self.ahead is not None and abs(ahead - self.ahead) > STEADY
        return replace(self.failed(now) if jumped else self, ahead=ahead)

    def over(self) -> bool:
        return self.looked >= self.until


class Reaper:
    """Reaps, six times in a lease, until cancelled. It outlasts a database that is away.

    Where others share the journal it begins after a lease: what it finds may have been stopped with all who use it.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._faults = journal.faults
        now = clock.monotonic()
        self._patience = Patience(now, now)
        if journal.shared:
            self._patience = self._patience.failed(now)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(ROUND.total_seconds())
            await self.look()

    async def look(self) -> tuple[Reaped, ...]:
        """One round: what was reaped."""
        now, faults = self._clock.monotonic(), self._journal.faults
        self._patience = self._patience.woken(now) if faults == self._faults else self._patience.failed(now)
        self._faults = faults
        try:
            self._patience, found = await self._journal.write(self._round)
        except Unavailable as error:
            self._patience, self._faults = self._patience.failed(self._clock.monotonic()), self._journal.faults
            log.warning("cannot look for lost runs", error=str(error))
            return ()
        for reaped in found:
            log.warning("a run's runner was lost", run=reaped.run, state=reaped.to)
        return found

    def _round(self, tx: Connection) -> tuple[Patience, tuple[Reaped, ...]]:
        now = self._clock.monotonic()
        patience = self._patience.seen(leaseclock.at(tx) - now, now)
        return patience, leases.reap(tx, self._clock.now()) if patience.over() else ()
