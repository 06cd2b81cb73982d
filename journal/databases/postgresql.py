"""What is special about PostgreSQL: how its connections are set up, how its writers take turns, and its text.

Writers of all processes take turns (`journal.databases.turns`), each from the beginning of its transaction to its end:
so whatever looks before it inserts is as right as on SQLite, and numbers are given in the order of commits.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import psycopg
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import URL, Connection, Engine, PoolProxiedConnection, Table, create_engine, event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from journal.databases import leaseclock
from journal.databases.deadlines import Deadline
from journal.databases.encoding import to_json
from journal.databases.leaseclock import LeaseClock
from journal.databases.listener import Listener, telling
from journal.databases.postgresqltext import without_nul
from journal.databases.turns import SCHEMA, STANDS_STILL, Turns, begin_to_read
from journal.errors import Refused

OLDEST = 14
"""The oldest major version of the server. Older ones are not tested."""
TURN = 8.0
"""Seconds that a writer waits for the others: longer than one of them may stand still."""
_LONGEST = 60.0
"""Seconds that one statement may take."""
# Of connections: a server or a network that is gone is noticed in this time, and not after a quarter of an hour.
_CONNECT = {
    "connect_timeout": "5",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "application_name": "opsconductor",
}
# The same at the server: what goes away in the middle of a message is not idle, and holds its turn until it is noticed.
_SERVER = {
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 3,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
USERS = 0x6F707375
"""As TURNS, of the lock that all who may write have in common as long as they are connected."""
_ALONE = f"SELECT pg_catalog.pg_try_advisory_xact_lock({USERS}, {SCHEMA})"
_A_MOMENT, _MOMENTS = "SELECT pg_catalog.pg_sleep(0.1)", 20
"""How long is waited, and how often, for sessions to end whose other side has hung up: the server takes its time."""
_NUMBERED = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(%s, 'seq')::regclass), 0)"
_NUMBER_AFTER = "SELECT setval(pg_get_serial_sequence(%s, 'seq')::regclass, %s, %s)"
_PATIENT = ("SET LOCAL idle_in_transaction_session_timeout = 0", "SET LOCAL statement_timeout = 0")
# A transaction that has changed nothing, and locked no row, has no number.
_CHANGED = "SELECT 1 WHERE pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL"
_LAST, _HAS_CHANGED = "opsconductor.last", "opsconductor.changed"
"""In the `info` of a connection: what is said together with COMMIT, and whether it found that anything had changed."""


class Server:
    """A journal in a database of PostgreSQL. Processes of any number of machines share it."""

    lease_clock: LeaseClock | None = staticmethod(leaseclock.of_the_server)
    elsewhere = (
        "give the journal a database of its own, or a schema of its own by adding "
        "?options=-csearch_path%3D<schema> to the URL"
    )

    def __init__(self, url: URL) -> None:
        plain = URL.create(
            "postgresql", username=url.username, host=url.host, port=url.port, database=url.database, query={}
        )
        self._place = plain.render_as_string()
        self._turns = Turns()
        self._own = secrets.token_hex(8)  # so that it need not hear of itself
        try:
            in_use = f"SELECT pg_catalog.pg_advisory_lock_shared({USERS}, {SCHEMA})"
            self.writing = _engine(url, self._turns.begin, in_use, stands_still=STANDS_STILL)
            self.reading = _engine(url, begin_to_read, stands_still=_LONGEST)
        except ArgumentError as error:
            raise Refused(f"{self._place}: {error}") from error

    @property
    def place(self) -> str:
        return self._place

    def check(self, connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        if driver.info.server_version < OLDEST * 10_000:
            raise Refused(f"{self._place}: PostgreSQL {OLDEST} or newer is needed ({driver.info.server_version})")
        with driver.cursor() as cursor:
            row = cursor.execute("SELECT current_schema(), getdatabaseencoding()").fetchone()
        assert row is not None
        if row[0] is None:
            raise Refused(f"{self._place}: no schema of the search_path is there; make it, or change the search_path")
        if row[1] != "UTF8":
            raise Refused(f"{self._place}: the database is in {row[1]}; make one with ENCODING 'UTF8'")

    def guard(self, refuse: Callable[[Mapping[str, str]], object]) -> None:
        self._turns.refuse = refuse

    def ending(self, connection: Connection, *, told: bool | None) -> None:
        connection.info[_LAST] = _CHANGED if told is None else telling(self._own, work=told)

    def mark(self, connection: Connection) -> int:
        return 0

    def changed(self, connection: Connection, mark: int) -> bool:
        return bool(connection.info.pop(_HAS_CHANGED, True))

    def alone(self, connection: Connection) -> bool:
        for _ in range(_MOMENTS):
            if connection.exec_driver_sql(_ALONE).scalar_one():
                return True
            connection.exec_driver_sql(_A_MOMENT)
        return bool(connection.exec_driver_sql(_ALONE).scalar_one())

    def patient(self, connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, Deadline)
        driver.patience = None  # until the next transaction begins
        for setting in _PATIENT:
            connection.exec_driver_sql(setting)

    def numbered(self, connection: Connection, table: Table) -> int:
        return int(connection.exec_driver_sql(_NUMBERED, (table.name,)).scalar_one())

    def number_after(self, connection: Connection, table: Table, last: int) -> None:
        connection.exec_driver_sql(_NUMBER_AFTER, (table.name, max(last, 1), last > 0))

    def listener(self, heard: Callable[[bool], object]) -> Listener:
        return Listener(self.reading, self._own, heard)

    def close(self) -> None:
        self.reading.dispose()
        self.writing.dispose()


class _WithoutNul(StrDumperUnknown):
    """Text as PostgreSQL takes it."""

    def dump(self, obj: str) -> Any:
        return super().dump(without_nul(obj))


def _engine(url: URL, begin: Callable[[PoolProxiedConnection], None], *first: str, stands_still: float) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg").update_query_dict(
            {key: value for key, value in _CONNECT.items() if key not in url.query} | {"client_encoding": "utf8"}
        ),
        poolclass=NullPool,
        json_serializer=to_json,
        use_native_hstore=False,
        connect_args={"autocommit": True},
    )
    settings = {
        "idle_in_transaction_session_timeout": stands_still,
        "lock_timeout": TURN,
        "statement_timeout": _LONGEST,
    }
    limits = {name: round(seconds * 1000) for name, seconds in settings.items()} | _SERVER
    said = "; ".join([*(f"SET {name} = {value}" for name, value in limits.items()), *first])

    @event.listens_for(engine, "do_connect")
    def _connected(_dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]) -> Deadline:
        return Deadline.connect(*arguments, **named)

    @event.listens_for(engine, "connect")
    def _set_up(connection: "psycopg.Connection[Any]", _record: object) -> None:
        connection.adapters.register_dumper(str, _WithoutNul)
        with connection.cursor() as cursor:
            cursor.execute(said)

    engine.dialect.do_begin = begin  # type: ignore[assignment, method-assign]
    engine.dialect.do_commit = _commit  # type: ignore[method-assign]
    return engine


def _commit(dbapi_connection: PoolProxiedConnection) -> None:
    # What is said together is one way to the server and back, and the other writers wait for all of them.
    last = dbapi_connection.info.pop(_LAST, None)
    with closing(dbapi_connection.cursor()) as cursor:
        cursor.execute("COMMIT" if last is None else f"{last}; COMMIT", prepare=False)  # type: ignore[call-arg]
        if last is not None:
            dbapi_connection.info[_HAS_CHANGED] = cursor.fetchone() is not None
