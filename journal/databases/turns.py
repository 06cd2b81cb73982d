"""How transactions begin on PostgreSQL, and the turn that its writers take: one advisory lock, named after the schema.

Who stands still between two statements is thrown out by the server. It waits for ever for the rest of a message, and
for a client that does not read what it is sent, while a proxy between them is alive: then who waits for the turn ends
that session, which a role may do to its own.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from psycopg.errors import InsufficientPrivilege, LockNotAvailable
from sqlalchemy import PoolProxiedConnection

from journal.databases import deadlines, leaseclock
from journal.databases.deadlines import Deadline
from journal.databases.tables import SAID

log = structlog.get_logger(__name__)

STANDS_STILL = 5.0
"""Seconds after which the server ends the transaction of a process that does not go on with it."""
TURNS = 0x6F707363
"""The first half of the lock's name; the second is of the schema, since each may hold a journal."""
SCHEMA = "pg_catalog.hashtext(pg_catalog.current_schema())"
READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {leaseclock.ASKED}"
_TURN = f"pg_catalog.pg_advisory_xact_lock({TURNS}, {SCHEMA})"
# The clock is read once the turn has come: the wait for it makes no lease shorter.
_WRITE = f"BEGIN ISOLATION LEVEL READ COMMITTED; {leaseclock.ASKED} FROM {_TURN}"
# Between two messages a session is idle; in one, or while it is sent an answer, it is active and waits for its client.
# A message takes moments, since none of ours is large: two looks at the same one are enough.
_STUCK = f"""
FROM pg_catalog.pg_locks AS held JOIN pg_catalog.pg_stat_activity AS session USING (pid)
WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 2 AND held.classid = {TURNS}
  AND held.objid = ({SCHEMA}::bigint & 4294967295)::oid AND session.datname = pg_catalog.current_database()
  AND held.database = session.datid AND session.state = 'active' AND session.wait_event_type = 'Client'
  AND session.state_change < pg_catalog.clock_timestamp() - interval '{STANDS_STILL:g} s'
"""
_LOOK = f"SELECT session.pid, session.state_change {_STUCK}"
_PAUSE = "SELECT pg_catalog.pg_sleep(1)"
_END = f"""
SELECT session.pid, pg_catalog.pg_terminate_backend(session.pid) {_STUCK}
  AND session.pid = %s AND session.state_change = %s
"""


def begin_to_read(connection: PoolProxiedConnection) -> None:
    """Begin a transaction that sees one moment, and read the clock in the same breath."""
    driver = connection.driver_connection
    assert isinstance(driver, Deadline)
    driver.patience = deadlines.BEGINNING
    with driver.cursor() as cursor:
        *_, clock = cursor.execute(READ, prepare=False).results()
        connection.info[leaseclock.BEGAN] = float(clock.fetchall()[0][0])
    driver.patience = deadlines.ANSWER


class Turns:
    """Begins transactions that write. `refuse`: is told in the turn, by the same message, what `meta` says."""

    def __init__(self) -> None:
        self.refuse: Callable[[Mapping[str, str]], object] | None = None

    def begin(self, connection: PoolProxiedConnection) -> None:
        driver = connection.driver_connection
        assert isinstance(driver, Deadline)
        driver.patience = deadlines.BEGINNING
        try:
            clock, said = self._taken(driver)
        except LockNotAvailable:
            driver.rollback()
            if not _made_way(driver):
                raise
            clock, said = self._taken(driver)
        driver.patience = deadlines.ANSWER
        connection.info[leaseclock.BEGAN] = clock
        if self.refuse is not None:
            try:
                self.refuse(said)
            except BaseException:
                driver.rollback()
                raise

    def _taken(self, driver: "psycopg.Connection[Any]") -> tuple[float, Mapping[str, str]]:
        """What the server's clock showed then, and what `meta` says."""
        asked = _WRITE if self.refuse is None else f"{_WRITE}; {SAID}"
        with driver.cursor() as cursor:
            _, (clock,), *said = (
                one.fetchall() if one.description else [] for one in cursor.execute(asked, prepare=False).results()
            )
            return float(clock[0]), dict(said[0]) if said else {}


def _made_way(driver: "psycopg.Connection[Any]") -> bool:
    """Whether a session was ended that held the turn, and waited for its client all the time."""
    ended = False
    with driver.cursor() as cursor:
        found = cursor.execute(_LOOK).fetchall()
        if not found:
            return False
        cursor.execute(_PAUSE)
        for one in found:
            with suppress(InsufficientPrivilege):  # of another role, and an administrator may end it
                ended = cursor.execute(_END, one).fetchone() is not None or ended
    if ended:
        log.warning("a session that held up all who write to the journal was ended", session=[pid for pid, _ in found])
    return ended
