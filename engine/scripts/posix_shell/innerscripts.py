"""Scripts within a script: what a shell reads once more of it, here or in a shell that it starts."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.followed import Followed
from engine.scripts.posix_shell.inlineprograms import recipes
from engine.scripts.posix_shell.pieces import Dialect
from engine.scripts.posix_shell.table import Input

SINGLE_QUOTED = re.compile(r"'[^']*'")
_DOUBLE_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPED = re.compile(r"\\([$`\\\"])")
_COMPUTES = ("((", "let ", "[")
_HERE = frozenset({"eval", "trap"})
"""What reads a script in the shell itself, whose arguments it has then."""


@dataclass(frozen=True, slots=True)
class InnerScript:
    """A script that has the variables of the one around it."""

    code: str
    dialect: Dialect
    at: int
    """Where it stands."""
    shares_input: bool
    shares_arguments: bool = False


def inner_scripts(script: Followed, made: Callable[[Arguments], Input]) -> Iterator[InnerScript]:
    """All of a script, as in `trap '...'`; `made`: what a command makes of its input."""
    text = script.text
    for arguments in script.commands:
        dialect: Dialect = "bash" if "bash" in arguments.called else script.dialect
        here = not _HERE.isdisjoint(arguments.called[-1:])
        if arguments.takes_code:
            for word in arguments.command.words:
                if (code := _unquoted(text[word.start : word.end], functions=script.functions)) is not None:
                    yield InnerScript(code, dialect, word.start, script.has_own_input(arguments), here)
        if arguments.command.scripts and made(arguments) != "data":
            by_make = "make" in arguments.called
            for start, end in arguments.command.scripts:
                code = text[start:end]
                yield InnerScript(recipes(code) if by_make else code, dialect, start, shares_input=False)
    for start, end in script.others:
        if text.startswith("`", end - 1):
            yield InnerScript(_ESCAPED.sub(r"\1", text[start : end - 1]), script.dialect, start, True, True)


def _unquoted(raw: str, *, functions: frozenset[str]) -> str | None:
    """The text of a quoted word, as a script that is read once more; None where it reads no variables then."""
    if "$" not in raw and not any(mark in raw for mark in _COMPUTES) and not (functions and "`" in raw):
        return None
    if SINGLE_QUOTED.fullmatch(raw):
        return raw[1:-1]
    if _DOUBLE_QUOTED.fullmatch(raw):
        return _ESCAPED.sub(r"\1", raw[1:-1]) if "\\$" in raw else None
    return raw if "'" in raw else None
