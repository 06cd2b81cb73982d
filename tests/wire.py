"""A connection to a PostgreSQL server through something alive in between, that stops or cuts it where a test says."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from tests.postgresql import OWNER, Server

_PORT = 5432
"""Of the socket's name: the server listens on no port."""


class Fault(Protocol):
    """What happens to one connection; it is called for one piece after the other, in their order."""

    def sent(self, data: bytes) -> bytes:
        """What goes on to the server of what the client sends."""
        ...

    def answered(self, data: bytes) -> bytes | None:
        """What goes back to the client; None: both sides are closed."""
        ...


class Stalled:
    """Nothing goes on from the first time that `mark` was sent, not even the rest of the message that holds it."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self.happened = threading.Event()

    def sent(self, data: bytes) -> bytes:
        if self.happened.is_set():
            return b""
        if self._mark not in data:
            return data
        self.happened.set()
        return data[: data.index(self._mark) + len(self._mark)]

    def answered(self, data: bytes) -> bytes | None:
        return data


class Unread(Stalled):
    """The server's answers are not taken any more from the first time that `mark` was sent: it blocks with them."""

    def sent(self, data: bytes) -> bytes:
        super().sent(data)
        return data

    def answered(self, data: bytes) -> bytes | None:
        if self.happened.is_set():
            threading.Event().wait()
        return data


class Silent:
    """While `hangs` is set nothing goes on in either direction, and nobody is told: every connection stays open, new
    ones are taken, and what was sent meanwhile is gone."""

    def __init__(self) -> None:
        self.hangs = threading.Event()

    def sent(self, data: bytes) -> bytes:
        return b"" if self.hangs.is_set() else data

    def answered(self, data: bytes) -> bytes | None:
        return b"" if self.hangs.is_set() else data


class LostCommit:
    """The connection is lost after the server has answered a COMMIT, and before the client hears of it: as often as
    `times` says from the time on that it is set, over all connections."""

    def __init__(self) -> None:
        self.times = 0
        self._asked = False

    def sent(self, data: bytes) -> bytes:
        self._asked = self.times > 0 and b"COMMIT\0" in data
        return data

    def answered(self, data: bytes) -> bytes | None:
        if not self._asked:
            return data
        self._asked, self.times = False, self.times - 1
        return None


@contextmanager
def wire(server: Server, database: str, fault: Fault) -> Iterator[str]:
    """The URL of the database through it. One connection has the fault at a time; all are closed at the end."""
    listening = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = []

    def pass_on(source: socket.socket, target: socket.socket, *, back: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                passed = fault.answered(data) if back else fault.sent(data)
                if passed is None:
                    break
                target.sendall(passed)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                inner = socket.socket(socket.AF_UNIX)
                inner.connect(f"{server.folder}/.s.PGSQL.{_PORT}")
                ends.extend((client, inner))
                for pair, back in (((client, inner), False), ((inner, client), True)):
                    threading.Thread(target=pass_on, args=pair, kwargs={"back": back}, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"postgresql://{OWNER}@127.0.0.1:{listening.getsockname()[1]}/{database}"
    finally:
        for end in (listening, *ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
