"""Proposals of what scans found: a branch with one commit on the definitions in force, pushed by compare-and-swap.

The branch is the engine's: each scan writes it anew. Where somebody else has put commits on it, it is left alone until
they are merged or the branch is removed: nothing of theirs is lost.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pygit2
import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.discovery import seen
from engine.discovery.proposal import Base, Outcome, Place, Proposal, Scanned, proposed
from engine.discovery.report import found, news
from engine.discovery.seen import Scan
from engine.discovery.telling import TITLE, message
from engine.identity import RunId
from engine.runs.pinned import RUNNER
from journal import discoveries, facts, history, runs
from journal.clock import Clock
from journal.discoveries import ScanRow
from journal.errors import LeadershipLost, Refused, Unavailable
from journal.fence import Fence
from journal.notices import Notice, happened
from journal.store import Journal
from reconciler.publication.publish import COMMITTER
from reconciler.repository.gitprogram import SOON
from reconciler.repository.mirror import Mirror
from reconciler.repository.mirrorfolder import OpenRepository, intact
from reconciler.repository.objects import Objects
from reconciler.repository.refusals import PushRejected
from reconciler.repository.trees import Trees
from schemas.quantities import format_instant, parse_instant

log = structlog.get_logger(__name__)

_OTHERS = (
    "the branch {branch} has commits that are not the engine's, and is left alone: merge it, or remove it, and the "
    "next scan proposes anew"
)
_TAKEN = (
    "the branch {branch} is that of definitions, status or requests: write another in 'propose.branch' of the Discovery"
)
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a branch: the commit that it is at, and why it shows something else than what was found.

    `new` is to be remembered of a commit that nobody was told of yet.
    """

    commit: str | None
    trouble: str | None = None
    new: "_Known | None" = None


