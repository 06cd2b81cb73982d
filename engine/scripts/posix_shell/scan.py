"""The verdict on each hole of a script."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from engine.scripts.posix_shell import plain
from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.around import Around, Effects
from engine.scripts.posix_shell.evaluated import HINT_OF_DATA, Evaluated
from engine.scripts.posix_shell.filenames import last_part, variables_in
from engine.scripts.posix_shell.flows import (
    computed_at_least,
    evaluated_at_least,
    read_at_least,
    targets,
)
from engine.scripts.posix_shell.followed import POSITIONAL
from engine.scripts.posix_shell.given import Given, as_values
from engine.scripts.posix_shell.judged import DEEPEST, of_splitting
from engine.scripts.posix_shell.pieces import DYNAMIC, ENV_HINT, Command, Dialect, Reading, Refusal, Unsure, dialect_of
from engine.scripts.posix_shell.prints import SAYING
from engine.scripts.posix_shell.variables import STDIN, Sink, computing, numeric_hint


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
        found[STDIN] = Sink(STDIN, says, HINT_OF_DATA)
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
_PRINTED = "what the command prints"


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


class Scan(Evaluated):
    """A script that is read, and judged when that is done.

    A hole is judged by its command as a whole, which is complete only later: `| sh` follows what it executes.
    """

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
        names += [f"{variable}=" for name in names for variable in variables_in(name)]
        return any("$" in line if "$" in name else name in line for name in names for line in self.passed)

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
        split = of_splitting(arguments) if place else None
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

    def _feeds(self, command: Command, hole: int) -> Refusal | None:
        compound = self._has_pipes and self.followed.pipes_all
        refusal = self._inputs.refusal(command, within=hole in command.in_input, compound=compound)
        read = self._inputs.reads_commands if hole in command.in_input else self._pipes_reach_readers
        if refusal is None and read:
            return Refusal("stands in a script where a shell or interpreter may read its commands from standard input")
        return refusal

    def _of_inner(self, code: str, dialect: Dialect) -> Effects:
        if self._within >= DEEPEST:
            reason = "stands in a script within scripts, too deep to be followed"
            names = read_at_least(code)
            sinks = {name: Sink(name, f"which {reason}", HINT_OF_DATA) for name in (*names, STDIN)}
            return Effects(sinks, names, names)
        return _effects(code, dialect, self._within + 1, self._around_inner.in_shell_of(code))
