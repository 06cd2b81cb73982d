"""Signs of life of this process, for the pages of all who share its journal."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy import Connection

from journal import attendance
from journal.attendance import SIGN, Controller, Runner
from journal.clock import Clock
from journal.databases import leaseclock
from journal.errors import Unavailable
from journal.leadership import Candidate
from journal.store import Journal

log = structlog.get_logger(__name__)


class Signs:
    """Each call gives signs until it is cancelled, which says that the process stops in order."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    async def controller(self, own: Candidate) -> None:
        """Of a controller."""
        since = self._clock.now()

        def sign(tx: Connection, now: datetime) -> None:
            one = Controller(own.name, own.host, own.version, since, now)
            attendance.controller(tx, one, at=leaseclock.at(tx))

        await self._give(own.name, sign)

    async def runner(self, own: Callable[[datetime], Runner]) -> None:
        """Of a runner; `own` says how it is at a moment."""
        name = own(self._clock.now()).name
        await self._give(name, lambda tx, now: attendance.runner(tx, own(now), at=leaseclock.at(tx)))

    async def _give(self, name: str, sign: Callable[[Connection, datetime], None]) -> None:
        try:
            while True:
                try:
                    await self._journal.write(lambda tx: self._given(tx, sign))
                except Unavailable as error:
                    log.debug("no sign of life can be given", error=error.message)
                await asyncio.sleep(SIGN.total_seconds())
        finally:
            with contextlib.suppress(Unavailable):
                await self._journal.write(lambda tx: attendance.gone(tx, name))

    def _given(self, tx: Connection, sign: Callable[[Connection, datetime], None]) -> None:
        now = self._clock.now()
        sign(tx, now)
        attendance.forget(tx, now)
