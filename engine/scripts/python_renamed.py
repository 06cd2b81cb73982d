"""The variables of a script for Python, each by a name of its own.

A tree is changed so that what follows needs no scopes: a local variable gets the number of its function, what stands
for a known call is written as that call, and an attribute that the script sets, or a variable of `env`, is a name.
"""

import ast
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.scripts.python_calls import called
from engine.scripts.python_declared import declared, set_by
from engine.scripts.python_names import EVERY_VARIABLE, FUNCTIONS, WHOLE_ENVIRONMENT, Function, Names, arguments
from engine.scripts.python_tree import FIELDS, children

_READING = frozenset({"get", "getenv", "getenvb", "pop", "setdefault"})
_IN_ALL = frozenset({"locals", "globals", "vars"})
_WITH_ALL = frozenset({"eval", "exec", "timeit"})
"""Calls whose texts read variables by their names."""
_FILLING = frozenset({"format", "format_map", "substitute", "safe_substitute"})
"""Methods of a text that take values by their names."""


def named(tree: ast.Module, nodes: Sequence[ast.AST], kept: frozenset[str], env: frozenset[str]) -> Names:
    """Gives the tree's variables their names; `kept` stay as they are, and the `env` that is read becomes `$NAME`.

    `nodes` are all that the tree has.
    """
    names = declared(tree, nodes, env)
    _Renaming(names, kept, env).rename(tree)
    return names


@dataclass(frozen=True, slots=True)
class _Scope:
    number: int
    own: frozenset[str]
    parent: "_Scope | None"
    is_class: bool = False

    def of(self, name: str) -> str:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.own:
                return f".{name}" if scope.is_class else f"{name}@{scope.number}"
            scope = scope.parent
        return name

    def around_functions(self) -> "_Scope":
        """What a function in this scope sees: not the names of its class."""
        return self.parent if self.is_class and self.parent is not None else self


def _split(call: ast.AST) -> list[str] | None:
    """The words of `'sh -c'.split()` and `shlex.split('sh -c')`."""
    match call:
        case ast.Call(
            func=ast.Attribute(attr="split" | "rsplit" | "splitlines" as name, value=ast.Constant(value=str() as text)),
            args=given,
            keywords=named_ones,
        ):
            values = [one.value for one in given if isinstance(one, ast.Constant)]
            constants = [one for one in named_ones if isinstance(one.value, ast.Constant)]
            by_name = {one.arg: ast.literal_eval(one.value) for one in constants if one.arg}
            is_written = (len(values), len(by_name)) == (len(given), len(named_ones))
            return _parted(text, name, values, by_name) if is_written else None
        case ast.Call(
            func=(ast.Attribute(attr="split", value=ast.Name(id="shlex")) | ast.Name(id="split")),
            args=[ast.Constant(value=str() as text)],
            keywords=[],
        ):
            try:
                return shlex.split(text)
            except ValueError:  # a quotation that does not end: it fails when it runs
                return None
    return None


def _parted(text: str, name: str, given: list[Any], by_name: dict[str, Any]) -> list[str] | None:
    try:
        found: list[str] = getattr(text, name)(*given, **by_name)
    except (TypeError, ValueError):  # it fails when it runs
        return None
    return found


def _takes_whole_environment(node: ast.AST) -> bool:
    """`'%(X)s' % os.environ`, `'{X}'.format(**os.environ)`, `os.environ.items()`."""
    match node:
        case ast.BinOp(op=ast.Mod(), right=right):
            return _is_environment(right)
        case ast.Call(func=ast.Attribute(attr="items" | "values", value=value), args=[]):
            return _is_environment(value)
        case ast.Call(func=ast.Attribute(attr=name), args=given, keywords=named_ones) if name in _FILLING:
            return any(_is_environment(one) for one in (*given, *(one.value for one in named_ones if one.arg is None)))
    return False


def _is_environment(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute | ast.Name) and called(node)[0] in ("environ", "environb")


