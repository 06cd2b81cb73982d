"""JSON Schemas that users write (2020-12): whether they are sound, and what is wrong with a value.

Bounded by construction, since a schema comes from a commit and a value from a request: patterns are matched by a
library that never goes back (no look-around, no back-references), references stay within the schema and unfold to a
bounded size, comparing stops after a number of steps that is linear in the value, and nothing is fetched.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic_core import ValidationError

from engine import patterns, schemasteps
from engine.kept import SHORT, OfLong, OfShort
from engine.plainschema import fits, is_sound, is_well_formed
from schemas.guesses import Guesses, Names
from schemas.keywords import KEYWORDS

if TYPE_CHECKING:
    import jsonschema
    from jsonschema.protocols import Validator

Path = tuple[str | int, ...]

MAX_UNFOLDED = 1_000
"""Schemas within one, those that `$ref` names counted where they are used."""
TOO_LARGE = f"its pattern, with those before it, has more than {patterns.MAX_TOGETHER:,} parts written out"
SMALLER = "write [A-Za-z0-9_] where \\w is not meant for all of Unicode, and minLength and maxLength for long counts"
_SHORT = 200
"""Characters of a value that a message shows."""

REFUSED = frozenset(
    {
        "$id", "$schema", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary", "id",
        "patternProperties",
    }
)  # fmt: skip
"""What would make a schema depend on others, or its keys on patterns."""
_DATA = frozenset({"default", "const", "enum", "examples"})
_NAMED = frozenset({"properties", "$defs", "dependentSchemas", "dependentRequired"})
"""Keywords whose values are mappings by names that are no keywords."""
_LISTS = frozenset({"required", "type"})
_WITHIN = KEYWORDS | {"required"}
"""Within a param `required` is a list of keys, as everywhere else; of a param itself it is true or false."""
_NAMES = Names(_WITHIN)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a schema, and where in it."""

    path: Path
    message: str
    hint: str = ""
    on_key: bool = False
    """Whether the key is at fault, and not what stands there."""


