"""Masking: no known secret leaves a runner, in the forms in which secrets usually turn up in output.

Covered: the text itself and each line of a text of several lines, as they are or in base64, base32 (every alignment)
and hexadecimal, also wrapped and in columns (`runners.wrapped`), URL-encoded, escaped for JSON, shells, HTML and XML,
or as a literal of Python or C, UTF-16, and base64 of it (`runners.secretforms`). Not covered: whatever a program
computes from a secret otherwise. The documentation says so.
"""

from collections.abc import Iterable
from typing import Any

from runners.patterns import Patterns, Span, merged
from runners.secretforms import forms
from runners.wrapped import Wrapped

MASK = "***"
SEAL = "\ufdd0"
"""A noncharacter that marks what was masked inside the runner, so that a declared output made from it is noticed.
`visible` takes it away. Output of programs cannot contain it: `sealed_text` replaces it."""


class Masker:
    """Knows the secrets of one run. Secrets may be added while it is in use; they count from then on."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = Patterns(frozenset())
        self._wrapped = Wrapped(frozenset())
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Raises TooShort."""
        found = forms(secret)
        self._known = Patterns(self._known.all | found.text)
        self._wrapped = Wrapped(self._wrapped.all | found.digits)

    @property
    def longest(self) -> int:
        """Length in bytes of the longest that can be found, 0 without secrets."""
        return max(self._known.longest, self._wrapped.longest)

    def spans(self, data: bytes) -> list[Span]:
        """Where secrets stand in `data`, merged, in order. Takes time in proportion to `data`, some 100 MB a second."""
        return merged(sorted([*self._known.found(data), *self._wrapped.found(data)]))

    def mask_bytes(self, data: bytes, mark: bytes = MASK.encode()) -> bytes:
        """`data` with every secret replaced."""
        parts, last = [], 0
        for start, end in self.spans(data):
            parts += [data[last:start], mark]
            last = end
        return b"".join([*parts, data[last:]]) if parts else data

    def mask(self, text: str) -> str:
        """`text` with every secret replaced."""
        if not self.longest:
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

    def masked(self, value: Any) -> Any:
        """Plain data as people may see it: texts, keys and numbers without what is known; a masked number is text."""
        match value:
            case str():
                return visible(self.mask(value))
            case dict():
                return self._masked_map(value)
            case list() | tuple():
                return [self.masked(one) for one in value]
            case _ if self.holds_secret(value):
                return visible(self.mask(str(value)))
            case _:
                return value

    def _masked_map(self, value: dict[str, Any]) -> dict[str, Any]:
        """None of its entries is lost where two keys are the same once they are masked."""
        found: dict[str, Any] = {}
        for key, one in value.items():
            name = shown = visible(self.mask(key))
            while shown in found:
                shown = f"{name} ({len(found) + 1})"
            found[shown] = self.masked(one)
        return found

    def unfinished(self, data: bytes) -> int:
        """How many bytes at the end of `data` could be the beginning of a secret: the longest such end."""
        plain = next((count for count, _ in self._known.begun(data)), 0)
        return max(plain, self._wrapped.unfinished(data))


class MaskedStream:
    """Masks a stream that comes in chunks, across their borders, as all of it at once would be masked.

    Holds back only what may be the start of a secret: less than the longest pattern, whatever the stream says.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""
        self._hidden = 0
        """How much of what is held back belongs to a secret whose mask was given out."""

    def feed(self, chunk: bytes) -> bytes:
        """What may be written now."""
        if not self._masker.longest:
            return chunk
        data = self._held + chunk if self._held else chunk
        return self._given(data, len(data) - self._masker.unfinished(data))

    def finish(self) -> bytes:
        """The rest, at the end of the stream."""
        return self._given(self._held, len(self._held))

    def _given(self, data: bytes, until: int) -> bytes:
        """Give out what begins before `until`; all secrets that do are complete."""
        hidden, last = self._hidden, 0
        parts: list[bytes] = []
        spans = self._masker.spans(data)
        for start, end in merged([(0, hidden), *spans]) if hidden else spans:
            told = hidden > 0 and start == 0
            if start >= until and not told:
                break
            parts += [data[last:start]] if told else [data[last:start], MASK.encode()]
            last = end
        self._held, self._hidden = data[until:], max(0, last - until)
        return b"".join([*parts, data[last:until]]) if parts else data[:until]


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
