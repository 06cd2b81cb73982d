"""Where the code of a shell or an interpreter ends, and what follows is given to it as arguments: data.

`sh -c 'ls -- "$1"' _ x`, `bash -s -- x`, `python3 - x`, `python3 -c '...' x`, `perl -e '...' -- x`: x is `$1`, or
`sys.argv[1]`, or `$ARGV[0]`, whatever it says. What stands before may be an option, or the code.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.scripts.posix_shell.pieces import DYNAMIC, HOLE

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "rbash"})
"""Not ksh and zsh, which compute in `[ "$1" -eq 0 ]` as well."""
_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*")
_CODE_OF = {"perl": "-e", "ruby": "-e", "node": "-e", "nodejs": "-e", "php": "-r"}
_SHELL_OPTION = re.compile(r"[-+][A-Za-z]+")
_SHELL_VALUED = frozenset({"--rcfile", "--init-file"})
_PYTHON_FLAGS = re.compile(r"-[bBdEhiIOPqsSuvVx]+")
_POSITIONAL = re.compile(r"\$(?:[0-9@*]|\{[0-9@*]\})")
_OTHER_POSITIONAL = re.compile(r"\$\{[!#]?[0-9@*]")


@dataclass(frozen=True, slots=True)
class Given:
    """Words from `begin` on are arguments of a script: of the code in the word `code`, else of standard input."""

    begin: int
    code: int | None = None
    reader: str = ""
    """The name of that shell or interpreter."""
    by_shell: bool = False
    """Whether a shell reads the script, in which `$1` may be evaluated again."""


def given(names: Sequence[str], texts: Sequence[str], head: int) -> Given | None:
    """What the command at `head` gives to a script; None where it gives nothing, or nobody can tell."""
    name = names[head]
    if DYNAMIC in texts[head]:
        return None
    if name in _SHELLS:
        found = _to_shell(texts, head + 1)
    elif _PYTHON.fullmatch(name):
        found = _to_python(texts, head + 1)
    elif name in _CODE_OF:
        found = _after_dashes(texts, head + 1, _CODE_OF[name])
    else:
        return None
    unknown = found is not None and found.code is not None and DYNAMIC in "".join(texts[found.code : found.code + 1])
    return None if unknown or found is None else replace(found, reader=name)


def as_values(code: str) -> tuple[str, list[int]] | None:
    """The code with a mark for each `$1`, `$@`, and where the marks stand; None where it uses some otherwise."""
    marked = _POSITIONAL.sub(HOLE, code)
    if _OTHER_POSITIONAL.search(marked) or HOLE in code:
        return None
    return marked, [at for at, char in enumerate(marked) if char == HOLE]


def _to_shell(texts: Sequence[str], at: int) -> Given | None:
    code = reads = False
    while at < len(texts):
        text = texts[at]
        if text == "--":
            return _to_script(at + 1, code=code, reads=reads)
        if text in _SHELL_VALUED:
            at += 2
            continue
        if not _SHELL_OPTION.fullmatch(text):
            # The first word that is no option; what begins with a value may be one.
            return None if text.startswith(("-", "+", DYNAMIC)) or not code else _to_script(at, code=True, reads=False)
        if "o" in text[:-1].lower():
            return None
        at += 2 if text[-1] in "oO" else 1  # `-eo pipefail`
        code, reads = code or "c" in text, reads or "s" in text
    return None


def _to_script(at: int, *, code: bool, reads: bool) -> Given | None:
    if code:
        return Given(at + 1, code=at, by_shell=True)
    return Given(at, by_shell=True) if reads else None


def _to_python(texts: Sequence[str], at: int) -> Given | None:
    while at < len(texts):
        text = texts[at]
        if text == "-":
            return Given(at + 1)
        if text == "-c":
            return Given(at + 2, code=at + 1)
        if text not in ("-X", "-W") and not _PYTHON_FLAGS.fullmatch(text):
            return None
        at += 2 if text in ("-X", "-W") else 1
    return None


def _after_dashes(texts: Sequence[str], at: int, option: str) -> Given | None:
    """`perl -e CODE -- x`. Without the dashes x may be an option that holds more code; with -n perl runs `x |`."""
    if texts[at : at + 1] == [option] and texts[at + 2 : at + 3] == ["--"]:
        return Given(at + 3, code=at + 1)
    return None
