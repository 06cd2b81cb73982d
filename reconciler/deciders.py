"""What decides by the definitions in force, told together which those are: one moment, one transaction."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.names import Ledger
from engine.schedules.windows import Windows
from journal import names, renames, runs
from journal.clock import Clock
from journal.errors import Unavailable
from journal.events import NewEvent
from journal.store import Journal
from reconciler.alarms import Alarms
from reconciler.closures import Closures
from reconciler.commitstatuses import CommitStatuses
from reconciler.discovery.proposals import Proposals
from reconciler.notices import Notices
from reconciler.repository.mirror import Mirror
from reconciler.schedules import Schedules
from reconciler.sync import Sync
from reconciler.triggers import Triggers
from reconciler.workflows import Workflows

_UNSURE = timedelta(seconds=1)


class Deciders:
    """Schedules, triggers, workflows, windows, notices and what scans propose. One engine has one of each.

    `active` is what they go by.
    """

    def __init__(self, journal: Journal, mirror: Mirror, clock: Clock, branch: str) -> None:
        self.sure: Callable[[], bool] = lambda: True
        """Whether we may decide: this process did not stand still since it saw the branch as its own."""
        self._journal = journal
        self._clock = clock
        self.schedules = Schedules(journal)
        self.triggers = Triggers(journal)
        self.workflows = Workflows(journal)
        self.notices = Notices(journal)
        """What the rules make of what happens."""
        self.statuses = CommitStatuses(branch)
        """What a forge is told of commits."""
        self.proposals = Proposals(journal, mirror, clock, branch, self.statuses.proposed)
        """What is proposed after scans."""
        self._closures = Closures(journal)
        self._alarms = Alarms(journal)
        self._late: datetime | None = None
        """When the next run will be late, unless it begins before."""
        self.active: Catalog | None = None
        """The definitions in force."""

    def moment(self) -> datetime:
        """Now, as a time up to which may be decided. Raises Unavailable where another may have decided up to it."""
        now = self._clock.now()  # before the question, so that it is an old time should we stand still in between
        if not self.sure():
            raise Unavailable("it is not known yet whether the status branch is still ours", _UNSURE)
        return now

    async def schedules_due(self) -> None:
        """Decide what is due of schedules."""
        await self.schedules.decide(self.moment())

    async def settle(self) -> datetime:
        """Decide all that is due until now by the definitions in force; others may follow from that moment on."""
        await self.triggers.decide(self.moment, between=self.schedules_due)
        now = self.moment()  # up to which the old clocks are decided, and from which the new ones begin
        await self.schedules.decide(now)
        await self.notices.decide(now)
        return now

    async def named(self, catalog: Catalog) -> Catalog:
        """The same, knowing which names its documents have had."""
        return await asyncio.to_thread(catalog.after, await self._names())

    async def _names(self) -> Ledger:
        """What is known of names. It may be long, and is read again only where another process has changed it."""
        if self.active is not None and await self._journal.read(names.generation) == self.active.names.generation:
            return self.active.names
        return await self._journal.read(names.known)

    async def adopt(
        self, catalog: Catalog, heard: Sequence[NewEvent], now: datetime, *, also: Callable[[Connection], None]
    ) -> None:
        """Put these definitions in force, with their clocks and `also` in one transaction: a new schedule is considered
        from `now` on, when its commit was accepted. They are as `named` gave them, and `heard` are their own events.
        """

        def all_of_it(tx: Connection) -> None:
            also(tx)
            renames.follow(tx, catalog)
            self.triggers.adopt(tx, catalog, heard, now)
            self.notices.adopt(tx, catalog, self.statuses.channel(catalog))

        # Whoever decides or leads waits for no other turn while it has its own: no ring can come of it.
        async with self.triggers.turn, self.workflows.turn:
            await self.schedules.adopt(catalog, now, also=all_of_it)
            self.triggers.active = self.notices.active = self.statuses.active = self.active = catalog
            self.proposals.active = catalog
            # Their own: the journal's thread asks them, and what windows keep is for one thread at a time.
            self.workflows.heeded = (catalog, Windows(catalog))

    async def heed(self, now: datetime) -> None:
        """Hold what windows hold. Before the first runner claims, too: a window may have begun while nobody looked."""
        if self.active is not None and self.schedules.admissions is not None:
            await self._closures.heed(self.active, self.schedules.admissions, now)

    async def tend(self, sync: Sync, head: str | None) -> None:
        """Start what waited for its time or its slot, end what waited too long, and tell what is late.

        `head` is that of the branch of definitions, where it is known.
        """
        now = self._clock.now()
        await self.heed(now)

        def change(tx: Connection) -> None:
            runs.expire(tx, now)
            runs.admit(tx, now)

        await self._journal.write(change)
        await self.workflows.lead(self.moment())
        self._late = await self.notices.see_late(now)
        await self._alarms.look(sync, self.active, now, head=head)
        await self.notices.decide(self.moment())

    async def next_wake(self) -> datetime | None:
        """When something is to be decided next that nothing else announces."""
        wakes = [self.schedules.next_due, await self._journal.read(runs.next_wake), self._closures.next, self._late]
        return min((instant for instant in wakes if instant is not None), default=None)
