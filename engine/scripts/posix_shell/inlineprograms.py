"""Programs in awk, perl, python and the like that stand in a script: whether one starts commands of its own.

What such a program does with its data nobody reads here. So where it could start a command, it is given no value: not
as an argument, as input, or by a variable of its environment that it names.
"""

import re
from collections.abc import Sequence
from itertools import takewhile

from engine.scripts.posix_shell.pieces import DYNAMIC, Command
from engine.scripts.posix_shell.programs import is_awk, is_input, program, takes_file

# Counted repetitions throughout: a text that begins a thousand patterns and ends none is read in linear time.
_STRING = re.compile(r'"(?:\\.|[^"\\\n]){0,300}"')
_PATTERN = re.compile(r"(?:^|(?<=[~!(,;{&|\n])|(?<=[~!(,;{&|\n] ))/(?:\\.|\[[^]\n]{0,60}\]|[^/\\\n[]){0,200}/")
_AWK_CALL = re.compile(r"\bsystem\s*\(")
_AWK_PIPE = re.compile(r"(?<!\|)\|(?!\|)")
_CODE = re.compile(
    r"\b(?:system|popen\d?|exec[lv]?[pe]*|spawn\w*|qx|eval|subprocess|pty|shell_exec|passthru|proc_open|open3"
    r"|child_process|instance_eval|Kernel|IO|os\.execute|Deno\.(?:run|Command)|Bun\.\$)\b|`|%x\b"
    r"|\bopen\b[^;\n]{0,200}\|"
    r"|\bs\s?(?:(?P<mark>[^\w\s])[^\n]{0,200}?(?P=mark)[^\n]{0,200}?(?P=mark)|[{(\[<][^\n]{0,400}?[})\]>])"
    r"[msixpodualngcr]*e[msixpodualngcr]*e"
)
_OPTION_WITH_CODE = re.compile(r"-[A-Za-z0-9]*[cemMEr]|-p|--(eval|execute|print)(=.*)?", re.DOTALL)
_ENVIRONMENT = re.compile(r"\b(?:ENVIRON|environb?|ENV|getenvb?|_SERVER|_ENV|(?<!/)env(?!\s?=))\b")
_BY_NAME = re.compile(
    r"""(?x) \b ENV \s?\{ \s? ['"]? (?P<perl>\w+) ['"]? \s? \}
    | \b (?:ENVIRON|environb?|ENV|_SERVER|_ENV|env) \s? \[ \s? b?['"] (?P<item>\w+) ['"] \s? \]
    | \b (?:getenvb?|environb?\.(?:get|pop)|ENV\.fetch|env\.get) \s? \( \s? b?['"] (?P<call>\w+) ['"]
    | \b env\. (?P<attribute>\w+) (?!\w|\s?\()"""
)
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\\n]){0,300}\"|'(?:\\.|[^'\\\n]){0,300}'")
_BY_SHELL = re.compile(r"\$\{?([A-Za-z_]\w*)")
_INTERPOLATING = ("perl", "php")
"""`$x` in their texts is a variable of their own."""
_VALUED = frozenset({"-X", "-W", "-I"})
_WORD = re.compile(r"[A-Za-z_]\w*")
_BY_MAKE = re.compile(r"\$(?:\$|[({]([A-Za-z_]\w*)|([A-Za-z]))")
_RECIPE = re.compile(r"^\t[@+-]*(.*)", re.MULTILINE)
ANY = "*"
"""Any variable of the environment: the program computes a name."""


def awk_starts_commands(text: str) -> bool:
    """Whether a program of awk has `system()`, or a pipe: `print | x`, `x | getline`."""
    bare = _PATTERN.sub("", _STRING.sub('""', text))
    pipes = "{" in bare and _AWK_PIPE.search(bare) is not None  # without an action it is a separator: -F'|'
    return pipes or _AWK_CALL.search(bare) is not None


def code_starts_commands(text: str) -> bool:
    """Whether a program in another language names what starts a command, or evaluates a text."""
    return _CODE.search(text) is not None


def started_by(command: Command, names: Sequence[str], texts: Sequence[str]) -> tuple[str, list[str]] | None:
    """A program that is called whose own programs start commands, and those: among the words after it, or in its input.

    Reads each word once.
    """
    for is_one, starts in ((is_awk, awk_starts_commands), (_is_coded, code_starts_commands)):
        first = next((at for at, name in enumerate(names) if is_one(name)), len(names))
        rest = texts[first + 1 :]
        programs = [*rest, *(_documents(command) if _reads_program(names[first : first + 1], rest) else ())]
        if found := [one for one in programs if starts(one)]:
            return names[first], found
    return None


def environment_of(command: Command, names: Sequence[str], texts: Sequence[str]) -> tuple[str, frozenset[str]] | None:
    """The variables of the environment with which a program within the script may start a command, and whose it is."""
    if (started := started_by(command, names, texts)) is not None:
        by, programs = started
        return by, frozenset(name for one in programs for name in _environment_read(by, one))
    make = next((at for at, name in enumerate(names) if name == "make"), None)
    if make is None or not takes_file(texts[make + 1 :]):
        return None
    found = (match for one in _documents(command) for match in _BY_MAKE.finditer(one))
    return names[make], frozenset(filter(None, (match[1] or match[2] for match in found)))


def recipes(makefile: str) -> str:
    """What a makefile has the shell run, as far as `$$X` and the like stand in it."""
    return "\n".join(match[1].replace("$$", "$") for match in _RECIPE.finditer(makefile))


def _is_coded(name: str) -> bool:
    return program(name).language == "code"


def _reads_program(name: Sequence[str], rest: Sequence[str]) -> bool:
    """Whether awk or an interpreter may have its program from its input."""
    if not name:
        return False
    if is_awk(name[0]):
        return takes_file(rest)
    before = ""
    for text in takewhile(lambda text: not is_input(text) and text != "--", rest):
        if _OPTION_WITH_CODE.fullmatch(text):
            return False
        if not text.startswith("-") and before not in _VALUED:
            return DYNAMIC in text  # a file with the program, unless it is an option
        before = text
    return True


def _documents(command: Command) -> list[str]:
    """What goes to the input of a command, as far as it stands in the script."""
    before = command.feeder
    return [*command.documents, *([*before.documents, *before.literal()] if before is not None else ())]


def _environment_read(by: str, text: str) -> frozenset[str]:
    """The variables that a program reads by name; with ANY and all its words where it reads them otherwise."""
    named = [match.group(match.lastgroup or 0) for match in _BY_NAME.finditer(text)]
    texts = "" if by.startswith(_INTERPOLATING) else " ".join(_QUOTED.findall(text))
    found = {*named, *_BY_SHELL.findall(texts)}
    if len(_ENVIRONMENT.findall(text)) > len(named):
        found.update(_WORD.findall(text))
        found.add(ANY)
    return frozenset(found)
