"""Whether this process was awake all the time, or stood still so long that another may decide in its place by now.

A take-over gives the former owner two intervals to notice, and an owner that is awake looks once in each. One that
stood still (SIGSTOP, a paused virtual machine, a machine that slept) did not look: before it decides or starts anything
more it looks whose the branch is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from journal.clock import Clock
from journal.errors import Refused, Unavailable

log = structlog.get_logger(__name__)

_TICK = 1.0
"""Seconds between two looks at the clock."""


class Vigil:
    """`keep` runs beside the work; `sure` may be asked by anybody at any time, and costs two readings of the clock.

    Whoever decides takes the time first and asks `sure` after it: a process that stands still in between has an old
    time in hand, at which nothing new is due.
    """

    def __init__(self, clock: Clock, look: Callable[[], Awaitable[None]], longest: Callable[[], timedelta]) -> None:
        """`look` raises OtherOwner, or Unavailable and Refused where the branch cannot be seen now.

        `longest` is how long the process may stand still: an interval, so that with the next look there are not two.
        """
        self._clock = clock
        self._look = look
        self._longest = longest
        self._last = (clock.monotonic(), clock.now())
        self._gaps = 0
        self._seen_after = 0

    def sure(self) -> bool:
        """Whether the process has been awake since it last saw the branch as its own."""
        before, self._last = self._last, (self._clock.monotonic(), self._clock.now())
        if self._span(before) > self._longest():
            if self._gaps == self._seen_after:
                log.warning("this process stood still; it looks whose the status branch is before it goes on")
            self._gaps += 1
        return self._gaps == self._seen_after

    @property
    def holds(self) -> bool:
        """What `sure` said last. Changes nothing, and may be asked from another thread."""
        return self._gaps == self._seen_after

    async def keep(self) -> None:
        """Keep watch for ever. Raises OtherOwner."""
        looking: asyncio.Task[None] | None = None
        try:
            while True:
                if not self.sure() and looking is None:
                    looking = asyncio.create_task(self._look_after(self._gaps))
                if looking is not None and looking.done():
                    looking.result()
                    looking = None
                await asyncio.sleep(_TICK)
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

    async def _look_after(self, gaps: int) -> None:
        try:
            await self._look()
        except (Unavailable, Refused) as error:
            log.warning("nothing is decided until the status branch has been seen", error=error.message)
        else:
            self._seen_after = gaps

    def _span(self, before: tuple[float, datetime]) -> timedelta:
        """By either clock: the one stops while a machine sleeps, the other may be set back."""
        monotonic, now = before
        return max(timedelta(seconds=self._last[0] - monotonic), self._last[1] - now)
