"""What the statements of a script for Python say of where values go: from which names, to which, in which way."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, pairwise

from engine.scripts.python_calls import called
from engine.scripts.python_flows import Flows, Way, is_list, is_list_literal, literals
from engine.scripts.python_implicit import HANDED, RAISED, SENT, takes_arguments
from engine.scripts.python_names import (
    ANY_VARIABLE,
    WHOLE_ENVIRONMENT,
    Function,
    Names,
    arguments,
)
from engine.scripts.python_sources import Sources, results_of
from engine.scripts.python_targets import calls_of, named_by, names_captured, names_set, repeated
from engine.scripts.python_tree import children

_ADDING = frozenset({"append", "extend", "insert", "add", "update", "appendleft", "setdefault", "put"})
_KEEPING_NOTHING = frozenset(
    {
        "format", "format_map", "replace", "join", "split", "rsplit", "startswith", "endswith", "strip", "lstrip",
        "rstrip", "find", "rfind", "index", "count", "encode", "decode", "removeprefix", "removesuffix", "partition",
        "rpartition", "get", "match", "search", "fullmatch", "sub", "findall", "finditer", "joinpath", "with_suffix",
        "with_name", "glob", "rglob", "exists", "remove", "discard", "difference", "union", "intersection",
        "write", "writelines", "write_text", "write_bytes", "info", "debug", "warning", "error", "exception",
        "critical", "log", "communicate", "execute", "executemany", "send_message", "sendmail", "sendall", "open",
        "relative_to", "is_relative_to", "substitute", "safe_substitute", "copy", "wait",
        "poll", "kill",
    }
)  # fmt: skip
"""Methods after which their object holds none of their arguments, or nothing that is read of it."""
_TURNING = frozenset({"pop", "popleft", "popitem", "remove", "reverse", "sort", "rotate", "clear"})
"""Methods that take something out of their object, or turn it round."""
_OF_FIRST = frozenset(
    {
        "heappush", "heappushpop", "heapreplace", "insort", "insort_left", "insort_right", "setitem", "setattr",
        "__setattr__", "__setitem__", "pack_into",
    }
)  # fmt: skip
"""Functions that put what follows into their first argument."""
_IN_MEMORY = frozenset({"getvalue", "getbuffer", "seek"})
_FEW = 4
"""Lists that one name may hold, and..."""
_SHORT = 16
"""words of each at its begin: more are not looked at."""


Saying = tuple[ast.AST, Function | None]
"""A node that may say where a value goes, and the function that it is in."""


def followed(statements: Sequence[Saying], names: Names) -> Flows:
    """What the script says, after its variables got their names."""
    first = _Follower(names, Flows(), only_lists=True)
    first.follow(statements)
    # A list may begin after the place where it is used.
    second = _Follower(names, first.flows)
    second.follow(statements)
    return second.flows


_SAYING = frozenset(
    {
        ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.AugAssign, ast.For, ast.AsyncFor, ast.comprehension, ast.withitem,
        ast.Match, ast.Return, ast.Yield, ast.YieldFrom, ast.Lambda, ast.Call, ast.Raise, ast.Assert,
        ast.ExceptHandler, ast.BinOp, ast.List, ast.Tuple, ast.Delete, ast.While,
        ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
        ast.FunctionDef, ast.AsyncFunctionDef,
    }
)  # fmt: skip


def in_order(tree: ast.Module) -> tuple[list[ast.AST], list[Saying]]:
    """All nodes in the order of the text, each after the one above it; and those that may say something."""
    nodes: list[ast.AST] = []
    saying: list[Saying] = []
    waiting: list[Saying] = [(tree, None)]
    while waiting:
        node, function = waiting.pop()
        nodes.append(node)
        if node.__class__ in _SAYING:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                function = node
            saying.append((node, function))
        if below := children(node):
            below.reverse()
            waiting += [(child, function) for child in below]
    return nodes, saying


class _Follower:
    def __init__(self, names: Names, known: Flows, *, only_lists: bool = False) -> None:
        self.flows = Flows()
        self._only_lists = only_lists
        self._names = names
        self._lists, self._added = known.lists, known.added
        self._parameters: dict[int, dict[str | None, str]] = {}
        self._in_memory = False
        self._repeated: set[int] = set()
        self._is_repeated = False
        self._own = ""
        """What the names of a function's own variables end with."""
        self._sources = Sources(names)
        self._several: list[ast.Call] = []

    def follow(self, statements: Sequence[Saying]) -> None:
        for name in sorted(self._names.env):
            self.flows.edges[f"${name}"].append(("text", WHOLE_ENVIRONMENT))
        for field, bases in self._names.read.items():
            self.flows.otherwise.add(field)
            for base in sorted(bases):
                self.flows.edges[base].append(("text", field))
        self._in_memory = any(
            isinstance(node, ast.Call) and called(node.func)[0] in _IN_MEMORY for node, _ in statements
        )
        self._repeated = repeated(node for node, _ in statements)
        for node, function in statements:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                self._defaults(node)
            self._look(node, function)

    def _look(self, node: ast.AST, function: Function | None) -> None:
        self._is_repeated = id(node) in self._repeated
        self._own = "" if function is None else f"@{self._names.locals[id(function)]}"
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
                self._share([name for target in targets for name in named_by(target)])
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                self._assign(target, value)
            case ast.AugAssign(target=target, value=value):
                self._add(target, value)
            case ast.For(target=target, iter=items) | ast.AsyncFor(target=target, iter=items):
                self._iterate(target, items)
            case ast.comprehension(target=target, iter=items):
                self._iterate(target, items)
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                self._assign(target, value)
            case ast.Match(subject=subject, cases=cases):
                captured = (name for case in cases for name in names_captured(case.pattern))
                for name in captured:
                    self._flow(subject, name, "text")
            case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
                if function is not None:
                    self._give(self._names.result(function), value)
                    if isinstance(node, ast.Yield):
                        self.flows.otherwise.add(self._names.result(function))
            case ast.Delete(targets=targets):
                for one in targets:
                    if isinstance(one, ast.Subscript):
                        self._alter(self._into(one))
            case ast.YieldFrom(value=items):
                if function is not None:
                    self._flow(items, self._names.result(function), "copy" if self._holds_lists(items) else "text")
            case ast.Lambda(body=body):
                self._give(self._names.result(node), body)
            case ast.Call():
                self._call(node)
            case ast.Raise(exc=ast.expr() as value) | ast.Assert(msg=ast.expr() as value):
                self._flow(value, RAISED, "text")
            case ast.ExceptHandler(name=str() as name):
                self.flows.texts[name].append(None)
                self.flows.otherwise.add(name)
                self.flows.edges[RAISED].append(("text", name))
            case ast.BinOp(left=ast.Name(id=name), op=ast.Add(), right=ast.List(elts=items) | ast.Tuple(elts=items)):
                self._join(name, items)
            case (
                ast.List(elts=[ast.Starred(value=ast.Name(id=name)), *items])
                | ast.Tuple(elts=[ast.Starred(value=ast.Name(id=name)), *items])
            ):
                self._join(name, items)

    def _share(self, names: Sequence[str]) -> None:
        """`a = b = []`"""
        for one, other in pairwise(names):
            self.flows.aliases[one].append(other)
            self.flows.aliases[other].append(one)

    def _alias(self, name: str, value: ast.expr) -> None:
        for one in literals(value):
            for other in self._into(one):
                self.flows.aliases[name].append(other)

    def _into(self, target: ast.AST) -> list[str]:
        """The names whose object an assignment to this changes, or a method of it."""
        return [*names_set(target), *(name for call in calls_of(target) for name in results_of(call, self._names))]

    def _defaults(self, function: Function) -> None:
        given = function.args
        positional = [*given.posonlyargs, *given.args]
        pairs = [*zip(reversed(positional), reversed(given.defaults), strict=False)]
        pairs += [(one, value) for one, value in zip(given.kwonlyargs, given.kw_defaults, strict=True) if value]
        for argument, value in pairs:
            self._give(self._names.parameter(function, argument), value)

    def _assign(self, target: ast.AST, value: ast.expr) -> None:
        match target:
            case ast.Name(id=name):
                self._give(name, value)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                items = value.elts if isinstance(value, ast.Tuple | ast.List) else []
                if len(items) == len(targets) and not any(isinstance(one, ast.Starred) for one in (*items, *targets)):
                    for one, item in zip(targets, items, strict=True):
                        self._assign(one, item)
                else:
                    for name in names_set(target):
                        self._flow(value, name, "text")
            case _:
                self._alter(self._into(target))
                for name in self._into(target):
                    self._flow(value, name, "text", put=True)

    def _alter(self, names: Iterable[str]) -> None:
        """Something is put into their object, in any place."""
        names = [*names]
        self.flows.changed.update(names)
        self.flows.altered.update(names)

    def _give(self, name: str, value: ast.expr) -> None:
        self.flows.texts[name].append(_text(value))
        self.flows.given[name].append(value)
        for one in literals(value):
            if not isinstance(one, ast.List | ast.Tuple):
                self.flows.unlisted.add(name)
            elif len(self.flows.lists[name]) < _FEW and len(one.elts) <= _SHORT:
                self.flows.lists[name].append(one.elts)
            else:
                self.flows.unlisted.add(name)
                if len(self.flows.lists[name]) < _FEW:
                    self.flows.lists[name].append(one.elts[:_SHORT])
        self._edge(value, name, "copy")
        self._alias(name, value)

    def _add(self, target: ast.expr, value: ast.expr) -> None:
        for name in self._into(target):
            self.flows.changed.add(name)
            if isinstance(value, ast.List | ast.Tuple):
                self._end(name, value.elts)
            elif self._lists.get(name):
                self._end(name, [ast.Starred(value=value, ctx=ast.Load())])
            is_known = isinstance(value, ast.List | ast.Tuple)
            if not isinstance(target, ast.Name) or not (is_known or self._lists.get(name)):
                self._alter([name])
            way: Way = "command" if is_list(value) or self._lists.get(name) else "text"
            self._flow(value, name, way, listed=is_known, put=True)

    def _iterate(self, target: ast.expr, items: ast.expr) -> None:
        if isinstance(items, ast.List | ast.Tuple):
            for item in items.elts:
                self._assign(target, item)
            return
        if isinstance(target, ast.Name):
            one = ast.Subscript(value=items, slice=ast.Constant(value=0), ctx=ast.Load())
            self.flows.given[target.id].append(one)
        for name in names_set(target):
            is_whole = isinstance(target, ast.Name)
            self._flow(items, name, "copy" if self._holds_lists(items) else "text", put=is_whole)
            self._alias(name, items)

    def _holds_lists(self, items: ast.expr) -> bool:
        begins = self._lists.get(items.id, []) if isinstance(items, ast.Name) else []
        return bool(begins) and all(one and is_list_literal(one[0]) for one in begins)

    def _join(self, name: str, items: Sequence[ast.expr]) -> None:
        for begin in self._lists.get(name, ()):
            self.flows.joined.append(ast.List(elts=[*begin, *items], ctx=ast.Load()))

    def _call(self, call: ast.Call) -> None:
        self._keep(call)
        if takes_arguments(call, self._names):
            for given in (*call.args, *(one.value for one in call.keywords)):
                self._flow(given, HANDED, "copy")
        for function, offset in self._functions(call.func):
            self._pass(call, function, offset)
        for given in (*call.args, *(one.value for one in call.keywords)):
            if isinstance(given, ast.Lambda):
                self._hand([given], call)
            elif isinstance(given, ast.Name) and given.id in self._names.functions:
                self._hand(self._names.functions[given.id][:_FEW], call)

    def _keep(self, call: ast.Call) -> None:
        """What an object holds after a call of its method: `xs.append(x)`, `d['a'].append(x)`, `c.set('a', 'b', x)`."""
        name = called(call.func)[0] or ""
        if name in _OF_FIRST and call.args:
            into = self._into(call.args[0])
            self._spread(call, call.args[1:], [*into, ANY_VARIABLE] if name in ("setattr", "__setattr__") else into)
        if isinstance(call.func, ast.Attribute) and name in _TURNING:
            self._alter(self._into(call.func.value))
        if not isinstance(call.func, ast.Attribute) or not (call.args or call.keywords):
            return
        if name in ("send", "asend", "throw", "athrow"):
            self._spread(call, call.args, [SENT])
        into = self._into(call.func.value)
        if name in _ADDING:
            self.flows.changed.update(into)
            if name not in ("append", "extend") or not isinstance(call.func.value, ast.Name):
                self._alter(into)
            for base in into[:_FEW] if call.args else ():
                self._put(base, name, call.args)
            self._spread(call, call.args, into[_FEW:])
            self._spread(call, [one.value for one in call.keywords], into)
        elif self._may_keep(call, name):
            self._spread(call, [*call.args, *(one.value for one in call.keywords)], into)

    def _may_keep(self, call: ast.Call, name: str) -> bool:
        if name in _KEEPING_NOTHING and not (name.startswith("write") and self._in_memory):
            return False
        is_of_module = isinstance(call.func, ast.Attribute) and _is_module(call.func.value, self._names)
        return not is_of_module and not self._names.called(call.func)

    def _spread(self, call: ast.Call, values: Sequence[ast.expr], into: Sequence[str]) -> None:
        """Each of the values into each of those, by one name: of many and many there were too many ways."""
        if not values or not into:
            return
        self._alter(into)
        if len(into) > 1:
            one = f"an argument@{len(self._several)}"
            self._several.append(call)
            for name in into:
                self.flows.texts[name].append(None)
                self.flows.unlisted.add(name)
                self.flows.edges[one].append(("text", name))
            into = [one]
        for value in values:
            self._flow(value, into[0], "text", put=True)

    def _put(self, base: str, name: str, given: Sequence[ast.expr]) -> None:
        first = given[0]
        if name == "extend" and isinstance(first, ast.List | ast.Tuple):
            self._end(base, first.elts)
        elif name == "extend":
            self._end(base, [ast.Starred(value=first, ctx=ast.Load())])
        elif name == "append":
            self._end(base, [first])
        begins = self._lists.get(base, [])
        first_of_all = self._added[base][0] if not all(begins) and self._added.get(base) else None
        for value in given:
            at_head = name in ("insert", "appendleft") or value is first_of_all
            self._flow(value, base, "text" if at_head else "command", listed=not at_head, put=True)

    def _end(self, name: str, items: list[ast.expr]) -> None:
        self.flows.added[name] += items
        self.flows.ends[name].append((self._is_repeated or not name.endswith(self._own), items))

    def _functions(self, func: ast.expr) -> Iterator[tuple[Function, int]]:
        """The functions that a call may mean, and how many of their parameters it does not give."""
        base = called(func)[1]
        found = self._names.called(func)[:_SHORT]
        for function in chain(found, *(self._names.wrappers.get(id(one), ()) for one in found)):
            first = function.args.args[:1]
            bound = bool(first) and (first[0].arg in ("self", "cls") or id(function) in self._names.methods)
            yield function, int((bool(base) or _is_begin(function)) and bound)
            if bound and base in self._names.classes:
                yield function, 0  # A.f(a, x)

    def _pass(self, call: ast.Call, function: Function, offset: int) -> None:
        given = function.args
        if offset and isinstance(call.func, ast.Attribute) and given.args:
            self._give(self._names.parameter(function, given.args[0]), call.func.value)
        if any(isinstance(one, ast.Starred) for one in call.args):
            has_places = bool(given.args or given.posonlyargs)
            for value in call.args:
                self._flow(value, self._any_of(function), "text" if has_places else "copy")
            self._lose(function, but=None if has_places else given.vararg)
            if given.vararg is not None:
                several = self._names.parameter(function, given.vararg)
                self.flows.given[several].append(ast.Tuple(elts=[*call.args], ctx=ast.Load()))
        else:
            places = islice(chain(given.posonlyargs, given.args), offset, None)
            for parameter, value in zip(places, call.args, strict=False):
                self._give(self._names.parameter(function, parameter), value)
            if given.vararg is not None:
                taken = len(given.posonlyargs) + len(given.args) - offset
                rest = ast.Tuple(elts=call.args[taken:], ctx=ast.Load())
                self.flows.joined.append(rest)
                self._give(self._names.parameter(function, given.vararg), rest)
        by_name = self._named(function)
        for keyword in call.keywords:
            if keyword.arg in by_name:
                self._give(by_name[keyword.arg], keyword.value)
            elif keyword.arg is not None and given.kwarg is not None:
                self._flow(keyword.value, self._names.parameter(function, given.kwarg), "text")
            else:
                self._flow(keyword.value, self._any_of(function), "text")
                self._lose(function)

    def _named(self, function: Function) -> dict[str | None, str]:
        if id(function) not in self._parameters:
            parameters = arguments(function.args)
            self._parameters[id(function)] = {one.arg: self._names.parameter(function, one) for one in parameters}
        return self._parameters[id(function)]

    def _any_of(self, function: Function) -> str:
        """A name that stands for all parameters."""
        name = self._names.any_of(function)
        if name not in self.flows.edges:
            for parameter in self._named(function).values():
                self.flows.texts[parameter].append(None)
                self.flows.edges[name].append(("copy", parameter))
        return name

    def _hand(self, functions: Sequence[Function], call: ast.Call) -> None:
        """`pool.map(f, values)`, `Thread(target=f, args=(value,))`: what else is given may become an argument."""
        for function in functions:
            for value in (*call.args, *(one.value for one in call.keywords)):
                self._flow(value, self._any_of(function), "copy" if self._holds_lists(value) else "text")
            self._lose(function)

    def _lose(self, function: Function, *, but: ast.arg | None = None) -> None:
        """Its parameters may hold what nobody says here."""
        kept = None if but is None else self._names.parameter(function, but)
        self.flows.otherwise.update(one for one in self._named(function).values() if one != kept)

    def _flow(self, value: ast.expr, target: str, way: Way, *, listed: bool = False, put: bool = False) -> None:
        """`put`: into the object that the target is, which is known by its name."""
        self.flows.texts[target].append(None)
        if not put:
            self.flows.otherwise.add(target)
        if not listed:
            self.flows.unlisted.add(target)
        self._edge(value, target, way)

    def _edge(self, value: ast.expr, target: str, way: Way) -> None:
        if self._only_lists:
            return
        for name, how in self._sources.of(value, way):
            self.flows.edges[name].append((how, target))


def _is_module(node: ast.expr, names: Names) -> bool:
    """`os` and `os.path`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in names.modules


def _is_begin(function: Function) -> bool:
    return isinstance(function, ast.FunctionDef) and function.name == "__init__"


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
