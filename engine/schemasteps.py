"""How many steps it takes to compare a value with a JSON Schema, and the end of it where they are too many.

The work of a keyword is what it reads, so that schemas times values, alternatives within alternatives and long lists
in long lists all come to an end after a time that is linear in the value.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

FREE = 10_000
"""Steps that any value may take."""
EACH = 25
"""Steps more for each value within it, itself included."""

Check = Callable[[Any, Any, Any, Any], Any]
Known = TypeVar("Known")

_ON = frozenset(
    {"items", "prefixItems", "properties", "additionalProperties", "propertyNames", "allOf", "$ref", "if",
     "dependentSchemas"}
)  # fmt: skip
"""Keywords that hand on what others found. Messages of the rest show the value, or what was asked for."""
_READING = frozenset({"const", "enum", "uniqueItems", "pattern"})
"""Keywords that read the whole of a value."""
_UNEVALUATED = frozenset({"unevaluatedItems", "unevaluatedProperties"})
_TEXT = 100
"""Characters that are read in a step."""


class TooMany(Exception):  # noqa: N818 -- said by `faults_of` as a fault of the value
    """The steps are spent."""


def allowed(value: Any) -> int:
    """Steps that comparing a value may take, whatever the schema: linear in the value."""
    return FREE + EACH * size(value)


def size(value: Any, most: float = float("inf")) -> int:
    """The values within a value, itself included, long texts for more; where they are more than `most`, at least it."""
    total, waiting = 0, [value]
    while waiting and total <= most:
        match waiting.pop():
            case dict() as found:
                total += 1
                waiting += found.values()
            case list() as found:
                total += 1
                waiting += found
            case str() as found:
                total += 1 + len(found) // _TEXT
            case _:
                total += 1
    return total


@dataclass(slots=True)
class _Steps:
    left: int
    known: dict[int, Any] = field(default_factory=dict)

    def take(self, number: int) -> None:
        self.left -= number
        if self.left < 0:
            raise TooMany

    def read(self, value: Any) -> None:
        self.take(size(value, self.left))


_STEPS: ContextVar[_Steps] = ContextVar("steps")


@contextmanager
def counting(value: Any) -> Iterator[None]:
    """Within it, what `counted` gave raises TooMany after the steps that are allowed for the value."""
    token = _STEPS.set(_Steps(allowed(value)))
    try:
        yield
    finally:
        _STEPS.reset(token)


def counted(keyword: str, check: Check) -> Check:
    """The check of a keyword, which takes its steps first."""

    def checked(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        steps = _STEPS.get()
        steps.take(1 + _walked(keyword, wanted, instance))
        if keyword in _READING:
            steps.read(instance)
        elif keyword in _UNEVALUATED:
            steps.read(schema)
        for fault in check(validator, wanted, instance, schema) or ():
            if keyword not in _ON or fault.validator is None:  # None: a schema that is false
                steps.read(instance)
                if keyword != "enum":  # its message is our own
                    steps.read(wanted)
            yield fault

    return checked


def _walked(keyword: str, wanted: Any, instance: Any) -> int:
    """What a keyword goes through itself, whether or not something is found there."""
    names = len(wanted) // 10 if isinstance(wanted, dict | list) and keyword != "enum" else 0
    within = len(instance) if isinstance(instance, dict | list) else 0
    if keyword in _UNEVALUATED:
        return within * within // 100  # the library looks for each in a list of those it knows
    return names + (within // 10 if keyword == "additionalProperties" else 0)


def once(asked: list[Any], make: Callable[[], Known]) -> Known:
    """What a keyword's value means, worked out once while steps are counted, and paid for."""
    steps = _STEPS.get()
    if id(asked) not in steps.known:
        steps.known[id(asked)] = make()
    return cast("Known", steps.known[id(asked)])
