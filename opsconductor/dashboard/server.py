"""The dashboard's listener: a thread of its own, so that a page never keeps the engine from deciding."""

import asyncio
import socket
from threading import Thread

import structlog
import uvicorn
from starlette.types import ASGIApp

from journal.errors import Refused
from opsconductor.address import Pages
from opsconductor.dashboard.access import is_loopback

log = structlog.get_logger(__name__)

_MOST_READERS = 200
_GRACE = 5.0


def listener(pages: Pages) -> socket.socket:
    """Listen. Raises Refused where others than this machine would read without a token, or the address is taken."""
    address = pages.address
    if pages.token is None and not is_loopback(address.host):
        raise Refused(
            f"--dashboard {address} would show everything to whoever reaches it; "
            "add --token FILE, or listen on 127.0.0.1 behind a proxy that knows its users"
        )
    try:
        family, *_, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        found = socket.create_server(place[:2], family=family)
    except OSError as error:
        raise Refused(f"--dashboard {address} cannot be listened on: {error.strerror or error}") from error
    found.setblocking(False)
    # Else an answer's second packet waits for the first one's receipt, which the reader's system holds back for 40 ms.
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


class Server:
    """Serves an application on a listening socket until `stop`."""

    def __init__(self, application: ASGIApp, listening: socket.socket) -> None:
        config = uvicorn.Config(
            application,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_MOST_READERS,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._listening = listening
        self._thread = Thread(target=self._serve, name="dashboard", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _serve(self) -> None:
        try:
            asyncio.run(self._server.serve([self._listening]))
        except Exception:
            log.exception("the dashboard has ended; the engine goes on")

    async def stop(self) -> None:
        """Answer what was asked, and end."""
        self._server.should_exit = True
        await asyncio.to_thread(self._thread.join, _GRACE)
        self._listening.close()
