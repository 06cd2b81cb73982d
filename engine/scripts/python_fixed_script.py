"""The graph of what a script for Python makes of which values, for what is proven to be fixed."""

import ast
import builtins
import re
import sys
from collections.abc import Iterable, Sequence, Set

from engine.scripts.python_calls import called
from engine.scripts.python_fixed import (
    BEGIN,
    CHANGING,
    COPY,
    ELEMENT,
    FLAT,
    GET,
    NEST,
    NUMBER,
    OTHER,
    PUT,
    SAME,
    SPOKEN,
    TEXT,
    TUPLE,
    UNPROVEN,
    WORD,
    Place,
    Places,
    Way,
)
from engine.scripts.python_fixed_calls import CARRYING, FIELDS, METHODS_OF_TEXT, WORLD
from engine.scripts.python_flows import is_list, is_list_literal, spoken, stands_bare
from engine.scripts.python_names import EVERY_VARIABLE, FUNCTIONS, Names
from engine.scripts.python_tree import children

ENVIRONMENT, FOLDER = "os.environ", "os.getcwd()"
_CONSTANTS = frozenset({"__name__", "__file__", "__doc__"})
_OPAQUE_MODULES = frozenset({"gc", "ctypes", "inspect", "__main__", "builtins", "traceback", "weakref", "dis"})
_CHARACTER = re.compile(r"%[-+ #0-9.*]*c|:[^{}]*c\}")
"""What makes a character of a number in a format."""


