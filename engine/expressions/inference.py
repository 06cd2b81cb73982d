"""What type an expression gives, as far as that follows from its text and from the types of what it reads.

Nothing is evaluated. A type that is not known is None, and whatever it meets is taken for right: what is said to be
wrong here is wrong for every value, wherever it is asked for its value. The rules are the library's (a test asks it
about every pair of types), but for one that is ours: a part that `true ||`, `false &&` or `?:` may pass over is held
to the same rules, though CEL would not look at it (`true || 5` is true).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_args

from engine.expressions.certainty import fault_of
from engine.expressions.syntaxtree import Call, Collection, Comprehension, Constant, Ident, Index, Node, Select
from engine.identity import CauseKind
from engine.states import RunState, StepState

Types = frozenset[str] | None
"""The types a value may have, of those in WORDS; None where that is not known; none at all where there is no value."""
Lookup = Callable[[tuple[str, ...]], Types]
"""The types of a member path, as in (params, n)."""
Choices = Callable[[tuple[str, ...]], frozenset[str]]
"""All texts that a member path may read, where those are a known few; else nothing."""

WORDS: Mapping[str, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "double": "a number",
    "text": "text",
    "bytes": "bytes",
    "list": "a list",
    "map": "a mapping",
    "null": "nothing",
    "time": "an instant",
    "duration": "a duration",
}
ABSENT: frozenset[str] = frozenset()
"""Of a member that there cannot be, since the schema of what it is read from is closed."""
BOOL, TEXT, INT, LIST = frozenset({"bool"}), frozenset({"text"}), frozenset({"int"}), frozenset({"list"})
MAP = frozenset({"map"})
NULL = frozenset({"null"})
_NUMBERS = frozenset({"int", "double"})
_WALKED = frozenset({"list", "map"})
_JSON: Mapping[str, frozenset[str]] = {
    "string": frozenset({"text", "time", "duration", "bytes"}),
    "integer": _NUMBERS,
    "number": _NUMBERS,
    "boolean": BOOL,
    "array": frozenset({"list"}),
    "object": frozenset({"map"}),
    "null": NULL,
}
_SAME = ("int", "double", "duration")
_SUMS: Mapping[str, frozenset[tuple[str, str, str]]] = {
    "+": frozenset(
        {(one, one, one) for one in (*_SAME, "text", "bytes", "list")}
        | {("time", "duration", "time"), ("list", "map", "list")}
    ),
    "-": frozenset({(one, one, one) for one in _SAME} | {("time", "time", "duration"), ("time", "duration", "time")}),
    "*": frozenset({(one, one, one) for one in ("int", "double")}),
    "/": frozenset({(one, one, one) for one in ("int", "double")}),
    "%": frozenset({("int", "int", "int")}),
}
_ORDERED = frozenset({(one, one) for one in ("text", "bytes", "bool", "time", "duration")}) | frozenset(
    (one, other) for one in _NUMBERS for other in _NUMBERS
)
_FUNCTIONS = {
    "size": "int", "int": "int", "double": "double", "string": "text", "bytes": "bytes", "duration": "duration",
    "timestamp": "time", "success": "bool", "failure": "bool", "always": "bool", "cancelled": "bool",
}  # fmt: skip
ITEM = "[]"
"""Stands in a path for any item of a list: (params, names, []) is what params.names[0] reads."""
_Bound = Mapping[str, tuple[str, ...]]
"""What macros call the items that they walk, and the paths of these; empty where nothing is known of them."""
_UNBOUND: _Bound = {}
_STATES: Mapping[str, frozenset[str]] = {
    "steps": frozenset(StepState),
    "jobs": frozenset(RunState) | {StepState.SKIPPED},
}
_OS = frozenset({"linux", "windows", "network", "other"})
_CAUSES = frozenset(get_args(CauseKind))
_UNCONVERTED = {
    "string": _WALKED | NULL,
    **dict.fromkeys(("int", "uint", "double", "duration", "timestamp"), _WALKED | NULL | BOOL),
}
"""What a function that converts makes nothing of."""
_OF_TEXT = frozenset({"startsWith", "endsWith", "matches", "contains"})


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Types that do not fit. `certain`: it fails whatever the values, once it is looked at; else it is true, or false,
    whatever they are."""

    message: str
    hint: str
    start: int
    end: int
    certain: bool = True
    code: str = "OC408"


