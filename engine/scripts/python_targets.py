"""What the statements of a script for Python set, and which of them are in a loop."""

import ast
from collections.abc import Iterable, Iterator

from engine.scripts.python_names import ANY_VARIABLE, EVERY_VARIABLE
from engine.scripts.python_tree import walked

_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def repeated(nodes: Iterable[ast.AST]) -> set[int]:
    """What stands in a loop."""
    found: set[int] = set()
    for node in nodes:
        if isinstance(node, _LOOPS) and id(node) not in found:
            found.update(map(id, walked(node)))
    return found


def named_by(target: ast.AST) -> list[str]:
    """The name that an assignment gives something to, without what it changes otherwise."""
    return [target.id] if isinstance(target, ast.Name) else []


def calls_of(target: ast.AST) -> Iterator[ast.Call]:
    """`f()` in `f()['a'].b`"""
    while isinstance(target, ast.Subscript | ast.Attribute | ast.Starred):
        target = target.value
    if isinstance(target, ast.Call):
        yield target


def names_set(target: ast.AST) -> list[str]:
    """The names that an assignment to this changes: of `a.b[i] = x` it is a."""
    found: list[str] = []
    waiting = [target]
    while waiting:
        match waiting.pop():
            case ast.Tuple(elts=items) | ast.List(elts=items):
                waiting += items
            case ast.Name(id=name):
                found.append(ANY_VARIABLE if name == EVERY_VARIABLE else name)
            case ast.Subscript(value=inner) | ast.Attribute(value=inner) | ast.Starred(value=inner):
                waiting.append(inner)
            case ast.Call(func=ast.Attribute(value=inner)):  # d.setdefault('a', []).append(x)
                waiting.append(inner)
            case ast.BoolOp(values=items):
                waiting += items
    return found


def names_captured(pattern: ast.AST) -> Iterator[str]:
    """The names that a pattern of `case` sets."""
    for node in walked(pattern):
        match node:
            case (
                ast.MatchAs(name=str() as name)
                | ast.MatchStar(name=str() as name)
                | ast.MatchMapping(rest=str() as name)
            ):
                yield name
