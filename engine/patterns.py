"""Patterns in schemas of users: how large one is before it is compiled, and the few compiled ones that are kept.

They are matched in time linear in the text by the regex crate of Rust, which pydantic brings. Compiling one is what
costs: `\\w` means some 750 ranges of Unicode, and `\\w{50}` all of them fifty times, 15 milliseconds and 3 MB. The
crate only stops at 10 MiB a pattern, so the size is worked out from the text first, and bounded over all of a commit.
"""

import re
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

MAX_PATTERN = 1_024
"""Characters of a pattern."""
MAX_TOGETHER = 3_000_000
"""Parts (`size_of`) of the patterns that are compiled for one schema, or for one commit: under a second, 160 MB."""

_OF_ANY = 200
"""Parts of a pattern that asks nothing yet."""
_LARGE, _DIGITS, _SPACES, _OTHERS = 1_200, 100, 20, 20
"""Parts of a class of letters in Unicode, of digits, of spaces; of all characters but some."""
_CLASSES = {
    "w": _LARGE,
    "W": _LARGE,
    "p": _LARGE,
    "P": _LARGE,
    "d": _DIGITS,
    "D": _DIGITS,
    "s": _SPACES,
    "S": 2 * _SPACES,
}
_EITHER_CASE = 5
"""Parts of a character where upper and lower case are the same."""
_ITEM = 1
"""Parts of a character in brackets."""
_COUNT = re.compile(r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}", re.ASCII)
_GROUP = re.compile(r"\?(?:P?<[^>]*>|([A-Za-z-]*)([:)]))?")
_CODE = re.compile(r"(?:[pP](?:\{[^}]*\}|.)|[xuU]\{[^}]*\}|[bB]\{[a-z-]+\}|.)", re.DOTALL)


def size_of(pattern: str) -> int:
    """About how many parts the compiled pattern has, a plain character being one: some 0.25 µs and 50 bytes each.

    What is more than `MAX_TOGETHER` is said as one more.
    """
    # A longer one is refused for that, and never compiled.
    return _size_of(pattern) if len(pattern) <= MAX_PATTERN else 0


@lru_cache(maxsize=32_768)
def _size_of(pattern: str) -> int:
    try:
        found = _Sized(pattern).parts()
    except _Unclear:
        found = _at_most(pattern)
    return min(_OF_ANY + found, MAX_TOGETHER + 1)


def compiling(pattern: str) -> int:
    """The parts that are compiled for a pattern: its size, or nothing where it alone is refused as too large."""
    size = size_of(pattern)
    return size if size <= MAX_TOGETHER else 0


def is_usable(pattern: str) -> bool:
    """Whether it can be compiled. What was compiled to find out is not kept: no value may ever ask for it."""
    return len(pattern) <= MAX_PATTERN and _can_be_compiled(pattern)


@lru_cache(maxsize=32_768)
def _can_be_compiled(pattern: str) -> bool:
    return _compiled(pattern) is not None


def matcher(pattern: str) -> SchemaValidator | None:
    """The compiled pattern, which raises ValidationError for a text that does not match; None where it is unusable.

    Kept until `forget`, or until others need its place: no more than one commit may have.
    """
    held = _KEPT.get(pattern)
    if held is None and (held := _compiled(pattern)) is not None:
        _KEPT.put(pattern, held)
    return held


def kept() -> int:
    """The parts (`size_of`) of all compiled patterns that are kept, at most `MAX_TOGETHER`."""
    return _KEPT.size


def forget() -> None:
    """Give back what the compiled patterns of a commit take; the next value compiles the one that it needs."""
    _KEPT.clear()


class _Kept:
    """Compiled patterns, and how large they are together: worked out anew for each, it would cost the square of them.

    Several threads may ask at once. What they count at the same instant may be off by one of the two, until `clear`.
    """

    def __init__(self) -> None:
        self._held: dict[str, SchemaValidator] = {}
        self.size = 0

    def get(self, pattern: str) -> SchemaValidator | None:
        return self._held.get(pattern)

    def put(self, pattern: str, compiled: SchemaValidator) -> None:
        size = size_of(pattern)
        if self.size + size > MAX_TOGETHER:
            self.clear()
        if self._held.setdefault(pattern, compiled) is compiled:
            self.size += size

    def clear(self) -> None:
        self._held.clear()
        self.size = 0


