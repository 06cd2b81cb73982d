"""Digits of base64, base32 and hexadecimal found whatever stands between them: line breaks, spaces, colons, quotes.

They are looked for in the data without what stands between, and the places found are led back to the data.
"""

import re
from collections.abc import Iterator

from runners.patterns import Patterns, Span

_BETWEEN = b" \t\r\n\v\f\0:,\"'\\"
"""What tools put between digits; NUL, because in UTF-16 every second byte is one."""
_STRETCH = 4
"""What is found is at most so many times as long as its digits, so that little is held back."""
_UNBROKEN = 4
"""No line may end within so many digits of the beginning. Else the end of most lines would be held back, as what could
begin a secret; a log could not be followed."""

_DIGIT = re.compile(rb"[^" + re.escape(_BETWEEN) + rb"]")
_ON_ONE_LINE = b"[" + re.escape(_BETWEEN.replace(b"\r\n", b"")) + b"]*"
_BEGINNING = re.compile(
    rb"(?:%(digit)s%(gap)s){%(more)d}%(digit)s|(?:%(digit)s%(gap)s){1,%(more)d}\Z"
    % {b"digit": _DIGIT.pattern, b"gap": _ON_ONE_LINE, b"more": _UNBROKEN - 1}
)
"""So many digits on one line, or fewer where the data ends with that line."""


class Wrapped:
    """Looks for digits of at least 8."""

    def __init__(self, every: frozenset[bytes]) -> None:
        self._patterns = Patterns(every, head=8)
        self.all = every
        self.longest = self._patterns.longest * _STRETCH
        """Of what is found, in bytes of the data."""

    def found(self, data: bytes) -> Iterator[Span]:
        """Where digits stand, from the first to the last, in no order."""
        if self.all:
            for view in _views(data):
                yield from self._found(view)

    def _found(self, data: bytes) -> Iterator[Span]:
        hits = sorted(self._patterns.found(_bare(data)))
        starts, ends = _Walk(data), _Walk(data)
        told = 0
        for first, last in hits:
            if last <= told:
                continue  # within what was found
            start = starts.after(first + 1) - 1
            # what lies between two hits is walked over once; and ends come nearly in order
            if not first <= ends.digits <= last:
                ends = _Walk(data, start, first)
            end = ends.after(last)
            if end - start <= _STRETCH * (last - first) and _unbroken(data, start):
                told = last
                yield start, end

    def unfinished(self, data: bytes) -> int:
        """How many bytes at the end of `data` could be the beginning of what would be found: the longest such end."""
        if not self.all:
            return 0
        return max(self._unfinished(view) for view in _views(data[max(0, len(data) - self.longest) :]))

    def _unfinished(self, data: bytes) -> int:
        bare, starts = _bare(data), _Walk(data)
        for count, length in self._patterns.begun(bare):
            start = starts.after(len(bare) - count + 1) - 1
            taken = len(data) - start
            if taken + length - count <= _STRETCH * length and _unbroken(data, start):
                return taken
        return 0


def _views(data: bytes) -> Iterator[bytes]:
    yield data
    if b"\\n" in data or b"\\r" in data:  # line breaks as JSON has them
        yield data.replace(b"\\r", b"\r\r").replace(b"\\n", b"\n\n")


def _bare(data: bytes) -> bytes:
    return data.translate(None, _BETWEEN)


def _unbroken(data: bytes, start: int) -> bool:
    return _BEGINNING.match(data, start) is not None


class _Walk:
    """Goes on from digit to digit, in time proportional to the data, at the speed of copying."""

    __slots__ = ("_at", "_data", "digits")

    def __init__(self, data: bytes, at: int = 0, digits: int = 0) -> None:
        self._data = data
        self._at = at
        self.digits = digits

    def after(self, digits: int) -> int:
        """Where so many of all digits have been passed; never fewer than before."""
        data, at, left = self._data, self._at, digits - self.digits
        while left and at < len(data):
            block = data[at : at + left]
            passed = len(block.translate(None, _BETWEEN))
            at += len(block)
            left -= passed
            if not passed:
                following = _DIGIT.search(data, at)
                at = following.start() if following else len(data)
        self._at, self.digits = at, digits
        return at
