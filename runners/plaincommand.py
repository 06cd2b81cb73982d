"""Whether a script is one plain command: which a fork of any shell runs as a shell of its own would.

It has no way to ask for the number of its shell, to replace the shell, to change its traps, or to run a text in it; and
nothing of it is left to do when its one command has ended.
"""

import re

_DOUBLE = r'"(?:[^"\\$`]|\$(?!(?:PPID|BASHPID)\b)[A-Za-z_]\w*+|\$\{(?!(?:PPID|BASHPID)\})[A-Za-z_]\w*+\})*+"'
_SINGLE = r"'[^']*+'"
_WORD = rf"(?:[A-Za-z0-9_./:=,@%+^~*?-]|\\'|{_SINGLE}|{_DOUBLE})++"
_BOUND = rf"(?:OC[0-9]++=(?:{_SINGLE}|\\')*+\n)*+"
"""Variables that were bound to values: see engine.scripts.binding.prelude."""

_SCRIPT = re.compile(rf"{_BOUND}[ \t]*+(?P<name>[A-Za-z0-9_./+-]++)(?:[ \t]++{_WORD})*+\s*+", re.ASCII)

_OF_THE_SHELL = frozenset(
    {
        ".",
        "alias",
        "bg",
        "bind",
        "break",
        "builtin",
        "caller",
        "case",
        "command",
        "complete",
        "compgen",
        "compopt",
        "continue",
        "coproc",
        "declare",
        "dirs",
        "disown",
        "do",
        "done",
        "elif",
        "else",
        "enable",
        "esac",
        "eval",
        "exec",
        "export",
        "fc",
        "fg",
        "fi",
        "for",
        "function",
        "getopts",
        "hash",
        "help",
        "history",
        "if",
        "in",
        "jobs",
        "kill",
        "let",
        "local",
        "logout",
        "mapfile",
        "newgrp",
        "popd",
        "pushd",
        "read",
        "readarray",
        "readonly",
        "return",
        "select",
        "set",
        "shift",
        "shopt",
        "source",
        "suspend",
        "then",
        "time",
        "times",
        "trap",
        "type",
        "typeset",
        "ulimit",
        "umask",
        "unalias",
        "unset",
        "until",
        "wait",
        "while",
    }
)
"""Reserved words, and commands that change the shell which runs them, or look into it."""


def is_plain(script: str) -> bool:
    """Whether nobody can tell which shell runs it. Where that is not known at a glance it is not plain."""
    found = _SCRIPT.fullmatch(script)
    return found is not None and found["name"] not in _OF_THE_SHELL
