"""A bare copy of the source in the state folder: fetched into, pushed from, never checked out, made again when broken.

It is a cache: `reconciler.repository.mirrorcopy` says why it may be thrown away, and how it is made again.
"""

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import quote, unquote

import pygit2
import structlog
from pygit2.enums import RepositoryOpenFlag

from journal.errors import Refused, Unavailable
from journal.points import reach
from journal.spans import span
from reconciler.repository import refusals
from reconciler.repository.gitprogram import LIMIT, SOON, Broken, Finished, Git, Locked, RefMissing, explain
from reconciler.repository.mirrorcopy import DURABLE, Copy
from reconciler.repository.mirrorfolder import intact, synced
from reconciler.repository.refusals import PushRejected
from reconciler.repository.source import Source, git_folder, parse

__all__ = ["Mirror", "PushRejected", "kept_as"]

log = structlog.get_logger(__name__)

_SOURCE = "refs/opsconductor/source/"
_KEPT = "refs/opsconductor/kept/"
_FULL_ID = re.compile(r"[0-9a-f]{40}")
_MANY_PACKS = 50
_TIDY_LIMIT = timedelta(seconds=60)
# A path has no git server that could be asked for durability: the receiving git is told to wait for the disk, so that
# a power cut never leaves a user's own repository with a status branch whose objects are empty.
_DURABLE_RECEIVE = "git -c core.fsync=all -c core.fsyncMethod=batch receive-pack"


