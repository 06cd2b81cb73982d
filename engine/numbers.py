"""Which expressions certainly give a number: such a value holds no command, wherever a script puts it."""

from collections.abc import Mapping
from typing import Any

from engine.expression import ExpressionError, compile_text
from engine.inference import NULL, Lookup, Types, infer, of_schema

_NUMBERS = frozenset({"int", "double"}) | NULL
"""Nothing is written as an empty text."""
_OF_STEP = frozenset({"exitCode", "attempts", "duration"})


def unknown(path: tuple[str, ...]) -> Types:
    """Types where nothing is known of what an expression reads."""
    return None


def of_params(params: Mapping[str, Mapping[str, Any]], *, items: frozenset[str] = frozenset()) -> Lookup:
    """Types of what a script reads, by the schemas of params (of a library's step: its inputs).

    `items` are the names of loops around the script. Validation and planning ask the same, so that they agree.
    """

    def lookup(path: tuple[str, ...]) -> Types:
        match path:
            case (root, *_) if root in items:
                return None
            case ("params" | "inputs", name):
                param = params.get(name)
                return None if param is None or param.get("secret") is True else of_schema(param)
            case ("steps", _, name) if name in _OF_STEP:
                return _NUMBERS
            case ("run", "attempt"):
                return _NUMBERS
        return None

    return lookup


def is_number(cel: str, types: Lookup) -> bool:
    """Whether the expression gives a number, or nothing, whatever it reads: `int(x)`, `size(x)`, a param so typed."""
    try:
        found, _ = infer(compile_text(cel).tree, types)
    except ExpressionError:
        return False
    return found is not None and bool(found) and found <= _NUMBERS
