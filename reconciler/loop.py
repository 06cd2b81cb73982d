"""The loop: look at the branch, take in what may come into force, judge acts, decide what is due, tend what waits.

Each part is its own transaction and may be repeated: a pass that was cut off anywhere is simply made again.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.compile import PROJECT_FILE, Compiled
from engine.trust import stricter
from engine.windows import Windows
from journal import commits, facts, runs
from journal.clock import Clock
from journal.commits import Judged, Judgement
from journal.errors import Unavailable
from journal.points import reach
from journal.spans import span
from journal.store import Journal
from reconciler import beside, changegate, rebuild
from reconciler.accepted import ACCEPTANCE, ACCEPTED, Accepted, forget_acceptance, text_of
from reconciler.alarms import Alarms
from reconciler.chain import Followed, Trusted, chain_of, followed_or_stopped
from reconciler.changegate import OpenChange
from reconciler.closures import Closures
from reconciler.commitstatuses import CommitStatuses
from reconciler.definitions import Definitions, guarded
from reconciler.judged import judged
from reconciler.lookout import Sighting
from reconciler.mirror import Mirror
from reconciler.notices import Notices
from reconciler.objects import NoSuchCommit, Objects
from reconciler.outlook import Outlook
from reconciler.permits import REJECTED, WAITS, Permits
from reconciler.requests import Found, Requests, RequestsDoor
from reconciler.schedules import Schedules
from reconciler.sync import Sync
from reconciler.triggers import Triggers, heard_of
from reconciler.trust import TRUST_NOBODY, UNAVAILABLE, TrustSettings, frozen, proof
from reconciler.wake import Wake
from reconciler.workflows import Workflows
from schemas.diagnostic import Diagnostic
from schemas.project import Project
from schemas.span import start_of

log = structlog.get_logger(__name__)

_NO_BRANCH = "BranchNotFound"
_MOST_FINDINGS_LOGGED = 20
_UNSURE = timedelta(seconds=1)


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
    ) -> None:
        """`told` is called when a look is over and when what `sync` says has changed. `trust` is what settings say."""
        self.sure: Callable[[], bool] = lambda: True
        """Whether we may decide: this process did not stand still since it saw the branch as its own."""
        self._journal = journal
        self.outlook = Outlook(mirror, branch, trust)
        """What is seen of the source."""
        self._objects = objects
        self._wake = wake
        self._clock = clock
        self._decides = decides
        self._told = told
        self._definitions = Definitions(objects)
        # Each branch has an Objects of its own: what one keeps of its tree is of no use to the other.
        requests = Objects(mirror.path)
        self._mirror = mirror
        self._door = RequestsDoor(journal, requests)
        self._permits = Permits(self._definitions)
        self._chain = chain_of(mirror.path, self._definitions, trust, self._permits)
        self._requests = Requests(journal, objects, signed=self._chain.signed)
        self._schedules = Schedules(journal)
        self._closures = Closures(journal)
        self._workflows = Workflows(journal)
        self._triggers = Triggers(journal)
        self.notices = Notices(journal)
        """What the rules make of what happens."""
        self.statuses = CommitStatuses(branch)
        """What a forge is told of commits."""
        self._catalog: Catalog | None = None
        self._accepted = Accepted()
        self._looked_at: tuple[str, str | None, object, OpenChange | None] | None = None
        """The head that was judged last, the commit that a person had named, the trust file of then, and what people
        had said of a change that waited."""
        self._acts: tuple[Found, ...] = ()
        self._lost: frozenset[str] = frozenset()
        self._alarms = Alarms(journal)
        self._late: datetime | None = None
        """When the next run will be late, unless it begins before."""
        self._news = asyncio.Event()
        self.sync = Sync(verify=trust.mode)
        self.passes = 0
        """How many passes were made over everything that was seen."""
        self.tried = self.passed = self.seen = -math.inf
        """When the last pass ended, the last one that was whole, and the last look that saw the source: by the clock's
        seconds. May be read from another thread."""

    @property
    def catalog(self) -> Catalog | None:
        """The definitions in force."""
        return self._catalog

    @property
    def schedules(self) -> Schedules:
        """The clocks of the active schedules."""
        return self._schedules

    async def start(self) -> None:
        """Take up where the journal says we were: the accepted commit is compiled again, not judged again."""
        self._accepted = Accepted.of(await self._journal.read(lambda conn: facts.get(conn, ACCEPTED, None)))
        verify = stricter(self._chain.mode, self._accepted.mode)
        self.sync = replace(self.sync, verify=verify, proof=self._accepted.proof, verified=self._accepted.verified)
        rebuilt = await self._journal.read(lambda conn: facts.get(conn, rebuild.REBUILT, {}))
        self._lost = frozenset(rebuilt.get("lostRequests", ()))
        if self._accepted.applied is None:
            return
        try:
            compiled = await self._definitions.load(self._accepted.applied)
        except NoSuchCommit:
            log.warning(
                "the accepted commit is not in the mirror; waiting for the source", commit=self._accepted.applied
            )
            return
        if compiled.catalog is not None:
            applied = self._accepted.applied
            await asyncio.to_thread(self._mirror.keep, "accepted", applied)
            await self._take(compiled.catalog, self._clock.now(), self._accepted)
            # Where the head is still this commit there is nothing to judge: acts that came meanwhile go first.
            self._acts = tuple(Found(authored, applied) for authored in compiled.acts)
            if self._accepted.trusted == applied:
                self._looked_at = (applied, None, self._chain.stamp(), None)
            self._report(applied, compiled.findings, rejected=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Pass after pass until `stop` is set; trouble with git or the store is waited out."""
        parts: set[asyncio.Task[None]] = {asyncio.create_task(self._watch_source())}
        if self._decides:
            others = (
                beside.lead_workflows(self._workflows, self._journal, self._clock, self._moment),
                beside.hear_events(self._triggers, self._journal, self._moment),
                beside.tell(self.notices, self._journal, self._moment),
                beside.work_ahead(self._schedules, self._clock),
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
        self._told()

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
        await self._take_in(sighting)
        with span("decide", commit=self.sync.applied):
            await self._decide(sighting)
        self.passes += 1

    async def _decide(self, sighting: Sighting) -> None:
        if self._decides:
            now = self._moment()  # not from before the commit was taken in, whose clocks would seem to be ahead
            await self._schedules.decide(now)
            self._say(replace(self.sync, ahead=self._schedules.ahead(now)))
            await self._triggers.portion(self._moment)  # the rest is decided beside the passes
            await self._judge_acts(sighting)
            await self._decide_schedules()
            await self._tend()

    async def _decide_schedules(self) -> None:
        await self._schedules.decide(self._moment())

    def _moment(self) -> datetime:
        """Now, as a time up to which may be decided. Raises Unavailable where another may have decided up to it."""
        now = self._clock.now()  # before the question, so that it is an old time should we stand still in between
        if not self.sure():
            raise Unavailable("it is not known yet whether the status branch is still ours", _UNSURE)
        return now

    async def _until_next(self) -> timedelta:
        if not self._decides:
            return self.outlook.pace
        now = self._clock.now()
        wakes = [self._schedules.next_due, await self._journal.read(runs.next_wake), self._closures.next, self._late]
        waits = [instant - now for instant in wakes if instant is not None]
        return max(min([self.outlook.pace, *waits]), timedelta(0))

    # --- the definitions branch -------------------------------------------------------------------------------

    async def _take_in(self, sighting: Sighting) -> None:
        """Take in a new head of the definitions branch."""
        if sighting.trouble is not None:
            self._say(replace(self.sync, trouble=("SourceUnavailable", sighting.trouble)))
            return
        if self.outlook.branch in sighting.troubles:
            self._say(replace(self.sync, trouble=("CommitUnreadable", sighting.troubles[self.outlook.branch])))
            return
        if self.outlook.branch not in sighting.heads:
            return
        self._say(replace(self.sync, requests_trouble=sighting.troubles.get(self.outlook.requests_ref)))
        head = sighting.heads[self.outlook.branch]
        if head is None:
            if self.sync.trouble is None or self.sync.trouble[0] != _NO_BRANCH:
                message = await self.outlook.missing() or "the branch was not found"
                log.warning(message)
                self._say(replace(self.sync, observed=None, trouble=(_NO_BRANCH, message)))
            return
        named, waits = await self._journal.read(lambda conn: (facts.get(conn, ACCEPTANCE, None), changegate.kept(conn)))
        by_name = text_of(named)
        if (head, by_name, self._chain.stamp(), waits) == self._looked_at:
            self._say(replace(self.sync, trouble=None))
            return
        followed = await self._judge_commit(head, by_name, waits)
        used = by_name if followed.named else None
        if used is not None:
            await self._journal.write(partial(forget_acceptance, commit=used))
        sure = followed.stopped is None or followed.stopped.reason != UNAVAILABLE
        stamp, waits = self._chain.stamp(), self.sync.change
        self._looked_at = (head, None if used else by_name, stamp, waits) if sure else None

    async def _judge_commit(self, head: str, by_name: str | None, waits: OpenChange | None) -> Followed:
        end, now = self._accepted.end, self._clock.now()
        self._permits.begin(self._catalog, waits)
        followed = await asyncio.to_thread(
            followed_or_stopped, self._chain, head, end, by_name=by_name, now=now, good=self._catalog
        )
        trusted, stopped = followed.trusted, followed.stopped
        change = self._permits.waiting if stopped is not None and stopped.reason in (WAITS, REJECTED) else None
        if change != waits:
            await self._journal.write(lambda tx: changegate.keep(tx, change))
        self._say(replace(self.sync, verify=followed.mode, change=change))
        seen = stopped is not None or (self.sync.observed == head and self.sync.frozen is None and not followed.named)
        if trusted is not None and (trusted.commit != self._accepted.trusted or not seen):
            await self._compile(trusted)
        if stopped is not None:
            reason, message = frozen(stopped)
            if self.sync.frozen != (reason, message):
                log.warning("frozen", commit=stopped.commit, reason=reason, message=message)
            self._say(replace(self.sync, observed=head, frozen=(reason, message), trouble=None))
            said = await self._told_of(stopped.commit, "frozen", self._clock.now(), reason=message)
            await self._journal.write(partial(self._record, said=said, catalog=self._catalog, head=head))
        return followed

    def _record(self, tx: Connection, said: Judged, catalog: Catalog | None, head: str | None = None) -> None:
        """Remember what came of a commit, and tell it, by the definitions in force from now on.

        `head` does not come into force because of it.
        """
        if commits.record(tx, said) and self._decides:
            self.statuses.judged(tx, said, catalog)
        if head is not None and self._decides:
            self.statuses.behind(tx, head, said)

    async def _compile(self, trusted: Trusted) -> None:
        head, named = trusted.commit, trusted.named
        if self._decides and self.statuses.any:
            await self._journal.write(partial(self.statuses.seen, commit=head, now=self._moment()))
        about: dict[str, Any] = {"by_name": named, "signature": trusted.signature}
        judged_before = self._accepted.trusted == head and not named and trusted.signature is None
        why = (self._accepted.proof if judged_before else None) or proof(trusted.signature, named=named)
        compiled = self._of_other_branches(guarded(self._catalog, await self._load(head), accepted_by_name=named))
        self._acts = tuple(Found(authored, head) for authored in compiled.acts)
        if not self._accepted.looked and self._accepted.applied is None:
            await self._remember(self._accepted.looking_at(await self._names_of_acts()))
        now = self._moment()
        if compiled.catalog is None:
            said = await self._told_of(head, "rejected", now, findings=compiled.findings, **about)
            await self._remember(self._accepted.trusting(trusted, why), said)
            log.warning("commit rejected", commit=head, findings=len(compiled.findings))
            for found in compiled.findings[:_MOST_FINDINGS_LOGGED]:
                log.warning(found.message, commit=head, at=str(found.span), code=found.code, hint=found.hint or None)
        else:
            # Everything due until now belongs to the definitions that were in force until now.
            if self._decides:
                await self._triggers.decide(self._moment, between=self._decide_schedules)
                now = self._moment()  # up to which the old clocks are decided, and from which the new ones begin
                await self._schedules.decide(now)
                await self.notices.decide(now)
            more = {"findings": compiled.findings, "catalogs": (self._catalog, compiled.catalog), **about}
            said = await self._told_of(head, "accepted", now, **more)
            await self._accept(
                compiled.catalog, replace(self._accepted.trusting(trusted, why), applied=head), now, said
            )
        self._say(replace(self.sync, proof=why, verified=self._accepted.verified))
        self._report(head, compiled.findings, rejected=compiled.catalog is None)

    def shared(self, project: Project) -> str | None:
        """What to say where the Project puts status or requests onto the branch of definitions; else None.

        The Project cannot know which branch the engine was started with.
        """
        spec = project.spec
        named = {"status": spec.status.ref, "requests": spec.requests.ref}
        keys = [key for key, ref in named.items() if ref == self.outlook.branch]
        return f"{keys[0]}.ref is the branch of the definitions, {self.outlook.branch}" if keys else None

    def _of_other_branches(self, compiled: Compiled) -> Compiled:
        message = self.shared(compiled.catalog.project) if compiled.catalog else None
        if message is None:
            return compiled
        hint = "give it a name that nothing else uses, or leave it out for the default"
        return compiled.refused([Diagnostic(start_of(PROJECT_FILE), "OC312", message, hint)])

    async def _load(self, head: str) -> Compiled:
        """A commit that trips over a bug of ours is rejected like any other that cannot be used."""
        try:
            return await self._definitions.load(head)
        except (Unavailable, NoSuchCommit):
            raise
        except Exception as error:
            log.exception("a bug of ours: the commit is rejected", commit=head)
            message = f"this commit cannot be read, by a bug of ours: {type(error).__name__}: {error}"
            hint = "the last good commit stays in force; please send us the engine's log"
            return Compiled(None, (), (Diagnostic(start_of("opsconductor.yaml"), "OC125", message, hint),), 0)

    async def _told_of(self, head: str, verdict: Judgement, at: datetime, **more: Any) -> Judged:
        """What people will read of a commit that was looked at."""
        return await asyncio.to_thread(partial(judged, self._objects, head, verdict, at, **more))

    async def _accept(self, catalog: Catalog, accepted: Accepted, now: datetime, said: Judged) -> None:
        # Whatever becomes of the branch, the commit in force stays in the mirror.
        await asyncio.to_thread(self._mirror.keep, "accepted", catalog.commit)
        reach("definitions.accepted")
        await self._take(catalog, now, accepted, said)
        log.info("commit in force", commit=catalog.commit, jobs=len(catalog.jobs), schedules=len(catalog.schedules))

    async def _take(self, catalog: Catalog, now: datetime, accepted: Accepted, said: Judged | None = None) -> None:
        # With its clocks in one transaction: a new schedule is considered from when its commit was accepted.
        before = self._catalog if self._decides else None
        heard = await asyncio.to_thread(heard_of, before, catalog, self._objects, self._clock.now())

        def also(tx: Connection) -> None:
            facts.put(tx, ACCEPTED, accepted.to_json())
            if said is not None:
                self._record(tx, said, catalog)
            self._triggers.adopt(tx, catalog, heard, now)
            self.notices.adopt(tx, catalog, self.statuses.channel(catalog))

        async with self._triggers.turn:
            await self._schedules.adopt(catalog, now, also=also)
            self._accepted = accepted
            self._triggers.active = self.notices.active = self.statuses.active = catalog
        reach("definitions.adopted")
        pace = self.outlook.pace
        if self._schedules.admissions is not None:
            # Their own: the journal's thread asks them, and what windows keep is for one thread at a time.
            self._workflows.heeded = (catalog, Windows(catalog))
        self._catalog, self.outlook.in_force = catalog, catalog.project
        if self.outlook.pace < pace:
            self._wake.poke()  # who waits for the source waits as long as was right until now
        self._say(replace(self.sync, applied=catalog.commit, policies=len(catalog.policies)))

    async def _names_of_acts(self) -> frozenset[str]:
        """Of the acts on both branches, by the commit of definitions that is being judged."""
        on_requests = await self._door.all(self.outlook.sighting.heads.get(self.outlook.requests_ref))
        return frozenset(one.authored.document.name for one in (*self._acts, *on_requests))

    async def all_acts(self) -> tuple[Found, ...]:
        """All acts on both branches, as they were last seen."""
        found = await self._door.all(self.outlook.sighting.heads.get(self.outlook.requests_ref))
        on_branch = (await self._definitions.load(self.outlook.head)).acts if self.outlook.head else ()
        return (*found, *(Found(authored, self.outlook.head or "") for authored in on_branch))

    async def present_acts(self) -> frozenset[str]:
        """Their names."""
        return frozenset(one.authored.document.name for one in await self.all_acts())

    async def _remember(self, accepted: Accepted, said: Judged | None = None) -> None:
        def change(tx: Connection) -> None:
            facts.put(tx, ACCEPTED, accepted.to_json())
            if said is not None:
                self._record(tx, said, self._catalog)

        await self._journal.write(change)
        self._accepted = accepted

    def _report(self, head: str, findings: tuple[Diagnostic, ...], *, rejected: bool) -> None:
        self._say(replace(self.sync, observed=head, findings=findings, rejected=rejected, frozen=None, trouble=None))

    def note_status(self, trouble: str | None) -> None:
        """Say why the status does not go to the branch that the Project names; None: it does."""
        self._say(replace(self.sync, status_trouble=trouble))

    def _say(self, sync: Sync) -> None:
        if sync != self.sync:
            self.sync = sync
            self._told()

    # --- acts ---------------------------------------------------------------------------------------------------

    async def _judge_acts(self, sighting: Sighting) -> None:
        admissions = self._schedules.admissions
        if self._catalog is None or admissions is None:
            return
        head = sighting.heads.get(self.outlook.requests_ref)
        found, malformed = await self._door.news(head)
        now = self._moment()
        await self._requests.refuse(malformed, now)
        await self._requests.answer(
            (*found, *self._acts),
            self._catalog,
            now,
            baseline=frozenset(self._accepted.baseline),
            lost=self._lost,
            windows=admissions.windows,
            rejected=self.sync.observed if self.sync.rejected else None,
            between=self._decide_schedules,
            mode=stricter(self._chain.mode, self._catalog.project.spec.verify.mode),
        )
        await self._door.answered(head)
        self._acts = ()
        if self.sync.change is not None and await self._journal.read(changegate.kept) != self.sync.change:
            self._news.set()  # somebody answered it: the next pass judges it again

    # --- what waits ---------------------------------------------------------------------------------------------

    async def _tend(self) -> None:
        """Start what waited for its time or its slot, and end what waited too long."""
        now = self._clock.now()
        await self.heed(now)

        def change(tx: Connection) -> None:
            runs.expire(tx, now)
            runs.admit(tx, now)

        await self._journal.write(change)
        await self._workflows.lead(self._moment())
        self._late = await self.notices.see_late(now)
        head = self.outlook.sighting.heads.get(self.outlook.branch)
        await self._alarms.look(self.sync, self._catalog, now, head=head)
        await self.notices.decide(self._moment())

    async def heed(self, now: datetime) -> None:
        """Hold what windows hold. Before the first runner claims, too: a window may have begun while nobody looked."""
        if self._catalog is not None and self._schedules.admissions is not None:
            await self._closures.heed(self._catalog, self._schedules.admissions, now)
