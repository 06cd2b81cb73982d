"""The clock that leases count on: one for all processes that share a journal.

Each connection of a journal knows it: the machine's monotonic clock where the journal is a file, and the server's where
it is a server's, since no two machines have one.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, event

from journal.clock import Clock

LeaseClock: TypeAlias = Callable[[Connection], float]
"""Seconds since some moment, the same for all who share the journal. It may ask the database."""
_KEY = "opsconductor.lease_clock"
# Not the beginning of the transaction: a writer may have waited for its turn since.
_ASKED = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())"


def at(connection: Connection) -> float:
    """What the lease clock of this connection's journal shows now."""
    clock: LeaseClock = connection.info[_KEY]
    return clock(connection)


def count_on(clock: LeaseClock, *engines: Engine) -> None:
    """Have all connections count on it that these make from now on."""

    def known(_: Any, record: Any) -> None:
        record.info[_KEY] = clock

    for engine in engines:
        event.listen(engine, "connect", known)


def of_this_machine(clock: Clock) -> LeaseClock:
    return lambda _: clock.monotonic()


def of_the_server(connection: Connection) -> float:
    """Of PostgreSQL. It is a wall clock: whoever takes leases away watches that it does not jump (`journal.reaper`)."""
    return float(connection.exec_driver_sql(_ASKED).scalar_one())