class Proposals:
    """Makes a proposal of each scan that nobody has looked at yet. One per engine; its calls take turns."""

    def __init__(
        self,
        journal: Journal,
        mirror: Mirror,
        clock: Clock,
        definitions: str = "main",
        told: Callable[[Connection, Catalog, str, str, Mapping[str, Outcome], datetime], None] = lambda *_: None,
    ) -> None:
        """`definitions` is the branch that these come from. `told` is called in the transaction that settles a
        proposal whose branch has a new commit.
        """
        self._journal, self._mirror, self._clock, self._told = journal, mirror, clock, told
        self._definitions = definitions
        self._objects = Objects(mirror.path)
        self._open = OpenRepository(mirror.path)
        self.active: Catalog | None = None
        """The definitions in force."""
        self._left_behind: str | None = None
        """The commit at which it was last looked for branches that nobody proposes on."""

    async def work(self, now: datetime) -> None:
        """Settle what was scanned. Raises Unavailable where git or the store is away: then it is done later."""
        catalog = self.active
        if catalog is None:
            return
        await self._gather(catalog)
        branches = []
        for name in await self._journal.read(discoveries.unsettled):
            today = catalog.name_now("Discovery", name)
            if today != name:  # a run that began under the former name
                former = {name: today}
                await self._journal.write(lambda tx, former=former: discoveries.follow(tx, former))  # type: ignore[misc]
            if (branch := _branch_of(catalog, today)) is not None:
                branches.append(branch)
            else:  # it is forgotten once nothing is left of what it proposed
                self._left_behind = None
        await self._propose_all(catalog, dict.fromkeys(branches, ()), now)
        await self._leave_behind(catalog, now)

    async def _gather(self, catalog: Catalog) -> None:
        """What the newest runs of Jobs say that Discoveries take facts from: as if they had scanned."""
        for name, discovery in catalog.discoveries.items():
            if discovery.spec.from_ is None or (job := discovery.spec.from_.job_ref) is None:
                continue
            scan = await self._journal.read(lambda conn, name=name, job=job: _gathered(conn, name, job))  # type: ignore[misc]
            if scan is not None:
                fence = Fence(RunId(scan.run), 0)
                await self._journal.write(
                    lambda tx, name=name, scan=scan, fence=fence: discoveries.scanned(  # type: ignore[misc]
                        tx, fence, name, seen.to_json(scan), scan.finished_at
                    )
                )

    async def _leave_behind(self, catalog: Catalog, now: datetime) -> None:
        """Branches that Discoveries had before they were removed, or were given another: nobody proposes there."""
        if catalog.commit == self._left_behind:
            return
        left: dict[str, tuple[str, ...]] = {}
        for row in await self._journal.read(discoveries.every):
            before = (row.report or {}).get("proposal", {}).get("branch")
            removed = (row.name,) if row.name not in catalog.discoveries else ()
            if before is not None and before != _branch_of(catalog, row.name):
                left[before] = (*left.get(before, ()), *removed)
            elif removed:
                await self._journal.write(lambda tx, name=row.name: discoveries.forget(tx, name))  # type: ignore[misc]
        await self._propose_all(catalog, left, now)
        self._left_behind = catalog.commit

    async def _propose_all(self, catalog: Catalog, branches: Mapping[str, Collection[str]], now: datetime) -> None:
        """Branches, and the Discoveries to forget with each. One that must wait keeps no other from being written."""
        waits: Unavailable | None = None
        for branch, removed in sorted(branches.items()):
            try:
                await self._propose(catalog, branch, removed, now)
            except Unavailable as error:
                log.warning("a proposal waits", branch=branch, error=error.message)
                waits = error
            except LeadershipLost:
                raise
            except Exception as error:  # what hosts say, or a commit has, must not end the engine at each start
                log.exception("a bug of ours: nothing can be proposed on a branch", branch=branch)
                await self._give_up(catalog, branch, removed, _words(error))
        if waits is not None:
            raise waits

    async def _propose(self, catalog: Catalog, branch: str, removed: Collection[str], now: datetime) -> None:
        rows = await self._journal.read(discoveries.every)
        wanted = [row for row in rows if _branch_of(catalog, row.name) == branch]
        scans = {row.name: scanned for row in wanted if (scanned := _scanned(catalog, row)) is not None}
        made = await asyncio.to_thread(self._made, catalog, scans)
        proposal = made.proposal
        try:
            pushed = await self._pushed(catalog, branch, made)
        except Refused as error:  # a person must allow it; what was found is told all the same
            log.warning("the proposal could not be pushed", branch=branch, error=error.message)
            pushed = Pushed(None, error.message[:_LONGEST])

        def settle(tx: Connection) -> None:
            for row in wanted:
                if (words := made.tripped.get(row.name)) is not None:
                    _settle_bare(tx, row, branch, words)
                else:
                    self._settle(tx, row, proposal, branch, pushed, now)
            for name in removed:
                discoveries.forget(tx, name)
            if pushed.new is not None:  # in one with what is told of it: who takes it for old news tells nobody
                facts.put(tx, _fact(branch), pushed.new.to_json())
                self._told(tx, catalog, branch, pushed.new.commit, proposal.outcomes, now)

        await self._journal.write(settle)
        for name, outcome in proposal.outcomes.items():
            counts = dict(Counter(row.verdict for row in outcome.rows))
            log.info("scan settled", discovery=name, branch=branch, commit=pushed.commit, hosts=counts)

    def _made(self, catalog: Catalog, scans: Mapping[str, Scanned]) -> "_Made":
        """The proposal of all scans that trip over no bug of ours. Raises Refused where the definitions are not had."""
        base = self._base(catalog)
        try:
            return _Made(proposed(base, scans.values()))
        except (Unavailable, Refused):
            raise
        except Exception:  # one keeps no other from being proposed
            tripped = {name: words for name, one in scans.items() if (words := _trips(base, one)) is not None}
            if not tripped:
                raise
            return _Made(proposed(base, [one for name, one in scans.items() if name not in tripped]), tripped)

    async def _give_up(self, catalog: Catalog, branch: str, removed: Collection[str], words: str) -> None:
        """Nothing is proposed of what was scanned until the next scan; that is told."""

        def settle(tx: Connection) -> None:
            for row in discoveries.every(tx):
                if _branch_of(catalog, row.name) == branch:
                    _settle_bare(tx, row, branch, words)
            for name in removed:
                discoveries.forget(tx, name)

        await self._journal.write(settle)

    def _settle(
        self, tx: Connection, row: ScanRow, proposal: Proposal, branch: str, pushed: Pushed, now: datetime
    ) -> None:
        outcome = proposal.outcomes.get(row.name)
        if outcome is None:  # what was kept is no scan: a journal that somebody wrote to
            discoveries.settle(tx, row.name, row.run, None, row.last_seen)
            return
        report = found(outcome, branch, pushed.commit, pushed.trouble)
        last_seen = {name: format_instant(at) for name, at in outcome.last_seen.items()}
        if not discoveries.settle(tx, row.name, row.run, report, last_seen) or row.settled:
            return
        if (said := news(report, row.report)) is not None:
            happened(tx, Notice("discovery.changed", now, "Discovery", row.name, row.run, data=said))

    def _base(self, catalog: Catalog) -> Base:
        places = {}
        for name in catalog.targets:
            authored = catalog.origin[f"Target/{name}"]
            places[name] = Place(authored.file, authored.index)
        types = {name: credential.spec.type for name, credential in catalog.credentials.items()}
        commit, objects = catalog.commit, self._objects
        return Base(
            catalog.targets,
            places,
            lambda file: objects.file(commit, file),
            types,
            lambda path: objects.standing(commit, path),
        )

    # --- the branch -------------------------------------------------------------------------------------------------

    async def _pushed(self, catalog: Catalog, branch: str, made: "_Made") -> Pushed:
        """Make the branch show the proposal."""
        proposal = made.proposal
        ref = f"refs/heads/{branch}"
        if ref in self._taken(catalog):
            return Pushed(None, _TAKEN.format(branch=branch))
        kept = _Kept.of(await self._journal.read(lambda conn: facts.get(conn, _fact(branch), None)))
        tip, ours = await self._tip(ref, kept)
        # What others put on a branch of ours is not lost once it is merged; a branch that we never wrote is theirs.
        if tip is not None and not ours and not (kept.ours and await self._is_merged(tip, catalog.commit)):
            return Pushed(tip, _OTHERS.format(branch=branch))
        if not proposal.files:
            if tip is not None and ours and not made.tripped:
                await self._removed(ref, tip)
            return Pushed(None)
        digest = _digest(proposal.files)
        if tip is not None and tip == kept.commit and digest == kept.digest:
            return Pushed(tip)
        commit = await asyncio.to_thread(self._written, catalog.commit, proposal)
        trying = replace(kept, commit=tip or kept.commit, tried=commit).to_json()
        # So that a push whose answer is lost is known for ours.
        await self._journal.write(lambda tx: facts.put(tx, _fact(branch), trying))
        try:
            await self._mirror.push(commit, ref, expected=tip)
        except PushRejected as rejection:
            raise Unavailable(f"{ref} moved: {rejection.reason}", SOON) from rejection
        return Pushed(commit, None, _Known(commit, digest))

    async def _removed(self, ref: str, tip: str) -> None:
        """Nothing is proposed any more: it was merged, or the network is again what the definitions say."""
        try:
            await self._mirror.delete(ref, expected=tip)
        except PushRejected as rejection:
            raise Unavailable(f"{ref} moved: {rejection.reason}", SOON) from rejection

    def _taken(self, catalog: Catalog) -> frozenset[str]:
        """Branches that mean something to the engine: on that of the definitions nothing would wait for a merge."""
        spec = catalog.project.spec
        return frozenset({f"refs/heads/{self._definitions}", spec.status.ref, spec.requests.ref})

    async def _tip(self, ref: str, kept: "_Kept") -> tuple[str | None, bool]:
        """The commit that a branch is at, and whether it is the engine's."""
        tip = (await self._mirror.poll([ref]))[ref]
        if tip is None or kept.ours:
            return tip, tip in kept.ours
        # Nothing is remembered of it: the store was lost, and perhaps the mirror with it, or it is somebody else's.
        try:
            tip = (await self._mirror.fetch([ref]))[ref]
        except Refused as error:  # git's checks do not let it in: what an engine writes passes them
            log.warning("a branch cannot be read, and is taken for somebody else's", ref=ref, error=error.message)
            return tip, False
        return tip, tip is not None and await asyncio.to_thread(self._is_by_us, tip)

    def _is_by_us(self, tip: str) -> bool:
        """Whether a commit is a proposal of an engine whose store was lost. A person who amends it commits it anew."""
        commit = self._objects.commit_info(tip)
        who = {commit.author, f"{commit.committer_name} <{commit.committer_email}>"}
        return who == {COMMITTER} and commit.message.startswith(TITLE)

    async def _is_merged(self, tip: str, head: str) -> bool:
        return await asyncio.to_thread(self._objects.is_ancestor, tip, head)

    def _written(self, base: str, proposal: Proposal) -> str:
        """A commit with the proposal, on the commit that is in force."""
        with intact(self._mirror.path):
            trees = Trees(self._mirror.path)
            before = self._open.get().revparse_single(base).peel(pygit2.Tree).id
            tree = trees.tree(str(before), dict(proposal.files))
            assert tree is not None
            seconds = int(self._clock.now().timestamp())
            return trees.commit(tree, base, who=COMMITTER, seconds=seconds, message=message(proposal.outcomes))


