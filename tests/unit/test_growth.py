"""What a small document can make the validator do: no more than its size allows. Calls are counted, and not seconds."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from engine.userschema import Problem, faults_of, problems_of

AT_MOST = 8
"""Times the calls, for four times the size: linear would be 4, quadratic 16."""
TOO_LONG = "to compare it with its schema takes too long; make the schema simpler, or the value smaller"


def calls(work: Callable[[], object]) -> int:
    """How many functions are called meanwhile, those of libraries too."""
    number = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return number


def _all_of(size: int) -> tuple[dict[str, Any], Any]:
    return {"items": {"allOf": [{"minimum": -n} for n in range(size)]}}, [1] * size


def _any_of(size: int) -> tuple[dict[str, Any], Any]:
    return {"items": {"anyOf": [{"minimum": n + 2} for n in range(size)]}}, [1] * size


def _one_of(size: int) -> tuple[dict[str, Any], Any]:
    return {"items": {"oneOf": [{"minimum": n + 1} for n in range(size)]}}, [1] * size


def _contains(size: int) -> tuple[dict[str, Any], Any]:
    return {"allOf": [{"contains": {"const": -n - 1}} for n in range(size // 2)]}, [1] * size


def _conditional(size: int) -> tuple[dict[str, Any], Any]:
    asked = [{"if": {"minimum": n + 2}, "then": False} for n in range(size // 2)]
    return {"items": {"allOf": asked}}, [1] * size


def _properties(size: int) -> tuple[dict[str, Any], Any]:
    wanted = {"properties": {f"p{n}": {"type": "integer"} for n in range(size)}}
    return {"items": wanted}, [{f"p{n}": 1} for n in range(size)]


def _enum(size: int) -> tuple[dict[str, Any], Any]:
    return {"items": {"enum": [f"x{n}" for n in range(size)]}}, [f"x{size - 1}"] * size


def _unique(size: int) -> tuple[dict[str, Any], Any]:
    return {"allOf": [{"uniqueItems": True}] * size}, list(range(size))


COMPARED = {
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "contains": _contains,
    "if": _conditional,
    "properties": _properties,
    "enum": _enum,
    "uniqueItems": _unique,
}


@pytest.mark.parametrize("shape", COMPARED)
def test_a_value_is_compared_in_steps_linear_in_it(shape: str) -> None:
    """Whatever the schema: `size` schemas times `size` values come to an end before all are compared."""

    def compared(size: int) -> int:
        schema, value = COMPARED[shape](size)
        assert problems_of(schema) == ()
        return calls(lambda: faults_of(schema, value))

    compared(2)
    assert compared(480) <= AT_MOST * compared(120)


def test_what_is_not_compared_to_the_end_does_not_fit() -> None:
    schema, value = _all_of(900)

    assert faults_of(schema, value) == (((), TOO_LONG),)
    assert faults_of(schema, value[:3]) == ()


def test_long_lists_of_what_is_one_of_many_are_ordinary() -> None:
    schema, value = _enum(5_000)

    assert faults_of(schema, value) == ()
    assert [path for path, _ in faults_of(schema, [*value, "y"])] == [(5_000,)]


@pytest.mark.parametrize("keyword", ["required", "type", "dependentRequired"])
def test_a_schema_is_judged_in_steps_linear_in_it(keyword: str) -> None:
    """Keys that cannot be sorted would be told apart one by one."""

    def judged(size: int) -> int:
        keys = [key for n in range(size) for key in (str(n), n)]
        schema = {"items": {keyword: {"a": keys} if keyword == "dependentRequired" else keys}}
        found: list[Problem] = []
        number = calls(lambda: found.extend(problems_of(schema)))
        assert len(found) == 1
        return number

    judged(2)
    assert judged(400) <= AT_MOST * judged(100)
