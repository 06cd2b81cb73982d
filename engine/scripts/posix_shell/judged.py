"""What a command makes of the values in its words, by itself and by what it hands them on to."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property

from engine.scripts.posix_shell.alternatives import Alternatives
from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.around import Around
from engine.scripts.posix_shell.blocks import Blocks
from engine.scripts.posix_shell.digits import Digits
from engine.scripts.posix_shell.followed import Followed
from engine.scripts.posix_shell.given import Given
from engine.scripts.posix_shell.innerscripts import SINGLE_QUOTED
from engine.scripts.posix_shell.inputs import NAME_HINT, Inputs
from engine.scripts.posix_shell.lists import Lists
from engine.scripts.posix_shell.pieces import Command, Dialect, Refusal
from engine.scripts.posix_shell.wrappers import Skips, begins, wrappers

_ALONE = Around()
_NEAR = 80
"""Characters before a word in which a pipe is looked for."""
DEEPEST = 4
"""Scripts within scripts that are followed, and functions that run functions."""
RUNS = "which runs its arguments as a command"
_RUNS_HINT = "write the command in the script, and give the function only its arguments"
_ARRAY_HINT = (
    'write the words of the array in the script, each variable in it in double quotes: command=(curl --retry "$n"); '
    "or write the command itself, and let the array hold its options"
)
_SPLIT_HINT = 'put it in double quotes, as in "$x"'
_OPENING = frozenset({"case", "for", "select", "coproc", "time", "!"})
"""Words after which more than one command may stand, or another one."""


def given_to_script(shell: str) -> Refusal:
    hint = "let that script take it as data: '\"$1\"' as an argument of a program"
    return Refusal(f"is given to a script of '{shell}' that may evaluate it", hint=hint)


def of_splitting(arguments: Arguments) -> Refusal | None:
    """Why no value may stand in this command without quotes: of several words some may be operators or options."""
    if arguments.splits is None or arguments.command.pattern:
        return None
    reason = f"stands without quotes in a command with '{arguments.splits}', which may evaluate it"
    return Refusal(reason, hint=_SPLIT_HINT)


class Judged(Lists, ABC):
    """A script with what is known of each of its commands, once it is read to its end."""

    def __init__(
        self, text: str, dialect: Dialect, depth: int = 0, *, around: Around = _ALONE, passes: bool = False
    ) -> None:
        super().__init__(text, dialect, passes=passes)
        self._within = depth
        """Of how many other scripts it is a part."""
        self._around = around
        self.functions.update(around.functions)
        self._arrays_run: set[str] = set()
        """Arrays that are run as commands, once the sinks are known."""
        self._parts: dict[tuple[int, int], Arguments] = {}
        self._known: dict[int, Arguments] = {}
        self._given: dict[int, bool] = {}

    def _arguments(self, command: Command) -> Arguments:
        if id(command) not in self._known:
            self._known[id(command)] = Arguments(command)
        return self._known[id(command)]

    def _judged(self, arguments: Arguments, place: int, depth: int = 0) -> Refusal | None:
        """Why a value in the word at this place would be evaluated, by the command or by what it hands it on to."""
        return arguments.judged(place) or self._handed_on(arguments, place, depth)

    def _handed_on(self, arguments: Arguments, place: int, depth: int) -> Refusal | None:
        given = arguments.gives(place)
        if given is not None and given.by_shell and not self._takes_data(arguments, given):
            return given_to_script(given.reader)
        if (refusal := self._inputs.of_words(arguments, place)) is not None:
            return refusal
        if (refusal := self._by_variable(arguments, place, depth)) is not None:
            return refusal
        begun = begins(arguments, self._wrappers)
        if begun is None or (begun and depth >= DEEPEST):
            return Refusal(f"is given to '{arguments.called[-1]}', {RUNS}", hint=_RUNS_HINT)
        for begin in begun:
            if place >= begin:
                refusal = self._judged(self._part(arguments, begin), place - begin, depth + 1)
                if refusal is not None:
                    return refusal
        return None

    def _by_variable(self, arguments: Arguments, place: int, depth: int) -> Refusal | None:
        """The same for a command whose name is put together of variables, or is all of an array."""
        named = self._alternatives.named(arguments)
        if named == () or place <= self._alternatives.place(arguments):
            return None
        if named is None or depth >= DEEPEST:
            hint = _ARRAY_HINT if self._alternatives.is_array(arguments) else NAME_HINT
            return Refusal("is given to a command whose name is not known here", hint=hint)
        judged = (self._judged(one, place + len(one.texts) - len(arguments.texts), depth + 1) for one in named)
        return next((refusal for refusal in judged if refusal is not None), None)

    def _part(self, arguments: Arguments, begin: int) -> Arguments:
        """The command that the words from `begin` on are."""
        key = (id(arguments), begin)
        if key not in self._parts:
            whole = arguments.command
            part = Command(words=whole.words[begin:], function=whole.function, certain=whole.certain)
            self._parts[key] = Arguments(part)
        return self._parts[key]

    @cached_property
    def _wrappers(self) -> dict[str, Skips]:
        return wrappers(self.followed.commands, self._text, dict(self._around.runs))

    @cached_property
    def _around_inner(self) -> Around:
        """The functions that scripts within this one may call."""
        return Around.of(self.functions, self._wrappers, self.followed.held_by_variables)

    @abstractmethod
    def _takes_data(self, arguments: Arguments, given: Given) -> bool:
        """Whether a script within the script, which has to be read for that, surely takes its arguments as data."""

    def _codes(self, arguments: Arguments, given: Given) -> Iterator[str]:
        """What it may read as its script; nothing where that is not written out."""
        if given.code is None:
            yield from (self._text[start:end] for start, end in (*self.bodies, *self.others))
            return
        word = arguments.command.words[given.code]
        raw = self._text[word.start : word.end]
        if SINGLE_QUOTED.fullmatch(raw):
            yield raw[1:-1]

    @cached_property
    def _inputs(self) -> Inputs:
        commands = [(one, self._arguments(one)) for one in self._all]
        return Inputs(self._text, commands, frozenset(self.functions), self._may_be)

    def _may_be(self, arguments: Arguments) -> Sequence[Arguments] | None:
        """The commands that one is by the variables before its name, or that a function runs; None: nobody can tell."""
        if arguments.perhaps:
            return self._alternatives.of(arguments)
        begun = begins(arguments, self._wrappers) or ()
        return [self._part(arguments, begin) for begin in begun]

    @cached_property
    def _alternatives(self) -> Alternatives:
        return Alternatives(self.followed)

    @cached_property
    def _has_pipes(self) -> bool:
        return any(command.piped for command in self._all)

    @cached_property
    def _pipes_reach_readers(self) -> bool:
        """Whether a command that a pipe leads to may take commands from there, be it within brackets or a function."""
        if self.followed.pipes_all:
            return self._inputs.reads_commands
        for command in self._all:
            if command.feeder is not None and (self._opens_more(command) or self._inputs.may_read(command)):
                return self._inputs.reads_commands
        return False

    def _opens_more(self, command: Command) -> bool:
        """Whether more than this command may read its pipe: the first of brackets, a function, a substitution."""
        if not command.words or command.words[0].text in _OPENING or command.compound:
            return True
        if self.followed.may_call(self._arguments(command)):
            return True
        raw = self._text[command.words[0].start : command.words[-1].end]
        start = command.words[0].start
        before = self._text[max(start - _NEAR, 0) : start].rstrip()
        return not before.endswith(("|", "|&")) or any(mark in raw for mark in ("$(", "`", "<(", ">("))

    @cached_property
    def _has_arrays(self) -> bool:
        return any(
            word.text[:1] in "-+" and ("a" in word.text or "A" in word.text)
            for command in self._all
            if self._arguments(command).declares
            for word in command.words
        )

    @cached_property
    def _digits(self) -> Digits:
        return Digits(self.followed)

    @cached_property
    def followed(self) -> Followed:
        """What is known when all of it is read."""
        return Followed(
            text=self._text,
            dialect=self.dialect,
            commands=tuple(self._arguments(command) for command in self._all),
            functions=frozenset(self.functions),
            arithmetic=self.computed,
            parameters=self.parameters,
            others=self.others,
            bodies=self.bodies,
            blocks=Blocks(self.marks, len(self._text)),
            reads=self.reads,
            substitutions=self.substitutions,
            held=self._around.held,
        )
