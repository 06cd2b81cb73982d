"""Statements of a script for PowerShell that may evaluate what reaches them, and what reaches them.

A statement evaluates if it names a command that does, or calls a command that is computed. A value reaches it if it
stands there, or in a statement that shares a variable with it, by way of others too. Whoever follows a script so
closely may join what PowerShell keeps apart, never the other way round. Sources: about_Operators, about_Quoting_Rules,
about_Parsing, about_Special_Characters.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.scripts import powershell_files

_EVALUATING = re.compile(
    r"\b(?:iex|icm|Invoke-Expression|Invoke-Command|ScriptBlock|ExpandString|NewScriptBlock|InvokeScript|AddScript"
    r"|Start-Process|saps|powershell|pwsh|cmd|wsl|bash|sh|Add-Type|EncodedCommand|Invoke-WmiMethod|Invoke-CimMethod"
    r"|Start-Job|Start-ThreadJob|Register-ScheduledTask|New-ScheduledTaskAction|Register-ScheduledJob|schtasks|psexec"
    r"|winrs|mshta|cscript|wscript|WScript\.Shell|Shell\.Application|rundll32|regsvr32|forfiles|wmic|Set-Alias|New-Alias"
    r"|Invoke-Item|Import-Module|New-Service|Set-Service|Diagnostics\.Process|Activator|CreateInstance|ComObject"
    r"|InvokeCommand|InvokeMember|GetMethod|Invoke-Sqlcmd|Register-ObjectEvent|Set-PSBreakpoint|Trace-Command)\b"
    r"|\.(?:Invoke|Run|Exec|Start|ShellExecute)\(|\bfunction:|\balias:|\bsc\.exe\b",
    re.IGNORECASE,
)
_BATCH = re.compile(
    r"(?:^|[;|{}(=!\n]|&&)[ \t]*(?:[&.][ \t]*)?"
    r"(?:\"[^\"\n]*\.(?:bat|cmd)\"|'[^'\n]*\.(?:bat|cmd)'|(?!\$)[^\s\"';|{}()&,=]*\.(?:bat|cmd)(?=[\s;|)}&]|$))",
    re.IGNORECASE,
)
"""A batch file as a command: Windows gives it to cmd, which reads the arguments again (CVE-2024-24576)."""
BATCH_HINT = (
    "do it in PowerShell; or set the value with 'env:' and let the batch file read !NAME!, "
    "after setlocal EnableDelayedExpansion"
)
_DEFINING = re.compile(
    r"(?<![\w-])(?:function|filter|class|workflow|trap|using|(?:Set|New|Import)-Alias|sal|nal|ipal|Import-Module|ipmo"
    r"|Add-Type|\w+-Variable|[sgnc]v|tee|PSDefaultParameterValues|Register-ObjectEvent|Set-PSBreakpoint|si|ni"
    r"|(?:Set|New)-Item|ExecutionContext|args|input)\b|-\w*Variable\b|-[oewip]v\b|\b(?:alias|variable):",
    re.IGNORECASE,
)
"""What joins statements otherwise than by a variable that is written out: then all of them are taken for one."""
_COMPUTED = re.compile(
    r"(?:(?:^|[;|{}(=&!\n])[ \t]*\.|(?:^|[\s;|{}(=&!,])&)\s*"
    r"(?:\"[^\"$]*\"|'[^']*'|[^\s\"';|{}()$@\[*?=,!&])*(?:\"[^\"$]*\$|[$(@\[*?=,])"
)
"""`& $x`, `. (gcm i?x)`, `& "$x\\y"`: what is called is not written out."""
_MEMBER = re.compile(r"[\w)\]}](?:\.|::)[$(\"']")
_VARIABLE = re.compile(r"[$@]\{?(?:(?:global|script|local|private|using|env|variable):)?(\w+)", re.IGNORECASE)
_NOWHERE_ELSE = frozenset({"_", "psitem", "true", "false", "null"})
_GOES_ON = re.compile(r"(?:[|,=+*/&({\[<>.:%!-]|-\w+)$")
_BEFORE = re.compile(r"[|.&)\]},+*/%=-]|(?:else|elseif|catch|finally|while|until)\b", re.IGNORECASE)
"""At the end of a line, and at the begin of the next: the statement may go on."""

PIECE = re.compile(
    r"(?P<block><#.*?#>)|(?P<unsure>(?<=[^\s;({|&,=])\#.*)|(?P<comment>\#[^\n]*)"
    r"|(?P<here_double>@\"[ \t]*\n(?:.*?\n)?\"@)|(?P<here_single>@'[ \t]*\n(?:.*?\n)?'@)"
    r"|(?P<unended>(?:<\#|@[\"'][ \t]*\n).*)|(?P<verbatim>(?<!\S)--%(?=\s)[^\n|]*(?:\|.*)?)"
    r"|(?P<single>'(?:[^']|'')*')|(?P<double>\"(?:[^\"`]|`.|\"\")*\")|(?P<open>[\"'].*)|(?P<escape>`.)|(?P<other>.)",
    re.DOTALL,
)
"""Quotes, here-strings, comments; every other character is one of its own. Strings with `$(` may end too early."""
_PARENTHESES = re.compile(r"\$\((?:[^()\"'#`]|'[^'()\"]*'|\((?:[^()\"'#`]|'[^'()\"]*'|\([^()\"'#`]*\))*\))*\)")
_PAIRS = {")": "(", "}": "{"}


@dataclass(slots=True)
class _Statement:
    start: int
    end: int = 0
    text: str = ""
    """Without comments and disguise."""
    code: str = ""
    """The same without what is in strings."""

    @property
    def names(self) -> frozenset[str]:
        named = frozenset(name.lower() for name in _VARIABLE.findall(self.text)) - _NOWHERE_ELSE
        return named | powershell_files.read_back(self.text)

    def evaluates(self) -> str | None:
        if found := _BATCH.search(self.text):
            return f"'{found[0].strip(_AROUND)}', a batch file, which reads its arguments again as commands"
        plain = self.text.replace('"', "").replace("'", "")
        if found := _EVALUATING.search(self.text) or _EVALUATING.search(plain):
            return f"'{found[0]}', which may evaluate it"
        if _COMPUTED.search(self.text) or _MEMBER.search(self.code):
            return "a command or member whose name is computed"
        return None


_AROUND = " \t\n;|{}(=!&\"'"


@dataclass(frozen=True, slots=True)
class Reached:
    """Code points [start, end) of a script, and why what stands there may be evaluated."""

    start: int
    end: int
    reason: str


def reached(text: str, pieces: Sequence[re.Match[str]]) -> Iterator[Reached]:
    """The statements whose values may be evaluated, in the order of the script."""
    statements = _statements(text, pieces)
    run = powershell_files.run([one.text for one in statements])
    evaluating = [
        (one, why)
        for number, one in enumerate(statements)
        if (why := f"a file, '{run[number]}', that the script runs" if number in run else one.evaluates()) is not None
    ]
    if not evaluating:
        return
    if any(_DEFINING.search(one.text) for one in statements) or len(statements) == 1:
        yield Reached(0, len(text), f"stands in a script with {evaluating[0][1]}")
        return
    own = {statement.start: why for statement, why in evaluating}
    near = _joined(statements, [statement for statement, _ in evaluating])
    for statement in statements:
        if (why := own.get(statement.start)) is not None:
            yield Reached(statement.start, statement.end, f"stands in a statement with {why}")
        elif statement.start in near:
            reason = f"reaches, by a variable, a statement with {evaluating[0][1]}"
            yield Reached(statement.start, statement.end, reason)


def statements(text: str, pieces: Sequence[re.Match[str]]) -> list[str]:
    """The statements that stand in no brackets, without comments and disguise."""
    return [one.text for one in _statements(text, pieces)]


def unclosed(text: str, pieces: Sequence[re.Match[str]]) -> int | None:
    """From where on the script cannot be followed; None where it can to its end.

    0 where a bracket is not closed, as PowerShell reads no script of which it misses a bracket.
    """
    stack: list[str] = []
    for piece in pieces:
        if piece.lastgroup == "open":
            return piece.start()
        if piece.lastgroup == "double" and "$(" in piece[0] and "$(" in _PARENTHESES.sub("", piece[0]):
            return piece.end()
        if piece.lastgroup == "other" and piece[0] in "({":
            stack.append(piece[0])
        elif piece.lastgroup == "other" and piece[0] in ")}" and (not stack or stack.pop() != _PAIRS[piece[0]]):
            return 0
    return 0 if stack else None


def _joined(statements: Sequence[_Statement], first: Sequence[_Statement]) -> set[int]:
    """The starts of all that share a variable with these, or with one that does."""
    by_name: dict[str, list[_Statement]] = defaultdict(list)
    for statement in statements:
        for name in statement.names:
            by_name[name].append(statement)
    waiting, seen = list(first), {statement.start for statement in first}
    while waiting:
        for name in waiting.pop().names:
            for other in by_name.pop(name, ()):
                if other.start not in seen:
                    seen.add(other.start)
                    waiting.append(other)
    return seen


def _statements(text: str, pieces: Sequence[re.Match[str]]) -> list[_Statement]:
    """Statements that stand in no brackets, each with all that stands in its own."""
    found, plain, code = [_Statement(0)], list[str](), list[str]()
    depth, tail, line_ended = 0, "", False

    def end(at: int) -> None:
        found[-1].end, found[-1].text, found[-1].code = at, "".join(plain), "".join(code)
        plain.clear()
        code.clear()
        found.append(_Statement(at))

    for piece in pieces:
        said = _undisguised(piece)
        other = piece.lastgroup == "other"
        blank = not said.strip()
        if line_ended and not blank:
            line_ended = False
            if not _GOES_ON.search(tail) and _BEFORE.match(text, piece.start()) is None:
                end(piece.start())
        depth += (said in "({") - (said in ")}") if other else 0
        plain.append(said)
        code.append(said if piece.lastgroup in ("other", "escape") else '""')
        line_ended = line_ended or (said == "\n" and other and depth <= 0)
        tail = tail if blank else (tail + said[-40:])[-40:]
        if other and said == ";" and depth <= 0:
            end(piece.end())
    end(len(text))
    return [one for one in found if one.text.strip()]


def _undisguised(piece: re.Match[str]) -> str:
    r"""What a piece says: i`ex is iex, and what `u{69} is, is not asked."""
    inner = piece[0]
    match piece.lastgroup:
        case "comment" | "block":
            return ""
        case "escape":
            return " " if inner[1] == "\n" else "$" if inner[1] == "u" else inner[1]
        case "double":
            inner = inner[1:-1].replace("`u{", "$").replace("`", "").replace('"', "")
            return f'"{inner}"'
        case "single":
            return "'" + inner[1:-1].replace("'", "") + "'"
    return inner
