"""What in a script for Python is proven to be fixed: that no value of an expression decides its text.

What is known is a graph: each expression of the script and each of its variables is a place, which takes what other
places hold. Whatever is not understood holds `UNPROVEN`, and goes on from there. An object that may change goes the
other way, too: what is put into it under one name is in it under each other. Work and memory are linear in the length
of the script, as no place can take more than each mark once.
"""

from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Mapping

NUMBER, QUOTED, COMMAND, WORDS, LISTS, UNPROVEN, OBJECT = 1, 2, 4, 8, 16, 32, 64
"""What a place may hold that is not fixed: a number; one word quoted for sh; a text for sh in which all else is in
order; a list that begins with a fixed program; a list of such lists; anything. OBJECT: something that may change is
put into it, or fixed or not."""
_MARKS = (NUMBER, QUOTED, COMMAND, WORDS, LISTS, UNPROVEN)

Way = Mapping[int, int]
"""What becomes of each mark on the way from one place to the next; of those not named something unproven."""
COPY: Way = {mark: mark for mark in _MARKS}
TEXT: Way = {NUMBER: NUMBER}
COUNT: Way = dict.fromkeys(_MARKS, NUMBER)
QUOTE: Way = dict.fromkeys(_MARKS, QUOTED)
SPOKEN: Way = {NUMBER: NUMBER, QUOTED: COMMAND}
"""A part of a text for sh that stands where a quoted word may."""
WORD: Way = {NUMBER: NUMBER, **dict.fromkeys(_MARKS[1:], WORDS)}
"""A word of a list that is no program."""
ELEMENT: Way = {NUMBER: NUMBER, LISTS: WORDS}
NEST: Way = {NUMBER: NUMBER, WORDS: LISTS}
"""A list within a list."""
BEGIN: Way = {NUMBER: NUMBER, WORDS: WORDS}
"""A list at the begin of a longer one."""
OTHER: Way = {}
"""To a function that may make any text of a number, as `chr` does."""

# How an object's parts may change: it and they cannot, they cannot, all may.
IMMUTABLE, FLAT, CHANGING = 0, 1, 2
Turn = tuple[int, int, int]
"""What kind of object is made of each kind."""
SAME: Turn = (IMMUTABLE, FLAT, CHANGING)
PUT: Turn = (FLAT, CHANGING, CHANGING)
TUPLE: Turn = (IMMUTABLE, CHANGING, CHANGING)
GET: Turn = (IMMUTABLE, IMMUTABLE, CHANGING)
NONE: Turn = (IMMUTABLE, IMMUTABLE, IMMUTABLE)

Place = Hashable


class Places:
    """The graph, and what each place holds in the end."""

    def __init__(self) -> None:
        self.holds: defaultdict[Place, int] = defaultdict(int)
        self.kinds: defaultdict[Place, int] = defaultdict(int)
        self._put: defaultdict[Place, int] = defaultdict(int)
        self._edges: defaultdict[Place, list[tuple[Way, Turn, Place]]] = defaultdict(list)
        self._back: defaultdict[Place, list[tuple[Way, Place]]] = defaultdict(list)
        self._from: defaultdict[Place, list[Place]] = defaultdict(list)
        self._spills: defaultdict[Place, list[tuple[Way, Place]]] = defaultdict(list)

    def mark(self, place: Place, marks: int) -> None:
        self.holds[place] |= marks

    def make(self, place: Place, kind: int) -> None:
        self.kinds[place] = max(self.kinds[place], kind)

    def flow(self, source: Place, target: Place, way: Way, turn: Turn = NONE) -> None:
        """The target takes what the source holds; where that may change, what is put into one is in the other."""
        self._edges[source].append((way, turn, target))
        if turn is not NONE:
            self.share(target, source, COPY if way is COPY else TEXT)

    def share(self, one: Place, other: Place, way: Way = COPY) -> None:
        """What is put into the one is put into the other."""
        self._back[one].append((way, other))
        self._from[other].append(one)

    def put(self, source: Place, target: Place, way: Way) -> None:
        """What the source holds is put into the object that the target is, if it may change."""
        self._spills[source].append((way, target))
        self._from[target].append(source)

    def escape(self, place: Place) -> None:
        """Anything may be put into it from now on."""
        self._put[place] |= UNPROVEN | OBJECT

    def settle(self) -> None:
        """What all places hold, once nothing is added any more."""
        waiting = deque({**self.holds, **self.kinds, **self._put})
        # A place that is raised again before its turn waits once: a variable may be read in a thousand places.
        known = set(waiting)
        while waiting:
            place = waiting.popleft()
            known.discard(place)
            for raised in self._go_on(place):
                if raised not in known:
                    known.add(raised)
                    waiting.append(raised)

    def _go_on(self, place: Place) -> Iterator[Place]:
        """The places that are raised by what this one holds."""
        if self.kinds[place] and self._put[place]:
            self.holds[place] |= self._put[place] & ~OBJECT
            if self._put[place] & OBJECT:
                self.kinds[place] = CHANGING
        marks, kind = self.holds[place], self.kinds[place]
        for way, turn, target in self._edges.get(place, ()):
            yield from self._raised(target, _turned(marks, way), turn[kind])
        for way, target in self._spills.get(place, ()):
            yield from self._changed(target, _turned(marks, way) | (OBJECT if kind else 0))
        put = self._put[place] if kind else 0
        for way, target in self._back.get(place, ()) if put else ():
            yield from self._changed(target, _turned(put & ~OBJECT, way) | put & OBJECT)

    def _raised(self, place: Place, marks: int, kind: int) -> list[Place]:
        if self.holds[place] | marks == self.holds[place] and kind <= self.kinds[place]:
            return []
        can_be_put = self._from.get(place, []) if kind and not self.kinds[place] else []
        self.holds[place] |= marks
        self.kinds[place] = max(kind, self.kinds[place])
        return [place, *can_be_put]

    def _changed(self, place: Place, put: int) -> list[Place]:
        if not put or self._put[place] | put == self._put[place]:
            return []
        self._put[place] |= put
        return [place]


def _turned(marks: int, way: Way) -> int:
    if way is COPY or not marks:
        return marks
    found = 0
    for mark in _MARKS:
        if marks & mark:
            found |= way.get(mark, UNPROVEN)
    return found
