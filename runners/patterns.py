"""Many patterns looked for at once, by Aho-Corasick (ADR 0044), so that their number hardly counts."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property

from ahocorasick_rs import BytesAhoCorasick, Implementation

LONGEST = 1024
"""Bytes of a pattern, at most: what is longer is looked for in `pieces`. So a place where one may stand costs no more
than that to look at, and the end of a chunk that could begin one is no longer, however long the secrets are."""
_SHARED = 16
"""Bytes that a piece shares with the one before it, so that pieces in a row are found as one. Even: two digits of
hexadecimal are one byte."""

_STEM = 4
_HEAD = 16
"""Bytes of a pattern that are searched for; the rest is compared where they stand. So what a search needs grows with
the number of patterns, and not with the length of a secret."""
_MANY = 4096
"""With more of them the table of the fastest search would take tens of megabytes."""

Span = tuple[int, int]


def pieces(pattern: bytes) -> Iterator[bytes]:
    """A pattern of any length as patterns of at most `LONGEST` bytes, which cover it wherever it stands."""
    if len(pattern) <= LONGEST:
        yield pattern
        return
    for at in range(0, len(pattern) - LONGEST, LONGEST - _SHARED):
        yield pattern[at : at + LONGEST]
    # as long as the others: a short rest, like the last line of a PEM file, would be found where no secret stands
    yield pattern[-LONGEST:]


class Patterns:
    """What is looked for, by its first `head` bytes, at least 4. More are better where many patterns begin alike, fewer
    where the text has few different characters. No pattern is longer than `LONGEST`."""

    def __init__(self, every: frozenset[bytes], *, head: int = _HEAD) -> None:
        self.all = every
        self.longest = max(map(len, every), default=0)
        self._head = head

    @cached_property
    def _heads(self) -> tuple[BytesAhoCorasick, list[tuple[bytes, ...]]]:
        """Finds what patterns begin with; beside it the patterns of each, longest first, by its number."""
        groups: dict[bytes, list[bytes]] = {}
        for pattern in sorted(self.all, key=len, reverse=True):
            groups.setdefault(pattern[: self._head], []).append(pattern)
        kind = Implementation.DFA if len(groups) <= _MANY else Implementation.ContiguousNFA
        return BytesAhoCorasick(list(groups), implementation=kind), [tuple(group) for group in groups.values()]

    @cached_property
    def _ordered(self) -> tuple[list[bytes], list[int]]:
        """The beginnings in order; beside it how long the longest pattern of each is."""
        longest = sorted((group[0][: self._head], len(group[0])) for group in self._heads[1])
        return [head for head, _ in longest], [length for _, length in longest]

    @cached_property
    def _starts(self) -> dict[bytes, int]:
        """How long the longest pattern is that begins so."""
        by_length = sorted(self.all, key=len)
        return {pattern[:length]: len(pattern) for pattern in by_length for length in range(1, _STEM)}

    def found(self, data: bytes) -> Iterator[Span]:
        """Where patterns stand, in no order; of those with one beginning the longest only."""
        if not self.all:
            return
        automaton, groups = self._heads
        for number, at, _ in automaton.find_matches_as_indexes(data, overlapping=True):
            for pattern in groups[number]:
                if data.startswith(pattern, at):
                    yield at, at + len(pattern)
                    break

    def begun(self, data: bytes) -> Iterator[tuple[int, int]]:
        """How many bytes at the end of `data` begin a pattern, and its length; most bytes first."""
        if not self.all:
            return
        # no more than all of the longest but one byte can be a beginning
        end = data[max(0, len(data) - self.longest + 1) :]
        automaton, groups = self._heads
        for number, at, _ in automaton.find_matches_as_indexes(end, overlapping=True):
            left = len(end) - at
            for pattern in groups[number]:
                if len(pattern) <= left:
                    break  # the longest come first
                if end.endswith(pattern[:left]):
                    yield left, len(pattern)
                    break
        for count in range(min(self._head - 1, len(end)), 0, -1):
            if length := self._longest_from(end[-count:]):
                yield count, length

    def _longest_from(self, start: bytes) -> int:
        """How long the longest pattern is that begins so and goes on, 0 without any. For less than a head."""
        if len(start) < _STEM:
            return self._starts.get(start, 0)
        heads, lengths = self._ordered
        first, last = bisect_right(heads, start), bisect_right(heads, start + b"\xff" * self._head)
        return max(lengths[first:last], default=0)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Of sorted spans those that overlap as one."""
    found: list[Span] = []
    for start, end in spans:
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
