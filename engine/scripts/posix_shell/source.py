"""The characters of a script, and what is known of each hole in it."""

from collections.abc import Iterator

from engine.scripts.posix_shell.pieces import (
    DYNAMIC,
    HOLE,
    Body,
    Command,
    Reading,
    Refusal,
    Substitution,
    Unsure,
    Word,
)

SPACE = " \t"
BREAKS = " \t\n;&|<>()"
_MAX_DEPTH = 40


class Source:
    """A place in the text, which only moves on. `found` holds what is known of each hole."""

    def __init__(self, text: str) -> None:
        if DYNAMIC in text or "\0" in text:
            raise ValueError("the text holds characters that stand for something else here")
        self.found: dict[int, Reading | Refusal] = {}
        self.computed: list[tuple[int, int]] = []
        """Where arithmetic stands."""
        self.parameters: list[tuple[int, int]] = []
        """Where `${...}` stands, without its brackets."""
        self.others: list[tuple[int, int]] = []
        """Where scripts of others stand: in backquotes, and in here-documents that are not expanded."""
        self.bodies: list[tuple[int, int]] = []
        """Where here-documents stand that are expanded."""
        self.reads: list[tuple[int, str]] = []
        """Where the value of a variable is put in, and its name; in order."""
        self.substitutions: list[Substitution] = []
        """What stands in brackets whose output is read: those within another before that."""
        self._text = text
        self._at = 0
        self._end = len(text)
        """Where the part that is read ends: the script, or a here-document in it."""
        self._depth = 0
        self._forbidden: str | None = None
        """Why no value may stand in what is open."""
        self._pending: list[Body] = []
        self._owners: dict[int, list[Command]] = {}

    def _peek(self, length: int = 1) -> str:
        return self._text[self._at : min(self._at + length, self._end)]

    def _ended(self) -> bool:
        return self._at >= self._end

    def _take(self, text: str) -> bool:
        if self._text.startswith(text, self._at, self._end):
            self._at += len(text)
            return True
        return False

    def _until(self, mark: str, what: str) -> str:
        end = self._text.find(mark, self._at, self._end)
        if end < 0:
            raise Unsure(f"{what} does not end")
        passed = self._text[self._at : end]
        self._at = end + len(mark)
        return passed

    def _refuse_within(self, start: int, end: int, reason: str) -> None:
        for hole in self._holes(start, end):
            self.found[hole] = Refusal(reason)

    def _holes(self, start: int, end: int) -> Iterator[int]:
        while (start := self._text.find(HOLE, start, end) + 1) > 0:
            yield start - 1

    def _hole(self, reading: Reading, word: Word | None) -> None:
        before = self._text[self._at - 1] if self._at else ""
        if self._forbidden is not None:
            self.found[self._at] = Refusal(self._forbidden)
        elif before == "$":
            self.found[self._at] = Refusal("follows a '$'")
        else:
            self.found[self._at] = reading
        if word is not None:
            word.holes.append(self._at)
            word.add(DYNAMIC)
        self._at += 1

    def _skip_space(self) -> None:
        while self._peek() and self._peek() in SPACE:
            self._at += 1

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Unsure("its substitutions nest too deep")

    def _forbid(self, reason: str) -> str | None:
        """From here on no value may stand; returns what held before."""
        before = self._forbidden
        self._forbidden = before or reason
        return before
