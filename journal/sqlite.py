"""What is special about SQLite: how its connections are set up, checked and closed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, PoolProxiedConnection, create_engine, event, inspect, select
from sqlalchemy.pool import NullPool

from journal import faults
from journal.encoding import to_json
from journal.errors import Refused
from journal.tables import VERSION, meta

BUSY = 5.0
"""Seconds to wait for a lock of another process before the journal is called unavailable."""
_VERSION = select(meta.c.value).where(meta.c.key == "version")
_CHECKED_WHOLE = 256 * 1024 * 1024
_WAL_KEPT = 64 * 1024 * 1024


def engines(path: Path) -> tuple[Engine, Engine]:
    """For the one writer and for readers. Each thread that uses them keeps its own connection."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"cannot make the folder {path.parent} for the journal: {error.strerror}") from error
    return _engine(path, "BEGIN IMMEDIATE", query_only=False), _engine(path, "BEGIN", query_only=True)


def _engine(path: Path, begin: str, *, query_only: bool) -> Engine:
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

    # A transaction that will write takes its lock at once: upgrading one later can fail without waiting. (Set on the
    # dialect, since an engine with a `begin` listener runs every statement through its events: measured 20% slower.)
    def take(dbapi_connection: PoolProxiedConnection) -> None:
        dbapi_connection.cursor().execute(begin)

    engine.dialect.do_begin = take  # type: ignore[method-assign]
    return engine


@contextmanager
def looked_into(path: Path) -> Iterator[Connection | None]:
    """A journal to read from, that an engine may have open now; None where there is none of this version.

    Nothing is written, not even an upgrade.
    """
    if not path.exists():
        yield None
        return
    _, reader = engines(path)
    with faults.translation(), reader.connect() as connection:
        names = inspect(connection).get_table_names()
        known = connection.execute(_VERSION).scalar() if "meta" in names else None
        yield connection if known == str(VERSION) else None
    reader.dispose()


def check(connection: Connection, path: Path) -> None:
    """Refuse a damaged file. Very large files are checked by their first use alone."""
    if not path.exists() or path.stat().st_size > _CHECKED_WHOLE:
        return
    driver = connection.connection.driver_connection
    assert driver is not None
    found = driver.execute("PRAGMA quick_check(3)").fetchall()
    if found != [("ok",)]:
        details = "; ".join(str(row[0]) for row in found)
        raise Refused(faults.damaged(f"{path}: {details}"))


def changes(connection: Connection) -> int | None:
    """How many rows this connection has changed so far; None where the database does not say."""
    found: int | None = getattr(connection.connection.driver_connection, "total_changes", None)
    return found


def merge(engine: Engine) -> None:
    """Bring the write-ahead log into the file, so that a stopped journal is one file."""
    with faults.suppressed(), engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
