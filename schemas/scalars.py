"""What a plain YAML scalar means: the YAML 1.2 core schema, where `no` and `12:30` are text."""

import math
import re
from dataclasses import dataclass

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_FIRST = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_LARGEST = 2**63 - 1
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Refused:
    """A plain scalar that is taken for different values by different tools, or for none."""

    code: str
    message: str
    hint: str


def resolve(text: str) -> Scalar | Refused:
    """The value of a plain scalar by the core schema of YAML 1.2.2, section 10.3; integers hold 64 bits."""
    if not text or text[0] not in _FIRST:
        return _WORDS.get(text, text)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if _LEADING_ZERO.fullmatch(text):
        return Refused(
            "OC110",
            f"{shown} begins with a zero: some tools read it as octal, others as decimal",
            f'write "{shown}" for text, {shown.lstrip("+-0") or "0"} for a number, or 0o… for octal',
        )
    if _NOT_FINITE.fullmatch(text):
        return Refused("OC111", f"{shown} is not a finite number", f'write "{shown}" if it is meant as text')
    if _INT.fullmatch(text) or _BASED.fullmatch(text):
        number = int(text, 0) if len(text) <= _LONGEST else _LARGEST + 1
        return number if -_LARGEST - 1 <= number <= _LARGEST else _too_large(shown)
    if _FLOAT.fullmatch(text):
        real = float(text)
        return real if math.isfinite(real) else _too_large(shown)
    return text


def _too_large(shown: str) -> Refused:
    return Refused("OC111", f"{shown} does not fit a number of 64 bits", f'write "{shown}" if it is meant as text')
