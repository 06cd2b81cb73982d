"""Whether a command evaluates the value in one of its words, or may read its commands from standard input.

A command may have a hundred thousand words and hundreds of values. So its words are walked once for each kind of word
that matters, and a question about a value looks only at the nearest word of a kind.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cached_property

from engine.posix_shell.pieces import ASSIGNMENT, DYNAMIC, Command, Word
from engine.posix_shell.programs import (
    AWK_OPTIONS,
    AWKS,
    CLIENTS,
    CODE_OPTION,
    COMMAND_OPTION,
    COMPUTING,
    DECLARING,
    EVALUATING,
    INTERPRETERS,
    READING_COMMANDS,
    RUNNERS,
    SHELLS,
    TAKING_DATA,
    interprets,
    is_input,
    plain,
)

_NOWHERE = -1
_SHELL_READING_INPUT = re.compile(r"-(?=[a-z]*s)[a-z]+")


def computes(command: Command) -> bool:
    """Whether variables get attributes that make bash evaluate what is assigned to them."""
    words = command.words
    if not words or words[0].text not in DECLARING:
        return False
    return any(re.match(r"[-+][A-Za-z]*[aAin]", word.text) for word in words)


class Arguments:
    """The words of one command that is read whole."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._texts = command.literal()
        self._names = command.names()

    def evaluate(self, hole: int) -> str | None:
        """Why a value in this command would be evaluated, or None."""
        place, first = self._command.places.get(hole), self._first
        if self._command.pattern or first is None or (place is not None and place < first):
            return None
        if self._names[first] in TAKING_DATA and self._texts[first] == self._names[first] and place != first:
            return None if place is None else self._computed(first)
        if self._evaluator is not None:
            return f"stands in a command with '{self._evaluator}', which may evaluate it"
        if place is None:
            found = next((name for name in self._names if interprets(name) or name in AWKS), None)
            return f"stands in the input of '{found}', which may evaluate it" if found else None
        if place == first:
            return "stands in the place of the command"
        if self._declaring and self._declaring[0] < place:
            return None if ASSIGNMENT.match(self._texts[place]) else "stands in the name of a variable"
        if self._unknown:
            return "stands in a command that is not known here"
        return min(self._reasons(place), key=lambda found: found[0], default=(0, None))[1]

    @cached_property
    def reads_standard_input(self) -> bool:
        """Whether a shell, an interpreter or a runner of shells could take its commands from standard input here."""
        if not any(name in READING_COMMANDS or interprets(name) for name in self._names):
            return False
        inputs = _last(self._where(is_input))
        return (
            any(name in ("at", "batch", "crontab") for name in self._names)
            or self._follows(lambda name: name in ("source", "."), inputs)
            or self._follows(
                lambda name: name in ("xargs", "parallel"),
                _last(self._where(lambda name: name in SHELLS or name in EVALUATING)),
            )
            or self._lacks_operands(lambda name: name in ("ssh", "rsh"), 2)
            or self._lacks_operands(interprets, 1)
            or self._follows(interprets, inputs)
            or self._follows(
                interprets, _last(self._where(lambda name: _SHELL_READING_INPUT.fullmatch(name) is not None))
            )
            or self._follows(
                AWKS.__contains__, _last(self._where(lambda name: name.startswith("-f") and is_input(name[2:])))
            )
        )

    # --- what holds for every value in the command --------------------------------------------------------------------

    @cached_property
    def _first(self) -> int | None:
        return next((at for at, word in enumerate(self._command.words) if not _vanishes(word)), None)

    @cached_property
    def _evaluator(self) -> str | None:
        found = next((name for name in self._names if name in EVALUATING), None)
        if found is None and any(COMMAND_OPTION.fullmatch(text) for text in self._texts):
            return next((name for name in self._names if name in SHELLS), None)
        return found

    @cached_property
    def _unknown(self) -> bool:
        return self._texts[0].startswith(DYNAMIC) and any(COMMAND_OPTION.fullmatch(name) for name in self._names)

    def _computed(self, at: int) -> str | None:
        """Why the command that may begin at this word evaluates what follows."""
        match self._names[at]:
            case "[[" if self._last_computing > at:
                return "stands in '[[ ]]' with an operator that computes, which evaluates it; use '[ ]'"
            case "test" | "[" if self._last_v > at:
                return "stands in a test with '-v', which may evaluate it"
            case "printf" if self._last_v_with_name > at:
                return "stands in a command with 'printf -v', which may evaluate it"
        return None

    # --- what holds for one value -------------------------------------------------------------------------------------

    def _reasons(self, place: int) -> Iterator[tuple[int, str]]:
        """Each word before the one at `place` that makes this one code, and why. Of one kind only the first such."""
        text = self._texts[place]
        before = _before(self._plain, place)
        # printf, test and [[ may stand after `command` or `builtin`.
        if self._first_computed is not None and self._first_computed[0] < place:
            yield self._first_computed
        if before >= 0 and self._names[before] in RUNNERS:  # a runner is a plain word itself
            yield before, f"stands in the place of the command after '{self._names[before]}'"
        yield from self._awk(place)
        first = self._coded[0] if self._coded else place
        if first < _before(self._codes, place + 1):
            yield first, f"stands in a command with '{self._names[first]}' and its code, which may evaluate it"
        for at in {before, self._clients[0] if self._clients else _NOWHERE}:
            in_option = self._names[at] in CLIENTS and self._names[place - 1].startswith("-")
            if 0 <= at < place and interprets(self._names[at]) and text.startswith(DYNAMIC) and not in_option:
                yield at, f"stands where '{self._names[at]}' takes an option or a script"
        if self._env is not None and self._env < place:
            yield self._env, "stands in a command with 'env -S', which splits it"
        if self._finds and self._finds[0] < _before(self._executing, place):
            yield self._finds[0], "stands in the command that 'find' runs"

    def _awk(self, place: int) -> Iterator[tuple[int, str]]:
        if not self._awks:
            return
        at: int | None = None
        if self._awks[0] < _before(self._awk_files, place):
            at = self._awks[0]
        elif self._names[place - 1] not in AWK_OPTIONS:
            operand = _before(self._operands, place)
            at = next(iter(self._awks[bisect_left(self._awks, operand) :][:1]), None)
        if at is not None and at < place:
            yield at, f"stands in the program of '{self._names[at]}', which evaluates it"

    # --- places of words ----------------------------------------------------------------------------------------------

    def _where(self, test: Callable[[str], bool]) -> list[int]:
        return [at for at, name in enumerate(self._names) if test(name)]

    def _follows(self, test: Callable[[str], bool], last: int) -> bool:
        """Whether a word that passes the test stands before the place `last`."""
        return any(test(name) for name in self._names[: max(last, 0)])

    def _lacks_operands(self, test: Callable[[str], bool], wanted: int) -> bool:
        """Whether fewer than `wanted` operands follow a word that passes the test; the fewest follow the last."""
        last = _last(self._where(test))
        rest = self._names[last + 1 :]
        return last >= 0 and sum(not name.startswith("-") or name == "-" for name in rest) < wanted

    @cached_property
    def _declaring(self) -> list[int]:
        return self._where(DECLARING.__contains__)

    @cached_property
    def _plain(self) -> list[int]:
        return self._where(plain)

    @cached_property
    def _first_computed(self) -> tuple[int, str] | None:
        found = ((at, self._computed(at)) for at in range(len(self._names)))
        return next(((at, reason) for at, reason in found if reason is not None), None)

    @cached_property
    def _last_computing(self) -> int:
        return _last(self._where(COMPUTING.__contains__))

    @cached_property
    def _last_v(self) -> int:
        return _last(self._where(lambda name: name == "-v"))

    @cached_property
    def _last_v_with_name(self) -> int:
        return _last(self._where(lambda name: name.startswith("-v")))

    @cached_property
    def _awks(self) -> list[int]:
        return self._where(AWKS.__contains__)

    @cached_property
    def _awk_files(self) -> list[int]:
        return self._where(lambda name: name == "-f")

    @cached_property
    def _operands(self) -> list[int]:
        before = ["", *self._names]
        return [at for at, name in enumerate(self._names) if not name.startswith("-") and before[at] not in AWK_OPTIONS]

    @cached_property
    def _coded(self) -> list[int]:
        return self._where(lambda name: INTERPRETERS.fullmatch(name) is not None)

    @cached_property
    def _codes(self) -> list[int]:
        return self._where(lambda name: CODE_OPTION.match(name) is not None)

    @cached_property
    def _clients(self) -> list[int]:
        return self._where(CLIENTS.__contains__)

    @cached_property
    def _env(self) -> int | None:
        splits = _last(self._where(lambda name: name.startswith(("-S", "--split"))))
        found = next((at for at, name in enumerate(self._names) if name == "env"), None)
        return found if found is not None and found < splits else None

    @cached_property
    def _finds(self) -> list[int]:
        return self._where(lambda name: name == "find")

    @cached_property
    def _executing(self) -> list[int]:
        return self._where(lambda name: name.startswith(("-exec", "-ok")))


def _vanishes(word: Word) -> bool:
    """Whether the command may be the word after this one: an assignment, or `$x`, which may be empty."""
    empty = not word.quoted and not word.holes and not word.text.replace(DYNAMIC, "")
    return empty or ASSIGNMENT.match(word.text) is not None


def _last(places: list[int]) -> int:
    return places[-1] if places else _NOWHERE


def _before(places: list[int], at: int) -> int:
    """The last of the places before `at`."""
    index = bisect_left(places, at)
    return places[index - 1] if index else _NOWHERE
