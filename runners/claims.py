"""How a runner claims: what it wants, in one change; and what was claimed is never left to nobody."""

import asyncio
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection

from engine.identity import RunId
from journal import leases
from journal.errors import FenceLost, Refused, Unavailable
from journal.leases import Claim
from journal.store import Journal
from runners.sharedclock import SharedClock

_HAND_OVER = 5.0
"""Seconds that it may take to hand over what was claimed when the runner was stopped at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a runner claims: so many queued runs at `most`, and slices of those of `join`."""

    pools: frozenset[str] | None
    most: int
    needs: tuple[str, ...] | None
    join: tuple[RunId, ...] = ()
    above: int = leases.LOWEST
    """Only those of a higher priority."""


class Claims:
    """Those of one runner."""

    def __init__(self, journal: Journal, clock: SharedClock, runner: str, log: structlog.stdlib.BoundLogger) -> None:
        self._journal = journal
        self._clock = clock
        self._runner = runner
        self._log = log

    async def make(self, wanted: Wanted, *, hurry: bool) -> tuple[Claim, ...]:
        """Claim; with `hurry`, before what else waits to be written.

        Who is cancelled meanwhile may have claimed already, and hands it over: nobody works on it here.
        """
        name, sliced = self._runner, self._journal.shared

        def change(tx: Connection) -> tuple[Claim, ...]:
            if sliced:
                self._clock.look(tx)
            now, of = self._clock.now(), wanted
            whole = leases.claim(tx, name, of.pools, of.most, now, needs=of.needs, above=of.above, sliced=sliced)
            return (*whole, *leases.join(tx, name, of.join)) if of.join else whole

        claiming = asyncio.ensure_future(self._journal.write(change, hurry=hurry))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await self._hand_over(claiming)
            raise

    async def _hand_over(self, claiming: asyncio.Future[tuple[Claim, ...]]) -> None:
        try:
            async with asyncio.timeout(_HAND_OVER):
                for claim in await claiming:
                    await self._release(claim)
        except (Unavailable, Refused, TimeoutError) as error:
            self._log.warning("what was claimed at the end counts as lost", error=str(error))

    async def _release(self, claim: Claim) -> None:
        try:
            await self._journal.write(partial(leases.release, fence=claim.fence, now=self._clock.now()))
        except FenceLost as error:  # one that is gone keeps no other from being handed over
            self._log.warning("what was claimed at the end counts as lost", error=str(error))
