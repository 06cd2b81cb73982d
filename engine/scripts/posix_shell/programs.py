"""Programs by their names. Scripts for PowerShell and Python run the same programs."""

import re
from collections.abc import Sequence
from itertools import zip_longest

from engine.scripts.posix_shell.pieces import ASSIGNMENT
from engine.scripts.posix_shell.table import PROGRAMS, Program

_INTERPRETERS = re.compile(
    r"(python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|Rscript|osascript|psql|mysql|mariadb|sqlite3?|mongo|mongosh"
    r"|sqlplus|bc|dc|guile|ghc|scala|groovy|jshell|R)[0-9.]*"
)
"""By name and version."""
_INITIALS = frozenset("prndblRogsmj")
"""Letters with which these names begin: most words are no program, and many are asked for."""
_PYTHON = Program(language="code", instead="give it as an argument: python3 -c 'import sys; print(sys.argv[1])' VALUE")
_INTERPRETER = Program(language="code", instead="give it to a script of its own as an argument")
_UNKNOWN = Program()
OWN_SCRIPT = re.compile(r"\.\.?/[^ ]+|(?!/dev/|/proc/)[A-Za-z0-9_./~][^ ]*\.(sh|bash|ksh|py|pl|rb|js|php)")
"""A script of the author, by its name."""
_STANDARD_INPUT = frozenset({"", "-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "stdin", "0"})
_FILE_OPTION = re.compile(r"-[A-Za-z]*[fK]|--(file|makefile|config)")
_FILE_GIVEN = re.compile(r"(-[A-Za-z]*[fK]|--(file|makefile|config)=)(-|/dev/stdin|/dev/fd/0|/proc/self/fd/0)")


def program(name: str) -> Program:
    """What is known of the program of this name, without its folders."""
    if (found := PROGRAMS.get(name)) is not None:
        return found
    if not is_interpreter(name):
        return _UNKNOWN
    return _PYTHON if name.startswith(("python", "pypy")) else _INTERPRETER


def is_interpreter(name: str) -> bool:
    """Whether it is one that stands in no table, such as perl5.36."""
    return name[:1] in _INITIALS and _INTERPRETERS.fullmatch(name) is not None


def interprets(name: str) -> bool:
    """Whether it is a shell or an interpreter."""
    return program(name).interprets


def is_shell(name: str) -> bool:
    return program(name).language == "shell"


def is_awk(name: str) -> bool:
    return program(name).language == "awk"


def plain(name: str) -> bool:
    """Whether a word may well be a command or a script: no option, no number, no assignment."""
    return bool(name) and not name.startswith("-") and not name[:1].isdigit() and not ASSIGNMENT.match(name)


def is_input(name: str) -> bool:
    """Whether a file's name may mean standard input."""
    return name in _STANDARD_INPUT


def takes_file(texts: Sequence[str]) -> bool:
    """Whether an option names standard input as the file with the code: `-f -`, `-nf -`, `--file=/dev/stdin`."""
    return any(
        _FILE_GIVEN.fullmatch(text) or (_FILE_OPTION.fullmatch(text) and is_input(word))
        for text, word in zip_longest(texts, texts[1:], fillvalue="")
    )
