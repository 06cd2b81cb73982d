"""Where the lines of a log begin, and which is the first that speaks of an error: read once, and on as the log grows.

A log of a gigabyte takes seconds to read. Nobody waits for that: whoever asks gets what is known after a moment, and
the rest is read meanwhile.
"""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1 << 20
_PATIENCE = 0.05
"""Seconds that an answer waits for lines to be counted."""
_MOST = 64
_WORDS = (b"error", b"fatal", b"traceback", b"failed", b"panic")
_WORD = re.compile(rb"\w")


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
        self._ends: list[int] = []
        self._lines = 0
        self._error: int | None = None
        self._open = False
        self._goes_on = False
        self.size = 0

    def known(self, patience: float) -> Index:
        """What is known after so many seconds at most; what is not yet goes on being read."""
        until = time.monotonic() + patience
        whole = False
        while not (whole := self._read_block()) and time.monotonic() < until:
            pass
        with self._turn:
            found = Index(tuple(self._ends), self._lines + self._open, self._error, self.size, whole)
        if not whole:
            self._go_on()
        return found

    def _read_block(self) -> bool:
        """True: there is no more."""
        with self._turn, self._path.open("rb") as file:
            file.seek(self.size)
            block = file.read(BLOCK - self.size % BLOCK)
            if not block:
                return True
            if self.size % BLOCK == 0:
                self._ends.append(self._lines)
            if self._error is None and (found := _first_error(block)) is not None:
                self._error = self._lines + block.count(b"\n", 0, found) + 1
            self._lines += block.count(b"\n")
            self._open = not block.endswith(b"\n")
            self.size += len(block)
            return False

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
        self._known: OrderedDict[tuple[int, int], _Reading] = OrderedDict()

    def of(self, path: Path, patience: float = _PATIENCE) -> Index:
        """What is known of a file, after so many seconds at most. Raises OSError where it cannot be read."""
        return self._reading(path).known(patience)

    def _reading(self, path: Path) -> _Reading:
        stat = path.stat()
        key = (stat.st_dev, stat.st_ino)
        with self._turn:
            found = self._known.pop(key, None)
            if found is None or found.size > stat.st_size:  # another file in its place
                found = _Reading(path)
            self._known[key] = found
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return found


def _first_error(block: bytes) -> int | None:
    """Where the first word of an error begins. (A regular expression for it takes ten times as long.)"""
    lower = block.lower()
    return min((found for word in _WORDS for found in _alone(lower, word)), default=None)


def _alone(text: bytes, word: bytes) -> Iterator[int]:
    """The first place where a word stands by itself."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not _WORD.match(text[at - 1 : at] if at else b"") and not _WORD.match(text[end : end + 1]):
            yield at
            return
        at = text.find(word, end)