def _given_to(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.BinOp(left=left):
            return [left]
        case ast.Call(func=ast.Attribute(value=value), args=given, keywords=named_ones):
            return [value, *given, *(one.value for one in named_ones)]
    return []


_REPLACED = (ast.Name, ast.Call, ast.Attribute, ast.BinOp, ast.Subscript, ast.Await)


def _every(beside: Sequence[ast.expr]) -> ast.expr:
    every = ast.Name(id=EVERY_VARIABLE, ctx=ast.Load())
    return ast.BoolOp(op=ast.Or(), values=[every, *beside]) if beside else every


def _reads_all(call: ast.Call) -> bool:
    name, base = called(call.func)
    return name in _WITH_ALL and base in ("", "timeit", "builtins")


class _Renaming:
    def __init__(self, names: Names, kept: frozenset[str], env: frozenset[str]) -> None:
        self._names, self._kept, self._env = names, kept, env
        self._called: set[int] = set()
        self._fields: set[ast.Attribute] = set()
        """Those that stay beside the name of their field."""

    def rename(self, tree: ast.Module) -> None:
        waiting: list[tuple[ast.AST, _Scope]] = [(tree, _Scope(0, frozenset(), None))]
        while waiting:
            node, scope = waiting.pop()
            if isinstance(node, FUNCTIONS):
                number = self._names.locals[id(node)] = len(self._names.locals) + 1
                own = frozenset(_own(node)) - self._kept - self._names.modules
                scope = _Scope(number, own, scope.around_functions())
            elif isinstance(node, ast.ClassDef):
                own = frozenset(name for one in node.body for name in set_by(one)) - self._kept
                scope = _Scope(0, own, scope.around_functions(), is_class=True)
            elif isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.ExceptHandler) and node.name is not None:
                node.name = scope.of(node.name)
            for name in FIELDS[node.__class__]:
                value = getattr(node, name, None)
                if isinstance(value, list):
                    value[:] = [self._replaced(one, scope) for one in value]
                    waiting += [(one, scope) for one in value if isinstance(one, ast.AST)]
                elif isinstance(value, ast.AST):
                    new = self._replaced(value, scope)
                    setattr(node, name, new)
                    waiting.append((new, scope))

    def _call(self, call: ast.Call) -> None:
        if _reads_all(call):
            self._names.reads_all = True
            call.args = [*call.args, ast.Name(id=EVERY_VARIABLE, ctx=ast.Load())]
        if isinstance(call.func, ast.Name) and call.func.id in self._names.calls:
            call.func = self._names.calls[call.func.id]
        self._called.add(id(call.func))

    def _replaced(self, node: Any, scope: _Scope) -> Any:
        if not isinstance(node, _REPLACED):
            return node
        if (words := _split(node)) is not None:
            return ast.List(elts=[ast.Constant(value=word) for word in words], ctx=ast.Load())
        if self._env and _takes_whole_environment(node):
            return ast.BoolOp(op=ast.Or(), values=[ast.Name(id=WHOLE_ENVIRONMENT, ctx=ast.Load()), *_given_to(node)])
        match node:
            case ast.Call(func=ast.Name(id=name), args=given, keywords=[]) if name in _IN_ALL:
                self._names.reads_all = True
                return _every(given)
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str() as name), *rest]):
                if name in self._names.stored:
                    return ast.BoolOp(op=ast.Or(), values=[ast.Name(id=f".{name}", ctx=ast.Load()), *rest])
            case ast.Attribute(attr="__dict__", value=value):
                self._names.reads_all = True
                return _every([value])
            case ast.Name(id=name) if name not in self._kept and id(node) not in self._called:
                node.id = self._names.bases.get(name, scope.of(name))
            case ast.Attribute(attr=name, ctx=context) if self._is_field(node):
                return self._field(node, name, context, scope)
            case ast.Attribute(attr=name, ctx=ast.Load()) if name in self._names.properties:
                if id(node) not in self._called and not self._is_module(node.value):
                    return ast.Call(func=node, args=[], keywords=[])
            case ast.Await(value=value):
                return self._replaced(value, scope)
            case ast.Subscript(slice=ast.Constant(value=str() as name), ctx=ast.Load()) if name in self._env:
                return ast.Name(id=f"${name}", ctx=ast.Load())
            case ast.Call(func=func, args=[ast.Constant(value=str() as name), *_]) if name in self._env:
                if called(func)[0] in _READING:
                    return ast.Name(id=f"${name}", ctx=ast.Load())
        return node

    def _field(self, node: ast.Attribute, name: str, context: ast.expr_context, scope: _Scope) -> ast.expr:
        field = ast.Name(id=f".{name}", ctx=context)
        match node.value:
            case ast.Name(id=base) if base not in self._kept and base != "self" and isinstance(context, ast.Load):
                # What `base` holds may be no object of the script, but one with an attribute of that name.
                self._names.read[f".{name}"].add(scope.of(base))
            case ast.Call() if isinstance(context, ast.Load) and node not in self._fields:
                self._fields.add(node)
                return ast.BoolOp(op=ast.Or(), values=[field, node])
        return field

    def _is_field(self, node: ast.Attribute) -> bool:
        if isinstance(node.value, ast.Name) and node.value.id in self._names.modules:
            # `os.path` is no field `path` of an object.
            return (node.value.id, node.attr) in self._names.set_on and id(node) not in self._called
        return node.attr in self._names.stored and id(node) not in self._called and node not in self._fields

    def _is_module(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self._names.modules


def _own(function: Function) -> Iterator[str]:
    """The names of a function's own variables."""
    yield from (one.arg for one in arguments(function.args))
    outer: set[str] = set()
    found: list[str] = []
    waiting: list[ast.AST] = [*_body(function)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, FUNCTIONS):
            continue
        if isinstance(node, ast.Global | ast.Nonlocal):
            outer.update(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name is not None:
            found.append(node.name)
        waiting += children(node)
    yield from (name for name in found if name not in outer)


def _body(function: Function) -> Sequence[ast.AST]:
    return [function.body] if isinstance(function, ast.Lambda) else function.body