def problems_of(schema: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Why a schema cannot be used; nothing where it can."""
    return () if is_sound(schema) else _problems(json.dumps(schema, sort_keys=True))


def faults_of(schema: Mapping[str, Any], value: Any) -> tuple[tuple[Path, str], ...]:
    """Where and why a value is not what a schema asks for; nothing for a schema that cannot be used.

    What takes more steps than `engine.schemasteps.allowed` gives is a fault too: nobody has looked at the rest.
    """
    if is_sound(schema) and fits(schema, value):
        return ()
    text = json.dumps(schema, sort_keys=True)
    if _problems(text):
        return ()
    found: list[tuple[Path, str]] = []
    try:
        with schemasteps.counting(value):
            found.extend((tuple(error.absolute_path), _said(error)) for error in _validator(text).iter_errors(value))
    except schemasteps.TooMany:
        found.append(
            ((), "to compare it with its schema takes too long; make the schema simpler, or the value smaller")
        )
    return tuple(found)


def _problems(text: str) -> tuple[Problem, ...]:
    return _kept.answer(text.encode(), lambda: _all_problems(text))


def _is_small(problems: tuple[Problem, ...]) -> bool:
    return sum(len(one.message) + len(one.hint) + len(str(one.path)) for one in problems) <= SHORT


_kept = OfLong(4_096, small=_is_small)


def _all_problems(text: str) -> tuple[Problem, ...]:
    schema = json.loads(text)
    # Before any is compiled: a schema of an MCP server or a plug-in comes with no commit that bounds them.
    together = tuple(_too_large(schema))
    return together or tuple(_own_rules(schema)) or tuple(_too_much(schema)) or tuple(_meta_fault(schema))


def patterns_in(schema: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The patterns that a schema compares texts with, each as often as it is written."""
    if not is_sound(schema):  # what is has none
        yield from (((*path, key), value) for path, key, value in _keys(schema) if _is_pattern(key, value))


def _is_pattern(key: str, value: Any) -> bool:
    return key == "pattern" and isinstance(value, str)


def _too_large(schema: Mapping[str, Any]) -> Iterator[Problem]:
    sizes: dict[str, int] = {}
    for path, pattern in patterns_in(schema):
        sizes[pattern] = patterns.compiling(pattern)
        if sum(sizes.values()) > patterns.MAX_TOGETHER:
            yield Problem(path, TOO_LARGE, SMALLER)
            return


def _own_rules(schema: Any) -> Iterator[Problem]:
    guesses = Guesses()
    for path, key, value in _keys(schema):
        here = (*path, key)
        if key in REFUSED:
            yield Problem(here, f"'{key}' is not allowed in a param", "a param's schema stands alone and is simple")
        elif key == "$ref" and not (isinstance(value, str) and _target(schema, value) is not None):
            hint = "only '#/…' within the same param is followed; nothing is fetched"
            yield Problem(here, f"'$ref' to '{short(value)}' leads nowhere", hint)
        elif key == "pattern" and isinstance(value, str) and not patterns.is_usable(value):
            hint = f"no look-around and no back-references, at most {patterns.MAX_PATTERN} characters; {SMALLER}"
            yield Problem(here, "a pattern that cannot be used", hint)
        elif key == "dependentRequired" and isinstance(value, dict):
            for name, keys in value.items():
                if (number := _not_text(keys)) is not None:
                    yield Problem((*here, name, number), "the name of a key is text")
        elif key in _LISTS and (number := _not_text(value)) is not None:
            # Said before the library looks: it compares what cannot be sorted each with each.
            yield Problem((*here, number), f"an item of '{key}' is text")
        elif key not in _WITHIN:
            near = guesses.near(key, _NAMES)
            hint = f"did you mean '{near}'?" if near else "keys of a mapping's values stand under 'properties'"
            yield Problem(here, f"'{short(key)}' is not a keyword of JSON Schema", hint, on_key=True)


def _not_text(items: Any) -> int | None:
    """The place of the first item of a list that is no text."""
    found = enumerate(items) if isinstance(items, list) else ()
    return next((number for number, item in found if not isinstance(item, str)), None)


def _meta_fault(schema: Any) -> Iterator[Problem]:
    if is_well_formed(schema):
        return
    from jsonschema.exceptions import best_match

    error = best_match(_meta().iter_errors(schema))  # type: ignore[no-untyped-call]
    if error is None:
        return
    if error.absolute_path and error.absolute_path[-1] == "type" and isinstance(error.instance, str):
        message, hint = f"'{short(error.instance)}' is not a type", f"one of {', '.join(_WANTED)}"
        yield Problem(tuple(error.absolute_path), message, hint)
    else:
        yield Problem(tuple(error.absolute_path), f"not JSON Schema: {_said(error)}")


def _too_much(schema: Any) -> Iterator[Problem]:
    """A few references within each other would unfold without end, or to more than anybody can check."""
    sizes: dict[int, int] = {}

    def size(value: Any, open_ones: frozenset[int], *, keywords: bool = True) -> int:
        if isinstance(value, list):
            return sum(size(below, open_ones, keywords=keywords) for below in value)
        if not isinstance(value, dict):
            return 0
        if id(value) in open_ones:
            raise _Endless
        if id(value) not in sizes:
            within = open_ones | {id(value)}
            total = 1 if keywords else 0
            for key, below in value.items():
                if keywords and key in _DATA:
                    continue
                total += size(below, within, keywords=not (keywords and key in _NAMED) if key != "$defs" else False)
            if keywords and isinstance(reference := value.get("$ref"), str):
                total += size(_target(schema, reference), within)
            sizes[id(value)] = total
        return sizes[id(value)]

    try:
        if size(schema, frozenset()) > MAX_UNFOLDED:
            yield Problem((), f"more than {MAX_UNFOLDED:,} schemas, with those that '$ref' names", "make it simpler")
    except RecursionError:
        yield Problem((), "a chain of '$ref' that is too long", "write out what it says")
    except _Endless:
        yield Problem((), "a '$ref' that leads back to itself", "write out what it says, to a fixed depth")


class _Endless(Exception):  # noqa: N818 -- caught in this module
    pass


def _keys(schema: Any) -> Iterator[tuple[Path, str, Any]]:
    """All keywords of a schema and of those in it; what stands under `default`, `const`, `enum` is data."""
    waiting: list[tuple[Path, Any, bool]] = [((), schema, True)]
    while waiting:
        path, value, keywords = waiting.pop()
        if isinstance(value, dict):
            for key, below in value.items():
                if keywords:
                    yield path, key, below
                    if key in _DATA or key in REFUSED:
                        continue
                waiting.append(((*path, key), below, not (keywords and key in _NAMED)))
        elif isinstance(value, list):
            waiting += [((*path, index), below, keywords) for index, below in enumerate(value)]


def _target(schema: Any, reference: str) -> Any:
    """The schema that a local reference names; None where there is none."""
    if reference == "#":
        return schema
    if not reference.startswith("#/") or "%" in reference:
        return None
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, dict) and key in schema:
            schema = schema[key]
        elif isinstance(schema, list) and key.isdecimal() and len(key) < 6 and int(key) < len(schema):
            schema = schema[int(key)]
        else:
            return None
    return schema if isinstance(schema, dict | bool) else None


