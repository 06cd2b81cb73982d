"""Schemas that users write, and values they are given: sound, bounded, and explained."""

from time import perf_counter
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.userschema import faults_of, problems_of

SOUND: list[dict[str, Any]] = [
    {},
    {"type": "integer", "minimum": 1, "default": 3},
    {"enum": ["a", 1, None]},
    {"type": "array", "items": {"$ref": "#/$defs/leaf"}, "$defs": {"leaf": {"type": "string"}}},
    {"type": "object", "properties": {"$id": {"type": "string"}, "pattern": {"type": "integer"}}},
    {"default": {"$ref": "x"}, "const": {"$id": 1}},
    {"type": "string", "pattern": r"^[a-z]+(-[a-z0-9]+)*$"},
]


@pytest.mark.parametrize("schema", SOUND)
def test_sound_schemas(schema: dict[str, Any]) -> None:
    assert problems_of(schema) == ()


UNSOUND = {
    "an unknown type": ({"type": "integr"}, ("type",)),
    "a wrong keyword": ({"minimum": "1"}, ("minimum",)),
    "below": ({"items": {"minLength": -1}}, ("items", "minLength")),
    "remote": ({"$ref": "https://example.com/x"}, ("$ref",)),
    "a file": ({"$ref": "file:///etc/passwd"}, ("$ref",)),
    "nowhere": ({"items": {"$ref": "#/$defs/x"}}, ("items", "$ref")),
    "an id": ({"$id": "x"}, ("$id",)),
    "another dialect": ({"$schema": "http://json-schema.org/draft-04/schema#"}, ("$schema",)),
    "patterns of keys": ({"patternProperties": {"a": {}}}, ("patternProperties",)),
    "look-around": ({"pattern": "(?=a)b"}, ("pattern",)),
    "a back-reference": ({"pattern": r"(a)\1"}, ("pattern",)),
    "no pattern": ({"pattern": "("}, ("pattern",)),
    "a huge pattern": ({"pattern": "(a{1000}){1000}"}, ("pattern",)),
    "itself": ({"$ref": "#"}, ()),
    "itself below": ({"type": "array", "items": {"$ref": "#"}}, ()),
    "in a circle": ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, ()),
    "a long chain": (
        {"$ref": "#/$defs/d0", "$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(9_000)} | {"d9000": {}}},
        (),
    ),
    "a billion laughs": (
        {
            "$ref": "#/$defs/l0",
            "$defs": {
                **{f"l{n}": {"allOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(40)},
                "l40": {"type": "string"},
            },
        },
        (),
    ),
}


@pytest.mark.parametrize(("schema", "path"), UNSOUND.values(), ids=UNSOUND)
def test_unsound_schemas(schema: dict[str, Any], path: tuple[str, ...]) -> None:
    problems = problems_of(schema)

    assert [problem.path for problem in problems] == [path]
    assert faults_of(schema, "x") == ()


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "integer"}, "3", "it must be a whole number, not text"),
        ({"type": ["string", "null"]}, True, "it must be text or nothing, not true or false"),
        ({"enum": ["a", "b"]}, "c", 'c is not one of ["a", "b"]'),
        ({"minimum": 1}, 0, "0 is less than 1"),
        ({"maximum": 1}, 2, "2 is more than 1"),
        ({"pattern": "^a+$"}, "b", "b does not match ^a+$"),
        ({"uniqueItems": True}, [{"a": 1}, {"a": 1.0}], "its items are not all different"),
    ],
)
def test_faults_are_said_in_plain_words(schema: dict[str, Any], value: object, message: str) -> None:
    assert faults_of(schema, value) == (((), message),)


def test_a_fault_has_a_place() -> None:
    assert [path for path, _ in faults_of({"items": {"type": "integer"}}, [1, "x", 3, None])] == [(1,), (3,)]


def test_no_pattern_and_no_list_takes_long() -> None:
    start = perf_counter()

    assert faults_of({"pattern": "^(a+)+$"}, "a" * 50_000 + "b")
    assert faults_of({"pattern": "a*a*a*a*a*$"}, "a" * 50_000 + "b") == ()
    assert not faults_of({"uniqueItems": True}, [{"n": n} for n in range(16_000)])

    assert perf_counter() - start < 20


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab", max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("ab"), below, max_size=2),
    max_leaves=5,
)
_schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["integer", "number", "string", "array", "object", "boolean", "null"]),
            "minimum": st.integers(-2, 2),
            "maxLength": st.integers(0, 3),
            "pattern": st.sampled_from(["^a", "b$", "a|b", "a+b*"]),
            "uniqueItems": st.booleans(),
            "enum": st.lists(_values, min_size=1, max_size=3),
        },
    ),
    lambda below: st.fixed_dictionaries(
        {},
        optional={
            "items": below,
            "properties": st.fixed_dictionaries({"a": below}),
            "anyOf": st.lists(below, min_size=1, max_size=2),
        },
    ),
    max_leaves=4,
)  # fmt: skip


@given(_schemas, _values)
def test_the_verdict_is_that_of_the_library(schema: dict[str, Any], value: object) -> None:
    assert problems_of(schema) == ()
    assert bool(faults_of(schema, value)) is not jsonschema.Draft202012Validator(schema).is_valid(value)
