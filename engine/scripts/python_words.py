"""The words of a command that a script for Python starts, as the tables for POSIX shells are asked of them.

A command may be written out, or put together of lists that have names. So what is read here are all lines of words that
it may be, each with marks for what nobody knows before the script runs.
"""

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.scripts.posix_shell.pieces import DYNAMIC, HOLE
from engine.scripts.python_calls import called
from engine.scripts.python_flows import is_list
from engine.scripts.python_held import AGAIN, Held, is_copy
from engine.scripts.python_names import Names

ARGUMENTS = ("args", "argv", "cmd", "command")
"""Keywords of the words of a command."""
_MOST = 64
"""Lines that one expression may be, and..."""
_LONGEST = 100
"""words of a list that has a name: what is more is not known."""
_DEEPEST = 20
"""Names of which one is given the next."""
_SAME = frozenset({"str", "fspath", "Path", "PurePath", "PosixPath", "abspath", "realpath", "expanduser", "which"})
"""Functions whose result names the program that their argument does."""
_OF_PATH = frozenset({"as_posix", "resolve", "absolute", "expanduser", "strip", "encode", "decode", "__str__"})
COMMANDS_OF_ENVIRONMENT = frozenset({"SHELL", "EDITOR", "VISUAL", "PAGER", "BROWSER"})
"""Variables of the environment that hold a command."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text for sh in which each value is one quoted word, after what the script itself writes."""

    before: str = ""


@dataclass(frozen=True, slots=True)
class Several:
    """Any number of words that are not known here."""

    holds: bool
    """Whether a value may be in them."""


Part = str | Spoken | Several
Line = tuple[Part, ...]
"""The words of a command."""


def holds(part: Part) -> bool:
    """Whether a value is in it."""
    match part:
        case str() as text:
            return HOLE in text
        case Several(holds=found):
            return found
        case Spoken():
            return True


