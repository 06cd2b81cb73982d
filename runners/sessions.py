"""Warm connections: steps that follow each other on one target as one user log in once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncssh

from runners.connections import Limits
from runners.connections.login import SshPlace, connect


class SshConnections:
    """Lends SSH connections, each to one user at a time, and keeps them open for a short while after.

    One instance serves all runs of a runner. Equal places, credentials included, share connections.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._idle = self._limits.idle
        self._total = self._limits.total
        self._warm: dict[SshPlace, list[tuple[_Warm, asyncio.TimerHandle]]] = {}
        self._closed = False

    @asynccontextmanager
    async def lease(
        self, place: SshPlace, *, fresh: bool = False
    ) -> AsyncIterator[tuple[asyncssh.SSHClientConnection, bool]]:
        """An open connection, and whether it was in use before. `fresh`: a new one in any case.

        Raises runners.connections.Unreached or Unusable.
        """
        warm = None if fresh else self._taken(place)
        lent = warm or await self._logged_in(place)
        try:
            yield lent.connection, warm is not None
        except BaseException:
            lent.connection.abort()
            raise
        self._give_back(place, lent)

    async def close(self) -> None:
        """Close what is idle; what is lent is closed when it comes back."""
        self._closed = True
        for connections in self._warm.values():
            for warm, timer in connections:
                timer.cancel()
                warm.connection.abort()
        self._warm.clear()
        await asyncio.sleep(0)

    async def _logged_in(self, place: SshPlace) -> "_Warm":
        until = asyncio.get_running_loop().time() + self._total
        return _Warm(await connect(place, self._limits), until)

    def _taken(self, place: SshPlace) -> "_Warm | None":
        connections = self._warm.get(place, [])
        while connections:
            warm, timer = connections.pop()
            timer.cancel()
            if not connections:
                self._warm.pop(place, None)
            if not warm.connection.is_closed():
                return warm
        return None

    def _give_back(self, place: SshPlace, lent: "_Warm") -> None:
        loop = asyncio.get_running_loop()
        seconds = min(self._idle, lent.until - loop.time())
        if self._closed or seconds <= 0 or lent.connection.is_closed():
            lent.connection.abort()
            return
        timer = loop.call_later(seconds, self._expire, place, lent)
        self._warm.setdefault(place, []).append((lent, timer))

    def _expire(self, place: SshPlace, warm: "_Warm") -> None:
        kept = [pair for pair in self._warm.get(place, []) if pair[0] is not warm]
        if kept:
            self._warm[place] = kept
        else:
            self._warm.pop(place, None)
        warm.connection.abort()


@dataclass(frozen=True, slots=True)
class _Warm:
    connection: asyncssh.SSHClientConnection
    until: float
    """The loop's time after which it is not lent again."""
