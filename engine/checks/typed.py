"""Expressions that cannot give what is asked for, or compare what cannot be compared."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine import inference
from engine.checks.reading import OPEN, Read, read
from engine.checks.scope import Path
from engine.expression import Expression
from engine.inference import Choices, Lookup, Mismatch, Types
from schemas.diagnostic import Diagnostic, Severity
from schemas.reader import Authored


class Typing:
    """Types of what expressions read, and of the expressions themselves, each asked once."""

    def __init__(self, lookup: Lookup, choices: Choices = inference.nothing_listed) -> None:
        self._lookup, self._choices = lookup, choices
        self._known: dict[str, tuple[Types, tuple[Mismatch, ...]]] = {}

    def of(self, expression: Expression) -> tuple[Types, tuple[Mismatch, ...]]:
        """The types that an expression may give, and what in it cannot fit."""
        if expression.text not in self._known:
            self._known[expression.text] = inference.infer(expression.tree, self._lookup, self._choices)
        return self._known[expression.text]


def nothing_known() -> Typing:
    """Of expressions that read what may be anything."""
    return Typing(lambda _: None)


def mismatches(authored: Authored, one: Read, typing: Typing, wanted: Types = None) -> Iterator[Diagnostic]:
    """What does not fit within an expression; where it is a whole value, also that it does not give the wanted type."""
    types, found = typing.of(one.expression)
    for mismatch in found:
        span = one.span(authored, mismatch.start, mismatch.end - mismatch.start)
        severity: Severity = "error" if mismatch.certain else "warning"
        yield Diagnostic(span, mismatch.code, mismatch.message, mismatch.hint, severity)
    if found or wanted is None or not one.found.whole or types is None or types & wanted:
        return
    span = one.span(authored, 0, len(one.found.cel))
    message = f"the expression gives {inference.said(types)}, and {inference.said(wanted)} is asked for"
    yield Diagnostic(span, "OC408", message, _hint(types, wanted))


def given(
    authored: Authored,
    value: Any,
    path: Path,
    schema: Mapping[str, Any],
    typing: Typing,
    *,
    written: bool = False,
    left_out: bool = False,
) -> Iterator[Diagnostic]:
    """That a text with expressions cannot give what a JSON Schema asks for. What is wrong within them is not said.

    `written`: where text is asked for, a number is written out, as the inputs of steps have it. `left_out`: an
    expression that gives nothing leaves it out.
    """
    wanted = inference.accepted(schema)
    if wanted is not None and written and inference.TEXT & wanted:
        wanted |= {"int", "double", "bool"}
    if wanted is not None and left_out:
        wanted |= inference.NULL
    if wanted is None or not isinstance(value, str) or OPEN not in value:
        return
    parts = tuple(read(authored, value, path))
    if not all(isinstance(one, Read) for one in parts):
        return
    first = parts[0]
    if isinstance(first, Read) and first.found.whole:
        types, wrong = typing.of(first.expression)
        if types is not None and not wrong and not types & wanted:
            span = first.span(authored, 0, len(first.found.cel))
            message = f"the expression gives {inference.said(types)}, and {inference.said(wanted)} is asked for"
            yield Diagnostic(span, "OC408", message, _hint(types, wanted))
    elif not inference.TEXT & wanted:
        message = f"a text with expressions in it is text, and {inference.said(wanted)} is asked for"
        hint = "write the expression alone: then its type is kept"
        yield Diagnostic(authored.span(*path), "OC408", message, hint)


def params(declared: Mapping[str, Mapping[str, Any]], path: tuple[str, ...]) -> Types:
    """The types of `params.<name>` and what is in it, by its schema; one that may be left out may be nothing."""
    if len(path) == 1:
        return frozenset({"map"})
    param = declared.get(path[1])
    if param is None or param.get("secret") is True:
        return None
    if len(path) > 2:
        return inference.of_schema(_below(param, path[2:]))
    types = inference.of_schema(param)
    sure = param.get("required") is True or "default" in param
    return types if types is None or sure else types | inference.NULL


def choices_of(declared: Mapping[str, Mapping[str, Any]], path: tuple[str, ...]) -> frozenset[str]:
    """The texts that `params.<name>` may be, where its `enum` lists them."""
    param = declared.get(path[1], {}) if len(path) == 2 and path[0] in ("params", "inputs") else {}
    listed = param.get("enum")
    return frozenset(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else frozenset()


def _below(schema: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    """The schema of an item or a property; empty where it is not written out."""
    for part in path:
        below = schema.get("items") if part == inference.ITEM else (schema.get("properties") or {}).get(part)
        if not isinstance(below, Mapping):
            return {}
        schema = below
    return schema


def _hint(types: frozenset[str], wanted: frozenset[str]) -> str:
    if types & inference.TEXT and wanted & inference.INT:
        return "int(x) makes a number of a text"
    if wanted & inference.TEXT:
        return "string(x) makes a text of it"
    return "compare it with something, as in x == 1" if wanted == inference.BOOL else ""
