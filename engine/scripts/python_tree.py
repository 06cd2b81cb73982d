"""The tree of a script for Python, walked by the fields that hold nodes: each script is, several times.

`ast.walk` asks every field of every node, and gives what says nothing here: operators, and whether a name is read.
"""

import ast
from collections.abc import Iterator

_WITHOUT_NODES = frozenset(
    {"ctx", "op", "ops", "id", "attr", "kind", "type_comment", "level", "conversion", "simple", "is_async", "module"}
)
"""Fields that hold no node, or one that says nothing here."""


class _Fields(dict[type[ast.AST], tuple[str, ...]]):
    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        self[kind] = found = tuple(name for name in kind._fields if name not in _WITHOUT_NODES)
        return found


FIELDS = _Fields({ast.Name: (), ast.Constant: ()})
"""The fields of a node that may hold nodes or lists of them."""


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below one, in the order of `ast.iter_child_nodes`."""
    found: list[ast.AST] = []
    for name in FIELDS[node.__class__]:
        value = getattr(node, name, None)
        if value.__class__ is list:
            found += [one for one in value if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def walked(tree: ast.AST) -> list[ast.AST]:
    """All nodes, each after the one above it, in the order of `ast.walk`."""
    nodes = [tree]
    for node in nodes:
        nodes += children(node)
    return nodes


_TEXTS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Name: ("id",),
    ast.Attribute: ("attr",),
    **dict.fromkeys(
        (ast.Constant, ast.Call, ast.Expr, ast.Assign, ast.BinOp, ast.List, ast.Tuple, ast.Subscript, ast.Dict), ()
    ),
}


def texts_of(node: ast.AST) -> Iterator[str]:
    """The names that a node holds as texts. A constant is no name."""
    for name in _TEXTS.get(node.__class__, node._fields):
        value = getattr(node, name, None)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (one for one in value if isinstance(one, str))
