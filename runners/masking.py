"""Masking: no known secret leaves a runner, in the forms in which secrets usually turn up in output.

Covered: the text itself, each line of a text of several lines, base64 (every alignment, standard and URL-safe, wrapped
or not), URL-encoded, hexadecimal, escaped for JSON and for shells, UTF-16LE. Not covered: whatever a program computes
from a secret otherwise. The documentation says so.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
SEAL = "\ufdd0"
"""A noncharacter that marks what was masked inside the runner, so that a declared output made from it is noticed.
`visible` takes it away. Output of programs cannot contain it: `sealed_text` replaces it."""

SHORTEST = 4
"""A secret of fewer characters would mask half of every log; it is refused."""

_SHORTEST_PART = 6
_WRAPS = (76, 64)
_STEM = 4


class TooShort(ValueError):  # noqa: N818 - named after the secret, which is at fault
    """The secret is too short to be masked, so it cannot be used."""


def forms(secret: str) -> frozenset[bytes]:
    """Every pattern under which `secret` is looked for. Raises TooShort."""
    if len(secret) < SHORTEST:
        raise TooShort(f"the secret has fewer than {SHORTEST} characters, too few to be kept out of logs")
    raw = secret.encode("utf-8", "surrogateescape")
    found = set(_texts(secret)) | set(_encodings(raw))
    lines = [line for line in (line.strip() for line in secret.splitlines()) if _telling(line)]
    if len(secret.splitlines()) > 1:
        for line in lines:
            found |= set(_texts(line))
    return frozenset(form for form in found if len(form) >= SHORTEST)


def _telling(line: str) -> bool:
    # the frame of a PEM file is no secret, and masking it would only hide which kind of key was shown
    return len(line) >= _SHORTEST_PART and not (line.startswith("-----") and line.endswith("-----"))


def _texts(text: str) -> Iterator[bytes]:
    yield text.encode("utf-8", "surrogateescape")
    yield text.encode("utf-16-le", "surrogatepass")
    for escaped in (
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        text.replace("'", "'\\''"),
        text.replace("'", "'\"'\"'"),
        re.sub(r"([\\\"$`!])", r"\\\1", text),
        re.sub(r"([^\w@%+=:,./\n-])", r"\\\1", text),
    ):
        yield escaped.encode("utf-8", "surrogateescape")


def _encodings(raw: bytes) -> Iterator[bytes]:
    yield quote(raw, safe="").encode()
    yield quote(raw, safe="/").encode()
    yield quote_plus(raw).encode()
    yield re.sub(rb"%[0-9A-F]{2}", lambda m: m[0].lower(), quote(raw, safe="").encode())
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # only the characters that this secret alone decides, whatever stands before and after it
            whole = encode(b"\0" * shift + raw)
            start = (0, 2, 3)[shift]
            yield whole[start : (shift + len(raw)) * 8 // 6]
        for width in _WRAPS:
            whole = encode(raw)[: len(raw) * 8 // 6]
            if len(whole) > width:
                yield from (part for at in range(0, len(whole), width) if len(part := whole[at : at + width]) >= 16)


class Masker:
    """Knows the secrets of one run. Secrets may be added while it is in use; they count from then on."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._patterns: tuple[bytes, ...] = ()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Raises TooShort."""
        self._patterns = tuple(sorted({*self._patterns, *forms(secret)}, key=len, reverse=True))

    @property
    def longest(self) -> int:
        """Length in bytes of the longest pattern, 0 without secrets."""
        return len(self._patterns[0]) if self._patterns else 0

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where secrets stand in `data`, merged, in order."""
        found: list[tuple[int, int]] = []
        for pattern in self._patterns:
            at = data.find(pattern)
            while at >= 0:
                found.append((at, at + len(pattern)))
                # by one, not by the length: an overlap with itself is masked to its end
                at = data.find(pattern, at + 1)
        if len(found) < 2:
            return found
        found.sort()
        merged = [found[0]]
        for start, end in found[1:]:
            if start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def mask_bytes(self, data: bytes, mark: bytes = MASK.encode()) -> bytes:
        """`data` with every secret replaced."""
        spans = self.spans(data)
        if not spans:
            return data
        parts, last = [], 0
        for start, end in spans:
            parts += [data[last:start], mark]
            last = end
        return b"".join([*parts, data[last:]])

    def mask(self, text: str) -> str:
        """`text` with every secret replaced."""
        if not self._patterns:
            return text
        return self.mask_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    def holds_secret(self, value: Any) -> bool:
        """Whether a value (nested lists and maps of plain data) has a known secret, or was made from a masked one."""
        match value:
            case str():
                return SEAL in value or bool(self.spans(value.encode("utf-8", "surrogateescape")))
            case dict():
                return any(self.holds_secret(part) for pair in value.items() for part in pair)
            case list() | tuple():
                return any(self.holds_secret(part) for part in value)
            case bool() | None:
                return False
            case _:
                return self.holds_secret(str(value))

    def unfinished(self, data: bytes) -> int:
        """How many bytes at the end of `data` could be the beginning of a secret: the longest such end."""
        most = 0
        for pattern in self._patterns:
            most = max(most, _overlap(pattern, data))
        return most


def _overlap(pattern: bytes, data: bytes) -> int:
    """Length of the longest end of `data` that is a beginning of `pattern` and shorter than it."""
    stem = pattern[:_STEM]
    at = data.find(stem, max(0, len(data) - len(pattern) + 1))
    while at >= 0:
        if pattern.startswith(data[at:]):
            return len(data) - at
        at = data.find(stem, at + 1)
    for length in range(min(_STEM - 1, len(pattern) - 1, len(data)), 0, -1):
        if data.endswith(pattern[:length]):
            return length
    return 0


class MaskedStream:
    """Masks a stream that comes in chunks, across their borders. Holds back only what may be the start of a secret."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What may be written now."""
        if not self._masker.longest:
            return chunk
        data = self._held + chunk if self._held else chunk
        hold = self._masker.unfinished(data)
        cut = len(data) - hold
        spans = self._masker.spans(data)
        # a secret that is complete and touches the held end is masked whole now
        for start, end in spans:
            if start < cut < end:
                cut = end if self._masker.unfinished(data[start:]) <= len(data) - end else start
        self._held = data[cut:]
        return self._masker.mask_bytes(data[:cut]) if spans else data[:cut]

    def finish(self) -> bytes:
        """The rest, at the end of the stream."""
        rest, self._held = self._held, b""
        return self._masker.mask_bytes(rest)


def sealed_text(masker: Masker, data: bytes, *, skip: int = 0) -> str:
    """Text of the bytes of a stream, masked with a seal. The first `skip` bytes only complete a secret cut in two."""
    spans = masker.spans(data)
    start = next((end for begin, end in spans if begin < skip < end), skip)
    parts, last = [], start
    if start > skip:
        parts.append(SEAL + MASK)
    for begin, end in spans:
        if begin >= last:
            parts += [_decoded(data[last:begin]), SEAL + MASK]
            last = end
    return "".join([*parts, _decoded(data[last:])])


def visible(text: str) -> str:
    """Sealed text as people and later steps see it."""
    return text.replace(SEAL, "")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace(SEAL, "\ufffd").replace("\0", "\ufffd")
