"""Parts of a script that may stand within each other, and in which of them a place stands."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

NOWHERE = -1


class Spans:
    """Places [start, end) of parts that are either apart or one within the other."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self._spans = sorted(set(spans), key=lambda span: (span[0], -span[1]))
        self._starts = [start for start, _ in self._spans]
        self._outer: list[int] = []
        open_ones: list[int] = []
        for index, (start, _) in enumerate(self._spans):
            while open_ones and self._spans[open_ones[-1]][1] <= start:
                open_ones.pop()
            self._outer.append(open_ones[-1] if open_ones else NOWHERE)
            open_ones.append(index)

    def innermost(self, at: int) -> int:
        """Where the innermost begins in which the place stands, or NOWHERE."""
        index = bisect_right(self._starts, at) - 1
        while index != NOWHERE and self._spans[index][1] <= at:
            index = self._outer[index]
        return NOWHERE if index == NOWHERE else self._starts[index]

    def outermost(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Those between these places that stand in no other there, in order."""
        for one in self._spans[bisect_left(self._starts, start) : bisect_left(self._starts, end)]:
            if one[0] >= start and one[1] <= end:
                yield one
                start = one[1]
