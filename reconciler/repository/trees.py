"""Writing blobs, trees and commits into a mirror, with what is written next in mind.

A status commit changes one file of a folder that may hold ten thousand. The trees that were just written are therefore
kept as dicts in git's order, so that a commit costs one join and one write a folder, without reading, parsing and
compressing them again: measured 3 to 5 times faster than pygit2's TreeBuilder on such a folder.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from journal.errors import Unavailable
from reconciler.repository.gitprogram import LATER
from reconciler.repository.mirrorfolder import OpenRepository

_FILE, _FOLDER = b"100644 ", b"40000 "
_KEPT_ENTRIES = 40_000
_FAST = 1  # of zlib; libgit2 takes 0 for "not zlib at all", which nobody can read

Entries = dict[bytes, bytes]
"""By name (a folder's with `/` at its end, which is git's order): the entry's bytes, from mode to id."""


class Trees:
    """Writes objects of one mirror. One caller at a time. Raises pygit2.GitError where the store is damaged.

    Objects are written loose and without fsync: `reconciler.publication.publish` says why that is safe, and packing
    compresses them soon. `written` counts their bytes.
    """

    def __init__(self, mirror: Path) -> None:
        self._mirror = mirror
        self._store = pygit2.Odb()
        self._store.add_backend(pygit2.OdbBackendLoose(str(mirror / "objects"), _FAST, False), 1)
        self._repository = OpenRepository(mirror)
        self._known: dict[str, Entries] = {}
        self.written = 0

    def tree(self, base: str | None, writes: Mapping[str, bytes | None]) -> str | None:
        """The tree that results from writing files onto another (None deletes one); None when nothing is left in it.

        Only the trees along the touched paths are made anew. Raises ValueError for a path that is no plain relative
        one, or that is written both as a file and as a folder.
        """
        return self._tree(base, _by_first_name(writes.items()))

    def commit(
        self,
        tree: str,
        parent: str | None,
        *,
        who: str,
        seconds: int,
        message: str,
        sign: Callable[[bytes], str] | None = None,
    ) -> str:
        """A commit by `who` ("Name <email>") at this Unix time, in UTC. `sign` gives the signature of its content."""
        lines = [f"tree {tree}", *([f"parent {parent}"] if parent else [])]
        lines += [
            f"author {who} {seconds} +0000",
            f"committer {who} {seconds} +0000",
        ]
        said = ["", message.replace("\0", ""), ""]
        if sign is not None:
            signature = sign("\n".join([*lines, *said]).encode())
            lines.append("gpgsig " + signature.replace("\n", "\n "))
        return self._write(ObjectType.COMMIT, "\n".join([*lines, *said]).encode())

    def empty(self) -> str:
        """The tree without entries."""
        return self._write(ObjectType.TREE, b"")

    def _tree(self, base: str | None, writes: "_Below") -> str | None:
        entries = self._entries(base)
        changed = False
        for name, below in writes.items():
            key = name.encode()
            match below:
                case bytes():
                    folder = entries.pop(key + b"/", None) is not None
                    changed |= folder | _put(entries, key, _FILE + key + b"\0" + self._blob(below))
                case None:
                    changed |= entries.pop(key, None) is not None
                case dict():
                    changed |= self._folder(entries, key, _by_first_name(below.items()))
        return self._kept(base, _in_order(entries) if changed else entries, changed=changed)

    def _folder(self, entries: Entries, key: bytes, below: "_Below") -> bool:
        """Write into a folder of a tree. A deletion below what is a file, or is not there, changes nothing."""
        before = entries.get(key + b"/")
        tree = self._tree(None if before is None else before[-20:].hex(), below)
        if tree is None:
            return entries.pop(key + b"/", None) is not None
        file = entries.pop(key, None) is not None
        return file | _put(entries, key + b"/", _FOLDER + key + b"\0" + bytes.fromhex(tree))

    def _entries(self, base: str | None) -> Entries:
        """The entries of a tree, to be changed: it is kept again under the id that it gets then."""
        if base is None:
            return {}
        known = self._known.pop(base, None)
        return known if known is not None else _parsed(self._read(base))

    def _kept(self, base: str | None, entries: Entries, *, changed: bool) -> str | None:
        if not entries:
            return None
        tree = self._write_tree(b"".join(entries.values())) if changed or base is None else base
        self._known[tree] = entries
        while len(self._known) > 1 and sum(map(len, self._known.values())) > _KEPT_ENTRIES:
            del self._known[next(iter(self._known))]
        return tree

    def _blob(self, data: bytes) -> bytes:
        return bytes.fromhex(self._write(ObjectType.BLOB, data))

    def _write(self, kind: ObjectType, data: bytes) -> str:
        self.written += len(data)
        return str(self._store.write(kind, data))

    def _write_tree(self, data: bytes) -> str:
        """As `_write`, but not compressed: ids do not shrink, and for a large folder trying takes most of the time."""
        whole = b"tree %d\0" % len(data) + data
        identity = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        place = self._mirror / "objects" / identity[:2] / identity[2:]
        self.written += len(data)
        try:
            os.utime(place)  # it is young again, so that no tidying takes it for garbage
        except FileNotFoundError:
            self._put_in(place, zlib.compress(whole, 0))
        return identity

    def _put_in(self, place: Path, data: bytes) -> None:
        """By rename, so that nobody sees half an object. What a crash leaves half done is swept at the next start."""
        half = place.with_name(f"tmp_obj_{os.getpid()}_{place.name[:8]}")
        try:
            place.parent.mkdir(exist_ok=True)
            half.write_bytes(data)
            half.chmod(0o444)
            half.replace(place)
        except FileNotFoundError as error:
            raise pygit2.GitError(f"the mirror's objects are gone: {error}") from error
        except OSError as error:
            raise Unavailable(f"the mirror in {self._mirror} cannot be written: {error.strerror}", LATER) from error

    def _read(self, tree: str) -> bytes:
        try:
            data: bytes = self._repository.get().odb.read(tree)[1]
        except KeyError as error:
            raise pygit2.GitError(f"tree {tree} is missing") from error
        return data


