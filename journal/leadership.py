"""Which controller of a database leads: one row, taken for a short lease, with a token that every taking raises.

Whatever a leader writes in its role is refused once another has taken over, in the transaction of the write itself
(`held`): so a controller that stood still for a while changes nothing when it goes on, and learns that it does not lead
any more. That its lease is over does not end its role as long as nobody else has taken it: then nobody else decides.

`at` is in seconds of the lease clock.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from journal.databases import leaseclock
from journal.databases.controltables import leadership as table
from journal.databases.tables import meta
from journal.errors import LeadershipLost

LEASE = timedelta(seconds=5)
"""How long a leader may be silent. It renews three times in this time."""
RENEWAL = timedelta(seconds=1.5)
_SECONDS = LEASE.total_seconds()
_ROLE = "controller"
_THE_ROW = table.c.role == _ROLE
_ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A controller, by a name that no other process has."""

    name: str
    host: str
    version: str


@dataclass(frozen=True, slots=True)
class Leader:
    """Who took the lead last. `until` None: it has given it up since."""

    name: str
    host: str
    version: str
    since: datetime
    token: int
    until: float | None


def leader(conn: Connection) -> Leader | None:
    """Who leads, or led last; None where nobody ever did."""
    row = conn.execute(select(table).where(_THE_ROW)).first()
    if row is None:
        return None
    return Leader(row.holder, row.host, row.version, row.since, row.token, row.lease_until)


def take(tx: Connection, candidate: Candidate, *, at: float, now: datetime) -> int | None:
    """Lead from now on: the token to write with. None: another leads, whose lease is not over.

    Who leads already is given a new token: what it wrote with the old one is of an earlier life.
    """
    before = leader(tx)
    if before is not None and before.name != candidate.name and _holds(before, at):
        return None
    token = 1 if before is None else before.token + 1
    values = {
        "holder": candidate.name,
        "host": candidate.host,
        "version": candidate.version,
        "since": now,
        "token": token,
        "lease_until": at + _SECONDS,
    }
    if before is None:
        tx.execute(insert(table), {"role": _ROLE, **values})
    else:
        tx.execute(update(table).where(_THE_ROW).values(values))
    return token


def _holds(leader: Leader, at: float) -> bool:
    return leader.until is not None and not leaseclock.over(leader.until, at, LEASE)


def renew(tx: Connection, token: int, *, at: float) -> None:
    """Lead for another lease. Raises LeadershipLost where another has taken over."""
    mine = update(table).where(_THE_ROW, table.c.token == token, table.c.lease_until.is_not(None))
    if tx.execute(mine.values(lease_until=at + _SECONDS)).rowcount == 0:
        raise LeadershipLost(leader(tx))


def give_up(tx: Connection, token: int) -> None:
    """Let another lead at once. Doing it again, or where another has taken over, changes nothing."""
    tx.execute(update(table).where(_THE_ROW, table.c.token == token).values(lease_until=None))


def held(tx: Connection, token: int) -> None:
    """Raises LeadershipLost where this token is not the one that leads."""
    found = tx.execute(select(table.c.token, table.c.lease_until).where(_THE_ROW)).first()
    if found is None or found.token != token or found.lease_until is None:
        raise LeadershipLost(leader(tx))


def engine_id(tx: Connection) -> str:
    """12 hex that all controllers of this database show themselves by; made when it is asked for first."""
    found = tx.execute(select(meta.c.value).where(meta.c.key == _ENGINE)).scalar()
    if found is None:
        found = secrets.token_hex(6)
        tx.execute(insert(meta), {"key": _ENGINE, "value": found})
    return str(found)
