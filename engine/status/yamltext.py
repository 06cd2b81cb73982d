"""Plain data as YAML text: keys in the order given, one fact a line, the same bytes for equal data.

The text means the same to readers of YAML 1.1 and 1.2 and to JSON-minded ones: what any of them could take for
something else is quoted. Only instants stand plain, as RFC 3339 (YAML 1.2 reads text, 1.1 a timestamp).
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from schemas.quantities import format_instant

MAX_DEPTH = 60
"""Nesting that readers of ours accept; `plain` cuts what is deeper."""
_WIDTH = 100
_LONGEST_KEY = 120
"""YAML's readers look for the colon after a key within 1,024 characters."""
_ALWAYS_OPEN = frozenset({"spec", "status"})
_LARGEST = 2**63 - 1

# Begins with a letter, or is a name with a digit first; no space at an end, no ": " and no " #".
_PLAIN = re.compile(r"[A-Za-z_/][\w./@+=()~%^-]*(?::[\w./@+=()~%^-]+)*(?: [\w./@+=()~%^(-][\w./@+=()~%^-]*)*", re.ASCII)
_DIGIT_FIRST = re.compile(r"[1-9][\w.-]*[ac-df-np-wyzAC-DF-NP-WYZ][\w.-]*", re.ASCII)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# What JSON leaves as it is and YAML does not take raw, or takes for a line break.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_UNSPEAKABLE = re.compile("[\x00\ud800-\udfff]")
"""Halves of characters, and the zero byte, which our own reader refuses."""


class Stamp(str):
    """An instant as text that stands plain in YAML, and is text in JSON."""

    __slots__ = ()


def stamp(instant: datetime) -> Stamp:
    """RFC 3339 in UTC."""
    return Stamp(format_instant(instant))


def to_yaml(document: Mapping[str, Any]) -> str:
    """The document as text. Reading it gives equal data, instants as text.

    Takes text, whole and finite numbers, booleans, None, stamps, aware datetimes, lists and mappings with text keys,
    at most MAX_DEPTH deep; raises ValueError or TypeError for anything else.
    """
    return "".join(_open_mapping(document, "", MAX_DEPTH)) if document else "{}\n"


def one_line(value: Any) -> str:
    """A value of what `to_yaml` takes as text on one line, without an end."""
    return _flow(value, MAX_DEPTH)


def plain(value: Any, depth: int = 32) -> Any:
    """Foreign data (outputs, params) as data that can be written and read by anyone.

    Numbers that are not finite or need more than 64 bits become text, keys become text, what is nested deeper than
    `depth` is cut, and zero bytes and halves of characters are replaced.
    """
    match value:
        case bool() | None | Stamp():
            return value
        case str():
            return _UNSPEAKABLE.sub("\ufffd", value)
        case int():
            return int(value) if -_LARGEST <= value <= _LARGEST else str(value) if value.bit_length() < 4096 else "…"
        case float():
            return float(value) if math.isfinite(value) else str(value)
        case datetime():
            return stamp(value)
        case _ if depth == 0:
            return "…"
        case Mapping():
            return {_key_text(key): plain(inner, depth - 1) for key, inner in value.items()}
        case Sequence() if not isinstance(value, bytes | bytearray):
            return [plain(inner, depth - 1) for inner in value]
        case _:
            return _UNSPEAKABLE.sub("\ufffd", str(value))


def _key_text(key: Any) -> str:
    return _UNSPEAKABLE.sub("\ufffd", key if isinstance(key, str) else json.dumps(key, default=str))


def _open_mapping(mapping: Mapping[str, Any], indent: str, depth: int) -> Iterator[str]:
    """One line a fact."""
    _check(depth)
    for key, value in mapping.items():
        head = _head(key, indent)
        match value:
            case Mapping() if value and (inline := _inline_mapping(key, value, indent, depth)) is None:
                yield f"{head}\n"
                yield from _open_mapping(value, indent + "  ", depth - 1)
            case Mapping() if value:
                yield f"{head} {inline}\n"
            case list() | tuple() if value and not _fits_a_line(value):
                yield f"{head}\n"
                yield from (f"{indent}  - {_flow(item, depth - 1)}\n" for item in value)
            case _:
                yield f"{head} {_flow(value, depth)}\n"


def _head(key: str, indent: str) -> str:
    text = _scalar(key)
    return f"{indent}{text}:" if len(text) <= _LONGEST_KEY else f"{indent}? {text}\n{indent}:"


def _inline_mapping(key: str, value: Mapping[str, Any], indent: str, depth: int) -> str | None:
    """The mapping on one line, where it is short and has nothing but scalars; None where it is not."""
    if (not indent and key in _ALWAYS_OPEN) or len(value) > 12 or any(map(_is_container, value.values())):
        return None
    text = _flow(value, depth)
    return text if len(text) <= _WIDTH else None


def _fits_a_line(items: Sequence[Any]) -> bool:
    if len(items) > _WIDTH // 3 or any(isinstance(item, Mapping | list | tuple) for item in items):
        return False
    return sum(len(_scalar(item)) + 2 for item in items) <= _WIDTH


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple) and bool(value)


def _flow(value: Any, depth: int) -> str:
    match value:
        case Mapping():
            _check(depth)
            return "{" + ", ".join(f"{_flow_head(k)} {_flow(v, depth - 1)}" for k, v in value.items()) + "}"
        case list() | tuple():
            _check(depth)
            return "[" + ", ".join(_flow(item, depth - 1) for item in value) + "]"
        case _:
            return _scalar(value)


def _flow_head(key: str) -> str:
    text = _scalar(key)
    return f"{text}:" if len(text) <= _LONGEST_KEY else f"? {text} :"


def _check(depth: int) -> None:
    if depth <= 0:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")


def _scalar(value: Any) -> str:
    match value:
        case Stamp():
            return str(value)
        case str():
            return _text(value) if len(value) < 128 else _quoted(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float() if math.isfinite(value):
            return _float(value)
        case datetime() if value.tzinfo is not None:
            return format_instant(value)
        case float():
            raise ValueError(f"{value} is not a finite number")
        case _:
            raise TypeError(f"{type(value).__name__} cannot be written as YAML")


def _float(value: float) -> str:
    text = repr(float(value))
    # YAML 1.1 wants a point in front of an exponent, and a sign after it.
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent if exponent[0] in '+-' else '+' + exponent}"


@lru_cache(maxsize=16384)
def _text(text: str) -> str:
    if (_PLAIN.fullmatch(text) and text.lower() not in _WORDS) or _DIGIT_FIRST.fullmatch(text):
        return text
    return _quoted(text)


def _quoted(text: str) -> str:
    """A double-quoted text as JSON has it, with the characters escaped that YAML treats otherwise."""
    quoted = json.dumps(text, ensure_ascii=False)
    return (
        _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
        if not quoted.isascii() or "\x7f" in quoted
        else quoted
    )
