"""What each commit of the requests branch brought, where several come at once and acts must be signed.

Whoever may push may push on top of what somebody signed, and both may be fetched together. So an act is looked for in
the commits that brought it, and not in what is left of it at the head: who signed a version of it answers for that one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from engine.entries import MAX_ENTRIES, MAX_FILES
from journal.errors import Refused
from reconciler.repository.differences import MOST_LISTED, Differing, TooManyFiles
from reconciler.repository.history import History
from reconciler.repository.objects import Objects
from schemas.reader import Authored, read

LONGEST = 10_000
"""Commits that are looked at of one fetch."""
_MOST_BYTES = 64 * 1024 * 1024
_MOST_VERSIONS = MAX_FILES


class TooMuch(Refused):
    """More came at once than is looked at."""


@dataclass(frozen=True, slots=True)
class Version:
    """What a signed commit made of the act of a name. `act` is None where it took the act away.

    `inherited`: it merges, and another of its parents has the file just so.
    """

    name: str
    commit: str
    file: str
    act: Authored | None
    inherited: bool = False


@dataclass(slots=True)
class _Looked:
    """How much was looked at for one fetch."""

    files: int = 0
    size: int = 0
    versions: int = 0

    def more(self, *, files: int = 0, size: int = 0, versions: int = 0) -> None:
        """Raises TooMuch. Called for each file before it is parsed: one commit may name a content at any number of
        paths, and whoever takes them away again in the next has the two fetched together."""
        self.files, self.size, self.versions = self.files + files, self.size + size, self.versions + versions
        if self.files > MOST_LISTED or self.size > _MOST_BYTES or self.versions > _MOST_VERSIONS:
            raise TooMuch("its new commits change more than is looked at at once; push fewer at a time")


Answering = Callable[[Version], frozenset[str] | None]
"""Who answers for a version, all of them together; None: nobody who is trusted."""


def asked_last(versions: Sequence[Version], answering: Answering, most: int) -> Version | None:
    """What is left of an act when only those have a say who signed it first; None where nobody did.

    `versions` are those of one name, oldest first. What others made of it later changes nothing, nor does a merge of
    that by those who signed it: they may not have seen it. `most` are asked about to find the first, and as many to
    find what became of it.
    """
    bringing = ((at, by) for at, one in enumerate(versions) if one.act is not None for by in (answering(one),))
    first = next(((at, by) for at, by in islice(bringing, most) if by is not None), None)
    if first is None:
        return None
    at, people = first
    later = islice((one for one in versions[at + 1 :] if not one.inherited), most)
    return next(
        (one for one in reversed(tuple(later)) if answering(one) == people),
        versions[at],
    )


class Brought:
    """Reads what commits brought. One caller at a time."""

    def __init__(self, history: History, objects: Objects) -> None:
        self._history = history
        self._objects = objects

    def since(self, before: str | None, head: str) -> tuple[Version, ...]:
        """What the signed commits that `head` contains and `before` does not made of acts, oldest first.

        Nothing where one commit came alone: it is the head. Nothing either where the branch was made anew without
        `before`: what it held when nobody looked is over. `before` None: from its first commit on. Raises TooMuch.
        """
        alone = before is not None and self._history.parents(head) == (before,)
        if alone or (before is not None and not self._history.related(before, head)):
            return ()
        gained = self._history.gained(head, before, LONGEST)
        if gained is None:
            raise TooMuch(f"it gained more than {LONGEST} commits at once; push fewer at a time")
        found: list[Version] = []
        looked = _Looked()
        for commit in gained:
            # What nobody signed is nobody's act, and ends nobody's: it need not be looked at.
            if not self._history.is_signed(commit):
                continue
            differing, of_all = self._changed(commit)
            looked.more(files=of_all)
            found += self._made_of(commit, differing, looked)
        return tuple(found)

    def _changed(self, commit: str) -> tuple[list[Differing], int]:
        """The files of a commit that may hold acts, and how many differ in all."""
        try:
            differing = self._history.changed(commit)
        except TooManyFiles:
            return [], MAX_ENTRIES  # an act in there is found where it is still at the head
        return [one for one in differing if one.path.endswith(".yaml")], len(differing)

    def _made_of(self, commit: str, differing: Sequence[Differing], looked: _Looked) -> list[Version]:
        parents = self._history.parents(commit)
        taken: list[Version] = []
        made: list[Version] = []
        for one in differing:
            inherited = any(self._history.blob(parent, one.path) == one.new for parent in parents[1:])
            before = self._acts(parents[0], one.path, looked) if one.old is not None else ()
            now = self._acts(commit, one.path, looked) if one.new is not None else ()
            gone = {act.document.name for act in before} - {act.document.name for act in now}
            looked.more(versions=len(now) + len(gone))
            taken += [Version(name, commit, one.path, None, inherited) for name in sorted(gone)]
            made += [Version(act.document.name, commit, one.path, act, inherited) for act in now]
        moved = {version.name for version in made}
        return [version for version in taken if version.name not in moved] + made

    def _acts(self, commit: str, path: str, looked: _Looked) -> tuple[Authored, ...]:
        data = self._objects.file(commit, path)
        if data is None:
            return ()
        looked.more(size=len(data))
        return tuple(one for one in read(data, path).documents if one.is_act)
