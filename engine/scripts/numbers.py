"""Which expressions certainly give a number: such a value holds no command, wherever a script puts it."""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.expressions.expression import ExpressionError, Hole, compile_text, split
from engine.expressions.inference import NULL, Lookup, Types, infer, of_schema

_NUMBERS = frozenset({"int", "double"}) | NULL
"""Nothing is written as an empty text."""
_OF_STEP = frozenset({"exitCode", "attempts", "duration"})


def unknown(path: tuple[str, ...]) -> Types:
    """Types where nothing is known of what an expression reads."""
    return None


def of_params(
    params: Mapping[str, Mapping[str, Any]],
    *,
    items: frozenset[str] = frozenset(),
    outputs: Iterable[tuple[str, str, Any]] = (),
) -> Lookup:
    """Types of what a script reads, by the schemas of params (of a library's step: its inputs).

    `items` are the names of loops around the script. `outputs` are those of steps that have an id of their own and no
    loop, as they are written, in the order of the text: step, name, value. Validation and planning ask the same, so
    that they agree.
    """
    numbers: set[tuple[str, str]] = set()

    def lookup(path: tuple[str, ...]) -> Types:
        match path:
            case (root, *_) if root in items:
                return None
            case ("params" | "inputs", name):
                param = params.get(name)
                return None if param is None or param.get("secret") is True else of_schema(param)
            case ("steps", _, name) if name in _OF_STEP:
                return _NUMBERS
            case ("steps", step, "outputs", name) if (step, name) in numbers:
                return _NUMBERS
            case ("run", "attempt"):
                return _NUMBERS
        return None

    def in_outputs(path: tuple[str, ...]) -> Types:
        """The step's own result has bare names there."""
        return _NUMBERS if len(path) == 1 and path[0] in _OF_STEP else lookup(path)

    for step, name, value in outputs:
        if _gives_number(value, in_outputs):
            numbers.add((step, name))
        else:
            numbers.discard((step, name))
    return lookup


def _gives_number(value: Any, types: Lookup) -> bool:
    if not isinstance(value, str):
        return isinstance(value, int | float) and not isinstance(value, bool)
    try:
        parts = split(value)
    except ExpressionError:
        return False
    return len(parts) == 1 and isinstance(parts[0], Hole) and is_number(parts[0].cel, types)


def is_number(cel: str, types: Lookup) -> bool:
    """Whether the expression gives a number, or nothing, whatever it reads: `int(x)`, `size(x)`, a param so typed."""
    try:
        found, _ = infer(compile_text(cel).tree, types)
    except ExpressionError:
        return False
    return found is not None and bool(found) and found <= _NUMBERS
