"""Which names documents have had: what is of a name of then belongs to the document that had it then. Pure.

The commit in force says only what its documents call themselves, and of former names what somebody has kept in
`previousNames`. The ledger knows it from what was in force before (ADR 0056). A name of which it knows nothing has
always been that of the document that has it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from schemas.envelope import Document

Documents = Mapping[str, Mapping[str, Document]]
"""By kind and name."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name that one document had for a time.

    Times are counted in changes of names: `since` (0: as far back as anything is known) up to, but not with, `until`
    (None: it has it still, or had it when it was removed). `came` and `went` are the commits of these changes. `today`
    is the document's name in the commit in force, or the last it had.
    """

    kind: str
    name: str
    since: int
    until: int | None
    today: str
    came: str | None = None
    went: str | None = None


@dataclass(frozen=True)
class Ledger:
    """The names of documents that were ever renamed, by kind and name, the oldest first."""

    known: Mapping[tuple[str, str], tuple[Name, ...]] = field(default_factory=dict)
    news: tuple[Name, ...] = field(default=(), compare=False, repr=False)
    """Those that the last change of names added, or of which it changed something, where it followed from another."""

    @classmethod
    def of(cls, names: Iterable[Name]) -> "Ledger":
        """Of these, in any order."""
        found: dict[tuple[str, str], tuple[Name, ...]] = {}
        for one in sorted(names, key=lambda one: one.since):
            found[one.kind, one.name] = (*found.get((one.kind, one.name), ()), one)
        return cls(found)

    def __iter__(self) -> Iterator[Name]:
        return (one for names in self.known.values() for one in names)

    @cached_property
    def generation(self) -> int:
        """How often names were changed up to now: by it a run says which names its plan is written in."""
        return max((max(one.since, one.until or 0) for one in self), default=0)

    def last(self, kind: str, name: str) -> Name | None:
        """Who has the name, or had it last; None where it has always been that of the same document."""
        found = self.known.get((kind, name))
        return None if found is None else found[-1]

    def at(self, kind: str, name: str, generation: int) -> str | None:
        """What the document is called today that had the name then, or before that; None as for `last`."""
        found = self.known.get((kind, name))
        if found is None:
            return None
        return next((one.today for one in reversed(found) if one.since <= generation), found[0].today)

    def today(self, kind: str, generation: int) -> Mapping[str, str]:
        """What the documents that had names of a kind then are called today, where that is another name."""
        found = ((name, self.at(kind, name, generation)) for of, name in self.known if of == kind)
        return {name: now for name, now in found if now is not None and now != name}

    def whose(self, kind: str) -> Mapping[str, tuple[str, ...]]:
        """The other names that documents of a kind had last, by what each is called today or was last."""
        found: dict[str, tuple[str, ...]] = {}
        for (of, name), names in self.known.items():
            if of == kind and (today := names[-1].today) != name:
                found[today] = (*found.get(today, ()), name)
        return found

    def following(self, documents: Documents, commit: str) -> "Ledger":
        """The same once these documents are in force. The same documents again change nothing.

        A document is renamed where it says so in `previousNames`, or where it has a name back that is not defined
        under the later one any more: a rename that was reverted. A name that is defined again while its document goes
        on under another is another document's from now on.
        """
        moves: dict[tuple[str, str], str] = {}
        for kind, defined in documents.items():
            moves |= {(kind, old): name for old, name in self._claimed(kind, defined).items()}
        named = {(kind, name) for (kind, _), name in moves.items()}
        taken: list[tuple[str, str]] = []
        for key in sorted(self.known, key=lambda key: -(self.known[key][-1].until or 0)):
            (kind, name), last = key, self.known[key][-1]
            if last.until is None or key in named or name not in documents.get(kind, {}):
                continue
            if last.today in documents[kind] or (kind, last.today) in moves:
                taken.append(key)
            else:
                moves[kind, last.today] = name
        return self._changed(moves, taken, commit) if moves or taken else self

    def _claimed(self, kind: str, defined: Mapping[str, Document]) -> Mapping[str, str]:
        """The names by which documents were known until now, each with the new one. What belongs to a document that is
        defined under another name stays with that one, whoever claims it."""
        found: dict[str, str] = {}
        for name, document in defined.items():
            for former in document.metadata.previous_names:
                last = self.last(kind, former)
                old = former if last is None else last.today
                if old not in defined:
                    found.setdefault(old, name)
        return found

    def _changed(self, moves: Mapping[tuple[str, str], str], taken: Iterable[tuple[str, str]], commit: str) -> "Ledger":
        now = self.generation + 1
        known = {key: tuple(_moved(one, moves) for one in names) for key, names in self.known.items()}
        for (kind, old), name in moves.items():
            before = known.get((kind, old), (Name(kind, old, 0, None, name),))
            known[kind, old] = (*before[:-1], replace(before[-1], until=now, went=commit))
        for kind, name in (*((kind, name) for (kind, _), name in moves.items()), *taken):
            before = known.get((kind, name), ())
            if not before or before[-1].until is not None:
                known[kind, name] = (*before, Name(kind, name, now, None, name, came=commit))
        same = {id(one) for names in self.known.values() for one in names}
        return Ledger(known, tuple(one for names in known.values() for one in names if id(one) not in same))


def _moved(one: Name, moves: Mapping[tuple[str, str], str]) -> Name:
    """The very same where it has not moved: of a long ledger a change touches few."""
    today = moves.get((one.kind, one.today))
    return one if today is None else replace(one, today=today)


NOTHING = Ledger()
"""Of an engine that has seen no rename, and of whoever knows no journal: `previousNames` say all that is known."""