@dataclass(frozen=True, slots=True)
class _Made:
    """A proposal, and in words why some scans have no part in it, by the name of the Discovery."""

    proposal: Proposal
    tripped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    """A commit that a branch of ours is at, and what it proposes."""

    commit: str
    digest: str

    def to_json(self) -> dict[str, Any]:
        return _Kept(self.commit, None, self.digest).to_json()


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is remembered of a branch: the commit of ours that it was at, and one whose push may have arrived."""

    commit: str | None = None
    tried: str | None = None
    digest: str | None = None

    @property
    def ours(self) -> Sequence[str]:
        return [commit for commit in (self.commit, self.tried) if commit is not None]

    def to_json(self) -> dict[str, Any]:
        return {"commit": self.commit, "tried": self.tried, "digest": self.digest}

    @classmethod
    def of(cls, kept: Any) -> "_Kept":
        return cls(**kept) if isinstance(kept, dict) else cls()


def _fact(branch: str) -> str:
    return f"proposal/{branch}"


def _words(error: Exception) -> str:
    said = error.message if isinstance(error, Refused) else f"an error of ours: {type(error).__name__}"
    return f"nothing is proposed of this scan: {said}"[:_LONGEST]


def _trips(base: Base, one: Scanned) -> str | None:
    try:
        proposed(base, [one])
    except Exception as error:
        log.exception("a bug of ours: a scan cannot be proposed", discovery=one.discovery.name)
        return _words(error)
    return None


def _settle_bare(tx: Connection, row: ScanRow, branch: str, words: str) -> None:
    """With a report that has no more than why there is none."""
    try:
        report = found(Outcome(seen.from_json(row.scan), (), {}), branch, None, words)
    except ValueError:  # no scan: see `_scanned`
        report = None
    discoveries.settle(tx, row.name, row.run, report, row.last_seen)


def _branch_of(catalog: Catalog, name: str) -> str | None:
    discovery = catalog.discoveries.get(name)
    return None if discovery is None else discovery.spec.propose.branch


def _scanned(catalog: Catalog, row: ScanRow) -> Scanned | None:
    try:
        scan = seen.from_json(row.scan)
        last = {name: parse_instant(at) for name, at in row.last_seen.items()}
    except ValueError as error:
        log.warning("what a scan found cannot be read", discovery=row.name, error=str(error))
        return None
    former = frozenset(catalog.former_names("Discovery", row.name))
    return Scanned(catalog.discoveries[row.name], scan, last, former)


def _gathered(conn: Connection, name: str, job: str) -> Scan | None:
    """The facts of the newest run of a job, as what a Discovery saw; None where it has seen them, or there are none."""
    last, known = history.last_of(conn, job), discoveries.get(conn, name)
    if last is None or last.finished_at is None or (known is not None and known.run == last.id):
        return None
    view = runs.get_all(conn, [last.id])[last.id]
    facts_by_target = {one.name: one.outputs for one in view.results if one.outputs and one.name != RUNNER}
    if not facts_by_target:  # it says nothing, and takes nothing back that an earlier one said
        return None
    began = last.started_at or last.finished_at
    return Scan(name, last.id, began, last.finished_at, len(facts_by_target), (), facts=facts_by_target)


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for path, text in sorted(files.items()):
        digest.update(f"{len(path)}:{path}:{len(text)}:".encode())
        digest.update(text)
    return digest.hexdigest()