class Mirror:
    """The copy of one source. Used by one process; its calls may overlap, those that write take turns.

    Every call opens the mirror first when that has not happened (`open`). Repeating any call is harmless. Raises
    Unavailable for what passes (network, full disk, a limit) and Refused for what a human must change, each with a
    message that names the source and says what to do.
    """

    def __init__(
        self,
        path: Path,
        source: str,
        *,
        environment: Mapping[str, str],
        git_timeout: timedelta = LIMIT,
    ) -> None:
        """`environment` is what git inherits, cleaned by `gitprogram`; how a remote is reached stands in it."""
        self.path = path.absolute()
        self.source: Source = parse(source)
        git = Git(environment=dict(environment), login=self.source.login, limit=git_timeout)
        self._copy = Copy(self.path, self.source, git)

    async def open(self) -> None:
        """Make the mirror if there is none, mend it if it may be damaged, sweep up after a git that was killed."""
        async with self._copy.held():
            pass

    def close(self) -> None:
        """Let go of the lock that says whose git processes are alive. The mirror stays."""
        self._copy.close()

    async def poll(self, branch_refs: Sequence[str]) -> Mapping[str, str | None]:
        """What the source has at these refs now, full commit ids; None for a ref it does not have. Fetches nothing."""
        with span("git", operation="poll"):
            listed = await self._listed(branch_refs)
        return {ref: listed.get(ref) for ref in branch_refs}

    async def branches(self) -> tuple[str, ...]:
        """The names of the source's branches, sorted, without `refs/heads/`."""
        done = await self._remote("read", "ls-remote", "--heads", "--end-of-options", self.source.address)
        return tuple(sorted(ref.removeprefix("refs/heads/") for ref in _refs_in(done.stdout)))

    async def fetch(self, refs: Sequence[str]) -> Mapping[str, str | None]:
        """Bring these refs and all they reach into the mirror, rewritten or not; their ids, None where absent.

        Every object passes git's own checks first. A ref that the source does not have is forgotten here too.
        """
        for ref in refs:
            _check_ref(ref)
        with span("git", operation="fetch"):
            fetched = await self._copy.mended(lambda: self._fetch(refs))
        if await asyncio.to_thread(self._packs) > _MANY_PACKS:  # each fetch leaves one
            await self.tidy()
        reach("mirror.fetched")
        return fetched

    async def missing(self, ref: str) -> Refused:
        """What to tell when the source does not have the branch it should have: its name, and what is there."""
        names = await self.branches()
        short = ref.removeprefix("refs/heads/")
        if not names:
            return Refused(f"{self.source.address} has no commits yet; commit opsconductor.yaml and push it to {short}")
        likely = get_close_matches(short, names, n=1) or names[: len(names) == 1]
        hint = f"; did you mean --branch {likely[0]}?" if likely else "; choose one with --branch"
        return Refused(f"{self.source.address} has no branch {short}; it has {', '.join(names[:10])}{hint}")

    async def push(self, local_commit: str, ref: str, expected: str | None) -> None:
        """Set the source's ref to a commit of the mirror if it is still at `expected` (None: does not exist).

        Raises PushRejected when it is not: a normal answer. Raises Refused when the remote forbids it, and Broken when
        the mirror lost the commit. Pushing again what is there already succeeds.
        """
        _check_ref(ref)
        _check_id(local_commit)
        if expected is not None:
            _check_id(expected)
        async with self._copy.held():
            try:
                with span("git", operation="push"):
                    await self._push(local_commit, ref, expected)
            except Broken:
                self._copy.condemn()
                raise

    async def delete(self, ref: str, expected: str) -> None:
        """Remove the source's ref if it is still at `expected`. Raises as `push` does."""
        _check_ref(ref)
        _check_id(expected)
        async with self._copy.held():
            with span("git", operation="push"):
                await self._push("", ref, expected)

    def keep(self, name: str, commit: str) -> None:
        """Hold on to a commit under a name of ours, durably, whatever becomes of the source's branches."""
        _check_id(commit)
        ref = _KEPT + quote(name, safe="")
        with intact(self.path):
            repository = self._repository()
            repository.create_reference(ref, commit, force=True)
        synced(self.path / ref)

    def kept(self, name: str) -> str | None:
        """The commit held under this name."""
        return self._local(_KEPT + quote(name, safe=""))

    def release(self, name: str) -> None:
        """Hold on to nothing under this name any more; harmless where nothing is."""
        with intact(self.path), contextlib.suppress(KeyError):
            self._repository().lookup_reference(_KEPT + quote(name, safe="")).delete()

    def held(self, prefix: str) -> tuple[str, ...]:
        """The names that begin so under which commits are held, sorted."""
        beginning = _KEPT + quote(prefix, safe="")
        with intact(self.path):
            refs = self._repository().references
            return tuple(sorted(unquote(ref.removeprefix(_KEPT)) for ref in refs if ref.startswith(beginning)))

    def fetched(self, ref: str) -> str | None:
        """What the last fetch found at this ref of the source."""
        return self._local(kept_as(ref))

    async def tidy(self, *, deep: bool = False) -> None:
        """Put loose objects into packs, geometrically: each pass costs about what was written since the last.

        `deep` also drops what no ref reaches for a day (rewritten histories, deleted branches), at the cost of a walk
        over everything; nobody may make a commit meanwhile. Bounded by a minute; a stop half-way loses nothing.
        """
        shallow = ("repack", "-d", "-l", "-q", "--geometric=2")
        async with self._copy.held():
            command = ("gc", "--quiet", "--prune=1.day.ago") if deep else shallow
            done = await self._copy.git.run(*command, directory=self.path, limit=_TIDY_LIMIT)
            if done.code != 0:
                log.warning("the mirror could not be tidied", command=command[0], detail=done.stderr[-300:])

    # talking to the remote

    async def _listed(self, refs: Sequence[str]) -> Mapping[str, str]:
        for ref in refs:
            _check_ref(ref)
        done = await self._remote("read", "ls-remote", "--refs", "--end-of-options", self.source.address, *refs)
        return _refs_in(done.stdout)

    async def _remote(self, doing: str, *arguments: str) -> Finished:
        """A command that reads the remote and writes nothing here."""
        if not self._copy.is_open:
            await self.open()
        done = await self._copy.git.run(*arguments, directory=self.path, settings=self._settings())
        if done.code == 0:
            return done
        trouble = self._trouble(f"git could not {doing} the source", done)
        if isinstance(trouble, Broken):
            self._copy.condemn()
        if isinstance(trouble, Broken | Locked | RefMissing):
            raise Unavailable(f"git could not {doing} {self.source.address}: {trouble}", SOON) from trouble
        raise trouble

    async def _fetch(self, refs: Sequence[str]) -> Mapping[str, str | None]:
        present = list(refs)
        try:
            await self._fetch_present(present)
        except RefMissing:
            done = await self._copy.git.run(
                "ls-remote", "--refs", "--end-of-options", self.source.address, *refs,
                directory=self.path, settings=self._settings(),
            )  # fmt: skip
            if done.code != 0:
                raise self._trouble("git could not read the source", done) from None
            listed = _refs_in(done.stdout)
            present = [ref for ref in refs if ref in listed]
            try:
                await self._fetch_present(present)
            except RefMissing as error:  # deleted between the two calls
                raise Unavailable(f"{self.source.address} changed while it was read: {error}", SOON) from error
        for ref in refs:
            if ref not in present:
                self._forget(ref)
        return {ref: self._arrived(ref) if ref in present else None for ref in refs}

    async def _fetch_present(self, refs: Sequence[str]) -> None:
        if not refs:
            return
        done = await self._copy.git.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc",
            "--no-show-forced-updates", "--atomic", "--end-of-options", self.source.address,
            *[f"+{ref}:{kept_as(ref)}" for ref in refs],
            directory=self.path, settings=(*self._settings(), *DURABLE),
        )  # fmt: skip
        if done.code != 0:
            raise self._trouble("git could not fetch", done)

    def _arrived(self, ref: str) -> str:
        with intact(self.path):
            try:
                return str(self._repository().lookup_reference(kept_as(ref)).peel(pygit2.Commit).id)
            except (KeyError, pygit2.InvalidSpecError) as error:
                raise pygit2.GitError(f"{ref} did not arrive, or is no commit") from error

    def _forget(self, ref: str) -> None:
        with intact(self.path), contextlib.suppress(KeyError):
            self._repository().lookup_reference(kept_as(ref)).delete()

    async def _push(self, commit: str, ref: str, expected: str | None) -> None:
        receive = (f"--receive-pack={_DURABLE_RECEIVE}",) if self.source.is_path else ()
        done = await self._copy.git.run(
            "push", "--porcelain", "--no-verify", "--quiet", *receive, f"--force-with-lease={ref}:{expected or ''}",
            "--end-of-options", self.source.address, f"{commit}:{ref}",
            directory=self.path, settings=self._settings(),
        )  # fmt: skip
        if done.code == 0:
            return
        verdict = re.search(rf"^!\t[^\t]*:{re.escape(ref)}\t(.*)$", done.stdout, re.MULTILINE)
        if verdict is None:
            raise self._trouble(f"git could not push {ref}", done)
        raise refusals.of_push(ref, verdict[1], done.stderr, self.source)

    def _settings(self) -> tuple[str, ...]:
        return ("protocol.http.allow=always",) if self.source.plain_http else ()

    def _trouble(self, doing: str, done: Finished) -> Exception:
        path = self.source.path
        if path is not None and git_folder(path) is None:
            return refusals.no_repository(path)
        return explain(doing, done.stderr, self.source.address, self.path)

    # the local side

    def _repository(self) -> pygit2.Repository:
        return pygit2.Repository(str(self.path), RepositoryOpenFlag.NO_SEARCH | RepositoryOpenFlag.BARE)

    def _local(self, ref: str) -> str | None:
        if not self.path.is_dir():
            return None
        with intact(self.path):
            try:
                return str(self._repository().lookup_reference(ref).target)
            except (KeyError, ValueError):
                return None

    def _packs(self) -> int:
        return sum(1 for _ in self.path.glob("objects/pack/*.pack"))


def kept_as(ref: str) -> str:
    """Where the mirror keeps a ref of the source.

    One flat name a ref: a branch `a` that became `a/b` on the source must not stand in its own way here.
    """
    return _SOURCE + quote(ref, safe="")


def _refs_in(listing: str) -> dict[str, str]:
    pairs = (line.split("\t", 1) for line in listing.splitlines() if "\t" in line)
    return {ref: commit for commit, ref in pairs}


def _check_ref(ref: str) -> None:
    if not ref.startswith("refs/") or not pygit2.reference_is_valid_name(ref):
        raise Refused(f"{ref!r} is no full ref name such as refs/heads/main")


def _check_id(commit: str) -> None:
    if not _FULL_ID.fullmatch(commit):
        raise ValueError(f"{commit!r} is no full commit id")
