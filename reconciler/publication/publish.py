"""The one writer of the status branch: trees in memory, one commit a batch, pushed by compare-and-swap.

Why a power cut or a `kill -9` at any moment is harmless. What is published is a projection of the journal, and the
caller moves its outbox cursor only after `publish` has returned. Until then the same content is published again, and
publishing what is there already makes no commit. In particular:

- Objects are written loose and without fsync, for speed (`reconciler.repository.trees`). They live in the mirror,
  which is a cache: after a restart of the machine it is made again from what passes git's checks and from the remote
  (`reconciler.repository.mirror`). A status commit lost with it was not pushed, so the journal still has its content.
- The remote's copy is the durable one: git there waits for its disk. On a path source our push asks for that.
- A commit is recorded as tried before it is pushed, and as pushed after it. So whoever starts after a crash between
  the two, or goes on after a push whose answer was lost, knows its own commit on the branch from a stranger's.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import pygit2
import structlog

from engine.status.views import EngineView
from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.points import reach
from reconciler.authority.statuskey import StatusKey
from reconciler.publication.claim import SYNC_FILE, claim_in, named, supplants
from reconciler.publication.line import Line
from reconciler.repository.gitprogram import SOON, Broken
from reconciler.repository.mirror import Mirror
from reconciler.repository.mirrorfolder import OpenRepository, intact
from reconciler.repository.objects import Objects
from reconciler.repository.refusals import PushRejected
from reconciler.repository.trees import Trees

log = structlog.get_logger(__name__)

COMMITTER = "OpsConductor <opsconductor@localhost>"
SKIP_CI = "[skip ci]"
PATH_INTERVAL = timedelta(seconds=2)
REMOTE_INTERVAL = timedelta(seconds=10)
_TRIES = 6
_TIDY_AFTER_COMMITS = 200
_DEEP_EVERY = 50
_TIDY_AFTER_BYTES = 64 * 1024 * 1024


class BranchGone(Exception):  # noqa: N818 - named after what happened
    """Somebody deleted the status branch: publish everything again, from the store. The next publish starts a root."""


class OtherOwner(Exception):  # noqa: N818
    """Another engine claimed the status branch: stop deciding, drain, exit 1."""

    def __init__(self, claim: EngineView) -> None:
        super().__init__(f"the status branch now belongs to engine {named(claim)}; this one stops")
        self.claim = claim


@dataclass(frozen=True, slots=True)
class Foreign:
    """Commits that somebody else put on the status branch, and the branch that keeps them now."""

    commit: str
    kept_as: str
    author: str
    subject: str

    @property
    def message(self) -> str:
        """What to tell the users."""
        return (
            f"commit {self.commit[:12]} by {self.author} ({self.subject!r}) is not the engine's; it was moved from the "
            f"status branch to {self.kept_as.removeprefix('refs/heads/')}"
        )


class Publisher:
    """Writes one status branch of the mirror's source. One per branch and process; calls take turns.

    `open` once, then `publish` and `seen` in any order. Each may raise Unavailable (nothing is lost, come back),
    Refused (a human must allow the push), BranchGone, or OtherOwner. Repeating any call is harmless.
    `claim` is what this engine pushed as its own (see `owner`); `on_foreign` is told what was set aside.
    With a `key` every commit is signed. With a `shared` line other processes of this engine write the branch too, one
    after another.
    """

    def __init__(
        self,
        mirror: Mirror,
        ref: str,
        *,
        engine_id: str,
        clock: Clock,
        on_foreign: Callable[[Foreign], None] = lambda _: None,
        key: StatusKey | None = None,
        shared: Line | None = None,
    ) -> None:
        self.ref = ref
        self.claim: EngineView | None = None
        self.engine_id = engine_id
        self._mirror = mirror
        self._clock = clock
        self._on_foreign = on_foreign
        self._key = key
        self._shared = shared
        self._objects = Objects(mirror.path)
        self._trees = Trees(mirror.path)
        self._open = OpenRepository(mirror.path)
        self._turn = asyncio.Lock()
        self._opened = False
        self._line: str | None = None
        self._tried: set[str] = set()
        self._commits_untidied = 0
        self._tidied = 0

    @property
    def min_interval(self) -> timedelta:
        """How long the caller lets changes gather: one commit every 2 s on a path, every 10 s on a remote."""
        return PATH_INTERVAL if self._mirror.source.is_path else REMOTE_INTERVAL

    @property
    def tip(self) -> str | None:
        """The commit of ours that the branch is at; None before the first and after a deletion."""
        return self._line

    async def open(self, *, read_only: bool = False) -> str | None:
        """Take in the branch: its commit, or None when there is none, so that everything is to be published.

        A stranger's commits on top of ours are set aside, unless they carry another engine's claim, which is for
        `reconciler.publication.owner` to judge, or unless `read_only`.
        """
        async with self._turn:
            tip = await self._fetched()
            self._line = self._recalled()
            if self._shared is not None:
                await self._recall(self._shared)
            if read_only:
                self._line = tip
            elif self._shared is not None and tip is not None and tip == self._line:
                pass  # what whoever led before has tried may still arrive, until something of ours is there
            elif tip is None or tip in {self._line, *self._tried} or not self._line or self._claimed_elsewhere(tip):
                await self._advance(tip)
            else:
                await self._set_aside(tip, self._line)
            self._opened = True
            return self._line

    async def adopt(self) -> str | None:
        """Take in the branch as it is, whoever wrote it: `--take-over` continues the other engine's line."""
        async with self._turn:
            await self._advance(await self._fetched())
            self._opened = True
            return self._line

    async def publish(self, writes: Mapping[str, bytes | None], message: str) -> str | None:
        """Write files (None deletes one) and push: the commit the branch is at. No change, no commit, no traffic.

        The commit is on the remote when this returns.
        """
        if not self._opened:
            await self.open()
        async with self._turn:
            commit = await self._published(writes, message)
        if self._commits_untidied >= _TIDY_AFTER_COMMITS or self._trees.written >= _TIDY_AFTER_BYTES:
            await self.tidy()
        return commit

    async def poll(self) -> None:
        """Ask the remote where the branch is. Where that is not where we left it, `look`. Costs one short question."""
        await self.seen((await self._mirror.poll([self.ref]))[self.ref])

    async def seen(self, tip: str | None) -> None:
        """Told what a poll found at the ref. Where that is not what we left there, go and see why."""
        if self._opened and tip != self._line:
            await self.look()

    async def look(self) -> None:
        """See what is on the branch and mend it: a stranger's work is set aside. Raises BranchGone or OtherOwner."""
        async with self._turn:
            await self._look()

    async def tidy(self) -> None:
        """Pack loose objects. `publish` does so by itself after 200 commits or 64 MiB, every 50th time a deep one."""
        async with self._turn:
            self._commits_untidied = self._trees.written = 0
            self._tidied += 1
            with contextlib.suppress(Unavailable, Refused):
                await self._mirror.tidy(deep=self._tidied % _DEEP_EVERY == 0)

    def read(self, path: str) -> bytes | None:
        """A file of the branch as it was last published or taken in."""
        return None if self._line is None else self._objects.file(self._line, path)

    def list(self, prefix: str = "") -> tuple[str, ...]:
        """The files below a folder of the branch, sorted."""
        return () if self._line is None else self._objects.files(self._line, prefix)

    @property
    def signs(self) -> bool:
        return self._key is not None

    def believed(self) -> bool:
        """Whether what stands on the branch is ours by its signature; without a key, and with no branch, it is."""
        if self._key is None or self._line is None:
            return True
        with intact(self._mirror.path):
            return self._key.wrote(self._repository()[self._line].read_raw(), self._line)

    async def begin_anew(self) -> None:
        """Keep what stands on the branch under a name of its own, and go on without any of it."""
        async with self._turn:
            tip = self._line
            if tip is None:
                return
            foreign = await self._kept_aside(tip)
            commit = await asyncio.to_thread(self._emptied, tip)
            try:
                await self._push(commit, tip)
            except PushRejected as rejection:
                raise Unavailable(f"{self.ref} moved: {rejection.reason}", SOON) from rejection
            await self._advance(commit)
            self._on_foreign(foreign)

    def _emptied(self, tip: str) -> str:
        with intact(self._mirror.path):
            commit = self._commit(self._trees.empty(), "status: begun anew", tip)
            self._try(self._repository(), commit)
            return commit

    # one publish

    async def _published(self, writes: Mapping[str, bytes | None], message: str) -> str | None:
        for attempt in range(_TRIES):
            try:
                commit = await asyncio.to_thread(self._written, dict(writes), message)
                if commit is None or commit == self._line:
                    return self._line
                reach("status.written")
                await self._push(commit, self._line)
            except PushRejected as rejection:
                log.info("the status branch moved", reason=rejection.reason, attempt=attempt)
                await asyncio.sleep(0 if attempt == 0 else 0.2 * attempt)  # a lock held there for a moment
                await self._look()
                continue
            except Broken:
                if attempt:
                    raise
                await self._fetched()  # the mirror is made again on the way; our line comes back from the remote
                continue
            reach("status.pushed")
            await self._advance(commit)
            self._commits_untidied += 1
            reach("status.recorded")
            return commit
        raise Unavailable(f"{self._mirror.source.address}: {self.ref} kept moving while it was pushed", SOON)

    def _written(self, writes: dict[str, bytes | None], message: str) -> str | None:
        """The commit to push, or the line itself where nothing changes; None for nothing on nothing."""
        with intact(self._mirror.path):
            repository = self._repository()
            base = None if self._line is None else _tree_of(repository, self._line)
            tree = self._trees.tree(base, writes)
            if tree is None and base is None:
                return None
            tree = tree or self._trees.empty()
            if tree == base:
                return self._line
            commit = self._commit(tree, message, self._line)
            self._try(repository, commit)
            return commit

    def _commit(self, tree: str, message: str, parent: str | None) -> str:
        seconds, sign = int(self._clock.now().timestamp()), self._key.sign if self._key is not None else None
        return self._trees.commit(tree, parent, who=COMMITTER, seconds=seconds, message=marked(message), sign=sign)

    # strangers

    async def _look(self) -> None:
        """The branch is not where we left it: ours after all, deleted, another engine's, or touched by a stranger."""
        tip = await self._fetched()
        if tip is None:
            if self._line is None:
                return
            await self._advance(None)
            raise BranchGone(f"{self.ref} was deleted at {self._mirror.source.address}")
        if tip == self._line:
            return
        if tip in self._tried:
            await self._advance(tip)
            return
        other = self._claimed_elsewhere(tip)
        if other is not None:
            raise OtherOwner(other)
        if self._line is None:
            await self._advance(tip)
            return
        await self._set_aside(tip, self._line)

    async def _set_aside(self, tip: str, line: str) -> None:
        """Keep a stranger's commits under a branch of their own and continue our line."""
        if not self._objects.is_ancestor(tip, line):  # an older commit of ours, pushed back by hand, needs no keeping
            self._on_foreign(await self._kept_aside(tip))
        try:
            await self._push(line, tip)
            await self._advance(line)
        except PushRejected as rejection:
            raise Unavailable(f"{self.ref} moved again: {rejection.reason}", SOON) from rejection
        except Refused:
            # The remote allows no rewinding. Our tree wins all the same, as a commit on top of the stranger's.
            commit = await asyncio.to_thread(self._on_top_of, tip, line)
            try:
                await self._push(commit, tip)
            except PushRejected as rejection:
                raise Unavailable(f"{self.ref} moved again: {rejection.reason}", SOON) from rejection
            await self._advance(commit)

    async def _kept_aside(self, tip: str) -> Foreign:
        foreign = self._described(tip)
        with contextlib.suppress(PushRejected):  # there already: we were cut off between the two pushes
            await self._mirror.push(tip, foreign.kept_as, expected=None)
        reach("status.set-aside")
        log.warning("a foreign commit on the status branch was set aside", commit=tip, kept_as=foreign.kept_as)
        return foreign

    def _on_top_of(self, tip: str, line: str) -> str:
        with intact(self._mirror.path):
            repository = self._repository()
            commit = self._commit(_tree_of(repository, line), "status: continue", tip)
            self._try(repository, commit)
            return commit

    def _described(self, tip: str) -> Foreign:
        info = self._objects.commit_info(tip)
        subject = info.message.strip().split("\n", 1)[0][:80]
        return Foreign(tip, f"refs/heads/opsconductor/status-foreign-{tip[:12]}", info.author, subject)

    def _claimed_elsewhere(self, tip: str) -> EngineView | None:
        claim = claim_in(self._objects.file(tip, SYNC_FILE))
        return claim if supplants(claim, self.engine_id, self.claim) else None

    # what the mirror remembers

    async def _fetched(self) -> str | None:
        return (await self._mirror.fetch([self.ref]))[self.ref]

    async def _push(self, commit: str, expected: str | None) -> None:
        if self._shared is not None:
            await self._shared.trying(commit)
        await self._mirror.push(commit, self.ref, expected=expected)

    async def _advance(self, commit: str | None) -> None:
        """The branch is known to be at `commit`: what was tried before it cannot arrive any more."""
        self._noted(commit)
        if self._shared is not None:
            await self._shared.advanced(commit)

    def _noted(self, commit: str | None) -> None:
        self._line = commit
        with intact(self._mirror.path):
            repository = self._repository()
            if commit is not None:
                repository.create_reference(f"{self._folder}/pushed", commit, force=True)
            else:
                _delete(repository, f"{self._folder}/pushed")
            for tried in self._tried:
                _delete(repository, f"{self._folder}/tried/{tried}")
        self._tried.clear()

    def _try(self, repository: pygit2.Repository, commit: str) -> None:
        repository.create_reference(f"{self._folder}/tried/{commit}", commit, force=True)
        self._tried.add(commit)

    def _recalled(self) -> str | None:
        """What an earlier process left: the commit it pushed last, and those it tried to push after that."""
        with intact(self._mirror.path):
            repository = self._repository()
            prefix = f"{self._folder}/tried/"
            self._tried = {name.removeprefix(prefix) for name in repository.references if name.startswith(prefix)}
            found = repository.references.get(f"{self._folder}/pushed")
            return None if found is None else str(found.target)

    async def _recall(self, shared: Line) -> None:
        """What whoever wrote before has left in the journal, which knows more than this process's mirror."""
        known = await shared.recalled()
        self._tried |= known.tried
        # A commit that was never here cannot be pushed again: then the branch is taken in as it is.
        self._line = known.pushed if known.pushed is not None and self._objects.has(known.pushed) else None

    @property
    def _folder(self) -> str:
        return f"refs/opsconductor/status/{quote(self.ref, safe='')}"

    def _repository(self) -> pygit2.Repository:
        return self._open.get()


def _delete(repository: pygit2.Repository, ref: str) -> None:
    with contextlib.suppress(KeyError):
        repository.lookup_reference(ref).delete()


def _tree_of(repository: pygit2.Repository, commit: str) -> str:
    found: object = repository.get(commit)
    if not isinstance(found, pygit2.Commit):
        raise pygit2.GitError(f"our own commit {commit} is gone")
    return str(found.tree_id)


def marked(message: str) -> str:
    """The message with the mark that keeps CI from running on status commits, at its end."""
    text = message.strip() or "status"
    if text.endswith(SKIP_CI):
        return text
    return f"{text}\n\n{SKIP_CI}" if "\n" in text else f"{text} {SKIP_CI}"
