"""Substitutions that print nothing but numbers, whatever the values in them say: `$(find "$x" | wc -l)`.

bash evaluates what it computes, and a name in it as a variable. So a form counts here only if no letter of a value can
be in what it prints: programs that print names with their numbers (`wc -l f`, `du f`, `grep -c x f g`) do not, nor do
those that a value may make print such as an option (`grep -c x "$f"`, where f is -r). What is not written out below
does not count. Sources: POSIX.1-2024 XCU 2.6.3, 3; the manuals of GNU coreutils, grep, procps, awk and jq.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.numericprograms import PROGRAMS, Operands, Says
from engine.scripts.posix_shell.pieces import DYNAMIC, Command, Substitution

_QUIET = re.compile(r"true|:|exit [0-9]{1,3}|(?:echo|printf) [0-9]{1,18}")
_FILTER = re.compile(
    rf"cat|(?:head|tail) -(?:n ?)?[0-9]{{1,9}}|sort(?: -[nru]{{1,3}})*|uniq|xargs|tr -d [^{DYNAMIC}]{{1,12}}"
    r"|tr -s (?: |\[:space:\])|cut (?:-d ? ?[^-] )?-f ?[0-9]|awk \{ ?print \$[0-9] ?;? ?\}"
)
"""What prints of numbers nothing but numbers, and reads no file."""
_DIGITS_ONLY = re.compile(r"tr (?:-dc|-cd|-d -c|-c -d) (?:0-9|\[0-9\]|\[:digit:\]|\\n|[ .,])+-?")
_BEFORE = frozenset({"sudo", "command", "-n", "LC_ALL=C", "LANG=C", "TZ=UTC"})
"""Words before the program that change nothing of it."""
_READING = frozenset({"eval", "source", ".", "read", "mapfile", "readarray", "select", "exec", "builtin"})
"""They, and functions, may take a value from their input into variables, with which the script computes meanwhile."""
_FOLDERS = frozenset({"", "/bin/", "/usr/bin/"})
_APART = frozenset("= \t\n(+-*/%<>!&|,^?:;")
"""What stands before a number without making a name of it: `a$(wc -l < f)` may be a5."""
_LONGEST = 100
"""Commands of a pipe, and words of a command, that are looked at."""


@dataclass(frozen=True, slots=True)
class Numeric:
    """A substitution that prints nothing but numbers."""

    start: int
    end: int
    commands: tuple[Command, ...]
    """Those in it, where none of them takes a value further than to what is printed."""
    says: Says


def numeric(
    text: str, substitutions: Sequence[Substitution], commands: Sequence[Arguments], functions: frozenset[str]
) -> Iterator[Numeric]:
    """Those of the substitutions that do, of which each stands after those within it. `commands` are all there are."""
    inner: list[Substitution] = []
    for one in substitutions:
        own: list[Arguments] = []
        after = one.after
        while inner and inner[-1].first >= one.first:
            within = inner.pop()
            own += commands[within.after : after]
            after = within.first
        own += commands[one.first : after]
        inner.append(one)
        if text.startswith("$(", one.start - 2) and _stands_alone(text, one.start - 2):
            says = _printed_by_all(text, own, functions)
            if says is not None:
                reads = any(not (_READING | functions).isdisjoint(each.called) for each in own)
                yield Numeric(one.start, one.end, () if reads else tuple(each.command for each in own), says)


def _stands_alone(text: str, at: int) -> bool:
    before = text[max(at - 4, 0) : at].rstrip('"')
    return before[-1:] in _APART if before else False


def _printed_by_all(text: str, commands: Sequence[Arguments], functions: frozenset[str]) -> Says | None:
    """The names that they may print beside numbers; None: anything."""
    says: Says = frozenset()
    known = False
    for one in commands:
        command = one.command
        if command.compound or command.pattern or command.processes:
            return None
        if command.piped or not (command.words or command.redirected):
            continue
        printed = _printed(text, one, functions)
        if printed is None:
            return None
        says, known = says | printed, True
    return says if known else None


def _printed(text: str, one: Arguments, functions: frozenset[str]) -> Says | None:
    """The same of one command, which may print what the one before it in its pipe does."""
    for _ in range(_LONGEST):
        if not _is_itself(text, one, functions):
            return None
        if (says := _of_itself(text, one)) is not None:
            return says
        feeder = one.command.feeder
        if feeder is None or not feeder.words or _FILTER.fullmatch(" ".join(one.texts[one.heads[-1] :])) is None:
            return None
        if "|&" in text[feeder.words[-1].end : one.command.words[0].start]:
            return None
        one = Arguments(feeder)
    return None


def _of_itself(text: str, one: Arguments) -> Says | None:
    head = one.heads[-1]
    told = " ".join(one.texts[head:])
    if _QUIET.fullmatch(told) or _DIGITS_ONLY.fullmatch(told):
        return frozenset()
    prints = PROGRAMS.get(one.called[-1])
    return prints(Operands(text, one.command.words[head + 1 :])) if prints is not None else None


def _is_itself(text: str, one: Arguments, functions: frozenset[str]) -> bool:
    """Whether it is the program of its name, with words of its own number, and its errors go elsewhere."""
    if not one.heads or one.perhaps or one.called[-1] in functions or len(one.texts) > _LONGEST:
        return False
    head = one.heads[-1]
    folder = "".join(one.texts[head].rpartition("/")[:2])
    return (
        folder in _FOLDERS
        and _BEFORE.issuperset(one.texts[:head])
        and _is_redirected_well(one.command)
        and Operands(text, one.command.words).are_single
    )


def _is_redirected_well(command: Command) -> bool:
    taken = {id(word) for word in command.taken}
    written = {id(word) for word in command.written}
    return all(
        word.text == "/dev/null" if id(word) in written else id(word) in taken or (word.start, word.end) in command.fed
        for word in command.redirected
    )
