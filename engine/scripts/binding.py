"""Values into scripts, by variables set from data, never by splicing text (DEFINITIONS 4).

`bind` replaces each `${{ e }}` of a `run` by a variable (OC1, OC2, ... in the order of the text) as it must be written
at that place, or says why no value may stand there. `prelude` sets the variables; it is put before the bound script.
What reads the scripts of a shell is loaded with the first of them that has an expression.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, assert_never

from engine.expressions.expression import ExpressionError, Hole, Literal, split
from engine.expressions.inference import Lookup
from engine.kept import OfLong
from engine.scripts.numbers import is_number, unknown
from engine.scripts.posix_shell.pieces import HOLE, Dialect, Reading, Refusal
from engine.scripts.posix_shell.variables import (
    ANY,
    COMPUTED_NAMES,
    EVALUATED_NAMES,
    EXECUTED_NAMES,
    STDIN,
    Sink,
    computing,
)
from schemas.job import Shell

MAX_HOLES = 256
"""Expressions in one script."""
MAX_FOLLOWED = 32 * 1024
"""Characters of a script that is followed from command to command, each expression counted as one.

That takes a thousandth of a second for 20 commands; a script of this length has a thousand lines.
"""
MAX_FOLLOWED_TOGETHER = 8 * 1024 * 1024
"""The same of all scripts of a commit: half a minute to a minute on one core."""
_TOO_LONG = Refusal(
    f"stands in a script that cannot be followed for certain: it has more than {MAX_FOLLOWED:,} characters"
)
HINT = "set it with 'env:' and read the variable in the script"
NUMBER_HINT = (
    "make it a number, as in ${{ int(...) }} or a param of 'type: integer'; or let the script check it first: "
    "n=${{ ... }}; case $n in ''|*[!0-9]*) exit 2;; esac"
)
ENV_HINT = (
    "make it a number, as in ${{ int(...) }} or a param of 'type: integer'; or let the script check it first: "
    "case $NAME in ''|*[!0-9]*) exit 2;; esac"
)
NAMED_HINT = "write its whole value in the job, and give the expression to the program in another way"
POWERSHELL_HINT = "call the command itself with the value as an argument: Get-Item -LiteralPath $env:NAME"
_SECRET = re.compile(r"\s*\$\{\{\s*secrets[.\[][^{}]*\}\}\s*")
_READS_ANY = re.compile(r"env\b|\$\{!|\b(?:declare|local|typeset)\b")
"""Without it a script reads the variables that it names, and no others."""
_OWN_NAME = re.compile(r"[Oo][Cc](?<![A-Za-z0-9_]..)[0-9]++(?![A-Za-z0-9_])")
_ALL_OWN = re.compile(r"\$\{!OC[0-9]*[*@]")


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


def bind(script: str, shell: Shell, types: Lookup = unknown) -> Bound | tuple[BindError, ...]:
    """The script with variables in the place of its expressions, or every place where that is not possible.

    `types` tells what expressions read: a number may stand where a text would be computed, and so evaluated.
    A script without expressions comes back as it is, whatever it holds.
    """
    answer = _remembered(script, shell) if len(script) <= SHORT else _bound(script, shell)
    if isinstance(answer, tuple):
        return answer
    errors = tuple(
        error for error, of_text in answer.refused if not of_text or not is_number(_cel(script, error), types)
    )
    return errors or answer.bound


def following(script: str, shell: Shell, *, of_env: bool) -> int:
    """Characters of a script that are followed. `of_env`: for what it makes of its environment or input, too."""
    if shell == "cmd" or not (of_env or "${{" in script):
        return 0
    if shell in ("sh", "bash") and _is_plain(script):
        return 0
    return len(script) if of_env or len(script) <= MAX_FOLLOWED else 0


def _is_plain(script: str) -> bool:
    from engine.scripts.posix_shell import plain

    try:
        return plain.readings(_marked(split(script))[0]) is not None
    except ExpressionError:  # it is refused for that
        return True


def with_variables(script: str, shell: Shell, variables: Mapping[str, str]) -> str | tuple[BindError, ...]:
    """The script that reads variables of its environment in the place of expressions, as each must be written there.

    `variables` are their names by the CEL text that they stand for; other expressions stay. Where `bind` would refuse
    any of the script's expressions, the same errors.
    """
    bound = bind(script, shell)
    if not isinstance(bound, Bound):
        return bound
    if not bound.holes:
        return script
    parts = split(script)
    written = enumerate(_written(parts, shell), start=1)
    pieces = []
    for part in parts:
        if isinstance(part, Literal):
            pieces.append(part.text)
            continue
        number, found = next(written)
        name = variables.get(part.cel)
        if name is None or isinstance(found, Refusal):
            pieces.append(script[part.offset : part.offset + part.length])
        else:
            pieces.append(_from_environment(found, f"OC{number}", name, shell))
    return "".join(pieces)


def _from_environment(written: str, ours: str, name: str, shell: Shell) -> str:
    match shell:
        case "python3":
            return f'__import__("os").environ["{name}"]'
        case "powershell":
            return written.replace(ours, f"env:{name}")
        case _:
            return written.replace(ours, name)


@dataclass(frozen=True, slots=True)
class EvaluatedEnv:
    """A variable of `env` that an expression sets, and that the script, a shell or a program computes or evaluates."""

    name: str
    message: str
    hint: str
    computed: bool
    """Unasked, as bash does in `$((N + 1))` and with PS4; otherwise the author says so: `eval "$N"`."""
    by_name: bool = False
    """Whatever the script says: it may be told where the variable is set."""


def evaluated_env(
    script: str, shell: Shell, env: Mapping[str, Any], types: Lookup = unknown
) -> tuple[EvaluatedEnv, ...]:
    """Variables of `env` that the script computes or evaluates although an expression that is no number sets them.

    A secret is no less its author's than the script, and may be evaluated; computed it may not be.
    """
    suspects = _suspects(env, types)
    if not suspects:
        return ()
    read = reached(suspects, script, shell)
    found = {name: one for name in suspects if (one := _by_its_name(name, env[name])) is not None}
    sinks = _sinks(script, shell, read) if read else {}
    found |= {
        name: one
        for name in read
        if (one := _among(sinks, name, script)) is not None
        and (one.computed or (name not in found and not _is_secret(env[name])))
    }
    return tuple(found[name] for name in suspects if name in found)


def reached(names: Iterable[str], script: str, shell: Shell) -> tuple[str, ...]:
    """Those of the variables that a script may read: it names them, or reads such as it does not name."""
    if shell in ("sh", "bash") and _READS_ANY.search(script) is not None:
        return tuple(names)
    return tuple(name for name in names if name in script)


def _among(sinks: Mapping[str, EvaluatedEnv], name: str, script: str) -> EvaluatedEnv | None:
    """What is said of the variable: by its name, or as one of any that the script evaluates.

    Not as one of any with which it computes: what `local -n` and `${!x}` count with is hardly ever set by `env`.
    """
    if name in sinks and name in script:
        return sinks[name]
    one = sinks.get(ANY)
    if one is None or one.computed:
        return None
    said = f"'{name}', which is among all that are read there and"
    return replace(one, name=name, message=one.message.replace("a variable, which", said, 1))


def evaluated_by_name(env: Mapping[str, Any], types: Lookup = unknown) -> tuple[EvaluatedEnv, ...]:
    """Those of them that shells or programs evaluate whatever script they are set for."""
    found = (_by_its_name(name, env[name]) for name in _suspects(env, types))
    return tuple(one for one in found if one is not None)


def _suspects(env: Mapping[str, Any], types: Lookup) -> list[str]:
    return [
        name for name, value in env.items() if isinstance(value, str) and "${{" in value and not _numeric(value, types)
    ]


def _by_its_name(name: str, value: str) -> EvaluatedEnv | None:
    """What shells and programs make of a variable of this name, whatever the script says."""
    if EVALUATED_NAMES.fullmatch(name) is None or _is_secret(value):
        return None
    executed = EXECUTED_NAMES.fullmatch(name) is not None
    does = "execute" if executed else "evaluate, load or search for programs"
    return EvaluatedEnv(
        name, f"'env' sets '{name}', which shells or programs {does}", NAMED_HINT, executed, by_name=True
    )


def _is_secret(value: str) -> bool:
    return _SECRET.fullmatch(value) is not None


def evaluated_stdin(script: str, shell: Shell, stdin: str | None, types: Lookup = unknown) -> EvaluatedEnv | None:
    """What a script for sh or bash computes or evaluates of its standard input, which an expression sets.

    `read n; echo $((n))` runs a command in the value, and `sh` all of it. What other programs than shells
    make of it is not asked. A secret may be evaluated.
    """
    if stdin is None or "${{" not in stdin or shell not in ("sh", "bash") or _numeric(stdin, types):
        return None
    found = _sinks(script, shell, (STDIN,)).get(STDIN)
    return found if found is not None and (found.computed or not _is_secret(stdin)) else None


@dataclass(frozen=True, slots=True)
class _Answer:
    """A script whose expressions are bound, all of them, and those that are refused; `True`: unless it is a number."""

    bound: Bound
    refused: tuple[tuple[BindError, bool], ...]


def _bound(script: str, shell: Shell) -> _Answer | tuple[BindError, ...]:
    try:
        parts = split(script)
    except ExpressionError as problem:
        return (BindError(problem.offset, problem.length, problem.message, "close it with '}}'"),)
    holes = [part for part in parts if isinstance(part, Hole)]
    if not holes:
        return _Answer(Bound(script, ()), ())
    if (reason := _not_read(script, parts, holes)) is not None:
        first = holes[MAX_HOLES] if len(holes) > MAX_HOLES else holes[0]
        return (BindError(first.offset, first.length, reason, HINT),)
    written = _written(parts, shell)
    refused = tuple(
        (_error(hole, found), found.of_number is not None)
        for hole, found in zip(holes, written, strict=True)
        if isinstance(found, Refusal)
    )
    texts = iter(_text(number, one, shell) for number, one in enumerate(written, start=1))
    text = "".join(part.text if isinstance(part, Literal) else next(texts) for part in parts)
    return _Answer(Bound(text, tuple(hole.cel for hole in holes)), refused)


def _not_read(script: str, parts: Sequence[Literal | Hole], holes: Sequence[Hole]) -> str | None:
    """Why no expression of this script can be bound."""
    if len(holes) > MAX_HOLES:
        return f"a script holds at most {MAX_HOLES} expressions"
    if HOLE in script or "\ue001" in script or "\0" in script:
        return "a script with expressions holds no NUL and no characters U+E000 or U+E001"
    # Where the letters stand nowhere, as in most scripts, nothing need be searched for.
    texts = [part.text for part in parts if isinstance(part, Literal)] if "oc" in script.lower() else []
    if any(map(_ALL_OWN.search, texts)):
        return "a script with expressions does not ask for all names that begin with 'OC': the values are set as OC1, …"
    if (own := next(filter(None, map(_OWN_NAME.search, texts)), None)) is not None:
        return f"a script with expressions does not name '{own[0]}': the values are set as OC1, OC2, …"
    return None


def _written(parts: Sequence[Literal | Hole], shell: Shell) -> list[str | Refusal]:
    match shell:
        case "sh" | "bash":
            return _posix(parts, shell)
        case "python3":
            return _python(parts)
        case "powershell":
            from engine.scripts import powershell_script

            text, offsets = _marked(parts)
            return (
                powershell_script.readings(text, offsets) if len(text) <= MAX_FOLLOWED else [_TOO_LONG] * len(offsets)
            )
        case "cmd":
            return [Refusal("cannot stand in a script for cmd") for part in parts if isinstance(part, Hole)]
        case _:
            assert_never(shell)


def _error(hole: Hole, found: Refusal) -> BindError:
    hint = found.hint or (NUMBER_HINT if found.of_number is not None else HINT)
    return BindError(hole.offset, hole.length, f"the expression '{_short(hole.cel)}' {found.reason}", hint)


def _text(number: int, found: str | Refusal, shell: Shell) -> str:
    """What is written for a hole; of one that is refused, as it is for a number."""
    if not isinstance(found, Refusal):
        return found
    if shell == "python3":
        return f"OC{number}"
    return _variable(number, found.of_number) if found.of_number is not None else ""


def _variable(number: int, reading: Reading) -> str:
    return f'"${{OC{number}}}"' if reading == "bare" else f"${{OC{number}}}"


def _cel(script: str, error: BindError) -> str:
    return script[error.offset + 3 : error.offset + error.length - 2]


def _numeric(value: str, types: Lookup) -> bool:
    try:
        return all(is_number(part.cel, types) for part in split(value) if isinstance(part, Hole))
    except ExpressionError:
        return True  # a finding of its own


def _sinks(script: str, shell: Shell, names: tuple[str, ...]) -> Mapping[str, EvaluatedEnv]:
    """What is said of each variable of `env` that the script evaluates."""
    if len(script) <= SHORT:
        return _sinks_of_short(script, shell, names)
    asked = json.dumps([script, shell, names]).encode()
    return _sinks_of_long.answer(asked, lambda: _all_sinks(script, shell, names))


def _all_sinks(script: str, shell: Shell, names: tuple[str, ...]) -> Mapping[str, EvaluatedEnv]:
    try:
        text = _marked(split(script))[0].replace("\ue001", "").replace("\0", "")
    except ExpressionError:
        return {}  # a finding of its own
    match shell:
        case "sh" | "bash":
            found = _posix_sinks(text, shell, asks_input=STDIN in names)
            return {
                name: EvaluatedEnv(
                    name,
                    sink.of(name) if name == STDIN else f"'env' sets {sink.of(name)}",
                    sink.hint or (ENV_HINT.replace("$NAME", f"${sink.name}") if sink.name.isidentifier() else ENV_HINT),
                    computed=not sink.hint,
                )
                for name, sink in found.items()
            }
        case "python3":
            from engine.scripts import python_script

            in_python = python_script.sinks(_with_names(split(script))[0], names)
            return {
                name: EvaluatedEnv(name, f"'env' sets {sink.of(name)}", sink.hint, computed=False)
                for name, sink in in_python.items()
            }
        case "powershell":
            from engine.scripts import powershell_env

            return {
                name: EvaluatedEnv(name, f"'env' sets '{name}', which {reason}", POWERSHELL_HINT, computed=False)
                for name, reason in powershell_env.evaluated(text, names).items()
            }
        case "cmd":
            return {}
        case _:
            assert_never(shell)


SHORT = 4_096
"""Code points of a script whose answer is remembered: many jobs of a repository, and all runs of one, have the same."""
REMEMBERED = 2_048
"""Scripts whose answers are there again, as long as no more than as many others come between."""
_remembered = lru_cache(maxsize=2 * REMEMBERED)(_bound)
_sinks_of_short = lru_cache(maxsize=2 * REMEMBERED)(_all_sinks)
_sinks_of_long: OfLong[Mapping[str, EvaluatedEnv]] = OfLong(
    256, small=lambda found: sum(map(_length, found.values())) <= 8 * SHORT
)


def _length(found: EvaluatedEnv) -> int:
    return len(found.name) + len(found.message) + len(found.hint)


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


def _posix(parts: Sequence[Literal | Hole], shell: Dialect) -> list[str | Refusal]:
    from engine.scripts.posix_shell import plain

    text, offsets = _marked(parts)
    found: Sequence[Reading | Refusal] | None = plain.readings(text)
    if found is None and len(text) > MAX_FOLLOWED:
        found = [_TOO_LONG] * len(offsets)
    elif found is None:
        from engine.scripts.posix_shell import scan

        followed = scan.readings(text, offsets, shell)
        found = [followed[offset] for offset in offsets]
    return [
        reading if isinstance(reading, Refusal) else _variable(number, reading)
        for number, reading in enumerate(found, start=1)
    ]


def _posix_sinks(text: str, shell: Dialect, *, asks_input: bool) -> Mapping[str, Sink]:
    from engine.scripts.posix_shell import plain

    if not asks_input and plain.readings(text) is not None:
        return {name: computing(name) for name in COMPUTED_NAMES}
    from engine.scripts.posix_shell import scan

    return scan.sinks(text, shell) if len(text) <= MAX_FOLLOWED else scan.sinks_at_least(text)


def _marked(parts: Sequence[Literal | Hole]) -> tuple[str, list[int]]:
    """The script with one mark for each expression, and where the marks are."""
    text = "".join(part.text if isinstance(part, Literal) else HOLE for part in parts)
    return text, [mark.start() for mark in re.finditer(HOLE, text)]


def _python(parts: Sequence[Literal | Hole]) -> list[str | Refusal]:
    from engine.scripts import python_script

    text, names = _with_names(parts)
    return list(python_script.readings(text, names).values()) if len(text) <= MAX_FOLLOWED else [_TOO_LONG] * len(names)


def _with_names(parts: Sequence[Literal | Hole]) -> tuple[str, dict[str, int]]:
    """The script with a name for each expression, and where those are."""
    names: dict[str, int] = {}
    pieces: list[str] = []
    at = 0
    for part in parts:
        if isinstance(part, Hole):
            names[f"OC{len(names) + 1}"] = at
        pieces.append(part.text if isinstance(part, Literal) else f"OC{len(names)}")
        at += len(pieces[-1])
    return "".join(pieces), names


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
