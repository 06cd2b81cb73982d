"""Command lines of systemd's services as scripts: no shell reads those, and a shell reads ours (systemd.service(5))."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from opsconductor.imports.crontime import CarryError

_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " ",
    "\\": "\\", '"': '"', "'": "'",
}  # fmt: skip
_CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})", re.ASCII)
_VARIABLE = re.compile(r"\$\$|\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SHELLS = {"/bin/sh": "sh", "/usr/bin/sh": "sh", "/bin/bash": "bash", "/usr/bin/bash": "bash"}
_PREFIXES = "-@:+!|"


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a script, and what its prefixes asked for."""

    script: str
    shell: str | None = None
    may_fail: bool = False
    as_root: bool = False
    renamed: bool = False


def commands(text: str, expand: Callable[[str], str]) -> list[Command]:
    """The commands of one line; `expand` replaces specifiers in a word. Raises CarryError."""
    lines: list[list[tuple[str, str]]] = [[]]
    for raw, word in words(text):
        if raw == ";":
            lines.append([])
        else:
            lines[-1].append((raw, ";" if raw == "\\;" else word))
    return [_command([word for _, word in line], expand) for line in lines if line]


def words(text: str) -> list[tuple[str, str]]:
    """Words as they stand there, and without quotes and escapes. Raises CarryError."""
    found: list[tuple[str, str]] = []
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return found
        start = at
        word, at = _word(text, at)
        found.append((text[start:at], word))


def _word(text: str, at: int) -> tuple[str, int]:
    made: list[str] = []
    quote = ""
    while at < len(text) and (quote or not text[at].isspace()):
        char = text[at]
        if char == "\\":
            piece, at = _escaped(text, at)
            made.append(piece)
            continue
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        else:
            made.append(char)
        at += 1
    if quote:
        raise CarryError(f"a quote ({quote}) is not closed", "close it, or write the command by hand")
    return "".join(made), at


def _escaped(text: str, at: int) -> tuple[str, int]:
    char = text[at + 1 : at + 2]
    if char in _ESCAPES and char:
        return _ESCAPES[char], at + 2
    if (code := _CODE.match(text, at + 1)) is not None:
        number = int(code[4], 8) if code[4] else int(code[1] or code[2] or code[3], 16)
        if not 0 < number < 0x110000 or 0xD800 <= number < 0xE000:
            raise CarryError("an escaped character that no command takes", "write the command by hand")
        return chr(number), code.end()
    # systemd leaves an escape that it does not know as it is, and warns
    return text[at : at + 2], at + len(text[at : at + 2])


def _command(given: list[str], expand: Callable[[str], str]) -> Command:
    first = given[0].lstrip(_PREFIXES)
    prefixes = given[0][: len(given[0]) - len(first)]
    if not first:
        raise CarryError("there is no command", "nothing would run")
    if "!" in prefixes or "|" in prefixes:
        raise CarryError(f"the prefix {prefixes!r} changes who runs it, and how", "say it with 'become' of the step")
    rest = given[1:]
    renamed = "@" in prefixes
    if renamed:
        rest = rest[1:]
    program = expand(first)
    substituted = ":" not in prefixes
    arguments = [_Argument.of(expand(word), substituted=substituted) for word in rest]
    fate = {"may_fail": "-" in prefixes, "as_root": "+" in prefixes, "renamed": renamed}
    shell = _SHELLS.get(program)
    if shell and len(arguments) == 2 and arguments[0].literal == "-c" and (arguments[1].literal or "").strip():
        return Command(str(arguments[1].literal), None if shell == "sh" else shell, **fate)
    script = " ".join([shlex.quote(program), *(one.quoted for one in arguments)])
    # systemd divides the value at white space; a shell would take it for a pattern of file names besides
    return Command(f"set -f\n{script}" if any(one.divided for one in arguments) else script, None, **fate)


@dataclass(frozen=True, slots=True)
class _Argument:
    quoted: str
    """As a shell takes it."""
    literal: str | None
    """What it is; None where variables are in it."""
    divided: bool = False
    """Whether it is a variable whose value is as many words as it has."""

    @classmethod
    def of(cls, word: str, *, substituted: bool) -> "_Argument":
        if not substituted or "$" not in word:
            return cls(shlex.quote(word), word)
        if word.startswith("$") and word[1:2] not in ("{", "$"):
            if _NAME.fullmatch(word[1:]) is None:
                raise CarryError(f"{word} is no variable to systemd, which leaves it out", "write ${NAME} in the unit")
            return cls(word, None, divided=True)
        quoted, plain, at, variables = [], [], 0, False
        for found in _VARIABLE.finditer(word):
            plain.append(word[at : found.start()])
            at = found.end()
            if found[0] == "$$":
                plain.append("$")
                continue
            if _NAME.fullmatch(found[1]) is None:
                raise CarryError(f"{found[0]} is no variable to systemd", "write the command by hand")
            variables = True
            quoted += [_literal(plain), f'"{found[0]}"']
            plain = []
        plain.append(word[at:])
        quoted.append(_literal(plain))
        return cls("".join(quoted) or "''", None if variables else "".join(plain))


def _literal(parts: list[str]) -> str:
    text = "".join(parts)
    return shlex.quote(text) if text else ""
