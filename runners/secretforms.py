"""The forms in which a secret turns up in output: as it is, escaped for some language, encoded.

An encoder may leave a character as it is or escape it, and does so everywhere alike; a form that mixes two ways of one
language is not looked for. What is looked for, people read in docs/how-to/give-a-secret.md.
"""

import base64
import html
import html.entities
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from runners.patterns import pieces

SHORTEST = 4
"""A secret of fewer characters would mask half of every log; it is refused."""

FEWEST_DIGITS = 8
"""Fewer are looked for only where they stand together: with anything between them, ordinary words could be taken for
them."""

_SHORTEST_PART = 6


class TooShort(ValueError):  # noqa: N818 - named after the secret, which is at fault
    """The secret is too short to be masked, so it cannot be used."""


@dataclass(frozen=True, slots=True)
class Forms:
    """What one secret looks like; what is long, in pieces (`runners.patterns.pieces`)."""

    text: frozenset[bytes]
    """Looked for as they are."""
    digits: frozenset[bytes]
    """Looked for whatever stands between their bytes (`runners.wrapped`)."""

    @property
    def all(self) -> frozenset[bytes]:
        return self.text | self.digits


def forms(secret: str) -> Forms:
    """Every pattern under which `secret` is looked for. Raises TooShort."""
    if len(secret) < SHORTEST:
        raise TooShort(f"the secret has fewer than {SHORTEST} characters, too few to be kept out of logs")
    text: set[bytes] = set()
    digits: set[bytes] = set()
    for part in _parts(secret):
        for whole in {*_texts(part), *_encodings(_raw(part))}:
            text |= {*pieces(whole)}
        for one in _digits(part):
            (digits if len(one) >= FEWEST_DIGITS else text).add(one)
    return Forms(frozenset(one for one in text if len(one) >= SHORTEST), frozenset(digits))


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _parts(secret: str) -> Iterator[str]:
    yield secret
    if len(secret.splitlines()) > 1:
        yield from (line for line in map(str.strip, secret.splitlines()) if _telling(line))


def _telling(line: str) -> bool:
    # the frame of a PEM file is no secret, and masking it would only hide which kind of key was shown
    return len(line) >= _SHORTEST_PART and not (line.startswith("-----") and line.endswith("-----"))


def _texts(text: str) -> Iterator[bytes]:
    yield _raw(text)
    yield _utf16(text)
    yield text.encode("utf-16-be", "surrogatepass")
    for escaped in (*_for_shells(text), *_for_json(text), *_for_source(text), *_for_markup(text)):
        yield _raw(escaped)


def _for_shells(text: str) -> Iterator[str]:
    yield text.replace("'", "'\\''")
    yield text.replace("'", "'\"'\"'")
    yield re.sub(r"([\\\"$`!])", r"\\\1", text)
    yield re.sub(r"([^\w@%+=:,./\n-])", r"\\\1", text)


def _for_json(text: str) -> Iterator[str]:
    """As Python, JavaScript, Go, PHP and .NET write it, with `<` as `\\u003c` or `\\u003C`."""
    for ascii_only in (True, False):
        plain = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield plain
        yield plain.replace("/", "\\/")
        numbered = plain.replace('\\"', "\\u0022")
        for one in (plain, numbered):
            for special in ("&<>", "&<>'", "&<>'+`"):
                for number in ("\\u{:04x}", "\\u{:04X}"):
                    yield _each(f"[{special}]", number.format, one)
                    # non-ASCII letters in the same case as the rest
                    yield _each(f"[{special}]", number.format, _each(r"[^\x00-\x7f]", _units(number), one))


def _for_source(text: str) -> Iterator[str]:
    """As a literal of Python, C and their like, within any quotes; what repr() gives."""
    yield repr(text)[1:-1]
    for quotes in ("", '"', "'", "\"'"):
        plain = re.sub(f"[\\\\{quotes}]", r"\\\g<0>", text)
        plain = re.sub(r"[\t\n\r]", lambda found: repr(found[0])[1:-1], plain)
        control = _each(r"[\x00-\x1f\x7f]", r"\x{:02x}".format, plain)
        yield control
        for written in (r"\x{:02x}", r"\x{:02X}", r"\{:03o}"):
            yield "".join(
                chr(byte) if 0x20 <= byte < 0x7F or chr(byte) in "\t\n\r" else written.format(byte)
                for byte in plain.encode("utf-8", "surrogateescape")
            )
        for number in (r"\u{:04x}", r"\u{:04X}"):
            yield _each(r"[^\x00-\x7f]", _units(number), control)
        yield control.encode("ascii", "backslashreplace").decode()


