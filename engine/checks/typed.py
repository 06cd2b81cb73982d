"""Expressions that cannot give what is asked for, or compare what cannot be compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.checks.reading import OPEN, Read, found_in, read
from engine.checks.scope import Path
from engine.expressions import inference
from engine.expressions.expression import Expression, ExpressionError, compile_text
from engine.expressions.inference import Choices, Lookup, Mismatch, Types
from engine.expressions.literals import NotLiteralError, literal
from engine.expressions.syntaxtree import path_of
from engine.userschema import faults_of
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
    code: str = "OC309",
) -> Iterator[Diagnostic]:
    """That a text with expressions cannot give what a JSON Schema asks for. What is wrong within them is not said.

    `written`: where text is asked for, a number is written out, as the inputs of steps have it. `left_out`: an
    expression that gives nothing leaves it out. `code`: of a literal of the right type that the schema does not take.
    """
    wanted = inference.accepted(schema)
    if wanted is not None and written and inference.TEXT & wanted:
        wanted |= {"int", "double", "bool"}
    if wanted is not None and left_out:
        wanted |= inference.NULL
    if not isinstance(value, str) or OPEN not in value:
        return
    parts = tuple(read(authored, value, path))
    if not all(isinstance(one, Read) for one in parts):
        return
    first = parts[0]
    if isinstance(first, Read) and first.found.whole:
        types, wrong = typing.of(first.expression)
        if types is not None and wanted is not None and not wrong and not types & wanted:
            span = first.span(authored, 0, len(first.found.cel))
            message = f"the expression gives {inference.said(types)}, and {inference.said(wanted)} is asked for"
            yield Diagnostic(span, "OC408", message, _hint(types, wanted))
        elif not wrong:
            yield from _literal(authored, first, schema, code)
    elif wanted is not None and not inference.TEXT & wanted:
        message = f"a text with expressions in it is text, and {inference.said(wanted)} is asked for"
        hint = "write the expression alone: then its type is kept"
        yield Diagnostic(authored.span(*path), "OC408", message, hint)


def _literal(authored: Authored, one: Read, schema: Mapping[str, Any], code: str) -> Iterator[Diagnostic]:
    """What a schema has against a value that an expression writes out."""
    try:
        value = literal(one.expression.tree)
    except NotLiteralError:
        return
    if value is None or (schema.get("type") in ("string", None) and not isinstance(value, str)):
        return  # left out, or written out as text
    plain = {key: part for key, part in schema.items() if key not in ("required", "secret")}
    for _, message in faults_of(plain, value):
        span = one.span(authored, 0, len(one.found.cel))
        yield Diagnostic(span, code, f"the expression gives a value that is not taken: {message}")


@dataclass(frozen=True, slots=True)
class Items:
    """What an item of a loop is called, and what is known of it: its types, or the path that is walked."""

    name: str
    types: Types = None
    walked: tuple[str, ...] = ()

    def looked_up(self, path: tuple[str, ...], others: Lookup) -> Types:
        """The types of a path for which the item stands, and of any other by `others`."""
        if path[0] != self.name:
            return others(path)
        if self.walked:
            return others((*self.walked, inference.ITEM, *path[1:])) if inference.is_list(others(self.walked)) else None
        return self.types if len(path) == 1 else None


def of_loop(name: str, items: Any) -> Items:
    """What the items of a loop are, where they are written out, as a list or in one expression, or read from a path."""
    if isinstance(items, str):
        try:
            found = found_in(items, condition=False)
            tree = compile_text(found[0].cel).tree if len(found) == 1 and found[0].whole else None
            if tree is None:
                return Items(name)
            if walked := path_of(tree):
                return Items(name, walked=walked if walked[0] != name else ())
            items = literal(tree)
        except (ExpressionError, NotLiteralError):
            return Items(name)
    return Items(name, _of_each(items))


def _of_each(items: Any) -> Types:
    if not isinstance(items, list | tuple) or not items:
        return None
    found_types = [None if isinstance(item, str) and OPEN in item else inference.of_value(item) for item in items]
    if any(types is None for types in found_types):
        return None
    return frozenset().union(*(types for types in found_types if types is not None))


def params(declared: Mapping[str, Mapping[str, Any]], path: tuple[str, ...]) -> Types:
    """The types of `params.<name>` and what is in it, by its schema; one that may be left out may be nothing."""
    if len(path) == 1:
        return frozenset({"map"})
    param = declared.get(path[1])
    if param is None or param.get("secret") is True:
        return None
    if len(path) > 2:
        return within(param, path[2:])
    types = inference.of_schema(param)
    sure = param.get("required") is True or "default" in param
    return types if types is None or sure else types | inference.NULL


def within(shape: Mapping[str, Any], path: tuple[str, ...]) -> Types:
    """The types of what a path leads to in a value of this JSON Schema; None where it says nothing of it."""
    below = _below(shape, path)
    return inference.of_schema(below) if below is not None else inference.ABSENT


def texts_within(shape: Mapping[str, Any], path: tuple[str, ...]) -> frozenset[str]:
    """The texts that a path may read there, where an `enum` lists them."""
    listed = (_below(shape, path) or {}).get("enum")
    return frozenset(listed) if isinstance(listed, list) else frozenset()


def choices_of(declared: Mapping[str, Mapping[str, Any]], path: tuple[str, ...]) -> frozenset[str]:
    """The texts that `params.<name>` may be, where its `enum` lists them."""
    param = declared.get(path[1], {}) if len(path) == 2 and path[0] in ("params", "inputs") else {}
    listed = param.get("enum")
    return frozenset(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else frozenset()


def _below(schema: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any] | None:
    """The schema of an item or a property; empty where it is not written out, None where there cannot be any."""
    for part in path:
        below = _of_items(schema) if part == inference.ITEM else _of_member(schema, part)
        if below is False:
            return None
        if not isinstance(below, Mapping):
            return {}
        schema = below
    return schema


def _of_items(schema: Mapping[str, Any]) -> Any:
    """Where the first items have schemas of their own, nothing is said of any item."""
    return schema.get("items") if "prefixItems" not in schema else None


def _of_member(schema: Mapping[str, Any], name: str) -> Any:
    """False where there cannot be such a member."""
    named = schema.get("properties") or {}
    if name in named:
        return named[name]
    return schema.get("additionalProperties") if schema.get("type") == "object" else None


def _hint(types: frozenset[str], wanted: frozenset[str]) -> str:
    if types & inference.TEXT and wanted & inference.INT:
        return "int(x) makes a number of a text"
    if types - inference.NULL == {"map"}:
        return "read a member of it; outputs of a job with targets are by target: jobs.<id>.outputs.<name>['web-01']"
    if inference.is_list(types):
        return "read an item of it by its number, as in x[0]"
    if wanted & inference.TEXT:
        return "string(x) makes a text of it"
    return "compare it with something, as in x == 1" if wanted == inference.BOOL else ""
