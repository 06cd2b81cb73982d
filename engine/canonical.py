"""The canonical form of a file of documents: the same data, every comment, one layout. Pure.

Two spaces for each level, also for the items of a list; what an author wrote on one line in braces stays on one line
where it fits; a blank line stays one, and more become one; documents are parted by `---` alone; `apiVersion`, `kind`,
`metadata` and `spec` come in this order. Texts and quotes stay as they are, and so do the lines of a block (`|`).

A comment belongs to what it stands above, or beside. After each change the result is read again: where it would say
anything else than before, nothing is changed.
"""

import re
from collections.abc import Iterator, Sequence

from engine.commented import (
    BLANK,
    BLOCKS,
    WHITE,
    Collection,
    Commented,
    Entry,
    Node,
    NotFormatted,
    Scalar,
    comments_of,
    documents_of,
)
from schemas.guard import NOTHING, load

WIDTH = 120
"""Columns within which braces stay on one line."""
_STEP = "  "
_FIRST = ("apiVersion", "kind", "metadata", "spec")
_IN_METADATA = ("name", "labels", "annotations", "description", "owner", "previousNames")
_BLOCK = re.compile(r"(?P<sort>[|>])(?P<early>[-+]?)(?P<depth>[1-9]?)(?P<late>[-+]?)[ \t]*(?P<beside>#.*)?")


class Sealed(NotFormatted):
    """It is encrypted in place: its check sums cover how it is written."""


def canonical(data: bytes) -> bytes:
    """The canonical form of a file; it is its own canonical form.

    Raises NotFormatted where the file is not YAML as DEFINITIONS 1 has it, or uses what this does not write; Sealed
    where it is encrypted in place.
    """
    before = load(data, "")
    if before.findings:
        raise NotFormatted("it has mistakes, which 'opsconductor validate' names; mend them first")
    if any(isinstance(document, dict) and "sops" in document for document in before.documents):
        raise Sealed("it is encrypted in place, and its check sums cover how it is written")
    text = data.decode().replace("\r\n", "\n")
    written = _Writer().file(documents_of(text))
    after = load(written.encode(), "")
    same = [_data(one) for one in before.documents if one is not NOTHING] == [
        _data(one) for one in after.documents if one is not NOTHING
    ]
    if after.findings or not same or _said(text) != _said(written):
        raise NotFormatted("a bug of ours: it would not say the same afterwards; please send us the file")
    return written.encode()


def written(documents: Sequence[Commented]) -> str:
    """Documents as text in the canonical layout. Whoever changed their nodes reads it again, and compares."""
    return _Writer().file(documents)


def _data(document: object) -> str:
    """What it says, where the keys that may change their places are in one order. `1` and `true` are not equal."""
    if not isinstance(document, dict):
        return repr(document)
    metadata = document.get("metadata")
    ordered = sorted(metadata.items()) if isinstance(metadata, dict) else metadata
    return repr(sorted((document | {"metadata": ordered}).items()))


def _said(text: str) -> list[str]:
    return sorted(comment.text for comment in comments_of(text))