class Expressions:
    """Adds what the expressions of a script say, but for calls."""

    def __init__(self, names: Names, numbers: Set[str]) -> None:
        self.names, self._numbers = names, numbers
        self.places = Places()
        self.heads: set[int] = set()
        """Nodes that are called, and those that are read by a constant key."""
        self.displayed: set[str] = set()
        """Variables that are given a list or mapping that is written out."""
        self.empty: set[str] = set()
        self.opaque = False
        self._within: set[int] = set()
        """Parts of a longer text."""
        self._quotes = False
        self._compares = False
        self._decorators: dict[str, bool] = {}
        self._seen: set[int] = set()
        self.decorated: set[int] = set()
        """Calls of the function that is decorated, in its decorator."""

    def place(self, node: ast.AST) -> Place:
        return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else id(node)

    def prepare(self, nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            match node:
                case ast.Call(func=func):
                    self.heads.add(id(func))
                    self._quotes = self._quotes or called(func)[0] == "quote"
                    self.opaque = self.opaque or _binds_by_name(node)
                case ast.BinOp(op=ast.Add()) | ast.JoinedStr() | ast.FormattedValue():
                    self._within.update(id(one) for one in children(node))
                case ast.Assign(targets=targets, value=value):
                    self._display([one.id for one in targets if isinstance(one, ast.Name)], value)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self._display([name], value)
                case ast.Attribute(attr="_getframe" | "__dict__" | "f_locals" | "f_globals" | "__setattr__"):
                    self.opaque = True
                case ast.Attribute(attr="modules", value=ast.Name(id="sys")):
                    self.opaque = True
                case ast.Import(names=imported):
                    self.opaque = self.opaque or any(one.name.split(".")[0] in _OPAQUE_MODULES for one in imported)
                case ast.ImportFrom(module=module, names=imported):
                    self.opaque = self.opaque or (module or "").split(".")[0] in _OPAQUE_MODULES
                    self.opaque = self.opaque or any(one.name == "*" for one in imported)
                case ast.ClassDef(body=body):
                    self._compares = self._compares or any(_compares(one) for one in body)
        self.opaque = self.opaque or self.names.reads_all

    def _display(self, targets: Iterable[str], value: ast.expr) -> None:
        if isinstance(value, ast.Dict | ast.DictComp | ast.List | ast.Tuple):
            self.displayed.update(targets)
            if isinstance(value, ast.List) and not value.elts:
                self.empty.update(targets)
        elif isinstance(value, ast.Call) and called(value.func)[0] in ("list", "deque") and not value.args:
            self.empty.update(targets)

    # Expressions

    def _expression(self, node: ast.expr) -> None:  # noqa: PLR0915 -- one case for each kind of expression
        places, here = self.places, id(node)
        match node:
            case ast.Constant():
                pass
            case ast.Name(id=name, ctx=ast.Load()):
                self._name(name, here)
            case ast.List(elts=items) | ast.Tuple(elts=items) if isinstance(node.ctx, ast.Load):
                self._items(node, items)
            case ast.Set(elts=items):
                for one in items:
                    places.flow(id(one), here, TEXT, PUT)
            case ast.Dict(keys=keys, values=values):
                places.make(here, FLAT)
                for key, value in zip(keys, values, strict=True):
                    if key is None:
                        self.copy(value, here, TEXT)
                    else:
                        places.flow(id(key), here, TEXT)
                        places.flow(id(value), here, NEST, PUT)
            case ast.ListComp(elt=item) | ast.SetComp(elt=item) | ast.GeneratorExp(elt=item):
                places.make(here, FLAT)
                places.flow(id(item), here, NEST, PUT)
            case ast.DictComp(key=key, value=value):
                places.make(here, FLAT)
                places.flow(id(key), here, TEXT)
                places.flow(id(value), here, NEST, PUT)
            case ast.JoinedStr(values=values):
                self._joined(node, values)
            case ast.FormattedValue(value=value, format_spec=spec):
                is_known = spec is None or (isinstance(spec, ast.JoinedStr) and _is_number_format(spec))
                places.flow(id(value), here, TEXT if is_known else OTHER)
            case ast.BinOp(left=left, op=op, right=right):
                self._operate(node, left, op, right)
            case ast.IfExp(body=one, orelse=other):
                self.same([one, other], here)
            case ast.BoolOp(values=values):
                self.same(values, here)
            case ast.NamedExpr(value=value) | ast.Await(value=value) | ast.Starred(value=value):
                self.same([value], here)
            case ast.UnaryOp(op=ast.Not()):
                pass
            case ast.UnaryOp(operand=value):
                places.flow(id(value), here, TEXT)
            case ast.Compare() if not self._compares:
                pass
            case ast.Slice() | ast.Call():
                pass
            case ast.Subscript(value=value, slice=index, ctx=ast.Load()):
                self._subscript(here, value, index)
            case ast.Attribute(value=value, attr=name, ctx=ast.Load()):
                self._attribute(node, value, name)
            case ast.Lambda():
                places.mark(here, UNPROVEN)
            case ast.Yield() | ast.YieldFrom() | ast.Compare():
                places.mark(here, UNPROVEN)
                places.make(here, CHANGING)
            case _ if node.__class__.__name__ in ("TemplateStr", "Interpolation"):
                places.mark(here, UNPROVEN)

    def same(self, parts: Iterable[ast.expr], target: Place) -> None:
        for one in parts:
            self.places.flow(id(one), target, COPY, SAME)

    def copy(self, source: ast.expr, target: Place, way: Way) -> None:
        """A new object with the parts of another: what is put into the one is not in the other, unless into a part."""
        inner = ("part", id(source))
        self.places.flow(id(source), inner, TEXT, GET)
        self.places.flow(inner, target, TEXT if way is TEXT else WORD, PUT)
        self.places.flow(id(source), target, way)

    def _name(self, name: str, here: int) -> None:
        known = self.names.calls.get(name)
        if name in self.names.bound or "@" in name or name.startswith("."):
            self.places.flow(name, here, COPY, SAME)
            # What is put into it here may be changed by its name, too.
            self.places.share(name, here)
            if self.opaque or name == EVERY_VARIABLE:
                self.places.mark(here, UNPROVEN)
                self.places.make(name, CHANGING)
            if name in self.names.functions or name in self.names.modules:
                self.places.mark(here, UNPROVEN)
        elif name in self.names.modules:
            if isinstance(known, ast.Attribute) and isinstance(known.value, ast.Name):
                self._of_module([*known.value.id.split("."), known.attr], here)
        elif name in self.names.classes and here not in self.heads:
            pass
        elif name in self._numbers:
            self.places.mark(here, NUMBER)
        elif name not in _CONSTANTS and (not hasattr(builtins, name) or name in self.names.functions):
            self.places.mark(here, UNPROVEN)

    def _items(self, node: ast.List | ast.Tuple, items: Sequence[ast.expr]) -> None:
        here, places = id(node), self.places
        turn = TUPLE if isinstance(node, ast.Tuple) else PUT
        if turn is PUT:
            places.make(here, FLAT)
        nested = bool(items) and is_list_literal(items[0])
        for number, item in enumerate(items):
            if isinstance(item, ast.Starred):
                self.copy(item.value, here, WORD if number else BEGIN)
            else:
                places.flow(id(item), here, WORD if number and not nested else NEST, turn)

    def _joined(self, node: ast.expr, parts: Sequence[ast.expr]) -> None:
        if self._quotes and id(node) not in self._within:
            found = spoken(node)
            if found is not None and stands_bare(found[0]):
                for one in found[1]:
                    self.places.flow(id(one), id(node), SPOKEN)
                return
        for one in parts:
            self.places.flow(id(one), id(node), TEXT, SAME)

    def _operate(self, node: ast.BinOp, left: ast.expr, op: ast.operator, right: ast.expr) -> None:
        here, places = id(node), self.places
        match op:
            case ast.Add() if is_list(node):
                self.copy(left, here, BEGIN)
                self.copy(right, here, WORD)
            case ast.Add():
                self._joined(node, [left, right])
            case ast.Mod():
                places.flow(id(left), here, TEXT)
                for one in right.elts if isinstance(right, ast.Tuple) else [right]:
                    places.flow(id(one), here, OTHER if makes_characters(left) else TEXT)
            case ast.Mult():
                places.flow(id(left), here, BEGIN, SAME)
                places.flow(id(right), here, BEGIN, SAME)
            case _:
                places.flow(id(left), here, TEXT, SAME)
                places.flow(id(right), here, TEXT, SAME)

    def _subscript(self, here: int, value: ast.expr, index: ast.expr) -> None:
        places = self.places
        if (key := self.key_of(value, index)) is not None:
            self.heads.add(id(value))
            places.flow(ENVIRONMENT, here, TEXT)
            places.flow(key, here, TEXT)
            return
        if isinstance(index, ast.Slice):
            places.flow(id(value), here, TEXT, SAME)
            for one in children(index):
                places.flow(id(one), here, OTHER)
            return
        places.flow(id(value), here, ELEMENT, GET)
        is_chosen = isinstance(value, ast.Dict | ast.List | ast.Tuple)
        is_chosen = is_chosen or (isinstance(value, ast.Name) and value.id in self.displayed)
        if not is_chosen:
            places.flow(id(index), here, OTHER)

    def is_environment(self, node: ast.AST) -> bool:
        match node:
            case ast.Attribute(attr="environ" | "environb", value=ast.Name(id="os")):
                return True
            case ast.Name(id="environ" | "environb" as name):
                return name in self.names.modules
        return False

    def key_of(self, value: ast.AST, index: ast.AST) -> Place | None:
        """The place of one variable of the environment."""
        if self.is_environment(value) and isinstance(index, ast.Constant):
            return ("variable", index.value)
        return None

    def _attribute(self, node: ast.Attribute, value: ast.expr, name: str) -> None:
        here, places = id(node), self.places
        if self.is_environment(node):
            places.make(ENVIRONMENT, FLAT)
            places.flow(ENVIRONMENT, here, COPY, SAME)
            if here not in self.heads:
                places.flow(("variable", None), here, TEXT)
        elif (path := self.path_of(node)) is not None and not self.is_environment(value):
            self._of_module(path, here)
        else:
            places.flow(id(value), here, TEXT if name in METHODS_OF_TEXT else OTHER, SAME)
            if here not in self.heads and name not in FIELDS and name not in self.names.properties:
                places.escape(id(value))

    def path_of(self, node: ast.expr) -> list[str] | None:
        """`['os', 'path', 'join']`, of what an imported module has; None of anything else."""
        after: list[str] = []
        while isinstance(node, ast.Attribute):
            after.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self.names.bound:
            return None
        known = self.names.calls.get(node.id)
        match known:
            case ast.Attribute(attr=name, value=ast.Name(id=module)) if node.id in self.names.modules:
                if module != node.id:
                    return [*module.split("."), name, *reversed(after)]
        is_module = node.id in self.names.modules or node.id.split(".")[0] in sys.stdlib_module_names
        return [*node.id.split("."), *reversed(after)] if is_module and after else None

    def _of_module(self, path: Sequence[str], here: int) -> None:
        if path == ["os", "environ"]:
            self.places.make(ENVIRONMENT, FLAT)
            self.places.flow(ENVIRONMENT, here, COPY, SAME)
            self.places.flow(("variable", None), here, TEXT)
        elif path[0] == "sys":
            if not CARRYING.isdisjoint(path[1:]):
                self.places.mark(here, UNPROVEN)
        elif path[0] in _OPAQUE_MODULES or (path[0] in sys.stdlib_module_names and path[0] not in WORLD):
            self.places.mark(here, UNPROVEN)


def makes_characters(node: ast.expr) -> bool:
    """Whether a format makes a character of a number: `'%c'`, `'{:c}'`."""
    return isinstance(node, ast.Constant) and _CHARACTER.search(str(node.value)) is not None


def _binds_by_name(call: ast.Call) -> bool:
    name, _ = called(call.func)
    if name == "setattr":
        return not (len(call.args) > 1 and isinstance(call.args[1], ast.Constant))
    return name in ("exec", "eval", "globals", "locals", "vars", "delattr", "__import__", "get_objects", "exc_info")


def _compares(node: ast.stmt) -> bool:
    return isinstance(node, FUNCTIONS) and getattr(node, "name", "").startswith("__")


def _is_number_format(spec: ast.JoinedStr) -> bool:
    parts = [one.value for one in spec.values if isinstance(one, ast.Constant)]
    return len(parts) == len(spec.values) and not any(str(one).endswith("c") for one in parts)
