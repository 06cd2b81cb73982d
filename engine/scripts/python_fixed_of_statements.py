"""What the statements of a script for Python make of which values, for what is proven to be fixed."""

import ast
from collections.abc import Iterable, Iterator, Sequence

from engine.scripts.python_calls import called
from engine.scripts.python_fixed import (
    CHANGING,
    COPY,
    ELEMENT,
    FLAT,
    GET,
    NEST,
    OTHER,
    PUT,
    SAME,
    TEXT,
    UNPROVEN,
    WORD,
    Place,
    Way,
)
from engine.scripts.python_fixed_script import Expressions
from engine.scripts.python_flows import is_list_literal
from engine.scripts.python_names import FUNCTIONS, Function
from engine.scripts.python_statements import Saying
from engine.scripts.python_tree import walked

_VISIBLE = frozenset(
    {
        "staticmethod", "classmethod", "property", "cached_property", "lru_cache", "cache", "dataclass", "wraps",
        "override", "contextmanager", "asynccontextmanager", "final", "abstractmethod",
    }
)  # fmt: skip
"""Decorators after which a function is called as it is written."""
_PLAIN_BASES = frozenset(
    {"object", "ABC", "Protocol", "Enum", "StrEnum", "IntEnum", "NamedTuple", "TypedDict", "Exception", "RuntimeError",
     "ValueError", "Generic"}
)  # fmt: skip


class Statements(Expressions):
    """Adds what the statements of a script say, too."""

    def read(self, saying: Sequence[Saying], nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            if isinstance(node, ast.expr):
                self._expression(node)
            else:
                self._statement(node)
        for node, function in saying:
            if function is not None:
                self._result(node, function)

    def decorate(self, functions: Iterable[Function]) -> None:
        for function in functions:
            for decorator in getattr(function, "decorator_list", ()):
                for by in self.names.functions.get(_last(decorator), ()):
                    if id(by) not in self._seen:
                        self._seen.add(id(by))
                        self.decorated.update(_calls_of_decorated(by))

    def _statement(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, value)
            case ast.AugAssign(target=target, value=value):
                self._add(target, value)
            case ast.For(target=target, iter=items) | ast.AsyncFor(target=target, iter=items):
                self._iterate(target, items)
            case ast.comprehension(target=target, iter=items):
                self._iterate(target, items)
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                self.assign(target, value)
            case ast.ExceptHandler(name=str() as name):
                self.unknown(name)
            case ast.Delete(targets=targets):
                for base in (one.value for one in targets if isinstance(one, ast.Subscript)):
                    self.places.put(id(base), id(base), OTHER)
            case ast.Match(subject=subject, cases=cases):
                self.places.escape(id(subject))
                for one in (below for case in cases for below in walked(case.pattern)):
                    for captured in (getattr(one, "name", None), getattr(one, "rest", None)):
                        if isinstance(captured, str):
                            self.unknown(captured)

    def unknown(self, place: Place) -> None:
        self.places.mark(place, UNPROVEN)
        self.places.make(place, CHANGING)

    def assign(self, target: ast.AST, value: ast.expr, way: Way = COPY) -> None:
        match target:
            case ast.Name(id=name):
                self.places.flow(id(value), name, way, SAME if way is COPY else GET)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                items = value.elts if isinstance(value, ast.Tuple | ast.List) and way is COPY else []
                if len(items) == len(targets) and not any(isinstance(one, ast.Starred) for one in (*items, *targets)):
                    for one, item in zip(targets, items, strict=True):
                        self.assign(one, item)
                else:
                    for one in targets:
                        self.assign(one, value, TEXT)
            case ast.Starred(value=inner):
                self.assign(inner, value, TEXT)
                self.places.make(self.place(inner), FLAT)
            case ast.Subscript(value=base, slice=index):
                if (key := self.key_of(base, index)) is not None:
                    self.heads.add(id(base))
                    self.places.flow(id(value), key, TEXT)
                    self.places.flow(key, ("variable", None), TEXT)
                else:
                    self._put(value, id(base))
                    self.places.put(id(index), id(base), TEXT)
            case ast.Attribute(value=base):
                self._put(value, id(base))
            case ast.BoolOp(values=values):
                for one in values:
                    self.assign(one, value, TEXT)
            case ast.Call():  # an attribute of a new object, which was read as a name
                pass

    def _put(self, value: ast.expr, target: Place, way: Way = TEXT) -> None:
        self.places.put(id(value), target, way)
        self.places.share(target, id(value), TEXT)

    def put(self, value: ast.expr, target: Place, way: Way = TEXT) -> None:
        """Into the object that the target is; what is put into that later may be put into the value."""
        self._put(value, target, way)

    def put_parts(self, value: ast.expr, target: Place, way: Way) -> None:
        """The parts of a list into another, which is another object."""
        inner = ("part", id(value))
        self.places.flow(id(value), inner, TEXT, GET)
        self.places.put(inner, target, way)
        self.places.share(target, inner, TEXT)

    def _add(self, target: ast.expr, value: ast.expr) -> None:
        into = target.id if isinstance(target, ast.Name) else id(getattr(target, "value", target))
        if isinstance(value, ast.List | ast.Tuple):
            is_begun = isinstance(target, ast.Name) and self.begun(target.id)
            for number, item in enumerate(value.elts):
                self._put(item, into, WORD if is_begun or number else TEXT)
        else:
            self._put(value, into)
        if isinstance(target, ast.Name):
            self.places.flow(id(value), target.id, WORD if is_list_literal(value) else TEXT, SAME)

    def begun(self, name: str) -> bool:
        """Whether what is put at the end of a list is no program: of one that begins empty not what comes first."""
        if name in self.empty:
            self.empty.discard(name)
            return False
        return True

    def _iterate(self, target: ast.expr, items: ast.expr) -> None:
        if isinstance(items, ast.List | ast.Tuple) and not any(isinstance(one, ast.Starred) for one in items.elts):
            for item in items.elts:
                self.assign(target, item)
            return
        # A place of its own: a target of two names takes an element apart.
        element = ("element", id(items))
        self.places.flow(id(items), element, ELEMENT, GET)
        self._from_place(target, element)

    def _from_place(self, target: ast.expr, source: Place) -> None:
        match target:
            case ast.Name(id=name):
                self.places.flow(source, name, COPY, SAME)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for one in targets:
                    part = ("part", source)
                    self.places.flow(source, part, ELEMENT, GET)
                    self._from_place(one, part)
            case ast.Starred(value=inner):
                self._from_place(inner, source)
            case ast.Subscript(value=base) | ast.Attribute(value=base):
                self.places.put(source, id(base), TEXT)

    def _result(self, node: ast.AST, function: Function) -> None:
        result = self.names.result(function)
        match node:
            case ast.Return(value=ast.expr() as value):
                self.places.flow(id(value), result, COPY, SAME)
            case ast.Lambda(body=body):
                self.places.flow(id(body), result, COPY, SAME)
            case ast.Yield(value=ast.expr() as value):
                self.places.flow(id(value), result, NEST, PUT)
            case ast.YieldFrom(value=value):
                self.places.flow(id(value), result, TEXT, SAME)

    def visible(self, function: Function, owner: ast.ClassDef | None) -> bool:
        """Whether all calls of a function are those that the script writes."""
        if isinstance(function, ast.Lambda):
            return True
        own = all(_last(one) in _VISIBLE or self._passes_on(_last(one)) for one in function.decorator_list)
        if owner is None:
            return own
        bases = {_last(base) for base in owner.bases}
        is_called = function.name == "__init__" or not function.name.startswith("__")
        return own and is_called and not owner.keywords and bases <= _PLAIN_BASES | self.names.classes

    def _passes_on(self, decorator: str) -> bool:
        """Whether a decorator of the script calls what it decorates with what it is given, and nothing else."""
        if decorator not in self._decorators:
            functions = self.names.functions.get(decorator, [])
            self._decorators[decorator] = bool(functions) and all(map(_passes_on, functions))
        return self._decorators[decorator]


def _passes_on(decorator: Function) -> bool:
    nodes = walked(decorator)
    harmless: set[int] = set()
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name() as head, args=given, keywords=named):
                if all(isinstance(one, ast.Starred) for one in given) and not any(one.arg for one in named):
                    harmless.add(id(head))
            case ast.Call(func=func, args=[ast.Name() as first, *_]) if called(func)[0] in ("wraps", "update_wrapper"):
                harmless.add(id(first))
            case ast.Attribute(attr="__name__" | "__doc__" | "__qualname__", value=ast.Name() as value):
                harmless.add(id(value))
    held = {one.arg for _, one in _decorating(decorator)}
    return not any(
        isinstance(node, ast.Name)
        and node.id.partition("@")[0] in held
        and isinstance(node.ctx, ast.Load)
        and id(node) not in harmless
        for node in nodes
    )


