"""What a class of a script for Python says without writing it: how a dataclass begins, and what a class inherits."""

import ast
from collections.abc import Iterator, Mapping, Sequence

from engine.scripts.python_calls import called

_RECORDS = frozenset({"dataclass", "define", "frozen", "mutable", "NamedTuple", "BaseModel", "Struct"})
"""Decorators and bases of classes that set their fields from the arguments of their call."""
_MOST = 32
"""Fields of one class with those of its bases: more are not looked at."""


def write_begins(nodes: Sequence[ast.AST]) -> bool:
    """Gives each such class the `__init__` that sets its fields; whether there was one that had none."""
    fields: dict[str, list[str]] = {}
    any_written = False
    for node in nodes:
        if isinstance(node, ast.ClassDef) and any(_last(one) in _RECORDS for one in _marks(node, fields)):
            inherited = [name for base in node.bases for name in fields.get(_last(base), ())]
            found = [*dict.fromkeys((*inherited, *_fields(node)))][:_MOST]
            fields[node.name] = found
            if not any(isinstance(one, ast.FunctionDef) and one.name == "__init__" for one in node.body):
                node.body.append(_begin(found))
                any_written = True
    return any_written


def _marks(node: ast.ClassDef, known: Mapping[str, Sequence[str]]) -> list[ast.expr]:
    inherits = [ast.Name(id="dataclass")] if any(_last(base) in known for base in node.bases) else []
    return [*node.decorator_list, *node.bases, *inherits]


def _last(node: ast.expr) -> str:
    return called(node.func if isinstance(node, ast.Call) else node)[0] or ""


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for one in node.body:
        match one:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                is_of_class = isinstance(annotation, ast.Subscript) and _last(annotation.value) == "ClassVar"
                if not is_of_class:
                    yield name


def _begin(fields: Sequence[str]) -> ast.FunctionDef:
    positional = [ast.arg(arg=name) for name in ("self", *fields)]
    given = ast.arguments(posonlyargs=[], args=positional, kwonlyargs=[], kw_defaults=[], defaults=[])
    body: list[ast.stmt] = [
        ast.Assign(
            targets=[ast.Attribute(value=ast.Name(id="self", ctx=ast.Load()), attr=name, ctx=ast.Store())],
            value=ast.Name(id=name, ctx=ast.Load()),
        )
        for name in fields
    ]
    return ast.FunctionDef(name="__init__", args=given, body=body or [ast.Pass()], decorator_list=[])
