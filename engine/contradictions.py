"""Keywords of a JSON Schema that contradict each other, so that there is a sort of value that can never be given.

Each schema within one is looked at by itself, in steps linear in its size. What alternatives, references and patterns
leave over is not worked out: nothing found says nothing. Needs a schema without problems (`engine.userschema`).
"""

import json
import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from engine.plainschema import fits
from engine.userschema import Path, faults_of, short

Schema = Mapping[str, Any]

_ALL = frozenset({"number", "text", "list", "mapping", "boolean", "null"})
_SORTS = {
    "string": "text", "integer": "number", "number": "number", "array": "list", "object": "mapping",
    "boolean": "boolean", "null": "null",
}  # fmt: skip
_COUNTS = (
    ("minLength", "maxLength", "text", "characters"),
    ("minItems", "maxItems", "list", "items"),
    ("minProperties", "maxProperties", "mapping", "keys"),
)
_PLAIN = frozenset(
    {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems",
     "maxItems", "minProperties", "maxProperties"}
)  # fmt: skip
"""What one value is compared with in a bounded number of steps."""
_ASKING = frozenset(
    {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "minContains", "items", "required",
     "minProperties", "enum", "const"}
)  # fmt: skip
"""Without any of these a schema has nothing that could contradict something."""
_ONE = frozenset(
    {"items", "contains", "unevaluatedItems", "additionalProperties", "propertyNames", "unevaluatedProperties", "then",
     "else"}
)  # fmt: skip
"""Keywords with a schema below them. Not `not` and `if`: what never holds may be meant there."""
_SEVERAL = frozenset({"prefixItems", "allOf", "anyOf", "oneOf"})
_BY_NAME = frozenset({"properties", "$defs", "dependentSchemas"})


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Where it is, in which words. `total`: of the whole schema, no value fits at all."""

    path: Path
    message: str
    hint: str
    total: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    message: str
    excluded: frozenset[str]
    hint: str = "change one of the two"


def contradictions_in(schema: Schema) -> Iterator[Contradiction]:
    """What cannot be, outermost first."""
    waiting: deque[tuple[Path, Any]] = deque([((), schema)])
    while waiting:
        path, one = waiting.popleft()
        if isinstance(one, dict):
            found = tuple(_within(one)) if _ASKING & one.keys() else ()
            excluded = frozenset().union(*(each.excluded for each in found))
            total = not path and bool(found) and _sorts(one) <= excluded
            for each in found:
                yield Contradiction((*path, *each.path), each.message, each.hint, total)
            waiting.extend(((*path, *below), inner) for below, inner in _below(one))


def _below(schema: Schema) -> Iterator[tuple[Path, Any]]:
    for key, value in schema.items():
        if key in _ONE:
            yield (key,), value
        elif key in _SEVERAL:
            yield from (((key, number), one) for number, one in enumerate(value))
        elif key in _BY_NAME:
            yield from (((key, name), one) for name, one in value.items())


def _within(schema: Schema) -> Iterator[_Found]:
    yield from _numbers(schema)
    yield from _counts(schema)
    yield from _lists(schema)
    yield from _mappings(schema)
    yield from _values(schema)


def _types(schema: Schema) -> tuple[str, ...]:
    asked = schema.get("type", tuple(_SORTS))
    return (asked,) if isinstance(asked, str) else tuple(asked)


def _sorts(schema: Schema) -> frozenset[str]:
    return frozenset(_SORTS[name] for name in _types(schema))


# --- what must be between two bounds ----------------------------------------------------------------------------------


def _numbers(schema: Schema) -> Iterator[_Found]:
    low, high = _bound(schema, "minimum", "exclusiveMinimum", max), _bound(schema, "maximum", "exclusiveMaximum", min)
    if low is None or high is None:
        return
    least, above = low
    most, under = high
    between = f"{_side(schema, above, 'at least', 'above')} and {_side(schema, under, 'at most', 'below')}"
    if least > most or (least == most and {above, under} & {"exclusiveMinimum", "exclusiveMaximum"}):
        yield _Found((above,), f"no number is {between}", frozenset({"number"}))
        return
    step = _step(schema)
    if step is None:
        return
    first = step * math.ceil(least / step)
    if first == least and above == "exclusiveMinimum":
        first += step
    if first > most or (first == most and under == "exclusiveMaximum"):
        kind = f"multiple of {schema['multipleOf']}" if "multipleOf" in schema else "number"
        kind = f"whole {kind}" if "integer" in _types(schema) and "number" not in _types(schema) else kind
        yield _Found((above,), f"no {kind} is {between}", frozenset({"number"}))


def _bound(schema: Schema, closed: str, opened: str, tighter: Any) -> tuple[Fraction, str] | None:
    """The bound that counts of the two, and its keyword; of equal ones the open one."""
    bounds = [(_exact(schema[key]), key) for key in (opened, closed) if key in schema]
    return tighter(bounds, key=lambda bound: bound[0]) if bounds else None


def _exact(number: float) -> Fraction:
    """As it is written: 0.1 is a tenth."""
    return Fraction(repr(number))


def _side(schema: Schema, key: str, closed: str, opened: str) -> str:
    return f"{opened if key.startswith('exclusive') else closed} {short(schema[key])}"


def _step(schema: Schema) -> Fraction | None:
    """What the numbers are multiples of."""
    whole = "integer" in _types(schema) and "number" not in _types(schema)
    if "multipleOf" not in schema:
        return Fraction(1) if whole else None
    factor = _exact(schema["multipleOf"])
    # p/q in its lowest terms: its multiples that are whole are those of p
    return Fraction(factor.numerator) if whole else factor


def _counts(schema: Schema) -> Iterator[_Found]:
    for fewest, most, sort, what in _COUNTS:
        if schema.get(fewest, 0) > schema.get(most, math.inf):
            message = f"no {sort} has at least {schema[fewest]} and at most {schema[most]} {what}"
            yield _Found((fewest,), message, frozenset({sort}))


# --- lists and mappings -----------------------------------------------------------------------------------------------


def _lists(schema: Schema) -> Iterator[_Found]:
    excluded = frozenset({"list"})
    given = len(schema.get("prefixItems", ()))
    if schema.get("items") is False and schema.get("minItems", 0) > given:
        message = f"no list has {schema['minItems']} items, where all but the first {given} are refused"
        yield _Found(("minItems",), message, excluded)
    if "contains" in schema and "minContains" in schema:
        fewest = schema["minContains"]
        for most, said in (("maxContains", "such items"), ("maxItems", "items")):
            if fewest > schema.get(most, math.inf):
                message = f"no list has {fewest} of what it must contain, and at most {schema[most]} {said}"
                yield _Found(("minContains",), message, excluded)


def _mappings(schema: Schema) -> Iterator[_Found]:
    excluded = frozenset({"mapping"})
    required, known = schema.get("required", ()), schema.get("properties", {})
    if len(required) > schema.get("maxProperties", math.inf):
        message = f"no mapping has the {len(required)} keys that must be there, and at most {schema['maxProperties']}"
        yield _Found(("maxProperties",), message, excluded)
    number = next((number for number, key in enumerate(required) if known.get(key, True) is False), None)
    if schema.get("additionalProperties") is False:
        if schema.get("minProperties", 0) > len(known):
            message = f"no mapping has {schema['minProperties']} keys, where there may be none but {len(known)}"
            yield _Found(("minProperties",), message, excluded)
        number = next((number for number, key in enumerate(required) if known.get(key, False) is False), number)
    if number is not None:
        message = f"the key '{short(required[number])}' must be there, and is refused"
        hint = "describe it under 'properties', or do not require it"
        yield _Found(("required", number), message, excluded, hint)


# --- values that are listed -------------------------------------------------------------------------------------------


def _values(schema: Schema) -> Iterator[_Found]:
    plain = {key: schema[key] for key in _PLAIN & schema.keys()}
    values = schema.get("enum")
    if values is not None:
        unfit = [number for number, value in enumerate(values) if not _fits(plain, value)]
        if not values:
            yield _Found(("enum",), "no value is allowed: the list is empty", _ALL, "list the values that are")
        elif unfit:
            yield _unlisted(plain, values, unfit)
    if "const" in schema:
        value = schema["const"]
        if values and faults_of({"enum": values}, value):
            yield _Found(("const",), f"{_shown(value)} is the only value, and is not one of those of 'enum'", _ALL)
        elif faults := faults_of(plain, value):
            yield _Found(("const",), f"{_shown(value)} is the only value, and does not fit: {faults[0][1]}", _ALL)


def _fits(plain: Schema, value: Any) -> bool:
    """By no more than the plain keywords, and without the library that finds the words."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value  # 1.0 is a whole number
    return any(fits({**plain, "type": one}, whole) for one in _types(plain))


def _shown(value: Any) -> str:
    """With the quotes that tell a text from a number."""
    return short(json.dumps(value, ensure_ascii=False) if isinstance(value, str) else value)


def _unlisted(plain: Schema, values: list[Any], unfit: list[int]) -> _Found:
    """One finding for all of them, at the first."""
    ((_, reason), *_) = faults_of(plain, values[unfit[0]])
    others = f" (nor can {len(unfit) - 1} others)" if len(unfit) > 1 else ""
    message = f"the value {_shown(values[unfit[0]])} can never be given{others}: {reason}"
    none = _ALL if len(unfit) == len(values) else frozenset[str]()
    return _Found(("enum", unfit[0]), message, none, "remove it, or change the keyword that refuses it")