# --- values -----------------------------------------------------------------------------------------------------------


def _built(text: str) -> "Validator":
    from referencing import Registry

    # An empty registry of its own: the library's default one would fetch what a $ref names.
    validator: Validator = _kind()(json.loads(text), registry=Registry())
    return validator


_validator = OfShort(_built, 1_024)


@lru_cache(maxsize=1)
def _kind() -> Any:
    """The library's validator, less what can take for ever with the wrong text or list, and with its steps counted."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    changed = {"enum": _enum, "pattern": _pattern, "uniqueItems": _unique, "multipleOf": _multiple}
    keywords = {**Draft202012Validator.VALIDATORS, **changed}
    counted = {keyword: schemasteps.counted(keyword, check) for keyword, check in keywords.items()}
    return extend(Draft202012Validator, counted)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1)
def _meta() -> "Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(Draft202012Validator.META_SCHEMA)


def _enum(_: Any, values: list[Any], instance: Any, __: Any) -> Iterator["jsonschema.ValidationError"]:
    """By one look into what was listed once: the library compares with each of the values."""
    from jsonschema import ValidationError as Fault

    if _key(instance) not in _keys_of(values):
        yield Fault("it is not one of the values")


def _keys_of(values: list[Any]) -> frozenset[str]:
    return schemasteps.once(values, lambda: frozenset(map(_key, values)))


def _key(value: Any) -> str:
    """The same for what JSON holds for equal."""
    return json.dumps(_as_compared(value), sort_keys=True)


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator["jsonschema.ValidationError"]:
    from jsonschema import ValidationError as Fault

    matcher = patterns.matcher(pattern)
    if isinstance(instance, str) and matcher is not None:
        try:
            matcher.validate_python(instance)
        except ValidationError:
            yield Fault(f"{short(instance)} does not match {short(pattern)}")


def _unique(_: Any, wanted: bool, instance: Any, __: Any) -> Iterator["jsonschema.ValidationError"]:
    from jsonschema import ValidationError as Fault

    if wanted and isinstance(instance, list):
        seen = set(map(_key, instance))
        if len(seen) < len(instance):
            yield Fault("its items are not all different")


def _multiple(_: Any, factor: float, instance: Any, __: Any) -> Iterator["jsonschema.ValidationError"]:
    """By the decimals as they are written: the library divides binary fractions, and 0.07 is no multiple of 0.01."""
    from jsonschema import ValidationError as Fault

    number = isinstance(instance, int | float) and not isinstance(instance, bool)
    if number and (Fraction(repr(instance)) / Fraction(repr(factor))).denominator != 1:
        yield Fault(f"{instance} is not a multiple of {factor}")


def _as_compared(value: Any) -> Any:
    """1 and 1.0 are one number in JSON."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: _as_compared(below) for key, below in value.items()}
        case list():
            return [_as_compared(below) for below in value]
        case _:
            return value


_FOUND = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
_WANTED = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "null": "nothing",
    "integer": "a whole number",
    "number": "a number",
}


def _said(error: "jsonschema.ValidationError") -> str:
    """What the library found, in the words that the rest of the findings use."""
    match error.validator:
        case "type":
            types = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
            wanted = " or ".join(_WANTED.get(name, str(name)) for name in types)
            return f"it must be {wanted}, not {_FOUND.get(type(error.instance), 'a number')}"
        case "enum":
            return f"{short(error.instance)} is not one of {short(error.validator_value)}"
        case "minimum":
            return f"{error.instance} is less than {error.validator_value}"
        case "maximum":
            return f"{error.instance} is more than {error.validator_value}"
        case _:
            return short(error.message)


def short(value: object) -> str:
    """A value as text of a bounded length."""
    text = value if isinstance(value, str) else _beginning(value)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def _beginning(value: object) -> str:
    """As JSON, and of a long one no more than is shown."""
    text = ""
    for part in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += part
        if len(text) > _SHORT:
            break
    return text
