"""A document at fault, mended as well as can be guessed, so that everything else in it can be checked all the same.

What is wrong is taken out, or an example stands in for it; such places are holes. A mended document is good for
finding more, and never to be used.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from schemas.envelope import Document
from schemas.faults import Fault, located
from schemas.fields import Fields, Path, near
from schemas.guard import MAX_FINDINGS, Mark

ROUNDS = 6
"""Times that a document is tried again; what is not mended by then stays unread."""
_WORD = re.compile(r"[A-Za-z]+")
_PAIR = re.compile(r"'?([A-Za-z]+)'? and '?([A-Za-z]+)'?")
_DIRECT_TRIES = 2


@dataclass(frozen=True, slots=True)
class Hole:
    """A place of a document where something else will stand once it is mended.

    `kept`: what stands there is what the author wrote. `was`: the text that stood there, or that belongs there, if any.
    """

    path: Path
    kept: bool = False
    was: str = ""


@dataclass(frozen=True, slots=True)
class Mended:
    """A document that is well formed, and where it is not what its author wrote."""

    document: Document
    holes: tuple[Hole, ...]


def mended(
    value: dict[str, Any],
    model: type[Document],
    marks: Iterable[Mark],
    error: ValidationError | None,
    say: Callable[[tuple[Fault, ...]], None],
) -> Mended | None:
    """The document, where it can be mended; `value` is changed. `error` is what was wrong with it, if anything.

    `say` is told what comes to light only now: whether fields go together is not asked before each is right by itself.
    """
    fields = Fields(model, value)
    mending = _Mending(value, fields, [hole for mark in marks for hole in _holes(mark, fields)])
    for number in range(ROUNDS):
        if error is not None:
            if error.error_count() > MAX_FINDINGS:
                return None
            found = located(error, value)
            if number:
                say(tuple(fault for fault in found if mending.is_news(fault)))
            for fault in found:
                mending.mend(fault)
        try:
            return Mended(model.model_validate(value), tuple(dict.fromkeys(mending.holes)))
        except ValidationError as another:
            error = another
    return None


def _holes(mark: Mark, fields: Fields) -> Iterator[Hole]:
    """What the guard refused. Of a mapping that may hold more, all that it does not: what it says itself stands."""
    there = fields.at(mark.path)
    known = fields.of(mark.path) if mark.sort == "open" and isinstance(there, dict) else frozenset()
    if known and isinstance(there, dict):
        absent = known - there.keys()
        if mark.path and isinstance(mark.path[-1], int):
            absent -= {"rescue"}  # nobody shares steps that others refer to in this way
        yield from (Hole((*mark.path, field), kept=True) for field in sorted(absent))
    else:
        yield Hole(mark.path, kept=mark.sort in ("open", "twice"), was=_text(there) if mark.sort == "odd" else "")


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else ""


class _Mending:
    """A value that is changed place by place. A place that stays at fault is given up for the one around it."""

    def __init__(self, value: dict[str, Any], fields: Fields, holes: list[Hole]) -> None:
        self.holes = holes
        self._value = value
        self._fields = fields
        self._tries: Counter[Path] = Counter()

    def is_news(self, fault: Fault) -> bool:
        """Whether it is about fields that are as the author wrote them, and so is the word that may decide it."""
        path, told = fault.path, fault.kinds.get("value_error")
        if told is None or not isinstance(self._fields.at(path), dict):
            return False
        asked = self._named(path, told["msg"])
        asked += (field for field in self._fields.of(path) if self._fields.options((*path, field)))
        about = {(*path, field) for field in asked}
        return not any(hole.path == path[: len(hole.path)] or hole.path in about for hole in self.holes)

    def mend(self, fault: Fault) -> None:
        path, kinds = fault.path, fault.kinds
        self._tries[path] += 1
        if fault.about_key:
            self._remove(path)
        elif "extra_forbidden" in kinds:
            self._unknown(path)
        elif "missing" in kinds:
            self._fill(path)
        elif "union_tag_invalid" in kinds or "union_tag_not_found" in kinds:
            self._replace((*path, "type"))
        elif "value_error" in kinds and isinstance(self._fields.at(path), dict):
            self._contradiction(path, kinds["value_error"]["msg"])
        elif self._tries[path] == 1:
            self._replace(path)
        else:
            self._fill(path)

    def _unknown(self, path: Path) -> None:
        """What it probably means is a hole; where nobody knows, all that it may mean."""
        key, owner = str(path[-1]), path[:-1]
        value = self._take(path)
        if meant := self._fields.meant(key, owner):
            self.holes.append(Hole((*owner, meant), kept=self._fields.at((*owner, meant)) is not None))
        elif (place := self._fields.elsewhere(key, owner)) is not None:
            self.holes.append(Hole((*place, key), kept=True))
        elif owner != ("metadata",) and isinstance(there := self._fields.at(owner), dict):
            absent = (field for field in sorted(self._fields.of(owner)) if field not in there)
            may_be = (field for field in absent if self._may_be(value, (*owner, field)))
            self.holes += (Hole((*owner, field), kept=True, was=_text(value)) for field in may_be)

    def _contradiction(self, path: Path, message: str) -> None:
        """Fields that do not go together: one is taken out, or what is asked for is added."""
        if self._tries[path] > 2 * _DIRECT_TRIES:
            self._fill(path)
            return
        value, known, named = self._fields.at(path), self._fields.of(path), self._named(path, message)
        there = [key for key in value if key in named and not self._required((*path, key))]
        self.holes += (Hole((*path, key), kept=True) for key in there)
        pairs = [both for pair in _PAIR.findall(message) for both in (pair, pair[::-1])]
        half = next((half for half, other in pairs if half in known and half not in value and other in value), None)
        if half is not None:
            self._fill((*path, half))
        elif there:
            self._remove((*path, there[-1]))
        elif named:
            self.holes.append(Hole(path, kept=True))
            lost = {hole.path for hole in self.holes}
            self._fill((*path, next((name for name in named if (*path, name) in lost), named[0])))
        else:
            self._fill(path)

    def _named(self, path: Path, message: str) -> list[str]:
        """The fields of a mapping that a message speaks of."""
        known = self._fields.of(path)
        return list(dict.fromkeys(word for word in _WORD.findall(message) if word in known))

    def _replace(self, path: Path) -> None:
        """A wrong value goes where the field may be left out, and where the keys are the author's own."""
        if isinstance(meant := self._nearest(path), str):
            self._put(path, meant)
        elif self._fields.info(path) is not None and not self._required(path):
            self._remove(path)
        else:
            self._fill(path)

    def _required(self, path: Path) -> bool:
        info = self._fields.info(path)
        return info is not None and info.is_required()

    def _nearest(self, path: Path) -> str | None:
        """Of the values that are allowed the one that is probably meant."""
        value = self._fields.at(path)
        options = self._fields.options(path)
        return (near(value, options) or None) if isinstance(value, str) and options else None

    def _fill(self, path: Path) -> None:
        """An example in its place; where there is none, what is around it is mended."""
        if not path:
            return
        example = self._fields.example(path)
        if example is not None and self._tries[path] <= _DIRECT_TRIES:
            self._put(path, example)
        elif isinstance(path[-1], str) and not self._required(path):
            self._remove(path)
        else:
            self._tries[path[:-1]] += 1
            self._fill(path[:-1])

    def _put(self, path: Path, value: Any) -> None:
        was = _text(self._fields.at(path))
        owner, last = self._fields.at(path[:-1]), path[-1]
        if isinstance(owner, dict) or (isinstance(owner, list) and isinstance(last, int) and last < len(owner)):
            owner[last] = value  # type: ignore[index]  # an index for the list, as just asked
        self.holes.append(Hole(path, was=was))

    def _remove(self, path: Path) -> None:
        self.holes.append(Hole(path, was=_text(self._take(path))))

    def _take(self, path: Path) -> Any:
        owner = self._fields.at(path[:-1])
        return owner.pop(path[-1], None) if isinstance(owner, dict) else None

    def _may_be(self, value: Any, path: Path) -> bool:
        """Whether a value is of the sort that a field takes; a mapping may hold what belongs beside it."""
        example = self._fields.example(path)
        return isinstance(value, dict) or example is None or type(example) is type(value)
