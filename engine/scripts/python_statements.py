"""What the statements of a script for Python say of where values go: from which names, to which, in which way."""

import ast
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from engine.scripts.python_calls import called
from engine.scripts.python_flows import Flows, Way, is_list, is_list_literal, is_quote, literals, spoken, stands_bare
from engine.scripts.python_names import WHOLE_ENVIRONMENT, Function, Names, arguments
from engine.scripts.python_tree import children, walked

NUMBERS = frozenset({"int", "float", "bool", "len", "hash", "ord", "isinstance", "UUID", "ip_address", "ip_network"})
"""Calls of whose result no text of the arguments is a part, or one that says nothing else."""
_SAME = frozenset({"str", "list", "tuple", "copy", "strip"})
_ADDING = frozenset({"append", "extend", "insert", "add", "update", "appendleft", "setdefault", "put"})
_RAISED = "an exception"
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
        ast.Match, ast.Return, ast.Yield, ast.Lambda, ast.Call, ast.Raise, ast.ExceptHandler, ast.BinOp, ast.List,
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

    def follow(self, statements: Sequence[Saying]) -> None:
        for name in sorted(self._names.env):
            self.flows.edges[f"${name}"].append(("text", WHOLE_ENVIRONMENT))
        for field, bases in self._names.read.items():
            for base in sorted(bases):
                self.flows.edges[base].append(("text", field))
        for node, function in statements:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                self._defaults(node)
            self._look(node, function)

    def _look(self, node: ast.AST, function: Function | None) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
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
                captured = (name for case in cases for name in _captured(case.pattern))
                for name in captured:
                    self._flow(subject, name, "text")
            case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
                if function is not None:
                    self._give(self._names.result(function), value)
            case ast.Lambda(body=body):
                self._give(self._names.result(node), body)
            case ast.Call():
                self._call(node)
            case ast.Raise(exc=ast.expr() as value):
                self._flow(value, _RAISED, "text")
            case ast.ExceptHandler(name=str() as name):
                self.flows.texts[name].append(None)
                self.flows.edges[_RAISED].append(("text", name))
            case ast.BinOp(left=ast.Name(id=name), op=ast.Add(), right=ast.List(elts=items)):
                self._join(name, items)
            case ast.List(elts=[ast.Starred(value=ast.Name(id=name)), *items]):
                self._join(name, items)

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
                    for name in _targets(target):
                        self._flow(value, name, "text")
            case _:
                for name in _targets(target):
                    self._flow(value, name, "text")

    def _give(self, name: str, value: ast.expr) -> None:
        self.flows.texts[name].append(_text(value))
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

    def _add(self, target: ast.expr, value: ast.expr) -> None:
        for name in _targets(target):
            if isinstance(value, ast.List | ast.Tuple):
                self.flows.added[name] += value.elts
            is_known = isinstance(value, ast.List | ast.Tuple)
            self._flow(value, name, "command" if is_list(value) or self._lists.get(name) else "text", listed=is_known)

    def _iterate(self, target: ast.expr, items: ast.expr) -> None:
        if isinstance(items, ast.List | ast.Tuple):
            for item in items.elts:
                self._assign(target, item)
            return
        for name in _targets(target):
            self._flow(items, name, "copy" if self._holds_lists(items) else "text")

    def _holds_lists(self, items: ast.expr) -> bool:
        begins = self._lists.get(items.id, []) if isinstance(items, ast.Name) else []
        return bool(begins) and all(one and is_list_literal(one[0]) for one in begins)

    def _join(self, name: str, items: Sequence[ast.expr]) -> None:
        for begin in self._lists.get(name, ()):
            self.flows.joined.append(ast.List(elts=[*begin, *items], ctx=ast.Load()))

    def _call(self, call: ast.Call) -> None:
        match call.func:
            case ast.Attribute(attr=name, value=ast.Name(id=base)) if name in _ADDING:
                if call.args:
                    self._put(base, name, call.args)
                for keyword in call.keywords:
                    self._flow(keyword.value, base, "text")
        for function, offset in self._functions(call.func):
            self._pass(call, function, offset)
        for given in (*call.args, *(one.value for one in call.keywords)):
            if isinstance(given, ast.Lambda):
                self._hand([given], call)
            elif isinstance(given, ast.Name) and given.id in self._names.functions:
                self._hand(self._names.functions[given.id][:_FEW], call)

    def _put(self, base: str, name: str, given: Sequence[ast.expr]) -> None:
        first = given[0]
        if name == "extend" and isinstance(first, ast.List | ast.Tuple):
            self.flows.added[base] += first.elts
        elif name == "append":
            self.flows.added[base].append(first)
        begins = self._lists.get(base, [])
        first_of_all = self._added[base][0] if not all(begins) and self._added.get(base) else None
        for value in given:
            at_head = name in ("insert", "appendleft") or value is first_of_all
            self._flow(value, base, "text" if at_head else "command", listed=not at_head)

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
        if any(isinstance(one, ast.Starred) for one in call.args):
            way: Way = "text" if given.args or given.posonlyargs else "copy"
            for value in call.args:
                self._flow(value, self._any_of(function), way)
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
            else:
                self._flow(keyword.value, self._any_of(function), "text")

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

    def _flow(self, value: ast.expr, target: str, way: Way, *, listed: bool = False) -> None:
        self.flows.texts[target].append(None)
        if not listed:
            self.flows.unlisted.add(target)
        self._edge(value, target, way)

    def _edge(self, value: ast.expr, target: str, way: Way) -> None:
        if self._only_lists:
            return
        for name, how in self._sources(value, way):
            self.flows.edges[name].append((how, target))

    def _sources(self, value: ast.expr, way: Way) -> Iterator[tuple[str, Way]]:
        """The names whose values are in the value of an expression, and in which way."""
        waiting: list[tuple[ast.AST, Way]] = [(value, way)]
        while waiting:
            node, how = waiting.pop()
            own: Way = how if how != "copy" else "text"
            match node:
                case ast.Name(id=name):
                    yield name, how
                case ast.List(elts=[first, *rest]) | ast.Tuple(elts=[first, *rest]):
                    is_head = not isinstance(first, ast.Starred | ast.List | ast.Tuple)
                    waiting.append((first, own if is_head else how))
                    waiting += ((one, "command" if how == "copy" else how) for one in rest)
                case ast.BinOp(left=left, op=ast.Add(), right=right) if how == "copy" and is_list(node):
                    waiting += ((left, "copy"), (right, "command"))
                case ast.BinOp(op=ast.Add()) | ast.JoinedStr() if how == "copy":
                    waiting += self._joined(node)
                case ast.FormattedValue(value=inner, format_spec=spec):
                    waiting += ((one, own) for one in (inner, spec) if one is not None)
                case ast.IfExp(body=body, orelse=orelse):
                    waiting += ((body, how), (orelse, how))
                case ast.BoolOp(values=values):
                    waiting += ((one, how) for one in values)
                case ast.NamedExpr(target=inner) | ast.Await(value=inner) | ast.Starred(value=inner):
                    waiting.append((inner, how))
                case ast.Attribute(value=inner, attr="strip" | "copy"):
                    waiting.append((inner, how))
                case ast.Subscript(value=inner) | ast.Attribute(value=inner):
                    waiting.append((inner, own))
                case ast.Compare() | ast.Lambda() | ast.UnaryOp(op=ast.Not()):
                    pass
                case ast.Call():
                    waiting += self._of_call(node, how, own)
                    yield from ((result, how) for result in self._results(node))
                case _:
                    waiting += [(one, own) for one in children(node)]

    def _of_call(self, call: ast.Call, how: Way, own: Way) -> list[tuple[ast.AST, Way]]:
        name, base = called(call.func)
        given: list[ast.expr] = [*call.args, *(one.value for one in call.keywords)]
        if name in NUMBERS or (not base and self._names.functions.get(name or "")) or name in self._names.enums:
            return []
        if is_quote(call):
            return [(one, "quoted" if how == "copy" else "command" if how == "spoken" else how) for one in given]
        if name in _SAME:
            own = how
        if name == "get" and len(given) > 0:
            given = given[1:]
        inner = (
            [call.func.value] if isinstance(call.func, ast.Attribute) else [] if base == "" and name else [call.func]
        )
        return [(one, own) for one in (*inner, *given)]

    def _results(self, call: ast.Call) -> Iterator[str]:
        return iter(results_of(call, self._names))

    def _joined(self, node: ast.expr) -> Iterator[tuple[ast.AST, Way]]:
        """The parts of a text, which stay quoted where sh reads them as words."""
        found = spoken(node)
        if found is None or not stands_bare(found[0]):
            yield from ((one, "text") for one in children(node))
        else:
            yield from ((one, "spoken" if self._is_word(one) else "text") for one in found[1])

    def _is_word(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Call):
            return is_quote(node) or (isinstance(node.func, ast.Name) and bool(self._names.called(node.func)))
        return isinstance(node, ast.Name)


def results_of(call: ast.Call, names: Names) -> list[str]:
    """The names of what the functions return that a call may mean."""
    return [names.result(one) for one in names.returning(call)[:_SHORT]]


def _is_begin(function: Function) -> bool:
    return isinstance(function, ast.FunctionDef) and function.name == "__init__"


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _targets(target: ast.AST) -> list[str]:
    """The names that an assignment to this changes: of `a.b[i] = x` it is a."""
    found: list[str] = []
    waiting = [target]
    while waiting:
        match waiting.pop():
            case ast.Name(id=name):
                found.append(name)
            case ast.Tuple(elts=items) | ast.List(elts=items):
                waiting += items
            case ast.Subscript(value=inner) | ast.Attribute(value=inner) | ast.Starred(value=inner):
                waiting.append(inner)
    return found


def _captured(pattern: ast.AST) -> Iterator[str]:
    for node in walked(pattern):
        match node:
            case (
                ast.MatchAs(name=str() as name)
                | ast.MatchStar(name=str() as name)
                | ast.MatchMapping(rest=str() as name)
            ):
                yield name
