"""The tree of an expression: what each node says, what is below it, and which path it reads."""

from dataclasses import dataclass
from typing import Literal

TYPE_NAMES = frozenset({"int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"})

LiteralKind = Literal["string", "bytes", "number", "bool", "null"]


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal. `text` is the value of a string without its quotes and escapes, else the source."""

    kind: LiteralKind
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Ident:
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Select:
    """`base.field`; `tested` under has()."""

    base: "Node"
    field: str
    start: int
    end: int
    tested: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    base: "Node"
    index: "Node"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function, a method (with `receiver`), or an operator (`+`, `?:`, `unary -`)."""

    name: str
    receiver: "Node | None"
    arguments: "tuple[Node, ...]"
    start: int
    end: int
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Collection:
    """A list literal, or a map literal with keys and values in turn."""

    items: "tuple[Node, ...]"
    start: int
    end: int
    is_map: bool = False


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`walked.macro(variable, *bodies)`."""

    macro: str
    walked: "Node"
    variable: str
    bodies: "tuple[Node, ...]"
    start: int
    end: int


Node = Constant | Ident | Select | Index | Call | Collection | Comprehension


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Constant() | Ident():
            return ()
        case Select(base=base):
            return (base,)
        case Index(base=base, index=index):
            return (base, index)
        case Call(receiver=receiver, arguments=arguments):
            return arguments if receiver is None else (receiver, *arguments)
        case Collection(items=items):
            return items
        case Comprehension(walked=walked, bodies=bodies):
            return (walked, *bodies)


def path_of(node: Node) -> tuple[str, ...]:
    """The member path that a node reads, as far as it is written out: `steps["x"].outputs` is (steps, x, outputs).

    Empty where the node is no path. Where a path goes on by a computed index, the part before it is not a path of
    this node (ask its base).
    """
    match node:
        case Ident(name=name):
            return (name,)
        case Select(base=base, field=field):
            path = path_of(base)
            return (*path, field) if path else ()
        case Index(base=base, index=Constant(kind="string", text=key)):
            path = path_of(base)
            return (*path, key) if path else ()
        case _:
            return ()
