"""The journal: the truth about what was decided, started and ended.

Changes of many callers share one transaction (group commit), so that a durable record costs a share of one fsync.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, insert, inspect, make_url, select, update
from sqlalchemy.exc import OperationalError

from journal import facts, faults, points, sqlite
from journal.clock import Clock
from journal.controltables import files, leadership
from journal.counts import counts
from journal.errors import Refused, Unavailable
from journal.noticetables import channels, messages, notices, tallies
from journal.tables import (
    PRODUCT,
    RUNS_IN_LINE,
    RUNS_LATER,
    VERSION,
    commits,
    events,
    meta,
    metadata,
    nodes,
    runs,
    uses,
    verdicts,
    watches,
)
from journal.workers import Call, Reader, Watch, Writer

T = TypeVar("T")


def _executing(*statements: str) -> Callable[[Connection], object]:
    return lambda connection: [connection.exec_driver_sql(statement) for statement in statements]


def _with_workflows(connection: Connection) -> None:
    _executing(
        "ALTER TABLE runs ADD COLUMN workflow BOOLEAN NOT NULL DEFAULT false",
        "ALTER TABLE runs ADD COLUMN parent VARCHAR(100)",
    )(connection)
    metadata.create_all(connection, tables=[nodes, verdicts])
    next(index for index in runs.indexes if index.name == "runs_by_parent").create(connection)


def _with_queues(connection: Connection) -> None:
    _executing(
        "ALTER TABLE runs ADD COLUMN on_conflict VARCHAR",
        "ALTER TABLE runs ADD COLUMN max_queue INTEGER",
        "DROP INDEX runs_open_by_group",
    )(connection)
    RUNS_IN_LINE.create(connection)
    RUNS_LATER.create(connection)


def _with_controllers(connection: Connection) -> None:
    metadata.create_all(connection, tables=[leadership, files])
    _executing(
        "ALTER TABLE runners ADD COLUMN version VARCHAR",
        "ALTER TABLE runners ADD COLUMN seen_at BIGINT",
    )(connection)


_OF_9 = [commits, notices, tallies, messages, channels, counts]
_UPGRADES: dict[int, Callable[[Connection], object]] = {
    2: _executing("ALTER TABLE runs ADD COLUMN message TEXT"),
    3: _executing(
        "ALTER TABLE steps ADD COLUMN again BOOLEAN NOT NULL DEFAULT false",
        "ALTER TABLE steps ADD COLUMN rescued BOOLEAN NOT NULL DEFAULT false",
        "ALTER TABLE run_targets ADD COLUMN reason VARCHAR",
    ),
    4: _executing("ALTER TABLE steps ADD COLUMN inherited BOOLEAN NOT NULL DEFAULT false"),
    5: _executing("ALTER TABLE runs ADD COLUMN rehearsal JSON"),
    6: _with_workflows,
    7: lambda connection: metadata.create_all(connection, tables=[watches, events]),
    8: _with_queues,
    9: lambda connection: metadata.create_all(connection, tables=_OF_9),
    10: lambda connection: metadata.create_all(connection, tables=[uses]),
    11: _with_controllers,
}
"""How a journal of the version before becomes one of this version."""


class Journal:
    """One process's door to the journal.

    `write` may be called by any number of tasks at once. The changes that wait are made one after another in one
    transaction, in the order of the calls. A change must be a plain function of the connection: it may be called a
    second time when another process was quicker, and it must not block.
    """

    def __init__(self, engine: Engine, reading: Engine, clock: Clock) -> None:
        self.clock = clock
        self._engines = (engine, reading)
        self._watches: set[Watch] = set()
        self._writer = Writer(engine, self._watches)
        self._reader = Reader(reading)
        self._closed = False
        self._opened = self
        self._guard: Callable[[Connection], object] | None = None
        self._writer.start()
        self._reader.start()

    @classmethod
    def open(cls, url: str, *, clock: Clock) -> "Journal":
        """Open, create or upgrade the journal at `url` (`sqlite:///<path>`).

        Raises Refused where the file is newer than this program, not a journal, damaged or not ours to write, and
        Unavailable where it is locked or the disk is full.
        """
        name = make_url(url).get_backend_name()
        if name != "sqlite":
            raise Refused(f"cannot keep the journal in {name}: this version supports sqlite:///<path> only")
        path = make_url(url).database
        if not path or path == ":memory:":
            raise Refused("the journal needs a file: sqlite:///<path>")
        engine, reading = sqlite.engines(Path(path))
        try:
            with faults.translation(), engine.connect() as connection:
                sqlite.check(connection, Path(path))
                points.reach("journal.file-created")
                with connection.begin():
                    _prepare(connection, str(path))
        except BaseException:
            engine.dispose()
            reading.dispose()
            raise
        return cls(engine, reading, clock)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Make the change durable, and give what it returned.

        Raises what the change raised (nothing of that change remains, others are not touched), Unavailable where
        the database cannot be written (nothing happened), Refused where it is damaged. Cancelled while it waits,
        the change may or may not have happened.
        """
        guard = self._guard
        return await self._call(self._writer, change if guard is None else _behind(guard, change))

    async def read(self, query: Callable[[Connection], T]) -> T:
        """What the query returns, from one consistent snapshot that holds everything written before the call."""
        return await self._call(self._reader, query)

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

    async def _call(self, worker: Writer | Reader, function: Callable[[Connection], T]) -> T:
        if self._opened._closed:
            raise Unavailable("the journal is closed")
        call = Call(function)
        worker.calls.put(call)
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
        return JournalReader(self, Reader(self._engines[1], f"journal-reader-{name}"))

    def watch(self, *, objects: bool = False) -> Watch:
        """A watch for the calling task, set after any commit of this process. Other processes must be polled for.

        With `objects`, only commits that told the outbox of a changed object count: runs queued, ended or wished away,
        but not the steps in between, of which there are many more.
        """
        return Watch(self._watches, objects=objects)

    async def close(self) -> None:
        """Finish what waits, then close. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for worker in (self._writer, self._reader):
            worker.calls.put(None)
            await asyncio.wrap_future(worker.done)
        await asyncio.to_thread(self._dispose)

    def _dispose(self) -> None:
        points.reach("journal.drained")
        writing, reading = self._engines
        reading.dispose()
        sqlite.merge(writing)
        writing.dispose()


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


def _prepare(connection: Connection, place: str) -> None:
    """Create the tables in an empty database, or bring them to this version."""
    names = set(inspect(connection).get_table_names())
    if not names:
        metadata.create_all(connection)
        known_by = {"product": PRODUCT, "version": str(VERSION)}
        connection.execute(insert(meta), [{"key": key, "value": value} for key, value in known_by.items()])
        return
    known: dict[str, str] = {}
    if "meta" in names:
        with suppress(OperationalError):
            known = {row.key: row.value for row in connection.execute(select(meta.c.key, meta.c.value))}
    if known.get("product") != PRODUCT or not known.get("version", "").isdigit():
        raise Refused(f"{place} is not an OpsConductor journal; move it away, or choose another folder with --state")
    version = int(known["version"])
    if version > VERSION:
        raise Refused(
            f"{place} was written by a newer OpsConductor (its tables are version {version}, this program knows "
            f"{VERSION}); run that version again, or choose another folder with --state"
        )
    for step in range(version + 1, VERSION + 1):
        _UPGRADES[step](connection)
    if version < VERSION:
        connection.execute(update(meta).where(meta.c.key == "version").values(value=str(VERSION)))
