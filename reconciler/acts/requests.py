"""Acts of both branches: judged one by one, consumed once by name."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice

import structlog
from sqlalchemy import Connection

from engine.authority import permits
from engine.authority.permits import Waiting
from engine.authority.trust import Mode, Signature, signers
from engine.catalog import Catalog
from engine.identity import RunId
from engine.judge import ActFacts, Cancel, Launch, Refuse, checked, expires_at, heeding, judge, refused_by_age
from engine.runs.rehearsal import Rehearsal
from engine.runs.repetition import Original
from engine.schedules.windows import Windows
from engine.workflows.graphrepeat import OriginalGraph
from journal import acts, runs, runviews, steprecords
from journal.databases.portions import portions
from journal.store import Journal
from reconciler.acts import actgate
from reconciler.acts.actgate import OpenAct
from reconciler.acts.answers import Answer
from reconciler.acts.approvals import heard
from reconciler.acts.arrivals import Arrivals, Signers
from reconciler.acts.asking import UNPROVEN, person_of, unknown_commit, unsigned
from reconciler.acts.brought import Version
from reconciler.acts.contenders import Contenders, SignedAs
from reconciler.acts.door import Found, Malformed
from reconciler.acts.leave import refusal, verdict
from reconciler.acts.pendingacts import PendingActs
from reconciler.launches import new_run
from reconciler.repository.objects import CommitInfo, Objects
from schemas.act import Approval, RunRequest
from schemas.envelope import Document

log = structlog.get_logger(__name__)

_PORTION = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """An act, the commit that brought it, and who answers for it.

    `first_seen` is when its name was, `arrived` when that commit did; `mode` is the mode of verification in force.
    """

    found: Found
    commit: CommitInfo
    first_seen: datetime
    arrived: datetime
    by: Signature
    mode: Mode


Between = Callable[[], Awaitable[object]]


async def _nothing() -> None:
    """Nobody waits meanwhile."""


class Requests:
    """Judges acts and writes the answer in one transaction with what it causes."""

    def __init__(
        self, journal: Journal, objects: Objects, signed: Arrivals | None = None, pending: PendingActs | None = None
    ) -> None:
        """`signed` says who answers for a commit, given the Users in force and when it arrived."""
        self._journal = journal
        self._objects = objects
        self._arrivals = signed or Arrivals()
        self._pending = pending or PendingActs(objects, None)
        self.waiting: tuple[OpenAct, ...] = ()
        """Those of the acts that were judged last that wait for approvals: they are to be judged again."""
        self.again = False
        """Somebody answered one of them since: it may be judged again at once."""

    async def answer(
        self,
        found: Iterable[Found],
        catalog: Catalog,
        moment: Callable[[], datetime],
        *,
        baseline: frozenset[str],
        lost: frozenset[str],
        windows: Windows,
        rejected: str | None = None,
        between: Between = _nothing,
        mode: Mode = "none",
        versions: Iterable[Version] = (),
        fetched: bool = True,
    ) -> int:
        """Judge each act that was never answered; gives how many were.

        `moment` is asked for each, since a thousand of them take a while in which windows open and close.
        `baseline` are names that were there when the first commit was judged, `lost` those whose answer may
        have gone with the store. `windows` are those in force, `rejected` is a newer commit that is not. Between
        portions of many acts `between` is called, so that nothing else waits long. `mode` says whether acts must be
        signed, `versions` what each of the commits that came made of them, oldest first. Of a branch that was not
        `fetched` it is not known what it lacks.

        Raises TrustUnavailable where it cannot be known who signed: what was not answered by then waits.
        """
        now, kept = moment(), await self._kept()
        await self._pending.hold(kept.values())
        # What was judged and waits on is judged again where something changed: there may be a hundred of them.
        resting = self._pending.resting(kept, catalog, mode, now)
        by_name: dict[str, list[Found]] = {name: [] for name in kept if name not in resting}
        for one in found:
            by_name.setdefault(one.authored.document.name, []).append(one)
        made: dict[str, list[Version]] = {}
        for version in versions:
            made.setdefault(version.name, []).append(version)
            by_name.setdefault(version.name, [])
        seen = await self._journal.read(lambda conn: acts.seen(conn, by_name))
        named = {name: ones for name, ones in by_name.items() if name not in seen}
        first: dict[str, datetime] = {}
        for part in portions(named):
            first |= await self._journal.write(partial(_first_seen, names=part, now=now))
            if len(first) < len(named):
                await between()

        signed = Signers(self._arrivals, catalog.users, mode, kept, now)
        chosen = await self._one_each(named, kept, made, partial(Contenders, seen=fetched), signed, mode, between)
        unanswered = {name: one for name, one in chosen.items() if isinstance(one, Found)}
        # Of what is refused for its age alone nobody need know who brought it: a branch may hold thousands of those.
        self.again = False
        late = {
            name: said
            for name, one in unanswered.items()
            if (said := refused_by_age(one.authored.document, first[name], now, name in baseline, name in lost))
            or (said := _waited(kept.get(name), one, now))
        }
        late |= {name: one for name, one in chosen.items() if isinstance(one, Refuse)}
        await self._refuse_late(late, now, between)
        rest = {name: one for name, one in unanswered.items() if name not in late}
        commits = await asyncio.to_thread(self._commits, rest.values())
        for number, (name, one) in enumerate(rest.items(), start=1):
            commit = commits[one.head, one.authored.file]
            if commit is None and (mode != "none" or not isinstance(one.authored.document, RunRequest)):
                await self._unproven(one.authored.document, moment())
            else:
                commit = commit or unknown_commit(first[name])
                by, arrived = await asyncio.to_thread(signed, commit, name), signed.arrived(commit, name)
                await self._judge(
                    Asked(one, commit, first[name], arrived, by, mode), catalog, windows, moment(), rejected
                )
            if number % _PORTION == 0:
                await between()
        self._arrivals.answered()
        self.waiting = tuple((await self._kept()).values()) if named else tuple(kept.values())
        return len(named)

    async def _kept(self) -> Mapping[str, OpenAct]:
        """What waits for approvals, by the names of the requests."""
        return {act.request: act for act in (await self._journal.read(actgate.kept)).values()}

    async def _one_each(
        self,
        named: Mapping[str, Sequence[Found]],
        kept: Mapping[str, OpenAct],
        made: Mapping[str, Sequence[Version]],
        contending: Callable[..., Contenders],
        signed: SignedAs,
        mode: Mode,
        between: Between,
    ) -> dict[str, Found | Refuse]:
        """The file that is judged of each name, or why there is none; a name that needs no answer is not there."""
        chosen: dict[str, Found | Refuse | None] = {name: ones[0] for name, ones in named.items() if ones}
        several = {name: ones for name, ones in named.items() if len(ones) != 1 or name in kept or name in made}

        def choose(contenders: Contenders, names: Collection[str]) -> None:
            for name in names:
                chosen[name] = contenders.chosen(name, several[name], made.get(name, ()), kept.get(name))

        if several:
            commits = await asyncio.to_thread(self._commits, [one for ones in several.values() for one in ones])
            contenders = contending(self._objects, mode, lambda one: commits[one.head, one.authored.file], signed)
            names = iter(several)
            while part := tuple(islice(names, _PORTION)):
                await asyncio.to_thread(choose, contenders, part)
                await between()
        return {name: one for name, one in chosen.items() if one is not None}

    async def _refuse_late(self, late: Mapping[str, Refuse], now: datetime, between: Between) -> None:
        def change(tx: Connection, names: Collection[str]) -> None:
            for name in names:
                said = late[name]
                acts.settle(tx, name, state="refused", reason=said.reason, message=said.message, now=now)
            actgate.forget(tx, names)

        for part in portions(late):
            await self._journal.write(partial(change, names=part))
            await between()
        if late:
            log.info("requests refused for their age", count=len(late), first=min(late))

    async def _unproven(self, act: Document, now: datetime) -> None:
        """Refuse what may be anybody's: who made some other commit is not who asks."""
        action = act.spec.action if isinstance(act, RunRequest) else "approval"
        await self._settle(act, action, None, now, lambda _: UNPROVEN)

    def _commits(self, found: Iterable[Found]) -> dict[tuple[str, str], CommitInfo | None]:
        paths: dict[str, list[str]] = {}
        for one in found:
            paths.setdefault(one.head, []).append(one.authored.file)
        return {
            (head, path): commit
            for head, files in paths.items()
            for path, commit in self._objects.introductions(head, files).items()
        }

    async def _judge(
        self, asked: Asked, catalog: Catalog, windows: Windows, now: datetime, rejected: str | None
    ) -> None:
        """Answer an act, or let it wait for approvals."""
        act, by = asked.found.authored.document, asked.by
        who = person_of(by, asked.commit.committer_email, catalog.users)
        if (unproven := unsigned(by, asked.mode)) is not None:
            action = act.spec.action if isinstance(act, RunRequest) else "approval"
            await self._settle(act, action, asked.commit.committer_email, now, lambda _: unproven)
        elif isinstance(act, Approval):
            proven = asked.mode != "none"
            leave = partial(refusal, asked.found.authored, by, asked.mode, catalog)
            self.again |= await self._settle(
                act, act.spec.decision, who.email, now, lambda tx: heard(tx, act, who, now, leave, proven=proven)
            )
        elif isinstance(act, RunRequest):
            match await self._withheld(act, asked, catalog):
                case Answer() as forbidden:
                    await self._settle(act, act.spec.action, who.email, now, lambda _: forbidden)
                    return
                case OpenAct() as waits:
                    await self._wait(waits)
                    return
            facts = ActFacts(asked.commit.committed_at, asked.first_seen, who.email)
            facts = replace(facts, original=await self._original(act))
            judgement = checked(judge(act, facts, catalog, now), asked.found.authored, catalog)
            judgement = heeding(judgement, act, windows, catalog, now)
            if isinstance(judgement, Refuse) and rejected is not None:
                judgement = _with_newer(judgement, rejected)
            rehearsal: Rehearsal | None = None
            if isinstance(judgement, Launch) and judgement.dry_run:
                rehearsal = await asyncio.to_thread(judgement.rehearsed)
            await self._settle(
                act, act.spec.action, who.email, now, lambda tx: _apply(tx, judgement, catalog, now, rehearsal)
            )

    async def _wait(self, act: OpenAct) -> None:
        known = await self._kept()
        others = (one for name, one in known.items() if name != act.request)
        await self._pending.hold((*others, act))  # first: whatever becomes of the branch, what waits is there
        await self._journal.write(partial(actgate.keep, act=act))
        self._pending.weighed(act)

    async def _withheld(self, act: RunRequest, asked: Asked, catalog: Catalog) -> Answer | OpenAct | None:
        """Why it is not done, or what it waits for; None: it may be done."""
        if asked.mode == "none" or not catalog.policies:
            return None
        about = await self._of_run(act, catalog)
        digest, known = permits.digest_of_act(act.name, asked.commit.id), await self._journal.read(actgate.kept)
        said = known[digest].votes if digest in known else ()
        if against := [vote.by for vote in said if not vote.approves]:
            return Answer("refused", "rejected", f"{against[0]} rejected it")
        approved = frozenset(vote.by for vote in said if vote.approves)
        found = verdict(asked.found.authored, asked.by, asked.mode, catalog, about, approved)
        if not isinstance(found, Waiting):
            return found
        people = tuple(map(permits.named, signers(asked.by)))
        others = {one.digest: one for one in known.values() if one.request != act.name}
        if digest not in known and (full := actgate.room_for(others, people)) is not None:
            return Answer("refused", "tooMany", full)
        verb = "cancel" if act.spec.action == "cancel" else "run"
        subject = ", ".join(name for want in found.wants for name in want.documents)
        # A store that was lost saw its name later than it has waited.
        until = known[digest].until if digest in known else None
        until = until or min(expires_at(act, asked.first_seen), asked.arrived + actgate.LONGEST).replace(microsecond=0)
        asks, file = f"{verb} {subject}", asked.found.authored.file
        since = asked.arrived.replace(microsecond=0)
        return OpenAct(digest, act.name, asked.commit.id, asks, people, found.wants, said, file, until, since)

    async def _original(self, act: RunRequest) -> Original | OriginalGraph | None:
        """The run that an act wants done again."""
        if act.spec.action not in ("rerun", "resume") or act.spec.run is None:
            return None
        run = RunId(act.spec.run)
        return await self._journal.read(lambda conn: steprecords.original(conn, run))

    async def _of_run(self, act: RunRequest, catalog: Catalog) -> str | None:
        """What the run that an act names was started from, as `Job/x`, by the name that it has today."""
        if act.spec.run is None:
            return None
        run = RunId(act.spec.run)
        found = await self._journal.read(lambda conn: runviews.get(conn, run))
        if found is None:
            return None
        kind = "RunRequest" if found.inline else "Workflow" if found.nodes else "Job"
        return f"{kind}/{catalog.name_now(kind, found.today)}"

    async def refuse(self, malformed: Iterable[Malformed], now: datetime, between: Between = _nothing) -> None:
        """Answer files that are no valid acts. They end nothing that waits under their names."""
        malformed = tuple(malformed)
        waiting = await self._kept() if malformed else {}
        by_name = {one.name: one for one in malformed if one.name not in waiting}
        seen = await self._journal.read(lambda conn: acts.seen(conn, by_name))

        def change(tx: Connection, ones: Collection[Malformed]) -> None:
            for one in ones:
                acts.settle(tx, one.name, state="refused", reason="invalid", message=one.message, run=None, now=now)

        for part in portions([one for name, one in by_name.items() if name not in seen]):
            await self._journal.write(partial(change, ones=part))
            await between()

    async def _settle(
        self, act: Document, action: str, by: str | None, now: datetime, apply: Callable[[Connection], Answer]
    ) -> bool:
        """Whether it was done, and not refused."""

        def change(tx: Connection) -> Answer | None:
            # Another process may have answered meanwhile: what it refused must not be done.
            if acts.seen(tx, (act.name,)):
                return None
            answer = apply(tx)
            acts.settle(
                tx,
                act.name,
                state=answer.state,
                reason=answer.reason,
                message=answer.message,
                run=answer.run,
                action=action,
                requested_by=by,
                now=now,
            )
            actgate.forget(tx, (act.name,))
            return answer

        if (answer := await self._journal.write(change)) is not None:
            facts = {"run": answer.run, "job": _started_by(act), "reason": answer.reason}
            given = {name: value for name, value in facts.items() if value is not None}
            log.info("request answered", request=act.name, action=action, answer=answer.state, **given)
        return answer is not None and answer.state == "done"


