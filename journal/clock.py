"""The time, as something given."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time to the shells; pure code is told it by them."""

    def now(self) -> datetime:
        """The wall clock: aware, in UTC. It may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, the same for all processes of one machine. Leases count on it."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        # CLOCK_MONOTONIC is one for the whole machine, so a lease taken in one process expires in another.
        return time.monotonic()
