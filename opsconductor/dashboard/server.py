"""The dashboard's listener: a thread of its own, so that a page never keeps the engine from deciding."""

import asyncio
import socket
from threading import Thread

import h11
import structlog
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from journal.errors import Refused
from opsconductor.dashboard.access import OPEN_TO_ALL, is_loopback
from opsconductor.service.address import Address, Pages

log = structlog.get_logger(__name__)

_MOST_ANSWERS = 200
"""Requests that are answered at once, probes aside."""
_MOST_CONNECTIONS = 500
"""For one more, one that asks for nothing is let go: each takes a file descriptor of the engine."""
_HEADERS_WITHIN = 10.0
"""Seconds from a connection, or from the first byte of a later request, until the request's headers are whole."""
_GRACE = 5.0


def listener(pages: Pages) -> socket.socket:
    """Listen. Raises Refused where others than this machine would read without a token, or the address is taken."""
    address = pages.address
    if pages.token is None and not is_loopback(address.host):
        raise Refused(
            f"--dashboard {address} would show everything to whoever reaches it; "
            "add --token FILE, or listen on 127.0.0.1 behind a proxy that knows its users"
        )
    return listening_at("--dashboard", address)


def listening_at(option: str, address: Address) -> socket.socket:
    """Listen. Raises Refused, by the name of the option that asked for it, where the address cannot be had."""
    try:
        family, *_, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        found = socket.create_server(place[:2], family=family)
    except OSError as error:
        raise Refused(f"{option} {address} cannot be listened on: {error.strerror or error}") from error
    found.setblocking(False)
    # Else an answer's second packet waits for the first one's receipt, which the reader's system holds back for 40 ms.
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


class _Prompt(H11Protocol):
    """A connection that is let go where it does not ask for anything in time."""

    _silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._judge()
        if len(self.connections) > _MOST_CONNECTIONS:
            idle = (one for one in self.connections if isinstance(one, _Prompt) and one is not self and one.is_idle)
            next(idle, self).transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._judge()

    def connection_lost(self, exc: Exception | None) -> None:
        self._asked()
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is whole, or being answered."""
        return self.conn.their_state is h11.IDLE

    def _judge(self) -> None:
        if not self.is_idle:
            self._asked()
        elif self._silence is None:
            self._silence = self.loop.call_later(_HEADERS_WITHIN, self.transport.abort)

    def _asked(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


class _Bounded:
    """Answers so many at once and no more; probes always, so that nobody who reads can make the engine look dead."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._answering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN_TO_ALL:
            await self._application(scope, receive, send)
        elif self._answering >= _MOST_ANSWERS:
            busy = PlainTextResponse("too many are reading; try again soon\n", 503, headers={"Retry-After": "5"})
            await busy(scope, receive, send)
        else:
            self._answering += 1
            try:
                await self._application(scope, receive, send)
            finally:
                self._answering -= 1


class Server:
    """Serves an application on a listening socket, in a thread of this name, until `stop`."""

    def __init__(self, application: ASGIApp, listening: socket.socket, *, name: str = "dashboard") -> None:
        self._name = name
        config = uvicorn.Config(
            _Bounded(application),
            http=_Prompt,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._listening = listening
        self._thread = Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _serve(self) -> None:
        try:
            asyncio.run(self._server.serve([self._listening]))
        except Exception:
            log.exception("what answers on this address has ended; all else goes on", of=self._name)

    async def stop(self) -> None:
        """Answer what was asked, and end."""
        self._server.should_exit = True
        await asyncio.to_thread(self._thread.join, _GRACE)
        self._listening.close()
