"""A YAML document as sops sees it: its plain values in order, typed as go-yaml v3 types them. Pure.

The MAC of sops runs over the values as Go prints them. What our own documents mean is another matter: there `1_000` is
text (`schemas.scalars`), here it is the number 1000, or files that sops wrote would not prove themselves.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Literal

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from schemas.characters import crowded

Type = Literal["str", "int", "float", "bool", "time", "null"]
MAX_EVENTS = 20_000
"""More than any credential has."""
MAX_DEPTH = 64

_WORDS: dict[str, tuple[Type, str]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("null", "")),
    **dict.fromkeys(("true", "True", "TRUE"), ("bool", "True")),
    **dict.fromkeys(("false", "False", "FALSE"), ("bool", "False")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), ("float", "NaN")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), ("float", "+Inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), ("float", "-Inf")),
}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_INT = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))", re.ASCII)
_TIME = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)"
    r"(?:(?:[Tt](\d\d?):(\d\d?):(\d\d?)(?:[.,](\d+))?(Z|[-+]\d\d:\d\d))|(?: (\d\d?):(\d\d?):(\d\d?)(?:[.,](\d+))?))?",
    re.ASCII,
)


class Unreadable(ValueError):  # noqa: N818 - named after what the text is
    """No document that sops could have written; the message quotes no value."""


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar. `text` is what its MAC is made of: numbers as Go prints them, `True` and `False`, RFC 3339."""

    type: Type
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar of the document. `path` are the keys that lead to it; places in lists do not count, as in sops."""

    path: tuple[str, ...]
    value: Value


def leaves(text: str) -> tuple[Leaf, ...]:
    """Every scalar of the one document in the text, in order, nulls left out. Raises Unreadable."""
    return tuple(leaf for leaf in _walk(text) if leaf.value.type != "null")


def _walk(text: str) -> Iterator[Leaf]:
    """One frame for each open collection: the key that a value waits for, or that none is expected."""
    frames: list[_Frame] = []
    documents = 0
    for number, event in enumerate(_events(text)):
        if number > MAX_EVENTS or len(frames) > MAX_DEPTH:
            raise Unreadable("it is too large for a credential")
        match event:
            case DocumentStartEvent():
                documents += 1
                if documents > 1:
                    raise Unreadable("there are several documents in the file")
            case AliasEvent():
                raise Unreadable("it has an alias")
            case MappingStartEvent() | SequenceStartEvent():
                _plain(event)
                if frames:
                    frames[-1].value_follows()
                frames.append(_Frame(isinstance(event, MappingStartEvent)))
            case MappingEndEvent() | SequenceEndEvent():
                frames.pop()
                if frames:
                    frames[-1].took()
            case ScalarEvent():
                _plain(event)
                if not frames:
                    raise Unreadable("it is no mapping")
                value = resolve(event.value) if event.implicit[0] else Value("str", event.value)
                if frames[-1].expects_key:
                    frames[-1].name(value)
                else:
                    yield Leaf(tuple(frame.key for frame in frames if frame.key is not None), value)
                    frames[-1].took()


@dataclass(slots=True)
class _Frame:
    is_mapping: bool
    key: str | None = None
    seen: set[str] = field(default_factory=set)

    @property
    def expects_key(self) -> bool:
        return self.is_mapping and self.key is None

    def name(self, key: Value) -> None:
        if key.type != "str" or key.text == "<<":
            raise Unreadable("a key is not text")
        if key.text in self.seen:
            raise Unreadable("a key stands there twice")
        self.seen.add(key.text)
        self.key = key.text

    def value_follows(self) -> None:
        if self.expects_key:
            raise Unreadable("a key is not text")

    def took(self) -> None:
        self.key = None


def _events(text: str) -> Iterator[object]:
    if crowded(text) is not None:
        raise Unreadable("it has '%' directives")
    parser = CParser(text.encode("utf-8", "surrogatepass"))
    try:
        while (event := parser.get_event()) is not None:
            yield event
    except YAMLError:
        # without a cause: its text would quote the line
        raise Unreadable("it is not YAML") from None
    finally:
        parser.dispose()


def _plain(event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> None:
    if event.anchor is not None or event.tag is not None:
        raise Unreadable("it has an anchor or a tag")


# --- plain scalars, as resolve.go of go-yaml v3 ----------------------------------------------------------------------


def resolve(text: str) -> Value:
    """What a plain scalar is. Raises Unreadable for numbers that sops itself refuses (beyond 64 bits)."""
    if text in _WORDS:
        return Value(*_WORDS[text])
    first = text[0]
    if first == ".":
        return _number(text, text)
    if first not in "+-0123456789":
        return Value("str", text)
    if (at := instant(text)) is not None:
        return Value("time", at)
    plain = text.replace("_", "")
    if (number := _int(plain)) is not None:
        if number > 2**63 - 1 and number < 2**64:
            raise Unreadable("a number is larger than sops can take")
        if -(2**63) <= number < 2**63:
            return Value("int", str(number))
    return _number(plain, text)


def _int(text: str) -> int | None:
    found = _INT.fullmatch(text)
    if found is None or len(text) > 80:
        return None
    sign, hexadecimal, binary, octal, decimal = found.groups()
    for digits, base in ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10)):
        if digits is not None:
            return -int(digits, base) if sign == "-" else int(digits, base)
    return None


def _number(plain: str, text: str) -> Value:
    """A float that 64 bits can hold, else the text as it is."""
    if _FLOAT.fullmatch(plain) and math.isfinite(number := float(plain)):
        return Value("float", printed(number))
    return Value("str", text)


def printed(number: float) -> str:
    """As Go prints it with the format 'f' and the shortest precision: 1e3 is 1000."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def instant(text: str) -> str | None:
    """A time stamp, as RFC 3339 with the fraction cut to what it needs; None for what is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day = (int(part) for part in found.group(1, 2, 3))
    hour, minute, second = (int(part or 0) for part in (found.group(4, 5, 6) if found[8] else found.group(9, 10, 11)))
    fraction = ((found[7] if found[8] else found[12]) or "")[:9].rstrip("0")
    try:
        zone = _zone(found[8])
        at = datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
    offset = at.strftime("%z")
    ended = "Z" if zone is UTC else f"{offset[:3]}:{offset[3:5]}"
    return f"{at:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + (f".{fraction}" if fraction else "") + ended


def _zone(text: str | None) -> timezone:
    if text in (None, "Z"):
        return UTC
    assert text is not None
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    if not offset:
        return UTC
    return timezone(-offset if text[0] == "-" else offset)
