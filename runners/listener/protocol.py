"""HTTP for strangers: one request a connection, which must come soon, and never more connections than may be.

Uvicorn has no limit of its own for how long the headers of a request may take.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_WITHIN = 10.0
"""Seconds from the connection to the end of the request's headers."""
ANSWERED_WITHIN = 60.0
"""Seconds from the connection to the end of the answer."""
MOST_CONNECTIONS = 256
_MOST_HEADERS = 16 << 10


class PatientProtocol(H11Protocol):
    """Ends a connection that takes too long, and every one beyond the most there may be."""

    _timers: tuple[asyncio.TimerHandle, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._timers = (
            self.loop.call_later(HEADERS_WITHIN, self._no_request_yet),
            self.loop.call_later(ANSWERED_WITHIN, transport.abort),
        )

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        super().connection_lost(exc)

    def _no_request_yet(self) -> None:
        request: object = self.cycle  # it is None before the first, whatever its type says
        if request is None:
            self.transport.abort()


class QuietServer(Server):
    """A server within a program that sees to signals and to its log by itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(app: object) -> QuietServer:
    """A server of this ASGI application; give `serve` its sockets."""
    return QuietServer(
        Config(
            app,  # type: ignore[arg-type]
            http=PatientProtocol,
            ws="none",
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=_MOST_HEADERS,
            timeout_graceful_shutdown=5,
        )
    )
