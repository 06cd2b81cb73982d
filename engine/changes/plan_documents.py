"""Which documents two trees differ in, by what they say: where they stand and how they are written changes nothing."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.envelope import Document
from schemas.reader import Authored

MOST_FIELDS = 20
"""So many changed fields of one document are named."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """A document that names its former self in `previousNames`. Both are identities, as `Job/x`."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Documents:
    """Identities, sorted. A renamed document is neither added nor removed; it is `changed` where it says other things.

    `fields` names what changed in each of `changed`, as camelCase paths; values are left out, they may be private.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def names(self, kind: str) -> frozenset[str]:
        """The documents of a kind that are not what they were, by the names of both sides."""
        both = [*self.added, *self.changed, *self.removed, *(side for one in self.renamed for side in _sides(one))]
        return frozenset(name for of, _, name in (identity.partition("/") for identity in both) if of == kind)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of which any document is not what it was."""
        both = [*self.added, *self.changed, *self.removed, *(one.after for one in self.renamed)]
        return frozenset(identity.partition("/")[0] for identity in both)


def _sides(one: Renamed) -> tuple[str, str]:
    return one.before, one.after


def between(before: Iterable[Authored], after: Iterable[Authored]) -> Documents:
    """What became of the documents. Of two with one identity the first counts, as in a catalog."""
    return compared(_by_identity(before), _by_identity(after))


def compared(old: Mapping[str, Authored], new: Mapping[str, Authored]) -> Documents:
    """As `between`, of documents by identity, sorted."""
    renamed = tuple(_renamed(old, new))
    former = {one.after: one.before for one in renamed}
    fields: dict[str, tuple[str, ...]] = {}
    for identity, authored in new.items():
        known = old.get(former.get(identity, identity))
        if known is None or known.document is authored.document:
            continue  # read once, from the same bytes
        if paths := fields_between(known.document, authored.document, renamed=identity in former):
            fields[identity] = paths
    moved = {one.before for one in renamed}
    return Documents(
        added=tuple(identity for identity in new if identity not in old and identity not in former),
        changed=tuple(fields),
        removed=tuple(identity for identity in old if identity not in new and identity not in moved),
        renamed=renamed,
        fields=fields,
    )


def fields_between(before: Document, after: Document, *, renamed: bool = False) -> tuple[str, ...]:
    """Paths of what differs, in the order of the text, at most MOST_FIELDS; none where both say the same.

    A default that is written out says nothing new. With `renamed` the name itself is left out.
    """
    old, new = _content(before), _content(after)
    if renamed:
        for content in (old, new):
            del content["metadata"]["name"], content["metadata"]["previousNames"]
    paths: list[str] = []
    for path in _differences(old, new, ""):
        paths.append(path)
        if len(paths) == MOST_FIELDS:
            break
    return tuple(paths)


def _by_identity(documents: Iterable[Authored]) -> dict[str, Authored]:
    first: dict[str, Authored] = {}
    for authored in documents:
        first.setdefault(authored.identity, authored)
    return dict(sorted(first.items()))


def _renamed(old: Mapping[str, Authored], new: Mapping[str, Authored]) -> Iterator[Renamed]:
    """Each former document goes to one successor at most: the first that claims it."""
    taken: set[str] = set()
    for identity, authored in new.items():
        if identity in old:
            continue
        document = authored.document
        for previous in document.metadata.previous_names:
            claimed = f"{document.kind}/{previous}"
            if claimed in old and claimed not in new and claimed not in taken:
                taken.add(claimed)
                yield Renamed(claimed, identity)
                break


def _content(document: Document) -> dict[str, Any]:
    return document.model_dump(mode="json", by_alias=True)


def _differences(old: Any, new: Any, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*new, *old]):
            inner = f"{path}.{key}" if path else str(key)
            if key in old and key in new:
                yield from _differences(old[key], new[key], inner)
            else:
                yield inner
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (was, is_) in enumerate(zip(old, new, strict=True)):
            yield from _differences(was, is_, f"{path}[{index}]")
    elif json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True):  # 1, 1.0 and true are not the same
        yield path
