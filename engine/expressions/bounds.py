"""How much work an expression can do, computed from its tree and the sizes of what it reads, before it is evaluated.

The library cannot be stopped by time: a map() over a thousand lists held the interpreter for a minute (its accumulator
is copied each round, and so is what stands before every `.member`). So the work is estimated from above, and what
could take longer than about a second is refused. One unit is one value copied, about 40 ns.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.expressions.syntaxtree import Call, Collection, Comprehension, Constant, Ident, Index, Node, Select, path_of

MAX_ITEMS = 1_000
"""Items of a collection that all, exists, exists_one, map or filter walks."""
MAX_TEXT = 65_536
"""Bytes of a string, and of a result."""
MAX_WORK = 25_000_000
MAX_VALUE_DEPTH = 64

_INT64 = range(-(2**63), 2**63)
_BYTES_A_UNIT = 64
_REGEX_BYTES_A_UNIT = 5
"""Measured: 7 ns for each byte and state of the compiled pattern."""


TOO_LARGE = "\ufdd0"
"""What is kept in the place of a stdout of more than 64 KiB, so that nobody takes its end for all of it. No program
prints this alone: it is no character (Unicode 23.7)."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A value that is known not to be whole: an expression that reads it fails with this."""

    message: str


class TooMuch(Exception):  # noqa: N818 -- says what is wrong, and becomes an ExpressionError
    """The expression, with these values, is out of bounds."""


@dataclass(frozen=True, slots=True)
class Extent:
    """From above: `units` of all its values together, `items` if it is a collection, and of any collection in it."""

    units: int
    items: int = 0
    inner: int = 0
    text: int = 0
    """Bytes of the longest string in it."""


@dataclass(frozen=True, slots=True)
class _Estimate:
    extent: Extent
    work: int


_SMALL = Extent(units=1)


