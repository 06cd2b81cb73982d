"""What differs between two trees: only folders that differ are opened, and no more of them than a bound allows.

A tree of a few hundred bytes can hold the same folder so often that its files are more than any machine can count. So
trees are not compared by libgit2, which lists them all.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock

import pygit2

from engine.entries import MAX_ENTRIES
from journal.errors import Refused

MOST_TEXT = 64 * 1024 * 1024
"""Characters of all the paths together."""
MOST_LISTED = 1_000_000
"""Files and folders of a tree that are looked at one by one."""
_WRITTEN = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
_WORTH_KEEPING = 100
"""Entries of a tree that take longer to be read than to be found again."""
_MOST_KEPT = 40_000
_KIND, _FOLDER, _REGULAR = 0o170000, 0o040000, 0o100000

_Entry = tuple[bytes, bytes, bytes]
"""Mode, name and id, as they stand in a tree."""
_Entries = tuple[tuple[bytes, _Entry | None, _Entry | None], ...]


class TooManyFiles(Refused):
    """There are more than are looked at."""


@dataclass(frozen=True, slots=True)
class Differing:
    """A path that differs. `old` and `new` are ids of regular files; None where there is none."""

    path: str
    old: str | None
    new: str | None
    irregular: bool = False
    """There is something new that is no regular file."""


def between(
    repository: pygit2.Repository,
    before: pygit2.Oid | str | None,
    after: pygit2.Oid | str,
    *,
    within: Callable[[str], bool] | None = None,
    most: int = MAX_ENTRIES,
) -> tuple[Differing, ...]:
    """What differs between two trees (None: the empty one), by path. `within` says which folders are opened;
    None: all.

    Raises TooManyFiles beyond `most` entries of folders that differ, GitError for a tree that is missing or damaged.
    """
    found: list[Differing] = []
    pending: list[_Pair] = [_Pair("", None if before is None else str(before), str(after))]
    known: dict[tuple[str | None, str | None], _Entries] = {}
    looked_at = text = 0
    while pending:
        pair = pending.pop()
        if (pair.old, pair.new) not in known:  # one pair may stand in many places
            known[pair.old, pair.new] = tuple(_differing(_read(repository, pair.old), _read(repository, pair.new)))
        for name, was, now in known[pair.old, pair.new]:
            path = pair.above + name.decode("utf-8", "surrogateescape")
            looked_at, text = looked_at + 1, text + len(path)
            if looked_at > most or text > MOST_TEXT:
                raise TooManyFiles(f"more than {most} files and folders differ, or their names are far too long")
            old, new = _folder(was), _folder(now)
            if old != new and (within is None or within(path)):
                pending.append(_Pair(f"{path}/", old, new))
            if (was is not None and old is None) or (now is not None and new is None):
                file = _file(now)
                found.append(Differing(path, _file(was), file, irregular=now is not None and (new or file) is None))
    return tuple(sorted(found, key=lambda one: one.path))


def counted(repository: pygit2.Repository, tree: pygit2.Oid | str) -> int:
    """The files and folders below a tree, as often as they are there: what it costs whoever walks them all.

    Each tree is read once. Raises TooManyFiles where even so there are more than MOST_LISTED, GitError as `between`.
    """
    inside: dict[str, list[str]] = {}
    entries: dict[str, int] = {}
    total: dict[str, int] = {}
    pending = [str(tree)]
    looked_at = 0
    while pending:
        top = pending[-1]
        if top in inside:
            pending.pop()
            total[top] = entries[top] + sum(total[folder] for folder in inside[top])
            continue
        found = _read(repository, top)
        entries[top], inside[top] = len(found), [folder for one in found if (folder := _folder(one)) is not None]
        looked_at += len(found)
        if looked_at > MOST_LISTED:
            raise TooManyFiles(f"tree {tree} has more than {MOST_LISTED} files and folders")
        pending += [folder for folder in inside[top] if folder not in total]
    return total[str(tree)]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two trees in one place."""

    above: str
    old: str | None
    new: str | None


def _differing(old: frozenset[_Entry], new: frozenset[_Entry]) -> Iterator[tuple[bytes, _Entry | None, _Entry | None]]:
    """The entries that differ, by name."""
    was, now = {one[1]: one for one in old - new}, {one[1]: one for one in new - old}
    for name in was.keys() | now.keys():
        yield name, was.get(name), now.get(name)


class _Known:
    """Entries of trees that were read lately, by id: the next comparison is with what was compared last."""

    def __init__(self) -> None:
        self._trees: OrderedDict[str, frozenset[_Entry]] = OrderedDict()
        self._entries = 0
        self._turn = Lock()

    def get(self, tree: str) -> frozenset[_Entry] | None:
        with self._turn:
            found = self._trees.get(tree)
            if found is not None:
                self._trees.move_to_end(tree)
            return found

    def keep(self, tree: str, entries: frozenset[_Entry]) -> None:
        with self._turn:
            if len(entries) < _WORTH_KEEPING or tree in self._trees:
                return
            self._trees[tree] = entries
            self._entries += len(entries)
            while self._entries > _MOST_KEPT:
                self._entries -= len(self._trees.popitem(last=False)[1])


_KNOWN = _Known()


def _read(repository: pygit2.Repository, tree: str | None) -> frozenset[_Entry]:
    if tree is None:
        return frozenset()
    known = _KNOWN.get(tree)
    if known is None:
        known = _parsed(repository, tree)
        _KNOWN.keep(tree, known)
    return known


def _parsed(repository: pygit2.Repository, tree: str) -> frozenset[_Entry]:
    try:
        raw = repository.odb.read(tree)[1]
    except KeyError as error:
        raise pygit2.GitError(f"tree {tree} is missing") from error
    found = _WRITTEN.findall(raw)
    if sum(len(mode) + len(name) + 22 for mode, name, _ in found) != len(raw):
        raise pygit2.GitError(f"tree {tree} is not as git writes it")
    return frozenset(found)


def _folder(entry: _Entry | None) -> str | None:
    return entry[2].hex() if entry is not None and int(entry[0], 8) & _KIND == _FOLDER else None


def _file(entry: _Entry | None) -> str | None:
    return entry[2].hex() if entry is not None and int(entry[0], 8) & _KIND == _REGULAR else None
