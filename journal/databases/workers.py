"""The threads that talk to the database: one writes, in batches that share a commit; others read.

A call goes to its thread by a queue and comes back by its caller's loop, each of which is woken once a batch.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from journal import outbox, points
from journal.databases import faults, trailing
from journal.databases.database import Database
from journal.databases.savepoint import in_savepoint
from journal.errors import FenceLost

T = TypeVar("T")
_MOST_IN_A_BATCH = 512
_LONGEST = 0.01
"""Seconds after which a transaction takes no further change: other processes wait for their turn, and so does whoever
is in a hurry here. What is left has the next one."""
_FEWEST = 8
"""So many changes share a transaction in any case, where so many wait: each commit is an fsync."""
_FEWEST_BEFORE_A_HURRY = 4
"""The same where somebody is in a hurry meanwhile, whose change is made in the next one."""
_AHEAD = 0.05
"""Seconds by which a change in a hurry overtakes the others. All are made in the end, however many are in a hurry."""


class Call(Generic[T]):
    """One change or query on its way to a worker, and its caller's future."""

    __slots__ = ("error", "function", "future", "hurry", "loop", "place", "value")

    def __init__(self, function: Callable[[Connection], T], *, hurry: bool = False) -> None:
        self.function = function
        self.hurry = hurry
        self.place = time.monotonic() - (_AHEAD if hurry else 0.0)
        self.loop = asyncio.get_running_loop()
        # The future carries the call, not an exception: a cancelled caller leaves nothing behind that nobody fetched.
        self.future: asyncio.Future[None] = self.loop.create_future()
        self.error: BaseException | None = None
        self.value: T

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return self.value


