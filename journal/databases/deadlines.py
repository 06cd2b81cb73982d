"""Connections to PostgreSQL whose other side must answer in time.

The server bounds what a statement takes (`statement_timeout`), and TCP finds out where nobody is there any more.
Neither helps where something between stands still and is alive: a proxy that hangs takes what is sent, answers the
probes of TCP, and passes nothing on. So the client counts too.
"""

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")

BEGINNING = 18.0
"""Seconds that it may take to set a connection up or to begin a transaction: more than a writer waits for its turn."""
ANSWER = 75.0
"""Seconds that the answer to one message may take: longer than the server lets a statement take."""


class Deadline(psycopg.Connection[Any]):
    """A connection that is closed where the answer to a message takes longer than `patience` seconds; None: it may
    take as long as it does. Who waited is told by an OperationalError without a code."""

    patience: float | None = BEGINNING

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **more: Any) -> T:
        """As psycopg's, which goes on with `gen` several times a second, also where nothing has come."""
        if self.patience is not None:
            gen = self._bounded(gen, self.patience)
        return super().wait(gen, *args, **more)

    def _bounded(self, gen: Generator[Any, Any, T], patience: float) -> Generator[Any, Any, T]:
        until = time.monotonic() + patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() >= until:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(
                        f"the server, or what lies between, has not answered for {patience:g} s, and was hung up on"
                    )
                wanted = gen.send(ready)
        except StopIteration as end:
            answer: T = end.value
            return answer
