"""Arguments of functions that every call writes out as numbers: 3 in `retry 3 curl "$url"`.

What follows them may be anything: a function that computes with its first argument computes with none of the others.
That holds only where nobody else calls the function, by a name that the script puts together or hands on: so its name
must stand nowhere but in its definition, at the head of its calls, in comments, and in what `echo` and the like say.
"""

import re
from collections import Counter, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.numericprograms import Operands
from engine.scripts.posix_shell.pieces import DYNAMIC, Word
from engine.scripts.posix_shell.spans import NOWHERE, Spans

if TYPE_CHECKING:
    from engine.scripts.posix_shell.followed import Followed

_ARGUMENT = re.compile(r"\w+=\"?\$(?:([1-9])|\{([1-9])(?::-[0-9]{1,9})?\})\"?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}")
_MOVING = frozenset({"shift", "set", "eval", "source", ".", "getopts"})
"""After them `$1` may be another argument."""
_SAYING = frozenset({"echo", "printf", "logger"})
_CALLING = frozenset({"eval", "source", ".", "alias", "complete", "enable"})
"""They may call a function by a text that comes from elsewhere."""
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class Calls:
    """Who calls the functions of one script, and with what."""

    def __init__(self, script: "Followed") -> None:
        self._script = script
        self._known: dict[tuple[str, int], bool] = {}

    def gives_number(self, one: Arguments, word: Word) -> bool:
        """Whether `n=$1` in a function sets n to a number in every call."""
        command, text = one.command, self._script.text
        match = _ARGUMENT.fullmatch(text, word.start, word.end)
        if match is None or not command.function or not command.certain:
            return False
        moved = self._moved.get(command.function)
        if moved is not None and moved <= word.start:
            return False
        return self._is_given_number(command.function, int(match[1] or match[2]))

    def _is_given_number(self, function: str, place: int) -> bool:
        if (function, place) not in self._known:
            calls = self._direct.get(function, [])
            given = bool(calls) and all(self._is_number(call, place) for call in calls)
            self._known[function, place] = given and self._is_called_so_only(function)
        return self._known[function, place]

    def _is_number(self, call: Arguments, place: int) -> bool:
        words = call.command.words[1 : place + 1]
        return (
            len(words) == place
            and _NUMBER.fullmatch(words[-1].text) is not None
            and Operands(self._script.text, words).are_single
        )

    def _is_called_so_only(self, function: str) -> bool:
        """One definition, and its calls: nothing else names it."""
        named = self._named[function] - self._said[function]
        return named == 1 + len(self._direct[function]) and not self._calls_otherwise

    @cached_property
    def _direct(self) -> dict[str, list[Arguments]]:
        found: defaultdict[str, list[Arguments]] = defaultdict(list)
        for one in self._script.commands:
            if one.heads == (0,) and one.texts[0] in self._script.functions and not one.command.words[0].quoted:
                found[one.texts[0]].append(one)
        return found

    @cached_property
    def _moved(self) -> dict[str, int]:
        """By function: where its arguments are moved first."""
        found: dict[str, int] = {}
        for one in self._script.commands:
            if not _MOVING.isdisjoint(one.called):
                at = one.command.words[0].start
                found[one.command.function] = min(at, found.get(one.command.function, at))
        return found

    @cached_property
    def _named(self) -> Counter[str]:
        return Counter(name for name in _WORD.findall(self._script.text) if name in self._script.functions)

    @cached_property
    def _said(self) -> Counter[str]:
        """How often each stands in what is said to whoever reads the output, and goes nowhere else."""
        found: Counter[str] = Counter()
        substitutions = Spans((one.start, one.end) for one in self._script.substitutions)
        for one in self._script.commands:
            command = one.command
            if one.heads == (0,) and one.called[0] in _SAYING and not command.piped and not command.written:
                start, end = command.words[0].end, command.words[-1].end
                said = self._script.text[start:end]
                if substitutions.innermost(start) == NOWHERE and "$(" not in said and "`" not in said:
                    found.update(name for name in _WORD.findall(said) if name in self._script.functions)
        return found

    @cached_property
    def _calls_otherwise(self) -> bool:
        """Whether a command may call a function by a name that is put together."""
        return any(map(self._may_call, self._script.commands))

    def _may_call(self, one: Arguments) -> bool:
        if not one.heads or one.command.pattern:
            return False
        head = one.texts[one.heads[-1]]
        put_together = DYNAMIC in head and head != DYNAMIC and "/" not in head
        quoted = one.called[-1] in self._script.functions and one.command.words[one.heads[-1]].quoted
        return put_together or quoted or not _CALLING.isdisjoint(one.called)
