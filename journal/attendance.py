"""Who is at work on a journal that several processes share: each gives a sign of life now and then.

It is for people to look at. Who leads and who has a run is for the leases to say; which runner takes a run first goes
by these signs too (`journal.shares`).

`at` is in seconds of the lease clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Table, delete, insert, select, update

from journal.databases import leaseclock
from journal.databases.controltables import controllers
from journal.databases.tables import runners
from journal.leases import LEASE

SIGN = LEASE / 3
"""How often a sign is given."""
_FORGOTTEN = timedelta(days=1)
_SECONDS = LEASE.total_seconds()


@dataclass(frozen=True, slots=True)
class Controller:
    """`lost`: it has given no sign for a lease, and has not said that it stops."""

    name: str
    host: str
    version: str
    since: datetime
    seen_at: datetime
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Runner:
    """`pool` names its pools, separated by commas, or is `*`. `lost` as of a controller."""

    name: str
    pool: str
    host: str
    version: str
    since: datetime
    seen_at: datetime
    runs: int
    capacity: int
    labels: Mapping[str, str]
    lost: bool = False


def controller(tx: Connection, sign: Controller, *, at: float) -> None:
    """A sign of life."""
    values = {
        "host": sign.host,
        "version": sign.version,
        "since": sign.since,
        "seen_at": sign.seen_at,
        "lease_until": at + _SECONDS,
    }
    _put(tx, controllers, sign.name, values)


def runner(tx: Connection, sign: Runner, *, at: float) -> None:
    """A sign of life."""
    values = {
        "pool": sign.pool,
        "host": sign.host,
        "version": sign.version,
        "since": sign.since,
        "seen_at": sign.seen_at,
        "shown_until": at + _SECONDS,
        "runs": sign.runs,
        "capacity": sign.capacity,
        "labels": dict(sign.labels),
    }
    _put(tx, runners, sign.name, values)


def gone(tx: Connection, name: str) -> None:
    """It has stopped in order; nobody need look for it."""
    tx.execute(delete(controllers).where(controllers.c.name == name))
    tx.execute(delete(runners).where(runners.c.name == name))


def forget(tx: Connection, now: datetime) -> None:
    """Forget those who have given no sign for a day."""
    for table in (controllers, runners):
        tx.execute(delete(table).where(table.c.seen_at < now - _FORGOTTEN))


def known_controllers(conn: Connection, *, at: float) -> tuple[Controller, ...]:
    """All who have not said that they stop, by name."""
    rows = conn.execute(select(controllers).order_by(controllers.c.name))
    return tuple(
        Controller(row.name, row.host, row.version, row.since, row.seen_at, _lost(row.lease_until, at)) for row in rows
    )


def known_runners(conn: Connection, *, at: float) -> tuple[Runner, ...]:
    """All who have given a sign, and have not said that they stop, by name."""
    rows = conn.execute(select(runners).where(runners.c.shown_until.is_not(None)).order_by(runners.c.name))
    return tuple(
        Runner(
            row.name,
            row.pool,
            row.host,
            row.version,
            row.since,
            row.seen_at,
            row.runs,
            row.capacity,
            row.labels or {},
            _lost(row.shown_until, at),
        )
        for row in rows
    )


def _lost(until: float, at: float) -> bool:
    return leaseclock.over(until, at, LEASE)


def _put(tx: Connection, table: Table, name: str, values: Mapping[str, object]) -> None:
    if tx.execute(update(table).where(table.c.name == name).values(**values)).rowcount == 0:
        tx.execute(insert(table), {"name": name, **values})
