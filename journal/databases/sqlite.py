"""What is special about SQLite: how its connections are set up, checked and closed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    PoolProxiedConnection,
    String,
    Table,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.pool import NullPool

from journal.databases import faults, sqlitefaults
from journal.databases.encoding import to_json
from journal.databases.leaseclock import LeaseClock
from journal.databases.tables import SAID, VERSION, meta
from journal.errors import Refused

BUSY = 5.0
"""Seconds to wait for a lock of another process before the journal is called unavailable."""
_VERSION = select(meta.c.value).where(meta.c.key == "version")
_NUMBERS = Table("sqlite_sequence", MetaData(), Column("name", String), Column("seq", Integer))
_CHECKED_WHOLE = 256 * 1024 * 1024
_WAL_KEPT = 64 * 1024 * 1024


class File:
    """A journal in a file. Processes of one machine may share it."""

    lease_clock: LeaseClock | None = None
    elsewhere = "move it away, or choose another folder with --state"

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refused(f"cannot make the folder {path.parent} for the journal: {error.strerror}") from error
        self._path = path
        self._turns = _Turns("BEGIN IMMEDIATE")
        self.writing = _engine(path, self._turns.begin, query_only=False)
        self.reading = _engine(path, _Turns("BEGIN").begin, query_only=True)

    @property
    def place(self) -> str:
        return str(self._path)

    def check(self, connection: Connection) -> None:
        # Very large files are checked by their first use alone.
        if not self._path.exists() or self._path.stat().st_size > _CHECKED_WHOLE:
            return
        driver = connection.connection.driver_connection
        assert driver is not None
        found = driver.execute("PRAGMA quick_check(3)").fetchall()
        if found != [("ok",)]:
            details = "; ".join(str(row[0]) for row in found)
            raise Refused(sqlitefaults.damaged(f"{self._path}: {details}"))

    def guard(self, refuse: Callable[[Mapping[str, str]], object]) -> None:
        self._turns.refuse = refuse

    def mark(self, connection: Connection) -> int:
        return _changes(connection)

    def ending(self, connection: Connection, *, told: bool | None) -> None:
        pass

    def changed(self, connection: Connection, mark: int) -> bool:
        return _changes(connection) != mark

    def alone(self, connection: Connection) -> bool:
        return True

    def patient(self, connection: Connection) -> None:
        pass

    def numbered(self, connection: Connection, table: Table) -> int:
        asked = (select(func.max(table.c.seq)), select(_NUMBERS.c.seq).where(_NUMBERS.c.name == table.name))
        return max(connection.execute(one).scalar() or 0 for one in asked)

    def number_after(self, connection: Connection, table: Table, last: int) -> None:
        if table.dialect_options["sqlite"]["autoincrement"]:  # the others go on after the highest there is
            connection.execute(delete(_NUMBERS).where(_NUMBERS.c.name == table.name))
            connection.execute(insert(_NUMBERS), {"name": table.name, "seq": last})

    def listener(self, heard: Callable[[bool], object]) -> None:
        return None

    def close(self) -> None:
        self.reading.dispose()
        # The write-ahead log goes into the file, so that a stopped journal is one file.
        with faults.suppressed(), self.writing.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.writing.dispose()


def _changes(connection: Connection) -> int:
    """How many rows this connection has changed so far."""
    driver = connection.connection.driver_connection
    assert driver is not None
    found: int = driver.total_changes
    return found


class _Turns:
    """How transactions begin.

    One that will write takes its lock at once: upgrading one later can fail without waiting.
    """

    def __init__(self, statement: str) -> None:
        self._statement = statement
        self.refuse: Callable[[Mapping[str, str]], object] | None = None

    def begin(self, connection: PoolProxiedConnection) -> None:
        cursor = connection.cursor()
        cursor.execute(self._statement)
        if self.refuse is not None:
            try:
                cursor.execute(SAID)
                self.refuse(dict(cursor.fetchall()))
            except BaseException:
                connection.rollback()
                raise


def _engine(path: Path, begin: Callable[[PoolProxiedConnection], None], *, query_only: bool) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=NullPool,
        json_serializer=to_json,
        connect_args={"check_same_thread": False, "timeout": BUSY, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        # The mode is kept in the file; asking first spares a lock.
        if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA journal_size_limit={_WAL_KEPT}")
        cursor.execute("PRAGMA cache_size=-16384")
        cursor.execute(f"PRAGMA query_only={'ON' if query_only else 'OFF'}")
        cursor.close()

    # Set on the dialect, since an engine with a `begin` listener runs every statement through its events: measured 20%
    # slower.
    engine.dialect.do_begin = begin  # type: ignore[assignment, method-assign]
    return engine


@contextmanager
def looked_into(path: Path) -> Iterator[Connection | None]:
    """A journal to read from, that an engine may have open now; None where there is none of this version.

    Nothing is written, not even an upgrade.
    """
    if not path.exists():
        yield None
        return
    file = File(path)
    with faults.translation(), file.reading.connect() as connection:
        names = inspect(connection).get_table_names()
        known = connection.execute(_VERSION).scalar() if "meta" in names else None
        yield connection if known == str(VERSION) else None
    file.reading.dispose()
