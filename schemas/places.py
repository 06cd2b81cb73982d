"""Where every key and value of a document stands. Built only when somebody asks: most files have no findings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from schemas.characters import lines_of
from schemas.guard import MAX_NODES
from schemas.span import Span

Path = Sequence[str | int]
Range = tuple[int, int, int, int]
_ENOUGH = 3 * MAX_NODES
"""Events of a text that is within the limits; of one that is not, no more need be known."""


@dataclass(slots=True)
class Node:
    """A value in the text: its range (1-based, end exclusive), its key's, and what is in it."""

    range: Range
    key: Range | None = None
    style: str | None = None
    text: str | None = None
    children: dict[str | int, "Node"] | None = None


class Layout:
    """The places of all documents of one file: UTF-8, and of no more nodes than the guard lets pass."""

    __slots__ = ("_lines", "_roots", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._roots: list[Node | None] | None = None
        self._lines: list[str] | None = None

    def __reduce__(self) -> tuple[type["Layout"], tuple[bytes]]:
        return (Layout, (self.data,))

    @property
    def roots(self) -> list[Node | None]:
        """One for each document of the stream, empty ones included."""
        if self._roots is None:
            self._roots = _laid_out(self.data, self.lines)
        return self._roots

    @property
    def lines(self) -> list[str]:
        if self._lines is None:
            self._lines = lines_of(self.data.decode())
        return self._lines


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one document of a file."""

    layout: Layout = field(repr=False)
    index: int

    def span(self, file: str, path: Path, *, key: bool = False) -> Span:
        """The value at a path, or its key; the nearest ancestor that exists where the path does not.

        A value that is not written (`jobRef:` and nothing) has no place of its own: its key is given.
        """
        node, found = self._nearest(path)
        at = node.range
        if node.key is not None and (key or at[:2] == at[2:] or not found):
            at = node.key
        elif (not found or key) and node.children and (first := next(iter(node.children.values()), None)) is not None:
            at = first.key or first.range  # an item of a list, or the document: its first key
        return Span(file, *at)

    def span_within(self, file: str, path: Path, offset: int, length: int) -> Span:
        """A part of a text by its code points; the whole value where escapes or a line end within it hide the place."""
        node, found = self._nearest(path)
        whole = self.span(file, path)
        if not found or node.text is None:
            return whole
        at = _located(node, self.layout.lines, offset, max(length, 1))
        return Span(file, *at) if at is not None else whole

    def exists(self, path: Path) -> bool:
        return self._nearest(path)[1]

    def keys(self, path: Path) -> tuple[str | int, ...]:
        """The keys of a mapping, or the indexes of a list, in the order of the text."""
        node, found = self._nearest(path)
        return tuple(node.children) if found and node.children else ()

    def _nearest(self, path: Path) -> tuple[Node, bool]:
        roots = self.layout.roots
        node = roots[self.index] if self.index < len(roots) else None
        if node is None:
            return Node((1, 1, 1, 1)), False
        for step in path:
            below = node.children.get(step) if node.children else None
            if below is None:
                return node, False
            node = below
        return node, True


def _laid_out(data: bytes, lines: list[str]) -> list[Node | None]:
    roots: list[Node | None] = []
    open_nodes: list[Node] = []
    keys: list[tuple[str, Range] | None] = []
    parser = CParser(data)

    def put(node: Node) -> None:
        if not open_nodes:
            roots[-1] = node
            return
        children = open_nodes[-1].children
        if children is None:  # cannot be: only collections are open
            return
        if open_nodes[-1].style == "list":
            children[len(children)] = node
        elif keys[-1] is None:
            keys[-1] = (node.text or "", node.range)
        else:
            name, node.key = keys[-1]
            children[name] = node
            keys[-1] = None

    try:
        for count, event in enumerate(iter(parser.get_event, None)):
            if count > _ENOUGH:
                break
            match event:
                case ScalarEvent():  # nearly all are
                    put(Node(_range(event, lines), style=event.style, text=event.value))
                case DocumentStartEvent(tags=tags):
                    if tags:  # the guard stops here, too
                        break
                    roots.append(None)
                case AliasEvent():
                    put(Node(_range(event, lines)))
                case MappingStartEvent() | SequenceStartEvent():
                    style = "map" if isinstance(event, MappingStartEvent) else "list"
                    node = Node(_range(event, lines), style=style, children={})
                    put(node)
                    open_nodes.append(node)
                    keys.append(None)
                case CollectionEndEvent():
                    keys.pop()
                    closed = open_nodes.pop()
                    closed.range = (*closed.range[:2], *_end(closed, event, lines))
                case DocumentEndEvent() | _:
                    pass
    except YAMLError:
        pass  # the guard has said so; what stands before has its place all the same
    finally:
        parser.dispose()
    return roots


def _range(event: Any, lines: list[str]) -> Range:
    start, end = event.start_mark, event.end_mark
    last, column = end.line, end.column
    # libyaml ends a block scalar at the start of the next token's line: take its last line with text
    while column == 0 and last > start.line:
        last -= 1
        column = len(lines[last])
    return (start.line + 1, start.column + 1, last + 1, column + 1)


def _end(node: Node, event: Any, lines: list[str]) -> tuple[int, int]:
    if event.end_mark.index > event.start_mark.index:  # a flow collection ends with its bracket
        return (event.end_mark.line + 1, event.end_mark.column + 1)
    last = next(reversed(node.children.values()), None) if node.children else None
    return (last.range[2], last.range[3]) if last is not None else (node.range[2], node.range[3])


def _located(node: Node, lines: list[str], offset: int, length: int) -> Range | None:
    text = node.text or ""
    line, column, end_line, _ = node.range
    if node.style == "|":
        return _in_block(node, lines, offset, length)
    if line != end_line:
        return _in_folded(node, lines, offset, length)
    opening = 1 if node.style in ("'", '"') else 0
    raw = lines[line - 1][column - 1 + opening : node.range[3] - 1 - opening]
    found = offset if raw == text else _same_turn(raw, text, offset, length)
    if found is None:
        return None
    start = column + opening + found
    return (line, start, line, start + length)


def _in_folded(node: Node, lines: list[str], offset: int, length: int) -> Range | None:
    """A part of a text whose lines are joined: the same snippet at the same turn, where none lies across a line end."""
    text = node.text or ""
    line, column, end_line, end_column = node.range
    rows = lines[line - 1 : end_line]
    rows[-1] = rows[-1][: end_column - 1]
    rows[0] = " " * (column - 1) + rows[0][column - 1 :]
    raw = "\n".join(rows)
    at = _same_turn(raw, text, offset, length)
    if at is None or "\n" in text[offset : offset + length]:
        return None
    row, start = line + raw.count("\n", 0, at), at - raw.rfind("\n", 0, at)
    return (row, start, row, start + length)


def _same_turn(raw: str, text: str, offset: int, length: int) -> int | None:
    """Where a part of a text stands in what is written: the same snippet at the same turn.

    None where escapes or line ends hide some of its turns, so that nobody can tell which one it is.
    """
    snippet = text[offset : offset + length]
    if not snippet or raw.count(snippet) != text.count(snippet):
        return None
    at = raw.find(snippet)
    for _ in range(text.count(snippet, 0, offset)):
        at = raw.find(snippet, at + len(snippet))
    return None if at < 0 else at


def _in_block(node: Node, lines: list[str], offset: int, length: int) -> Range | None:
    text = node.text or ""
    row = text.count("\n", 0, offset)
    line_start = text.rfind("\n", 0, offset) + 1
    content = text[line_start:].split("\n", 1)[0]
    at = node.range[0] + row  # the line after the `|`, as an index
    if at >= len(lines) or not lines[at].endswith(content):
        return None
    start = len(lines[at]) - len(content) + (offset - line_start) + 1
    return (at + 1, start, at + 1, start + min(length, len(content) - (offset - line_start)))
