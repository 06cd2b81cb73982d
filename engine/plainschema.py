"""The JSON Schemas that nearly all params have, judged without loading the library: a type, bounds, some values.

What is not plainly sound, and what does not plainly fit, is left to the library, which also finds the words for it.
"""

from collections.abc import Callable, Mapping
from typing import Any


def is_sound(schema: Any) -> bool:
    """Whether a schema is plain and every keyword in it has the kind of value it asks for. False says nothing."""
    return isinstance(schema, dict) and all(key in _SOUND and _SOUND[key](value) for key, value in schema.items())


def is_well_formed(schema: Any) -> bool:
    """Whether each keyword of a schema, and of those within it, has the kind of value it asks for. False says nothing.

    What the library would find by comparing it with the schema of schemas, which takes it a hundred times as long.
    """
    if not isinstance(schema, dict):
        return isinstance(schema, bool)
    return all(key in _FORMED and _FORMED[key](value) for key, value in schema.items())


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is plainly what a sound schema asks for. False says nothing."""
    return all(key not in _FITS or _FITS[key](asked, value) for key, asked in schema.items())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_anything(_: Any) -> bool:
    return True


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": _is_text,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "array": _is_list,
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}
_SOUND: Mapping[str, Callable[[Any], bool]] = {
    "type": lambda value: isinstance(value, str) and value in _TYPES,
    "title": _is_text,
    "description": _is_text,
    "$comment": _is_text,
    "default": _is_anything,
    "examples": _is_list,
    "const": _is_anything,
    "enum": _is_list,
    "minimum": _is_number,
    "maximum": _is_number,
    "exclusiveMinimum": _is_number,
    "exclusiveMaximum": _is_number,
    "minLength": _is_count,
    "maxLength": _is_count,
    "minItems": _is_count,
    "maxItems": _is_count,
    "minProperties": _is_count,
    "maxProperties": _is_count,
}


def _same(one: Any, other: Any) -> bool:
    """As JSON: 1 is not true. (1 is 1.0, but that may be left to the library.)"""
    return type(one) is type(other) and not isinstance(one, list | dict) and one == other


_FITS: Mapping[str, Callable[[Any, Any], bool]] = {
    "type": lambda asked, value: _TYPES[asked](value),
    "const": _same,
    "enum": lambda asked, value: any(_same(one, value) for one in asked),
    "minimum": lambda asked, value: not _is_number(value) or value >= asked,
    "maximum": lambda asked, value: not _is_number(value) or value <= asked,
    "exclusiveMinimum": lambda asked, value: not _is_number(value) or value > asked,
    "exclusiveMaximum": lambda asked, value: not _is_number(value) or value < asked,
    "minLength": lambda asked, value: not isinstance(value, str) or len(value) >= asked,
    "maxLength": lambda asked, value: not isinstance(value, str) or len(value) <= asked,
    "minItems": lambda asked, value: not isinstance(value, list) or len(value) >= asked,
    "maxItems": lambda asked, value: not isinstance(value, list) or len(value) <= asked,
    "minProperties": lambda asked, value: not isinstance(value, dict) or len(value) >= asked,
    "maxProperties": lambda asked, value: not isinstance(value, dict) or len(value) <= asked,
}


def _are_formed(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_well_formed, value))


def _is_formed_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_well_formed, value.values()))


_FORMED: Mapping[str, Callable[[Any], bool]] = {
    **_SOUND,
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _are_formed),
    **dict.fromkeys(("items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"),
                    is_well_formed),
    **dict.fromkeys(("properties", "$defs"), _is_formed_by_name),
    "pattern": _is_text,
}  # fmt: skip
