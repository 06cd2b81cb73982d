"""The journal: the truth about what was decided, started and ended.

Changes of many callers share one transaction (group commit), so that a durable record costs a share of one fsync.
"""

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError

from journal import facts, points
from journal.clock import Clock
from journal.databases import faults, leaseclock, upgrades
from journal.databases.database import Database
from journal.databases.leaseclock import LeaseClock
from journal.databases.sqlite import File
from journal.databases.workers import Call, Reader, Watch, Writer, wake
from journal.errors import Refused, Unavailable

T = TypeVar("T")


class Journal:
    """One process's door to the journal.

    `write` may be called by any number of tasks at once. The changes that wait are made one after another in one
    transaction, in the order of the calls, those in a hurry first; what would make it long waits for the next one. A
    change must be a plain function of the connection: it may be called a second time when another process was quicker,
    and it must not block.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self.clock = clock
        self._database = database
        self._watches: set[Watch] = set()
        self._writer = Writer(database, self._watches)
        self._reader = Reader(database.reading)
        self._closed = False
        self._opened = self
        self._guard: Callable[[Connection], object] | None = None
        self._writer.start()
        self._reader.start()
        self._listener = database.listener(self._heard)
        self._listening = threading.Lock()

    @classmethod
    def open(cls, url: str, *, clock: Clock, lease_clock: LeaseClock | None = None) -> "Journal":
        """Open, create or upgrade the journal at `url`: `sqlite:///<path>` or `postgresql://<user>@<host>/<database>`.

        What libpq knows of connections may follow as a query (`?sslmode=verify-full`). Leases count on the store's own
        clock unless another is given. Raises Refused where the journal is newer than this program, not a journal,
        damaged or not ours to write, and Unavailable where it is locked, its disk is full or its server is away.
        """
        database = database_of(url)
        counted = leaseclock.of_this_machine(clock) if database.lease_clock is None else database.lease_clock
        leaseclock.count_on(lease_clock or counted, database.writing, database.reading)
        try:
            with faults.translation(), database.writing.connect() as connection:
                database.check(connection)
                points.reach("journal.file-created")
                with connection.begin():
                    upgrades.prepare(connection, database)
        except BaseException:
            database.writing.dispose()
            database.reading.dispose()
            raise
        upgrades.guarded(database)
        return cls(database, clock)

    @property
    def shared(self) -> bool:
        """Whether processes of other machines may be at work on it: then nobody may take their leases for void."""
        return self._database.lease_clock is not None

    @property
    def faults(self) -> int:
        """How often the database could not be written so far. A door with a guard counts with all others."""
        return self._writer.faults

    async def write(self, change: Callable[[Connection], T], *, hurry: bool = False) -> T:
        """Make the change durable, and give what it returned. In a `hurry` it is made before those that wait, unless
        they have waited for a while.

        Raises what the change raised (nothing of that change remains, others are not touched), Unavailable where
        the database cannot be written (nothing happened, unless the connection was lost at the commit: so made again, a
        change finds what it has done), Refused where it is damaged. Cancelled while it waits, the change may or may not
        have happened.
        """
        guard = self._guard
        made = change if guard is None else _behind(guard, change)
        return await self._call(self._writer, Call(made, hurry=hurry))

    async def read(self, query: Callable[[Connection], T]) -> T:
        """What the query returns, from one consistent snapshot that holds everything written before the call."""
        return await self._call(self._reader, Call(query))

    async def unwritable(self, *, patience: float = 3.0) -> str | None:
        """Why the journal cannot be written, asking for `patience` seconds at most; None where it can.

        It takes the lock that every change takes. Where the last change was refused something is written too: a disk
        that is full gives locks to everybody.
        """
        faulty = self._writer.fault is not None
        try:
            async with asyncio.timeout(patience):
                await self.write(_probed if faulty else _looked)
        except TimeoutError:
            return f"it took longer than {patience:g} s to begin a change"
        except (Unavailable, Refused) as error:
            return error.message
        return None

    async def _call(self, worker: Writer | Reader, call: Call[T]) -> T:
        if self._opened._closed:
            raise Unavailable("the journal is closed")
        worker.calls.put(call)
        worker.hurried = worker.hurried or call.hurry
        await call.future
        return call.result()

    def guarded(self, guard: Callable[[Connection], object]) -> "Journal":
        """A door to this journal for who may write only as long as `guard` says so.

        It is called in the transaction of every change, before it; where it raises, nothing of the change happens, and
        `write` raises the same. Close the journal that was opened.
        """
        door = copy(self)
        door._guard = guard
        return door

    def reader(self, name: str) -> "JournalReader":
        """Another reader, on a thread and a connection of its own: what it asks makes nobody else wait."""
        return JournalReader(self, Reader(self._database.reading, f"journal-reader-{name}"))

    def watch(self, *, objects: bool = False, work: bool = False) -> Watch:
        """A watch for the calling task, set after any commit of this process.

        With `objects`, only commits that told the outbox of a changed object count: runs queued, ended or wished away,
        but not the steps in between, of which there are many more. Those of other processes count too where the
        database passes them on, as a hint: poll for them as well, at leisure. With `work`, only those of them count
        after which somebody who works on runs or messages may have something new to do: many tell just what was done.
        """
        watch = Watch(self._watches, objects=objects, work=work)
        if self._listener is not None:  # it costs a connection, so not before somebody watches
            with self._listening:
                self._listener.listen()
        return watch

    async def close(self) -> None:
        """Finish what waits, then close. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for worker in (self._writer, self._reader):
            worker.calls.put(None)
            await asyncio.wrap_future(worker.done)
        await asyncio.to_thread(self._dispose)

    def _heard(self, work: bool) -> None:
        wake(watch for watch in tuple(self._watches) if watch.concerns(work))

    def _dispose(self) -> None:
        if self._listener is not None:
            self._listener.close()
        points.reach("journal.drained")
        self._database.close()


