"""Programs in awk, perl, python and the like that stand in a script: whether one starts commands of its own.

What such a program does with its data nobody reads here. So where it could start a command, it is given no value.
"""

import re

# Counted repetitions throughout: a text that begins a thousand patterns and ends none is read in linear time.
_STRING = re.compile(r'"(?:\\.|[^"\\\n]){0,300}"')
_PATTERN = re.compile(r"(?:^|(?<=[~!(,;{&|\n])|(?<=[~!(,;{&|\n] ))/(?:\\.|\[[^]\n]{0,60}\]|[^/\\\n[]){0,200}/")
_AWK_CALL = re.compile(r"\bsystem\s*\(")
_AWK_PIPE = re.compile(r"(?<!\|)\|(?!\|)")
_CODE = re.compile(
    r"\b(?:system|popen\d?|exec[lv]?[pe]*|spawn\w*|qx|eval|subprocess|pty|shell_exec|passthru|proc_open|open3"
    r"|child_process|instance_eval|Kernel|IO)\b|`|%x\b|\bopen\b[^;\n]{0,200}\|"
)


def awk_starts_commands(program: str) -> bool:
    """Whether a program of awk has `system()`, or a pipe: `print | x`, `x | getline`."""
    bare = _PATTERN.sub("", _STRING.sub('""', program))
    pipes = "{" in bare and _AWK_PIPE.search(bare) is not None  # without an action it is a separator: -F'|'
    return pipes or _AWK_CALL.search(bare) is not None


def code_starts_commands(program: str) -> bool:
    """Whether a program in another language names what starts a command, or evaluates a text."""
    return _CODE.search(program) is not None
