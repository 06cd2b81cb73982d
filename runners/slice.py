"""A runner's part of a run that others work on, too: it takes targets as there are places for it, until all have ended.

Which targets, and how many, is decided in the journal (`journal.spreads`); here it is waited for.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

from journal import spreads
from journal.databases.workers import Watch
from journal.errors import FenceLost, Unavailable
from journal.fence import Fence
from journal.spreads import AT_ONCE, Asks, Share, Taken
from journal.store import Journal
from journal.targetends import TargetEnd
from runners.orders import Orders
from runners.record import Record, Unwritten

Visit = Callable[[Taken], Awaitable[TargetEnd | None]]
"""Does what is to be done on a target: how it ended, or None where others go on with it."""
End = Literal["over", "handed over", "lost"]
"""All targets have ended; or others go on; or the slice was taken away, or somebody else has ended the run."""

_POLL = 1.0
"""Seconds after which the journal is asked even where nothing told us to."""
_BREATH = 0.05
"""Seconds from one look to the next at least: of a run on thousands, ends come in crowds."""


class Slice:
    """`work` returns when nothing of the run goes on here."""

    def __init__(
        self,
        journal: Journal,
        record: Record,
        fence: Fence,
        orders: Orders,
        visit: Visit,
        abandon: Callable[[], None],
    ) -> None:
        """`abandon` ends what runs here of a run that is another's."""
        self._abandon = abandon
        self._journal = journal
        self._record = record
        self._fence = fence
        self._orders = orders
        self._visit = visit
        self._working: set[str] = set()
        self._ended: list[TargetEnd] = []
        self._failing: list[str] = []
        self._freed = asyncio.Event()

    def failing(self, name: str) -> None:
        """The target will not succeed, whatever is still done on it: its failure counts at once."""
        self._failing.append(name)
        self._freed.set()

    async def work(self) -> End:
        watch = self._journal.watch(objects=True)
        try:
            async with asyncio.TaskGroup() as group:
                over = await self._take_until_over(group, watch)
        finally:
            watch.close()
        if self._record.lost:
            return "lost"
        return "over" if over else "handed over"

    async def _take_until_over(self, group: asyncio.TaskGroup, watch: Watch) -> bool:
        """Whether all targets have ended. Where it is draining, or lost, it says so once nothing is worked on here."""
        share = Share()
        while not self._record.lost:
            self._freed.clear()
            if not self._orders.draining or self._has_done:
                try:
                    share = await self._taken(group)
                except (FenceLost, Unwritten):
                    self._abandon()
                    return False
                if share.over:
                    return True
                if share.again or self._has_done:
                    continue
            if self._orders.draining and not self._working and not self._has_done:
                return False
            await self._news(watch, share)
        return False

    @property
    def _has_done(self) -> bool:
        """Whether there is something to tell the others."""
        return bool(self._ended or self._failing)

    async def _taken(self, group: asyncio.TaskGroup) -> Share:
        """Tell all that has been done since the last time, in one transaction, and take what there is to do instead."""
        ended, self._ended = tuple(self._ended[:AT_ONCE]), self._ended[AT_ONCE:]
        failing, self._failing = tuple(self._failing), []
        have = self._working | {end.target for end in self._ended}
        more = not self._orders.draining
        share = await self._record.take(Asks(frozenset(have), ended, failing, self._orders.ending, more))
        for taken in share.targets:
            self._working.add(taken.target)
            group.create_task(self._work_on(taken))
        return share

    async def _work_on(self, taken: Taken) -> None:
        ended: TargetEnd | None = None
        try:
            ended = await self._visit(taken)
        finally:
            self._working.discard(taken.target)
            if ended is not None:
                self._ended.append(ended)
            self._freed.set()

    async def _news(self, watch: Watch, share: Share) -> None:
        """Wait until there may be something to take: own places are free, or somebody else has changed the run."""
        loop = asyncio.get_running_loop()
        until = None if share.opens_in is None else loop.time() + share.opens_in
        freed = asyncio.ensure_future(self._freed.wait())
        told = asyncio.ensure_future(self._orders.news())
        # who is alone would hear of his own commits only
        heard: Callable[[float], Awaitable[object]] = asyncio.sleep if share.alone else watch.changed
        try:
            while True:
                changed = asyncio.ensure_future(heard(_POLL if until is None else min(_POLL, share.opens_in or 0.0)))
                await asyncio.wait({freed, told, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if freed.done() or told.done() or (until is not None and loop.time() >= until):
                    return
                if self._record.lost or (self._orders.draining and not self._working):
                    return
                if not self._orders.draining and await self._has_room():
                    return
                await asyncio.wait({freed, told}, timeout=_BREATH, return_when=asyncio.FIRST_COMPLETED)
        finally:
            freed.cancel()
            told.cancel()

    async def _has_room(self) -> bool:
        """Ask by reading, which makes nobody wait."""
        ending = self._orders.ending
        with contextlib.suppress(Unavailable):
            try:
                share = await self._journal.read(partial(spreads.share, fence=self._fence, ending=ending))
            except FenceLost:
                return True  # to be told so in turn
            return share.again or share.over
        return False