def _decorating(decorator: Function) -> Iterator[tuple[Function, ast.arg]]:
    """The parameters that hold the function: of `def retried(f)`, or of the function within `def retried(times)`."""
    inner = [one for one in decorator.body if isinstance(one, FUNCTIONS)] if isinstance(decorator.body, list) else []
    nested = [one for each in inner if isinstance(each.body, list) for one in each.body if isinstance(one, FUNCTIONS)]
    for function in inner if nested else [decorator]:
        yield from ((function, one) for one in function.args.args[:1])


def _calls_of_decorated(decorator: Function) -> Iterator[int]:
    held = {one.arg for _, one in _decorating(decorator)}
    nodes = walked(decorator)
    set_anew = [one.arg for one in nodes if isinstance(one, ast.arg) and one.arg in held]
    set_anew += [
        name
        for one in nodes
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store) and (name := one.id.partition("@")[0]) in held
    ]
    if len(set_anew) == len(held):
        yield from (
            id(one) for one in nodes if isinstance(one, ast.Call) and called(one.func) in {(n, "") for n in held}
        )


def _last(node: ast.expr) -> str:
    return called(node.func if isinstance(node, ast.Call) else node)[0] or ""


def owners(nodes: Sequence[ast.AST]) -> Iterator[tuple[int, ast.ClassDef]]:
    """By the id of a function: the class that it is in."""
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            yield from ((id(one), node) for one in node.body if isinstance(one, FUNCTIONS))
