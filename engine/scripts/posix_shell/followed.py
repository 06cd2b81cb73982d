"""A script that was read to its end."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from engine.scripts.posix_shell.arguments import Arguments, assigned_name
from engine.scripts.posix_shell.blocks import Block, Blocks
from engine.scripts.posix_shell.byvariable import ByVariable
from engine.scripts.posix_shell.calls import Calls
from engine.scripts.posix_shell.files import Files
from engine.scripts.posix_shell.numeric import Numeric, numeric
from engine.scripts.posix_shell.owninput import OwnInput
from engine.scripts.posix_shell.pieces import Command, Dialect, Substitution, Word
from engine.scripts.posix_shell.prints import COPYING, SILENT, counts, passed_on, reads_input
from engine.scripts.posix_shell.programs import is_input
from engine.scripts.posix_shell.spans import NOWHERE, Spans
from engine.scripts.posix_shell.variables import ANY, INPUT, STDIN

POSITIONAL = "@"
"""`$1`, `$2`, ..., of the script and of its functions."""
ELEMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\[")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_COPIES = re.compile(rf"(?:\$\(|`)\s*g?(?:{'|'.join(sorted(COPYING))})\b")
_DEEPEST = 40
_MOST = 100
"""Brackets that are looked for."""
_OF_ANOTHER = re.compile(r"[ \t\n][1-9][0-9]{0,3}<[>&]?[ \t]{0,9}\Z")
"""Before the name of a file: it is that of another descriptor than the input."""
_OF_DIGITS = re.compile(r"[ \t]+(?:\[0-9\]|\[\[:digit:\]\]|\\\.|[\^$()+*?0-9-]|\{[0-9,]+\})++(?:[ \t]+\]\])?", re.ASCII)
"""A pattern that only digits, dots and dashes match."""
_ALL_EXPORTED = re.compile(r" -[A-Za-z]*a| allexport")


def environment_of(one: Arguments) -> Iterator[str]:
    """The variables of its environment that a command prints; ANY: all of them."""
    if one.called[-1:] in (("printenv",), ("env",), ("envsubst",)):
        names = [text for text in one.texts[one.heads[-1] + 1 :] if text.isidentifier()]
        given = (assigned_name(text) for text in one.texts[: one.heads[-1]])
        yield from (name for name in (*(names or (ANY,)), *given) if name is not None)


def output(function: str) -> str:
    """The name here of what a function prints."""
    return f"{function}()"


@dataclass(frozen=True)
class Followed:
    """A script that was followed to its end."""

    text: str
    dialect: Dialect
    commands: tuple[Arguments, ...]
    functions: frozenset[str]
    arithmetic: Sequence[tuple[int, int]]
    """Places in the text, as the others."""
    parameters: Sequence[tuple[int, int]]
    """`${...}`"""
    others: Sequence[tuple[int, int]]
    """Scripts of others, which are not followed."""
    bodies: Sequence[tuple[int, int]]
    """Here-documents."""
    blocks: Blocks
    reads: Sequence[tuple[int, str]]
    """Where the values of variables are put in, in order."""
    substitutions: Sequence[Substitution]
    """What stands in `$( )` or the like, those within another before that."""
    held: frozenset[str] = frozenset()
    """The functions that variables of the script around it may hold."""

    @cached_property
    def numbers(self) -> tuple[Numeric, ...]:
        """The substitutions that print nothing but numbers."""
        return tuple(numeric(self.text, self.substitutions, self.commands, self.functions))

    @cached_property
    def counted(self) -> frozenset[int]:
        """By id: the commands in those, whose output goes nowhere else."""
        return frozenset(id(command) for one in self.numbers for command in one.commands)

    def is_number(self, at: int, start: int) -> bool:
        """Whether what stands at a place after `start` is part of a number that is put in there."""
        return bool(self.numbers) and self._number_spans.innermost(at) >= start

    def is_computed(self, at: int) -> bool:
        """Whether arithmetic has what stands there, and not only a number that a command makes of it."""
        begin = self._computed_spans.innermost(at)
        return begin != NOWHERE and not self.is_number(at, begin)

    def without_numbers(self, start: int, end: int) -> str:
        """The text between these places, with blanks for the substitutions that print numbers."""
        if not self.numbers:
            return self.text[start:end]
        pieces: list[str] = []
        for begin, after in self._number_spans.outermost(start, end):
            pieces += (self.text[start:begin], " " * (after - begin))
            start = after
        return "".join((*pieces, self.text[start:end]))

    @cached_property
    def _number_spans(self) -> Spans:
        return Spans((one.start, one.end) for one in self.numbers)

    @cached_property
    def _computed_spans(self) -> Spans:
        return Spans(self.arithmetic)

    def names_in(self, start: int, end: int, *, numbers: bool = True) -> Iterator[str]:
        """The variables whose values are put in between these places; `numbers`: or of which a number is made there."""
        yield from (name for at, name in self.reads_in(start, end) if numbers or not self.is_number(at, start))
        yield from self.outputs_in(start, end)

    def reads_in(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """The same of variables alone, and where."""
        for at, name in self.reads[bisect_left(self._read_places, start) : bisect_left(self._read_places, end)]:
            if self._computed_spans.innermost(at) < start:
                yield at, POSITIONAL if name[0] in "0123456789@*#" else name

    def outputs_in(self, start: int, end: int) -> Iterator[str]:
        """What functions print, and files hold, that are called or read in a substitution between these places."""
        places, names = self._calls
        for index in range(bisect_left(places, start + 1), bisect_left(places, end)):
            if not self.is_number(places[index], start):
                yield names[index]
        if self.functions and "`" in self.text[start:end]:
            yield from self.outputs_named_in(start, end)
        if "`" in self.text[start:end] and self.copies_input(start, end):
            yield from (STDIN, INPUT)

    def outputs_named_in(self, start: int, end: int) -> Iterator[str]:
        """The same, where commands are not followed: of functions whose names stand there."""
        if self.functions:
            words = _WORD.findall(self.without_numbers(start, end))
            yield from (output(name) for name in words if name in self.functions)

    @cached_property
    def by_command(self) -> dict[int, Arguments]:
        return {id(one.command): one for one in self.commands}

    def output_of(self, arguments: Arguments) -> str | None:
        """Where goes what this command prints: into the output of the function it stands in; None: into none."""
        function = arguments.command.function
        if not function or not arguments.heads or arguments.called[-1] in SILENT:
            return None
        return None if id(arguments.command) in self.counted else output(function)

    @cached_property
    def calls(self) -> Calls:
        """Who calls its functions, and with what."""
        return Calls(self)

    def passes_on(self, arguments: Arguments) -> Iterator[Arguments]:
        """The commands that what it prints goes through, one after the other."""
        return islice(passed_on(arguments.command, self.by_command), _MOST)

    def called_by_variable(self, arguments: Arguments) -> frozenset[str]:
        """The functions that a command may call whose name is a variable."""
        return self._by_variable.by_variable(arguments)

    @property
    def held_by_variables(self) -> frozenset[str]:
        """The functions that variables may hold: of this script, and of the one around it."""
        return self._by_variable.named | self.held

    def given_to_functions(self, arguments: Arguments) -> int | None:
        """The first of the words that a script within the script may give to functions of this one."""
        return self._by_variable.given(arguments)

    def may_call(self, arguments: Arguments) -> bool:
        """Whether a command calls a function, by its name or by a variable."""
        return not self.functions.isdisjoint(arguments.called) or bool(self.called_by_variable(arguments))

    @cached_property
    def _by_variable(self) -> ByVariable:
        return ByVariable(self)

    @cached_property
    def files(self) -> Files:
        """The files that it writes, reads and runs."""
        return Files(self)

    def has_own_input(self, arguments: Arguments) -> bool:
        """Whether a command may read what the script has on its standard input."""
        return self.takes_input(arguments.command)

    def takes_input(self, command: Command) -> bool:
        """The same, where no pipe stands before it."""
        if command.feeder is not None or command.fed or command.scripts:
            return False
        if not all(_is_own(word) or self._is_of_another(word) for word in command.taken):
            return False
        if not (words := command.words or command.taken):
            return False
        around = self.blocks.at(words[0].start).chain()
        return not any(self.is_given_input(block) or self.blocks.is_fed(block) for block in islice(around, _DEEPEST))

    def _is_of_another(self, file: Word) -> bool:
        return _OF_ANOTHER.search(self.text, max(file.start - 20, 0), file.start) is not None

    def is_given_input(self, block: Block) -> bool:
        """Whether a file or a here-document is named after it."""
        return block in self._given_input

    @cached_property
    def own_input(self) -> OwnInput:
        return OwnInput(self)

    @cached_property
    def copying_input(self) -> tuple[Arguments, ...]:
        """Commands that print what the script has on its standard input: `cat`, `tr -d ' '`, `< /dev/stdin`."""
        return tuple(
            one
            for one in self.commands
            if (reads_input(one) if one.heads else not one.command.words and one.command.taken)
            and self.own_input.reaches(one)
        )

    def copies_given(self, one: Arguments) -> bool:
        """Whether it prints what the brackets, or the function, it stands in are given: `echo x | { k=$(cat); }`."""
        command = one.command
        if command.feeder is not None or command.fed or command.scripts or not all(map(_is_own, command.taken)):
            return False
        return reads_input(one) if one.heads else bool(not command.words and command.taken)

    def copies_input(self, start: int, end: int) -> bool:
        """Whether a command between these places may do so, where commands are not followed."""
        return _COPIES.search(self.without_numbers(start, end)) is not None

    @cached_property
    def _given_input(self) -> frozenset[Block]:
        """The brackets and loops after which a file or a here-document is named."""
        found: list[Block | None] = []
        for one in self.commands:
            command = one.command
            given = [word.start for word in command.taken if not _is_own(word)]
            given += [start for start, _ in (*command.fed, *command.scripts)]
            if command.compound and given:
                found.append(self.blocks.ended_before(min(given)))
        return frozenset(block for block in found if block is not None)

    @cached_property
    def reads_processes(self) -> bool:
        """Whether commands in `>( ... )` read variables from what others print."""
        inner = {id(one) for command in self.commands for those in command.command.processes for one in those}
        calls = any(id(one.command) in inner and self.may_call(one) for one in (self.commands if inner else ()))
        return any(
            (id(one.command) in inner or (calls and one.command.function))
            and one.called[-1:] in (("read",), ("mapfile",), ("readarray",))
            for one in (self.commands if inner else ())
        )

    @cached_property
    def reads_last(self) -> bool:
        """Whether it reads `$_`, the last word of the command before."""
        return any(name == "_" for _, name in self.reads)

    @cached_property
    def capturing(self) -> frozenset[int]:
        """The commands, by their ids, of which `[[ x =~ y ]]` may leave more than digits in BASH_REMATCH."""
        return frozenset(id(one.command) for one in self.commands if self._captures(one.command.words))

    def _captures(self, words: Sequence[Word]) -> bool:
        if not words or words[0].text != "[[":
            return False
        at = next((at for at, word in enumerate(words) if word.text == "=~" and not word.quoted), None)
        return at is not None and _OF_DIGITS.fullmatch(self.text, words[at].end, words[-1].end) is None

    @cached_property
    def exported(self) -> frozenset[str]:
        """The variables that programs have from it."""
        found: set[str] = set()
        for one in self.commands:
            called, texts = one.called[-1:], one.texts
            if called == ("export",) or (one.declares and any(text[:1] == "-" and "x" in text for text in texts)):
                found.update(text.partition("=")[0] for text in texts[one.heads[-1] + 1 :])
        if any(one.called[-1:] == ("set",) and _ALL_EXPORTED.search(" ".join(one.texts)) for one in self.commands):
            names = (assigned_name(text) for one in self.commands for text in one.texts[:1])
            found.update(name for name in names if name is not None)
        return frozenset(found)

    @cached_property
    def _calls(self) -> tuple[list[int], list[str]]:
        calls = [
            (one.command.words[one.heads[-1]].start, output(one.called[-1]))
            for one in self.commands
            if one.heads and one.called[-1] in self.functions
        ]
        calls += (
            (one.command.words[0].start, output(name)) for one in self.commands for name in self.called_by_variable(one)
        )
        calls += ((place, name) for _, place, name in self.files.read())
        calls += (
            ((one.command.words[one.heads[-1]] if one.heads else one.command.taken[0]).start, STDIN)
            for one in self.copying_input
            if not any(map(counts, self.passes_on(one)))
        )
        calls += (
            ((one.command.words[one.heads[-1]] if one.heads else one.command.taken[0]).start, INPUT)
            for one in self.commands
            if self.copies_given(one) and not any(map(counts, self.passes_on(one)))
        )
        calls += self.printed
        calls.sort()
        return [at for at, _ in calls], [name for _, name in calls]

    @cached_property
    def printed(self) -> tuple[tuple[int, str], ...]:
        """Where programs print variables of their environment, and which: `printenv X`, `env`."""
        return tuple(
            (one.command.words[one.heads[-1]].start, name) for one in self.commands for name in environment_of(one)
        )

    @cached_property
    def _read_places(self) -> list[int]:
        return [at for at, _ in self.reads]

    @cached_property
    def pipes_all(self) -> bool:
        """Whether more goes through a pipe than the words of the command before it: `{ ...; } | x`."""
        return any(one.command.piped and (one.command.compound or self.may_call(one)) for one in self.commands)


def _is_own(word: Word) -> bool:
    """Whether what a command takes its input from may be that of the script: `< /dev/stdin`, `<&3`."""
    return is_input(word.text) or word.text.isdigit()


def assigned(arguments: Arguments, place: int, word: Word) -> str | None:
    if arguments.assigns(place):
        return assigned_name(word.text)
    if (name := arguments.set_by_option(place)) is not None:
        return name
    element = ELEMENT.match(word.text)
    return element[1] if element and place == arguments.first else None
