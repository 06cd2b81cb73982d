"""Expressions: `${{ ... }}` is CEL (DEFINITIONS 4).

Only text that came from a commit is given to this module as an expression; outputs, facts and events are the values it
reads. Evaluation is bounded by construction: by `engine.expressions.syntax` (nesting, length), by the rule that no
comprehension stands inside another, and by `engine.expressions.bounds` (work with the values at hand). An expression
that fails raises ExpressionError; it never means false.

Known differences of the library (common-expression-language) from the CEL specification: size() of a string counts
bytes, and `1.` or `.x` are not read. string() of a boolean, which it lacks, is ours.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from engine.expressions import cellibrary
from engine.expressions.bounds import MAX_TEXT, Bounds, TooMuch, Withheld, measure
from engine.expressions.cellibrary import ExpressionError, short
from engine.expressions.syntax import SyntaxProblem, find_end, parse
from engine.expressions.syntaxtree import TYPE_NAMES, Call, Comprehension, Ident, Node, children, path_of
from schemas.quantities import format_instant

__all__ = [
    "FUNCTIONS", "MAX_EXPRESSION", "METHODS", "STATUS_FUNCTIONS", "Expression", "ExpressionError", "Hole", "Literal",
    "Reference", "Status", "compile_text", "condition", "condition_text", "evaluate", "filled", "has_expression",
    "render", "split", "texts_of", "to_text",
]  # fmt: skip

MAX_EXPRESSION = 2_048
"""Bytes of one expression."""

FUNCTIONS = frozenset(
    {"size", "int", "uint", "double", "string", "bytes", "duration", "timestamp", "type", "dyn"}
)  # fmt: skip
STATUS_FUNCTIONS = frozenset({"success", "failure", "always", "cancelled"})
METHODS = frozenset(
    {
        "size", "contains", "startsWith", "endsWith", "matches", "getFullYear", "getMonth", "getDate", "getDayOfMonth",
        "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
    }
)  # fmt: skip

_OPEN = "${{"


@dataclass(frozen=True, slots=True)
class Status:
    """What success(), failure() and cancelled() answer. always() is always true."""

    failed: bool = False
    cancelled: bool = False
    skipped: bool = False
    """Something that had to succeed was skipped: no success, and no failure."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One place where a value is read: `steps["x"].outputs.y` is the path (steps, x, outputs, y).

    Where the way goes on by a computed index, the path ends before it.
    """

    path: tuple[str, ...]
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read and found within bounds; nothing is evaluated yet."""

    text: str
    tree: Node = field(repr=False)
    occurrences: tuple[Reference, ...] = ()
    functions: frozenset[str] = frozenset()

    @property
    def roots(self) -> frozenset[str]:
        """The names it reads, without those that a comprehension binds."""
        return frozenset(found.path[0] for found in self.occurrences)

    @property
    def references(self) -> tuple[tuple[str, ...], ...]:
        """The member paths it reads, as far as they are written out; each once, in order."""
        return tuple(dict.fromkeys(found.path for found in self.occurrences))


