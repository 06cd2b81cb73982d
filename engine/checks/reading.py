"""Reading the expressions in a document's values: where they stand, what they name. Nothing is evaluated."""

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from engine.checks.scope import Path
from engine.expressions.expression import (
    FUNCTIONS,
    METHODS,
    STATUS_FUNCTIONS,
    Expression,
    ExpressionError,
    Hole,
    Reference,
    compile_text,
    split,
)
from engine.kept import OfShort
from schemas.diagnostic import Diagnostic, Related, Rest
from schemas.guesses import Guesses, Names, first_of
from schemas.reader import Authored
from schemas.span import Span

OPEN = "${{"


@dataclass(frozen=True, slots=True)
class Found:
    """An expression in a text: its CEL, where that begins, and whether it is the whole text."""

    cel: str
    offset: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a name in an expression."""

    code: str
    message: str
    hint: str = ""
    related: tuple[Related, ...] = ()
    rests: tuple[Rest, ...] | None = None


Judge = Callable[[Reference, bool], Fault | None]
"""Says what is wrong with a name; it is told whether the name is the whole of a text."""


@dataclass(frozen=True, slots=True)
class Read:
    """An expression that could be read, and where it stands."""

    path: Path
    found: Found
    expression: Expression

    def span(self, authored: Authored, offset: int, length: int) -> Span:
        """The place of a part of the expression."""
        return authored.span_within(*self.path, offset=self.found.offset + offset, length=length)


def faults(
    authored: Authored, value: Any, path: Path, judge: Judge, *, condition: bool = False
) -> Iterator[Diagnostic]:
    """What is wrong with the expressions in a value, by what `judge` says of the names in them."""
    for one in read(authored, value, path, condition=condition):
        yield from judged(authored, one, judge) if isinstance(one, Read) else (one,)


def judged(authored: Authored, one: Read, judge: Judge) -> Iterator[Diagnostic]:
    said: re.Match[str] | None = None
    for reference in one.expression.occurrences:
        whole = one.found.whole and reference.length == len(one.found.cel.strip())
        fault = judge(reference, whole)
        if fault is None or (said is not None and said.start() <= reference.offset < said.end()):
            continue
        said = _dashed(one.found.cel, reference.offset)
        if said is not None:
            right = _in_brackets(said[0])
            message, hint = f"'{said[0][:80]}' is read as a subtraction", f"if it is a name: {right}"
            span = one.span(authored, said.start(), len(said[0]))
            yield Diagnostic(span, fault.code, message, hint, rests=fault.rests)
        else:
            span = one.span(authored, reference.offset, reference.length)
            yield Diagnostic(span, fault.code, fault.message, fault.hint, related=fault.related, rests=fault.rests)


_DASHED = re.compile(r"[A-Za-z_]\w*+(?:\.\w++)*+(?:-[A-Za-z_]\w*+(?:\.\w++)*+)++", re.ASCII)
_IDENTIFIERS = frozenset({"steps", "params", "jobs"})
"""What has no names with a dash in it."""
_SECTION = re.compile(r"\.([^.]+)")


def _dashed(cel: str, offset: int) -> re.Match[str] | None:
    """A name with a dash in it, as in `secrets.web-key.password`, that holds what stands there; else None."""
    if "-" not in cel:
        return None
    found = next((match for match in _DASHED.finditer(cel) if match.start() <= offset < match.end()), None)
    if found is None or "." not in found[0].partition("-")[0] or found[0].partition(".")[0] in _IDENTIFIERS:
        return None
    return found


def _in_brackets(name: str) -> str:
    return _SECTION.sub(lambda part: f"['{part[1]}']" if "-" in part[1] else part[0], name)


def read(authored: Authored, value: Any, path: Path, *, condition: bool = False) -> Iterator[Read | Diagnostic]:
    """The expressions in a value, in the order of the text; a finding for each that cannot be read."""
    for below, text in texts_in(value, path):
        if condition or OPEN in text:
            yield from read_text(authored, text, below, condition=condition)


def read_text(authored: Authored, text: str, path: Path, *, condition: bool = False) -> Iterator[Read | Diagnostic]:
    """The expressions of one text."""
    try:
        holes = found_in(text, condition=condition)
    except ExpressionError as error:
        yield _unreadable(authored, path, error, 0)
        return
    for found in holes:
        try:
            yield Read(path, found, compile_text(found.cel))
        except ExpressionError as error:
            yield _unreadable(authored, path, error, found.offset)


def _unreadable(authored: Authored, path: Path, error: ExpressionError, start: int) -> Diagnostic:
    span = authored.span_within(*path, offset=start + error.offset, length=error.length)
    return Diagnostic(span, "OC401", error.message, _advice(error.message))


_ADVICE = (
    ("matching '}}'", "close it with '}}'; a text within is quoted and ends before that"),
    ("'=' has", "write == to compare; nothing is assigned"),
    ("found 'and'", "write &&"),
    ("found 'or'", "write ||"),
    ("'#' has", "there are no comments in an expression"),
    ("'‘'", "write straight quotes: ' or \""),
    ("'“'", "write straight quotes: ' or \""),
    ("'$' has", "within '${{ }}' names stand by themselves, without '$'"),
    ("is no expression", ""),
)
"""What usually helps, by words of the message."""


_FUNCTIONS = Names(FUNCTIONS | STATUS_FUNCTIONS | METHODS)


def _advice(message: str) -> str:
    if unknown := re.match(r"there is no function '(\w+)'", message):
        if unknown[1] in METHODS:
            return f"it is called on a value, as in value.{unknown[1]}(…)"
        if unknown[1] in FUNCTIONS | STATUS_FUNCTIONS:
            return f"it is called by itself, as in {unknown[1]}({'value' if unknown[1] in FUNCTIONS else ''})"
        near = _FUNCTIONS.near(unknown[1])
        return f"did you mean '{near}'?" if near else "the functions are those of CEL: size, int, matches, …"
    otherwise = "text within an expression is quoted: \"…\" or '…'" if "'" in message else ""
    return next((advice for words, advice in _ADVICE if words in message), otherwise)


def named(
    what: str, root: str, rest: list[str], known: Mapping[str, Any] | Set[str], guesses: Guesses, add: str = ""
) -> Fault | None:
    """A fault where a member of `root` is none of those known."""
    if not rest or rest[0] in known:
        return None
    near = guesses.near(rest[0], known)
    hint = f"did you mean '{near}'?" if near else add or f"'{root}' has {first_of(sorted(known), 20)}"
    return Fault("OC402", f"there is no {what} '{rest[0]}' in '{root}'", hint)


def found_in(text: str, *, condition: bool) -> tuple[Found, ...]:
    """Raises ExpressionError for marks that are not closed, and for a condition that is more than one expression."""
    return _kept(text, condition=condition)


def _found_in(text: str, *, condition: bool) -> tuple[Found, ...]:
    parts = split(text)
    holes = [part for part in parts if isinstance(part, Hole)]
    if not condition:
        return tuple(Found(hole.cel, hole.cel_offset, len(parts) == 1) for hole in holes)
    stripped = text.strip()
    if not holes:
        return (Found(stripped, text.find(stripped), True),)
    if len(holes) == 1 and holes[0].length == len(stripped):
        return (Found(holes[0].cel, holes[0].cel_offset, True),)
    message = "a condition is one expression: write all of it inside the marks, or none"
    raise ExpressionError(message, holes[0].offset, holes[0].length)


_kept = OfShort(_found_in, 4_096)


def well_marked(text: str) -> bool:
    """Whether every `${{` is closed."""
    try:
        found_in(text, condition=False)
    except ExpressionError:
        return False
    return True


def texts_in(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts in a value, in order, without recursion."""
    if isinstance(value, str):  # as most are
        yield path, value
        return
    waiting: list[tuple[Path, Any]] = [(path, value)]
    while waiting:
        here, one = waiting.pop()
        match one:
            case str():
                yield here, one
            case Mapping():
                waiting += [((*here, key), below) for key, below in reversed(list(one.items()))]
            case list() | tuple():
                waiting += [((*here, index), below) for index, below in reversed(list(enumerate(one)))]
