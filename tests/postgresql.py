"""A PostgreSQL server for tests, and which statements of the journal were sent to it.

The server is Debian's, started when the first test asks for it, one a worker; it listens on a socket in a folder of
its own and on no port. A test's database is a copy of one with the journal's tables, which takes 20 ms.
"""

import atexit
import itertools
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement

from journal.databases import upgrades
from journal.databases.postgresql import Server as Database
from journal.databases.tables import meta, metadata

JOURNAL = Path(__file__).parents[1] / "journal"
Site = tuple[str, int]
"""A module of the journal, and a line of it."""
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
sites: set[Site] = set()
"""Where the statements came from that were executed on PostgreSQL, so far."""
OWNER = "ops"
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off", "shared_buffers=32MB")
_TEMPLATE = "template_journal"
_numbers = itertools.count()


class Server:
    """A server of one's own. `fast`: it writes nothing durably, which tests of logic do not need.

    `within` is the command that puts its programs into namespaces (`nsenter`); `initial` is for initdb. `data`: another
    folder for the data than one in its own.
    """

    def __init__(
        self,
        *,
        fast: bool = True,
        settings: tuple[str, ...] = (),
        within: tuple[str, ...] = (),
        initial: tuple[str, ...] = (),
        data: Path | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path has a hundred characters
        self._settings = (*(_FAST if fast else ()), "listen_addresses=", "lc_messages=C", *settings)
        self._within = within
        self.data = data or self.folder / "data"
        self._user = _unprivileged()
        self.process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            os.chown(self.folder, *self._user)
        options = ("-U", OWNER, "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8", "--no-instructions", *initial)
        self.run("initdb", "-D", str(self.data), *options)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def run(self, program: str, *arguments: str) -> None:
        """One of the server's programs, as the server's user."""
        command = [*self._entering(), str(programs() / program), *arguments]
        subprocess.run(command, **self._as_user(), cwd=self.folder, check=True, capture_output=True, timeout=120)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [*self._entering(), str(programs() / "postgres"), "-D", str(self.data), "-k", str(self.folder)]
        for setting in self._settings:
            command += ["-c", setting]
        ready = threading.Event()
        self.process = subprocess.Popen(
            command, **self._as_user(), cwd=self.folder, stderr=subprocess.PIPE, start_new_session=True
        )

        def listen(said: Any) -> None:
            with self.log.open("ab") as log:
                for line in said:
                    log.write(line)
                    log.flush()
                    if b"ready to accept connections" in line:
                        ready.set()
            ready.set()

        threading.Thread(target=listen, args=(self.process.stderr,), daemon=True).start()
        assert ready.wait(60) and self.process.poll() is None, self.log.read_text()

    def stop(self, *, at_once: bool = False) -> None:
        """Stop it as an administrator would who does not wait for sessions; `at_once`: as a power cut would."""
        if self.process is not None:
            self.run("pg_ctl", "stop", "-w", "-D", str(self.data), "-m", "immediate" if at_once else "fast")
            self.process.wait(60)
            self.process = None

    def remove(self) -> None:
        """Stop it and leave nothing behind."""
        if self.process is not None:
            self.stop(at_once=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", *, user: str = OWNER, **more: str) -> str:
        return f"postgresql://{user}@/{database}?{urlencode({'host': str(self.folder)} | more)}"

    def connect(self, database: str = "postgres", **more: Any) -> "psycopg.Connection[Any]":
        """A connection past the journal."""
        return psycopg.connect(host=str(self.folder), user=OWNER, dbname=database, autocommit=True, **more)

    def database(self, template: str = "template0") -> str:
        """The name of a new database."""
        name = f"journal_{next(_numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # type: ignore[arg-type]
        return name

    def drop(self, database: str) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")  # type: ignore[arg-type]

    def _entering(self) -> list[str]:
        """Only root may enter; the program is the server's user's all the same."""
        if not self._within or self._user is None:
            return [*self._within]
        return [*self._within, f"--setuid={self._user[0]}", f"--setgid={self._user[1]}", "--"]

    def _as_user(self) -> dict[str, Any]:
        if self._user is None or self._within:
            return {}
        return {"user": self._user[0], "group": self._user[1], "extra_groups": []}


def programs() -> Path:
    """Where Debian keeps the newest server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    assert found, "no PostgreSQL server here: tools/programs.sh postgres installs it"
    return found[-1].parent


def _unprivileged() -> tuple[int, int] | None:
    """Whom the server runs as where we are root, which it refuses to be."""
    if os.getuid() != 0:
        return None
    found = pwd.getpwnam("nobody")
    return found.pw_uid, found.pw_gid


@cache
def shared() -> Server:
    """The server of this process's tests."""
    server = Server()
    atexit.register(server.remove)
    server.start()
    template = server.database()
    with server.connect() as connection:
        connection.execute(f"ALTER DATABASE {template} RENAME TO {_TEMPLATE}")  # type: ignore[arg-type]
    store = Database(make_url(server.url(_TEMPLATE)))
    with store.writing.connect() as connection, connection.begin():
        upgrades.prepare(connection, store)
    store.close()
    return server


@contextmanager
def a_journal() -> Iterator[str]:
    """The URL of a database with an empty journal. It is used again, since another copy would take 20 ms and more."""
    server = shared()
    name = _empty.pop() if _empty else server.database(_TEMPLATE)
    yield server.url(name)
    try:
        with server.connect(name, options="-c lock_timeout=2000") as connection:
            *_, last = connection.execute(_EMPTIED).results()
            (tables,) = last.fetchone() or (None,)
    except psycopg.Error:  # somebody was left in it, or its tables are others by now
        tables = None
    if tables == len(metadata.tables):
        _empty.append(name)
    else:
        server.drop(name)


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """Of a database with an empty journal."""
    with a_journal() as url:
        yield url


@pytest.fixture
def postgresql_database() -> Iterator[str]:
    """The URL of a database without any table."""
    server = shared()
    name = server.database()
    yield server.url(name)
    server.drop(name)


def _emptied() -> str:
    """Without TRUNCATE, which takes 15 ms since it makes files."""
    tables = [table for table in reversed(metadata.sorted_tables) if table is not meta]
    numbers = [
        f"SELECT setval(pg_get_serial_sequence('{table.name}', 'seq'), 1, false)"
        for table in tables
        if "seq" in table.primary_key.columns and len(table.primary_key.columns) == 1
    ]
    known = ", ".join(f"('{key}', '{value}')" for key, value in upgrades.described().items())
    said = f"DELETE FROM meta; INSERT INTO meta (key, value) VALUES {known}"
    count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    return "; ".join([*(f"DELETE FROM {table.name}" for table in tables), *numbers, said, count])


_EMPTIED = _emptied()
_empty: list[str] = []


@pytest.fixture(autouse=True)
def for_postgresql() -> Iterator[None]:
    """Take down which statements are executed there."""
    event.listen(Engine, "before_execute", _taken_down)
    yield
    event.remove(Engine, "before_execute", _taken_down)


def _taken_down(connection: Connection, _statement: ClauseElement, *_: Any) -> None:
    if connection.dialect.name != "postgresql":
        return
    frame = sys._getframe()
    while frame.f_back is not None and JOURNAL not in Path(frame.f_code.co_filename).parents:
        frame = frame.f_back
    sites.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
