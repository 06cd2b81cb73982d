"""The branch of a proposal: one commit on the definitions in force, pushed by compare-and-swap.

The branch is the engine's: each scan writes it anew. Where somebody else has put commits on it, it is left alone until
they are merged or the branch is removed: nothing of theirs is lost.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pygit2
import structlog

from engine.catalog import Catalog
from engine.discovery.proposal import Proposal
from engine.discovery.telling import TITLE, message
from journal import facts
from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.store import Journal
from reconciler.publication.publish import COMMITTER
from reconciler.repository.gitprogram import SOON
from reconciler.repository.mirror import Mirror
from reconciler.repository.mirrorfolder import OpenRepository, intact
from reconciler.repository.objects import Objects
from reconciler.repository.refusals import PushRejected
from reconciler.repository.trees import Trees

log = structlog.get_logger(__name__)

_OTHERS = (
    "the branch {branch} has commits that are not the engine's, and is left alone: merge it, or remove it, and the "
    "next scan proposes anew"
)
_TAKEN = (
    "the branch {branch} is that of definitions, status or requests: write another in 'propose.branch' of the Discovery"
)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a branch: the commit that it is at, and why it shows something else than what was found.

    `new` is to be remembered of a commit that nobody was told of yet.
    """

    commit: str | None
    trouble: str | None = None
    new: "Known | None" = None


class ProposalBranches:
    """Writes branches of proposals. One per engine; its calls take turns."""

    def __init__(self, journal: Journal, mirror: Mirror, clock: Clock, definitions: str) -> None:
        """`definitions` is the branch that these come from."""
        self._journal, self._mirror, self._clock, self._definitions = journal, mirror, clock, definitions
        self._objects = Objects(mirror.path)
        self._open = OpenRepository(mirror.path)

    async def pushed(self, catalog: Catalog, branch: str, proposal: Proposal, *, whole: bool) -> Pushed:
        """Make the branch show the proposal, which is `whole` where every scan has its part in it.

        Raises Unavailable where git or the store is away, and Refused where a person must allow the push.
        """
        ref = f"refs/heads/{branch}"
        if ref in self._taken(catalog):
            return Pushed(None, _TAKEN.format(branch=branch))
        kept = _Kept.of(await self._journal.read(lambda conn: facts.get(conn, fact_of(branch), None)))
        tip, ours = await self._tip(ref, kept)
        # What others put on a branch of ours is not lost once it is merged; a branch that we never wrote is theirs.
        if tip is not None and not ours and not (kept.ours and await self._is_merged(tip, catalog.commit)):
            return Pushed(tip, _OTHERS.format(branch=branch))
        if not proposal.files:
            if tip is not None and ours and whole:
                await self._removed(ref, tip)
            return Pushed(None)
        digest = _digest(proposal.files)
        if tip is not None and tip == kept.commit and digest == kept.digest:
            return Pushed(tip)
        commit = await asyncio.to_thread(self._written, catalog.commit, proposal)
        trying = replace(kept, commit=tip or kept.commit, tried=commit).to_json()
        # So that a push whose answer is lost is known for ours.
        await self._journal.write(lambda tx: facts.put(tx, fact_of(branch), trying))
        try:
            await self._mirror.push(commit, ref, expected=tip)
        except PushRejected as rejection:
            raise Unavailable(f"{ref} moved: {rejection.reason}", SOON) from rejection
        return Pushed(commit, None, Known(commit, digest))

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
class Known:
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


def fact_of(branch: str) -> str:
    """What is remembered of a branch is kept by this name."""
    return f"proposal/{branch}"


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for path, text in sorted(files.items()):
        digest.update(f"{len(path)}:{path}:{len(text)}:".encode())
        digest.update(text)
    return digest.hexdigest()
