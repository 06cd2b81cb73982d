"""The loop: look at the branch, take in what may come into force, judge acts, decide what is due, tend what waits.

Each part is its own transaction and may be repeated: a pass that was cut off anywhere is simply made again.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from engine.authority.trust import Mode
from engine.catalog import Catalog
from engine.schedules.windows import Windows
from journal import facts
from journal.clock import Clock
from journal.errors import Unavailable
from journal.spans import span
from journal.store import Journal
from reconciler import beside
from reconciler.acts import changegate
from reconciler.acts.arrivals import Arrivals
from reconciler.acts.belonging import Belonging
from reconciler.acts.door import Found, News, RequestsDoor
from reconciler.acts.pendingacts import PendingActs
from reconciler.acts.requests import Requests
from reconciler.authority.signingprograms import TrustUnavailable
from reconciler.authority.trust import TRUST_NOBODY, TrustSettings
from reconciler.board import Board
from reconciler.commitstatuses import CommitStatuses
from reconciler.deciders import Deciders
from reconciler.definitions import Definitions
from reconciler.discovery.proposals import Proposals
from reconciler.intake import Intake
from reconciler.lookout import Sighting
from reconciler.notices import Notices
from reconciler.outlook import Outlook
from reconciler.publication import rebuild
from reconciler.repository.history import History
from reconciler.repository.mirror import Mirror
from reconciler.repository.objects import Objects
from reconciler.schedules import Schedules
from reconciler.sync import Sync
from reconciler.wake import Wake
from schemas.project import Project

log = structlog.get_logger(__name__)


class Loop:
    """One per engine; `run` until cancelled, `once` for a single pass."""

    def __init__(
        self,
        *,
        journal: Journal,
        mirror: Mirror,
        objects: Objects,
        wake: Wake,
        clock: Clock,
        branch: str,
        decides: bool = True,
        told: Callable[[], None] = lambda: None,
        trust: TrustSettings = TRUST_NOBODY,
        definitions: Definitions | None = None,
        engine: str = "",
    ) -> None:
        """`told` is called when a look is over and when what `sync` says has changed. `trust` is what settings say.

        `definitions` are those over `objects`, where the caller has read some of them already. `engine` is
        the id by which it claims the status branch.
        """
        self._journal = journal
        self.outlook = Outlook(mirror, branch, trust)
        """What is seen of the source."""
        self._wake = wake
        self._clock = clock
        self._decides = decides
        self._board = Board(Sync(verify=trust.mode), told)
        self._deciders = Deciders(journal, mirror, clock, branch)
        # Each branch has an Objects of its own: what one keeps of its tree is of no use to the other.
        self._door = RequestsDoor(journal, Objects(mirror.path), History(mirror.path))
        self._intake = Intake(
            journal=journal,
            mirror=mirror,
            objects=objects,
            definitions=definitions or Definitions(objects),
            clock=clock,
            outlook=self.outlook,
            board=self._board,
            deciders=self._deciders,
            trust=trust,
            decides=decides,
            requested=self._requested,
        )
        chain = self._intake.chain
        self._belonging = Belonging(journal, objects, History(mirror.path), engine)
        arrivals = Arrivals(chain.signed, self._belonging.refused)
        self._requests = Requests(journal, objects, arrivals, PendingActs(objects, mirror, chain.stamp))
        self._lost: frozenset[str] = frozenset()
        self._news = asyncio.Event()
        self._unproven: str | None = None
        """Why acts wait: it cannot be known who signed them."""
        self.passes = 0
        """How many passes were made over everything that was seen."""
        self.tried = self.passed = self.seen = -math.inf
        """When the last pass ended, the last one that was whole, and the last look that saw the source: by the clock's
        seconds. May be read from another thread."""

    @property
    def sync(self) -> Sync:
        """What is known of the source."""
        return self._board.sync

    @property
    def catalog(self) -> Catalog | None:
        """The definitions in force."""
        return self._deciders.active

    @property
    def schedules(self) -> Schedules:
        """The clocks of the active schedules."""
        return self._deciders.schedules

    @property
    def notices(self) -> Notices:
        """What the rules make of what happens."""
        return self._deciders.notices

    @property
    def statuses(self) -> CommitStatuses:
        """What a forge is told of commits."""
        return self._deciders.statuses

    @property
    def proposals(self) -> Proposals:
        """What is proposed after scans."""
        return self._deciders.proposals

    @property
    def sure(self) -> Callable[[], bool]:
        """Whether we may decide: this process did not stand still since it saw the branch as its own."""
        return self._deciders.sure

    @sure.setter
    def sure(self, sure: Callable[[], bool]) -> None:
        self._deciders.sure = sure

    def shared(self, project: Project) -> str | None:
        """What to say where the Project puts status or requests onto the branch of definitions; else None."""
        return self._intake.shared(project)

    async def heed(self, now: datetime) -> None:
        """Hold what windows hold. Before the first runner claims, too: a window may have begun while nobody looked."""
        await self._deciders.heed(now)

    async def start(self) -> None:
        """Take up where the journal says we were."""
        rebuilt = await self._journal.read(lambda conn: facts.get(conn, rebuild.REBUILT, {}))
        self._lost = frozenset(rebuilt.get("lostRequests", ()))
        await self._intake.start()

    async def run(self, stop: asyncio.Event) -> None:
        """Pass after pass until `stop` is set; trouble with git or the store is waited out."""
        parts: set[asyncio.Task[None]] = {asyncio.create_task(self._watch_source())}
        if self._decides:
            journal, moment, deciders = self._journal, self._deciders.moment, self._deciders
            others = (
                beside.lead_workflows(deciders.workflows, journal, self._clock, moment),
                beside.hear_events(deciders.triggers, journal, moment),
                beside.tell(deciders.notices, journal, moment),
                beside.propose(deciders.proposals, journal, moment),
                beside.work_ahead(deciders.schedules, self._clock),
            )
            parts |= {asyncio.create_task(part) for part in others}
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                pause = await self._guarded_pass()
                news = asyncio.create_task(self._news.wait())
                await asyncio.wait(
                    {news, stopped, *parts}, timeout=pause.total_seconds(), return_when=asyncio.FIRST_COMPLETED
                )
                news.cancel()
                for part in parts:
                    if part.done():
                        part.result()
        finally:
            stopped.cancel()
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, stopped, return_exceptions=True)

    async def _watch_source(self) -> None:
        while True:
            await self._wake.wait(timeout=self.outlook.pace)
            await self.look()

    async def look(self) -> None:
        """See what the source has; the next pass takes it in."""
        await self.outlook.look()
        if self.outlook.sighting.trouble is None:
            self.seen = self._clock.monotonic()
        self._news.set()
        self._board.told()

    async def _guarded_pass(self) -> timedelta:
        self._news.clear()
        try:
            with span("reconcile"):
                await self.once()
            self.passed = self._clock.monotonic()
            return await self._until_next()
        except Unavailable as error:
            log.warning("the pass is made again later", error=str(error), seconds=error.retry_after.total_seconds())
            return error.retry_after
        finally:
            self.tried = self._clock.monotonic()

    async def once(self) -> None:
        """One pass over everything that was seen."""
        sighting = self.outlook.sighting
        pace = self.outlook.pace
        await self._intake.take_in(sighting)
        if self.outlook.pace < pace:
            self._wake.poke()  # who waits for the source waits as long as was right until now
        with span("decide", commit=self.sync.applied):
            await self._decide(sighting)
        if sighting.trouble is None:
            self._board.say(requests_trouble=self._requests_trouble(sighting) or self._unproven)
        self.passes += 1

    async def _decide(self, sighting: Sighting) -> None:
        if self._decides:
            deciders = self._deciders
            now = deciders.moment()  # not from before the commit was taken in, whose clocks would seem to be ahead
            await deciders.schedules.decide(now)
            self._board.say(ahead=deciders.schedules.ahead(now))
            await deciders.triggers.portion(deciders.moment)  # the rest is decided beside the passes
            await self._judge_acts(sighting)
            await deciders.schedules_due()
            await deciders.tend(self.sync, sighting.heads.get(self.outlook.branch))

    async def _until_next(self) -> timedelta:
        if not self._decides:
            return self.outlook.pace
        now, wake = self._clock.now(), await self._deciders.next_wake()
        return self.outlook.pace if wake is None else max(min(self.outlook.pace, wake - now), timedelta(0))

    async def all_acts(self) -> tuple[Found, ...]:
        """All acts on both branches, as they were last seen."""
        found = await self._requested() or ()
        on_branch = (await self._intake.definitions.load(self.outlook.head)).acts if self.outlook.head else ()
        return (*found, *(Found(authored, self.outlook.head or "") for authored in on_branch))

    @property
    def unread(self) -> str | None:
        """Why the acts on the requests branch were not read when they were asked for last; None: they were."""
        return self._door.trouble

    async def _requested(self) -> tuple[Found, ...] | None:
        """Every act of the requests branch; None where it cannot be read."""
        found = await self._door.all(self.outlook.sighting.heads.get(self.outlook.requests_ref))
        return None if self._requests_trouble(self.outlook.sighting) else found

    def _requests_trouble(self, sighting: Sighting) -> str | None:
        return sighting.troubles.get(self.outlook.requests_ref) or self._door.trouble

    async def present_acts(self) -> frozenset[str]:
        """Their names."""
        return frozenset(one.authored.document.name for one in await self.all_acts())

    def note_status(self, trouble: str | None) -> None:
        """Say why the status does not go to the branch that the Project names; None: it does."""
        self._board.say(status_trouble=trouble)

    # --- acts ---------------------------------------------------------------------------------------------------

    async def _judge_acts(self, sighting: Sighting) -> None:
        catalog, admissions = self._deciders.active, self._deciders.schedules.admissions
        if catalog is None or admissions is None:
            return
        head, mode = sighting.heads.get(self.outlook.requests_ref), self._intake.mode
        news = await self._door.news(head, mode, self._deciders.schedules_due)
        if self._intake.accepted.unread and not self._requests_trouble(sighting):
            await self._intake.know(one.authored.document.name for one in news.found)
        self._unproven = None
        try:
            fetched = self.outlook.requests_ref in sighting.heads
            if mode != "none":
                await self._belonging.begin(head, self._door.upto, catalog.commit, fetched=fetched)
            await self._answer(news, catalog, admissions.windows, mode, fetched=fetched)
        except TrustUnavailable as error:
            # As a commit does, an act waits until it can be known who signed it: nothing of it counts as answered.
            self._unproven = f"acts wait, since it cannot be known who signed them: {error}"
            return
        # What waits for approvals is judged again as it was kept, and not as its file is by then.
        await self._door.answered(head)
        if self.outlook.requests_ref in sighting.heads and head is None:
            await self._door.absent()
        self._intake.acts, self._intake.malformed = (), ()
        self._board.say(asks=self._requests.waiting)
        if self._requests.waiting and self._requests.again:
            self._news.set()  # somebody answered one: the next pass judges it again
        if self.sync.change is not None and await self._journal.read(changegate.kept) != self.sync.change:
            self._news.set()  # somebody answered it: the next pass judges it again

    async def _answer(self, news: News, catalog: Catalog, windows: Windows, mode: Mode, *, fetched: bool) -> None:
        await self._requests.answer(
            (*news.found, *self._intake.acts),
            catalog,
            self._deciders.moment,
            baseline=frozenset(self._intake.accepted.baseline),
            lost=self._lost,
            windows=windows,
            rejected=self.sync.observed if self.sync.rejected else None,
            between=self._deciders.schedules_due,
            mode=mode,
            versions=news.versions,
            fetched=fetched,
        )
        malformed = (*news.malformed, *self._intake.malformed)
        await self._requests.refuse(malformed, self._deciders.moment(), self._deciders.schedules_due)
