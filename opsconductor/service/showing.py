"""What the engine shows: its status branch follows the journal, for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from engine.identity import RunId
from engine.status.views import EngineView, ScheduleView, SyncView
from journal import history, outbox, schedules
from journal.clock import Clock
from journal.databases.workers import Watch
from journal.errors import Refused, Unavailable
from journal.store import Journal
from opsconductor.service.testresults import TestResults
from opsconductor.settings import StateFolder
from reconciler import sync
from reconciler.lookout import Sighting
from reconciler.loop import Loop
from reconciler.publication.projection import SYNC_KEY
from reconciler.publication.publish import Publisher
from reconciler.publication.statusbranch import StatusBranch
from runners import logs, uploads
from schemas.project import Retention

log = structlog.get_logger(__name__)

_PRUNE_EVERY = timedelta(minutes=10)
_REFUSED_PAUSE = timedelta(seconds=30)
_BRANCH_LOOK_EVERY = timedelta(seconds=30)


class Showing:
    """Keeps the status branch up to date with the journal and with what the loop knows.

    `news` is set when the loop has seen something; `own_source`: the branch is one of those that the loop looks at.
    """

    def __init__(
        self,
        loop: Loop,
        journal: Journal,
        clock: Clock,
        state: StateFolder,
        *,
        news: asyncio.Event,
        own_source: bool,
    ) -> None:
        self._loop = loop
        self._journal = journal
        self._clock = clock
        self._logs = state.logs
        self._tests = TestResults(journal, state.tests)
        self._own_source = own_source
        self._news = news
        self._sighting = Sighting()
        self._shown: SyncView | None = None
        self.engine: EngineView | None = None
        """Who has claimed the branch, once it is claimed."""
        self.logs_kept = False
        """Whether logs are also kept at a place of their own."""
        self.followed: str | None = None
        """The commit in force whose status branch was taken up, or could not be."""
        self.published = float("-inf")
        """When the branch last took what it was to have, by the monotonic clock; minus infinity before the first try.
        It is looked at twice a minute at least, so that this is old only where something keeps it from being taken."""
        self.unpublished: str | None = None
        """What the last try met, where it did not get through."""

    async def keep_up(self, branch: StatusBranch) -> None:
        """Publish what the journal has, until cancelled, looking at the branch now and then; and prune beside it."""
        both = (asyncio.create_task(self._publish(branch)), asyncio.create_task(self._tidy()))
        try:
            await asyncio.gather(*both)
        finally:
            for one in both:
                one.cancel()

    async def _tidy(self) -> None:
        """Remove what is past its retention now and then, also while nothing can be published."""
        # What an earlier engine was killed over goes at once; the first pass comes before any removal of its own.
        await self._tried(self.sweep_logs)
        while True:
            await asyncio.sleep(_PRUNE_EVERY.total_seconds())
            if self._loop.catalog is not None:  # else nobody knows how long runs are kept
                await self._tried(self.prune)

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, and again until the journal lets it be done."""
        while True:
            try:
                return await work()
            except (Unavailable, Refused) as error:
                log.warning("what is past its retention is removed later", error=error.message)
                pause = error.retry_after if isinstance(error, Unavailable) else _REFUSED_PAUSE
                await asyncio.sleep(max(pause.total_seconds(), 1.0))

    async def _publish(self, branch: StatusBranch) -> None:
        watch = self._journal.watch(objects=True)
        looked = self.published = self._clock.monotonic()
        while True:
            pause = branch.publisher.min_interval
            every = await self._branch_look_every()
            try:
                await self._follow(branch)
                await self.show_sync()
                await self._show_tests()
                if self._clock.monotonic() - looked >= every.total_seconds() or self._branch_moved(branch.publisher):
                    looked = self._clock.monotonic()
                    await branch.look()
                await branch.projection.publish()
                self.published, self.unpublished = self._clock.monotonic(), None
            except Unavailable as error:
                self.unpublished = error.message
                log.warning("status is published later", error=error.message)
                pause = max(pause, error.retry_after)
            except Refused as error:
                self.unpublished = error.message
                # Jobs go on: what they do is in the journal, and is published when a person has allowed the push again.
                log.error("status cannot be published until somebody changes something", error=error.message)
                pause = max(pause, _REFUSED_PAUSE)
            await asyncio.sleep(pause.total_seconds())
            if not branch.projection.more:
                await self._woken(watch, every)

    def watch(self, branch: StatusBranch) -> None:
        """Let the loop look at this branch together with its own, where they are of one repository."""
        if self._own_source:
            self._loop.outlook.status_ref = branch.ref

    async def _follow(self, branch: StatusBranch) -> None:
        """Take up the status branch that the commit in force names; where that is refused, stay and say so."""
        catalog = self._loop.catalog
        if catalog is None or catalog.commit == self.followed:
            return
        trouble = self._loop.shared(catalog.project)
        if trouble is None and catalog.project.spec.status.ref != branch.ref:
            try:
                self.engine = (await branch.follow(catalog.project.spec.status.ref)).own
                self.watch(branch)
            except Refused as error:
                trouble = error.message
                log.error("the status stays where it is", ref=branch.ref, error=trouble)
        self._loop.note_status(trouble)
        self.followed = catalog.commit

    async def _branch_look_every(self) -> timedelta:
        """The loop looks at a status branch of its own source; at another repository nobody else does."""
        if self._own_source:
            return _BRANCH_LOOK_EVERY
        return min(_BRANCH_LOOK_EVERY, await self._loop.outlook.interval())

    async def _woken(self, watch: Watch, most: timedelta) -> None:
        """Until the journal has something to publish, or the loop saw something; not longer than between two looks."""
        changed = asyncio.ensure_future(watch.changed(timeout=most.total_seconds()))
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({changed, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            news.cancel()
        self._news.clear()

    def _branch_moved(self, publisher: Publisher) -> bool:
        """Whether a look since the last question found the status branch elsewhere than we left it."""
        sighting, before = self._loop.outlook.sighting, self._sighting
        self._sighting = sighting
        return sighting is not before and sighting.heads.get(publisher.ref, publisher.tip) != publisher.tip

    async def prune(self) -> None:
        """Remove the runs that are past their retention, with their logs."""
        catalog = self._loop.catalog
        retention = catalog.project.spec.status.retention if catalog else Retention()
        now = self._clock.now()
        while await self._journal.write(lambda tx: history.prune(tx, retention, now)):
            await self.sweep_logs()

    async def sweep_logs(self) -> None:
        """Remove the logs of the runs that retention has removed, also where an earlier engine was killed over it."""
        gone = await self._journal.read(history.unswept)
        for run in gone:
            await asyncio.to_thread(logs.remove, self._logs, run)
        if gone:
            await self._journal.write(lambda tx: self._swept(tx, gone))

    def _swept(self, tx: Connection, gone: tuple[RunId, ...]) -> None:
        history.swept(tx, gone)
        if self.logs_kept:
            uploads.removed(tx, gone)

    async def show_sync(self) -> None:
        """Put what the loop knows into the outbox when it has changed."""
        view = self.view()
        if view != self._shown:
            await self._journal.write(lambda tx: outbox.add(tx, "sync", SYNC_KEY))
            self._shown = view

    async def _show_tests(self) -> None:
        """Put what somebody tested on this machine beside what runs found of the targets."""
        if (catalog := self._loop.catalog) is not None:
            await self._tests.take(catalog.targets)

    def view(self) -> SyncView:
        """What `sync.yaml` says now."""
        facts_now = replace(self._loop.sync, engine=self.engine)
        return sync.view(facts_now, self._shown, self._clock.now())

    def schedule_view(self, name: str, clock: schedules.ClockRow) -> ScheduleView | None:
        """What the file of a schedule says now."""
        return self._loop.schedules.view(name, clock)