class JournalReader:
    """Reads the journal from whatever thread and loop asks. Close it before the journal."""

    def __init__(self, journal: Journal, worker: Reader) -> None:
        self._journal = journal
        self._worker = worker
        self._closed = False
        self._watches: set[Watch] = set()
        self._watching = True
        worker.start()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """As `Journal.read`."""
        if self._closed:
            raise Unavailable("the journal is closed")
        call = Call(query)
        self._worker.calls.put(call)
        await call.future
        return call.result()

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """As `Journal.watch` of objects, while it is open."""
        watch = self._journal.watch(objects=True)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)
            watch.close()

    def is_watched(self) -> bool:
        """Whether to go on watching: not once `stop_watching` was called."""
        return self._watching

    def stop_watching(self) -> None:
        """Wake everybody who watches, on whatever loop, to see that it is over."""
        self._watching = False
        for watch in tuple(self._watches):
            with suppress(RuntimeError):  # its loop has been closed
                watch.loop.call_soon_threadsafe(watch.wake)

    def close(self) -> None:
        """End the thread once it has answered what waits. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._worker.calls.put(None)
            self._worker.done.result()


def _behind(guard: Callable[[Connection], object], change: Callable[[Connection], T]) -> Callable[[Connection], T]:
    def guarded(tx: Connection) -> T:
        guard(tx)
        return change(tx)

    return guarded


def _looked(_: Connection) -> None:
    """A change of nothing."""


def _probed(tx: Connection) -> None:
    facts.put(tx, "journal.probe", secrets.token_hex(8))


def database_of(url: str) -> Database:
    """Where a URL leads to, before anything is opened. Raises Refused where no journal can be there."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # what it says may hold a password
        raise Refused(
            "the URL of the journal's database cannot be read; it is as postgresql://user@host:port/database, and with "
            "several hosts as postgresql://user@/database?host=a,b&port=5432,5432&target_session_attrs=read-write"
        ) from error
    match parsed.drivername:
        case "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                raise Refused("the journal needs a file: sqlite:///<path>")
            return File(Path(parsed.database))
        case "postgresql" | "postgres" | "postgresql+psycopg":
            from journal.databases.postgresql import Server

            return Server(parsed)
        case other:
            raise Refused(f"cannot keep the journal in {other}: use sqlite:///<path> or postgresql://<host>/<database>")
