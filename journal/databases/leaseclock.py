"""The clock that leases count on: one for all processes that share a journal.

Each connection of a journal knows it: the machine's monotonic clock where the journal is a file, and the server's where
it is a server's, since no two machines have one.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, event

from journal.clock import Clock

LeaseClock: TypeAlias = Callable[[Connection], float]
"""Seconds since some moment, the same for all who share the journal. It may ask the database."""
STEADY = 2.0
"""Seconds that it may be set back by, or go too fast or too slow, without anybody taking it for a jump."""
_KEY = "opsconductor.lease_clock"
BEGAN = "opsconductor.began"
"""In the `info` of a server's connection: what its clock showed when this transaction began, or its turn came."""
ASKED = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())"


def at(connection: Connection) -> float:
    """What the lease clock of this connection's journal shows now."""
    clock: LeaseClock = connection.info[_KEY]
    return clock(connection)


def over(until: float, at: float, lease: timedelta) -> bool:
    """Whether a lease that holds until then is over at `at`.

    It is too where it would hold for longer than one can: the clock was set back since it was taken, and nobody is to
    wait for the clock to come there again. Whoever is alive renews it meanwhile, if it is waited for that long.
    """
    return not at < until <= latest(at, lease)


def latest(at: float, lease: timedelta) -> float:
    """Until when a lease can hold at most at `at`."""
    return at + lease.total_seconds() + STEADY


def count_on(clock: LeaseClock, *engines: Engine) -> None:
    """Have all connections count on it that these make from now on."""

    def known(_: Any, record: Any) -> None:
        record.info[_KEY] = clock

    for engine in engines:
        event.listen(engine, "connect", known)


def of_this_machine(clock: Clock) -> LeaseClock:
    return lambda _: clock.monotonic()


def of_the_server(connection: Connection) -> float:
    """Of PostgreSQL. It is a wall clock: whoever takes leases away watches that it does not jump (`journal.reaper`).

    It was read as the transaction began, or its turn came. What a transaction takes since then makes its own leases
    shorter and those of others longer, never the other way round.
    """
    return float(connection.info[BEGAN])
