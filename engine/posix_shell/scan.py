"""The verdict on each hole of a script."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from engine.posix_shell.arguments import Arguments
from engine.posix_shell.flows import POSITIONAL, Followed, computed_at_least, computed_names, targets
from engine.posix_shell.given import Given, as_values
from engine.posix_shell.inputs import Inputs
from engine.posix_shell.lists import Lists
from engine.posix_shell.pieces import Command, Dialect, Reading, Refusal, Unsure


def readings(text: str, holes: Sequence[int], dialect: Dialect) -> dict[int, Reading | Refusal]:
    """For each hole, an offset in `text` where HOLE stands in its place, how the value is read there."""
    scan = Scan(text, dialect)
    try:
        scan.commands(close=None)
        scan.bodies_ended()
    except Unsure as unsure:
        reason = f"stands in a script that cannot be followed for certain: {unsure.reason}"
        known = {hole: scan.found.get(hole) for hole in holes}
        return {hole: found if isinstance(found, Refusal) else Refusal(reason) for hole, found in known.items()}
    return {hole: scan.verdict(hole) for hole in holes}


def computed(text: str, dialect: Dialect) -> frozenset[str]:
    """The variables whose value the script computes, as `n` in `$((n + 1))`: their values may run commands in bash."""
    scan = Scan(text, dialect)
    try:
        scan.commands(close=None)
        scan.bodies_ended()
    except Unsure:
        return computed_at_least(text)
    return scan.computed_names


_SINGLE_QUOTED = re.compile(r"'[^']*'")


def _is_harmless(code: str, dialect: Dialect) -> bool:
    """Whether a script evaluates none of its arguments: as if values stood in it where it reads them."""
    marked = as_values(code)
    if marked is None or POSITIONAL in computed(code, dialect):
        return False
    found = readings(*marked, dialect)
    return not any(isinstance(reading, Refusal) for reading in found.values())


class Scan(Lists):
    """A script that is read, and judged when that is done.

    A hole is judged by its command as a whole, which is complete only later: `| sh` follows what it executes.
    """

    def __init__(self, text: str, dialect: Dialect) -> None:
        super().__init__(text, dialect)
        self._judged: dict[int, Arguments] = {}
        self._given: dict[int, bool] = {}

    def verdict(self, hole: int) -> Reading | Refusal:
        reading = self.found.get(hole)
        if reading is None:
            return Refusal("stands where it could not be followed")
        if isinstance(reading, Refusal):
            return reading
        for command in self._owners.get(hole, []):
            if (refusal := self._refusal(command, hole, reading)) is not None:
                return refusal
        return reading

    def _refusal(self, command: Command, hole: int, reading: Reading) -> Refusal | None:
        arguments = self._arguments(command)
        evaluated = arguments.evaluate(hole)
        if evaluated is not None and arguments.called == ("let",) and hole in command.places:
            return replace(evaluated, of_number=reading)  # as in `$(( ))`
        return evaluated or self._flows(arguments, hole, reading) or self._feeds(command, hole)

    def _arguments(self, command: Command) -> Arguments:
        if id(command) not in self._judged:
            self._judged[id(command)] = Arguments(command)
        return self._judged[id(command)]

    def _flows(self, arguments: Arguments, hole: int, reading: Reading) -> Refusal | None:
        command, place = arguments.command, arguments.command.places.get(hole)
        if place is not None and arguments.declares and self._has_arrays and not command.words[place].array:
            return Refusal("is declared in a script with arrays, for which bash may read it again")
        given = arguments.gives(place)
        if given is not None and given.by_shell and not self._takes_data(arguments, given):
            return Refusal(f"is given to a script of '{arguments.called[-1]}' that may evaluate it")
        for name in targets(self.followed, arguments, hole):
            if name in self.computed_names:
                where = f"becomes '{name}'" if name.isidentifier() else "becomes a variable"
                return Refusal(f"{where}, with which the script computes: bash runs commands in such a value", reading)
        return None

    def _takes_data(self, arguments: Arguments, given: Given) -> bool:
        """Whether a script within the script surely takes its arguments as data."""
        key = id(arguments)
        if key not in self._given:
            codes = [*self._codes(arguments, given)]
            dialect = self.dialect if arguments.called[-1] in ("sh", "dash", "ash") else "bash"
            self._given[key] = bool(codes) and all(_is_harmless(code, dialect) for code in codes)
        return self._given[key]

    def _codes(self, arguments: Arguments, given: Given) -> Iterator[str]:
        """What it may read as its script; nothing where that is not written out."""
        if given.code is None:
            yield from (self._text[start:end] for start, end in (*self.bodies, *self.others))
            return
        word = arguments.command.words[given.code]
        raw = self._text[word.start : word.end]
        if _SINGLE_QUOTED.fullmatch(raw):
            yield raw[1:-1]

    def _feeds(self, command: Command, hole: int) -> Refusal | None:
        if self._inputs.reads_commands and (hole in command.body_holes or self._has_pipes):
            return Refusal("stands in a script where a shell or interpreter may read its commands from standard input")
        compound = self._has_pipes and self.followed.pipes_all
        return self._inputs.refusal(command, within=hole in command.body_holes, compound=compound)

    @cached_property
    def _inputs(self) -> Inputs:
        return Inputs([(one, self._arguments(one)) for one in self._all], frozenset(self.functions))

    @cached_property
    def _has_pipes(self) -> bool:
        return any(command.piped for command in self._all)

    @cached_property
    def _has_arrays(self) -> bool:
        return any(
            word.text[:1] in "-+" and ("a" in word.text or "A" in word.text)
            for command in self._all
            if self._arguments(command).declares
            for word in command.words
        )

    @cached_property
    def computed_names(self) -> frozenset[str]:
        """Variables with which the script computes, and those that flow into them."""
        return computed_names(self.followed)

    @cached_property
    def followed(self) -> Followed:
        """What is known when all of it is read."""
        return Followed(
            text=self._text,
            commands=tuple(self._arguments(command) for command in self._all),
            functions=frozenset(self.functions),
            arithmetic=self.computed,
            parameters=self.parameters,
            others=self.others,
            bodies=self.bodies,
        )
