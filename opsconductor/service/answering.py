"""What the leader does for runners that have no access to git: it gives them files, says what webhooks set off, and
hears of the pushes that webhooks told them of."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from engine.catalog import Catalog
from journal import facts, files
from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.files import Answer, Wanted
from journal.store import Journal
from opsconductor.service import pinnedhooks
from reconciler.repository.committed import Committed, NoCommit, NotThere
from runners.repository import MOST

log = structlog.get_logger(__name__)

PUSHED = "source.pushed"
"""The fact that changes whenever a runner was told of a push."""
_AT_ONCE = 8
_POLL = 0.25
"""Seconds after which the journal is asked even where nothing told us to: a step waits for the answer."""
_PRUNED_EVERY = timedelta(minutes=5)


class Answering:
    """`run` until it is cancelled. It answers from the mirror at `path`, by the definitions that `catalog` gives.

    `seen` says whether the source was looked at since the lead was taken: before, a commit that is not in the mirror is
    left for later. `pushed` is called after every push that a runner was told of.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        path: Path,
        *,
        catalog: Callable[[], Catalog | None],
        seen: Callable[[], bool],
        pushed: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._seen = seen
        self._catalog = catalog
        self._pushed = pushed
        self._pinned: Catalog | None = None
        self._told: str | None = None
        self._committed = Committed(path)
        self._pruned: datetime | None = None

    async def run(self) -> None:
        watch = self._journal.watch()
        try:
            while True:
                try:
                    answered = await self._look()
                except Unavailable as error:
                    log.warning("files are given to runners later", error=error.message)
                    await asyncio.sleep(error.retry_after.total_seconds())
                    continue
                if not answered:
                    await watch.changed(_POLL)
        finally:
            watch.close()

    async def _look(self) -> bool:
        """Whether there was something to answer."""
        now = self._clock.now()
        if self._pruned is None or now - self._pruned >= _PRUNED_EVERY:
            await self._journal.write(lambda tx: files.prune(tx, now))
            self._pruned = now
        if (catalog := self._catalog()) is not None and catalog is not self._pinned:
            await self._journal.write(lambda tx: pinnedhooks.pin(tx, catalog))
            self._pinned = catalog
        asked, told = await self._journal.read(lambda conn: (files.unanswered(conn, _AT_ONCE), facts.get(conn, PUSHED)))
        if told != self._told:
            self._told = told
            self._pushed()
        answered = False
        for wanted in asked:
            said = await asyncio.to_thread(self._answer, wanted)
            if said is not None:
                await self._give(wanted, said)
                answered = True
        return answered

    async def _give(self, wanted: Wanted, said: Answer) -> None:
        """Answer it; a large file part after part, so that others write between them."""
        parts = files.in_parts(said.data or b"")
        for number, data in enumerate(parts):
            if not await self._journal.write(partial(files.put_part, wanted=wanted, number=number, data=data)):
                return
        given = Answer(None, None, len(parts)) if parts else said
        await self._journal.write(partial(files.answer, wanted=wanted, said=given))

    def _answer(self, wanted: Wanted) -> Answer | None:
        """None: not known yet."""
        seen = self._seen()  # before it is looked for: what is fetched meanwhile is found at the next look
        try:
            if not wanted.folder:
                return Answer(self._committed.read(wanted.commit, wanted.path, most=MOST), None)
            listed = self._committed.listed(wanted.commit, wanted.path)
            return Answer(json.dumps([asdict(one) for one in listed]).encode(), None)
        except NoCommit as error:
            return Answer(None, str(error)) if seen else None
        except (NotThere, Unavailable, Refused) as error:
            return Answer(None, str(error))
