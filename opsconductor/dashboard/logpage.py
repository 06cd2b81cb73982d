"""A step's log for people: a window of lines of a file of any size, its colours made safe, its first error found."""

import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from opsconductor.dashboard import logindex
from opsconductor.dashboard.logindex import Index

WINDOW = 1000
"""Lines that one page shows."""
FOLDED = 30
"""A group of more lines may be folded."""
_LINE = 4096
"""Bytes of a line that are shown; of a longer one the rest is counted."""
_TAIL = 512 * 1024
_SGR = re.compile(r"\x1b\[([0-9;]{0,32})m")
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line in one style: `classes` are names of our style sheet, never text from the log."""

    text: str
    classes: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """`number` counts from 1; None where the lines before it have not been counted yet. `cut` is how many bytes at its
    end are not shown."""

    number: int | None
    pieces: tuple[Piece, ...]
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """Lines of `total` from `first` on, counted from 1. `error` is the first line that says so.

    `size` is how far the file was read: not to its end unless `whole`. `first` is None where the lines are the last
    ones, and those before them are still being counted.
    """

    first: int | None
    total: int
    lines: tuple[Line, ...]
    error: int | None
    size: int
    whole: bool = True


def window(path: Path, first: int | None, index: Index) -> Window:
    """The window that begins at line `first`, or as far as lines are counted; None: the last one."""
    if first is None and not index.whole:
        return Window(None, index.lines, _last(path), index.error, index.size, whole=False)
    begin = max(1, index.lines - WINDOW + 1) if first is None else max(1, min(first, index.lines))
    return Window(begin, index.lines, tuple(_lines(path, index, begin)), index.error, index.size, index.whole)


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that stand together, and how many they are. What `folds` is long, and parted from others by blank lines."""

    lines: int
    folds: bool


def groups(lines: Sequence[Line]) -> Iterator[Group]:
    """All lines in order, in groups. Short ones that follow each other are one."""
    short = begin = 0
    for end, line in enumerate(lines, start=1):
        if line.pieces and end < len(lines):
            continue
        length, begin = end - begin, end
        if length <= FOLDED:
            short += length
            continue
        if short:
            yield Group(short, folds=False)
        yield Group(length, folds=True)
        short = 0
    if short:
        yield Group(short, folds=False)


def _last(path: Path) -> tuple[Line, ...]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        rows = file.read(_TAIL).split(b"\n")
    if rows[-1] == b"":
        rows.pop()
    whole = rows if size <= _TAIL else rows[1:] or rows
    return tuple(_line(None, row[:_LINE], max(len(row.removesuffix(b"\r")) - _LINE, 0)) for row in whole[-WINDOW:])


def _lines(path: Path, index: Index, begin: int) -> Iterator[Line]:
    # The line itself may begin in the block before the one that its predecessor ends in.
    block = max(0, bisect_left(index.ends, begin - 1) - 1)
    with path.open("rb") as file:
        file.seek(block * logindex.BLOCK)
        for _ in range(begin - 1 - (index.ends[block] if index.ends else 0)):
            file.readline()
        for number in range(begin, begin + WINDOW):
            if not (data := file.readline(_LINE)):
                return
            cut, last = 0, data
            while not last.endswith(b"\n") and (last := file.readline(logindex.BLOCK)):  # it is not held whole
                cut += len(last.rstrip(b"\r\n") if last.endswith(b"\n") else last)
            yield _line(number, data, cut)


def _line(number: int | None, data: bytes, cut: int) -> Line:
    text = data.decode("utf-8", "replace").rstrip("\r\n")
    if cut:
        text = text.rstrip("\ufffd")  # a letter of which only the beginning is here
    # What a program wrote over, such as its progress, a terminal does not show either; the plain text has all of it.
    return Line(number, tuple(pieces(text.rpartition("\r")[2])), cut)


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
    if text.isprintable():
        return text
    without = _ESCAPE.sub("", text)
    return "".join(char if char == "\t" or char.isprintable() else "�" for char in without)


def _of_many(numbers: Iterator[int]) -> int | None:
    """The nearest of the eight colours to what `5;N` of 256 or `2;R;G;B` names; all that belongs to it is taken."""
    match next(numbers, None):
        case 2:
            return _nearest(*(next(numbers, 0) for _ in range(3)))
        case 5:
            number = next(numbers, 0)
            if number < 16:
                return number % 8
            if number >= 232:
                return 7
            steps = ((number - 16) // power % 6 for power in (36, 6, 1))
            return _nearest(*(55 + 40 * step if step else 0 for step in steps))
    return None


def _nearest(red: int, green: int, blue: int) -> int:
    most = max(red, green, blue)
    return sum(bit for bit, part in ((1, red), (2, green), (4, blue)) if most >= 64 and part > 0.6 * most)


@dataclass(frozen=True, slots=True)
class _Style:
    colour: int | None = None
    bold: bool = False

    def after(self, codes: str) -> "_Style":
        style = self
        numbers = iter([int(code) if code else 0 for code in codes.split(";")])
        for number in numbers:
            match number:
                case 38:
                    style = _Style(_of_many(numbers), style.bold)
                case 48:  # a ground of its own would be unreadable in one of our schemes
                    _of_many(numbers)
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
