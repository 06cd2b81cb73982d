"""Hears of the commits of other processes, by LISTEN and NOTIFY of PostgreSQL.

What is heard is a hint: who waits looks again after a while anyway, so nothing is lost where it does not come.
"""

import socket
import threading
import time
from collections.abc import Callable
from selectors import EVENT_READ, DefaultSelector
from typing import Any

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

log = structlog.get_logger(__name__)
CHANNEL = "opsconductor"
_SOON, _LATER = 1.0, 5.0
"""Seconds until it is tried again to listen: at first, and at most."""
_PROBED = 30.0
"""Seconds without any news after which it is asked whether somebody is there: a proxy that hangs is silent too."""


_NO_WORK = "/done"
"""At the end of what is told: nobody who works has anything new to do. Who does not know it wakes all."""


def telling(own: str, *, work: bool) -> str:
    """What has all others hear of this transaction once it is committed, and returns a row if there is such.

    The payload begins with the schema, since each may hold a journal, and goes on with who says it, `own`: hexadecimal
    digits. A transaction that has changed nothing has no number, and nobody is told of it. `work`: as of
    `journal.outbox.tell`.
    """
    said = own if work else own + _NO_WORK
    return (
        f"SELECT pg_catalog.pg_notify('{CHANNEL}', pg_catalog.current_schema() || '/{said}')"
        " WHERE pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL"
    )


class Listener(threading.Thread):
    """A thread that listens on a connection of its own.

    It calls `heard` for what others than `own` have told, and whenever some of it may have been missed: with whether
    who works may have something new to do.
    """

    def __init__(self, engine: Engine, own: str, heard: Callable[[bool], object]) -> None:
        super().__init__(name="journal-listener", daemon=True)
        self._engine = engine
        self._own = own
        self._heard = heard
        self._pause = 0.0
        self._ending, self._end = socket.socketpair()

    def run(self) -> None:
        while True:
            try:
                self._listen()
                break
            except (psycopg.Error, DBAPIError) as error:
                log.info("commits of other processes are not heard of for now", error=" ".join(str(error).split()))
            self._pause = min(_LATER, 2 * self._pause)
            if self._is_ending(self._pause):
                break
        self._ending.close()

    def listen(self) -> None:
        """Begin, where it has not yet. One call at a time."""
        if self.ident is None:
            self.start()

    def close(self) -> None:
        """End the thread, and wait for it."""
        self._end.close()
        if self.ident is None:
            self._ending.close()
        else:
            self.join()

    def _listen(self) -> None:
        """Listen until it is stopped, or the connection is lost."""
        fairy = self._engine.raw_connection()
        try:
            connection = fairy.driver_connection
            assert isinstance(connection, psycopg.Connection)
            schema = connection.execute("SELECT current_schema()").fetchone()
            connection.execute(f"LISTEN {CHANNEL}")
            assert schema is not None
            self._hear(connection, f"{schema[0]}/")
        finally:
            fairy.invalidate()

    def _hear(self, connection: "psycopg.Connection[Any]", schema: str) -> None:
        self._pause = _SOON / 2
        self._heard(True)
        last = time.monotonic()
        while not self._is_ending(_PROBED, connection):
            if time.monotonic() - last >= _PROBED:
                connection.execute("SELECT 1")
                self._heard(True)  # what came together with the answer is not told again
            last = time.monotonic()
            connection.pgconn.consume_input()
            told = []
            while (notice := connection.pgconn.notifies()) is not None:
                told.append(notice.extra.decode())
            others = [said for said in told if said.startswith(schema) and not said.startswith(schema + self._own)]
            if others:
                self._heard(not all(said.endswith(_NO_WORK) for said in others))

    def _is_ending(self, patience: float | None, *others: "psycopg.Connection[Any]") -> bool:
        """Wait until it is told to stop, one of the others has something to say, or so many seconds are over."""
        with DefaultSelector() as asked:  # not select(): a busy process has more than 1,024 descriptors
            asked.register(self._ending, EVENT_READ)
            for one in others:
                asked.register(one, EVENT_READ)
            return any(key.fileobj is self._ending for key, _ in asked.select(patience))
