"""Warm connections: steps that follow each other on one target as one user log in once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh

from runners.connections.login import SshLimits, SshPlace, connect

IDLE = 15.0
"""Seconds that an unused connection stays open."""


class SshConnections:
    """Lends SSH connections, each to one user at a time, and keeps them open for a short while after.

    One instance serves all runs of a runner. Equal places, credentials included, share connections.
    """

    def __init__(self, limits: SshLimits | None = None, *, idle: float = IDLE) -> None:
        self._limits = limits or SshLimits()
        self._idle = idle
        self._warm: dict[SshPlace, list[tuple[asyncssh.SSHClientConnection, asyncio.TimerHandle]]] = {}
        self._closed = False

    @asynccontextmanager
    async def lease(
        self, place: SshPlace, *, fresh: bool = False
    ) -> AsyncIterator[tuple[asyncssh.SSHClientConnection, bool]]:
        """An open connection, and whether it was in use before. `fresh`: a new one in any case.

        Raises runners.connections.login.Unreached or Unusable.
        """
        warm = None if fresh else self._taken(place)
        connection = warm or await connect(place, self._limits)
        try:
            yield connection, warm is not None
        except BaseException:
            connection.abort()
            raise
        self._give_back(place, connection)

    async def close(self) -> None:
        """Close what is idle; what is lent is closed when it comes back."""
        self._closed = True
        for connections in self._warm.values():
            for connection, timer in connections:
                timer.cancel()
                connection.abort()
        self._warm.clear()
        await asyncio.sleep(0)

    def _taken(self, place: SshPlace) -> asyncssh.SSHClientConnection | None:
        connections = self._warm.get(place, [])
        while connections:
            connection, timer = connections.pop()
            timer.cancel()
            if not connections:
                self._warm.pop(place, None)
            if not connection.is_closed():
                return connection
        return None

    def _give_back(self, place: SshPlace, connection: asyncssh.SSHClientConnection) -> None:
        if self._closed or self._idle <= 0 or connection.is_closed():
            connection.abort()
            return
        timer = asyncio.get_running_loop().call_later(self._idle, self._expire, place, connection)
        self._warm.setdefault(place, []).append((connection, timer))

    def _expire(self, place: SshPlace, connection: asyncssh.SSHClientConnection) -> None:
        kept = [pair for pair in self._warm.get(place, []) if pair[0] is not connection]
        if kept:
            self._warm[place] = kept
        else:
            self._warm.pop(place, None)
        connection.abort()
