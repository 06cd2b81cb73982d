"""`Did you mean …?`: the known name that may be meant, at a cost that does not grow with the number of known names."""

from bisect import bisect_left
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from itertools import islice

MOST_COMPARED = 200
"""Names looked at for the hints of one check of one document; a mistake after that gets no hint of this sort."""
_NEIGHBOURS = 4
"""Looked at before and behind the place where the wrong name would stand, in each of the two orders."""
_FEW = 4 * _NEIGHBOURS
_LONGEST = 80
"""Characters of a wrong name that are looked at."""
_SHOWN = 5


class Names:
    """Names that are known, twice in order: by their beginning and by their end.

    A slip of the pen leaves one or the other as it was, so that the name that was meant is a near neighbour in one of
    the orders. Few names are all compared.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._forward = sorted(set(names))
        self._backward = sorted(name[::-1] for name in self._forward) if len(self._forward) > _FEW else []

    def like(self, name: str) -> list[str]:
        """At most 16 that may be meant, in no order that says anything."""
        if len(self._forward) <= _FEW:
            return self._forward
        ended = (found[::-1] for found in _around(self._backward, name[::-1]))
        return list(dict.fromkeys([*_around(self._forward, name), *ended]))

    def near(self, name: str, cutoff: float = 0.6) -> str | None:
        """The one most like it, None where none is as like as `cutoff`, of 0 to 1."""
        return _nearest(name[:_LONGEST], self.like(name[:_LONGEST]), cutoff)

    def listed(self) -> str:
        """The first of them for people; empty where there are none."""
        more = len(self._forward) - _SHOWN
        return ", ".join(self._forward[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


class Guesses:
    """The hints of one check of one document.

    Made anew for each check, and counted there: a document is given the same hints whichever others were checked
    before it, in this process or another, now or at a former commit. Work is by the size of the document then, and
    neither by the number of its mistakes times that of the known names, nor by the mistakes alone.
    """

    def __init__(self) -> None:
        self._left = MOST_COMPARED
        self._known: dict[int, tuple[Collection[str], Names]] = {}

    def near(self, name: str, known: Names | Collection[str], cutoff: float = 0.6) -> str | None:
        """The known name most like it; None where there is none, or where enough was looked at."""
        if self._left <= 0:
            return None
        like = (known if isinstance(known, Names) else self._names(known)).like(name[:_LONGEST])
        self._left -= max(1, len(like))
        return _nearest(name[:_LONGEST], like, cutoff)

    def hint(self, name: str, known: Names | Collection[str], otherwise: str = "") -> str:
        """Which may be meant; the first of them where none is like it, and `otherwise` where there is none at all."""
        if (near := self.near(name, known)) is not None:
            return f"did you mean '{near}'?"
        if not isinstance(known, Names) and self._left <= 0:
            return ""
        listed = (known if isinstance(known, Names) else self._names(known)).listed()
        return f"there are {listed}" if listed else otherwise

    def _names(self, known: Collection[str]) -> Names:
        held = self._known.get(id(known))
        if held is None:  # kept together with what it is of, so that nothing else can have its id
            held = self._known[id(known)] = (known, Names(known))
        return held[1]


def first_of(names: Collection[str], most: int = 10) -> str:
    """The first names in their own order, for people."""
    more = len(names) - most
    return ", ".join(islice(names, most)) + (f" and {more} more" if more > 0 else "")


def _around(ordered: list[str], name: str) -> list[str]:
    place = bisect_left(ordered, name)
    return ordered[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS]


def _nearest(name: str, among: list[str], cutoff: float) -> str | None:
    return next(iter(get_close_matches(name, among, n=1, cutoff=cutoff)), None)
