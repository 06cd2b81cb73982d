"""What calls in a script for Python make of their arguments, for what is proven to be fixed."""

import ast
import builtins
import sys
from collections.abc import Sequence, Set
from itertools import chain

from engine.scripts.python_calls import SHELL_TEXT, STARTING, called
from engine.scripts.python_fixed import (
    BEGIN,
    CHANGING,
    COPY,
    COUNT,
    ELEMENT,
    FLAT,
    GET,
    NONE,
    OTHER,
    PUT,
    QUOTE,
    SAME,
    TEXT,
    UNPROVEN,
    WORD,
    Places,
    Way,
)
from engine.scripts.python_fixed_calls import (
    CALLING,
    FLAT_OF,
    IMMUTABLE_OF,
    LISTING,
    METHODS_OF_TEXT,
    OF_NUMBERS,
    OF_TEXTS,
    PARTING,
    PURE,
    READING,
    TEXTS,
    WORLD,
)
from engine.scripts.python_fixed_of_statements import Statements, owners
from engine.scripts.python_fixed_script import ENVIRONMENT, FOLDER, makes_characters
from engine.scripts.python_flows import is_list_literal, is_quote
from engine.scripts.python_names import Function, Names, arguments
from engine.scripts.python_statements import Saying

_MOST = 16
"""Functions that one call may mean: of more nothing is known."""
_STARTING = frozenset({"run", "call", "check_call", "check_output", "getoutput", "getstatusoutput", "Popen"})
_FOLDERS = frozenset({"getcwd", "cwd", "resolve", "absolute", "abspath", "realpath"})
_TURNING = frozenset(
    {"pop", "popleft", "popitem", "remove", "reverse", "sort", "rotate", "clear", "insert", "appendleft"}
)
"""Methods after which a list may begin with what was no program."""
_HARMLESS = (
    SHELL_TEXT
    | STARTING
    | frozenset({"print", "str", "repr", "len", "isinstance", "type", "id", "hash", "callable", "dumps"})
)
"""Functions that keep nothing and hand nothing on."""


def read(nodes: Sequence[ast.AST], saying: Sequence[Saying], names: Names, numbers: Set[str]) -> Places:
    """What all places of a script hold; the id of an expression is its place. Variables in `numbers` hold such."""
    reader = _Calls(names, numbers)
    reader.prepare(nodes)
    reader.read(saying, nodes)
    reader.declare(nodes, saying)
    reader.places.settle()
    return reader.places


