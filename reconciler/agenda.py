"""When each schedule is to be decided next; who is first is known without looking at the others."""

from collections.abc import Mapping
from datetime import datetime
from heapq import heapify, heappop, heappush, nsmallest


class Agenda:
    """An instant for each name, or none: what is never due is not in it.

    Looking at the earliest costs nothing, setting one the logarithm of their number.
    """

    def __init__(self, due: Mapping[str, datetime | None]) -> None:
        self._due = {name: instant for name, instant in due.items() if instant is not None}
        self._order = [(instant, name) for name, instant in self._due.items()]
        heapify(self._order)

    @property
    def earliest(self) -> datetime | None:
        """The first instant at which something is due."""
        self._drop_outdated()
        return self._order[0][0] if self._order else None

    def until(self, now: datetime, most: int | None = None) -> tuple[str, ...]:
        """The names that are due at `now` or before, in the order of their instants; they stay until they are set.

        At most `most` of them, where that is given: the others cost nothing.
        """
        found: list[tuple[datetime, str]] = []
        while (earliest := self.earliest) is not None and earliest <= now and (most is None or len(found) < most):
            found.append(heappop(self._order))
        for entry in found:
            heappush(self._order, entry)
        return tuple(dict.fromkeys(name for _, name in found))

    def first(self, count: int) -> tuple[tuple[datetime, str], ...]:
        """The next `count` with their instants. May be asked from another thread."""
        entries = list(self._due.items())  # one step of the interpreter: nobody sets one meanwhile
        return tuple(nsmallest(count, ((instant, name) for name, instant in entries)))

    def of(self, name: str) -> datetime | None:
        """When a name is due."""
        return self._due.get(name)

    def set(self, name: str, instant: datetime | None) -> None:
        """Another instant for a name."""
        if instant is None:
            self._due.pop(name, None)
        elif self._due.get(name) != instant:
            self._due[name] = instant
            heappush(self._order, (instant, name))

    def _drop_outdated(self) -> None:
        while self._order and self._due.get(self._order[0][1]) != self._order[0][0]:
            heappop(self._order)
