"""The verdict on each hole of a script."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache

from engine.scripts.posix_shell import plain
from engine.scripts.posix_shell.alternatives import Alternatives
from engine.scripts.posix_shell.arguments import AS_COMMAND, Arguments
from engine.scripts.posix_shell.around import FED, HANDED, READING, Around, Effects, handed_to
from engine.scripts.posix_shell.blocks import Blocks
from engine.scripts.posix_shell.digits import Digits
from engine.scripts.posix_shell.filenames import is_file, last_part
from engine.scripts.posix_shell.files import HINT
from engine.scripts.posix_shell.flows import (
    computed_at_least,
    evaluated_at_least,
    read_at_least,
    targets,
)
from engine.scripts.posix_shell.flows import sinks as sinks_of
from engine.scripts.posix_shell.followed import POSITIONAL, Followed, output
from engine.scripts.posix_shell.given import Given, as_values
from engine.scripts.posix_shell.inlineprograms import ANY
from engine.scripts.posix_shell.innerscripts import SINGLE_QUOTED, InnerScript, inner_scripts
from engine.scripts.posix_shell.inputs import NAME_HINT, Inputs
from engine.scripts.posix_shell.lists import Lists
from engine.scripts.posix_shell.owninput import scripts_in
from engine.scripts.posix_shell.pieces import DYNAMIC, ENV_HINT, Command, Dialect, Reading, Refusal, Unsure, Word
from engine.scripts.posix_shell.prints import SAYING
from engine.scripts.posix_shell.variables import INPUT, STDIN, Sink, computing, numeric_hint
from engine.scripts.posix_shell.wrappers import Skips, array_of, begins, filled, is_all, wrappers


def readings(text: str, holes: Sequence[int], dialect: Dialect) -> dict[int, Reading | Refusal]:
    """For each hole, an offset in `text` where HOLE stands in its place, how the value is read there."""
    return _readings(text, holes, dialect, Around())


def _readings(text: str, holes: Sequence[int], dialect: Dialect, around: Around) -> dict[int, Reading | Refusal]:
    scan = Scan(text, dialect, around=around, passes=True)
    try:
        scan = scan.read()
    except Unsure as unsure:
        reason = f"stands in a script that cannot be followed for certain: {unsure.reason}"
        known = {hole: scan.found.get(hole) for hole in holes}
        return {hole: found if isinstance(found, Refusal) else Refusal(reason) for hole, found in known.items()}
    return {hole: scan.verdict(hole) for hole in holes}


def sinks(text: str, dialect: Dialect) -> dict[str, Sink]:
    """The variables whose value the script computes, as `n` in `$((n + 1))`, or evaluates, as in `eval "$n"`."""
    return _effects(text, dialect, 0, Around()).sinks


def sinks_at_least(text: str) -> dict[str, Sink]:
    """The same of a script that is not followed, as far as its lines show it."""
    found = {name: computing(name) for name in computed_at_least(text)} | evaluated_at_least(text)
    if (match := _MAY_RUN_INPUT.search(text)) is not None:
        says = f"in a script that cannot be followed for certain, and in which '{match[0]}' may run it"
        found[STDIN] = Sink(STDIN, says, _HINT)
    return found


def _effects(text: str, dialect: Dialect, depth: int, around: Around) -> Effects:
    scan = Scan(text, dialect, depth, around=around, passes=True)
    try:
        scan = scan.read()
    except Unsure:
        names = read_at_least(text) if around.named_in(text) else frozenset[str]()
        return Effects(sinks_at_least(text), names, names)
    return scan.effects()


_MAY_RUN_INPUT = re.compile(
    r"(?<![\w.-])(eval|source|ssh|xargs|parallel|select|mapfile|readarray|let|batch|crontab|python[0-9.]*|perl|ruby|node|php"
    r"|(?:ba|da|a|k|z|c|tc|fi)?sh)(?![\w.-])|(\(\(|\[\[)"
)
"""Words of a script that is not followed by which its input may be run or computed."""
_MAYBE_DASH = re.compile(r"(?:[-})`]|\$[\w@*#?!$-]+)\Z")
"""What ends so may end in a dash: it does, or is a variable or a substitution."""
_NEAR = 80
_ALONE = Around()
_DEEPEST = 4
"""Scripts within scripts that are followed, and functions that run functions."""
_RUNS = "which runs its arguments as a command"
_RUNS_HINT = "write the command in the script, and give the function only its arguments"
_ARRAY_HINT = (
    'write the words of the array in the script, each variable in it in double quotes: command=(curl --retry "$n"); '
    "or write the command itself, and let the array hold its options"
)
_SPLIT_HINT = 'put it in double quotes, as in "$x"'
_PRINTED = "what the command prints"
_HINT = "give the value to a program that takes it as data, in double quotes, as an argument of its own"


def is_harmless(code: str, dialect: Dialect, around: Around = _ALONE) -> bool:
    """Whether a script evaluates none of its arguments: as if values stood in it where it reads them."""
    return (_remembered if len(code) <= SHORT else _is_harmless)(code, dialect, around)


SHORT = 4_096
"""Code points of a script whose answer is remembered: longer ones would be held as long as the process lives."""


def _is_harmless(code: str, dialect: Dialect, around: Around) -> bool:
    marked = as_values(code)
    if marked is None or POSITIONAL in _effects(code, dialect, 0, around).sinks:
        return False
    found = _readings(*marked, dialect, around)
    return not any(isinstance(reading, Refusal) for reading in found.values())


_remembered = lru_cache(maxsize=512)(_is_harmless)


def dialect_of(shell: str, ours: Dialect) -> Dialect:
    """How a shell of this name reads its script; `ours`: sh itself."""
    return ours if shell in ("sh", "dash", "ash") else "bash"


def given_to_script(shell: str) -> Refusal:
    hint = "let that script take it as data: '\"$1\"' as an argument of a program"
    return Refusal(f"is given to a script of '{shell}' that may evaluate it", hint=hint)


def _split(arguments: Arguments) -> Refusal | None:
    """Why no value may stand in this command without quotes: of several words some may be operators or options."""
    if arguments.splits is None or arguments.command.pattern:
        return None
    reason = f"stands without quotes in a command with '{arguments.splits}', which may evaluate it"
    return Refusal(reason, hint=_SPLIT_HINT)


_OPENING = frozenset({"case", "for", "select", "coproc", "time", "!"})
"""Words after which more than one command may stand, or another one."""


class Scan(Lists):
    """A script that is read, and judged when that is done.

    A hole is judged by its command as a whole, which is complete only later: `| sh` follows what it executes.
    """

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

    def read(self) -> "Scan":
        """Reads all of it. Where what was passed over might matter, it is read once more, and nothing passed over."""
        self.commands(close=None)
        self.bodies_ended()
        return (
            self
            if not self.passed or self._may_pass()
            else Scan(self._text, self.dialect, self._within, around=self._around).read()
        )

    def _may_pass(self) -> bool:
        """Whether what was passed over takes its words as data, and hands nothing on."""
        called = plain.taking_data("".join(self.passed))
        return (
            called is not None
            and self.functions.isdisjoint(called)
            and not self.followed.reads_last
            and not self.followed.pipes_all
            and not self._names_files()
            and not any(command.processes for command in self._all)
        )

    def _names_files(self) -> bool:
        """Whether lines that were passed over may copy a file that others write."""
        names = [last_part(name) for name in self.followed.files.written]
        return any(name in line for name in names for line in self.passed)

    def verdict(self, hole: int) -> Reading | Refusal:
        reading = self.found.get(hole)
        if reading is None:
            return Refusal("stands where it could not be followed")
        if isinstance(reading, Refusal):
            return reading
        if self.followed.is_computed(hole):
            return Refusal(f"stands in arithmetic, which evaluates {_PRINTED}", reading, numeric_hint())
        for command in self._owners.get(hole, []):
            if (refusal := self._refusal(command, hole, reading)) is not None:
                return refusal
        return reading

    def _refusal(self, command: Command, hole: int, reading: Reading) -> Refusal | None:
        arguments = self._arguments(command)
        place = command.places.get(hole)
        split = _split(arguments) if place else None
        number = place is not None and self.followed.is_number(hole, command.words[place].start)
        if place and split and not number and any(start <= hole < end for start, end in command.words[place].split):
            return replace(split, of_number=reading)
        evaluated = arguments.evaluate(hole)
        if evaluated is not None and hole in command.holes_taken and self._inputs.made(arguments) == "data":
            evaluated = None  # what is in that file is no code
        if evaluated is not None and evaluated.of_number == "bare" and arguments.called == ("[[",):
            printed = self._is_printed(arguments, hole)
            evaluated = None if number else replace(evaluated, hint=numeric_hint() if printed else evaluated.hint)
        if evaluated is not None and arguments.called == ("let",) and hole in command.places:
            return replace(evaluated, of_number=reading, hint="")  # as in `$(( ))`
        if evaluated is not None:
            return self._unless_number(evaluated, arguments, hole, reading)
        if (refusal := self._flows(arguments, hole, reading, number=number)) is not None:
            return refusal
        fed = self._feeds(command, hole)
        return None if fed is None else self._unless_number(fed, arguments, hole, reading)

    def _unless_number(self, refusal: Refusal, arguments: Arguments, hole: int, reading: Reading) -> Refusal:
        """Digits within a text are data to every program that reads it: `sed -n "1,5p"`, `ssh h "sleep 5"`."""
        if refusal.of_number is not None:
            return refusal
        place = arguments.command.places.get(hole)
        alone = place is not None and not arguments.texts[place].replace(DYNAMIC, "")
        before = self._text[max(hole - _NEAR, 0) : hole].rstrip("\"'")
        if alone or _MAYBE_DASH.search(before) is not None:  # `x --5` is a comment in SQL
            return refusal
        return replace(refusal, of_number=reading, hint=refusal.hint or ENV_HINT)

    def _arguments(self, command: Command) -> Arguments:
        if id(command) not in self._known:
            self._known[id(command)] = Arguments(command)
        return self._known[id(command)]

    def _flows(self, arguments: Arguments, hole: int, reading: Reading, *, number: bool) -> Refusal | None:
        command, place = arguments.command, arguments.command.places.get(hole)
        if place is not None and arguments.declares and self._has_arrays and not command.words[place].array:
            return Refusal("is declared in a script with arrays, for which bash may read it again")
        if place is not None and (refusal := self._handed_on(arguments, place, 0)) is not None:
            return refusal
        if place is not None and command.words[place].array and (refusal := self._in_array(hole)) is not None:
            return refusal
        for name in () if number else targets(self.followed, arguments, hole):
            if (sink := self.sinks.get(name)) is not None:
                if self._is_printed(arguments, hole) and not sink.hint:
                    reason = f"is given to a command, and what that prints becomes {sink.of(name)}"
                    return Refusal(reason, reading, numeric_hint(sink.name))
                return Refusal(f"becomes {sink.of(name)}", reading, sink.hint)
        return None

    def _is_printed(self, arguments: Arguments, hole: int) -> bool:
        """Whether a command within this one is given the value, and may print another."""
        inner = (self._arguments(one).called[-1:] for one in self._owners[hole] if one is not arguments.command)
        return any(called and called[0] not in SAYING for called in inner)

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
        if begun is None or (begun and depth >= _DEEPEST):
            return Refusal(f"is given to '{arguments.called[-1]}', {_RUNS}", hint=_RUNS_HINT)
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
        if named is None or depth >= _DEEPEST:
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

    def _takes_data(self, arguments: Arguments, given: Given) -> bool:
        """Whether a script within the script surely takes its arguments as data."""
        key = id(arguments)
        if key not in self._given:
            codes = [*self._codes(arguments, given)]
            dialect = dialect_of(given.reader, self.dialect)
            feeds = self._feeds_functions and any(self._around_inner.feeds(code) for code in codes)
            harmless = (is_harmless(code, dialect, self._around_inner.in_shell_of(code)) for code in codes)
            self._given[key] = bool(codes) and not feeds and all(harmless)
        return self._given[key]

    def _codes(self, arguments: Arguments, given: Given) -> Iterator[str]:
        """What it may read as its script; nothing where that is not written out."""
        if given.code is None:
            yield from (self._text[start:end] for start, end in (*self.bodies, *self.others))
            return
        word = arguments.command.words[given.code]
        raw = self._text[word.start : word.end]
        if SINGLE_QUOTED.fullmatch(raw):
            yield raw[1:-1]

    def _feeds(self, command: Command, hole: int) -> Refusal | None:
        compound = self._has_pipes and self.followed.pipes_all
        refusal = self._inputs.refusal(command, within=hole in command.in_input, compound=compound)
        read = self._inputs.reads_commands if hole in command.in_input else self._pipes_reach_readers
        if refusal is None and read:
            return Refusal("stands in a script where a shell or interpreter may read its commands from standard input")
        return refusal

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
    def sinks(self) -> dict[str, Sink]:
        """Variables that the script computes with or evaluates, and those that flow into them."""
        evaluated: dict[str, Sink] = {}
        for name, refusal in self._direct:
            evaluated.setdefault(name, Sink(name, f"which {refusal.reason}", refusal.hint or _HINT))
        handed: dict[str, set[str]] = {POSITIONAL: set(), INPUT: set()}
        for at, shares, effects in self._effects_of_inner:
            for name, sink in effects.sinks.items():
                if name not in evaluated and (shares or name != STDIN) and not self._digits.hold(name, at):
                    evaluated[name] = sink
            handed[POSITIONAL].update(name for name in effects.given if not self._digits.hold(name, at))
            handed[INPUT].update(name for name in effects.fed if not self._digits.hold(name, at))
            if self._feeds_functions:
                for name in handed[INPUT] - evaluated.keys():
                    evaluated[name] = Sink(name, f"which {FED}", _HINT)
        return sinks_of(self.followed, evaluated, self._digits, handed)

    def effects(self) -> Effects:
        """What it makes of variables, as a part of the script around it."""
        if not self._around.functions:
            return Effects(self.sinks)
        given, fed = handed_to(self._around, self.followed, self._digits)
        for at, _, effects in self._effects_of_inner:
            given |= {name for name in effects.given if not self._digits.hold(name, at)}
            fed |= {name for name in effects.fed if not self._digits.hold(name, at)}
        return Effects(self.sinks, self._reaching(given), self._reaching(fed))

    def _reaching(self, names: set[str]) -> frozenset[str]:
        """These names, and those that flow into them."""
        return frozenset(sinks_of(self.followed, dict.fromkeys(names, HANDED), self._digits) if names else ())

    @cached_property
    def _feeds_functions(self) -> bool:
        """Whether what goes to the input of a function may be run, or read."""
        return any(
            one.command.function and (self._inputs.may_read(one.command) or not READING.isdisjoint(one.called))
            for one in self.followed.commands
        ) or bool(self._around.functions)

    @cached_property
    def _effects_of_inner(self) -> list[tuple[int, bool, Effects]]:
        """Of each script within the script: where it stands, whether it has the same input, and its effects."""
        known: dict[tuple[str, Dialect], Effects] = {}
        found = []
        for one in self._inner:
            if (one.code, one.dialect) not in known:
                known[one.code, one.dialect] = self._of_inner(one.code, one.dialect)
            outside = known[one.code, one.dialect].outside(arguments=one.shares_arguments)
            found.append((one.at, one.shares_input, outside))
        return found

    @cached_property
    def _digits(self) -> Digits:
        return Digits(self.followed)

    @cached_property
    def _direct(self) -> list[tuple[str, Refusal]]:
        """The variables whose values are put in where a value would be evaluated."""
        found: list[tuple[str, Refusal]] = []
        for arguments in self.followed.commands:
            found += (*self._of_words(arguments), *self._fed(arguments.command), *self._of_environment(arguments))
            found += self._of_own_input(arguments)
            if self.followed.files.written:
                found += self.followed.files.run(arguments, input_runs=self._inputs.runs_input(arguments))
        found += self._of_files()
        done: set[str] = set()
        while waiting := self._arrays_run - done:
            done |= waiting
            for name in waiting:
                found += self._of_words(self._arrays[name])
        return found

    def _of_own_input(self, arguments: Arguments) -> Iterator[tuple[str, Refusal]]:
        """The same for what the script has on its standard input."""
        if not arguments.heads or not self.followed.own_input.reaches(arguments):
            return
        within = any(self._runs_input(code, arguments) for code in scripts_in(arguments, self._text))
        if within or self._inputs.runs_own_input(arguments):
            yield STDIN, Refusal(f"goes to the input of '{arguments.called[-1]}', which runs it", hint=_HINT)

    def _runs_input(self, code: str, arguments: Arguments) -> bool:
        """Whether a script within the script runs or computes what it has on its standard input."""
        dialect = dialect_of("bash" if "bash" in arguments.called or "ssh" in arguments.called else "sh", self.dialect)
        return STDIN in self._of_inner(code, dialect).sinks

    @cached_property
    def _arrays(self) -> dict[str, Arguments]:
        return filled(self.followed.commands)

    def _of_words(self, arguments: Arguments) -> Iterator[tuple[str, Refusal]]:
        tests = arguments.called[-1:] in (("[[",), ("[",), ("test",))  # to them a number is data wherever it stands
        for place, word in enumerate(arguments.command.words):
            names = [
                name
                for name in self.followed.names_in(word.start, word.end, numbers=not tests)
                if not self._digits.hold(name, word.start)
            ]
            if not names or (word.subscript and "=" in word.text):
                continue  # of an array's element bash computes what stands in brackets
            if place and (split := _split(arguments)) is not None:
                found = (
                    name for start, end in word.split for name in self.followed.names_in(start, end, numbers=not tests)
                )
                found = (name for name in found if not is_file(name))  # of `[ $(cat f) = x ]` nothing is feared
                yield from ((name, split) for name in found if not self._digits.hold(name, word.start))
            if arguments.called[-1:] == ("export",):
                names = [name for name in names if not is_file(name)]  # `export $(cat .env)`
            refusal = self._judged(arguments, place)
            if refusal is not None and not self._runs_arguments(word, refusal):
                yield from ((name, refusal) for name in names)

    def _of_files(self) -> Iterator[tuple[str, Refusal]]:
        """The same for files that are written, and run by way of a pipe or a script within the script."""
        files = self.followed.files
        for arguments, _, name in files.read():
            after = arguments.command.feeds
            if after is not None and self._inputs.runs_input(self._arguments(after)):
                yield name, Refusal(f"is run by '{self._arguments(after).called[-1]}' in the same script", hint=HINT)
        if files.written:
            codes = (one.command.words for one in self.followed.commands if one.takes_code)
            yield from (one for words in codes for word in words if word.quoted for one in files.run_in(word.text))
            yield from (one for inner in self._inner for one in files.run_in(inner.code))

    def _of_environment(self, arguments: Arguments) -> Iterator[tuple[str, Refusal]]:
        """The same for the variables that a program within the script has from its environment."""
        if arguments.environment is None or (refusal := arguments.of_environment()) is None:
            return
        names = arguments.environment[1]
        names |= self.followed.exported if ANY in names else frozenset()
        at = arguments.command.words[0].start
        yield from ((name, refusal) for name in names if not self._digits.hold(name, at))

    def _runs_arguments(self, word: Word, refusal: Refusal) -> bool:
        """Whether it is `"$@"`, or all of an array, as a command: then what matters is what that consists of."""
        raw = self._text[word.start : word.end]
        if not (refusal.reason.startswith(AS_COMMAND) or refusal.reason.endswith(_RUNS)):
            return False
        array = array_of(raw)
        if array is not None and array in self._arrays:
            self._arrays_run.add(array)
            return True
        return is_all(raw)

    def _in_array(self, hole: int) -> Refusal | None:
        """Why a value in the items of an array would be evaluated."""
        _ = self.sinks  # by then it is known which arrays are run
        for name in self._arrays_run:
            arguments = self._arrays[name]
            place = arguments.command.places.get(hole)
            if place is not None and (refusal := self._judged(arguments, place)) is not None:
                return refusal
        return None

    def _fed(self, command: Command) -> Iterator[tuple[str, Refusal]]:
        """The same for values that go through a pipe or a here-document."""
        printed = command.piped or self._inputs.goes_to_process(command)
        if not printed and not command.fed:
            return
        compound = self._has_pipes and self.followed.pipes_all
        given = [(word.start, word.end) for word in command.words] if printed else []
        for places, within in ((given, False), (command.fed, True)):
            refusal = self._inputs.refusal(command, within=within, compound=compound) if places else None
            if refusal is not None:
                yield from ((name, refusal) for start, end in places for name in self.followed.names_in(start, end))
                arguments = self._arguments(command)
                called = {*arguments.called[-1:]} & self.functions if not within else set()
                by_variable = self.followed.called_by_variable(arguments) if not within else ()
                yield from ((output(name), refusal) for name in (*called, *by_variable))

    # --- scripts within the script ------------------------------------------------------------------------------------

    @cached_property
    def _inner(self) -> list[InnerScript]:
        return [*inner_scripts(self.followed, self._inputs.made)]

    def _of_inner(self, code: str, dialect: Dialect) -> Effects:
        if self._within >= _DEEPEST:
            reason = "stands in a script within scripts, too deep to be followed"
            names = read_at_least(code)
            sinks = {name: Sink(name, f"which {reason}", _HINT) for name in (*names, STDIN)}
            return Effects(sinks, names, names)
        return _effects(code, dialect, self._within + 1, self._around_inner.in_shell_of(code))

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
