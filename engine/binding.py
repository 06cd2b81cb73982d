"""Values into scripts, by variables set from data, never by splicing text (DEFINITIONS 4).

`bind` replaces each `${{ e }}` of a `run` by a variable (OC1, OC2, ... in the order of the text) as it must be written
at that place, or says why no value may stand there. `prelude` sets the variables; it is put before the bound script.
"""

import base64
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

from engine import posix_shell
from engine.expression import ExpressionError, Hole, Literal, split
from engine.posix_shell import HOLE, Refusal
from schemas.job import Shell

MAX_HOLES = 256
"""Expressions in one script."""
HINT = "set it with 'env:' and read the variable in the script"


@dataclass(frozen=True, slots=True)
class Bound:
    """A script in which hole n reads the variable OCn; `holes` are the CEL texts, in that order."""

    text: str
    holes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BindError:
    """A place where no value may stand; offsets count code points of the script."""

    offset: int
    length: int
    message: str
    hint: str


class UnbindableValue(ValueError):  # noqa: N818 -- names the value, which is no error of ours
    """A value that no script can be given: it holds a NUL, or characters that are no Unicode."""


def bind(script: str, shell: Shell) -> Bound | tuple[BindError, ...]:
    """The script with variables in the place of its expressions, or every place where that is not possible.

    A script without expressions comes back as it is, whatever it holds.
    """
    return _remembered(script, shell) if len(script) <= _SHORT else _bound(script, shell)


def _bound(script: str, shell: Shell) -> Bound | tuple[BindError, ...]:
    try:
        parts = split(script)
    except ExpressionError as problem:
        return (BindError(problem.offset, problem.length, problem.message, "close it with '}}'"),)
    holes = [part for part in parts if isinstance(part, Hole)]
    if not holes:
        return Bound(script, ())
    if len(holes) > MAX_HOLES:
        extra = holes[MAX_HOLES]
        return (BindError(extra.offset, extra.length, f"a script holds at most {MAX_HOLES} expressions", HINT),)
    if HOLE in script or "\ue001" in script or "\0" in script:
        message = "a script with expressions holds no NUL and no characters U+E000 or U+E001"
        return (BindError(holes[0].offset, holes[0].length, message, HINT),)
    match shell:
        case "sh" | "bash":
            written = _posix(parts, shell)
        case "python3":
            written = _python(parts)
        case "powershell":
            written = _powershell(parts)
        case "cmd":
            written = [Refusal("cannot stand in a script for cmd")] * len(holes)
        case _:
            assert_never(shell)
    refused = [(hole, found) for hole, found in zip(holes, written, strict=True) if isinstance(found, Refusal)]
    if refused:
        return tuple(
            BindError(hole.offset, hole.length, f"the expression '{_short(hole.cel)}' {found.reason}", HINT)
            for hole, found in refused
        )
    names = iter(str(one) for one in written)
    text = "".join(part.text if isinstance(part, Literal) else next(names) for part in parts)
    return Bound(text, tuple(hole.cel for hole in holes))


_SHORT = 4_096
"""Code points of a script whose answer is remembered: many jobs of a repository, and all runs of one, have the same."""
_remembered = lru_cache(maxsize=2_048)(_bound)


def prelude(shell: Shell, values: Sequence[str]) -> str:
    """Lines that set OC1, OC2, ... to these texts; empty without values. To be put right before the bound script.

    Raises UnbindableValue for a NUL or a lone surrogate. The lines hold the values: they travel on standard input,
    never in argv, and are never logged.
    """
    for value in values:
        if "\0" in value:
            raise UnbindableValue("a value holds a NUL, which no script can be given")
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise UnbindableValue("a value holds characters that are no Unicode")
    return "".join(f"{line}\n" for line in _assignments(shell, values))


