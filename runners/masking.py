"""Masking: no known secret leaves a runner, in the forms in which secrets usually turn up in output.

Covered: the text itself, each line of a text of several lines, base64 and base32 (every alignment, wrapped or not),
URL-encoded, hexadecimal, escaped for JSON, shells, HTML and XML, or as a literal of Python or C, UTF-16, and base64 of
it (`runners.secretforms`). Not covered: whatever a program computes from a secret otherwise. The documentation says so.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from ahocorasick_rs import BytesAhoCorasick

from runners.secretforms import forms

MASK = "***"
SEAL = "\ufdd0"
"""A noncharacter that marks what was masked inside the runner, so that a declared output made from it is noticed.
`visible` takes it away. Output of programs cannot contain it: `sealed_text` replaces it."""

_STEM = 4
_HEAD = 32
"""Bytes of a pattern that are searched for; the rest is compared where they stand. So what a search needs grows with
the number of patterns, and not with the length of a secret."""

Span = tuple[int, int]


class Masker:
    """Knows the secrets of one run. Secrets may be added while it is in use; they count from then on."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known = _Patterns(frozenset())
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Raises TooShort."""
        self._known = _Patterns(self._known.all | forms(secret))

    @property
    def longest(self) -> int:
        """Length in bytes of the longest pattern, 0 without secrets."""
        return self._known.longest

    def spans(self, data: bytes) -> list[Span]:
        """Where secrets stand in `data`, merged, in order. Takes time in proportion to `data`, some 100 MB a second."""
        return _merged(sorted(self._known.found(data)))

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
        return self._known.unfinished(data)


class _Patterns:
    """What is looked for, and how: by Aho-Corasick, so that the number of patterns hardly counts."""

    def __init__(self, every: frozenset[bytes]) -> None:
        self.all = every
        self.longest = max(map(len, every), default=0)

    @cached_property
    def _heads(self) -> tuple[BytesAhoCorasick, list[tuple[bytes, ...]]]:
        return _automaton(self.all, lambda pattern: pattern[:_HEAD])

    @cached_property
    def _stems(self) -> tuple[BytesAhoCorasick, list[tuple[bytes, ...]]]:
        return _automaton(self.all, lambda pattern: pattern[:_STEM])

    @cached_property
    def _starts(self) -> frozenset[bytes]:
        return frozenset(pattern[:length] for pattern in self.all for length in range(1, _STEM))

    def found(self, data: bytes) -> Iterator[Span]:
        """Where patterns stand, in no order; of those with one beginning the longest only."""
        if not self.all:
            return
        automaton, groups = self._heads
        for number, at, _ in automaton.find_matches_as_indexes(data, overlapping=True):
            for pattern in groups[number]:
                if data.startswith(pattern, at):
                    yield at, at + len(pattern)
                    break

    def unfinished(self, data: bytes) -> int:
        """See Masker."""
        if not self.all:
            return 0
        # no more than all of the longest but one byte can be a beginning
        end = data[max(0, len(data) - self.longest + 1) :]
        automaton, groups = self._stems
        for number, at, _ in automaton.find_matches_as_indexes(end, overlapping=True):
            left = len(end) - at
            for pattern in groups[number]:
                if len(pattern) <= left:
                    break  # the longest come first
                if end.endswith(pattern[:left]):
                    return left
        return next((n for n in range(min(_STEM - 1, len(end)), 0, -1) if end[-n:] in self._starts), 0)


def _automaton(
    patterns: Iterable[bytes], key: Callable[[bytes], bytes]
) -> tuple[BytesAhoCorasick, list[tuple[bytes, ...]]]:
    """Finds the keys; beside it the patterns of each, longest first, by its number."""
    groups: dict[bytes, list[bytes]] = {}
    for pattern in sorted(patterns, key=len, reverse=True):
        groups.setdefault(key(pattern), []).append(pattern)
    return BytesAhoCorasick(list(groups)), [tuple(group) for group in groups.values()]


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Of sorted spans those that overlap as one."""
    merged: list[Span] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


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
        for start, end in _merged([(0, hidden), *spans]) if hidden else spans:
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
