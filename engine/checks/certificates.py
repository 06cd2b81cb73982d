"""Certificates that a document holds as text: whether their structure is sound. Whom they trust is not looked at."""

import base64
import binascii
import re
from collections.abc import Iterator

from engine.checks.files import certificates_of
from engine.checks.scope import Scope
from engine.expressions.expression import has_expression
from schemas.diagnostic import Diagnostic
from schemas.paths import PEM
from schemas.reader import Authored

_HINT = "paste the whole PEM text with its first and last line and its line breaks, below 'caCert: |', or name its file"
_SEQUENCE, _BIT_STRING = 0x30, 0x03
_BLOCK = re.compile(r"^-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t\r]*\n([^-]*\n)-----END \1-----[ \t\r]*$", re.MULTILINE)
"""Its first and last line are lines of their own, as RFC 7468 and OpenSSL have it."""
_BEGUN = re.compile(rf"^[ \t]*{PEM}", re.MULTILINE)
"""What is meant to begin one; within a line it is only spoken of, as in a comment to it."""
_TYPES = ("CERTIFICATE", "X509 CERTIFICATE")
"""What OpenSSL takes for certificates; what stands between blocks is a comment to it."""
_TRUSTED = "TRUSTED CERTIFICATE"
"""A form of OpenSSL's own, which it reads only where it is asked to."""
_EMPTY_LINE = re.compile(r"(?:\A[ \t\r]*|\S[^\n]*)\n[ \t\r]*\n")
"""But for one before all others, OpenSSL takes it for the end of headers."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    for written, path in certificates_of(authored.document):
        if PEM in written and not has_expression(written) and (problem := certificate_problem(written)) is not None:
            yield Diagnostic(authored.span(*path), "OC602", problem, _HINT)


def certificate_problem(text: str) -> str | None:
    """Why a PEM text (RFC 7468) holds no certificate, or one that is damaged; None where its structure is sound."""
    if not text.isascii():
        return "the text of the certificate is not ASCII"
    found = [*_BLOCK.finditer(text)]
    if len(_BEGUN.findall(text)) > len(found) or (PEM in text and not found):
        return "the first and the last line of a certificate are not lines of their own, or one is missing"
    if any(block[1] == _TRUSTED for block in found):
        return "it is a 'TRUSTED CERTIFICATE', which nothing reads here: 'openssl x509' writes it as others are"
    blocks = [block for block in found if block[1] in _TYPES]
    if not blocks:
        return "the text holds no certificate"
    for number, block in enumerate(blocks, start=1):
        called = "the certificate" if len(blocks) == 1 else f"certificate {number} of {len(blocks)}"
        if _EMPTY_LINE.search(block[2]) is not None:
            return f"{called} has an empty line within"
        written = "".join(block[2].split())
        try:
            der = base64.b64decode(written, validate=True)
        except (binascii.Error, ValueError):
            return f"{called} is not base64"
        if len(written) % 4 or not _is_sound(der):
            return f"{called} is cut off or damaged"
    return None


def _is_sound(der: bytes) -> bool:
    """What is signed, by which algorithm, and the signature (RFC 5280 4.1)."""
    whole = _value(der, 0)
    if whole is None or whole[0] != _SEQUENCE or whole[2] != len(der):
        return False
    tags: list[int] = []
    place = whole[1]
    while place < whole[2]:
        part = _value(der, place)
        if part is None or part[2] > whole[2] or len(tags) == 3:
            return False
        tags.append(part[0])
        place = part[2]
    return tags == [_SEQUENCE, _SEQUENCE, _BIT_STRING]


def _value(der: bytes, at: int) -> tuple[int, int, int] | None:
    """The tag of the value there, where what it holds begins, and where it ends; None where it is cut off (X.690)."""
    if at + 2 > len(der):
        return None
    begin, length = at + 2, der[at + 1]
    if length >= 0x80:
        begin += length - 0x80
        length = int.from_bytes(der[at + 2 : begin], "big")
    return (der[at], begin, begin + length) if begin + length <= len(der) else None