class _Writer:
    """Nodes as text."""

    def __init__(self) -> None:
        self._out: list[str] = []

    def file(self, documents: Sequence[Commented]) -> str:
        for number, document in enumerate(documents):
            if number and (document.root is not None or document.above):
                if isinstance(document.root, Collection):
                    self._line("---", "")
                while document.above[:1] == [BLANK]:
                    document.above.pop(0)
            self._comments(document.above, "")
            if isinstance(document.root, Collection):
                self._in_order(document.root)
                self._collection(document.root, "")
        while self._out and self._out[-1] == BLANK:
            self._out.pop()
        return "".join(f"{line}\n" for line in self._out)

    @staticmethod
    def _in_order(root: Collection) -> None:
        """The keys that every document has come first, and its metadata's."""
        if not root.mapping or root.flow:
            return
        for collection, order in ((root, _FIRST), *((one, _IN_METADATA) for one in _metadata(root))):
            places = {name: number for number, name in enumerate(order)}
            first = collection.entries[:1]
            collection.entries.sort(key=lambda entry: places.get(entry.key.text if entry.key else "", len(order)))
            if first != collection.entries[:1]:
                while collection.entries[0].above[:1] == [BLANK]:
                    collection.entries[0].above.pop(0)

    def _line(self, text: str, indent: str) -> None:
        self._out.append(f"{indent}{text}" if text else BLANK)

    def _comments(self, comments: Sequence[str], indent: str) -> None:
        for text in comments:
            if text != BLANK or (self._out and self._out[-1] != BLANK):
                self._line(text, indent)

    def _collection(self, collection: Collection, indent: str, *, begun: str | None = None) -> None:
        """Its entries, one a line; the first one goes on after `begun`, where its line has begun already."""
        for entry in collection.entries:
            if begun is None or entry.above:
                self._comments(entry.above, indent)
            head = "-" if entry.key is None else f"{entry.key.text}:"
            self._entry(entry, head if begun is None else f"{begun} {head}", indent if begun is None else "", indent)
            begun = None
        self._comments(collection.after, indent)

    def _entry(self, entry: Entry, head: str, before: str, indent: str) -> None:
        """`head` is what its line begins with, after `before`; what is below it stands deeper than `indent`."""
        beside = f"  {' '.join(entry.beside)}" if entry.beside else ""
        value = entry.value
        if isinstance(value, Scalar) and value.style in BLOCKS:
            self._block(value, entry.column, head, before, indent + _STEP)
        elif isinstance(value, Scalar):
            self._scalar(value, head, before, indent + _STEP, beside)
        elif (line := _one_line(value)) is not None and len(f"{before}{head} {line}") <= WIDTH:
            self._line(f"{head} {line}{beside}", before)
        elif entry.key is None and value.entries and not entry.beside and not value.entries[0].above:
            self._collection(value, indent + _STEP, begun=f"{before}{head}")
        else:
            self._line(f"{head}{beside}", before)
            self._collection(value, indent + _STEP)

    def _scalar(self, value: Scalar, head: str, before: str, deeper: str, beside: str) -> None:
        first, *others = value.text.split("\n")
        self._line(f"{head} {first.rstrip(WHITE)}".rstrip(WHITE) + (beside if not others else ""), before)
        for number, line in enumerate(others, 1):
            last = number == len(others)
            self._line(line.strip(WHITE) if not last else line.strip(WHITE) + beside, deeper)

    def _block(self, value: Scalar, entry_column: int, head: str, before: str, deeper: str) -> None:
        first, *lines = value.text.split("\n")
        asked = _BLOCK.fullmatch(first.rstrip(WHITE))
        if asked is None:
            raise NotFormatted(f"the head of a block text is not understood: {first.strip(WHITE)}")
        if lines and lines[-1].strip(WHITE) == "":
            lines.pop()  # what stands before the next key on its line
        chomped = asked["early"] or asked["late"]
        while chomped != "+" and lines and not lines[-1].strip(WHITE):
            lines.pop()
        least = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip(WHITE)), default=0)
        depth = entry_column + int(asked["depth"]) if asked["depth"] else least
        inner = [line[depth:] for line in lines]
        said = len(_STEP) if next((line[0] for line in inner if line), "") == " " else ""
        beside = f"  {asked['beside']}" if asked["beside"] else ""
        self._line(f"{head} {asked['sort']}{said}{chomped}{beside}", before)
        for line in inner:
            self._line(line, deeper)


def _metadata(root: Collection) -> Iterator[Collection]:
    for entry in root.entries:
        named = entry.key is not None and entry.key.text == "metadata"
        if named and isinstance(entry.value, Collection) and entry.value.mapping:
            yield entry.value


def _one_line(node: Node) -> str | None:
    """A collection in braces as the one line that it was written on; None where it was not, or holds comments."""
    if isinstance(node, Scalar):
        return None if "\n" in node.text or node.style in BLOCKS else node.text
    if not node.entries:
        return None if node.after else "{}" if node.mapping else "[]"
    if not node.flow or node.start != node.end or node.after:
        return None
    parts = []
    for entry in node.entries:
        value = _one_line(entry.value)
        if value is None or entry.above or entry.beside:
            return None
        parts.append(value if entry.key is None else f"{entry.key.text}: {value or 'null'}")
    return f"{{{', '.join(parts)}}}" if node.mapping else f"[{', '.join(parts)}]"
