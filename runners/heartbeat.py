"""The heartbeat of a runner: it renews the leases of all that it works on, and lets go in time where it cannot."""

import asyncio

import structlog

from journal import leases
from journal.clock import Clock
from journal.errors import Unavailable
from journal.fence import Fence
from journal.leases import LEASE, Renewed
from journal.store import Journal
from runners.underway import Underway

_BEAT = LEASE.total_seconds() / 5
"""Seconds from one renewal to the next. Somebody else may stand still with the writers' turn for five seconds, and who
waited for it is still in time: with a third of a lease one such pause at a bad moment ended what ran here."""
_STRAY_BEATS = 2
"""After so many renewals in a row a run that is held and not worked on here is given back: one may fall between a
claim's commit and its start."""
_MARGIN = 1.0
"""Seconds before the end of the lease at which nothing that must not be repeated may run any more."""


class Heartbeat:
    """`beat` goes on until it is cancelled. `underway` is the runner's own, and changes as it works."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        runner: str,
        underway: Underway,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._runner = runner
        self._underway = underway
        self._log = log
        self._renewed = 0.0
        self._gave_way = False
        self._strays: dict[Fence, int] = {}

    def claimed(self, began: float) -> None:
        """Leases are held that were claimed in a change which began then, by the monotonic clock."""
        if not self._underway:
            self._renewed = began

    def unrenewed(self, now: float) -> float:
        """Seconds since all leases were renewed; 0 where there are none."""
        return now - self._renewed if self._underway else 0.0

    async def beat(self) -> None:
        """Renew all leases every fifth of a lease; where that fails, end in time what another may repeat."""
        while True:
            await asyncio.sleep(min(_BEAT, 1.0) if self._gave_way or self._late() else _BEAT)
            if not self._underway:
                self._gave_way = False
                self._strays = {}
                continue
            before = self._clock.monotonic()
            mine = self._underway.executions
            patience = max(_BEAT, self._left(before) - _BEAT)
            try:
                async with asyncio.timeout(patience):
                    renewed = await self._journal.write(lambda tx: leases.renew(tx, self._runner), hurry=True)
            except (Unavailable, TimeoutError) as error:
                said = str(error) or f"no turn to write within {patience:.0f} s"
                self._log.warning("leases cannot be renewed", error=said)
                self._give_way_in_time()
                continue
            self._renewed, self._gave_way = before, False
            self._underway.left(mine, renewed.fences)
            self._underway.hear(renewed.wishes)
            await self._give_back(renewed)

    def _late(self) -> bool:
        return self.unrenewed(self._clock.monotonic()) > _BEAT + 1.0

    def _left(self, now: float) -> float:
        """Seconds for which what must not be repeated may still run."""
        return LEASE.total_seconds() - (now - self._renewed) - _MARGIN

    def _give_way_in_time(self) -> None:
        left = self._left(self._clock.monotonic())
        if left > _BEAT:
            return
        self._gave_way = True
        for execution in self._underway.executions:
            execution.give_way(max(0.0, left))

    async def _give_back(self, renewed: Renewed) -> None:
        """A run whose execution is gone without an end (a bug of ours) must not be renewed for ever."""
        self._strays = {one: self._strays.get(one, 0) + 1 for one in renewed.fences - self._underway.fences}
        strays = [one.run for one, beats in self._strays.items() if beats >= _STRAY_BEATS]
        if not strays:
            return
        try:
            given = await self._journal.write(lambda tx: leases.give_back(tx, self._runner, strays, self._clock.now()))
        except Unavailable as error:
            self._log.warning("a run cannot be given back yet", error=error.message)
            return
        for reaped in given:
            self._log.error("a run was held here and nothing worked on it", run=reaped.run, state=reaped.to.value)