def _for_markup(text: str) -> Iterator[str]:
    """As HTML and XML have it: quotes and letters past ASCII by name, by number, or as they are."""
    plain = html.escape(text, quote=False)
    quoted = (
        plain.replace('"', double).replace("'", single)
        for double, single in itertools.product(
            ('"', "&quot;", "&#34;", "&#x22;"), ("'", "&#x27;", "&#39;", "&#039;", "&apos;")
        )
    )
    for escaped in (*quoted, plain.replace('"', "&#34;").replace("'", "&#39;").replace("+", "&#43;")):
        yield escaped
        for number in ("&#{};", "&#x{:x};", "&#x{:X};"):
            yield _each(r"[^\x00-\x7f]", number.format, escaped)
        yield _each(r"[^\x00-\x7f]", _named, escaped)
    for number in ("&#{};", "&#x{:x};", "&#x{:X};"):
        yield _each(r"[&<>\"']", number.format, text)
        yield _each(r"[&<>\"']|[^\x00-\x7f]", number.format, text)
        yield _each(r"[^A-Za-z0-9]", number.format, text)
        yield _each(r"(?s).", number.format, text)


def _each(what: str, written: Callable[[int], str], text: str) -> str:
    return re.sub(what, lambda found: written(ord(found[0])), text)


def _units(number: str) -> Callable[[int], str]:
    """A character as its UTF-16 units, each written so."""

    def written(code: int) -> str:
        units = chr(code).encode("utf-16-be", "surrogatepass")
        return "".join(number.format(int.from_bytes(units[at : at + 2])) for at in range(0, len(units), 2))

    return written


def _named(code: int) -> str:
    name = html.entities.codepoint2name.get(code)
    return f"&{name};" if name else f"&#{code};"


def _encodings(raw: bytes) -> Iterator[bytes]:
    yield quote(raw, safe="").encode()
    yield quote(raw, safe="/").encode()
    yield quote_plus(raw).encode()
    yield re.sub(rb"%[0-9A-F]{2}", lambda m: m[0].lower(), quote(raw, safe="").encode())
    yield from _byte_by_byte(raw)


def _byte_by_byte(raw: bytes) -> Iterator[bytes]:
    """In hexadecimal, as escapes of every byte have it, in either case; in dumps it is a row of digits."""
    for pairs in (raw.hex("-").split("-"), raw.hex("-").upper().split("-")):
        for between in ("-", ", 0x", ",0x", " 0x"):
            yield between.join(pairs).encode()
        for before in ("%", "\\x", "\\u00"):
            yield "".join(before + pair for pair in pairs).encode()
    yield b"".join(b"&#%d;" % byte for byte in raw)
    yield b"".join(b"&#x%x;" % byte for byte in raw)


def _digits(text: str) -> Iterator[bytes]:
    raw = _raw(text)
    for encode, bits, wraps in (
        (base64.b64encode, 6, (76, 64)),
        (base64.urlsafe_b64encode, 6, (76, 64)),
        (base64.b32encode, 5, (76,)),
    ):
        yield from _wherever_begun(_in_digits(raw, encode, bits, wraps), 3)
    yield from _wherever_begun((raw.hex().encode(), raw.hex().upper().encode()), 2)
    # what `powershell -EncodedCommand` takes
    for wide in (_utf16(text), text.encode("utf-16-be", "surrogatepass")):
        yield from _wherever_begun(_in_digits(wide, base64.b64encode, 6, ()), 3)


def _wherever_begun(every: Iterable[bytes], few: int) -> Iterator[bytes]:
    """Also without the first few digits, after which a line may have ended: by themselves they could be anything."""
    for whole in every:
        for one in pieces(whole):
            yield one
            if len(one) >= FEWEST_DIGITS + few:
                yield one[few:]


def _in_digits(raw: bytes, encode: Callable[[bytes], bytes], bits: int, wraps: tuple[int, ...]) -> Iterator[bytes]:
    """In digits of so many bits, wherever the secret stands in what was encoded, and wrapped where it stands first."""
    for shift in range(math.lcm(bits, 8) // 8):
        # only the characters that this secret alone decides, whatever stands before and after it
        whole = encode(b"\0" * shift + raw)
        yield whole[-(-shift * 8 // bits) : (shift + len(raw)) * 8 // bits]
    whole = encode(raw)[: len(raw) * 8 // bits]
    for width in wraps:
        if len(whole) > width:
            yield from (part for at in range(0, len(whole), width) if len(part := whole[at : at + width]) >= 16)
