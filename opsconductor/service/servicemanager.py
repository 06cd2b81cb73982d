"""What the service manager is told: that the service is up, what it does, that it lives, and that it stops.

The protocol is sd_notify(3) of systemd: datagrams of `NAME=value` lines to the socket that NOTIFY_SOCKET names, and one
`WATCHDOG=1` at least every WATCHDOG_USEC microseconds. Without these variables nobody is told anything.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger(__name__)

_MICROSECONDS = 1_000_000
_SIGNS_IN_TIME = 3
"""Signs of life in the time that the manager allows: one may be late."""


class ServiceManager:
    """Where a service says how it is. Saying it neither blocks nor fails: the work goes on without a manager."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        where = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract address.
        self._address = "\0" + where[1:] if where.startswith("@") else where
        self._socket: socket.socket | None = None
        self.patience = _patience(environment)
        """Seconds without a sign of life after which the manager ends the process; None where it does not care."""

    def ready(self, doing: str) -> None:
        """It is up, and what it does now, for `systemctl status`."""
        self._tell(f"READY=1\nSTATUS={doing}")

    def doing(self, what: str) -> None:
        """What it does now, in one line."""
        self._tell(f"STATUS={what}")

    def stopping(self) -> None:
        """It has begun to stop."""
        self._tell("STOPPING=1\nSTATUS=stopping: running steps may end")

    @asynccontextmanager
    async def watching(self, lives: Callable[[], bool]) -> AsyncIterator[None]:
        """Give signs of life as long as the calling event loop turns and `lives` says yes."""
        signs = None if self.patience is None else asyncio.create_task(self._give_signs(lives, self.patience))
        try:
            yield
        finally:
            if signs is not None:
                signs.cancel()
                await asyncio.gather(signs, return_exceptions=True)
            if self._socket is not None:
                self._socket.close()

    async def _give_signs(self, lives: Callable[[], bool], patience: float) -> None:
        while True:
            if lives():
                self._tell("WATCHDOG=1")
            await asyncio.sleep(patience / _SIGNS_IN_TIME)

    def _tell(self, lines: str) -> None:
        if not self._address:
            return
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)
            self._socket.sendto(lines.encode(), self._address)
        except OSError as error:
            log.warning("the service manager cannot be told", error=str(error))


def _patience(environment: Mapping[str, str]) -> float | None:
    """WATCHDOG_USEC, where it is meant for this process."""
    span, whom = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not span.isdecimal() or int(span) == 0 or (whom and whom != str(os.getpid())):
        return None
    return int(span) / _MICROSECONDS
