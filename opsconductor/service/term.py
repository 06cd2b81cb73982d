"""One term of a controller's lead: what begins with the lead, and in which order it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from journal.store import Journal
from opsconductor.service.answering import Answering
from opsconductor.service.controlling import Controlling
from opsconductor.service.succession import Succession
from reconciler.wake import Wake
from runners import uploads
from runners.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Term:
    """`run` it once: it lasts until `over` is set.

    `door` writes only as long as the lead is held. `logs`: what brings those of this machine to where all can read.
    Once it is not run any more `over` is set, whatever ended it, and nothing of it works.
    """

    controlling: Controlling
    succession: Succession
    token: int
    door: Journal
    answering: Answering
    logs: Uploads | None
    over: asyncio.Event
    wake: Wake

    async def run(
        self, *, begun: Callable[[], None] | None, stop: Callable[[], None], drain: Callable[[], Awaitable[None]]
    ) -> None:
        """`begun` is told when this process has begun to lead, `stop` when the term ends in order.

        `drain` lets runs of this process end. Raises LeadershipLost, and what ends the whole.
        """
        holding = asyncio.create_task(self.succession.hold(self.token))
        # Steps wait for the answers, and a git server that is away is no reason to let them fail.
        answering = asyncio.create_task(self.answering.run())
        parts: set[asyncio.Task[None]] = {holding, answering}
        beginning = asyncio.create_task(self.controlling.begin())
        try:
            await asyncio.wait({beginning, holding, answering}, return_when=asyncio.FIRST_COMPLETED)
            for part in (holding, answering):
                if part.done():
                    part.result()
            if not beginning.result():
                return
            if begun is not None:
                begun()
            await self.door.write(uploads.left_to_runners)
            over = asyncio.create_task(self._until_over())
            if self.logs is not None:
                parts.add(asyncio.create_task(self.logs.clear()))
            parts |= {*self.controlling.start(), over}
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
            stop()
            await self._end(drain)
        finally:
            self.over.set()
            self.wake.poke()
            for task in (beginning, *parts):
                task.cancel()
            await asyncio.gather(beginning, *parts, return_exceptions=True)

    async def _end(self, drain: Callable[[], Awaitable[None]]) -> None:
        """Publish what was decided. Without another controller this one publishes the ends of what is drained too.

        With one, it leads at once: the grace time of draining is long without a leader.
        """
        await self.controlling.decided()
        if not await self.succession.is_followed():
            await drain()
        await self.controlling.finish()

    async def _until_over(self) -> None:
        await self.over.wait()