class Words:
    """How the parts of a script are read as words."""

    def __init__(
        self,
        holds: Callable[[ast.AST], bool],
        is_in_order: Callable[[ast.AST], bool],
        may_be_read: Callable[[ast.AST], bool],
        held: Held,
        names: Names,
    ) -> None:
        """What of an expression is asked: whether it holds a value; whether that is in order for a command, as a word
        of a list that begins with a program, or quoted in a text; and whether the lists that it is given say all that
        it holds."""
        self._holds, self._is_in_order, self._may_be_read = holds, is_in_order, may_be_read
        self._held, self._names = held, names
        self._depth = 0
        self._lists: dict[str, list[Line] | None] = {}
        self._texts: dict[str, list[Part] | None] = {}

    def given(self, call: ast.Call) -> list[Line]:
        """The lines of words that a call may give to a program; none where it gives no words."""
        arguments: list[ast.expr] = [*call.args]
        arguments += [one.value for one in call.keywords if one.arg in ARGUMENTS]
        if not arguments:
            return []
        lines = first = self._argument(arguments[0], is_first=True)
        for argument in arguments[1:]:
            lines = _joined(lines, self._argument(argument, is_first=False))
        # os.spawnlp has a mode first, and what hands a function on has that.
        return [line[1:] for line in lines] if len(arguments) > 1 and first == [(DYNAMIC,)] else lines

    def of(self, node: ast.AST) -> list[Line]:
        """The lines that a list is which the script writes out there; one of one word for what is none."""
        match node:
            case ast.List(elts=items) | ast.Tuple(elts=items):
                lines: list[list[Part]] = [[]]
                for item in items:
                    found = self._item(item)
                    if len(lines) * len(found) > _MOST:
                        found = [_alike(found)]
                    if len(found) == 1:
                        for line in lines:
                            line.extend(found[0])
                    else:
                        lines = [[*line, *more] for line in lines for more in found]
                return [tuple(line) for line in lines]
            case ast.BinOp(op=ast.Add(), left=left, right=right) if is_list(node):
                return _joined(self._listed(left), self._listed(right))
        return [(word,) for word in self._word(node)]

    def _argument(self, node: ast.expr, *, is_first: bool) -> list[Line]:
        if isinstance(node, ast.Starred):
            return self._listed(node.value)
        if is_list(node):
            return self.of(node)
        if (lines := self._known(node)) is not None:
            return lines
        if is_first and self._is_in_order(node) and not self._is_text(node):
            return [(DYNAMIC, HOLE)]  # its begin is the script's own, and was judged where the list is made
        return [(word,) for word in self._word(node)]

    def _is_text(self, node: ast.AST) -> bool:
        return isinstance(node, ast.JoinedStr | ast.Constant) or (isinstance(node, ast.BinOp) and not is_list(node))

    def _item(self, item: ast.expr) -> list[Line]:
        if isinstance(item, ast.Starred):
            return self._listed(item.value)
        if is_list(item):
            return self.of(item)
        return [(word,) for word in self._word(item)]

    def _listed(self, node: ast.expr) -> list[Line]:
        """The lines of what stands for several words."""
        if is_list(node):
            return self.of(node)
        if (lines := self._known(node)) is not None:
            return lines
        return [(Several(holds=self._holds(node)),)]

    def _known(self, node: ast.expr) -> list[Line] | None:
        """The lines of an expression that is a list; None where nobody can tell."""
        if self._holds(node) and not self._may_be_read(node):
            return None
        lines = self._of_value(node)
        if lines is None or len(lines) > _MOST or any(len(line) > _LONGEST for line in lines):
            return None
        if self._holds(node) and not any(holds(part) for line in lines for part in line):
            # A value gets into it in a way that is not seen here.
            return [(*line, Several(holds=True)) for line in lines]
        return lines

    def _of_value(self, node: ast.expr) -> list[Line] | None:
        match node:
            case ast.Name(id=name):
                return self._of_name(name)
            case ast.IfExp(body=one, orelse=other):
                return self._of_any([one, other])
            case ast.BoolOp(values=values):
                return self._of_any(values)
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return self._known(value)
            case ast.BinOp(op=ast.Add(), left=left, right=right) if not is_list(node):
                before, after = self._known(left), self._known(right)
                return None if before is None or after is None else _joined(before, after)
            case ast.ListComp(elt=item, generators=[one, *more]) | ast.GeneratorExp(elt=item, generators=[one, *more]):
                if not more and isinstance(item, ast.Name) and _is_named(one.target, item.id):
                    return self.of(one.iter) if is_list(one.iter) else self._known(one.iter)
                if is_list(item):
                    return None
                words = self._word(item)
                is_option = all(isinstance(word, str) and word[:1] not in (HOLE, DYNAMIC, "") for word in words)
                return [(word,) * AGAIN for word in words] if is_option else None
            case ast.Subscript(value=value) if not isinstance(node.slice, ast.Slice):
                found = self._held.members(value)
                return None if found is None else self._of_any(found)
            case ast.Call():
                if (copied := is_copy(node)) is not None:
                    return self._known(copied) if not is_list(copied) else self.of(copied)
                if (results := self._results(node)) is not None:
                    return self._of_all(map(self._of_name, results))
        return self.of(node) if is_list(node) else None

    def _of_any(self, nodes: Iterable[ast.expr]) -> list[Line] | None:
        return self._of_all(self.of(one) if is_list(one) else self._known(one) for one in nodes)

    def _of_all(self, found: Iterable[list[Line] | None]) -> list[Line] | None:
        lines: dict[Line, None] = {}
        for one in found:
            if one is None or len(lines) > _MOST:
                return None
            lines.update(dict.fromkeys(one))
        return [*lines] or None

    def _of_name(self, name: str) -> list[Line] | None:
        if name not in self._lists:
            self._lists[name] = None  # of a list that is made of itself nothing is known
            self._depth += 1
            self._lists[name] = self._of_values(name) if self._depth < _DEEPEST else None
            self._depth -= 1
        return self._lists[name]

    def _of_values(self, name: str) -> list[Line] | None:
        given, tail = self._held.given(name), self._held.tail(name)
        if given is None or tail is None:
            return None
        after = self.of(ast.List(elts=[*tail], ctx=ast.Load())) if tail else [()]
        found: dict[Line, None] = {}
        for one in given:
            lines = self.of(one) if is_list(one) else self._known(one)
            if lines is None:
                return None
            # What is put into another name's list is known of that.
            more = lines if isinstance(one, ast.Name) else _joined(lines, after)
            if len(found) + len(more) > _MOST or any(len(line) > _LONGEST for line in more):
                return None
            found.update(dict.fromkeys(more))
        return [*found]

    def _results(self, call: ast.Call) -> list[str] | None:
        functions = self._names.returning(call)
        return [self._names.result(one) for one in functions] if functions else None

    # One word

    def _word(self, node: ast.AST) -> list[Part]:
        """What one word may be."""
        found = self._text(node)
        return found if found and len(found) <= _MOST else [self._mark(node)]

    def _mark(self, node: ast.AST) -> Part:
        if not self._holds(node):
            return DYNAMIC
        is_spoken = isinstance(node, ast.Name | ast.Call) and self._is_in_order(node)
        return Spoken() if is_spoken else HOLE

    def _text(self, node: ast.AST) -> list[Part] | None:
        match node:
            case ast.Constant(value=str() as text):
                return [text]
            case ast.Constant(value=bytes() as raw):
                return [raw.decode(errors="replace")]
            case ast.JoinedStr(values=values):
                return self._put_together(values)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return self._word(value)
            case ast.BinOp(op=ast.Add()):
                return self._put_together(_parts(node))
            case ast.BinOp(op=ast.Div(), left=left, right=right):
                return self._put_together([left, ast.Constant(value="/"), right])
            case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str() as text)):
                return [text.partition("%")[0] + self._hole(node)]
            case ast.IfExp(body=one, orelse=other):
                return [*self._word(one), *self._word(other)]
            case ast.BoolOp(values=values) if len(values) <= _MOST:
                return [word for one in values for word in self._word(one)]
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return self._word(value)
            case ast.Name(id=name):
                return None if self._is_in_order(node) and self._holds(node) else self._text_of(name, node)
            case ast.Attribute(attr="executable", value=ast.Name(id="sys")):
                return ["python3"]
            case ast.Subscript(slice=ast.Constant(value=str() as key)) if key in COMMANDS_OF_ENVIRONMENT:
                return ["sh"]
            case ast.Subscript(value=value) if not isinstance(node.slice, ast.Slice):
                found = self._held.members(value)
                return None if not found or len(found) > _MOST else [word for one in found for word in self._word(one)]
            case ast.Call():
                return self._text_of_call(node)
        return None

    def _text_of_call(self, call: ast.Call) -> list[Part] | None:
        name, base = called(call.func)
        results = self._results(call)
        if self._is_in_order(call) and self._holds(call):
            return None
        if results is not None:
            return [word for one in results for word in self._text_of(one, call) or [self._mark(call)]]
        match call:
            case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant(value=str() as text))):
                return [text.partition("{")[0] + self._hole(call)]
            case ast.Call(args=[ast.Constant(value=str() as key), *_]) if (
                name in ("get", "getenv") and key in COMMANDS_OF_ENVIRONMENT
            ):
                return ["sh"]
            case ast.Call(args=[one]) if name in _SAME:
                return self._word(one)
            case ast.Call(args=[_, *_]) if name in ("join", "joinpath", "Path", "PurePath") and base != "shlex":
                if not any(isinstance(one, ast.Starred) for one in call.args) and isinstance(call.func, ast.Attribute):
                    is_text = isinstance(call.func.value, ast.Constant)
                    return None if is_text else self._put_together([ast.Constant(value="/"), call.args[-1]], call)
            case ast.Call(func=ast.Attribute(attr=method, value=value), args=[]) if method in _OF_PATH:
                return self._word(value)
        return None

    def _hole(self, node: ast.AST) -> str:
        return HOLE if self._holds(node) else DYNAMIC

    def _put_together(self, parts: Sequence[ast.AST], whole: ast.AST | None = None) -> list[Part] | None:
        """`whole`: what holds more than these parts, of which only the end is read."""
        found = [""] if whole is None else [self._hole(whole)]
        for at, part in enumerate(parts):
            words = self._word(part)
            if at == len(parts) - 1 and words == [Spoken()]:
                return [Spoken(before) for before in found]
            texts = [word if isinstance(word, str) else HOLE for word in words]
            if len(found) * len(texts) > _MOST:
                return None
            found = [before + text for before in found for text in texts]
        return [*found]

    def _text_of(self, name: str, node: ast.AST) -> list[Part] | None:
        if name not in self._texts:
            self._texts[name] = None
            given, tail = self._held.given(name), self._held.tail(name)
            is_known = given is not None and tail == [] and len(given) <= _MOST and not any(map(is_list, given))
            self._depth += 1
            if given is not None and is_known and self._depth < _DEEPEST:
                self._texts[name] = [*dict.fromkeys(word for one in given for word in self._word(one))]
            self._depth -= 1
        found = self._texts[name]
        if found is not None and self._holds(node) and not any(map(holds, found)):
            return None
        return found


def _is_named(target: ast.AST, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


def _parts(node: ast.AST) -> list[ast.AST]:
    """The parts of a sum, from the left: a long text is a deep tree."""
    parts: list[ast.AST] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def _joined(lines: Sequence[Line], more: Sequence[Line]) -> list[Line]:
    if len(lines) * len(more) > _MOST:
        more = [_alike(more)]
        lines = lines if len(lines) <= _MOST else [_alike(lines)]
    return [(*line, *after) for line in lines for after in more]


def _alike(lines: Sequence[Line]) -> Line:
    """What stands for all of them."""
    return (Several(holds=any(holds(part) for line in lines for part in line)),)


def by_shell(call: ast.Call) -> bool:
    """`shell=True`"""
    given = (one.value for one in call.keywords if one.arg == "shell")
    return any(not (isinstance(one, ast.Constant) and one.value is False) for one in given)
