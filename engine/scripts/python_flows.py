"""What takes a value on in a script for Python, from one variable to the next.

Each name has the states in which a value may be in it: as any text, as one word quoted for sh, or within a command that
is in order. Whoever follows a script so closely may join what Python keeps apart (the elements of a list, the branches
of an `if`), never the other way round. Work and memory are linear in the length of the script.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.scripts.posix_shell.pieces import HOLE
from engine.scripts.posix_shell.scan import readings

State = Literal["text", "quoted", "command"]
Way = Literal["copy", "text", "command", "quoted", "spoken"]
"""How a value goes on: as it is, as a text, as a word of a list that is no head, quoted, or in a text for sh where it
stands bare."""
Place = tuple[str, State]
_PLAIN = re.compile(r"[A-Za-z0-9/:@._,+-]*")
_QUOTING = frozenset({"shlex", "pipes", "parse", "urllib.parse"})


@dataclass
class Flows:
    """What the statements of a script say."""

    edges: dict[str, list[tuple[Way, str]]] = field(default_factory=lambda: defaultdict(list))
    """By name: the names that take its value."""
    lists: dict[str, list[list[ast.expr]]] = field(default_factory=lambda: defaultdict(list))
    """By name: the begins of the lists that it is given."""
    unlisted: set[str] = field(default_factory=set)
    """Names that may hold other lists than those."""
    added: dict[str, list[ast.expr]] = field(default_factory=lambda: defaultdict(list))
    """By name: what is put at the end of those."""
    ends: dict[str, list[tuple[bool, list[ast.expr]]]] = field(default_factory=lambda: defaultdict(list))
    """The same by statement, and whether that is in a loop."""
    joined: list[ast.expr] = field(default_factory=list)
    """Lists that begin with what another name holds."""
    aliases: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By name: names that may hold the same object."""
    changed: set[str] = field(default_factory=set)
    """Names of which the object is changed: something is put into it."""
    altered: set[str] = field(default_factory=set)
    """Those of which it is changed in another way than by what is put at its end."""
    given: dict[str, list[ast.expr]] = field(default_factory=lambda: defaultdict(list))
    """By name: the expressions that it is given as they are."""
    otherwise: set[str] = field(default_factory=set)
    """Names that may hold something else than those."""
    texts: dict[str, list[str | None]] = field(default_factory=lambda: defaultdict(list))
    """By name: the texts that it is given, None for what is none."""

    def constants(self) -> dict[str, str]:
        """Names that are given one text, and nothing else."""
        return {name: given[0] for name, given in self.texts.items() if len(given) == 1 and given[0] is not None}


@dataclass(frozen=True)
class Reached:
    """Where the values of some names get to."""

    states: Mapping[str, frozenset[State]]
    _before: Mapping[Place, Sequence[Place]]

    def culprits(self, sinks: Iterable[str]) -> dict[str, tuple[str, str]]:
        """By name, of all from which a value gets to one of these: the name that takes it first, and that sink."""
        found: dict[Place, tuple[str, str]] = {}
        for sink in sinks:
            states = self.states.get(sink, frozenset())
            worst: Iterable[State] = ("text",) if "text" in states else sorted(states)
            for state in worst:
                found.setdefault((sink, state), (sink, sink))
        waiting = [*found]
        for place in waiting:
            for before in self._before.get(place, ()):
                if before not in found:
                    found[before] = (place[0], found[place][1])
                    waiting.append(before)
        return {name: said for (name, _), said in found.items()}


def reached(flows: Flows, names: Iterable[str]) -> Reached:
    before: dict[Place, list[Place]] = defaultdict(list)
    waiting: list[Place] = [(name, "text") for name in names]  # in their order: messages say how a value got there
    seen = {*waiting}
    for name, state in waiting:
        for way, target in flows.edges.get(name, ()):
            after = (target, _after(state, way))
            before[after].append((name, state))
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    states: dict[str, set[State]] = defaultdict(set)
    for name, state in seen:
        states[name].add(state)
    return Reached({name: frozenset(found) for name, found in states.items()}, before)


def _after(state: State, way: Way) -> State:
    match way:
        case "copy":
            return state
        case "text" | "command" | "quoted":
            return way
    return "command" if state == "quoted" else "text"


def spoken(node: ast.expr) -> tuple[str, list[ast.expr]] | None:
    """A text put together, with a mark for each `shlex.quote(...)` or name in it; None where it is more than that."""
    text, held = "", list[ast.expr]()
    waiting = [node]
    while waiting:
        match waiting.pop():
            case ast.Constant(value=str() as piece):
                text += piece
            case ast.JoinedStr(values=values):
                waiting += reversed(values)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                waiting.append(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                waiting += (right, left)
            case (ast.Name() | ast.Call()) as one:
                text += HOLE
                held.append(one)
            case _:
                return None
    return text, held


def stands_bare(text: str) -> bool:
    """Whether a quoted word may stand at each mark of a text for sh."""
    places = [at for at, char in enumerate(text) if char == HOLE]
    return all(found == "bare" for found in readings(text, places, "sh").values())


def is_quote(node: ast.AST) -> bool:
    """`shlex.quote(x)`, or that of `urllib.parse`; not a function that the script calls so."""
    match node:
        case ast.Call(
            func=ast.Attribute(attr="quote", value=(ast.Name(id=base) | ast.Attribute(attr=base))),
            args=[_, *more],
            keywords=named,
        ):
            kept = [*more, *(one.value for one in named)]
            return base in _QUOTING and all(isinstance(one, ast.Constant) and _is_plain(one.value) for one in kept)
    return False


def _is_plain(text: object) -> bool:
    """What `urllib.parse.quote(x, safe=...)` may leave as it is."""
    return isinstance(text, str) and _PLAIN.fullmatch(text) is not None


def begin_of(node: ast.AST) -> ast.AST | None:
    """What a list begins with that is no literal: x in `[*x, 'a']`, `x + ['a']`; None where there is no such."""
    while True:
        match node:
            case ast.BinOp(left=ast.List(elts=[]) | ast.Tuple(elts=[]), op=ast.Add(), right=inner):
                node = inner
            case ast.BinOp(left=inner, op=ast.Add()) | ast.Starred(value=inner):
                node = inner
            case ast.List(elts=[ast.Starred() as first, *_]) | ast.Tuple(elts=[ast.Starred() as first, *_]):
                node = first
            case ast.List() | ast.Tuple() | ast.Constant() | ast.JoinedStr():
                return None
            case _:
                return node


def literals(value: ast.expr) -> list[ast.expr]:
    """What a value may be, by the branches of `a if b else c` and `a or b`."""
    found: list[ast.expr] = []
    waiting = [value]
    while waiting:
        match waiting.pop():
            case ast.IfExp(body=body, orelse=orelse):
                waiting += (orelse, body)
            case ast.BoolOp(values=values):
                waiting += reversed(values)
            case one:
                found.append(one)
    return found


def is_list(node: ast.AST) -> bool:
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        if is_list_literal(node.right):
            return True
        node = node.left
    return is_list_literal(node)


def is_list_literal(node: ast.AST) -> bool:
    return isinstance(node, ast.List | ast.Tuple)