def nothing_listed(_: tuple[str, ...]) -> frozenset[str]:
    """Choices where nothing is known of them."""
    return frozenset()


def infer(tree: Node, lookup: Lookup, choices: Choices = nothing_listed) -> tuple[Types, tuple[Mismatch, ...]]:
    """The types an expression may give, and what in it cannot fit."""
    reader = _Inference(lookup, choices)
    types = reader.of(tree, _UNBOUND)
    return types, tuple(reader.found)


def of_schema(schema: Mapping[str, Any]) -> Types:
    """The types of values that fit a JSON Schema with a plain `type`. (A whole number may be written 3.0.)"""
    named = schema.get("type")
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    if not names or not all(isinstance(name, str) and name in _JSON for name in names):
        return None
    plain = {"string": TEXT}
    return frozenset().union(*(plain.get(name, _JSON[name]) for name in names))


def accepted(schema: Mapping[str, Any]) -> Types:
    """The types whose values may fit a JSON Schema: an instant or a duration becomes text."""
    named = schema.get("type")
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    if not names or not all(isinstance(name, str) and name in _JSON for name in names):
        return None
    return frozenset().union(*(_JSON[name] for name in names))


def of_value(value: Any) -> Types:
    """The types of a value that is written out, without expressions."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return frozenset({"double"})
        case str():
            return TEXT
        case list() | tuple():
            return frozenset({"list"})
        case dict():
            return frozenset({"map"})
    return None


def is_list(types: Types) -> bool:
    """Whether it is certainly a list, wherever it is anything."""
    return types is not None and types - NULL == LIST


def said(types: Iterable[str]) -> str:
    """`text or a whole number`. That it may be nothing as well is left out where it may be something."""
    names = set(types)
    if names >= _JSON["string"]:
        names -= _JSON["string"] - TEXT  # they become text
    shown = sorted(names - NULL or names)
    if "int" in shown and "double" in shown:
        shown.remove("int")
    return " or ".join(WORDS[name] for name in shown)


@dataclass
class _Inference:
    lookup: Lookup
    choices: Choices
    found: list[Mismatch] = field(default_factory=list)
    paths: dict[tuple[str, ...], Types] = field(default_factory=dict)

    def of(self, node: Node, bound: _Bound) -> Types:
        match node:
            case Constant():
                return _constant(node)
            case Ident(name=name):
                return self.lookup(bound.get(name, (name,))) if bound.get(name, (name,)) else None
            case Select() | Index():
                return self._member(node, bound)
            case Collection(items=items):
                for item in items:
                    self.of(item, bound)
                return frozenset({"map" if node.is_map else "list"})
            case Comprehension():
                return self._walk(node, bound)
            case Call(operator=True):
                return self._operator(node, [self.of(part, bound) for part in node.arguments], bound)
            case Call():
                return self._call(node, bound)

    def _member(self, node: Select | Index, bound: _Bound) -> Types:
        if isinstance(node, Select) and node.tested:
            return BOOL
        path = self._where(node, bound)
        if path and ITEM not in path:
            return self._path(node, path)
        base = self.of(node.base, bound)
        by_number = False
        if isinstance(node, Index):
            self.of(node.index, bound)
            by_number = not (isinstance(node.index, Constant) and node.index.kind == "string")
        self._has_members(node, base, by_number=by_number)
        return self._there(node, path) if path and self.lookup(path[:-1]) != ABSENT else None

    def _where(self, node: Node, bound: _Bound) -> tuple[str, ...]:
        """The path that a node reads, with ITEM for any item of a list; empty where that is not known."""
        match node:
            case Ident(name=name):
                return bound.get(name, (name,))
            case Select(base=base, field=key) | Index(base=base, index=Constant(kind="string", text=key)):
                path = self._where(base, bound)
                return (*path, key) if path else ()
            case Index(base=base):
                return self._item(self._where(base, bound))
        return ()

    def _item(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """The path of the items of what another path reads, where that is a list."""
        return (*path, ITEM) if path and is_list(self.lookup(path)) else ()

    def _path(self, node: Node, path: tuple[str, ...]) -> Types:
        """A path is read often in one expression, and said to be wrong once."""
        if path not in self.paths:
            for end in range(1, len(path)):
                base = self.lookup(path[:end])
                if base == ABSENT:
                    self._there(node, path[:end])
                    break
                self._has_members(node, base)
            else:
                self._there(node, path)
            self.paths[path] = self.lookup(path) or None
        return self.paths[path]

    def _there(self, node: Node, path: tuple[str, ...]) -> Types:
        """The types of a path; it is said where there cannot be such a member."""
        types = self.lookup(path)
        if types == ABSENT:
            hint = "the schema lists under 'properties' what there is, and allows nothing else"
            self._wrong(node, f"there is no '{path[-1][:80]}' in it", hint)
        return types or None

    def _has_members(self, node: Node, base: Types, *, by_number: bool = False) -> None:
        if not base:
            return
        if not base & _WALKED:
            self._wrong(node, f"{said(base)} has no members", "read a member of a mapping, or an item of a list")
        elif is_list(base) and not by_number:
            hint = "read an item by its number, as in x[0], or ask them all: x.exists(one, one > 5)"
            self._wrong(node, "a list has no members", hint)

    def _walk(self, node: Comprehension, bound: _Bound) -> Types:
        walked = self.of(node.walked, bound)
        if walked is not None and not walked & _WALKED:
            self._wrong(node.walked, f"{node.macro}() walks a list, and this is {said(walked)}", "")
        # The keys of a mapping are walked, not what stands there.
        item = self._item(self._where(node.walked, bound))
        for body in node.bodies:
            self.of(body, {**bound, node.variable: item})
        return frozenset({"list"}) if node.macro in ("map", "filter") else BOOL

    def _call(self, node: Call, bound: _Bound) -> Types:
        parts = [part for part in (node.receiver, *node.arguments) if part is not None]
        types = [self.of(part, bound) for part in parts]
        first = types[0] if types else None
        self._always_fails(node)
        if node.receiver is None and first and first <= _UNCONVERTED.get(node.name, ABSENT):
            self._wrong(parts[0], f"{node.name}() makes nothing of {said(first)}", "give it an item of it, or its size")
        elif node.name in _OF_TEXT and first is not None and not first & TEXT:
            self._wrong(
                parts[0], f"{node.name}() asks a text, and this is {said(first)}", "string(…) makes a text of it"
            )
        elif node.name in _OF_TEXT and len(types) == 2 and types[1] is not None and not types[1] & TEXT:
            message = f"{node.name}() is given {said(types[1])}, and asks a text"
            self._wrong(parts[1], message, "string(…) makes a text of it")
        elif node.name == "size" and first is not None and not first & {"text", "bytes", "list", "map"}:
            self._wrong(parts[0], f"size() asks a text, a list or a mapping, and this is {said(first)}", "")
        if node.receiver is not None and node.name != "size":
            return BOOL if node.name in _OF_TEXT else INT
        result = _FUNCTIONS.get(node.name)
        return frozenset({result}) if result is not None else None

    def _operator(self, node: Call, types: list[Types], bound: _Bound) -> Types:
        name = node.name.removeprefix("unary ")
        if name == "?:":
            self._truth(node.arguments[0], types[0])
            return types[1] | types[2] if types[1] is not None and types[2] is not None else None
        if name in ("&&", "||", "!"):
            for part, found in zip(node.arguments, types, strict=True):
                self._truth(part, found)
            return BOOL
        if len(types) == 1:  # the sign of a number
            return types[0] if types[0] is not None and types[0] <= _NUMBERS else None
        left, right = types
        self._always_fails(node)
        if name in _SUMS:
            return self._sum(node, name, left, right)
        if name in ("==", "!=", "in"):
            one, other = node.arguments
            self._one_of(one, left, other, bound)
            if name != "in":
                self._one_of(other, right, one, bound)
        if left is not None and right is not None:
            self._compared(node, name, left, right)
        elif name == "in" and right is not None:
            self._within(node, right)
        return BOOL

    def _sum(self, node: Call, name: str, left: Types, right: Types) -> Types:
        if left is None or right is None:
            return None
        results = {result for one, other, result in _SUMS[name] if one in left and other in right}
        if not results:
            hint = "nothing is converted unasked: int(x), double(x) and string(x) do"
            self._wrong(node, f"'{name}' does not go with {said(left)} and {said(right)}", hint)
            return None
        return frozenset(results)

    def _compared(self, node: Call, name: str, left: frozenset[str], right: frozenset[str]) -> None:
        if name == "in":
            self._within(node, right)
        elif name in ("==", "!="):
            if NULL not in (left, right) and not _alike(left) & _alike(right):
                always = "never equal" if name == "==" else "never the same"
                message = f"{said(left)} and {said(right)} are {always}"
                hint = "compare values of one type: int(x), double(x) and string(x) convert"
                self._wrong(node, message, hint, certain=False)
        elif not any((one, other) in _ORDERED for one in left for other in right):
            hint = "nothing is converted unasked: int(x), double(x) and string(x) do"
            self._wrong(node, f"'{name}' does not compare {said(left)} with {said(right)}", hint)

    def _one_of(self, read: Node, types: Types, written: Node, bound: _Bound) -> None:
        """Texts that are compared with what has a few values only, and none of these."""
        path = self._where(read, bound)
        known = path and (len(path) > 1 or types is not None)
        values = (_values(path) or self.choices(path)) if known else frozenset[str]()
        texts = written.items if isinstance(written, Collection) and not written.is_map else (written,)
        for text in texts if values else ():
            if isinstance(text, Constant) and text.kind == "string" and text.text not in values:
                near = get_close_matches(text.text[:80], values, n=1, cutoff=0.5)
                hint = f"did you mean '{near[0]}'?" if near else f"it is one of {', '.join(sorted(values))}"
                self._wrong(text, f"it is never '{text.text[:80]}'", hint, certain=False)

    def _within(self, node: Call, right: frozenset[str]) -> None:
        if not right & _WALKED:
            hint = "a part of a text is found by x.contains(y)" if right & TEXT else ""
            self._wrong(node.arguments[1], f"'in' asks a list or a mapping, and this is {said(right)}", hint)

    def _truth(self, node: Node, types: Types) -> None:
        if types is not None and not types & BOOL:
            self._wrong(node, f"this is {said(types)}, where true or false is asked for", "compare it with something")

    def _always_fails(self, node: Call) -> None:
        if (fault := fault_of(node)) is not None:
            part, message, hint = fault
            self.found.append(Mismatch(message, hint, part.start, part.end, code="OC411"))

    def _wrong(self, node: Node, message: str, hint: str, *, certain: bool = True) -> None:
        self.found.append(Mismatch(message, hint, node.start, node.end, certain))


def _values(path: tuple[str, ...]) -> frozenset[str]:
    """All that a path may read, where that is a known few; else nothing."""
    match path:
        case ("state",):
            return _STATES["steps"]
        case (("steps" | "jobs") as root, _, "state"):
            return _STATES[root]
        case ("target", "os"):
            return _OS
        case ("run", "cause", "kind"):
            return _CAUSES
    return frozenset()


def _constant(node: Constant) -> Types:
    match node.kind:
        case "string":
            return TEXT
        case "number" if node.text[-1:] in "uU":
            return None
        case "number" if node.text[:2] not in ("0x", "0X") and any(mark in node.text for mark in ".eE"):
            return frozenset({"double"})
        case "number":
            return INT
        case other:
            return frozenset({other})


def _alike(types: frozenset[str]) -> frozenset[str]:
    """Whole numbers and others are compared by value."""
    return types | _NUMBERS if types & _NUMBERS else types