_KEPT = _Kept()


def _compiled(pattern: str) -> SchemaValidator | None:
    if len(pattern) > MAX_PATTERN or size_of(pattern) > MAX_TOGETHER:
        return None
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError:
        return None


class _Unclear(Exception):  # noqa: N818 -- caught in this module
    """What belongs to what cannot be told without the whole of the crate's grammar."""


class _Sized:
    """One walk through the text of a pattern: groups, alternatives, classes in brackets, counts."""

    def __init__(self, pattern: str) -> None:
        self._text, self._at, self._plain = pattern, 0, 1
        self._open: list[int] = []
        """Parts before each group that is open."""
        self._sum = self._last = 0
        """Parts since the group began; those of what a count would repeat."""

    def parts(self) -> int:
        while self._at < len(self._text):
            self._next()
        if self._open:
            raise _Unclear
        return self._sum

    def _next(self) -> None:
        character = self._text[self._at]
        match character:
            case "(":
                self._begin()
            case ")":
                if not self._open:
                    raise _Unclear
                inner, self._sum = self._sum, self._open.pop()
                self._add(inner + 2, 1)
            case "{":
                self._repeat()
            case "[":
                self._add(*self._brackets())
            case "\\":
                self._add(*self._escaped(self._at))
            case ".":
                self._add(_OTHERS, 1)
            case "*" | "+" | "?" | "|":
                self._sum += 1
                self._at += 1
            case _:
                self._add(self._plain, 1)

    def _add(self, parts: int, characters: int) -> None:
        self._sum += parts
        self._last = parts
        self._at += characters

    def _begin(self) -> None:
        found = _GROUP.match(self._text, self._at + 1)
        if found is not None and "x" in (found[1] or ""):
            raise _Unclear  # comments, in which brackets mean nothing
        if found is not None and "i" in (found[1] or ""):
            self._plain = _EITHER_CASE
        self._at = found.end() if found is not None else self._at + 1
        if found is not None and found[2] == ")":
            return  # flags for what comes
        self._open.append(self._sum)
        self._sum = self._last = 0

    def _repeat(self) -> None:
        found = _COUNT.match(self._text, self._at)
        if found is None:
            raise _Unclear
        repeated = self._last * _times(found)
        self._sum += repeated - self._last
        self._last = repeated
        self._at = found.end()

    def _escaped(self, at: int) -> tuple[int, int]:
        """Parts and length of what begins with a backslash."""
        found = _CODE.match(self._text, at + 1)
        if found is None:
            raise _Unclear
        return _CLASSES.get(found[0][0], 1), 1 + len(found[0])

    def _brackets(self) -> tuple[int, int]:
        """The same of a class, those within it included."""
        at, depth, parts = self._at, 0, 0
        while True:
            character = self._text[at : at + 1]
            if character == "[":
                at, depth, parts = at + 1, depth + 1, parts + _ITEM
                if self._text[at : at + 1] == "^":
                    at, parts = at + 1, parts + _OTHERS
                while self._text[at : at + 1] == "-":
                    at += 1
                if self._text[at : at + 1] == "]" and self._text[at - 1] != "-":
                    at += 1  # the first of a class is no end
            elif character == "]":
                at, depth = at + 1, depth - 1
                if not depth:
                    return parts, at - self._at
            elif character == "\\":
                more, length = self._escaped(at)
                at, parts = at + length, parts + more + _ITEM
            elif character:
                at, parts = at + 1, parts + _ITEM
            else:
                raise _Unclear


def _times(found: "re.Match[str]") -> int:
    """How often a count has what it repeats written out."""
    return max([1, *(int(text) for text in found.groups() if text)])


def _at_most(pattern: str) -> int:
    """However its parts belong together: all of them, by all of its counts."""
    one = sum(_LARGE if character == "\\" else _OTHERS for character in pattern)
    for found in re.finditer(r"\{([\d\s,]*)\}", pattern, re.ASCII):
        counts = [int(text) for text in "".join(found[1].split()).split(",") if text.isdecimal()]
        one *= max([1, *(min(count, MAX_TOGETHER) for count in counts)])
        if one > MAX_TOGETHER:
            break
    return one