def _assignments(shell: Shell, values: Sequence[str]) -> Iterator[str]:
    for number, value in enumerate(values, start=1):
        match shell:
            case "sh" | "bash":
                quoted = value.replace("'", "'\\''")
                yield f"OC{number}='{quoted}'"
            case "python3":
                yield f"OC{number} = {value!a}"
            case "powershell":
                # Not ConvertFrom-Json over all of them: PowerShell 7 turns text that looks like a date into a date.
                data = base64.b64encode(value.encode()).decode("ascii")
                bytes_ = f"[System.Convert]::FromBase64String('{data}')"
                yield f"$OC{number} = [System.Text.Encoding]::UTF8.GetString({bytes_})"
            case "cmd":
                raise UnbindableValue("a script for cmd takes no values")
            case _:
                assert_never(shell)


def _posix(parts: Sequence[Literal | Hole], shell: posix_shell.Dialect) -> list[str | Refusal]:
    text, offsets = _marked(parts)
    found = posix_shell.readings(text, offsets, shell)
    written: list[str | Refusal] = []
    for number, offset in enumerate(offsets, start=1):
        reading = found[offset]
        if isinstance(reading, Refusal):
            written.append(reading)
        else:
            written.append(f'"${{OC{number}}}"' if reading == "bare" else f"${{OC{number}}}")
    return written


def _marked(parts: Sequence[Literal | Hole]) -> tuple[str, list[int]]:
    """The script with one mark for each expression, and where the marks are."""
    text = "".join(part.text if isinstance(part, Literal) else HOLE for part in parts)
    return text, [at for at, char in enumerate(text) if char == HOLE]


# --- python3 ---------------------------------------------------------------------------------------------------------

_EVALUATING_CALLS = frozenset(
    {
        "eval", "exec", "compile", "__import__", "system", "popen", "getoutput", "getstatusoutput", "import_module",
        "literal_eval", "run_path", "run_module", "create_subprocess_shell",
    }
)  # fmt: skip


def _python(parts: Sequence[Literal | Hole]) -> list[str | Refusal]:
    names = [f"OC{n}" for n, _ in enumerate((p for p in parts if isinstance(p, Hole)), start=1)]
    text, places = "", []
    for part in parts:
        if isinstance(part, Hole):
            places.append(len(text))
        text += part.text if isinstance(part, Literal) else names[len(places) - 1]
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError) as problem:
        return [Refusal(f"stands in a script that is not read as Python: {problem.args[0]}")] * len(names)
    if any(token.string == "__future__" for token in tokens):
        return [Refusal("stands in a script with '__future__', before which nothing may be set")] * len(names)
    where = _places(text, places)
    refusals = _python_refusals(tokens)
    starts = {token.start: token for token in tokens}
    found: list[str | Refusal] = []
    for name, place in zip(names, where, strict=True):
        token = starts.get(place)
        if token is None or token.type != tokenize.NAME or token.string != name:
            inside = next((t for t in tokens if t.start <= place < t.end and t.type == tokenize.COMMENT), None)
            found.append(name if inside else Refusal("stands in a string or within a word"))
        elif place in refusals:
            found.append(Refusal(refusals[place]))
        else:
            found.append(name)
    return found


def _places(text: str, offsets: Sequence[int]) -> list[tuple[int, int]]:
    return [(text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1)) for at in offsets]


