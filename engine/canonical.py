"""The canonical form of a file of documents: the same data, every comment, one layout. Pure.

Two spaces for each level, also for the items of a list; what an author wrote on one line in braces stays on one line
where it fits; a blank line stays one, and more become one; documents are parted by `---` alone; `apiVersion`, `kind`,
`metadata` and `spec` come in this order. Texts and quotes stay as they are, and so do the lines of a block (`|`).

A comment belongs to what it stands above, or beside. After each change the result is read again: where it would say
anything else than before, nothing is changed.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import yaml
from yaml import YAMLError
from yaml._yaml import CParser, Mark
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.tokens import DirectiveToken

from schemas.guard import NOTHING, load

WIDTH = 120
"""Columns within which braces stay on one line."""
_STEP = "  "
_FIRST = ("apiVersion", "kind", "metadata", "spec")
_IN_METADATA = ("name", "labels", "annotations", "description", "owner", "previousNames")
_BLOCK = re.compile(r"(?P<sort>[|>])(?P<early>[-+]?)(?P<depth>[1-9]?)(?P<late>[-+]?)[ \t]*(?P<beside>#.*)?")
_BLANK = ""
_WHITE = " \t"
"""White space to YAML: other spaces are part of a text."""


class NotFormatted(ValueError):  # noqa: N818 -- it says what became of the file
    """The file is to stay as it is; the message says why."""


class Sealed(NotFormatted):
    """It is encrypted in place: its check sums cover how it is written."""


@dataclass(frozen=True, slots=True)
class _Comment:
    line: int
    column: int
    text: str
    alone: bool
    """Whether nothing stands before it on its line."""


@dataclass(slots=True)
class _Scalar:
    text: str
    style: str | None
    start: int
    end: int
    column: int


@dataclass(slots=True)
class _Collection:
    mapping: bool
    flow: bool
    start: int
    column: int
    end: int = 0
    entries: "list[_Entry]" = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    """What stands below its last entry."""


@dataclass(slots=True)
class _Entry:
    key: _Scalar | None
    value: "_Node"
    column: int
    """Of its key, or of the dash before it."""
    above: list[str] = field(default_factory=list)
    """Comments, and blank lines among them."""
    beside: list[str] = field(default_factory=list)
    """Comments on the line of the key, or of the value where it has one line."""

    @property
    def line(self) -> int:
        return self.value.start if self.key is None else self.key.start


@dataclass(slots=True)
class _Document:
    root: "_Node | None" = None
    above: list[str] = field(default_factory=list)


_Node = _Scalar | _Collection


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
    written = _Writer().file(_Reader(text).documents())
    after = load(written.encode(), "")
    same = [_data(one) for one in before.documents if one is not NOTHING] == [
        _data(one) for one in after.documents if one is not NOTHING
    ]
    if after.findings or not same or _said(text) != _said(written):
        raise NotFormatted("a bug of ours: it would not say the same afterwards; please send us the file")
    return written.encode()


def _data(document: object) -> str:
    """What it says, where the keys that may change their places are in one order. `1` and `true` are not equal."""
    if not isinstance(document, dict):
        return repr(document)
    metadata = document.get("metadata")
    ordered = sorted(metadata.items()) if isinstance(metadata, dict) else metadata
    return repr(sorted((document | {"metadata": ordered}).items()))


def _said(text: str) -> list[str]:
    return sorted(comment.text for comment in _comments(text))


def _comments(text: str) -> Iterator[_Comment]:
    """All comments, in order; those beside the `|` of a block text are part of it."""
    parser, spans = CParser(text.encode()), [(0, 0)]
    try:
        while (token := parser.get_token()) is not None:
            if isinstance(token, DirectiveToken):
                raise NotFormatted("it has a directive (%YAML or %TAG), which no document of ours needs: remove it")
            if token.end_mark.index > token.start_mark.index:
                spans.append((token.start_mark.index, token.end_mark.index))
    except YAMLError as error:
        raise NotFormatted(f"it is not YAML: {error}") from error
    finally:
        parser.dispose()
    spans.append((len(text), len(text)))
    lines = _Lines(text)
    for (_, end), (start, _) in pairwise(spans):
        for found in re.finditer(r"#[^\n]*", text[end:start]):
            line, column = lines.place(end + found.start())
            alone = not lines.text[line][:column].strip(_WHITE)
            yield _Comment(line, column, found.group().rstrip(_WHITE), alone)


class _Lines:
    """Where an index of a text is."""

    def __init__(self, text: str) -> None:
        self.text = text.split("\n")
        self._line, self._begins = 0, 0

    def place(self, index: int) -> tuple[int, int]:
        """Its line and column, from 0; asked with rising indices."""
        while index > self._begins + len(self.text[self._line]):
            self._begins += len(self.text[self._line]) + 1
            self._line += 1
        return self._line, index - self._begins


class _Reader:
    """The documents of a text as nodes that have their comments."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.split("\n")
        self._comments = deque(_comments(text))
        self._blanks = {number for number, line in enumerate(self._lines) if not line.strip(_WHITE)}

    def documents(self) -> list[_Document]:
        found: list[_Document] = []
        for begins, root in self._roots():
            document = _Document(root)
            document.above = self._above(begins if root is None else root.start, first=True)
            if isinstance(root, _Collection):
                self._attach(root)
            elif root is not None and root.text:
                raise NotFormatted("a document of it is a text or a number: documents of ours are mappings")
            found.append(document)
        left = self._above(len(self._lines), first=False)
        if left and found and isinstance(found[-1].root, _Collection):
            found[-1].root.after += left
        elif left:
            found.append(_Document(None, left))
        return found

    def _roots(self) -> "Iterator[tuple[int, _Node | None]]":
        """Each document's first line, and what it is."""
        parser = CParser(self._text.encode())
        stack: list[_Collection] = []
        keys: list[_Scalar | None] = []
        root: _Node | None = None
        begins = 0
        try:
            while (event := parser.get_event()) is not None:
                match event:
                    case DocumentStartEvent():
                        root, begins = None, _place(event.start_mark).line
                    case DocumentEndEvent():
                        yield begins, root
                    case ScalarEvent() | MappingStartEvent() | SequenceStartEvent():
                        node = self._node(event)
                        if not stack:
                            root = node
                        elif stack[-1].mapping and keys[-1] is None:
                            if not isinstance(node, _Scalar):
                                raise NotFormatted("a key of it is no text")
                            keys[-1] = node
                        else:
                            stack[-1].entries.append(_Entry(keys[-1], node, stack[-1].column))
                            keys[-1] = None
                        if isinstance(node, _Collection):
                            stack.append(node)
                            keys.append(None)
                    case MappingEndEvent() | SequenceEndEvent():
                        stack.pop().end = _place(event.end_mark).line
                        keys.pop()
        finally:
            parser.dispose()

    def _node(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> "_Node":
        start, end = _place(event.start_mark), _place(event.end_mark)
        if isinstance(event, ScalarEvent):
            empty = event.style is None and event.value == "" and start.index == end.index
            if empty:
                return _Scalar("", None, start.line, start.line, start.column)
            text = self._text[start.index : end.index]
            lines = text.rstrip().count("\n") if event.style in {"|", ">"} else text.count("\n")
            return _Scalar(text, event.style, start.line, start.line + lines, start.column)
        flow = bool(event.flow_style)
        return _Collection(isinstance(event, MappingStartEvent), flow, start.line, start.column)

    # --- comments -------------------------------------------------------------------------------------------------

    def _attach(self, collection: _Collection) -> None:
        for number, entry in enumerate(collection.entries):
            entry.above += self._above(entry.line, first=number == 0)
            self._attach_to(entry)
        if collection.entries and not collection.flow:
            deeper = collection.column if collection.mapping or self._indented(collection) else collection.column + 1
            collection.after += self._below(deeper, collection.end)

    def _attach_to(self, entry: _Entry) -> None:
        value = entry.value
        if entry.key is not None or isinstance(value, _Scalar) or value.flow:  # else it is the first inner entry's
            entry.beside += self._beside(entry.line)
        if isinstance(value, _Scalar):
            entry.above += self._above(value.start, first=True)
            entry.beside += self._beside(value.end)
        elif value.flow:
            self._attach(value)
            value.after += self._above(value.end, first=True)
            entry.beside += self._beside(value.end)
        else:
            self._attach(value)

    def _indented(self, collection: _Collection) -> bool:
        """Whether a list stands deeper than the key above it."""
        before = self._lines[: collection.start]
        above = next(
            (line for line in reversed(before) if line.strip(_WHITE) and not line.lstrip().startswith("#")), ""
        )
        return len(above) - len(above.lstrip(" -")) < collection.column

    def _beside(self, line: int) -> list[str]:
        found = []
        while self._comments and not self._comments[0].alone and self._comments[0].line <= line:
            found.append(self._comments.popleft().text)
        return found

    def _above(self, line: int, *, first: bool) -> list[str]:
        """Comments before a line, and whether a blank line is before each, and before the line."""
        found: list[str] = []
        while self._comments and self._comments[0].line < line:
            self._take(found, first=first and not found)
        if line - 1 in self._blanks and (found or not first) and line < len(self._lines):
            found.append(_BLANK)
        return found

    def _below(self, column: int, before: int) -> list[str]:
        """Comments that stand at least as deep as what they are below, before the line on which something follows."""
        found: list[str] = []
        while (
            self._comments
            and self._comments[0].alone
            and self._comments[0].column >= column
            and self._comments[0].line < before
        ):
            self._take(found, first=False)
        return found

    def _take(self, found: list[str], *, first: bool) -> None:
        comment = self._comments.popleft()
        if comment.line - 1 in self._blanks and not first:
            found.append(_BLANK)
        found.append(comment.text)


def _place(mark: "Mark | yaml.error.Mark | None") -> "Mark | yaml.error.Mark":
    """Every event of a text has its places."""
    assert mark is not None
    return mark


class _Writer:
    """Nodes as text."""

    def __init__(self) -> None:
        self._out: list[str] = []

    def file(self, documents: Sequence[_Document]) -> str:
        for number, document in enumerate(documents):
            if number and (document.root is not None or document.above):
                if isinstance(document.root, _Collection):
                    self._line("---", "")
                while document.above[:1] == [_BLANK]:
                    document.above.pop(0)
            self._comments(document.above, "")
            if isinstance(document.root, _Collection):
                self._in_order(document.root)
                self._collection(document.root, "")
        while self._out and self._out[-1] == _BLANK:
            self._out.pop()
        return "".join(f"{line}\n" for line in self._out)

    @staticmethod
    def _in_order(root: _Collection) -> None:
        """The keys that every document has come first, and its metadata's."""
        if not root.mapping or root.flow:
            return
        for collection, order in ((root, _FIRST), *((one, _IN_METADATA) for one in _metadata(root))):
            places = {name: number for number, name in enumerate(order)}
            first = collection.entries[:1]
            collection.entries.sort(key=lambda entry: places.get(entry.key.text if entry.key else "", len(order)))
            if first != collection.entries[:1]:
                while collection.entries[0].above[:1] == [_BLANK]:
                    collection.entries[0].above.pop(0)

    def _line(self, text: str, indent: str) -> None:
        self._out.append(f"{indent}{text}" if text else _BLANK)

    def _comments(self, comments: Sequence[str], indent: str) -> None:
        for text in comments:
            if text != _BLANK or (self._out and self._out[-1] != _BLANK):
                self._line(text, indent)

    def _collection(self, collection: _Collection, indent: str, *, begun: str | None = None) -> None:
        """Its entries, one a line; the first one goes on after `begun`, where its line has begun already."""
        for entry in collection.entries:
            if begun is None or entry.above:
                self._comments(entry.above, indent)
            head = "-" if entry.key is None else f"{entry.key.text}:"
            self._entry(entry, head if begun is None else f"{begun} {head}", indent if begun is None else "", indent)
            begun = None
        self._comments(collection.after, indent)

    def _entry(self, entry: _Entry, head: str, before: str, indent: str) -> None:
        """`head` is what its line begins with, after `before`; what is below it stands deeper than `indent`."""
        beside = f"  {' '.join(entry.beside)}" if entry.beside else ""
        value = entry.value
        if isinstance(value, _Scalar) and value.style in {"|", ">"}:
            self._block(value, entry.column, head, before, indent + _STEP)
        elif isinstance(value, _Scalar):
            self._scalar(value, head, before, indent + _STEP, beside)
        elif (line := _one_line(value)) is not None and len(f"{before}{head} {line}") <= WIDTH:
            self._line(f"{head} {line}{beside}", before)
        elif entry.key is None and value.entries and not entry.beside and not value.entries[0].above:
            self._collection(value, indent + _STEP, begun=f"{before}{head}")
        else:
            self._line(f"{head}{beside}", before)
            self._collection(value, indent + _STEP)

    def _scalar(self, value: _Scalar, head: str, before: str, deeper: str, beside: str) -> None:
        first, *others = value.text.split("\n")
        self._line(f"{head} {first.rstrip(_WHITE)}".rstrip(_WHITE) + (beside if not others else ""), before)
        for number, line in enumerate(others, 1):
            last = number == len(others)
            self._line(line.strip(_WHITE) if not last else line.strip(_WHITE) + beside, deeper)

    def _block(self, value: _Scalar, entry_column: int, head: str, before: str, deeper: str) -> None:
        first, *lines = value.text.split("\n")
        asked = _BLOCK.fullmatch(first.rstrip(_WHITE))
        if asked is None:
            raise NotFormatted(f"the head of a block text is not understood: {first.strip(_WHITE)}")
        if lines and lines[-1].strip(_WHITE) == "":
            lines.pop()  # what stands before the next key on its line
        chomped = asked["early"] or asked["late"]
        while chomped != "+" and lines and not lines[-1].strip(_WHITE):
            lines.pop()
        least = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip(_WHITE)), default=0)
        depth = entry_column + int(asked["depth"]) if asked["depth"] else least
        inner = [line[depth:] for line in lines]
        said = len(_STEP) if next((line[0] for line in inner if line), "") == " " else ""
        beside = f"  {asked['beside']}" if asked["beside"] else ""
        self._line(f"{head} {asked['sort']}{said}{chomped}{beside}", before)
        for line in inner:
            self._line(line, deeper)


def _metadata(root: _Collection) -> Iterator[_Collection]:
    for entry in root.entries:
        named = entry.key is not None and entry.key.text == "metadata"
        if named and isinstance(entry.value, _Collection) and entry.value.mapping:
            yield entry.value


def _one_line(node: _Node) -> str | None:
    """A collection in braces as the one line that it was written on; None where it was not, or holds comments."""
    if isinstance(node, _Scalar):
        return None if "\n" in node.text or node.style in {"|", ">"} else node.text
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
