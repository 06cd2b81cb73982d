"""Which variables a script asks for digits, and goes on with only if they hold nothing else."""

import re
from collections.abc import Iterable

_CHECKED = re.compile(
    r"\bcase[ \t]+\"?\$\{?(?P<a>[A-Za-z_]\w*)\}?\"?[ \t]+in[ \t\n]+\(?(?:(?:''|\"\")[ \t]*\|[ \t]*)?\*\[(?:!|\^)0-9\]\*"
    r"|\[\[[ \t]+\"?\$\{?(?P<b>[A-Za-z_]\w*)\}?\"?[ \t]+=~[ \t]+\^(?:-\?)?(?:\[0-9\]|\[\[:digit:\]\])\+\$[ \t]",
    re.ASCII,
)
"""Whether a variable holds digits only."""
_ARM = re.compile(r"(?P<or>[ \t]*\]\][ \t]*\|\|)?(?P<arm>(?:(?!;;|\besac\b|\n[ \t]*\n).){0,500})", re.DOTALL)
"""What is done where it does not."""
_LEAVES = re.compile(r"(?:^|[;&|({\n)]|\bthen\b)[ \t]*(?:exit|return|continue|break|die|fail|abort|usage|bail)\b")
_ASSIGNED = re.compile(r"(?:^|[;&|({\n)]|\bthen\b)[ \t]*([A-Za-z_]\w*=)(?=[\"']?-?[0-9]+[\"']?(?:[ \t\n;)}]|$))")


def checked(text: str, commands: Iterable[int]) -> frozenset[str]:
    """Names that the script asks for digits, and goes on with only if they are: `case $n in *[!0-9]*) exit;;`,
    `[[ $n =~ ^[0-9]+$ ]] || n=0`, `if [[ $n =~ ^[0-9]+$ ]]; then`. Only where a command begins: no comments, no texts.
    """
    found = set()
    for start in commands:
        match = _CHECKED.match(text, max(start, 0))
        if match is None:
            continue
        name = match["a"] or match["b"]
        if _holds(name, _ARM.match(text, match.end()), positive=match["b"] is not None):
            found.add(name)
    return frozenset(found)


def _holds(name: str, arm: re.Match[str] | None, *, positive: bool) -> bool:
    """Whether what follows a test lets only digits pass: what stands after `||`, or in the arm for other characters,
    leaves or sets the name anew. `positive`: the test is true of digits.
    """
    if positive and (arm is None or not arm["or"]):
        return True
    if arm is None:
        return False
    return _LEAVES.search(arm["arm"]) is not None or f"{name}=" in _ASSIGNED.findall(arm["arm"])
