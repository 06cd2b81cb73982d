"""The variables of a script for Python, each by a name of its own, and the functions that it defines.

A tree is changed so that what follows needs no scopes: a local variable gets the number of its function, what stands
for a known call is written as that call, and an attribute that the script sets, or a variable of `env`, is a name.
"""

import ast
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.scripts.python_calls import EVALUATING, SHELL_TEXT, STARTING, called
from engine.scripts.python_classes import write_begins
from engine.scripts.python_tree import FIELDS, children, walked

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_READING = frozenset({"get", "getenv", "getenvb", "pop", "setdefault"})
WHOLE_ENVIRONMENT = "$*"
"""Stands for every variable of `env`."""
_FILLING = frozenset({"format", "format_map", "substitute", "safe_substitute"})
"""Methods of a text that take values by their names."""
_FEW = 4
"""Begins that a class may take from one of its bases."""
_KNOWN = EVALUATING | STARTING | SHELL_TEXT


@dataclass
class Names:
    """What a script calls by which name."""

    functions: dict[str, list[Function]] = field(default_factory=lambda: defaultdict(list))
    """By the last part of what is called; of a class, how it begins."""
    modules: set[str] = field(default_factory=set)
    """Names of what is imported."""
    methods: set[int] = field(default_factory=set)
    """Ids of functions whose first parameter is the object, or the class."""
    members: set[int] = field(default_factory=set)
    """Ids of all functions of classes."""
    wrappers: dict[int, list[Function]] = field(default_factory=dict)
    """By the id of a function: those within its decorators, of which one takes its arguments."""
    classes: set[str] = field(default_factory=set)
    enums: set[str] = field(default_factory=set)
    """Classes whose call gives nothing but what they name themselves."""
    env: frozenset[str] = frozenset()
    """Variables of the environment whose values are followed."""
    locals: dict[int, int] = field(default_factory=dict)
    """By the id of a function: the number at the end of the names of its own variables."""
    read: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By the name of an attribute: the variables of which it is read."""
    _stored: set[str] = field(default_factory=set)
    _set_on: set[tuple[str, str]] = field(default_factory=set)
    _calls: dict[str, ast.expr] = field(default_factory=dict)
    _bases: dict[str, str] = field(default_factory=dict)
    _properties: set[str] = field(default_factory=set)

    def called(self, func: ast.expr) -> list[Function]:
        """The functions of the script that a call may mean."""
        name, base = called(func)
        return self.functions.get(name or "", []) if base not in self.modules else []

    def returning(self, call: ast.Call) -> list[Function]:
        """The functions of the script whose result a call may be; `x.f()` calls no function outside of classes."""
        found = self.called(call.func)
        return [one for one in found if id(one) in self.members] if called(call.func)[1] else found

    def parameter(self, function: Function, argument: ast.arg) -> str:
        return f"{argument.arg}@{self.locals[id(function)]}"

    def result(self, function: Function) -> str:
        """A name that stands for what a function returns; of the tree alone, as messages show it."""
        return f"{_name_of(function)}()@{self.locals[id(function)]}"

    def any_of(self, function: Function) -> str:
        """A name that stands for all parameters of a function."""
        return f"{_name_of(function)}(*)@{self.locals[id(function)]}"


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


def named(tree: ast.Module, nodes: Sequence[ast.AST], kept: frozenset[str], env: frozenset[str]) -> Names:
    """Gives the tree's variables their names; `kept` stay as they are, and the `env` that is read becomes `$NAME`.

    `nodes` are all that the tree has.
    """
    names = Names(env=env)
    for node in walked(tree) if write_begins(nodes) else nodes:
        if node.__class__ in _COLLECTED:
            _collect(node, names)
    _wrap(names)
    _Renaming(names, kept, env).rename(tree)
    return names


def shown(name: str) -> str:
    """As the author wrote it, in quotes."""
    if name == WHOLE_ENVIRONMENT:
        return "what 'os.environ' holds"
    written = name.split("@", maxsplit=1)[0].lstrip(".$")
    match written.partition("("):
        case (function, "(", ")"):
            return f"what '{function}' returns" if function else "what a lambda returns"
        case (function, "(", _):
            return f"an argument of '{function}'" if function else "an argument of a lambda"
    return f"'{written}'"


def _name_of(function: Function) -> str:
    return "" if isinstance(function, ast.Lambda) else function.name


_COLLECTED = frozenset(
    {ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.Attribute, ast.Import, ast.ImportFrom}
)


def _collect(node: ast.AST, names: Names) -> None:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            names.functions[name].append(node)
            if any(_last(one).endswith("property") for one in node.decorator_list):
                names._properties.add(name)
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
            names._stored.update(one for part in body for one in _set_by(part))
            own = [one for one in body if isinstance(one, _FUNCTIONS)]
            names.members.update(id(one) for one in own)
            names.methods.update(id(one) for one in own if not _is_static(one))
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as value):
            names.functions[name].append(value)
        case ast.Assign(targets=[ast.Name(id=name)], value=(ast.Attribute() | ast.Name()) as value):
            if called(value)[0] in _KNOWN:
                names._calls[name] = value
        case ast.Attribute(attr=name, value=value, ctx=ast.Store()):
            names._stored.add(name)
            if isinstance(value, ast.Name):
                names._set_on.add((value.id, name))
        case ast.Import(names=imported):
            names.modules |= {(one.asname or one.name).split(".")[0] for one in imported}
            names._bases.update({one.asname: one.name for one in imported if one.asname is not None})
        case ast.ImportFrom(names=imported, module=module):
            names.modules |= {one.asname or one.name for one in imported}
            for one in imported:
                if one.asname is not None or module is not None:
                    base = ast.Name(id=module or "", ctx=ast.Load())
                    names._calls[one.asname or one.name] = ast.Attribute(value=base, attr=one.name, ctx=ast.Load())


def _wrap(names: Names) -> None:
    within: dict[int, list[Function]] = {}
    for function in [one for found in names.functions.values() for one in found]:
        for decorator in getattr(function, "decorator_list", [])[:_FEW]:
            for by in names.functions.get(_last(decorator), [])[:_FEW]:
                if id(by) not in within:
                    within[id(by)] = [one for one in walked(by) if isinstance(one, _FUNCTIONS) and one is not by]
                names.wrappers[id(function)] = [*names.wrappers.get(id(function), []), *within[id(by)][:_FEW]]


def _set_by(statement: ast.stmt) -> Iterator[str]:
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
            if isinstance(node, _FUNCTIONS):
                number = self._names.locals[id(node)] = len(self._names.locals) + 1
                own = frozenset(_own(node)) - self._kept - self._names.modules
                scope = _Scope(number, own, scope.around_functions())
            elif isinstance(node, ast.ClassDef):
                own = frozenset(name for one in node.body for name in _set_by(one)) - self._kept
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
        if isinstance(call.func, ast.Name) and call.func.id in self._names._calls:
            call.func = self._names._calls[call.func.id]
        self._called.add(id(call.func))

    def _replaced(self, node: Any, scope: _Scope) -> Any:
        if not isinstance(node, _REPLACED):
            return node
        if (words := _split(node)) is not None:
            return ast.List(elts=[ast.Constant(value=word) for word in words], ctx=ast.Load())
        if self._env and _takes_whole_environment(node):
            return ast.BoolOp(op=ast.Or(), values=[ast.Name(id=WHOLE_ENVIRONMENT, ctx=ast.Load()), *_given_to(node)])
        match node:
            case ast.Name(id=name) if name not in self._kept and id(node) not in self._called:
                node.id = self._names._bases.get(name, scope.of(name))
            case ast.Attribute(attr=name, ctx=context) if self._is_field(node):
                return self._field(node, name, context, scope)
            case ast.Attribute(attr=name, ctx=ast.Load()) if name in self._names._properties:
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
            case ast.Name(id=base) if base not in self._kept and isinstance(context, ast.Load):
                # What `base` holds may be no object of the script, but one with an attribute of that name.
                self._names.read[f".{name}"].add(scope.of(base))
            case ast.Call() if isinstance(context, ast.Load) and node not in self._fields:
                self._fields.add(node)
                return ast.BoolOp(op=ast.Or(), values=[field, node])
        return field

    def _is_field(self, node: ast.Attribute) -> bool:
        if isinstance(node.value, ast.Name) and node.value.id in self._names.modules:
            # `os.path` is no field `path` of an object.
            return (node.value.id, node.attr) in self._names._set_on and id(node) not in self._called
        return node.attr in self._names._stored and id(node) not in self._called and node not in self._fields

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
        if isinstance(node, _FUNCTIONS):
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


def arguments(given: ast.arguments) -> list[ast.arg]:
    """All parameters, in the order in which a call may name them."""
    several = [one for one in (given.vararg, given.kwarg) if one is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *several]
