"""What a script for Python evaluates, or starts, is proven to be fixed, as soon as the script holds an expression.

To follow a value forward is not enough: there are too many ways by which Python takes one on. So what is evaluated has
to be known from where it comes.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from engine.scripts.posix_shell.pieces import HOLE
from engine.scripts.posix_shell.programs import is_shell
from engine.scripts.python_calls import EVALUATING, EVALUATING_OF, OF_COROUTINES, SHELL_TEXT, STARTING, called, is_safe
from engine.scripts.python_fixed import COMMAND, NUMBER, QUOTED, UNPROVEN, WORDS, Places
from engine.scripts.python_flows import begin_of, is_list
from engine.scripts.python_held import Held
from engine.scripts.python_names import EVERY_VARIABLE, Names
from engine.scripts.python_processes import Processes
from engine.scripts.python_words import Words, by_shell

HINT = (
    "write the text of the command out in the script, put together of its own texts and numbers; or start the program "
    "with a list, as in subprocess.run(['ls', '--', x]); or give the value by os.environ and read it there, as in "
    "os.system('ls -- \"$X\"'); or as input to a program that is written out and takes data, as in "
    "subprocess.run(['tee', 'f'], input=x, text=True)"
)
_STARTS = EVALUATING | STARTING | SHELL_TEXT
_STARTED_IN_TEXT = re.compile(rf"\b(?:{'|'.join(sorted(_STARTS | {'compile', 'getattr'}))})\b")
_LITERAL = frozenset({ast.Constant})
_SHELLS_OWN = frozenset({"args", "cmd", "command", "input", "stdin", None})
"""Keywords of what a shell reads."""


def starts_something(nodes: Iterable[ast.AST]) -> bool:
    """Whether the script evaluates or starts anything that it does not write out as one text."""
    return any(isinstance(node, ast.Call) and _is_sink(node) for node in nodes)


def _is_sink(call: ast.Call) -> bool:
    name, base = called(call.func)
    if name not in _STARTS and name not in ("compile", "getattr", "communicate", "write", "map", "submit"):
        return base in EVALUATING_OF or any(isinstance(one, ast.Name | ast.Attribute) for one in call.args)
    return not all(one.__class__ in _LITERAL for one in call.args) or bool(call.keywords)


class CommandLines:
    """The calls of one script."""

    def __init__(self, places: Places, names: Names, held: Held) -> None:
        self._places = places
        self._names = names
        self._words = Words(self._is_open, self._is_in_order, self._may_be_read, held, names)
        self._processes = Processes((), self._words.given)

    def unproven(self, nodes: Sequence[ast.AST], lists: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
        """The lines of what is not proven to be fixed, and what is made of it there."""
        self._processes = Processes(nodes, self._words.given)
        for node in nodes:
            if isinstance(node, ast.Call) and (said := self._of_call(node)) is not None:
                yield node.lineno, said
        for one in lists:
            if (said := self._of_list(one)) is not None:
                line = next((below.lineno for below in ast.walk(one) if hasattr(below, "lineno")), 1)
                yield line, said

    def _marks(self, node: ast.AST) -> int:
        return self._places.holds.get(id(node), 0)

    def _is_open(self, node: ast.AST) -> bool:
        return bool(self._marks(node) & ~NUMBER)

    def _is_in_order(self, node: ast.AST) -> bool:
        return self._marks(node) & ~NUMBER in (COMMAND, WORDS)

    def _may_be_read(self, node: ast.AST) -> bool:
        return isinstance(node, ast.ListComp | ast.GeneratorExp) or not self._marks(node) & (QUOTED | UNPROVEN)

    def _is_text_for_sh(self, node: ast.AST) -> bool:
        return not self._marks(node) & ~(NUMBER | COMMAND)

    def _of_call(self, call: ast.Call) -> str | None:
        name, base = called(call.func)
        if name is None:
            return None
        said = f"'{name}'"
        functions = EVALUATING_OF.get(base)
        of_module = functions is not None and (not functions or name in functions) and not is_safe(call)
        if name in SHELL_TEXT or (by_shell(call) and name in STARTING):
            return said if any(not self._is_text_for_sh(one) for one in _read_by_shell(call)) else None
        if name in EVALUATING or of_module or (name == "compile" and not base):
            return said if self._evaluates(call, name, base) else None
        given = [*call.args, *(one.value for one in call.keywords)]
        if name == "getattr" and len(call.args) > 1 and self._is_module(call.args[0]):
            return said if self._is_open(call.args[1]) else None
        if any(one.arg == "executable" and self._is_open(one.value) for one in call.keywords):
            return said
        if any(map(self._is_open, given)) and self._processes.runs_what_is_written(call):
            return said
        if is_shell(name) or (name in STARTING and not (name == "run" and base in OF_COROUTINES)):
            return said if self._starts(call, name) else None
        return said if any(map(self._is_start, call.args)) and self._starts(call, name) else None

    def _evaluates(self, call: ast.Call, name: str, base: str) -> bool:
        first = [*call.args[:1], *(one.value for one in call.keywords)]
        if name in ("exec", "eval") and base in ("", "builtins"):
            text = call.args[0] if call.args else None
            is_literal = isinstance(text, ast.Constant) and isinstance(text.value, str)
            return not is_literal or _STARTED_IN_TEXT.search(str(text.value)) is not None  # type: ignore[union-attr]
        is_every = (isinstance(one, ast.Name) and one.id == EVERY_VARIABLE for one in first)
        return any(self._is_open(one) and not every for one, every in zip(first, is_every, strict=True))

    def _starts(self, call: ast.Call, name: str) -> bool:
        given = self._words.given(call)
        begins = [one.value if isinstance(one, ast.Starred) else one for one in call.args[:1]]
        if any(self._marks(one) & UNPROVEN and not is_list(one) and self._is_evaluating() for one in begins):
            return True
        lines = self._processes.lines
        if is_shell(name):
            given = [(name, *line) for line in given]
        if any(lines.refusal(line, started=True) is not None for line in given):
            return True
        if any(one.arg in ("input", "stdin") and self._is_open(one.value) for one in call.keywords):
            return not given or not all(map(lines.takes_input, given))
        return False

    def _is_evaluating(self) -> bool:
        return self._processes.evaluating is not None

    def _is_start(self, node: ast.expr) -> bool:
        name, base = called(node)
        if isinstance(node, ast.Attribute):
            return name in STARTING and base in self._names.modules
        return isinstance(node, ast.Name) and name in STARTING and name in self._names.modules

    def _is_module(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self._names.modules

    def _of_list(self, node: ast.AST) -> str | None:
        """A list that begins with a text may be the words of a command that is started elsewhere."""
        begin = begin_of(node)
        if is_list(node) and begin is not None and self._marks(begin) & ~(NUMBER | WORDS) and self._is_evaluating():
            return "a list of words"
        for line in self._words.of(node):
            is_named = len(line) > 1 and isinstance(line[0], str) and line[0] and HOLE not in line[0]
            if is_named and self._processes.lines.refusal(line, started=False) is not None:
                return f"'{line[0]}'"
        return None


def _read_by_shell(call: ast.Call) -> Iterator[ast.expr]:
    yield from call.args[:1]
    for one in call.keywords:
        if one.arg in _SHELLS_OWN and not is_pipe(one):
            yield one.value


def is_pipe(keyword: ast.keyword) -> bool:
    """`stdin=subprocess.PIPE`, `stdin=None`"""
    value = keyword.value
    return isinstance(value, ast.Attribute) and value.attr in ("PIPE", "DEVNULL")
