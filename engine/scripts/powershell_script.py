"""Where a value may stand in a script for PowerShell, and how it is read there.

It is read by pieces (quotes, here-strings, comments) and by commands; whatever is not followed for certain is refused.
What programs make of their words is asked of the tables for POSIX shells: `ssh h "rm ${{ x }}"` is the same there.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from engine.scripts.posix_shell.pieces import HOLE, Refusal
from engine.scripts.posix_shell.started import evaluates
from engine.scripts.powershell_statements import BATCH_HINT, PIECE, reached, unclosed

_AT_HEAD = frozenset({"start", "ii", "ipmo", "sal", "nal", "sc", "sajb", "%", "foreach-object", "foreach", "at"})
"""Commands, and short names of such, that evaluate or start what they are given."""
_OPENS = ("", " ", "\t", "\n", "(", ",", "=")
_CLOSES = ("", *" \t\n\r),;|}")

_CAST = re.compile(r"[\s(,=]\[(?:int|int32|int64|long|double|decimal|string|datetime|timespan)\]\Z", re.IGNORECASE)
"""Types to which PowerShell converts a text without evaluating it."""
_MEMBER = re.compile(
    r"\.(?:Length\b(?!\()|(?:Contains|EndsWith|IndexOf|PadLeft|Replace|Split|StartsWith|Substring|ToLower|ToUpper|Trim"
    r"|TrimEnd|TrimStart)\()",
    re.IGNORECASE,
)
"""Members of texts, which give texts and numbers."""
_NUMBER_HINT = "make it a number, as in ${{ int(...) }} or a param of 'type: integer'"
_SET_HINT = 'set a variable to it before, and read that: $x = ${{ ... }}; "... $($x) ..."'
_FOR_EACH = re.compile(r"\( \$\w+ in ")
"""After `foreach`: then it is the word of the language, and not the short name of a command."""
_NEGATED = re.compile(r"[\w)\]]\([ \t]*-\Z")
"""The first argument of a method: `AddDays(-5)`."""


@dataclass
class _Command:
    """Words of one command, with those of its holes."""

    words: list[str] = field(default_factory=lambda: [""])
    holes: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.words[-1] += text

    def hole(self, offset: int) -> None:
        self.holes.append(offset)
        self.places.append(len(self.words) - 1)
        self.add(HOLE)

    def end_word(self) -> None:
        if self.words[-1]:
            self.words.append("")


def readings(text: str, offsets: Sequence[int]) -> list[str | Refusal]:
    """How each hole, an offset in `text` where HOLE stands, is written: the first reads $OC1, the second $OC2."""
    # PowerShell takes typographic quotes for quotes; this scanner does not follow them.
    if re.search("[\u2018-\u201f\u2013-\u2015]", text):
        return [Refusal("stands in a script with typographic quotes or dashes")] * len(offsets)
    numbers = {offset: number for number, offset in enumerate(offsets, start=1)}
    written: dict[int, str | Refusal] = {}
    commands = [_Command()]
    pieces = list(PIECE.finditer(text))
    for piece in pieces:
        _follow(piece, commands)
        for offset in range(piece.start(), piece.end()) if HOLE in piece[0] else ():
            if text[offset] == HOLE:
                written[offset] = _reading(piece, text, offset, numbers[offset])
    for offset, refusal in (*_evaluated(text, pieces, offsets), *chain.from_iterable(map(_refused, commands))):
        known = written.get(offset)
        if not isinstance(known, Refusal) or known.of_number is not None:
            written[offset] = refusal
    return [written.get(offset, Refusal("stands where it could not be followed")) for offset in offsets]


def _evaluated(text: str, pieces: Sequence[re.Match[str]], offsets: Sequence[int]) -> Iterator[tuple[int, Refusal]]:
    if (end := unclosed(text, pieces)) is not None:
        unsure = Refusal("stands in a quote or bracket, or after one, that cannot be followed for certain")
        yield from ((offset, unsure) for offset in offsets if offset >= end)
    for statement in reached(text, pieces):
        first = bisect_left(offsets, statement.start)
        for offset in offsets[first : bisect_left(offsets, statement.end)]:
            yield offset, Refusal(statement.reason, hint=BATCH_HINT if "batch file" in statement.reason else "")


def _follow(piece: re.Match[str], commands: list[_Command]) -> None:
    command = commands[-1]
    match piece.lastgroup:
        case "other" if piece[0] in "\n;|{}":
            commands.append(_Command())
        case "other" if piece[0] in " \t\r(),=" or (piece[0] == "&" and not command.words[-1]):
            command.end_word()
            if piece[0] in "(&":
                command.words[-1] = piece[0]
                command.end_word()
        case "escape" if piece[0][1] == "\n":
            command.end_word()
        case "escape" if piece[0][1] != HOLE:
            command.add(piece[0][1])
        case "other" | "double" | "single" | "here_double":
            inner = piece[0] if piece.lastgroup == "other" else piece[0][1:-1] or " "
            for at, char in enumerate(inner) if HOLE in inner else ():
                command.hole(piece.start() + at + (piece.lastgroup != "other")) if char == HOLE else command.add(char)
            if HOLE not in inner:
                command.add(inner.replace("`", ""))


def _refused(command: _Command) -> list[tuple[int, Refusal]]:
    if not command.holes:
        return []
    words = [word for word in command.words if word]
    called = 1 if words[0] in ("&", ".") else 0
    if called and HOLE in next((word for word in words[1:] if word != "("), ""):
        return [(hole, Refusal("stands in the place of the command")) for hole in command.holes]
    # `$x = ssh ...` and `(ssh ...)` start a command as well; a value right there is none.
    skipped = called or next((at for at, word in enumerate(words) if word[0] not in "$[(" + HOLE), len(words))
    first = words[skipped].lower() if skipped < len(words) else ""
    is_loop = first == "foreach" and _FOR_EACH.match(" ".join(words[skipped + 1 : skipped + 5])) is not None
    if first in _AT_HEAD and not is_loop:
        return [(hole, Refusal(f"stands in a command with '{first}', which may evaluate it")) for hole in command.holes]
    found = evaluates([first.removesuffix(".exe"), *words[skipped + 1 :]])
    places = zip(command.holes, command.places, strict=True)
    return [(hole, found[place - skipped]) for hole, place in places if place > skipped and place - skipped in found]


def _reading(piece: re.Match[str], text: str, offset: int, number: int) -> str | Refusal:
    before = text[piece.start() - 1] if piece.start() else ""
    match piece.lastgroup:
        case "double" if before in (".", ":"):
            return Refusal("stands in the name of a member")
        case "double" | "here_double" if "$(" not in piece[0] and text[offset - 1] not in "`$":
            return f"${{OC{number}}}"
        case "comment" | "block":
            return f"OC{number}"
        case "other":
            return _bare(text, offset, number)
        case "verbatim":
            return Refusal("stands after '--%', where PowerShell puts in no variable")
        case "open":
            return Refusal("stands in a quote that does not end, which cannot be followed for certain")
        case "unended" | "unsure":
            return Refusal("stands after a comment or a here-string that does not end, or a '#' within a word")
        case "double" | "here_double" if "$(" in piece[0]:
            return Refusal("stands in a text with '$('", hint=_SET_HINT)
        case _:
            return Refusal("stands in quotes that take no variable")


def _bare(text: str, offset: int, number: int) -> str | Refusal:
    before = text[max(0, offset - 80) : offset]
    opened = text[offset - 1 : offset] in _OPENS or _CAST.search(before) is not None
    closed = text[offset + 1 : offset + 2] in _CLOSES or _MEMBER.match(text, offset + 1) is not None
    if closed and _NEGATED.search(before) is not None:
        return Refusal("stands after a '-', where only a number may stand", "quoted", _NUMBER_HINT)
    if not opened or not closed:
        return Refusal("stands within a word; put it in double quotes")
    before = before.rstrip(" \t(")
    if before[-1:] in ("&", "."):
        return Refusal("stands in the place of the command")
    return f"$OC{number}"