class _Calls(Statements):
    def __init__(self, names: Names, numbers: Set[str]) -> None:
        super().__init__(names, numbers)
        self._called: set[int] = set()
        """Functions of which the script writes a call."""

    def read(self, saying: Sequence[Saying], nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            if isinstance(node, ast.Call):
                self._keyed(node)
        super().read(saying, nodes)
        self.decorate(node for node, _ in saying if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        for node, _ in saying:
            if isinstance(node, ast.Call):
                self._call(node)

    def declare(self, nodes: Sequence[ast.AST], saying: Sequence[Saying]) -> None:
        """Parameters that take what the script does not say, once all its calls are known."""
        handed = {id(one) for one in self.names.handed}
        of_classes = dict(owners(nodes))
        for function, _ in saying:
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            is_known = id(function) not in handed and self.visible(function, of_classes.get(id(function)))
            if isinstance(function, ast.Lambda) or not is_known or id(function) not in self._called:
                for one in arguments(function.args):
                    self.unknown(self.names.parameter(function, one))
            if not isinstance(function, ast.Lambda) and not self.visible(function, None):
                self.places.mark(self.names.result(function), UNPROVEN)
            self._defaults(function)

    def _defaults(self, function: Function) -> None:
        given = function.args
        positional = [*given.posonlyargs, *given.args]
        pairs = [*zip(reversed(positional), reversed(given.defaults), strict=False)]
        pairs += [(one, value) for one, value in zip(given.kwonlyargs, given.kw_defaults, strict=True) if value]
        for argument, value in pairs:
            self.places.flow(id(value), self.names.parameter(function, argument), COPY, SAME)

    def _keyed(self, call: ast.Call) -> None:
        """`os.environ.get('X')` reads one variable."""
        match call.func:
            case ast.Attribute(attr="get" | "pop", value=base) if call.args:
                if self.key_of(base, call.args[0]) is not None:
                    self.heads.add(id(base))

    def _call(self, call: ast.Call) -> None:
        name, base = called(call.func)
        places, here = self.places, id(call)
        given = [*call.args, *(one.value for one in call.keywords)]
        path = self.path_of(call.func) if isinstance(call.func, ast.Attribute) else None
        if name == "chdir":
            for one in given:
                places.flow(id(one), FOLDER, TEXT)
        if name in _FOLDERS:
            places.flow(FOLDER, here, TEXT)
        # `x.f()` calls no function outside of classes.
        functions = self.names.returning(call)
        if is_quote(call):
            for one in given:
                places.flow(id(one), here, QUOTE)
        elif not base and name in self.names.numbers:
            for one in given:
                places.flow(id(one), here, COUNT)
        elif path is not None:
            self._of_module(path, here)
            self._module(call, path, given)
        elif name in self.names.enums:
            pass
        elif functions:
            self._own(call, functions, given)
        elif id(call) in self.decorated:
            pass  # what the decorated function returns is taken where that is called
        elif isinstance(call.func, ast.Name):
            self._built_in(call, call.func.id, given)
        elif isinstance(call.func, ast.Attribute) and not self._is_type(call.func):
            self._method(call, call.func.value, call.func.attr)
        else:
            self._unknown(call, given)

    def _unknown(self, call: ast.Call, given: Sequence[ast.expr]) -> None:
        """Whatever is called may put anything into what it is given."""
        self.places.mark(id(call), UNPROVEN)
        self.places.make(id(call), CHANGING)
        name = called(call.func)[0]
        for one in given if name not in READING and name not in _HARMLESS else ():
            self.places.escape(id(one))

    def _is_type(self, method: ast.Attribute) -> bool:
        """`list.append`, which puts the one argument into the other."""
        match method.value:
            case ast.Name(id=name):
                is_type = isinstance(getattr(builtins, name, None), type) and name not in self.names.bound
                return is_type and method.attr not in METHODS_OF_TEXT
        return False

    # Functions of the script

    def _own(self, call: ast.Call, functions: Sequence[Function], given: Sequence[ast.expr]) -> None:
        name, base = called(call.func)
        here = id(call)
        if len(functions) > _MOST or (name in self.names.bound and not base and not self._is_lambda(functions)):
            self._called.difference_update(id(one) for one in functions)
            self._unknown(call, given)
            return
        if name in self.names.classes:
            self.places.mark(here, UNPROVEN)
            self.places.make(here, CHANGING)
        for function in functions:
            self._called.add(id(function))
            wrappers = self.names.wrappers.get(id(function), [])
            for each in chain([function], wrappers):
                self._pass(call, each, base)
            if name not in self.names.classes:
                # A function in a decorator that has another in it returns that one, not what is asked for here.
                for each in [function, *(one for one in wrappers if not _has_one_of(one, wrappers))]:
                    self.places.flow(self.names.result(each), here, COPY, SAME)
        if isinstance(call.func, ast.Attribute) and self._is_also_of_data(call.func.attr):
            self._method(call, call.func.value, call.func.attr)

    @staticmethod
    def _is_lambda(functions: Sequence[Function]) -> bool:
        return all(isinstance(one, ast.Lambda) for one in functions)

    @staticmethod
    def _is_also_of_data(name: str) -> bool:
        return any(hasattr(kind, name) for kind in (str, bytes, list, dict, set))

    def _pass(self, call: ast.Call, function: Function, base: str) -> None:
        given, places = function.args, self.places
        positional = [*given.posonlyargs, *given.args]
        is_method = id(function) in self.names.methods
        is_begin = not isinstance(function, ast.Lambda) and function.name == "__init__"
        is_of_class = base in self.names.classes
        if is_method and positional and (base or is_begin):
            self.unknown(self.names.parameter(function, positional[0]))
            positional = positional if is_of_class and not is_begin else positional[1:]
        rest = [one for one in (given.vararg, given.kwarg) if one is not None]
        if any(isinstance(one, ast.Starred) for one in call.args):
            for value in call.args:
                for one in positional:
                    inner = isinstance(value, ast.Starred)
                    way: Way = ELEMENT if inner else COPY
                    places.flow(id(value), self.names.parameter(function, one), way, GET if inner else SAME)
                if given.vararg is not None:
                    way = (BEGIN if value is call.args[0] else WORD) if isinstance(value, ast.Starred) else WORD
                    self.copy(value, self.names.parameter(function, given.vararg), way if not positional else TEXT)
        else:
            for one, value in zip(positional, call.args, strict=False):
                places.flow(id(value), self.names.parameter(function, one), COPY, SAME)
            if given.vararg is not None:
                several = self.names.parameter(function, given.vararg)
                for number, value in enumerate(call.args[len(positional) :]):
                    places.flow(id(value), several, WORD if number else TEXT, PUT)
        by_name = {one.arg: one for one in arguments(given) if one not in rest}
        for keyword in call.keywords:
            if keyword.arg in by_name:
                parameter = self.names.parameter(function, by_name[keyword.arg])
                places.flow(id(keyword.value), parameter, COPY, SAME)
                continue
            for one in by_name.values() if keyword.arg is None else ():
                places.flow(id(keyword.value), self.names.parameter(function, one), ELEMENT, GET)
            if given.kwarg is not None:
                turn = SAME if keyword.arg is None else PUT
                places.flow(id(keyword.value), self.names.parameter(function, given.kwarg), TEXT, turn)

    # Functions of Python, and of what is imported

    def _built_in(self, call: ast.Call, name: str, given: Sequence[ast.expr]) -> None:
        here, places = id(call), self.places
        is_own = name in self.names.bound or not hasattr(builtins, name) or "@" in name
        if is_own or name not in PURE | CALLING:
            self._unknown(call, given)
            return
        if name in ("list", "tuple", "set", "frozenset", "dict", "sorted", "reversed", "iter"):
            if name != "tuple":
                places.make(here, FLAT)
            for one in call.args[:1]:
                self.copy(one, here, BEGIN if name in ("list", "tuple", "iter") else TEXT)
            for keyword in call.keywords if name == "dict" else ():
                places.flow(id(keyword.value), here, TEXT, PUT if keyword.arg else SAME)
        elif name in LISTING:
            places.make(here, FLAT)
            for one in given:
                places.flow(id(one), here, TEXT, SAME)
        elif name in OF_TEXTS:
            for one in call.args:
                is_text = name == "str"
                places.flow(id(one), here, COPY if is_text else TEXT, SAME if name in ("min", "max") else NONE)
        elif name == "print":
            for keyword in call.keywords:
                for one in call.args if keyword.arg in ("file", None) else ():
                    places.put(id(one), id(keyword.value), TEXT)
        elif name == "next":
            for one in call.args:
                places.flow(id(one), here, ELEMENT, GET)
        else:
            if name == "open" or name in CALLING:
                places.make(here, CHANGING)
            for one in given:
                places.flow(id(one), here, OTHER, SAME)
        if name in CALLING and self._hands(given):
            # A function gets the elements, and may change those.
            for one in given:
                inner = ("part", id(one))
                places.flow(id(one), inner, TEXT, GET)
                places.escape(inner)

    @staticmethod
    def _hands(given: Sequence[ast.expr]) -> bool:
        return any(isinstance(one, ast.Name | ast.Attribute | ast.Lambda) for one in given)

    def _module(self, call: ast.Call, path: Sequence[str], given: Sequence[ast.expr]) -> None:
        here, places = id(call), self.places
        found = next((".".join(path[:end]) for end in range(len(path), 0, -1) if ".".join(path[:end]) in WORLD), None)
        known = WORLD.get(found or "")
        if path[:2] == ["os", "environ"]:
            self._method(call, call.func.value if isinstance(call.func, ast.Attribute) else call.func, path[-1])
            return
        if found is None or (known is not None and path[len(found.split("."))] not in known):
            self._unknown(call, given)
            if path[0] not in sys.stdlib_module_names and path[0] not in self.names.stored:
                places.mark(here, UNPROVEN)
            return
        if path == ["os", "getenv"] and call.args and isinstance(call.args[0], ast.Constant):
            places.flow(("variable", call.args[0].value), here, TEXT)
            places.flow(ENVIRONMENT, here, TEXT)
        elif path == ["os", "getenv"]:
            places.flow(("variable", None), here, TEXT)
        name = path[-1]
        if found in IMMUTABLE_OF or name in TEXTS:
            pass
        else:
            places.make(here, FLAT if name in FLAT_OF else CHANGING)
        if name == "join" or (found == "shlex" and name == "split"):
            ways = TEXT
        else:
            ways = TEXT if found in OF_NUMBERS or found in ("os.path", "pathlib") else OTHER
        is_flat = found in IMMUTABLE_OF or name in TEXTS or name in FLAT_OF or name in _STARTING
        for one in given:
            places.flow(id(one), here, ways, NONE if is_flat else SAME)
        if found == "subprocess" or is_flat:
            return
        for one in given:
            places.put(here, id(one), OTHER)

    def _method(self, call: ast.Call, base: ast.expr, name: str) -> None:
        here, places = id(call), self.places
        given = [*call.args, *(one.value for one in call.keywords)]
        if name in ("get", "pop") and call.args and (key := self.key_of(base, call.args[0])) is not None:
            places.flow(ENVIRONMENT, here, TEXT)
            places.flow(key, here, TEXT)
            for one in given[1:]:
                places.flow(id(one), here, TEXT)
        elif name == "get":
            places.flow(id(base), here, ELEMENT, GET)
            for one in given[1:]:
                places.flow(id(one), here, COPY, SAME)
        elif name == "copy" and not given:
            places.make(here, FLAT)
            self.copy(base, here, BEGIN)
        elif name in METHODS_OF_TEXT:
            places.flow(id(base), here, TEXT)
            if name in PARTING:
                places.make(here, FLAT)
            for one in given:
                places.flow(id(one), here, OTHER if makes_characters(base) else TEXT)
        elif name in READING:
            if name in PARTING:
                places.make(here, FLAT)
            places.flow(id(base), here, TEXT, SAME)
            for one in given:
                places.flow(id(one), here, OTHER)
        else:
            self._put_into(call, base, name, given)

    def _put_into(self, call: ast.Call, base: ast.expr, name: str, given: Sequence[ast.expr]) -> None:
        here, places = id(call), self.places
        into = id(base)
        is_begun = not isinstance(base, ast.Name) or self.begun(base.id)
        if name == "append" and is_begun:
            for one in given:
                self.put(one, into, WORD)
        elif name == "extend" and given and is_list_literal(given[0]):
            for number, one in enumerate(given[0].elts):  # type: ignore[attr-defined]
                self.put(one, into, WORD if is_begun or number else TEXT)
        elif name == "extend" and is_begun:
            for one in given:
                self.put_parts(one, into, WORD)
        else:
            for one in given:
                self.put(one, into)
        if name in _TURNING:
            places.put(into, into, OTHER)
        places.flow(into, here, ELEMENT if name in ("pop", "popleft", "setdefault") else OTHER, SAME)
        if name not in ("append", "extend", "add", "insert", "update", "appendleft"):
            for one in given:
                places.flow(id(one), here, OTHER)
                # What takes two may put the one into the other.
                places.put(here, id(one), OTHER)


def _has_one_of(function: Function, others: Sequence[Function]) -> bool:
    body = function.body if isinstance(function.body, list) else []
    return any(one is other for one in body for other in others)