def measure(value: Any, depth: int = 0) -> Extent:
    """The extent of a plain value. Raises TooMuch for what CEL cannot hold: long strings, depth, huge integers."""
    match value:
        case None | bool() | float():
            return _SMALL
        case int():
            if value not in _INT64:
                raise TooMuch("an integer is out of the range of 64 bits")
            return _SMALL
        case str():
            size = len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
            if size > MAX_TEXT:
                raise TooMuch(f"a string is longer than {MAX_TEXT // 1024} KiB")
            return Extent(units=1 + size // _BYTES_A_UNIT, text=size)
        case Mapping():
            return _measured([*value.keys(), *value.values()], len(value), depth)
        case list() | tuple():
            return _measured(value, len(value), depth)
        case _:
            raise TooMuch(f"a value of type {type(value).__name__} is no data")


def _measured(parts: Any, items: int, depth: int) -> Extent:
    if depth >= MAX_VALUE_DEPTH:
        raise TooMuch(f"a value nests deeper than {MAX_VALUE_DEPTH}")
    units, inner, text = 1, 0, 0
    for part in parts:
        extent = measure(part, depth + 1)
        units += extent.units
        inner = max(inner, extent.items, extent.inner)
        text = max(text, extent.text)
    return Extent(units, items, inner, text)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The values that an expression reads, by root name, with which its work is estimated."""

    values: Mapping[str, Any]
    _seen: dict[tuple[str, ...], Extent] = field(default_factory=dict)

    def check(self, tree: Node) -> None:
        """Raise TooMuch when evaluating could do too much."""
        if self._of(tree, {}).work > MAX_WORK:
            raise TooMuch("it could do too much work with these values; walk a smaller collection or shorter strings")

    def _of(self, node: Node, local: Mapping[str, Extent]) -> _Estimate:
        match node:
            case Constant(text=text):
                return _Estimate(measure(text) if node.kind in ("string", "bytes") else _SMALL, 1)
            case Ident(name=name):
                extent = local.get(name) or self._read((name,))
                return _Estimate(extent, extent.units)
            case Select(base=base) | Index(base=base):
                return self._member(node, base, local)
            case Collection(items=items):
                parts = [self._of(item, local) for item in items]
                count = len(items) // 2 if node.is_map else len(items)
                return _Estimate(_joined(parts, count), sum(part.work + part.extent.units for part in parts))
            case Comprehension():
                return self._walk(node, local)
            case Call():
                return self._call(node, local)

    def _member(self, node: Select | Index, base: Node, local: Mapping[str, Extent]) -> _Estimate:
        before = self._of(base, local)
        work = before.work + before.extent.units
        if isinstance(node, Index):
            work += self._of(node.index, local).work
        path = path_of(node)
        if path and path[0] not in local:
            return _Estimate(self._read(path), work)
        found = before.extent
        return _Estimate(Extent(found.units, found.inner, found.inner, found.text), work)

    def _read(self, path: tuple[str, ...]) -> Extent:
        if path not in self._seen:
            found, value = _at(self.values, path)
            self._seen[path] = measure(value) if found else _SMALL
        return self._seen[path]

    def _walk(self, node: Comprehension, local: Mapping[str, Extent]) -> _Estimate:
        walked = self._of(node.walked, local)
        count = walked.extent.items
        if count > MAX_ITEMS:
            raise TooMuch(f"{node.macro}() walks at most {MAX_ITEMS} items, here it could be {count}")
        whole = walked.extent
        # Every item is read once in a round, so that all rounds together read the whole, whatever its distribution.
        item = Extent(1 + whole.units // max(1, count), whole.inner, whole.inner, whole.text)
        bodies = [self._of(body, {**local, node.variable: item}) for body in node.bodies]
        kept = bodies[-1].extent if node.macro == "map" else item
        result = _SMALL
        work = walked.work + whole.units + count * sum(body.work for body in bodies)
        if node.macro in ("map", "filter"):
            result = Extent(1 + count * kept.units, count, max(kept.items, kept.inner), kept.text)
            work += result.units * count // 2
        return _Estimate(result, work)

    def _call(self, node: Call, local: Mapping[str, Extent]) -> _Estimate:
        parts = [self._of(part, local) for part in (node.receiver, *node.arguments) if part is not None]
        read = sum(part.extent.units for part in parts)
        work = 1 + read + sum(part.work for part in parts)
        match node.name:
            case "+":
                joined = _joined(parts, sum(part.extent.items for part in parts))
                return _Estimate(
                    Extent(joined.units, joined.items, joined.inner, sum(p.extent.text for p in parts)), work
                )
            case "?:" | "dyn" | "string" | "bytes":
                units = max(part.extent.units for part in parts) if parts else 1
                items = max((part.extent.items for part in parts), default=0)
                return _Estimate(Extent(units, items, *_inside(parts)), work)
            case "matches":
                return _Estimate(_SMALL, work + self._matching(node, parts, local))
            case _:
                return _Estimate(_SMALL, work)

    def _matching(self, node: Call, parts: list[_Estimate], local: Mapping[str, Extent]) -> int:
        pattern = self._pattern(node.arguments[-1], local) if node.arguments else ""
        if _VERBOSE.search(pattern):
            raise TooMuch("the pattern of matches() must do without the flag x: nobody knows its size beforehand")
        # The library compiles it anew each time it is asked.
        return compiling(pattern) + states(pattern) * (100 + parts[0].extent.text) // _REGEX_BYTES_A_UNIT

    def _pattern(self, node: Node, local: Mapping[str, Extent]) -> str:
        path = path_of(node)
        if isinstance(node, Constant) and node.kind == "string":
            return node.text
        if path and path[0] not in local:
            value = _at(self.values, path)[1]
            return value if isinstance(value, str) else ""
        raise TooMuch("the pattern of matches() must be written out, or be one value such as params.pattern")


def states(pattern: str) -> int:
    """About how many states a regular expression compiles to, from above."""
    return 1 + _sum(pattern, _states_of)


def compiling(pattern: str) -> int:
    """Units of work to compile a regular expression, from above: `\\w` alone is 700 ranges of Unicode."""
    return 200 + _sum(pattern, _units_of) * (3 if _CASELESS.search(pattern) else 1)


def _states_of(kind: str | None, piece: str) -> int:
    if kind in ("large", "class"):
        return 30 + 10 * piece.count("\\")
    return 4 if piece == "." else 1


def _units_of(kind: str | None, piece: str) -> int:
    """Measured: 400 microseconds for `\\w` and the like, 60 for `\\d`, 5 for a class or a dot, 0.3 for a character."""
    if kind in ("large", "class"):
        return 250 + 12_000 * len(_WIDE.findall(piece)) + 2_000 * len(_DIGITS.findall(piece)) + 10 * len(piece)
    return 200 if piece == "." else 10


def _sum(pattern: str, weight: Callable[[str | None, str], int]) -> int:
    """The weights of a pattern's pieces, where counted repetitions multiply what they repeat.

    Written for the syntax of the Rust crate `regex`, which the library uses; for what it refuses any answer will do.
    """
    groups = [0]
    last = 0
    for match in _PIECE.finditer(pattern):
        match match.lastgroup:
            case "open":
                groups.append(0)
                last = 0
            case "close" if len(groups) > 1:
                last = groups.pop()
                groups[-1] += last
            case "count":
                times = max(int(number) for number in re.findall(r"\d+", match[0])) + match[0].endswith(",}")
                groups[-1] += last * (times - 1) if times > 1 else 0
                last *= times
            case kind:
                last = weight(kind, match[0])
                groups[-1] += last
    return sum(groups)


_VERBOSE = re.compile(r"\(\?[a-zA-Z]*x")
_CASELESS = re.compile(r"\(\?[a-zA-Z]*i")
_WIDE = re.compile(r"\\[pPwW]|\[:\^?(?:word|alpha|alnum)")
_DIGITS = re.compile(r"\\[dDsSbB]")
_PIECE = re.compile(
    r"(?P<large>\\[pP](?:\{[^}]*\}|.)|\\[wWdDsS])|(?P<class>\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\])|(?P<escape>\\.)"
    r"|(?P<open>\()|(?P<close>\))|(?P<count>\{\d{1,9}(?:,\d{0,9})?\})|(?P<repeat>[*+?])|(?P<plain>.)",
    re.DOTALL,
)


def _inside(parts: list[_Estimate]) -> tuple[int, int]:
    return max((p.extent.inner for p in parts), default=0), max((p.extent.text for p in parts), default=0)


def _joined(parts: list[_Estimate], items: int) -> Extent:
    inner = max((max(part.extent.items, part.extent.inner) for part in parts), default=0)
    return Extent(
        1 + sum(part.extent.units for part in parts),
        items,
        inner,
        max((part.extent.text for part in parts), default=0),
    )


def _at(values: Any, path: tuple[str, ...]) -> tuple[bool, Any]:
    for name in path:
        if not isinstance(values, Mapping) or name not in values:
            return False, None
        values = values[name]
    return True, values
