"""What stands in a commit, read from the object store: no work tree, no checkout, regular files only.

A tree is a stranger's: names may be anything, folders may nest or repeat without end, a blob may be huge. Every walk is
bounded, and what is not read is said as a finding with the path it concerns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

import pygit2

from engine.entries import (
    MAX_ENTRIES,
    MAX_FILES,
    MAX_FOLDERS,
    PROJECT_FILE,
    Irregular,
    Told,
    beyond,
    not_regular,
    odd_name,
    spelled,
    too_deep,
    too_large,
    unread,
)
from engine.globs import any_may_hold, matches
from journal.errors import Refused
from reconciler.repository.differences import MOST_LISTED, TooManyFiles, between
from reconciler.repository.mirrorfolder import OpenRepository, intact
from schemas.characters import MAX_BYTES
from schemas.diagnostic import Diagnostic, in_order

_MAX_WALK = 10_000  # commits looked at to find who brought a file
_FEW = 16  # files that are looked up one by one sooner than by comparing folders
_EVERYTHING = ("**",)

_KIND_OF_ENTRY = 0o170000
_TREE, _REGULAR, _SYMLINK, _SUBMODULE = 0o040000, 0o100000, 0o120000, 0o160000


class NoSuchCommit(Refused):
    """The mirror does not hold this commit: it was never fetched, or is gone from the source and from here."""


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A regular file by content. Equal ids are equal bytes, so a parsed file may be cached by it."""

    id: str
    size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a commit that may hold documents, and what was found instead of a file."""

    commit: str
    files: Mapping[str, BlobRef]
    findings: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """Who and when, as the commit claims. `committed_at` is aware, UTC."""

    id: str
    author_name: str
    author_email: str
    committer_name: str
    committer_email: str
    committed_at: datetime
    parents: tuple[str, ...]
    message: str
    signed: bool = False
    """It has a signature. Nobody has looked whether it is a good one."""

    @property
    def author(self) -> str:
        """`Name <email>`."""
        return f"{self.author_name} <{self.author_email}>"


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    id: str
    mode: int
    odd: str | None


@dataclass(slots=True)
class _Walk:
    """One pass over a tree."""

    globs: tuple[str, ...]
    files: dict[str, BlobRef] = field(default_factory=dict)
    told: Told = field(default_factory=Told)
    looked_at: int = 0
    size: int = 0

    @property
    def beyond(self) -> Diagnostic | None:
        """Which limit it passes, where it does: nothing further is looked at."""
        return beyond(files=len(self.files), size=self.size, entries=self.looked_at)

    def say(self, finding: Diagnostic) -> None:
        self.told.say(finding)


class Objects:
    """Reads commits of the mirror at `path`. One caller at a time; nothing is written.

    Raises NoSuchCommit for a commit that is not there, and Broken (come back, the mirror is made again meanwhile) where
    objects are damaged or missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = OpenRepository(path)
        self._folders: dict[str, tuple[_Entry, ...]] = {}
        self._sizes: dict[str, int] = {}
        self._chosen: tuple[tuple[str, ...], dict[str, bool]] = ((), {})
        self._last: tuple[tuple[str, ...], Snapshot] | None = None

    def snapshot(self, commit: str, globs: Sequence[str] = _EVERYTHING) -> Snapshot:
        """The files that the globs choose, and opsconductor.yaml.

        At most 20,000, 16 folders deep, 1 MiB each and 64 MiB together.

        What is not a regular file, too deep, too large or oddly named is left out and is a finding. A second call costs
        only the folders that changed.
        """
        with intact(self._path):
            found = self._edited(commit, tuple(globs)) or self._walked(commit, tuple(globs))
        self._last = (tuple(globs), found)
        return found

    def file(self, commit: str, path: str) -> bytes | None:
        """One regular file, None where there is none of at most 1 MiB at this path."""
        with intact(self._path):
            found = self._entry(self._commit(commit), path)
            if found is None or found.filemode & _KIND_OF_ENTRY != _REGULAR:
                return None
            return self.blob(str(found.id)) if self._size(str(found.id)) <= MAX_BYTES else None

    def holds(self, commit: str, path: str) -> bool:
        """Whether there is a regular file at this path, of any size."""
        with intact(self._path):
            found = self._entry(self._commit(commit), path)
            return found is not None and found.filemode & _KIND_OF_ENTRY == _REGULAR

    def exists(self, commit: str, path: str) -> bool:
        """Whether there is anything at this path: a file, a folder, a link."""
        with intact(self._path):
            return self._entry(self._commit(commit), path) is not None

    def standing(self, commit: str, path: str) -> Literal["folder", "other"] | None:
        """What is at this path: a folder, anything else, or nothing."""
        with intact(self._path):
            found = self._entry(self._commit(commit), path)
            if found is None:
                return None
            return "folder" if found.filemode & _KIND_OF_ENTRY == _TREE else "other"

    def files(self, commit: str, prefix: str) -> tuple[str, ...]:
        """The regular files below a folder (or the whole tree, for ""), as paths from the root, sorted.

        Raises TooManyFiles beyond a million entries.
        """
        with intact(self._path):
            return tuple(sorted(self._below(self._commit(commit), prefix.strip("/"))))

    def blob(self, blob_id: str) -> bytes:
        """The bytes of a blob of at most 1 MiB."""
        with intact(self._path):
            if self._size(blob_id) > MAX_BYTES:
                raise ValueError(f"blob {blob_id} is larger than {MAX_BYTES} bytes")
            found = self._repository()[blob_id]
            assert isinstance(found, pygit2.Blob)
            return found.data

    def has(self, commit: str) -> bool:
        """Whether the mirror holds this commit."""
        try:
            with intact(self._path):
                self._commit(commit)
        except NoSuchCommit:
            return False
        return True

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`; a commit contains itself. One that the mirror lacks is in no history."""
        with intact(self._path):
            self._commit(newer)
            if older == newer:
                return True
            return self.has(older) and self._repository().descendant_of(newer, older)

    def history(self, before: str, now: str) -> Literal["same", "forward", "rewritten"]:
        """How a branch moved. Rewritten: what was there before is no longer part of it."""
        if before == now:
            return "same"
        if not self.has(before):
            return "rewritten"
        return "forward" if self.is_ancestor(before, now) else "rewritten"

    def commit_info(self, commit: str) -> CommitInfo:
        """Who made a commit, when, on what."""
        with intact(self._path):
            found = self._commit(commit)
            return CommitInfo(
                id=str(found.id),
                author_name=_text(found.author.raw_name),
                author_email=_text(found.author.raw_email),
                committer_name=_text(found.committer.raw_name),
                committer_email=_text(found.committer.raw_email),
                committed_at=_instant(found.commit_time),
                parents=tuple(str(parent) for parent in found.parent_ids),
                message=_text(found.raw_message),
                signed=found.gpg_signature[0] is not None,
            )

    def introduced(self, head: str, path: str) -> CommitInfo | None:
        """The commit that brought the content which the file at `path` has in `head`, along first parents.

        Looks at 10,000 commits at most; None where none of them brought it. NoSuchCommit where there is no such file.
        """
        return self.introductions(head, (path,))[path]

    def introductions(self, head: str, paths: Iterable[str]) -> Mapping[str, CommitInfo | None]:
        """As `introduced`, for many files in one walk."""
        found: dict[str, CommitInfo | None] = {}
        with intact(self._path):
            at = self._commit(head)
            wanted = set(paths)
            for path in wanted:
                if self._content(at, path) is None:
                    raise NoSuchCommit(f"commit {head} has no file {path}")
            for _ in range(_MAX_WALK):
                if not wanted or not at.parent_ids:
                    break
                older = self._commit(str(at.parent_ids[0]))
                if brought := self._brought(older, at, wanted):
                    found |= dict.fromkeys(brought, self.commit_info(str(at.id)))
                    wanted -= brought
                at = older if wanted else at
            # Where the walk ends there may be anybody's commit, signed by somebody who never saw the file.
            return found | dict.fromkeys(wanted, self.commit_info(str(at.id)) if self._is_first(at) else None)

    def _brought(self, older: pygit2.Commit, newer: pygit2.Commit, wanted: set[str]) -> set[str]:
        """Which of the files have another content in the newer commit."""
        if older.tree_id == newer.tree_id:
            return set()
        if len(wanted) > _FEW:
            folders = {path[:at] for path in wanted for at, letter in enumerate(path) if letter == "/"}
            with suppress(TooManyFiles):
                found = between(self._repository(), older.tree_id, newer.tree_id, within=folders.__contains__)
                return wanted & {one.path for one in found}
        return {path for path in wanted if self._content(older, path) != self._content(newer, path)}

    def changed(self, before: str | None, now: str) -> tuple[str, ...]:
        """The paths that differ between two commits (None: an empty tree), sorted. Raises TooManyFiles."""
        with intact(self._path):
            if before is None:
                return self.files(now, "")
            trees = (self._commit(before).tree_id, self._commit(now).tree_id)
            return tuple(one.path for one in between(self._repository(), *trees))

    def differing(self, before: str | None, now: str, suffix: str) -> Mapping[str, BlobRef]:
        """The regular files that differ between two commits (None: an empty tree) and whose paths end so, by path.

        Those of at most 1 MiB, no more than 16 folders deep. Nothing is read of them. Raises TooManyFiles.
        """
        with intact(self._path):
            older = None if before is None else self._commit(before).tree_id
            found = {
                one.path: BlobRef(one.new, self._size(one.new))
                for one in between(self._repository(), older, self._commit(now).tree_id)
                if one.new is not None and one.path.endswith(suffix) and one.path.count("/") <= MAX_FOLDERS
            }
        return {path: blob for path, blob in found.items() if blob.size <= MAX_BYTES}

    # walking

    def _edited(self, commit: str, globs: tuple[str, ...]) -> Snapshot | None:
        """The last snapshot with the files that were edited since; None where anything else may have changed."""
        if self._last is None or self._last[0] != globs or not self.has(self._last[1].commit):
            return None
        last = self._last[1]
        files = dict(last.files)
        trees = (self._commit(last.commit).tree_id, self._commit(commit).tree_id)
        try:
            differing = between(self._repository(), *trees, within=partial(any_may_hold, globs), most=MAX_FILES)
        except TooManyFiles:
            return None
        for one in differing:
            if one.old is None or one.new is None:
                return None
            if one.path in files and self._size(one.new) <= MAX_BYTES:
                files[one.path] = BlobRef(one.new, self._size(one.new))
            elif self._wanted(one.path, globs):
                return None
        sizes = (sum(file.size for file in these.values()) for these in (last.files, files))
        if any(beyond(files=0, size=size, entries=0) is not None for size in sizes):
            return None
        return Snapshot(commit, files, last.findings)

    def _walked(self, commit: str, globs: tuple[str, ...]) -> Snapshot:
        walk = _Walk(globs)
        seen: dict[str, tuple[_Entry, ...]] = {}
        self._walk(str(self._commit(commit).tree_id), "", 1, walk, seen)
        if walk.beyond is not None:
            walk.say(walk.beyond)
        self._folders = seen
        self._sizes = {ref.id: ref.size for ref in walk.files.values()}
        return Snapshot(commit, walk.files, in_order(walk.told.findings))

    def _walk(self, tree: str, folder: str, depth: int, walk: _Walk, seen: dict[str, tuple[_Entry, ...]]) -> None:
        seen[tree] = entries = self._folders.get(tree) or self._listed(tree)
        walk.looked_at += len(entries)
        for entry in entries:
            if walk.beyond is not None:
                return
            path = f"{folder}{entry.name}"
            kind = entry.mode & _KIND_OF_ENTRY
            if entry.odd is not None:
                if self._wanted(path, walk.globs) or (kind == _TREE and any_may_hold(walk.globs, path)):
                    walk.say(odd_name(path, entry.odd))
            elif kind == _REGULAR:
                if self._wanted(path, walk.globs):
                    self._take(path, entry, walk)
                elif (warning := unread(path, walk.globs)) is not None:
                    walk.say(warning)
            elif kind == _TREE:
                if path == PROJECT_FILE:
                    walk.say(not_regular(path, "folder", wanted=True))
                if not any_may_hold(walk.globs, path):
                    continue
                if depth > MAX_FOLDERS:
                    walk.say(too_deep(path))
                else:
                    self._walk(entry.id, f"{path}/", depth + 1, walk, seen)
            else:
                self._refuse(path, kind, walk)

    def _take(self, path: str, entry: _Entry, walk: _Walk) -> None:
        size = self._size(entry.id)
        if size > MAX_BYTES:
            walk.say(too_large(path, size))
            return
        walk.size += size
        walk.files[path] = BlobRef(entry.id, size)

    def _refuse(self, path: str, kind: int, walk: _Walk) -> None:
        what: Irregular = "link" if kind == _SYMLINK else "submodule" if kind == _SUBMODULE else "other"
        wanted = self._wanted(path, walk.globs)
        if wanted or any_may_hold(walk.globs, path):
            walk.say(not_regular(path, what, wanted=wanted, globs=walk.globs))

    def _wanted(self, path: str, globs: tuple[str, ...]) -> bool:
        if self._chosen[0] != globs or len(self._chosen[1]) > 4 * MAX_ENTRIES:
            self._chosen = (globs, {})
        known = self._chosen[1]
        if (wanted := known.get(path)) is None:
            wanted = known[path] = path == PROJECT_FILE or any(matches(glob, path) for glob in globs)
        return wanted

    def _listed(self, tree: str) -> tuple[_Entry, ...]:
        found = self._repository()[tree]
        assert isinstance(found, pygit2.Tree)
        return tuple(_entry(entry.raw_name or b"", str(entry.id), int(entry.filemode)) for entry in found)

    def _below(self, commit: pygit2.Commit, prefix: str) -> Iterator[str]:
        start = self._entry(commit, prefix) if prefix else commit.tree
        pending = [(prefix, start, 1)] if isinstance(start, pygit2.Tree) else []
        looked_at = 0
        while pending:
            folder, tree, depth = pending.pop()
            looked_at += len(tree)
            if looked_at > MOST_LISTED:
                raise TooManyFiles(f"commit {commit.id} has more than {MOST_LISTED} files and folders")
            for entry in tree:
                path = f"{folder}/{entry.name}" if folder else str(entry.name)
                if isinstance(entry, pygit2.Tree) and depth < MAX_FOLDERS:
                    pending.append((path, entry, depth + 1))
                elif int(entry.filemode) & _KIND_OF_ENTRY == _REGULAR:
                    yield path

    # the object store

    def _repository(self) -> pygit2.Repository:
        return self._open.get()

    def _commit(self, commit: str) -> pygit2.Commit:
        found: object = self._repository().get(commit)
        if not isinstance(found, pygit2.Commit):
            raise NoSuchCommit(f"there is no commit {commit} in the mirror")
        return found

    def _size(self, blob: str) -> int:
        if (known := self._sizes.get(blob)) is not None:
            return known
        try:
            return int(self._repository().odb.read_header(blob)[1])
        except KeyError as error:
            raise pygit2.GitError(f"blob {blob} is missing") from error

    def _is_first(self, commit: pygit2.Commit) -> bool:
        """Whether it builds on nothing. One whose history was cut off here looks so too, but its own text does not."""
        return b"\nparent " not in self._repository().odb.read(commit.id)[1].partition(b"\n\n")[0]

    def _entry(self, commit: pygit2.Commit, path: str) -> pygit2.Object | None:
        try:
            return commit.tree / path
        except KeyError:
            return None

    def _content(self, commit: pygit2.Commit, path: str) -> str | None:
        found = self._entry(commit, path)
        return None if found is None else str(found.id)


def _entry(raw: bytes, identity: str, mode: int) -> _Entry:
    name, odd = spelled(raw)
    return _Entry(name, identity, mode, odd)


def _instant(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # a commit may claim any year
        return datetime.max.replace(tzinfo=UTC) if seconds > 0 else datetime.min.replace(tzinfo=UTC)


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
