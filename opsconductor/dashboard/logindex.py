"""Where the lines of a log begin, and which is the first that speaks of an error: read once, and on as the log grows.

A log of a gigabyte takes seconds to read. Nobody waits for that: whoever asks gets what is known after a moment, and
the rest is read meanwhile.
"""

import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1 << 20
_PATIENCE = 0.05
"""Seconds that an answer waits for lines to be counted."""
_MOST = 64
_WORDS = (b"error", b"fatal", b"traceback", b"failed", b"panic")
_WORD = re.compile(rb"\w")
_COLOURED = re.compile(rb"\x1b\[[0-9;]{0,32}m\Z")
"""What ends in a letter and is none: most programs that say ERROR say it in red."""
_COLOUR = 35
"""Bytes that one of these has at most."""
_TAIL = 64
"""Bytes before the place where reading goes on that are looked at again: more than any of the words with a colour
before it, and what tells a log from another file in its place."""


@dataclass(frozen=True, slots=True)
class Index:
    """What is known of a file. `ends` says how many lines end before each block; `size` is how far it was read.

    `whole`: it was read to its end. `lines` counts one at the end without a line break as well.
    """

    ends: tuple[int, ...]
    lines: int
    error: int | None
    size: int
    whole: bool


class _Reading:
    """One file, read a block at a time by whoever asks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()
        self._goes_on = False
        self._begin()

    def _begin(self) -> None:
        self._ends: list[int] = []
        self._lines = 0
        self._error: int | None = None
        self._at_end: int | None = None
        self._open = False
        self._tail = b""
        self._size = 0

    def known(self, patience: float) -> Index:
        """What is known after so many seconds at most; what is not yet goes on being read."""
        until = time.monotonic() + patience
        whole = False
        while not (whole := self._read_block()) and time.monotonic() < until:
            pass
        with self._turn:
            error = self._at_end if self._error is None else self._error
            found = Index(tuple(self._ends), self._lines + self._open, error, self._size, whole)
        if not whole:
            self._go_on()
        return found

    def _read_block(self) -> bool:
        """True: there is no more."""
        with self._turn, self._path.open("rb") as file:
            file.seek(self._size - len(self._tail))
            if file.read(len(self._tail)) != self._tail:  # another file in its place
                self._begin()
                file.seek(0)
            block = file.read(BLOCK - self._size % BLOCK)
            if not block:
                return True
            if self._size % BLOCK == 0:
                self._ends.append(self._lines)
            self._look_for_an_error(block)
            self._lines += block.count(b"\n")
            self._open = not block.endswith(b"\n")
            self._size += len(block)
            self._tail = (self._tail + block)[-_TAIL:]
            return False

    def _look_for_an_error(self, block: bytes) -> None:
        """A word at the end may yet become another one, and stands only until more has been read."""
        if self._error is not None:
            return
        text = self._tail + block
        found = _first_error(text, begin=int(self._size > len(self._tail)))
        self._at_end = None
        if found is None:
            return
        start, end = found
        line = self._lines - self._tail.count(b"\n") + text.count(b"\n", 0, start) + 1
        if end < len(text):
            self._error = line
        else:
            self._at_end = line

    def _go_on(self) -> None:
        with self._turn:
            if self._goes_on:
                return
            self._goes_on = True
        threading.Thread(target=self._to_the_end, name="log-index", daemon=True).start()

    def _to_the_end(self) -> None:
        try:
            while not self._read_block():
                time.sleep(0)  # let those through who wait for their page
        except OSError:
            pass  # it is gone: nobody asks for it any more
        finally:
            self._goes_on = False


class Indexes:
    """Those of the files that were asked for last. May be asked from several threads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._known: OrderedDict[tuple[Path, int, int], _Reading] = OrderedDict()

    def of(self, path: Path, patience: float = _PATIENCE) -> Index:
        """What is known of a file, after so many seconds at most. Raises OSError where it cannot be read."""
        return self._reading(path).known(patience)

    def _reading(self, path: Path) -> _Reading:
        stat = path.stat()
        key = (path, stat.st_dev, stat.st_ino)  # a file system gives the number of a file that is gone to the next one
        with self._turn:
            found = self._known.pop(key) if key in self._known else _Reading(path)
            self._known[key] = found
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return found


def _first_error(text: bytes, begin: int) -> tuple[int, int] | None:
    """Where the first word of an error is. (A regular expression for it takes ten times as long.)"""
    lower = text.lower()
    return min((found for word in _WORDS if (found := _alone(lower, word, begin)) is not None), default=None)


def _alone(text: bytes, word: bytes, begin: int) -> tuple[int, int] | None:
    """The first place from `begin` on where a word stands by itself."""
    at = text.find(word, begin)
    while at >= 0:
        end = at + len(word)
        if _may_begin(text[max(at - _COLOUR, 0) : at]) and not _WORD.match(text[end : end + 1]):
            return at, end
        at = text.find(word, end)
    return None


def _may_begin(before: bytes) -> bool:
    """Whether a word may begin after these bytes."""
    return not _WORD.match(before[-1:]) or _COLOURED.search(before) is not None
