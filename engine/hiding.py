"""What looks like a secret in a text is not repeated where the text is quoted: in findings, in lines that are shown.

Pages, messages and logs of checks are read by more people than the repository. More is hidden here than `leaks` tells:
a secret to its end, however it is written, and as many as there are.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.checks.plaintext import named_in
from engine.leaks import describes_a_secret, names_a_secret, places, shown, stands_for_a_secret
from schemas.diagnostic import Diagnostic, Related
from schemas.places import Layout
from schemas.span import Span

_MASK = "***"
_PLAIN = "OC605"
_OF_TEXT = "OC1"
"""So begin the codes of what is wrong with a text as such, which may be no YAML at all."""
_LINE_END = re.compile(r"\r\n|\n|\r")
_BEGIN = "-----BEGIN "
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_LONGEST_KEY = 64 * 1024
_OPEN_KEY = re.compile(
    r"""[^\n]*+(?:\n[ \t"'+-]*+"""
    r"""(?:[A-Za-z0-9+/=]++|Proc-Type:[^\n]*+|DEK-Info:[^\n]*+)?(?:\\n)?[ \t"',+\\]*+(?=\n|\Z))*+"""
)
"""What belongs to a key whose end is not there: the rest of its line, and lines of one word after it."""
_LOGIN = re.compile(r"""[^\s/"'`<>\\]*@""")
_TO_A_QUOTE = {
    '"': re.compile(r'(?:[^"\\\n]|\\[^\n])*+'),
    "'": re.compile(r"[^'\n]*+"),
    '\\"': re.compile(r'(?:(?!\\")[^\n])*+'),
    "\\'": re.compile(r"(?:(?!\\')[^\n])*+"),
}
_CLOSED = re.compile(r"""\\?["'](?=[\\"'A-Za-z0-9$])\S*""")
_REST = re.compile(r"\S*")
_OF_WORD = re.compile(r"[A-Za-z0-9_+/=.~-]*")
_NAMING = re.compile(
    r"""(?P<name>[A-Za-z0-9_.-]{2,100})["']?[ \t]*:[ \t]+(?:![^\s"']*[ \t]+)?"""
    r"""(?=(?P<value>"(?:[^"\\]|\\.)*+"?|'[^']*+'?|[\[{][^\n]*|[^\s\[{"'|>#][^\n]*))"""
)
_HELD = re.compile(r"""(?P<name>[A-Za-z0-9_.-]{2,100})["']?[ \t]*:[ \t]*[|>]?[-+0-9]*[ \t]*$""")
_ENTRY = re.compile(r"\s*-?\s*[\"']?(?P<key>[\w.-]+)[\"']?\s*:(?:\s+|$)")
_HOLDING_NONE = re.compile(r"\{\s*[\"']?(?:type|from[A-Za-z]*|\$?[a-z]*[Rr]ef)[\"']?\s*:")
"""As `leaks.holds_no_secret`, by how it begins."""
_UNLIKE_A_WORD = re.compile(r"(?=.{8})(?=.*[0-9])(?=.*[a-z])", re.DOTALL)
_WORD_BEGINS = re.compile(r"(?<![a-z0-9])\S")
_LONGEST_AGAIN = 256
"""Characters of a secret that is looked for in the rest of the file."""
_LEAST, _LEAST_BESIDE = 4, 8
"""Characters of what is hidden in the words of a finding at its place, and of one that is on the same line."""


def spans(text: str) -> tuple[tuple[int, int], ...]:
    """From where to where there is what `leaks` looks for, each to its end: sorted, and none touches another."""
    found = sorted(places(text))
    keys = _keys(text, [begin for begin, _, _ in found if text.startswith(_BEGIN, begin)])
    spans, reached = [], 0
    for begin, end, sure in found:
        if end > reached:  # each character is looked at once, however many begin in one word
            reached = keys[begin] if begin in keys else _whole(text, begin, end, sure=sure)
            spans.append((begin, reached))
    return _merged(spans)


def masked(text: str, mask: str = _MASK) -> str:
    """The text with `mask` in the place of what has the form of a secret or is said to be one on a command line."""
    return _put(text, spans(text), mask)


def _put(text: str, spans: Iterable[tuple[int, int]], mask: str) -> str:
    pieces, at = [], 0
    for begin, end in spans:
        pieces += [text[at:begin], mask]
        at = end
    return "".join([*pieces, text[at:]])


@dataclass(frozen=True, slots=True)
class Hidden:
    """A file's text, and from where to where it holds what is not repeated: sorted, and none touches another."""

    text: str
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, data: bytes, findings: Iterable[Diagnostic]) -> "Hidden":
        """`findings` are those about the file. Time and memory are linear in the size of the file."""
        text, about = data.decode("utf-8", "replace"), tuple(findings)
        found = list(spans(text))
        lines = _Lines.of(text)
        found += (lines.range(one.span) for one in about if one.code == _PLAIN)
        if shown(text.encode("utf-8", "replace")).may_name:
            roots = Layout(text.encode("utf-8", "replace")).roots
            nodes = (node for root in roots for _, node in named_in(root))
            found += (lines.range(Span("", *node.range)) for node in nodes)
            at_fault = {one.span.line for one in about if one.code.startswith(_OF_TEXT)}
            found += (one for number in sorted(at_fault) for one in _named_on(lines, number))
        certain = _merged(found)
        return cls(text, _merged([*certain, *_Quoted.of(text, certain).again()]) if certain else ())

    def starred(self) -> str:
        """The text with a star for each character that is hidden; its lines are as long as they were."""
        pieces, at = [], 0
        for begin, end in self.spans:
            pieces += [self.text[at:begin], re.sub(r"[^\r\n]", "*", self.text[begin:end])]
            at = end
        return "".join([*pieces, self.text[at:]])

    def without(self, findings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
        """The findings about the file, with `***` in the place of what is hidden where they stand."""
        quoted = _Quoted.of(self.text, self.spans) if self.spans else None
        for one in findings:
            yield _reworded(one, quoted.near(one.span) if quoted is not None else None)


def without_secrets(findings: Iterable[Diagnostic], sources: Mapping[str, bytes]) -> list[Diagnostic]:
    """The findings, in their order, none of which repeats what looks like a secret where it stands in its file."""
    found = list(findings)
    by_file: dict[str, list[int]] = {}
    for index, one in enumerate(found):
        by_file.setdefault(one.span.file, []).append(index)
    for file, indexes in by_file.items():
        about = [found[index] for index in indexes]
        hidden = Hidden.of(sources.get(file, b""), about)
        for index, one in zip(indexes, hidden.without(about), strict=True):
            found[index] = one
    return found


@dataclass(frozen=True, slots=True)
class _Quoted:
    """What findings may quote of all that is hidden in a file: made once, however many findings there are."""

    lines: "_Lines"
    spans: tuple[tuple[int, int], ...]
    words: tuple[str, ...]
    """In lower case, since a hint may name what is alike but for that; sorted."""
    longest: int
    """Characters of a word."""
    holders: Mapping[str, Sequence[int]]
    """By how a word begins, or by a short one itself: which of the spans hold such a word, in order."""

    @classmethod
    def of(cls, text: str, spans: tuple[tuple[int, int], ...]) -> "_Quoted":
        words: set[str] = set()
        holders: dict[str, list[int]] = {}
        for number, (begin, end) in enumerate(spans):
            found = {_lower(word) for word in _quotable(text[begin:end]) if len(word) >= _LEAST}
            words |= found
            for start in {word[:_LEAST_BESIDE] for word in found}:
                holders.setdefault(start, []).append(number)
        return cls(_Lines.of(text), spans, tuple(sorted(words)), max(map(len, words), default=0), holders)

    def near(self, span: Span) -> "_Near":
        """What a finding at that place must not repeat."""
        begin, end = self.lines.range(span)
        first, last = self.lines.start(span.line), self.lines.start(span.end_line + 1)
        return _Near(self, self._touching(begin, max(end, begin + 1)), self._touching(first, last))

    def _touching(self, begin: int, end: int) -> range:
        """Which of the spans have a character in common with this one."""
        ends_after = bisect_right(self.spans, begin, key=lambda span: span[1])
        return range(ends_after, bisect_left(self.spans, (end, -1)))

    def again(self) -> Iterator[tuple[int, int]]:
        """From where to where a word stands in the text again, by itself, where it is like no word of a language.

        What nothing calls a secret in one place is one where it is the password of another.
        """
        words = [word for word in self.words if len(word) <= _LONGEST_AGAIN and _UNLIKE_A_WORD.match(word)]
        starts = {word[:_LEAST_BESIDE] for word in words}
        text = _lower(self.lines.text) if words else ""
        for at in (match.start() for match in _WORD_BEGINS.finditer(text)):
            if text[at : at + _LEAST_BESIDE] in starts:
                rest = text[at : at + _LONGEST_AGAIN]
                word = words[max(0, bisect_right(words, rest) - 1)]
                if rest.startswith(word) and not text[at + len(word) : at + len(word) + 1].isalnum():
                    yield at, at + len(word)

    def reached(self, text: str, at: int) -> int:
        """To where in the text goes the longest beginning of a word that stands there."""
        rest = text[at : at + self.longest]
        place = bisect_left(self.words, rest)
        return at + max(_in_common(word, rest) for word in self.words[max(0, place - 1) : place + 1])


@dataclass(frozen=True, slots=True)
class _Near:
    quoted: _Quoted
    here: range
    """The spans at the place of a finding."""
    beside: range
    """Those on its lines."""

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """From where to where the text quotes what is hidden, also where that is cut short."""
        holders, text = self.quoted.holders, _lower(text)
        for length in range(_LEAST, _LEAST_BESIDE + 1):
            spans = self.here if length < _LEAST_BESIDE else self.beside
            for at in range(len(text) - length + 1) if spans else ():
                held_by = holders.get(text[at : at + length])
                if held_by is not None and bisect_left(held_by, spans.start) < bisect_left(held_by, spans.stop):
                    yield at, at + length if length < _LEAST_BESIDE else self.quoted.reached(text, at)


def _lower(text: str) -> str:
    """In lower case, with each character where it was."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(one if len(one := character.lower()) == 1 else character for character in text)


def _in_common(word: str, other: str) -> int:
    """How many characters both begin with."""
    least, most = 0, min(len(word), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if word[least:middle] == other[least:middle] else (least, middle - 1)
    return least


def _reworded(finding: Diagnostic, near: _Near | None) -> Diagnostic:
    message, hint = (_said(text, near) for text in (finding.message, finding.hint))
    related = tuple(Related(other.span, _said(other.message, near)) for other in finding.related)
    bug = _said(finding.bug, near) if finding.bug else ""
    if (message, hint, related, bug) == (finding.message, finding.hint, finding.related, finding.bug):
        return finding
    return replace(finding, message=message, hint=hint, related=related, bug=bug)


def _said(text: str, near: _Near | None) -> str:
    """Without what is hidden near, and without what is certainly a secret by its form."""
    if near is not None:
        text = _put(text, _merged(near.places(text)), _MASK)
    certain = _merged((begin, _whole(text, begin, end, sure=True)) for begin, end, sure in places(text) if sure)
    return _put(text, certain, _MASK)


def _quotable(text: str) -> Iterator[str]:
    """What a finding may quote of a value: its lines, without quotes; of a number also without the zeros before it."""
    for line in re.split(r"[\r\n]+|\\[nrt]", text):
        word = line.strip().strip("\"'").strip()
        yield word
        yield word.lstrip("0*")
        if word.startswith("&"):
            yield word.split()[0][1:]


@dataclass(frozen=True, slots=True)
class _Lines:
    text: str
    starts: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> "_Lines":
        return cls(text, (0, *(match.end() for match in _LINE_END.finditer(text))))

    def start(self, line: int) -> int:
        """Where a line begins; one after the last is where the text ends."""
        return self.starts[line - 1] if line <= len(self.starts) else len(self.text)

    def range(self, span: Span) -> tuple[int, int]:
        begin, end = self.start(span.line) + span.column - 1, self.start(span.end_line) + span.end_column - 1
        return min(begin, len(self.text)), min(max(begin, end), len(self.text))

    def line(self, number: int) -> str:
        return self.text[self.start(number) : self.start(number + 1)].rstrip("\r\n")


def _named_on(lines: _Lines, number: int) -> Iterator[tuple[int, int]]:
    """By the look of one line alone, as the file may be no YAML: values of keys with names of secrets."""
    start, line = lines.start(number), lines.line(number)
    for match in _NAMING.finditer(line):
        begin, end = match.span("value")
        if _HOLDING_NONE.match(line, begin):
            continue
        if line[: match.start()].rstrip(" \t\"'").endswith(("{", ",", "[")) and line[begin] not in "\"'[{":
            end = begin + len(re.split(r"[,}\]]", line[begin:end], maxsplit=1)[0])
        if names_a_secret(match["name"]) and not stands_for_a_secret(line[begin:end].strip("\"'")):
            yield start + begin, start + end
    held = _HELD.search(lines.line(number - 1)) if number > 1 else None
    entry = _ENTRY.match(line)
    if held is None or not names_a_secret(held["name"]):
        return
    if entry is None:
        yield start + len(line) - len(line.lstrip()), start + len(line)
    elif not describes_a_secret(entry["key"]):
        yield start + entry.end(), start + len(line)


def _keys(text: str, begins: list[int]) -> dict[int, int]:
    """Where private keys end: with their last line, or where nothing more looks like one."""
    ends = [match.span() for match in _END.finditer(text)] if begins else []
    found = {}
    for begin, following in zip(begins, [*begins, len(text)][1:], strict=True):
        at = bisect_right(ends, (begin, len(text)))
        if at < len(ends) and ends[at][0] <= min(following, begin + _LONGEST_KEY):
            found[begin] = ends[at][1]
        else:
            match = _OPEN_KEY.match(text, begin, following)
            found[begin] = match.end() if match is not None else following
    return found


def _whole(text: str, begin: int, end: int, *, sure: bool) -> int:
    """Where what begins there really ends: `leaks` points at it, and may stop before the last character."""
    if text.startswith("@", end):
        match = _LOGIN.match(text, end)
        return max(end, match.end() - 1) if match is not None else end
    if sure:
        return _matched(_OF_WORD, text, end)
    quote = text[begin - 1 : begin]
    if quote and quote in "\"'":
        quote = f"\\{quote}" if text[begin - 2 : begin - 1] == "\\" else quote
        end = _matched(_TO_A_QUOTE[quote], text, end)
        return _matched(_CLOSED, text, end)
    return _matched(_REST, text, end)


def _matched(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match is not None else at


def _merged(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif begin < end:
            found.append((begin, end))
    return tuple(found)