class Watch:
    """Tells one task that something was committed. Wakes that come together are one."""

    def __init__(self, watches: "set[Watch]", *, objects: bool, work: bool = False) -> None:
        self._objects = objects
        self._work = work
        self._watches = watches
        self._event = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        watches.add(self)

    async def changed(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - part of the port
        """Whether it was told since the last call, waiting `timeout` seconds for it."""
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True

    def concerns(self, told: bool | None) -> bool:
        """Whether it is woken by a commit that told of objects (None: of none), True: that somebody is to work on."""
        if self._work:
            return bool(told)
        return told is not None or not self._objects

    def close(self) -> None:
        self._watches.discard(self)

    def wake(self) -> None:
        """Called on the watch's own loop."""
        self._event.set()


class _Worker(threading.Thread):
    """A thread with one connection. It serves calls in order; `serve` is given all that wait."""

    def __init__(self, name: str, engine: Engine) -> None:
        super().__init__(name=name, daemon=True)
        self.calls: SimpleQueue[Call[Any] | None] = SimpleQueue()
        self.done: Future[None] = Future()
        self._left: list[Call[Any]] = []
        """What the last batch has left to the next."""
        self.hurried = False
        """Whether somebody in a hurry has come since the calls that wait were taken."""
        self._engine = engine
        self._connection: Connection | None = None

    def run(self) -> None:
        last = False
        while not last or self._left:
            batch, self._left = [one for one in self._left if not one.future.cancelled()], []
            if not last:
                found, last = self._waiting(block=not batch)
                batch = sorted([*batch, *found], key=_place)
            if batch:
                self._serve_all(batch)
        self._drop()
        self.done.set_result(None)

    def _waiting(self, *, block: bool) -> tuple[list[Call[Any]], bool]:
        found: list[Call[Any]] = []
        try:
            call = self.calls.get(block)
            self.hurried = False
            while call is not None:
                # Whoever was cancelled before the change began does not want it.
                if not call.future.cancelled():
                    found.append(call)
                if len(found) >= _MOST_IN_A_BATCH:
                    return found, False
                call = self.calls.get_nowait()
        except Empty:
            return found, False
        return found, True

    def _serve_all(self, batch: list[Call[Any]]) -> None:
        try:
            self.serve(batch)
        except BaseException as error:  # noqa: BLE001 - the callers must hear of it, whatever it is
            self._drop()
            translated = faults.translated(error)
            self.failed(translated)
            for call in batch:
                call.error = translated
        self.answered(batch)

    def connection(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _drop(self) -> None:
        """Forget the connection: after a fault the next batch begins with a fresh one."""
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.invalidate()
                self._connection.close()
            self._connection = None

    def serve(self, batch: list[Call[Any]]) -> None:
        raise NotImplementedError

    def failed(self, error: BaseException) -> None:
        """None of a batch was done."""

    def answered(self, batch: list[Call[Any]]) -> None:
        _resolve(batch, ())


class Writer(_Worker):
    def __init__(self, database: Database, watches: set[Watch]) -> None:
        super().__init__("journal-writer", database.writing)
        self._database = database
        self._watches = watches
        # Where a commit waits for a server as well, whoever is in a hurry does not wait for the changes of others too.
        self._is_shared = database.lease_clock is not None
        self._changed = False
        self._told: bool | None = None
        self.faults = 0
        """How many batches could not be written."""
        self.fault: str | None = None
        """Why the last batch could not be written; None once one was."""

    def serve(self, batch: list[Call[Any]]) -> None:
        self._changed, self._told = False, None
        if self._is_shared:
            self._leave(batch, max((number for number, call in enumerate(batch, 1) if call.hurry), default=len(batch)))
        if not self._served_plainly(batch):
            self._commit(lambda tx: _apply_all(tx, batch))

    def _served_plainly(self, batch: list[Call[Any]]) -> bool:
        """Make the changes without savepoints, which are two statements of three.

        Where one fails, which is rare, nothing has happened, and all are made again, each in its own.
        """

        def plainly(tx: Connection) -> None:
            trailing.begin(tx)
            until = time.monotonic() + _LONGEST
            try:
                for number, call in enumerate(batch, 1):
                    call.value = call.function(tx)
                    late = number >= _FEWEST and time.monotonic() > until
                    if late or (number >= _FEWEST_BEFORE_A_HURRY and self.hurried and self._is_shared):
                        self._leave(batch, number)
                        break
                trailing.settle(tx)
            finally:
                trailing.end(tx)

        try:
            self._commit(plainly)
        except DBAPIError as error:
            if faults.spoils_the_transaction(error):
                raise
            return False
        except Exception:  # noqa: BLE001 - the change that raised it will do so again, in its savepoint
            return False
        return True

    def _leave(self, batch: list[Call[Any]], count: int) -> None:
        """Leave all but so many to the next transaction."""
        self._left = [*batch[count:], *self._left]
        del batch[count:]

    def _commit(self, changes: Callable[[Connection], object]) -> None:
        tx = self.connection()
        points.begun()
        mark = self._database.mark(tx)
        tx.info.pop(outbox.TOLD, None)
        with tx.begin():
            changes(tx)
            told = tx.info.get(outbox.TOLD)
            self._database.ending(tx, told=told)
            points.uncommitted()
        points.committed()
        self.fault = None
        # Nobody is woken for nothing: a watcher that looks by writing would never sleep.
        self._changed, self._told = self._database.changed(tx, mark), told

    def answered(self, batch: list[Call[Any]]) -> None:
        woken = (watch for watch in tuple(self._watches) if watch.concerns(self._told))
        _resolve(batch, woken if self._changed else ())

    def failed(self, error: BaseException) -> None:
        self.faults += 1
        self.fault = f"{type(error).__name__}: {error}"


class Reader(_Worker):
    def __init__(self, engine: Engine, name: str = "journal-reader") -> None:
        super().__init__(name, engine)

    def serve(self, batch: list[Call[Any]]) -> None:
        for call in batch:
            connection = self.connection()
            try:
                with connection.begin():
                    call.value = call.function(connection)
            except DBAPIError as error:
                self._drop()
                call.error = faults.translated(error)
            except Exception as error:  # noqa: BLE001 - it is the caller's own
                call.error = error


def wake(watches: Iterable[Watch]) -> None:
    """Tell each of them that something was committed."""
    _resolve((), watches)


def _place(call: Call[Any]) -> float:
    return call.place


def _apply_all(tx: Connection, batch: list[Call[Any]]) -> None:
    for call in batch:
        _apply(tx, call)


def _apply(tx: Connection, call: Call[Any]) -> None:
    """Make one change in a savepoint of its own: when it fails, only it fails."""
    try:
        call.value = in_savepoint(tx, call.function)
    except IntegrityError:
        # Another process was first. Looking again, the change sees what that one wrote.
        try:
            call.value = in_savepoint(tx, call.function)
        except IntegrityError as error:
            call.error = error
        except DBAPIError:
            raise
        except Exception as error:  # noqa: BLE001
            call.error = error
    except DBAPIError as error:
        if faults.spoils_the_transaction(error):
            raise
        call.error = error
    except FenceLost as error:
        call.error = error
        if error.aftermath is not None:
            error.aftermath(tx)
            error.aftermath = None
    except Exception as error:  # noqa: BLE001 - it is the caller's own
        call.error = error


def _resolve(batch: Iterable[Call[Any]], watches: Iterable[Watch]) -> None:
    """Tell every caller, waking each loop once."""
    loops: dict[asyncio.AbstractEventLoop, tuple[list[Call[Any]], list[Watch]]] = {}
    for call in batch:
        loops.setdefault(call.loop, ([], []))[0].append(call)
    for watch in tuple(watches):
        loops.setdefault(watch.loop, ([], []))[1].append(watch)
    for loop, (calls, woken) in loops.items():
        with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            loop.call_soon_threadsafe(_tell, calls, woken)


def _tell(calls: list[Call[Any]], watches: list[Watch]) -> None:
    for call in calls:
        if not call.future.done():
            call.future.set_result(None)
    for watch in watches:
        watch.wake()
