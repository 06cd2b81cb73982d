"""Commits of the definitions branch: followed, compiled, and put in force or refused. The last good one stays in force.

Each is judged as a whole, once; the facts that outlive the process are in the transaction that puts it in force.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection

from engine.authority.trust import Mode, stricter
from engine.catalog import Catalog
from engine.compile import PROJECT_FILE, Compiled
from journal import commits, facts
from journal.clock import Clock
from journal.commits import Judged, Judgement
from journal.errors import Unavailable
from journal.points import reach
from journal.store import Journal
from reconciler.accepted import ACCEPTANCE, ACCEPTED, OBSERVED, Accepted, forget_acceptance, text_of
from reconciler.acts import changegate
from reconciler.acts.changegate import OpenChange
from reconciler.acts.door import Found, Malformed, malformed
from reconciler.authority.chain import Followed, Trusted, chain_of, followed_or_stopped
from reconciler.authority.permits import REJECTED, WAITS, Permits
from reconciler.authority.trust import UNAVAILABLE, TrustSettings, frozen, proof
from reconciler.board import Board
from reconciler.deciders import Deciders
from reconciler.definitions import Definitions, guarded
from reconciler.judged import judged
from reconciler.lookout import Sighting
from reconciler.outlook import Outlook
from reconciler.repository.mirror import Mirror
from reconciler.repository.objects import NoSuchCommit, Objects
from reconciler.triggers import heard_of
from schemas.bugs import bug
from schemas.diagnostic import Diagnostic, foremost
from schemas.project import Project
from schemas.span import start_of

log = structlog.get_logger(__name__)

_NO_BRANCH = "BranchNotFound"
_MOST_FINDINGS_LOGGED = 20


class Intake:
    """Takes in what the definitions branch has. One per engine, called by its passes alone."""

    def __init__(
        self,
        *,
        journal: Journal,
        mirror: Mirror,
        objects: Objects,
        definitions: Definitions,
        clock: Clock,
        outlook: Outlook,
        board: Board,
        deciders: Deciders,
        trust: TrustSettings,
        decides: bool,
        requested: Callable[[], Awaitable[tuple[Found, ...] | None]],
    ) -> None:
        """`requested` gives every act of the requests branch, None where it cannot be read; with `decides` false
        nothing is decided or told."""
        self._journal = journal
        self._mirror = mirror
        self._objects = objects
        self._clock = clock
        self._outlook = outlook
        self._board = board
        self._deciders = deciders
        self._decides = decides
        self._requested = requested
        self.definitions = definitions
        self._permits = Permits(self.definitions)
        self.chain = chain_of(mirror.path, self.definitions, trust, self._permits)
        """Who is trusted, and how far the history of the branch was followed."""
        self._looked_at: tuple[str, str | None, object, OpenChange | None] | None = None
        """The head that was judged last, the commit that a person had named, the trust file of then, and what people
        had said of a change that waited."""
        self.accepted = Accepted()
        self._away = False
        """Nobody goes by the commit in force yet: it was not in the mirror, or something else did not work."""
        self.acts: tuple[Found, ...] = ()
        """Those of the commit that was judged last, until they are answered."""
        self.malformed: tuple[Malformed, ...] = ()
        """What there would be acts too, were it not at fault."""

    @property
    def mode(self) -> Mode:
        """Which commits must be signed, by the settings and by the definitions in force."""
        catalog = self._deciders.active
        return self.chain.mode if catalog is None else stricter(self.chain.mode, catalog.project.spec.verify.mode)

    async def start(self) -> None:
        """Take up where the journal says we were: the accepted commit is compiled again, not judged again."""
        accepted = Accepted.of(await self._journal.read(lambda conn: facts.get(conn, ACCEPTED, None)))
        self.accepted = accepted
        verify = stricter(self.chain.mode, accepted.mode)
        self._board.sync = replace(self._board.sync, verify=verify, proof=accepted.proof, verified=accepted.verified)
        if not await self._go_on(accepted):
            log.warning("the accepted commit is not in the mirror; waiting for the source", commit=accepted.applied)

    async def _go_on(self, accepted: Accepted) -> bool:
        """Go by the commit that was in force last. False: it is not in the mirror."""
        if accepted.applied is None:
            return True
        self._away = True  # until all of it is done: what did not work is done again before any other commit is judged
        try:
            compiled = await self.definitions.load(accepted.applied)
        except NoSuchCommit:
            return False
        if compiled.catalog is not None:
            applied = accepted.applied
            await asyncio.to_thread(self._mirror.keep, "accepted", applied)
            await self._take(compiled.catalog, self._clock.now(), accepted)
            # Where the head is still this commit there is nothing to judge: acts that came meanwhile go first.
            self._find_acts(compiled, applied)
            if accepted.trusted == applied:
                self._looked_at = (applied, None, self.chain.stamp(), None)
            self._report(applied, compiled.findings, rejected=False)
        self._away = False
        return True

    async def take_in(self, sighting: Sighting) -> None:
        """Take in a new head of the definitions branch."""
        if sighting.trouble is not None:
            self._board.say(trouble=("SourceUnavailable", sighting.trouble))
            return
        if self._outlook.branch in sighting.troubles:
            self._board.say(trouble=("CommitUnreadable", sighting.troubles[self._outlook.branch]))
            return
        if self._outlook.branch not in sighting.heads:
            return
        head = sighting.heads[self._outlook.branch]
        if head is None:
            if self._board.sync.trouble is None or self._board.sync.trouble[0] != _NO_BRANCH:
                message = await self._outlook.missing() or "the branch was not found"
                log.warning(message)
                self._board.say(observed=None, trouble=(_NO_BRANCH, message))
            return
        if self._away:
            # It came with its successors: its schedules have what was due to it, and its successor sets triggers off.
            await self._go_on(self.accepted)
        named, waits = await self._journal.read(lambda conn: (facts.get(conn, ACCEPTANCE, None), changegate.kept(conn)))
        by_name = text_of(named)
        if (head, by_name, self.chain.stamp(), waits) == self._looked_at:
            self._board.say(trouble=None)
            return
        followed = await self._judge_commit(head, by_name, waits)
        used = by_name if followed.named else None
        if used is not None:
            await self._journal.write(partial(forget_acceptance, commit=used))
        sure = followed.stopped is None or followed.stopped.reason != UNAVAILABLE
        stamp, waits = self.chain.stamp(), self._board.sync.change
        self._looked_at = (head, None if used else by_name, stamp, waits) if sure else None

    async def _judge_commit(self, head: str, by_name: str | None, waits: OpenChange | None) -> Followed:
        end, now = self.accepted.end, self._clock.now()
        self._permits.begin(self._deciders.active, waits)
        followed = await asyncio.to_thread(
            followed_or_stopped, self.chain, head, end, by_name=by_name, now=now, good=self._deciders.active
        )
        trusted, stopped = followed.trusted, followed.stopped
        change = self._permits.waiting if stopped is not None and stopped.reason in (WAITS, REJECTED) else None
        self._board.say(verify=followed.mode, change=change)
        sync = self._board.sync
        seen = stopped is not None or (sync.observed == head and sync.frozen is None and not followed.named)
        if trusted is not None and (trusted.commit != self.accepted.trusted or not seen):
            await self._compile(trusted)
        if stopped is not None:
            reason, message = frozen(stopped)
            if self._board.sync.frozen != (reason, message):
                log.warning("frozen", commit=stopped.commit, reason=reason, message=message)
            self._board.say(observed=head, frozen=(reason, message), unproven=stopped.message, trouble=None)
            said = await self._told_of(stopped.commit, "frozen", self._clock.now(), reason=message)
            await self._journal.write(partial(self._record, said=said, catalog=self._deciders.active, head=head))
        trusts = trusted.commit if trusted is not None else None
        if change != waits or trusts != (end.commit if end is not None else None):
            # Only now: were we cut off before, what was said of a change that came into force would be asked again.
            await self._journal.write(lambda tx: changegate.keep(tx, change, trusts))
        return followed

    def _record(self, tx: Connection, said: Judged, catalog: Catalog | None, head: str | None = None) -> None:
        """Remember what came of a commit, and tell it, by the definitions in force from now on.

        `head` does not come into force because of it.
        """
        if commits.record(tx, said) and self._decides:
            self._deciders.statuses.judged(tx, said, catalog)
        if head is not None:
            facts.put(tx, OBSERVED, head)
        if head is not None and self._decides:
            self._deciders.statuses.behind(tx, head, said)

    async def _compile(self, trusted: Trusted) -> None:
        head, named = trusted.commit, trusted.named
        if self._decides and self._deciders.statuses.any:
            await self._journal.write(partial(self._deciders.statuses.seen, commit=head, now=self._deciders.moment()))
        about: dict[str, Any] = {"by_name": named, "signature": trusted.signature}
        judged_before = self.accepted.trusted == head and not named and trusted.signature is None
        why = (self.accepted.proof if judged_before else None) or proof(trusted.signature, named=named)
        active = self._deciders.active
        compiled = self._of_other_branches(guarded(active, await self._load(head), accepted_by_name=named))
        self._find_acts(compiled, head)
        if not self.accepted.looked and self.accepted.applied is None:
            requested = await self._requested()
            names = {one.authored.document.name for one in (*self.acts, *(requested or ()))}
            await self._remember(self.accepted.looking_at(names, unread=requested is None))
        now = self._deciders.moment()
        if compiled.catalog is None:
            said = await self._told_of(head, "rejected", now, findings=compiled.findings, **about)
            await self._remember(self.accepted.trusting(trusted, why), said)
            log.warning("commit rejected", commit=head, findings=len(compiled.findings))
            for found in foremost(compiled.findings, _MOST_FINDINGS_LOGGED):
                log.warning(found.message, commit=head, at=str(found.span), code=found.code, hint=found.hint or None)
        else:
            # Everything due until now belongs to the definitions that were in force until now.
            now = await self._deciders.settle() if self._decides else now
            more = {"findings": compiled.findings, "catalogs": (active, compiled.catalog), **about}
            said = await self._told_of(head, "accepted", now, **more)
            await self._accept(compiled.catalog, replace(self.accepted.trusting(trusted, why), applied=head), now, said)
        self._board.say(proof=why, verified=self.accepted.verified)
        self._report(head, compiled.findings, rejected=compiled.catalog is None)

    def _find_acts(self, compiled: Compiled, commit: str) -> None:
        self.acts = tuple(Found(authored, commit) for authored in compiled.acts)
        self.malformed = malformed(compiled.invalid_acts)

    def shared(self, project: Project) -> str | None:
        """What to say where the Project puts status or requests onto the branch of definitions; else None.

        The Project cannot know which branch the engine was started with.
        """
        spec = project.spec
        named = {"status": spec.status.ref, "requests": spec.requests.ref}
        keys = [key for key, ref in named.items() if ref == self._outlook.branch]
        return f"{keys[0]}.ref is the branch of the definitions, {self._outlook.branch}" if keys else None

    def _of_other_branches(self, compiled: Compiled) -> Compiled:
        message = self.shared(compiled.catalog.project) if compiled.catalog else None
        if message is None:
            return compiled
        hint = "give it a name that nothing else uses, or leave it out for the default"
        return compiled.refused([Diagnostic(start_of(PROJECT_FILE), "OC312", message, hint)])

    async def _load(self, head: str) -> Compiled:
        """A commit that trips over a bug of ours is rejected like any other that cannot be used."""
        try:
            return await self.definitions.load(head)
        except (Unavailable, NoSuchCommit):
            raise
        except Exception as error:
            log.exception("a bug of ours: the commit is rejected", commit=head)
            return Compiled(None, (), (bug("reading this commit", start_of(PROJECT_FILE), error),), 0)

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
        before, catalog = self._deciders.active if self._decides else None, await self._deciders.named(catalog)
        heard = await asyncio.to_thread(heard_of, before, catalog, self._objects, self._clock.now())

        def also(tx: Connection) -> None:
            facts.put(tx, ACCEPTED, accepted.to_json())
            if said is not None:
                self._record(tx, said, catalog)

        await self._deciders.adopt(catalog, heard, now, also=also)
        self.accepted = accepted
        reach("definitions.adopted")
        self._outlook.in_force = catalog.project
        self._board.say(applied=catalog.commit, policies=len(catalog.policies))

    async def know(self, acts: Iterable[str]) -> None:
        """These were on the requests branch when it could be read first: who knows what became of them."""
        await self._remember(self.accepted.knowing(acts))

    async def _remember(self, accepted: Accepted, said: Judged | None = None) -> None:
        def change(tx: Connection) -> None:
            facts.put(tx, ACCEPTED, accepted.to_json())
            if said is not None:
                self._record(tx, said, self._deciders.active)

        await self._journal.write(change)
        self.accepted = accepted

    def _report(self, head: str, findings: tuple[Diagnostic, ...], *, rejected: bool) -> None:
        self._board.say(observed=head, findings=findings, rejected=rejected, frozen=None, trouble=None)
