"""The words of a command that a script for Python starts, as the tables for POSIX shells are asked of them."""

import ast
from collections.abc import Callable, Sequence

from engine.scripts.posix_shell.pieces import DYNAMIC, HOLE
from engine.scripts.posix_shell.started import evaluates
from engine.scripts.python_flows import is_list

ARGUMENTS = ("args", "argv", "cmd", "command")
"""Keywords of the words of a command."""


class Words:
    """How the parts of a script are read as words: a text as it is, a mark for a value or for what is not known."""

    def __init__(
        self,
        holds: Callable[[ast.AST], bool],
        is_in_order: Callable[[ast.AST], bool],
        constant: Callable[[str], str | None],
        result: Callable[[ast.Call], str | None] = lambda call: None,
    ) -> None:
        """What of an expression is asked: whether it holds a value, whether that is in order for a command; of a name
        the text that it has; of a call the mark for what a function of the script returns."""
        self._holds, self._is_in_order, self._constant, self._result = holds, is_in_order, constant, result

    def given(self, call: ast.Call) -> list[str]:
        """The words that a call gives to a program."""
        arguments: list[ast.expr] = [*call.args]
        arguments += [one.value for one in call.keywords if one.arg in ARGUMENTS]
        words = [word for argument in arguments for word in self.of(argument)]
        # os.spawnlp has a mode first.
        has_mode = words[:1] == [DYNAMIC] and len(words) > 1 and not (is_list(arguments[0]))
        return words[1:] if has_mode else words

    def of(self, node: ast.AST) -> list[str]:
        match node:
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [word for item in items for word in self.of(item)]
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                before, after = self.of(left), self.of(right)
                if any(isinstance(part, ast.List | ast.Tuple) for part in (left, right)):
                    return before + after
                return ["".join((*before, *after))]
            case ast.Starred(value=value):
                return self.of(value)
            case ast.Constant(value=str() as text):
                return [text]
            case ast.Constant(value=bytes() as raw):
                return [raw.decode(errors="replace")]
            case ast.Name(id=name) if (constant := self._constant(name)) is not None:
                return [constant]
            case ast.Name() | ast.Call() if self._is_in_order(node):
                return [DYNAMIC]
            case ast.Call(func=ast.Name()) if (mark := self._result(node)) is not None:
                return [mark]
        return [HOLE if self._holds(node) else DYNAMIC]


def reason_of(words: Sequence[str]) -> str | None:
    """Why these words of a command take no value where they have one."""
    return next((refusal.reason for refusal in evaluates(words).values()), None)


def by_shell(call: ast.Call) -> bool:
    """`shell=True`"""
    given = (one.value for one in call.keywords if one.arg == "shell")
    return any(not (isinstance(one, ast.Constant) and one.value is False) for one in given)
