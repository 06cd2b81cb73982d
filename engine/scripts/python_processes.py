"""What a script for Python gives to the programs it starts, beside their words: by a pipe, and by their environment."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property

from engine.scripts.posix_shell.pieces import HOLE
from engine.scripts.posix_shell.programs import interprets, program
from engine.scripts.posix_shell.scan import sinks
from engine.scripts.posix_shell.started import evaluates, text_takes_data
from engine.scripts.python_calls import STARTING, called
from engine.scripts.python_lines import Lines
from engine.scripts.python_words import COMMANDS_OF_ENVIRONMENT, Line, by_shell

_PIPED = frozenset(
    {"Popen", "create_subprocess_exec", "subprocess_exec", "spawn", "create_process", "open_process", "posix_spawn"}
)
"""Calls that start a program, whose input the script may write later."""
_PIPED_TEXT = frozenset({"popen", "create_subprocess_shell", "subprocess_shell", "exec_command"})
"""The same, of a text that a shell reads."""
_WRITABLE = frozenset({"popen", "exec_command"})
"""Calls of which the result is the input of a program, or holds that."""
_PUTTING = frozenset({"putenv", "putenvb", "setdefault"})
_PASSES = 4
_INPUT = frozenset({"input", "stdin", "args"})
_BEFORE_STDIN = 3
"""Arguments of `Popen` before its `stdin`."""
_PROGRAM = re.compile(r"[A-Za-z0-9._/-]{1,100}")
_EVALUATING = frozenset({"carried", "evaluated"})
"""What programs make of their words, where these may be code."""


class Processes:
    """The programs that one script starts."""

    def __init__(self, nodes: Sequence[ast.AST], lines: Callable[[ast.Call], Sequence[Line]]) -> None:
        """`nodes` are all of the script's tree; `lines`: the words that a call may give to a program."""
        self._nodes = nodes
        self._lines = lines
        self._written: dict[int, bool] = {}

    def runs_what_is_written(self, call: ast.Call) -> bool:
        """Whether a call gives its arguments to the input of a program, and one that is started may run its input."""
        if id(call) not in self._written:
            self._written[id(call)] = self._writes(call) and self._runs_input
        return self._written[id(call)]

    def evaluates(self, child: ast.AST) -> str | None:
        """The variable of which this node is the value, if a text that the script gives to a shell may evaluate it."""
        return self._evaluated_values.get(id(child)) if self.evaluated else None

    @cached_property
    def _evaluated_values(self) -> dict[int, str]:
        putting = (node for node in self._nodes if node.__class__ in _PUTS)
        put = (one for node in putting for one in _put_in_environment(node))
        return {id(value): name for value, name in put if name in self.evaluated}

    @cached_property
    def evaluated(self) -> frozenset[str]:
        """The variables of the environment that such texts evaluate."""
        if not any(called(call.func)[0] in STARTING | _PIPED_TEXT | {"system", "getoutput"} for call in self._calls):
            return frozenset()
        texts = (node.value for node in self._nodes if isinstance(node, ast.Constant))
        said = (text.decode(errors="replace") if isinstance(text, bytes) else text for text in texts)
        read = {text for text in said if isinstance(text, str) and "$" in text and HOLE not in text}
        return frozenset(name for text in read for name in sinks(_without_marks(text), "sh") if name.isidentifier())

    @cached_property
    def names_input(self) -> bool:
        """Whether it says a name by which a program gets its input or its words: `{'input': x}`, `dict(args=x)`."""
        keywords = (node.arg for node in self._nodes if isinstance(node, ast.keyword))
        return not _INPUT.isdisjoint({*keywords, *self._texts})

    @cached_property
    def evaluating(self) -> str | None:
        """A program that the script names and that evaluates some of its words: a shell, an interpreter, ssh."""
        names = [text.rpartition("/")[2] for text in self._texts if _PROGRAM.fullmatch(text)]
        names += ("sh" for text in self._texts if text in COMMANDS_OF_ENVIRONMENT)
        names += (name for call in self._calls if called(call.func)[0] == "split" for name in _first_words(call))
        return next((name for name in names if interprets(name) or program(name).words in _EVALUATING), None)

    @cached_property
    def lines(self) -> Lines:
        """What its programs make of their words."""
        return Lines(self.evaluating, self._texts)

    @cached_property
    def _texts(self) -> list[str]:
        return [node.value for node in self._nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]

    @cached_property
    def _calls(self) -> list[ast.Call]:
        return [node for node in self._nodes if isinstance(node, ast.Call)]

    @cached_property
    def _assigned(self) -> list[tuple[str, ast.expr]]:
        return [one for node in self._nodes if node.__class__ in _ASSIGNS for one in _assigned(node)]

    def _writes(self, call: ast.Call) -> bool:
        if isinstance(call.func, ast.Attribute) and (call.func.attr == "communicate" or self._is_pipe(call.func.value)):
            return True
        if isinstance(call.func, ast.Name) and self._is_called_as_pipe(call.func.id):
            return True
        return any(self._is_pipe(one) for one in (*call.args, *(one.value for one in call.keywords)))

    def _is_called_as_pipe(self, name: str) -> bool:
        """`write = p.stdin.write`, and `print` where `sys.stdout` is a pipe."""
        return name in self._functions or (name == "print" and self._prints)

    @cached_property
    def _functions(self) -> frozenset[str]:
        # What is called has the name that the author gave it, in every scope.
        of_object = (name for name, value in self._assigned if _is_communicate(value))
        return frozenset(name.split("@", maxsplit=1)[0] for name in (*self._names, *of_object))

    @cached_property
    def _prints(self) -> bool:
        redirecting = (call for call in self._calls if called(call.func)[0] == "redirect_stdout")
        return ".stdout" in self._names or any(self._is_pipe(one) for call in redirecting for one in call.args)

    @cached_property
    def _runs_input(self) -> bool:
        return any(self._may_run_input(call) for call in self._calls)

    def _may_run_input(self, call: ast.Call) -> bool:
        name = called(call.func)[0]
        if name in _PIPED and not by_shell(call):
            lines = self._lines(call)
            if not _has_input(call):
                return any(map(any_runs, lines))
            return not lines or not all(map(self.lines.takes_input, lines))
        if not call.args or (name == "popen" and not _is_writable(call)):
            return False
        if name not in _PIPED_TEXT and not (name in _PIPED and _has_input(call)):
            return False
        match call.args[0]:
            case ast.Constant(value=str() as text):
                return HOLE in text or not text_takes_data(text)
        return True

    def _is_pipe(self, node: ast.AST) -> bool:
        return _leads_to_pipe(node, self._names)

    @cached_property
    def _names(self) -> frozenset[str]:
        """Variables that hold the input of a program."""
        given = self._assigned
        found: frozenset[str] = frozenset()
        for _ in range(_PASSES):
            more = frozenset(name for name, value in given if _leads_to_pipe(value, found))
            if more == found:
                break
            found = more
        return found


