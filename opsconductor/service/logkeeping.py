"""Logs besides the state folder: what `--logs` asks for, from the engine's side."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import structlog

from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.store import Journal
from runners.logstore import LogStore
from runners.ownlogs import OwnLogs
from runners.uploads import Uploads, off

log = structlog.get_logger(__name__)


class LogKeeping:
    """`store` is where logs are kept besides `folder`, if anywhere. Raises Refused for a URL that names no place.

    `shared`: other processes work on runs of the same journal, each with a folder of its own.
    """

    def __init__(self, url: str | None, folder: Path, journal: Journal, clock: Clock, *, shared: bool = False) -> None:
        self._journal = journal
        self.store = None if url is None else LogStore.open(url, os.environ)
        self._uploads: Uploads | OwnLogs | None = None
        if shared:
            self._uploads = OwnLogs(journal, folder, self.store)
        elif self.store is not None:
            self._uploads = Uploads(journal, clock, folder, self.store)

    async def keep_up(self) -> None:
        """Bring what ends, for ever. Where nothing is to be kept, nothing waits for it either."""
        if self._uploads is not None:
            await self._uploads.keep_up()
        while True:
            try:
                await self._journal.write(off)
            except Unavailable as error:
                await asyncio.sleep(error.retry_after.total_seconds())
            else:
                await asyncio.Event().wait()

    async def finish(self, within: timedelta) -> None:
        """Bring what is left, as far as there is time."""
        if self._uploads is None:
            return
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._uploads.finish()
        except (Unavailable, Refused, TimeoutError) as error:
            log.warning("some logs were not brought to their place; the next start does it", error=str(error))
