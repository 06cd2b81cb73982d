"""Masking: no known secret leaves a runner, in the forms in which secrets usually turn up in output.

Covered: the text itself, each line of a text of several lines, base64 and base32 (every alignment, wrapped or not),
URL-encoded, hexadecimal, escaped for JSON, shells, HTML and XML, or as a literal of Python or C, UTF-16LE
(`runners.secretforms`). Not covered: whatever a program computes from a secret otherwise. The documentation says so.
"""

from collections.abc import Callable, Iterable
from typing import Any

from runners.secretforms import anchors, forms

MASK = "***"
SEAL = "\ufdd0"
"""A noncharacter that marks what was masked inside the runner, so that a declared output made from it is noticed.
`visible` takes it away. Output of programs cannot contain it: `sealed_text` replaces it."""

_STEM = 4


class Masker:
    """Knows the secrets of one run. Secrets may be added while it is in use; they count from then on."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._patterns: tuple[bytes, ...] = ()
        self._anchors: tuple[bytes, ...] = ()
        self._groups: dict[bytes, tuple[bytes, ...]] = {}
        self._stems: dict[bytes, tuple[bytes, ...]] = {}
        self._starts: frozenset[bytes] = frozenset()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Raises TooShort."""
        self._patterns = tuple(sorted({*self._patterns, *forms(secret)}, key=len, reverse=True))
        self._anchors = tuple(dict.fromkeys((*self._anchors, *anchors(secret))))
        self._groups = _grouped(self._patterns, self._anchor_of)
        self._stems = _grouped(self._patterns, lambda pattern: pattern[:_STEM])
        self._starts = frozenset(stem[:length] for stem in self._stems for length in range(1, _STEM))

    def _anchor_of(self, pattern: bytes) -> bytes:
        """What is in all data that has this pattern; most forms of a secret share one, so one search rules out many."""
        return next((anchor for anchor in self._anchors if anchor in pattern), pattern)

    @property
    def longest(self) -> int:
        """Length in bytes of the longest pattern, 0 without secrets."""
        return len(self._patterns[0]) if self._patterns else 0

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where secrets stand in `data`, merged, in order."""
        found: list[tuple[int, int]] = []
        for anchor, patterns in self._groups.items():
            if anchor not in data:
                continue
            for pattern in patterns:
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
        most = next((n for n in range(min(_STEM - 1, len(data)), 0, -1) if data[-n:] in self._starts), 0)
        for stem, patterns in self._stems.items():
            # the longest pattern is the first: no more than all of it but one byte can be a beginning
            if (at := data.find(stem, max(0, len(data) - len(patterns[0]) + 1))) >= 0:
                most = max(most, _overlap(stem, patterns, data, at))
        return most


def _grouped(patterns: tuple[bytes, ...], key: Callable[[bytes], bytes]) -> dict[bytes, tuple[bytes, ...]]:
    """By key, and in the order given, longest first, within each."""
    found: dict[bytes, tuple[bytes, ...]] = {}
    for pattern in patterns:
        found[key(pattern)] = (*found.get(key(pattern), ()), pattern)
    return found


def _overlap(stem: bytes, patterns: tuple[bytes, ...], data: bytes, at: int) -> int:
    """Length of the longest end of `data`, from `at` on, that one of the patterns begins with and is longer than."""
    while at >= 0:
        end = data[at:]
        if any(len(pattern) > len(end) and pattern.startswith(end) for pattern in patterns):
            return len(end)
        at = data.find(stem, at + 1)
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
