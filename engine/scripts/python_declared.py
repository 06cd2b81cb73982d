"""What a script for Python declares: its functions and classes, what it imports, and which names it gives to what."""

import ast
import re
from collections.abc import Iterator, Sequence

from engine.scripts.python_calls import EVALUATING, SHELL_TEXT, STARTING, called
from engine.scripts.python_classes import write_begins
from engine.scripts.python_names import FUNCTIONS, NUMBERS, Function, Names, name_of
from engine.scripts.python_tree import walked

_FEW = 4
"""Begins that a class may take from one of its bases."""
_KNOWN = EVALUATING | STARTING | SHELL_TEXT
_UNASKED = frozenset(
    {
        "__init__", "__new__", "__post_init__", "__str__", "__repr__", "__format__", "__bool__", "__len__",
        "__hash__", "__exit__", "__aexit__", "__del__", "__eq__", "__init_subclass__",
    }
)  # fmt: skip
"""Methods that Python calls itself, of which no value is followed. All others have names like these:"""
_IMPLICIT = re.compile(r"__[a-z_]+__")


def declared(tree: ast.Module, nodes: Sequence[ast.AST], env: frozenset[str]) -> Names:
    """What the tree declares; `nodes` are all that it has. Of `env` the values are followed."""
    names = Names(env=env)
    nodes = walked(tree) if write_begins(nodes) else nodes
    for node in nodes:
        if node.__class__ in _COLLECTED:
            _collect(node, names)
    _wrap(names)
    _hand(nodes, names)
    return names


_COLLECTED = frozenset(
    {
        ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.Attribute, ast.Import, ast.ImportFrom,
        ast.Name, ast.arg, ast.Call,
    }
)  # fmt: skip


def _collect(node: ast.AST, names: Names) -> None:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            names.functions[name].append(node)
            if any(_last(one).endswith("property") for one in node.decorator_list):
                names.properties.add(name)
        case ast.ClassDef(name=name, body=body):
            begins: list[Function] = [
                one for one in body if isinstance(one, ast.FunctionDef) and one.name == "__init__"
            ]
            for base in () if begins else node.bases:
                begins += names.functions.get(_last(base), [])[:_FEW]
            names.functions[name] += begins
            names.classes.add(name)
            if any(_last(base).endswith(("Enum", "Flag")) for base in node.bases):
                names.enums.add(name)
            names.stored.update(one for part in body for one in set_by(part))
            own = [one for one in body if isinstance(one, FUNCTIONS)]
            names.implicit += ((name, one) for one in own if _is_implicit(one))
            if starting := [base for base in node.bases if called(base)[0] in STARTING]:
                names.calls[name] = starting[0]
            names.derived.append((name, [_last(base) for base in node.bases]))
            names.members.update(id(one) for one in own)
            names.methods.update(id(one) for one in own if not _is_static(one))
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as value):
            names.functions[name].append(value)
        case ast.Assign(targets=[ast.Name(id=name)], value=(ast.Attribute() | ast.Name()) as value):
            if called(value)[0] in _KNOWN:
                names.calls[name] = value
            elif isinstance(value, ast.Name) and value.id in names.calls:
                names.calls[name] = names.calls[value.id]
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            names.bound.add(name)
        case ast.Call(func=ast.Name(id="setattr") | ast.Attribute(attr="__setattr__"), args=given):
            names.stored.update(name for one in given for name in _text(one))
        case ast.Attribute(attr=name, value=value, ctx=ast.Store()):
            names.stored.add(name)
            if isinstance(value, ast.Name):
                names.set_on.add((value.id, name))
        case ast.Import(names=imported):
            names.modules |= {(one.asname or one.name).split(".")[0] for one in imported}
            names.bases.update({one.asname: one.name for one in imported if one.asname is not None})
        case ast.ImportFrom(names=imported, module=module):
            names.modules |= {one.asname or one.name for one in imported}
            for one in imported:
                if one.asname is not None or module is not None:
                    base = ast.Name(id=module or "", ctx=ast.Load())
                    names.calls[one.asname or one.name] = ast.Attribute(value=base, attr=one.name, ctx=ast.Load())


def _wrap(names: Names) -> None:
    within: dict[int, list[Function]] = {}
    for function in [one for found in names.functions.values() for one in found]:
        for decorator in getattr(function, "decorator_list", [])[:_FEW]:
            for by in names.functions.get(_last(decorator), [])[:_FEW]:
                names.decorating.update(one.arg for one in by.args.args)
                if id(by) not in within:
                    within[id(by)] = [one for one in walked(by) if isinstance(one, FUNCTIONS) and one is not by]
                    names.decorating.update(one.arg for each in within[id(by)] for one in each.args.args[:1])
                names.wrappers[id(function)] = [*names.wrappers.get(id(function), []), *within[id(by)][:_FEW]]


def _hand(nodes: Sequence[ast.AST], names: Names) -> None:
    """Which functions are named where they are not called, and which calls of numbers are such."""
    heads = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    heads |= {id(one) for node in nodes for one in getattr(node, "decorator_list", ())}
    named = {
        called(node)[0] or ""
        for node in nodes
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and id(node) not in heads
    }
    found = [one for name in sorted(named & names.functions.keys() - names.classes) for one in names.functions[name]]
    found += [one for _, one in names.implicit if getattr(one, "name", "") == "__call__"]
    names.handed = [*{id(one): one for one in found}.values()]
    others = {name for name, target in names.calls.items() if called(target)[0] != name}
    names.numbers = NUMBERS - names.bound - names.functions.keys() - others


def _is_implicit(function: Function) -> bool:
    name = name_of(function)
    return _IMPLICIT.fullmatch(name) is not None and name not in _UNASKED


def _text(node: ast.expr) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def set_by(statement: ast.stmt) -> Iterator[str]:
    """The names of a class that a statement in it sets."""
    match statement:
        case ast.Assign(targets=targets):
            yield from (one.id for target in targets for one in walked(target) if isinstance(one, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _last(decorator: ast.expr) -> str:
    """`@functools.cached_property` is `cached_property`."""
    return called(decorator.func if isinstance(decorator, ast.Call) else decorator)[0] or ""


def _is_static(function: Function) -> bool:
    decorators = [] if isinstance(function, ast.Lambda) else function.decorator_list
    return any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in decorators)
