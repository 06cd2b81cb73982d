"""Values that expressions write out: constants, and lists and mappings of such. Nothing is evaluated."""

from typing import Any

from engine.expressions.syntaxtree import Call, Collection, Constant, Node


class NotLiteralError(ValueError):
    """An expression that is more than a literal, or one whose value JSON cannot say."""


def literal(node: Node) -> Any:
    """The value of a literal, in terms of JSON. Raises NotLiteralError for everything else."""
    match node:
        case Constant(kind="string", text=text):
            return text
        case Constant(kind="bool", text=text):
            return text == "true"
        case Constant(kind="null"):
            return None
        case Constant(kind="number", text=text):
            return _number(text)
        case Call(operator=True, name="unary -", arguments=(Constant(kind="number", text=text),)):
            return -_number(text)
        case Collection(is_map=False, items=items):
            return [literal(item) for item in items]
        case Collection(items=items):
            return dict(zip(map(literal, items[::2]), map(literal, items[1::2]), strict=True))
    raise NotLiteralError


def _number(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise NotLiteralError from None
