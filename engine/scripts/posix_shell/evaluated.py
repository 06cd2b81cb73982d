"""The variables of a script that are computed or evaluated somewhere, and those that flow into them."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property

from engine.scripts.posix_shell.arguments import AS_COMMAND, Arguments
from engine.scripts.posix_shell.around import FED, HANDED, READING, Effects, handed_to
from engine.scripts.posix_shell.filenames import is_file
from engine.scripts.posix_shell.files import HINT
from engine.scripts.posix_shell.flows import sinks as sinks_of
from engine.scripts.posix_shell.followed import POSITIONAL, output
from engine.scripts.posix_shell.inlineprograms import ANY
from engine.scripts.posix_shell.innerscripts import InnerScript, inner_scripts
from engine.scripts.posix_shell.judged import RUNS, Judged, of_splitting
from engine.scripts.posix_shell.owninput import scripts_in
from engine.scripts.posix_shell.pieces import Command, Dialect, Refusal, Word, dialect_of
from engine.scripts.posix_shell.variables import INPUT, STDIN, Sink
from engine.scripts.posix_shell.wrappers import array_of, filled, is_all

HINT_OF_DATA = "give the value to a program that takes it as data, in double quotes, as an argument of its own"


class Evaluated(Judged):
    """A script with what becomes of its variables."""

    @cached_property
    def sinks(self) -> dict[str, Sink]:
        """Variables that the script computes with or evaluates, and those that flow into them."""
        evaluated: dict[str, Sink] = {}
        for name, refusal in self._direct:
            evaluated.setdefault(name, Sink(name, f"which {refusal.reason}", refusal.hint or HINT_OF_DATA))
        handed: dict[str, set[str]] = {POSITIONAL: set(), INPUT: set()}
        for at, shares, effects in self._effects_of_inner:
            for name, sink in effects.sinks.items():
                if name not in evaluated and (shares or name != STDIN) and not self._digits.hold(name, at):
                    evaluated[name] = sink
            handed[POSITIONAL].update(name for name in effects.given if not self._digits.hold(name, at))
            handed[INPUT].update(name for name in effects.fed if not self._digits.hold(name, at))
            if self._feeds_functions:
                for name in handed[INPUT] - evaluated.keys():
                    evaluated[name] = Sink(name, f"which {FED}", HINT_OF_DATA)
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
            yield STDIN, Refusal(f"goes to the input of '{arguments.called[-1]}', which runs it", hint=HINT_OF_DATA)

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
            if place and (split := of_splitting(arguments)) is not None:
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
        if not (refusal.reason.startswith(AS_COMMAND) or refusal.reason.endswith(RUNS)):
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

    @cached_property
    def _inner(self) -> list[InnerScript]:
        return [*inner_scripts(self.followed, self._inputs.made)]

    @abstractmethod
    def _of_inner(self, code: str, dialect: Dialect) -> Effects:
        """The effects of a script within the script, which has to be read for that."""
