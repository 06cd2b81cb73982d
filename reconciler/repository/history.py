"""How commits hang together, read from the mirror: what a branch gained since a commit, and what a merge merged."""

from collections.abc import Callable
from pathlib import Path

import pygit2
from pygit2.enums import SortMode

from reconciler.repository.differences import MOST_LISTED, Differing, TooManyFiles, between, counted
from reconciler.repository.mirrorfolder import OpenRepository, intact
from reconciler.repository.objects import NoSuchCommit


class History:
    """Reads the mirror at `path`. One caller at a time. Raises NoSuchCommit, and Broken where objects are damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = OpenRepository(path)

    def raw(self, commit: str) -> bytes:
        """The commit object as it is stored."""
        with intact(self._path):
            return bytes(self._commit(commit).read_raw())

    def parents(self, commit: str) -> tuple[str, ...]:
        with intact(self._path):
            return tuple(str(parent) for parent in self._commit(commit).parent_ids)

    def contains(self, newer: str, older: str) -> bool:
        """Whether a commit contains another, or is it. One that the mirror lacks is in no history."""
        with intact(self._path):
            repository, found = self._open.get(), self._commit(newer).id
            if newer == older:
                return True
            return older in repository and repository.descendant_of(found, older)

    def line(self, head: str, since: str | None, most: int) -> tuple[str, ...] | None:
        """The commits along first parents of `head` that `since` does not contain, oldest first.

        None where there are more than `most`.
        """
        return self._gained(head, since, most, first_parents=True)

    def gained(self, head: str, since: str | None, most: int) -> tuple[str, ...] | None:
        """The commits that `head` contains and `since` does not, a commit after all that it builds on.

        None where there are more than `most`.
        """
        return self._gained(head, since, most, first_parents=False)

    def root(self, commit: str) -> str:
        """The first commit along first parents."""
        with intact(self._path):
            walker = self._open.get().walk(self._commit(commit).id, SortMode.TOPOLOGICAL)
            walker.simplify_first_parent()
            last = commit
            for one in walker:
                last = str(one.id)
            return last

    def roots(self, commit: str) -> tuple[str, ...]:
        """All first commits that it contains, those without parents."""
        with intact(self._path):
            walker = self._open.get().walk(self._commit(commit).id, SortMode.NONE)
            return tuple(str(one.id) for one in walker if not one.parent_ids)

    def related(self, one: str, other: str) -> bool:
        """Whether two commits have a commit in common."""
        with intact(self._path):
            ids = (self._commit(one).id, self._commit(other).id)
            return self._open.get().merge_base(*ids) is not None

    def is_signed(self, commit: str) -> bool:
        """Whether it has a signature. Nobody has looked whether it is a good one."""
        with intact(self._path):
            return self._commit(commit).gpg_signature[0] is not None

    def is_on_line(self, head: str, commit: str, most: int) -> bool:
        """Whether a commit is among the `most` newest along first parents of `head`, which is one of them."""
        with intact(self._path):
            at = self._commit(head)
            for _ in range(most):
                if str(at.id) == commit:
                    return True
                if not at.parent_ids:
                    return False
                at = self._commit(str(at.parent_ids[0]))
            return False

    def blob(self, commit: str, path: str) -> str | None:
        """The id of what is at a path; None where there is nothing."""
        with intact(self._path):
            tree = self._commit(commit).tree
            return str(tree[path].id) if path in tree else None

    def changed(self, commit: str) -> tuple[Differing, ...]:
        """What a commit differs in from its first parent, by path; of a first commit all. Raises TooManyFiles."""
        with intact(self._path):
            found = self._commit(commit)
            before = self._commit(str(found.parent_ids[0])).tree_id if found.parent_ids else None
            return () if before == found.tree_id else between(self._open.get(), before, found.tree_id)

    def merged(self, commit: str, base: str | None, most: int) -> tuple[str, ...] | None:
        """The other commits that `commit` contains and `base` does not; None where there are more than `most`.

        Without a base, those that its first parent does not contain.
        """
        parents = self.parents(commit)
        hidden = base if base is not None else parents[0] if parents else None
        found = self._gained(commit, hidden, most + 1, first_parents=False)
        return None if found is None else tuple(one for one in found if one not in (commit, hidden))

    def only_merges(self, commit: str) -> bool:
        """Whether a merge of two holds what git makes of them by itself, and nothing that somebody put in besides."""
        with intact(self._path):
            repository, found = self._open.get(), self._commit(commit)
            if len(found.parent_ids) != 2:
                return False
            ours, theirs = found.parent_ids
            base = repository.merge_base(ours, theirs)
            if not all(self._is_walkable(one) for one in (ours, theirs, base, found.id) if one is not None):
                return False
            index = repository.merge_commits(ours, theirs)
            if index.conflicts is not None:
                return False
            return not list(found.tree.diff_to_index(index).deltas)

    def _is_walkable(self, commit: pygit2.Oid) -> bool:
        """Whether libgit2, which merges by walking whole trees, comes to an end of this one."""
        try:
            return counted(self._open.get(), self._commit(str(commit)).tree_id) <= MOST_LISTED
        except TooManyFiles:
            return False

    def differing(self, base: str, commit: str, within: Callable[[str], bool] | None = None) -> tuple[Differing, ...]:
        """What differs between two commits, by path; `within` says in which folders. Raises TooManyFiles."""
        with intact(self._path):
            trees = (self._commit(base).tree_id, self._commit(commit).tree_id)
            return between(self._open.get(), *trees, within=within)

    def _gained(self, head: str, since: str | None, most: int, *, first_parents: bool) -> tuple[str, ...] | None:
        with intact(self._path):
            repository = self._open.get()
            walker = repository.walk(self._commit(head).id, SortMode.TOPOLOGICAL)
            if first_parents:
                walker.simplify_first_parent()
            if since is not None:
                walker.hide(self._commit(since).id)
            found: list[str] = []
            for commit in walker:
                if len(found) == most:
                    return None
                found.append(str(commit.id))
            return tuple(reversed(found))

    def _commit(self, commit: str) -> pygit2.Commit:
        found: object = self._open.get().get(commit)
        if not isinstance(found, pygit2.Commit):
            raise NoSuchCommit(f"there is no commit {commit} in the mirror")
        return found