@dataclass(frozen=True, slots=True)
class Literal:
    """Text between expressions. `offset` is its place in the whole text, in code points."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Hole:
    """`${{ cel }}`. `offset` and `length` cover the marks; `cel_offset` is where the stripped CEL text starts."""

    cel: str
    offset: int
    length: int
    cel_offset: int


def split(text: str) -> tuple[Literal | Hole, ...]:
    """The parts of a text in order; none for an empty text. Raises ExpressionError for a `${{` without its `}}`."""
    return _remembered(text) if len(text) <= _SHORT else tuple(_parts(text))


_SHORT = 500
"""Code points of a text whose parts are remembered: each check of a step asks for them."""


@lru_cache(maxsize=1024)
def _remembered(text: str) -> tuple[Literal | Hole, ...]:
    return tuple(_parts(text))


def _parts(text: str) -> Iterator[Literal | Hole]:
    position = 0
    while (start := text.find(_OPEN, position)) >= 0:
        if start > position:
            yield Literal(text[position:start], position)
        end = find_end(text, start + len(_OPEN))
        if end is None:
            raise ExpressionError("'${{' has no matching '}}'", start, len(_OPEN))
        inner = text[start + len(_OPEN) : end]
        cel = inner.strip()
        yield Hole(cel, start, end + 2 - start, start + len(_OPEN) + len(inner) - len(inner.lstrip()))
        position = end + 2
    if position < len(text):
        yield Literal(text[position:], position)


def has_expression(value: Any) -> bool:
    """Whether a `${{` stands anywhere in a value."""
    return any(_OPEN in text for text in texts_of(value))


def texts_of(value: Any) -> Iterator[str]:
    """Every string of a value, map keys apart: keys are never rendered."""
    match value:
        case str():
            yield value
        case Mapping():
            for one in value.values():
                yield from texts_of(one)
        case list() | tuple():
            for one in value:
                yield from texts_of(one)


def condition_text(text: str) -> str:
    """The CEL text of an `if`, which may be written with or without the marks."""
    parts = split(text.strip())
    if len(parts) == 1 and isinstance(parts[0], Hole):
        return parts[0].cel
    if any(isinstance(part, Hole) for part in parts):
        raise ExpressionError("a condition is one expression; write it without '${{ }}', or all of it inside")
    return text.strip()


@lru_cache(maxsize=4096)
def compile_text(cel: str) -> Expression:
    """Read one expression. Raises ExpressionError for what is no CEL, unknown functions, or out of bounds."""
    if len(cel.encode("utf-8", "surrogatepass")) > MAX_EXPRESSION:
        raise ExpressionError(f"an expression is at most {MAX_EXPRESSION // 1024} KiB", 0, len(cel))
    try:
        tree = parse(cel)
    except SyntaxProblem as problem:
        raise ExpressionError(problem.message, problem.offset, problem.length) from problem
    found = _Findings()
    found.walk(tree)
    cellibrary.program(cel)
    return Expression(cel, tree, tuple(found.occurrences), frozenset(found.functions))


def evaluate(cel: str, context: Mapping[str, Any], *, status: Status = Status()) -> Any:
    """The value of an expression as plain data: str, int, float, bool, None, list, dict with string keys.

    Timestamps come back as RFC 3339 text and durations as seconds (`90s`). Raises ExpressionError for everything that
    goes wrong, values out of bounds included.
    """
    expression = compile_text(cel)
    try:
        values = {root: _needed(context[root], paths) for root, paths in _paths(expression).items() if root in context}
        Bounds(values).check(expression.tree)
        return _plain(cellibrary.run(cel, values, _answers(status), expression.references))
    except TooMuch as problem:
        raise ExpressionError(f"'{short(cel)}': {problem}", 0, len(cel)) from problem


def condition(value: str | bool | None, context: Mapping[str, Any], *, status: Status = Status()) -> bool:
    """Whether an `if` holds; left out, it does. Raises ExpressionError when it fails or is no boolean."""
    if not isinstance(value, str):
        return value is not False
    text = condition_text(value)
    result = evaluate(text, context, status=status)
    if not isinstance(result, bool):
        raise ExpressionError(f"the condition '{short(text)}' is {to_text(result)!r}, not true or false", 0, len(text))
    return result


def render(value: Any, context: Mapping[str, Any], *, status: Status = Status()) -> Any:
    """A value with its expressions replaced by what they give; lists and maps through and through, keys as they are.

    A text that is one expression and nothing else keeps the expression's type, any other becomes text (`to_text`).
    """
    match value:
        case str():
            return _rendered(value, context, status)
        case Mapping():
            return {key: render(one, context, status=status) for key, one in value.items()}
        case list() | tuple():
            return [render(one, context, status=status) for one in value]
        case _:
            return value


def to_text(value: Any) -> str:
    """A value inside text, in `env` and as a bound variable of a script.

    Strings as they are; booleans `true` and `false`; integers plain; null as nothing; other numbers the shortest way
    that reads back the same, whole ones without a fraction (`2`, as CEL's string() has it); lists and maps as compact
    JSON, keys as they stand (those of an expression's result are sorted), non-ASCII characters as they are.
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case int() | float():
            return repr(value)
        case _:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def filled(text: str, context: Mapping[str, Any], written: Callable[[str], str], *, status: Status = Status()) -> str:
    """A text with its expressions replaced by what `written` makes of the text of what they give."""
    return _filled(split(text), context, status, written)


def _rendered(text: str, context: Mapping[str, Any], status: Status) -> Any:
    if _OPEN not in text:
        return text
    parts = split(text)
    if len(parts) == 1 and isinstance(parts[0], Hole):
        return evaluate(parts[0].cel, context, status=status)
    return _filled(parts, context, status, str)


def _filled(
    parts: Iterable[Literal | Hole], context: Mapping[str, Any], status: Status, written: Callable[[str], str]
) -> str:
    pieces = [
        part.text if isinstance(part, Literal) else written(to_text(evaluate(part.cel, context, status=status)))
        for part in parts
    ]
    result = "".join(pieces)
    if len(result.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        raise ExpressionError(f"the text with its expressions filled in is longer than {MAX_TEXT // 1024} KiB")
    return result


class _Findings:
    """What a tree reads and calls, and whether it is allowed."""

    def __init__(self) -> None:
        self.occurrences: list[Reference] = []
        self.functions: set[str] = set()

    def walk(self, tree: Node) -> None:
        # Depth first by a stack of our own, in the order of the text: a chain may be hundreds of members long.
        stack: list[tuple[Node, frozenset[str]]] = [(tree, frozenset())]
        while stack:
            node, bound = stack.pop()
            stack.extend(reversed(self._step(node, bound)))

    def _step(self, node: Node, bound: frozenset[str]) -> list[tuple[Node, frozenset[str]]]:
        if path := path_of(node):
            if path[0] not in bound and not (isinstance(node, Ident) and node.name in TYPE_NAMES):
                self.occurrences.append(Reference(path, node.start, node.end - node.start))
            return []
        match node:
            case Comprehension(walked=walked, variable=variable, bodies=bodies):
                for body in bodies:
                    _no_comprehension(body)
                return [(walked, bound), *((body, bound | {variable}) for body in bodies)]
            case Call(operator=False):
                self._call(node)
        return [(child, bound) for child in children(node)]

    def _call(self, node: Call) -> None:
        known = METHODS if node.receiver is not None else FUNCTIONS | STATUS_FUNCTIONS
        if node.name not in known:
            where = node.receiver.end + 1 if node.receiver is not None else node.start
            raise ExpressionError(f"there is no function '{node.name}'", where, len(node.name))
        wanted = _arity(node)
        if len(node.arguments) != wanted:
            raise ExpressionError(f"{node.name}() takes {_count(wanted)}", node.start, node.end - node.start)
        self.functions.add(node.name)


def _arity(node: Call) -> int:
    if node.receiver is None:
        return 0 if node.name in STATUS_FUNCTIONS else 1
    return 1 if node.name in ("contains", "startsWith", "endsWith", "matches") else 0


def _count(number: int) -> str:
    return "one argument" if number == 1 else "no arguments"


def _no_comprehension(tree: Node) -> None:
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Comprehension):
            raise ExpressionError(
                f"{node.macro}() stands inside another comprehension; compute it in an output of its own first",
                node.start,
                node.end - node.start,
            )
        stack.extend(children(node))


def _paths(expression: Expression) -> dict[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for path in expression.references:
        found.setdefault(path[0], []).append(path[1:])
    return found


def _needed(value: Any, paths: list[tuple[str, ...]]) -> Any:
    """Only what the paths reach: the rest is neither measured nor copied. What is missing stays missing.

    Raises TooMuch where they reach what is withheld.
    """
    if isinstance(value, Withheld):
        raise TooMuch(value.message)
    if not isinstance(value, Mapping):
        return value
    if not all(paths):
        return {key: _needed(one, [()]) for key, one in value.items()}
    by_key: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        by_key.setdefault(path[0], []).append(path[1:])
    return {key: _needed(value[key], rest) for key, rest in by_key.items() if key in value}


def _answers(status: Status) -> dict[str, Callable[[], bool]]:
    """What the functions that ask how things stand give."""
    return {
        "success": lambda: not (status.failed or status.cancelled or status.skipped),
        "failure": lambda: status.failed,
        "cancelled": lambda: status.cancelled,
        "always": lambda: True,
    }


def _plain(value: Any) -> Any:
    result = _data(value)
    try:
        size = len(result) if isinstance(result, str) else len(json.dumps(result, ensure_ascii=False))
    except ValueError as problem:
        raise TooMuch(str(problem)) from problem
    if size > MAX_TEXT:
        raise TooMuch(f"the result is longer than {MAX_TEXT // 1024} KiB")
    measure(result)
    return result


def _data(value: Any) -> Any:
    match value:
        case None | str() | bool() | int():
            return value
        case float():
            if not math.isfinite(value):
                raise TooMuch("the result is no finite number")
            return value
        case datetime():
            return format_instant(value)
        case timedelta():
            return f"{to_text(value.total_seconds())}s"
        case list():
            return [_data(one) for one in value]
        case dict():
            if not all(isinstance(key, str) for key in value):
                raise TooMuch("the keys of a map are text")
            return {key: _data(value[key]) for key in sorted(value)}  # the library gives them in any order
        case _:
            raise TooMuch(f"a result of type {type(value).__name__} is no data")