def _python_refusals(tokens: Sequence[tokenize.TokenInfo]) -> dict[tuple[int, int], str]:
    """Names within calls that evaluate their arguments, within f-strings, and after a dot."""
    found: dict[tuple[int, int], str] = {}
    calls: list[str] = []
    strings = 0
    runs_shell = False
    before = ["", ""]
    for at, token in enumerate(tokens):
        kind = tokenize.tok_name[token.type]
        strings += {"FSTRING_START": 1, "FSTRING_END": -1, "TSTRING_START": 1, "TSTRING_END": -1}.get(kind, 0)
        if token.string in ("(", "[", "{") and token.type == tokenize.OP:
            calls.append(before[-1] if token.string == "(" else "")
        elif token.string in (")", "]", "}") and token.type == tokenize.OP and calls:
            calls.pop()
        elif token.type == tokenize.NAME and re.fullmatch(r"OC\d+", token.string):
            if strings:
                found[token.start] = "stands in a string"
            if before[-1] == ".":
                found[token.start] = "stands in the place of an attribute"
            if any(name in _EVALUATING_CALLS for name in calls):
                found[token.start] = "stands in a call that may evaluate it"
        elif token.string == "shell" and calls and [t.string for t in tokens[at + 1 : at + 3]] != ["=", "False"]:
            runs_shell = True
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            before = [before[-1], token.string]
    if runs_shell:  # `shell=True` may stand before or after the value, or come by another way: refuse them all
        names = (token for token in tokens if token.type == tokenize.NAME and re.fullmatch(r"OC\d+", token.string))
        found |= {token.start: "stands in a script that runs commands by 'shell='" for token in names}
    return found


# --- powershell ------------------------------------------------------------------------------------------------------

_PS_EVALUATING = re.compile(
    r"\b(?:iex|icm|Invoke-Expression|Invoke-Command|ScriptBlock|ExpandString|NewScriptBlock|InvokeScript|AddScript"
    r"|Start-Process|saps|powershell|pwsh|cmd|wsl|bash|sh|Add-Type|EncodedCommand|Invoke-WmiMethod|Invoke-CimMethod)\b",
    re.IGNORECASE,
)
_PS_PIECE = re.compile(
    r"(?P<block><#.*?#>)|(?P<comment>\#[^\n]*)|(?P<here_double>@\"[ \t]*\n(?:.*?\n)?\"@)"
    r"|(?P<here_single>@'[ \t]*\n(?:.*?\n)?'@)|(?P<unended>(?:<\#|@[\"'][ \t]*\n).*)"
    r"|(?P<single>'(?:[^']|'')*')|(?P<double>\"(?:[^\"`]|`.|\"\")*\")|(?P<escape>`.)|(?P<other>.)",
    re.DOTALL,
)


def _powershell(parts: Sequence[Literal | Hole]) -> list[str | Refusal]:
    text, offsets = _marked(parts)
    if found := _PS_EVALUATING.search(text):
        return [Refusal(f"stands in a script with '{found[0]}', which may evaluate it")] * len(offsets)
    # PowerShell takes typographic quotes for quotes; this scanner does not follow them.
    if re.search("[\u2018-\u201f\u2013-\u2015]", text):
        return [Refusal("stands in a script with typographic quotes or dashes")] * len(offsets)
    written: dict[int, str | Refusal] = {}
    for piece in _PS_PIECE.finditer(text):
        for offset in (at for at in range(piece.start(), piece.end()) if text[at] == HOLE):
            written[offset] = _ps_reading(piece, text, offset, offsets.index(offset) + 1)
    return [written.get(offset, Refusal("stands where it could not be followed")) for offset in offsets]


def _ps_reading(piece: re.Match[str], text: str, offset: int, number: int) -> str | Refusal:
    match piece.lastgroup:
        case "double" | "here_double" if "$(" not in piece[0] and text[offset - 1] not in "`$":
            return f"${{OC{number}}}"
        case "comment" | "block":
            return f"OC{number}"
        case "other":
            before, after = text[:offset].rstrip(" \t"), text[offset + 1 : offset + 2]
            if text[offset - 1 : offset] in ("", " ", "\t", "\n", "(", ",", "=") and after in ("", *" \t\n\r),;|}"):
                if before[-1:] in ("&", "."):
                    return Refusal("stands in the place of the command")
                return f"$OC{number}"
            return Refusal("stands within a word; put it in double quotes")
        case "unended":
            return Refusal("stands after a comment or a here-string that does not end")
        case _:
            return Refusal("stands in quotes that take no variable")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