def _put(entries: Entries, key: bytes, entry: bytes) -> bool:
    """Set an entry; whether that changed anything."""
    if entries.get(key) == entry:
        return False
    entries[key] = entry
    return True


def _in_order(entries: Entries) -> Entries:
    """Names that are new stand at the end, which is where most of them belong: the youngest run sorts last."""
    names = list(entries)
    ordered = sorted(names)
    return entries if names == ordered else {name: entries[name] for name in ordered}


def _parsed(tree: bytes) -> Entries:
    entries: Entries = {}
    at = 0
    while at < len(tree):
        end = tree.index(b"\0", at)
        mode, _, name = tree[at:end].partition(b" ")
        entries[name + b"/" if mode == b"40000" else name] = tree[at : end + 21]
        at = end + 21
    return entries


_Files = dict[str, bytes | None]
_Below = Mapping[str, "bytes | _Files | None"]


def _by_first_name(writes: Iterable[tuple[str, bytes | None]]) -> _Below:
    grouped: dict[str, bytes | _Files | None] = {}
    for path, data in writes:
        first, slash, rest = path.partition("/")
        if first in {"", ".", "..", ".git"} or "\0" in first or (slash and not rest):
            raise ValueError(f"{path!r} is no path of a status file")
        if not slash:
            if isinstance(grouped.get(first), dict):
                raise ValueError(f"{first!r} is written as a file and as a folder")
            grouped[first] = data
            continue
        folder = grouped.setdefault(first, {})
        if not isinstance(folder, dict):
            raise ValueError(f"{first!r} is written as a file and as a folder")
        folder[rest] = data
    return grouped