def _waited(waits: OpenAct | None, found: Found, now: datetime) -> Refuse | None:
    """The refusal of what has waited for approvals as long as it may."""
    if waits is None or waits.commit != found.head or waits.until is None or now < waits.until:
        return None
    return Refuse("expired", "it has waited for its approvals as long as it may; ask again")


def _first_seen(tx: Connection, names: Collection[str], now: datetime) -> dict[str, datetime]:
    return {name: acts.first_seen(tx, name, now) for name in names}


def _with_newer(refusal: Refuse, rejected: str) -> Refuse:
    """Who asks for what a rejected commit brought must hear of that commit."""
    newer = f"the newer commit {rejected[:12]} was rejected and is not in force: see 'opsconductor get sync'"
    return replace(refusal, message=f"{refusal.message}; {newer}")


_CANCELS: Mapping[str, Answer] = {
    "cancelled": Answer("done"),
    "asked": Answer("accepted"),
    "ended": Answer("refused", "alreadyEnded", "the run had already ended"),
    "missing": Answer("refused", "unknownRun", "there is no such run; see 'opsconductor get runs'"),
}


def _apply(
    tx: Connection, judgement: Launch | Cancel | Refuse, catalog: Catalog, now: datetime, rehearsal: Rehearsal | None
) -> Answer:
    """Do what was judged, inside the transaction that records the answer."""
    match judgement:
        case Refuse(reason=reason, message=message):
            return Answer("refused", reason, message)
        case Cancel(run=run, by=by, reason=why):
            return replace(_CANCELS[runs.cancel(tx, run, reason=why, by=by, now=now)], run=run)
        case Launch():
            result = runs.enqueue(tx, new_run(judgement, catalog, rehearsal), now)
            if isinstance(result, runs.Overlap):
                return Answer("refused", "overlap", f"run {result.blocking} of the same group is in its way")
            return Answer("accepted" if rehearsal is None else "done", run=judgement.run)


_STARTED = ("job_ref", "workflow_ref", "discovery_ref")


def _started_by(act: Document) -> str | None:
    """The job, workflow or discovery that a request names."""
    spec = getattr(act, "spec", None)
    return next((found for name in _STARTED if (found := getattr(spec, name, None)) is not None), None)
