"""Variables of the environment that a script for PowerShell evaluates, also by way of its own variables.

Only what certainly evaluates a text is asked, as `env` is the author's own choice: `iex $env:X`, not `Start-Process`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from engine.scripts.powershell_statements import PIECE, statements

_EVALUATING = re.compile(
    r"\b(?:iex|Invoke-Expression|ExpandString|NewScriptBlock|InvokeScript|AddScript)\b|\[ScriptBlock\]::Create"
    r"|\bcmd(?:\.exe)?\s+/[ck]\b|\b(?:powershell|pwsh)(?:\.exe)?\s(?:[^\n;|]{0,200}\s)?-(?:c|command)\b",
    re.IGNORECASE,
)
_CALLED = re.compile(r"(?:^|[\s;|{}(=!&])[&.]\s*\(?\s*(\"[^\"]*\"|\$\{?[\w:]+\}?)")
"""`& $x`, `. "$x"`, `& ($x)`: what is called, without its arguments."""
_SINGLE = re.compile(r"\"[^\"]*\"|'[^']*'")
_READ = re.compile(r"\$\{?env:(\w+)|\$\{?(?:(?:global|script|local|private|using|variable):)?(\w+)", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"\$\{?(?:(?:global|script|local|private):)?(\w+)\}?\s*(?:[-+*/%]|\?\?)?=(?![=~])"
    r"|\bforeach\s*\(\s*\$(\w+)\s+in\b",
    re.IGNORECASE,
)


def evaluated(text: str, names: Iterable[str]) -> dict[str, str]:
    """By name of a variable of the environment: why its value is evaluated."""
    sources: dict[str, set[str]] = defaultdict(set)
    """By variable: the statements that flow into it, and by statement: its variables."""
    sinks: dict[str, str] = {}
    for number, one in enumerate(statements(text, list(PIECE.finditer(text)))):
        said = _SINGLE.sub(lambda found: found[0] if found[0][0] == '"' else "''", one)
        sources[f"statement:{number}"].update(_names(said))
        for assigned in _ASSIGNED.finditer(said):
            sources[(assigned[1] or assigned[2]).lower()].add(f"statement:{number}")
        if (found := _EVALUATING.search(said)) is not None:
            for name in _names(said[found.start() :] if "|" not in said[: found.start()] else said):
                sinks.setdefault(name, f"stands in a statement with '{found[0]}', which evaluates it")
        for command in _CALLED.finditer(said):
            sinks.update((name, "stands in the place of a command") for name in _names(command[1]))
    waiting = [*sinks.items()]
    for name, reason in waiting:
        for source in sources.pop(name, ()):
            if source not in sinks:
                sinks[source] = reason
                waiting.append((source, reason))
    return {name: sinks[key] for name in names if (key := f"env:{name.lower()}") in sinks}


def _names(said: str) -> Iterator[str]:
    return (f"env:{one[1].lower()}" if one[1] else one[2].lower() for one in _READ.finditer(said))