def _first_words(split: ast.Call) -> Iterator[str]:
    """`ssh` in `f'ssh {host}'.split()` and `shlex.split('ssh ' + host)`."""
    for node in (*([split.func.value] if isinstance(split.func, ast.Attribute) else ()), *split.args[:1]):
        begin = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node
        begin = begin.left if isinstance(begin, ast.BinOp) else begin
        if isinstance(begin, ast.Constant) and isinstance(begin.value, str):
            yield from (word.rpartition("/")[2] for word in begin.value.split(maxsplit=1)[:1])


def _is_communicate(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "communicate"


_PUTS = frozenset({ast.Assign, ast.AugAssign, ast.Tuple, ast.Call, ast.keyword, ast.Dict, ast.BinOp, ast.JoinedStr})
_SETTING = re.compile(r"(?:-[A-Za-z]*|--[a-z]+=)?([A-Za-z_][A-Za-z0-9_]*)=")
"""How a word begins that sets a variable: `A=`, `-eA=`, `--env=A=`."""


def _put_in_environment(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """What may become the values of variables of the environment, and their names."""
    match node:
        case ast.Assign(targets=targets, value=value):
            # Any mapping may be a copy of os.environ, and be given to a command by `env=`.
            keys = (target.slice for target in targets if isinstance(target, ast.Subscript))
            yield from ((value, name) for key in keys for name in _text(key))
        case ast.AugAssign(target=ast.Subscript(slice=key), value=value) | ast.Tuple(elts=[key, value]):
            yield from ((value, name) for name in _text(key))
        case ast.Call(args=[key, *rest]) if called(node.func)[0] in _PUTTING:
            yield from ((value, name) for name in _text(key) for value in rest)
        case ast.BinOp(left=left) | ast.JoinedStr(values=[left, *_]) | ast.Call(func=ast.Attribute(value=left)):
            # `env A=x`, of a program that is told so by a word.
            yield from ((node, match[1]) for text in _text(_first(left)) if (match := _SETTING.match(text)))
        case ast.keyword(arg=str() as name, value=value):
            yield value, name
        case ast.Dict(keys=keys, values=values):
            for one, value in zip(keys, values, strict=True):
                if one is not None:
                    yield from ((value, name) for name in _text(one))


def _first(node: ast.AST) -> ast.AST:
    """What a sum begins with."""
    while isinstance(node, ast.BinOp):
        node = node.left
    return node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node


def _text(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.Constant(value=bytes() as raw):
            yield raw.decode(errors="replace")


def _without_marks(text: str) -> str:
    """As a script that may be scanned: without characters that stand for something else there."""
    return re.sub("[\0\ue000-\ue002]", "", text)


def any_runs(words: Iterable[object]) -> bool:
    """Whether one of these words is a program that takes commands where its words say nothing else."""
    return any(evaluates([word, HOLE]) for word in words if isinstance(word, str) and HOLE not in word)


def _has_input(call: ast.Call) -> bool:
    """Whether the script may write what the program reads: `stdin=subprocess.PIPE`; `pexpect.spawn(...)` always."""
    is_given = any(one.arg in ("stdin", None) for one in call.keywords) or len(call.args) > _BEFORE_STDIN
    return is_given or called(call.func)[0] == "spawn"


def _is_writable(call: ast.Call) -> bool:
    modes = [*call.args[1:2], *(one.value for one in call.keywords if one.arg == "mode")]
    return any(not (isinstance(one, ast.Constant) and one.value == "r") for one in modes)


_ASSIGNS = frozenset({ast.Assign, ast.withitem, ast.NamedExpr, ast.AnnAssign})


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((name, value) for target in targets for name in _names_in(target))
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            yield from ((name, value) for name in _names_in(target))
        case ast.NamedExpr(target=target, value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from ((name, value) for name in _names_in(target))


def _names_in(target: ast.AST) -> Iterator[str]:
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=items) | ast.List(elts=items):
            for one in items:
                yield from _names_in(one)


def _leads_to_pipe(node: ast.AST, names: frozenset[str]) -> bool:
    """Whether a value is the input of a program, or made of it: `p.stdin`, `p.stdin.fileno()`, `os.popen(x, 'w')`."""
    waiting = [node]
    while waiting:
        match waiting.pop():
            case ast.Name(id=name):
                if name in names or name == ".stdin":
                    return True
            case ast.Attribute(attr="stdin", value=value):
                if not (isinstance(value, ast.Name) and value.id == "sys"):
                    return True
            case ast.Attribute(value=value) | ast.Await(value=value) | ast.Subscript(value=value):
                waiting.append(value)
            case ast.Call() as call:
                made_by = called(call.func)[0]
                if made_by in _WRITABLE and (made_by != "popen" or _is_writable(call)):
                    return True
                waiting += (call.func, *call.args)
            case ast.Tuple(elts=items) | ast.List(elts=items):
                waiting += items
    return False
