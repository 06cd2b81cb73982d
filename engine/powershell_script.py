"""Where a value may stand in a script for PowerShell, and how it is read there.

It is read by pieces (quotes, here-strings, comments) and by commands; whatever is not followed for certain is refused.
What programs make of their words is asked of the tables for POSIX shells: `ssh h "rm ${{ x }}"` is the same there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.posix_shell import HOLE, Refusal, evaluates

_EVALUATING = re.compile(
    r"\b(?:iex|icm|Invoke-Expression|Invoke-Command|ScriptBlock|ExpandString|NewScriptBlock|InvokeScript|AddScript"
    r"|Start-Process|saps|powershell|pwsh|cmd|wsl|bash|sh|Add-Type|EncodedCommand|Invoke-WmiMethod|Invoke-CimMethod"
    r"|Start-Job|Start-ThreadJob|Register-ScheduledTask|New-ScheduledTaskAction|Register-ScheduledJob|schtasks|psexec"
    r"|winrs|mshta|cscript|wscript|WScript\.Shell|Shell\.Application|rundll32|regsvr32|forfiles|wmic|Set-Alias|New-Alias"
    r"|Invoke-Item|Import-Module|New-Service|Set-Service|Diagnostics\.Process|Activator|CreateInstance|ComObject"
    r"|InvokeCommand|InvokeMember|GetMethod|Invoke-Sqlcmd|Register-ObjectEvent|Set-PSBreakpoint|Trace-Command)\b"
    r"|\.(?:Invoke|Run|Exec|Start|ShellExecute)\(|\bfunction:|\bsc\.exe\b",
    re.IGNORECASE,
)
_AT_HEAD = frozenset({"start", "ii", "ipmo", "sal", "nal", "sc", "sajb", "%", "foreach-object", "foreach", "at"})
"""Commands, and short names of such, that evaluate or start what they are given."""
_PIECE = re.compile(
    r"(?P<block><#.*?#>)|(?P<unsure>(?<=[^\s;({|&,=])\#.*)|(?P<comment>\#[^\n]*)"
    r"|(?P<here_double>@\"[ \t]*\n(?:.*?\n)?\"@)|(?P<here_single>@'[ \t]*\n(?:.*?\n)?'@)"
    r"|(?P<unended>(?:<\#|@[\"'][ \t]*\n).*)"
    r"|(?P<single>'(?:[^']|'')*')|(?P<double>\"(?:[^\"`]|`.|\"\")*\")|(?P<escape>`.)|(?P<other>.)",
    re.DOTALL,
)
_OPENS = ("", " ", "\t", "\n", "(", ",", "=")
_CLOSES = ("", *" \t\n\r),;|}")


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
    if found := _EVALUATING.search(text):
        return [Refusal(f"stands in a script with '{found[0]}', which may evaluate it")] * len(offsets)
    # PowerShell takes typographic quotes for quotes; this scanner does not follow them.
    if re.search("[\u2018-\u201f\u2013-\u2015]", text):
        return [Refusal("stands in a script with typographic quotes or dashes")] * len(offsets)
    numbers = {offset: number for number, offset in enumerate(offsets, start=1)}
    written: dict[int, str | Refusal] = {}
    commands = [_Command()]
    for piece in _PIECE.finditer(text):
        _follow(piece, commands)
        for offset in range(piece.start(), piece.end()) if HOLE in piece[0] else ():
            if text[offset] == HOLE:
                written[offset] = _reading(piece, text, offset, numbers[offset])
    for command in commands:
        for offset, refusal in _refused(command):
            if not isinstance(written.get(offset), Refusal):
                written[offset] = refusal
    return [written.get(offset, Refusal("stands where it could not be followed")) for offset in offsets]


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
        case "other" | "double" | "single" | "escape" | "here_double":
            inner = piece[0] if piece.lastgroup == "other" else piece[0][1:-1] or " "
            for at, char in enumerate(inner) if HOLE in inner else ():
                command.hole(piece.start() + at + (piece.lastgroup != "other")) if char == HOLE else command.add(char)
            if HOLE not in inner:
                command.add(inner)


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
    if first in _AT_HEAD:
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
        case "unended" | "unsure":
            return Refusal("stands after a comment or a here-string that does not end, or a '#' within a word")
        case _:
            return Refusal("stands in quotes that take no variable")


def _bare(text: str, offset: int, number: int) -> str | Refusal:
    if text[offset - 1 : offset] not in _OPENS or text[offset + 1 : offset + 2] not in _CLOSES:
        return Refusal("stands within a word; put it in double quotes")
    before = text[max(0, offset - 80) : offset].rstrip(" \t(")
    if before[-1:] in ("&", "."):
        return Refusal("stands in the place of the command")
    return f"$OC{number}"
