"""The time of a runner: its machine's, or the database's where the two are apart."""

from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection

from journal.clock import Clock
from journal.databases import leaseclock

_APART = timedelta(seconds=60)
"""What the clock of a runner may differ by. Below, it is left as it is: what was read of the other is as old as the
answer took, and instants of processes on one machine are to keep their order."""


class SharedClock:
    """A wall clock that is right by the database's, within a minute, from each look at that on.

    One runner says when a run began, and others whether its time is over: those beside it, and whoever goes on with it.
    """

    def __init__(self, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        self._clock = clock
        self._log = log
        self._off = timedelta(0)

    def now(self) -> datetime:
        return self._clock.now() + self._off

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def look(self, conn: Connection) -> None:
        """Compare it with the clock of the database, which runners share. May be called from any thread, within a
        transaction that has just begun."""
        shown = datetime.fromtimestamp(leaseclock.at(conn), UTC)
        if abs(shown - self.now()) <= _APART:
            return
        off = shown - self._clock.now()
        if abs(off) <= _APART:
            self._off = timedelta(0)
            self._log.info("this clock and the database's agree again")
        else:
            self._off = off
            seconds = round(off.total_seconds())
            self._log.warning("this clock and the database's are apart: runs go by the database's", seconds=seconds)
