"""What fails whenever it is evaluated: calls and operators whose constants no value could mend. Nothing is evaluated.

Only what the library that evaluates certainly refuses is said (a test asks it); a doubtful text is taken for right.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from engine.expressions.syntaxtree import Call, Constant, Node

_INT = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_UINT = re.compile(r"\+?[0-9]{1,40}", re.ASCII)
_DOUBLE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf|infinity|nan)", re.IGNORECASE)
_DURATION = re.compile(r"[+-]?(?:0|[0-9.]+(?:[eE][+-]?[0-9]+)?(?:h|m|s|ms|us|µs|μs|ns))")
"""How one begins: what follows may be more of it."""
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?(?:[Zz]|[+-].+)", re.ASCII
)
_BACK = re.compile(r"\\[1-9]")
_LOOKING = ("(?=", "(?!", "(?<=", "(?<!")
_REPEATS = frozenset("*+?")


def fault_of(call: Call) -> tuple[Node, str, str] | None:
    """The part of a call that makes it fail always, why, and what to do; None where it may succeed."""
    if call.operator:
        return _by_zero(call) if call.name in ("/", "%") else None
    if call.name == "matches" and call.receiver is not None and len(call.arguments) == 1:
        return _read(call.arguments[0], _pattern)
    if call.name in _CONVERSIONS and call.receiver is None and len(call.arguments) == 1:
        return _read(call.arguments[0], _CONVERSIONS[call.name])
    return None


def _by_zero(call: Call) -> tuple[Node, str, str] | None:
    divisor = call.arguments[1]
    if isinstance(divisor, Constant) and divisor.kind == "number" and _is_zero(divisor.text):
        return divisor, "a division by zero always fails", "divide by something else"
    return None


def _is_zero(text: str) -> bool:
    digits = re.split("[eE]", text.lower().rstrip("u").removeprefix("0x"))[0] if text[:2] not in ("0x", "0X") else text
    return not digits.lower().removeprefix("0x").rstrip("u").strip("0.")


def _read(node: Node, why: Callable[[str], tuple[str, str] | None]) -> tuple[Node, str, str] | None:
    """What is wrong with a text that is written out."""
    found = why(node.text) if isinstance(node, Constant) and node.kind == "string" else None
    return (node, *found) if found is not None else None


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


def _int(text: str) -> tuple[str, str] | None:
    if _INT.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return None
    return f"int() always fails of '{_short(text)}', which is no whole number", "digits alone, as in int('42')"


def _uint(text: str) -> tuple[str, str] | None:
    if _UINT.fullmatch(text) and int(text) < 2**64:
        return None
    return f"uint() always fails of '{_short(text)}', which is no whole number from 0", "digits alone, as in uint('42')"


def _double(text: str) -> tuple[str, str] | None:
    if _DOUBLE.fullmatch(text):
        return None
    return f"double() always fails of '{_short(text)}', which is no number", "as in double('1.5')"


def _duration(text: str) -> tuple[str, str] | None:
    if _DURATION.match(text):
        return None
    hint = "numbers with the units h, m, s, ms, us or ns, as in duration('1h30m')"
    return f"duration() always fails of '{_short(text)}', which is no duration", hint


def _instant(text: str) -> tuple[str, str] | None:
    if (found := _INSTANT.fullmatch(text)) and _exists(f"{found[1]}T{found[2]}"):
        return None
    hint = "RFC 3339 with an offset, as in timestamp('2026-12-01T00:00:00Z')"
    return f"timestamp() always fails of '{_short(text)}', which is no instant", hint


def _exists(text: str) -> bool:
    try:
        datetime.fromisoformat(text[:-2] + "00")  # a leap second may be one
    except ValueError:
        return False
    return True


_CONVERSIONS: Mapping[str, Callable[[str], tuple[str, str] | None]] = {
    "int": _int, "uint": _uint, "double": _double, "duration": _duration, "timestamp": _instant,
}  # fmt: skip


def _pattern(text: str) -> tuple[str, str] | None:
    """What no regular expression of RE2's kind may have, as far as that is plain."""
    why = _unreadable(text)
    hint = "escape what is meant as it stands, as in r'\\('; there is no look-around and no reference back"
    return (f"matches() always fails: '{_short(text)}' {why}", hint) if why else None


def _unreadable(text: str) -> str:
    open_groups, at, repeatable = 0, 0, False
    if re.search(r"\(\?[a-zA-Z]*x", text):
        return ""  # comments and blanks that mean nothing: not followed here
    while at < len(text):
        character = text[at]
        if character == "\\":
            if at + 1 == len(text):
                return "ends in the middle of an escape"
            if _BACK.match(text, at):
                return "refers back to a group"
            at += 2
            repeatable = True
            continue
        if character == "[":
            end = _class_end(text, at)
            if end is None:
                return "has a '[' without its ']'"
            at, repeatable = end, True
            continue
        if character == "(":
            if text.startswith(_LOOKING, at):
                return "looks around"
            open_groups += 1
            at += 2 if text.startswith("(?", at) else 1  # the flags, or the name, that follow are like any text here
            repeatable = text.startswith("?", at - 1)
            continue
        if character == ")":
            open_groups -= 1
            if open_groups < 0:
                return "has a ')' without its '('"
            repeatable = True
        elif character in _REPEATS:
            if not repeatable:
                return f"repeats nothing by '{character}'"
        else:
            repeatable = character != "|"
        at += 1
    return "has a '(' without its ')'" if open_groups else ""


def _class_end(text: str, start: int) -> int | None:
    """Where a class of characters ends; None where it does not. One within another counts."""
    depth, at = 0, start
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == "[":
            depth += 1
            at += 1
            at += text.startswith("^", at)
            at += text.startswith("]", at)
            continue
        if text[at] == "]":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return None
