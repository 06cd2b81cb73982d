"""Schemas of params that ask for what cannot be."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engine.contradictions import contradictions_in
from engine.userschema import problems_of

NOTHING_FITS: dict[str, tuple[dict[str, Any], str]] = {
    "bounds": ({"type": "integer", "minimum": 5, "maximum": 1}, "no number is at least 5 and at most 1"),
    "an open bound": ({"type": "number", "exclusiveMinimum": 1, "maximum": 1}, "no number is above 1 and at most 1"),
    "two open bounds": (
        {"type": "number", "exclusiveMinimum": 1, "minimum": 0, "exclusiveMaximum": 1},
        "no number is above 1 and below 1",
    ),
    "no whole number": (
        {"type": "integer", "minimum": 1.2, "maximum": 1.8},
        "no whole number is at least 1.2 and at most 1.8",
    ),
    "no multiple": (
        {"type": "number", "multipleOf": 0.3, "exclusiveMinimum": 0.6, "maximum": 0.8},
        "no multiple of 0.3 is above 0.6 and at most 0.8",
    ),
    "a whole multiple": (
        {"type": "integer", "multipleOf": 2.5, "minimum": 6, "maximum": 9},
        "no whole multiple of 2.5 is at least 6 and at most 9",
    ),
    "characters": (
        {"type": "string", "minLength": 3, "maxLength": 2},
        "no text has at least 3 and at most 2 characters",
    ),
    "items": ({"type": "array", "minItems": 3, "maxItems": 2}, "no list has at least 3 and at most 2 items"),
    "keys": (
        {"type": "object", "minProperties": 3, "maxProperties": 2},
        "no mapping has at least 3 and at most 2 keys",
    ),
    "no items": (
        {"type": "array", "prefixItems": [{}], "items": False, "minItems": 2},
        "no list has 2 items, where all but the first 1 are refused",
    ),
    "contained": (
        {"type": "array", "contains": {}, "minContains": 2, "maxContains": 1},
        "no list has 2 of what it must contain, and at most 1 such items",
    ),
    "required": (
        {"type": "object", "required": ["a", "b"], "properties": {"a": {}}, "additionalProperties": False},
        "the key 'b' must be there, and is refused",
    ),
    "required and refused": (
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        "the key 'a' must be there, and is refused",
    ),
    "more than there may be": (
        {"type": "object", "required": ["a", "b"], "maxProperties": 1},
        "no mapping has the 2 keys that must be there, and at most 1",
    ),
    "more than there are": (
        {"type": "object", "properties": {"a": {}}, "minProperties": 2, "additionalProperties": False},
        "no mapping has 2 keys, where there may be none but 1",
    ),
    "an empty list": ({"enum": []}, "no value is allowed: the list is empty"),
    "a list of another type": (
        {"type": "string", "enum": [1, 2]},
        "the value 1 can never be given (nor can 1 others): it must be text, not a number",
    ),
    "one value of another type": (
        {"type": "string", "const": 1},
        "1 is the only value, and does not fit: it must be text, not a number",
    ),
    "a value that is not listed": (
        {"const": "c", "enum": ["a", "b"]},
        "\"c\" is the only value, and is not one of those of 'enum'",
    ),
}


@pytest.mark.parametrize(("schema", "message"), NOTHING_FITS.values(), ids=NOTHING_FITS)
def test_a_schema_that_nothing_fits(schema: dict[str, Any], message: str) -> None:
    assert problems_of(schema) == ()
    (found,) = contradictions_in(schema)
    assert (found.message, found.total) == (message, True)


SOMETHING_FITS: dict[str, tuple[dict[str, Any], tuple[str | int, ...]]] = {
    "of any type": ({"minimum": 5, "maximum": 1}, ("minimum",)),
    "of two types": ({"type": ["integer", "null"], "minimum": 5, "maximum": 1}, ("minimum",)),
    "a value": ({"type": "integer", "maximum": 5, "enum": [1, 9, 2]}, ("enum", 1)),
    "below": ({"type": "array", "items": {"minLength": 3, "maxLength": 1}}, ("items", "minLength")),
    "a choice": ({"anyOf": [{"type": "string"}, {"enum": []}]}, ("anyOf", 1, "enum")),
    "a key": ({"properties": {"enum": {"enum": []}}}, ("properties", "enum", "enum")),
}


@pytest.mark.parametrize(("schema", "path"), SOMETHING_FITS.values(), ids=SOMETHING_FITS)
def test_a_part_that_nothing_fits(schema: dict[str, Any], path: tuple[str | int, ...]) -> None:
    (found,) = contradictions_in(schema)
    assert (found.path, found.total) == (path, False)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 1, "maximum": 1},
        {"type": "integer", "enum": [1.0, 2]},
        {"type": ["string", "null"], "enum": ["a", None], "maxLength": 1},
        {"not": {"enum": []}},
        {"type": "object", "required": ["a"], "properties": {"a": {}}, "additionalProperties": False},
        {"type": "number", "multipleOf": 0.1, "minimum": 0.3, "maximum": 0.3},
        {"default": {"minimum": 2, "maximum": 1}},
        {"const": 1, "enum": [1.0]},
        {"minItems": 2, "prefixItems": [{}], "type": "array"},
    ],
)
def test_what_something_fits(schema: dict[str, Any]) -> None:
    assert list(contradictions_in(schema)) == []


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 6), st.sampled_from([0.5, 1.0, 2.5]), st.text("ab", max_size=4),
    st.lists(st.integers(0, 2), max_size=4), st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=3),
)  # fmt: skip
SMALL = st.integers(0, 4)
SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", "array", "object", "boolean", ["integer", "null"]]),
        "minimum": SMALL, "maximum": SMALL, "exclusiveMinimum": SMALL, "exclusiveMaximum": SMALL,
        "multipleOf": st.sampled_from([0.5, 2, 3]), "minLength": SMALL, "maxLength": SMALL, "minItems": SMALL,
        "maxItems": SMALL, "minProperties": SMALL, "maxProperties": SMALL, "enum": st.lists(VALUES, max_size=3),
        "const": VALUES, "items": st.booleans(), "prefixItems": st.just([True]), "contains": st.just(True),
        "minContains": SMALL, "maxContains": SMALL, "required": st.lists(st.sampled_from("abc"), unique=True),
        "properties": st.dictionaries(st.sampled_from("abc"), st.booleans(), max_size=3),
        "additionalProperties": st.booleans(),
    },
)  # fmt: skip


@settings(derandomize=True, max_examples=1500, deadline=None)
@given(schema=SCHEMAS, value=VALUES)
def test_nothing_fits_what_is_said_to_take_no_value(schema: dict[str, Any], value: Any) -> None:
    if any(found.total for found in contradictions_in(schema)):
        assert not Draft202012Validator(schema).is_valid(value)
