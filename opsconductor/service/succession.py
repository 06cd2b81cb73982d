"""Who leads: a controller stands by until nobody does, takes the lead, renews it, and gives it up."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog
from sqlalchemy import Connection

from journal import attendance, leadership
from journal.clock import Clock
from journal.databases import leaseclock
from journal.errors import Refused, Unavailable
from journal.leadership import RENEWAL, Candidate, Leader
from journal.store import Journal
from reconciler import candidacy
from reconciler.candidacy import LOOK, Patience, StandBy, Take

log = structlog.get_logger(__name__)

_WAITED = 0.5
"""Seconds that a transaction waits for its turn before whoever wants the lead looks once more: somebody is at work, and
it may be the leader, who could not renew its lease meanwhile."""
_MOST_WAITS = 3


class Succession:
    """The lead of one database, as a candidate for it sees it. `leader`: who led when it was last looked.

    `look` until it gives a token, `hold` that one until it is cancelled, then `give_up`; and again.
    """

    def __init__(self, journal: Journal, clock: Clock, own: Candidate, *, stop: asyncio.Event, paused: bool) -> None:
        """Where `stop` is set no pause is waited for. Who is `paused` never leads."""
        self.own = own
        self.leader: Leader | None = None
        self._journal = journal
        self._clock = clock
        self._stop = stop
        self._paused = paused
        self._patience = Patience()

    async def look(self) -> int | None:
        """Look once whether somebody leads, and take the lead if not; without it, some time has passed."""
        try:
            leader, at = await self._journal.read(lambda conn: (leadership.leader(conn), leaseclock.at(conn)))
            self._say(leader)
            now = self._clock.monotonic()
            self._patience = self._patience.seen(at, now)
            step = candidacy.step(leader, self.own.name, at=at, patience=self._patience, now=now)
            match step:
                case Take() if not self._paused:
                    if (token := await self._taken()) is not None:
                        return token
                    await self.pause(LOOK.total_seconds())
                case Take():
                    await self.pause(LOOK.total_seconds())
                case StandBy(pause=pause):
                    await self.pause(pause.total_seconds())
        except Unavailable as error:
            log.warning("the journal cannot be used", error=error.message)
            self._patience = self._patience.failed(self._clock.monotonic())
            await self.pause(error.retry_after.total_seconds())
        return None

    async def pause(self, seconds: float) -> None:
        """Wait for so long, or until the stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    async def hold(self, token: int) -> None:
        """Renew the lead for ever. Where the database is away, it stays ours until somebody else has taken it."""
        while True:
            try:
                await self._journal.write(self._renewing(token))
            except Unavailable as error:
                log.warning("the lead cannot be renewed", error=error.message)
            await asyncio.sleep(RENEWAL.total_seconds())

    async def give_up(self, token: int) -> None:
        """So that another may lead at once. Raises nothing: a lead that cannot be given up is over in a lease."""
        try:
            await self._journal.write(lambda tx: leadership.give_up(tx, token))
        except (Unavailable, Refused) as error:
            log.warning("the lead is not given up; it is over in a lease", error=error.message)

    async def is_followed(self) -> bool:
        """Whether another controller is at work, to lead at once when this one has given up."""
        try:
            known = await self._journal.read(lambda conn: attendance.known_controllers(conn, at=leaseclock.at(conn)))
        except Unavailable:
            return False
        return any(one.name != self.own.name and not one.lost for one in known)

    def _say(self, leader: Leader | None) -> None:
        known = None if self.leader is None else self.leader.token
        if leader is not None and leader.token != known and leader.name != self.own.name:
            log.info("stands by", name=self.own.name, leader=leader.name)
        self.leader = leader

    async def _taken(self) -> int | None:
        for _ in range(_MOST_WAITS):
            began = self._clock.monotonic()
            token = await self._journal.write(partial(self._taking, began=began))
            if token is not None:
                return token
            if self._clock.monotonic() - began <= _WAITED:
                return None
            await self.pause(LOOK.total_seconds())
        return await self._journal.write(partial(self._taking, began=None))

    def _taking(self, tx: Connection, *, began: float | None) -> int | None:
        if began is not None and self._clock.monotonic() - began > _WAITED:
            return None
        return leadership.take(tx, self.own, at=leaseclock.at(tx), now=self._clock.now())

    def _renewing(self, token: int) -> Callable[[Connection], None]:
        return lambda tx: leadership.renew(tx, token, at=leaseclock.at(tx))
