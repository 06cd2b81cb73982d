"""The bodies of requests while they come. Whoever sends one is a stranger still, so all of them share one small budget.

Each must be there soon, none is larger than may be, and of those that are under way there are only so many and only so
many bytes: beyond that the oldest is given up. So the slow make room, and never keep out who sends at once.
"""

import asyncio
from dataclasses import dataclass
from typing import Literal

from starlette.requests import ClientDisconnect, Request

from engine.payload import MAX_BYTES

BODY_WITHIN = 10.0
"""Seconds from the end of the headers to the end of the body."""
MOST_UNDER_WAY = 64
"""Bodies that may be under way at once: far fewer than there may be connections, so that these are not used up."""
MOST_BYTES = 16 << 20
"""Bytes that bodies under way may hold together; more than one body may have."""

Unread = Literal["large", "slow", "crowded", "ended"]
"""Why there is no body: over the limit, not there in time, given up for newer ones, ended by its sender."""


@dataclass(slots=True, eq=False)
class _UnderWay:
    """One that comes. Told apart by what it is, not by what it holds."""

    deadline: asyncio.Timeout
    size: int = 0
    given_up: bool = False


class Bodies:
    """Reads bodies, many at once, within one budget. Belongs to one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[_UnderWay, None] = {}  # oldest first

    async def read(self, request: Request) -> bytes | Unread:
        """The body, of at most `MAX_BYTES`, or why there is none. Nothing beyond the limit is kept."""
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:12]) > MAX_BYTES:
            return "large"
        deadline = asyncio.timeout(BODY_WITHIN)
        this = _UnderWay(deadline)
        try:
            async with deadline:
                self._under_way[this] = None
                return await self._all(request, this)
        except TimeoutError:
            return "crowded" if this.given_up else "slow"
        except ClientDisconnect:
            return "ended"
        finally:
            self._under_way.pop(this, None)

    async def _all(self, request: Request, this: _UnderWay) -> bytes | Unread:
        found = bytearray()
        self._make_room()
        async for part in request.stream():
            found += part
            this.size = len(found)
            if this.size > MAX_BYTES:
                return "large"
            self._make_room()
        return bytes(found)

    def _make_room(self) -> None:
        size = sum(one.size for one in self._under_way)
        for oldest in tuple(self._under_way):
            if len(self._under_way) <= MOST_UNDER_WAY and size <= MOST_BYTES:
                return
            del self._under_way[oldest]
            size -= oldest.size
            if not oldest.deadline.expired():  # else it is ending already
                oldest.given_up = True
                oldest.deadline.reschedule(asyncio.get_running_loop().time())
