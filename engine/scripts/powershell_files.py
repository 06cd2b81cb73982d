"""Files that a script for PowerShell writes and runs: `Set-Content x.ps1 $x; .\\x.ps1`.

Known by the last part of their names, as they are written. A file that is copied or renamed is the same file.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

_WRITING = re.compile(
    r"(?<![\w-])(?:(?:Set|Add)-Content|Out-File|Tee-Object|tee|sc|ac|New-Item|ni|Export-\w+)(?![\w-])"
    r"|\b(?:WriteAll|AppendAll)\w+|\bStreamWriter\b|(?<![-=<])>>?(?!&)",
    re.IGNORECASE,
)
_MOVING = re.compile(
    r"(?<![\w-])(?:(?:Copy|Move|Rename)-Item|copy|cpi?|move|mi|mv|ren|rni|Get-Content|gc|cat|type)(?![\w-])",
    re.IGNORECASE,
)
_READING = re.compile(
    r"(?<![\w-])(?:Select-String|sls|Import-(?:Csv|Clixml|PowerShellDataFile))(?![\w-])"
    r"|\bReadAll\w+|\bReadLines\b|\bOpenText\b|\bStreamReader\b",
    re.IGNORECASE,
)
_FILE = re.compile(r"(?<![\w.$)\]\[-])[\w-][\w-]*(?:\.[\w-]+)+(?![\w.(\]-])")
_NAME = re.compile(r"[\w-][\w.-]*")
_RUNNABLE = "ps1|psm1|psd1|bat|cmd|exe|com|vbs|vbe|wsf|js|jse|py|pl|rb|sh|msi|hta"
_SCRIPT = rf"[\w.-]+\.(?:{_RUNNABLE}|sql|reg|inf)"
_PATH = rf"[\"']?(?:[^\s\"';|{{}}()&,=]*[\\/])?({_SCRIPT})(?![\w.-])"
_RUN = re.compile(rf"(?:^|[;|{{}}=!&\n]|(?<!\w)\()[ \t]*(?:[&.][ \t]*)?{_PATH}", re.IGNORECASE)
"""A file in the place of a command."""
_GIVEN = re.compile(
    r"(?:\b(?:powershell|pwsh|cmd|python[0-9.]*|py|perl|ruby|node|bash|sh|cscript|wscript|mshta|sqlcmd|psql|mysql|reg"
    r"|Import-Module|ipmo|Start-Process|saps|start|Invoke-Item|ii)|(?<![\w-])-(?:File|FilePath|InputFile))"
    rf"(?:\.exe)?(?=[\s\"'])(?:[ \t]+[-/][\w:]+(?:[ \t]+[A-Za-z]\w*(?=[ \t]))?){{0,9}}[ \t]+{_PATH}",
    re.IGNORECASE,
)
"""A file that is the first operand of what runs it."""
_NAMED = re.compile(rf"(?<![\w.$-])([\w.-]*\w\.(?:{_RUNNABLE}))(?![\w-]|\.\w)", re.IGNORECASE)
"""A file that somebody may run, wherever it is named: for `-Argument "-File x.ps1"` there is no end of programs."""
_ONLY_NAMING = re.compile(
    r"(?<![\w-])(?:(?:Remove|Get)-Item|ri|rm|del|erase|gi|Get-ChildItem|gci|dir|ls|Test-Path|Resolve-Path|Get-FileHash"
    r"|Write-\w+|[GS]et-Acl|icacls|takeown|attrib|Unblock-File|Compress-Archive|robocopy|xcopy|scp|git|7z|tar)(?![\w-])"
    r"[^;|{}()\n&]*",
    re.IGNORECASE,
)
"""Commands that do something with a file and do not run it, with their arguments."""
_EVALUATED = re.compile(
    r"(?:\biex\b|Invoke-Expression|ScriptBlock|AddScript)[^\n;]{0,200}?(?:Get-Content|gc|cat|type|ReadAllText)\b"
    r"[\s(]{0,9}(?:-\w+[ \t]+){0,9}[\"']?(?:[^\s\"';|{}()&,=]*[\\/])?([\w-][\w.-]*)"
    r"|\b(?:Get-Content|gc|cat|type)[ \t]+(?:-\w+[ \t]+){0,9}[\"']?(?:[^\s\"';|{}()&,=]*[\\/])?([\w-][\w.-]*)"
    r"[^\n;]{0,200}?\|\s*(?:iex\b|Invoke-Expression|powershell|pwsh|cmd|bash|sh\b)",
    re.IGNORECASE,
)
"""A file that is read, and what is in it evaluated."""


def run(statements: Sequence[str]) -> dict[int, str]:
    """By number of a statement that writes a file which the script runs, also by another name: that file."""
    run_names = {name for text in statements for name in _run_in(text)}
    if not run_names:
        return {}
    writing = {number for number, text in enumerate(statements) if _WRITING.search(text) is not None}
    naming: defaultdict[str, list[int]] = defaultdict(list)
    names: dict[int, list[str]] = {}
    for number, text in enumerate(statements):
        if number in writing or _MOVING.search(text) is not None:
            names[number] = [one.lower() for one in _NAME.findall(_GIVEN.sub(" ", _RUN.sub(" ", text)))]
            for name in names[number]:
                naming[name].append(number)
    found: dict[int, str] = {}
    waiting = [(name, name) for name in sorted(run_names)]
    while waiting:
        name, runs = waiting.pop()
        for number in naming.pop(name, ()):
            if number not in found:
                found[number] = runs
                waiting += ((other, runs) for other in names[number] if "." in other)
    return {number: name for number, name in found.items() if number in writing}


def read_back(text: str) -> frozenset[str]:
    """The files that a statement writes, moves or reads: what is in one it may have in common with another so."""
    if _WRITING.search(text) is None and _MOVING.search(text) is None and _READING.search(text) is None:
        return frozenset()
    return frozenset(f"file {name.lower()}" for name in _FILE.findall(text))


def _run_in(text: str) -> list[str]:
    found = [match[1] for pattern in (_RUN, _GIVEN) for match in pattern.finditer(text)]
    if _WRITING.search(text) is None and _MOVING.search(text) is None:
        found += _NAMED.findall(_ONLY_NAMING.sub(" ", text))
    found += [match[1] or match[2] for match in _EVALUATED.finditer(text)]
    return [name.lower() for name in found]
