"""A file of documents as nodes with their comments: what stands above and beside them, and below the last. Pure."""

import re
from collections import deque
from collections.abc import Iterator
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

BLANK = ""
"""A blank line among comments."""
WHITE = " \t"
"""White space to YAML: other spaces are part of a text."""
BLOCKS = frozenset({"|", ">"})


class NotFormatted(ValueError):  # noqa: N818 -- it says what became of the file
    """The file is to stay as it is; the message says why."""


@dataclass(frozen=True, slots=True)
class Comment:
    line: int
    column: int
    text: str
    alone: bool
    """Whether nothing stands before it on its line."""


@dataclass(slots=True)
class Scalar:
    text: str
    style: str | None
    start: int
    end: int
    column: int


@dataclass(slots=True)
class Collection:
    mapping: bool
    flow: bool
    start: int
    column: int
    end: int = 0
    entries: "list[Entry]" = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    """What stands below its last entry."""


@dataclass(slots=True)
class Entry:
    key: Scalar | None
    value: "Node"
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
class Commented:
    root: "Node | None" = None
    above: list[str] = field(default_factory=list)


Node = Scalar | Collection


def documents_of(text: str) -> list[Commented]:
    """The documents of a text that is YAML. Raises NotFormatted for what is not written in documents of ours."""
    return _Reader(text).documents()


def comments_of(text: str) -> Iterator[Comment]:
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
            alone = not lines.text[line][:column].strip(WHITE)
            yield Comment(line, column, found.group().rstrip(WHITE), alone)


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
        self._comments = deque(comments_of(text))
        self._blanks = {number for number, line in enumerate(self._lines) if not line.strip(WHITE)}

    def documents(self) -> list[Commented]:
        found: list[Commented] = []
        for begins, root in self._roots():
            document = Commented(root)
            document.above = self._above(begins if root is None else root.start, first=True)
            if isinstance(root, Collection):
                self._attach(root)
            elif root is not None and root.text:
                raise NotFormatted("a document of it is a text or a number: documents of ours are mappings")
            found.append(document)
        left = self._above(len(self._lines), first=False)
        if left and found and isinstance(found[-1].root, Collection):
            found[-1].root.after += left
        elif left:
            found.append(Commented(None, left))
        return found

    def _roots(self) -> "Iterator[tuple[int, Node | None]]":
        """Each document's first line, and what it is."""
        parser = CParser(self._text.encode())
        stack: list[Collection] = []
        keys: list[Scalar | None] = []
        root: Node | None = None
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
                            if not isinstance(node, Scalar):
                                raise NotFormatted("a key of it is no text")
                            keys[-1] = node
                        else:
                            stack[-1].entries.append(Entry(keys[-1], node, stack[-1].column))
                            keys[-1] = None
                        if isinstance(node, Collection):
                            stack.append(node)
                            keys.append(None)
                    case MappingEndEvent() | SequenceEndEvent():
                        stack.pop().end = _place(event.end_mark).line
                        keys.pop()
        finally:
            parser.dispose()

    def _node(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> "Node":
        start, end = _place(event.start_mark), _place(event.end_mark)
        if isinstance(event, ScalarEvent):
            empty = event.style is None and event.value == "" and start.index == end.index
            if empty:
                return Scalar("", None, start.line, start.line, start.column)
            text = self._text[start.index : end.index]
            lines = text.rstrip().count("\n") if event.style in BLOCKS else text.count("\n")
            return Scalar(text, event.style, start.line, start.line + lines, start.column)
        flow = bool(event.flow_style)
        return Collection(isinstance(event, MappingStartEvent), flow, start.line, start.column)

    # --- comments -------------------------------------------------------------------------------------------------

    def _attach(self, collection: Collection) -> None:
        for number, entry in enumerate(collection.entries):
            entry.above += self._above(entry.line, first=number == 0)
            self._attach_to(entry)
        if collection.entries and not collection.flow:
            deeper = collection.column if collection.mapping or self._indented(collection) else collection.column + 1
            collection.after += self._below(deeper, collection.end)

    def _attach_to(self, entry: Entry) -> None:
        value = entry.value
        if entry.key is not None or isinstance(value, Scalar) or value.flow:  # else it is the first inner entry's
            entry.beside += self._beside(entry.line)
        if isinstance(value, Scalar):
            entry.above += self._above(value.start, first=True)
            entry.beside += self._beside(value.end)
        elif value.flow:
            self._attach(value)
            value.after += self._above(value.end, first=True)
            entry.beside += self._beside(value.end)
        else:
            self._attach(value)

    def _indented(self, collection: Collection) -> bool:
        """Whether a list stands deeper than the key above it."""
        before = self._lines[: collection.start]
        above = next((line for line in reversed(before) if line.strip(WHITE) and not line.lstrip().startswith("#")), "")
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
            found.append(BLANK)
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
            found.append(BLANK)
        found.append(comment.text)


def _place(mark: "Mark | yaml.error.Mark | None") -> "Mark | yaml.error.Mark":
    """Every event of a text has its places."""
    assert mark is not None
    return mark
