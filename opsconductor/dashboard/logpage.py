"""A step's log for people: a window of lines of a file of any size, its colours made safe, its first error found."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WINDOW = 1000
"""Lines that one page shows."""
_LINE = 4096
_BLOCK = 1 << 20
_ERROR = re.compile(rb"\b(?:error|fatal|traceback|failed|panic)\b", re.IGNORECASE)
_SGR = re.compile(r"\x1b\[([0-9;]{0,32})m")
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line in one style: `classes` are names of our style sheet, never text from the log."""

    text: str
    classes: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Lines of `total` from `first` on, counted from 1. `error` is the first line that says so."""

    first: int
    total: int
    lines: tuple[Line, ...]
    error: int | None
    size: int


def window(path: Path, first: int | None) -> Window:
    """The window that begins at line `first`; None: the last one. The file is read once, a block at a time."""
    index = _index(path)
    begin = max(1, index.total - WINDOW + 1) if first is None else max(1, min(first, index.total))
    return Window(begin, index.total, tuple(_lines(path, index, begin)), index.error, index.size)


@dataclass(frozen=True, slots=True)
class _Index:
    ends: tuple[int, ...]
    """How many lines end before each block."""
    total: int
    error: int | None
    size: int


def _index(path: Path) -> _Index:
    ends, lines, error, size, open_line = [], 0, None, 0, False
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            ends.append(lines)
            if error is None and (found := _ERROR.search(block)):
                error = lines + block.count(b"\n", 0, found.start()) + 1
            lines += block.count(b"\n")
            size += len(block)
            open_line = not block.endswith(b"\n")
    return _Index(tuple(ends), lines + open_line, error, size)


def _lines(path: Path, index: _Index, begin: int) -> Iterator[Line]:
    # The line itself may begin in the block before the one that its predecessor ends in.
    block = max(0, bisect_left(index.ends, begin - 1) - 1)
    with path.open("rb") as file:
        file.seek(block * _BLOCK)
        for _ in range(begin - 1 - (index.ends[block] if index.ends else 0)):
            file.readline()
        for number in range(begin, begin + WINDOW):
            if not (data := file.readline(_LINE)):
                return
            while not data.endswith(b"\n") and len(data) >= _LINE and (rest := file.readline(_BLOCK)):
                data = data[: _LINE - 1] + rest[-1:]  # a line without an end is not held whole
            yield Line(number, tuple(pieces(data.decode("utf-8", "replace").rstrip("\r\n"))))


def pieces(text: str) -> Iterator[Piece]:
    """A line without its control characters; colours and weight become classes, everything else of them is dropped."""
    style = _Style()
    at = 0
    for found in _SGR.finditer(text):
        if plain := _plain(text[at : found.start()]):
            yield Piece(plain, style.classes)
        style = style.after(found[1])
        at = found.end()
    if plain := _plain(text[at:]):
        yield Piece(plain, style.classes)


def _plain(text: str) -> str:
    without = _ESCAPE.sub("", text)
    return "".join(char if char == "\t" or char.isprintable() else "�" for char in without)


@dataclass(frozen=True, slots=True)
class _Style:
    colour: int | None = None
    bold: bool = False

    def after(self, codes: str) -> "_Style":
        style = self
        for code in codes.split(";"):
            number = int(code) if code else 0
            match number:
                case 0:
                    style = _Style()
                case 1:
                    style = _Style(style.colour, bold=True)
                case 22:
                    style = _Style(style.colour)
                case 39:
                    style = _Style(None, style.bold)
                case _ if 30 <= number <= 37 or 90 <= number <= 97:
                    style = _Style(number % 10, style.bold)
        return style

    @property
    def classes(self) -> str:
        return " ".join(
            filter(None, (None if self.colour is None else f"ansi{self.colour}", "bold" if self.bold else ""))
        )
