"""Functions that are called by a variable: `run=local_run; ls | $run`, `for step in build push; do "$step" x; done`.

A variable may hold what the script itself sets it to. Of one that it sets to anything else nobody knows; it may hold
the name of each function that the script gives to a variable or to a function as a text.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from engine.scripts.posix_shell.arguments import Arguments, assigned_name
from engine.scripts.posix_shell.pieces import DYNAMIC, Word

if TYPE_CHECKING:
    from engine.scripts.posix_shell.followed import Followed

_VARIABLE = re.compile(r'"?\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:\[[^\]]*\])?\})"?', re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_PRINTING = frozenset({"echo", "printf"})
_SETTING = frozenset({"read", "mapfile", "readarray", "getopts"})


class ByVariable:
    """Of one script that is read whole."""

    def __init__(self, script: "Followed") -> None:
        self._script = script

    def by_variable(self, one: Arguments) -> frozenset[str]:
        """The functions that a command may be, or run, whose name holds a variable."""
        if not self._script.functions or one.command.pattern or not (self.named or self._script.held):
            return frozenset()
        places = (*one.perhaps, *(at for at in one.heads if DYNAMIC in one.texts[at]))
        return frozenset(name for at in places for name in self._held(one.command.words[at]))

    def given(self, one: Arguments) -> int | None:
        """The first word that is an argument of a script for another shell, in which functions may be called."""
        if not self._script.functions or (given := one.given) is None or not given.by_shell:
            return None
        code = self._code(one, given.code)
        return given.begin if any(name in self._script.functions for name in _NAME.findall(code)) else None

    def _code(self, one: Arguments, place: int | None) -> str:
        if place is not None:
            return one.texts[place]
        spans = (*self._script.bodies, *self._script.others)
        return "\n".join(self._script.text[start:end] for start, end in spans)

    def _held(self, word: Word) -> frozenset[str]:
        match = _VARIABLE.fullmatch(self._script.text, word.start, word.end)
        name = (match[1] or match[2]) if match is not None else None
        if name is None or name in self._unknown:
            return self.named | self._script.held
        return self._texts.get(name, self._script.held)

    @cached_property
    def named(self) -> frozenset[str]:
        """The functions whose names stand in texts of variables, or in arguments of functions."""
        found = {name for names in self._texts.values() for name in names}
        for one in self._script.commands:
            if one.called[-1:] == ("set",) or not self._script.functions.isdisjoint(one.called[-1:]):
                found.update(self._in(one.texts[one.heads[-1] + 1 :]))
            if not _PRINTING.isdisjoint(one.called[-1:]):
                found.update(self._script.functions.intersection(one.texts))
            for document in one.command.documents:
                found.update(self._in([document]))
        return frozenset(found)

    @cached_property
    def _texts(self) -> dict[str, frozenset[str]]:
        """By variable: the functions that its texts name."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for name, words in self._set:
            found[name].update(self._in([text for word in words for text in (word.text, *_items(word))]))
        return {name: frozenset(names) for name, names in found.items()}

    @cached_property
    def _unknown(self) -> frozenset[str]:
        """Variables that are set to anything else than texts."""
        dynamic = {
            name for name, words in self._set for word in words if DYNAMIC in "".join((word.text, *_items(word)))
        }
        given = {
            text
            for one in self._script.commands
            if not _SETTING.isdisjoint(one.called[-1:]) or one.called[-1:] == ("printf",)
            for text in one.texts[one.heads[-1] + 1 :]
        }
        return frozenset(dynamic | given)

    @cached_property
    def _set(self) -> Sequence[tuple[str, Sequence[Word]]]:
        return [*self._setting()]

    def _setting(self) -> Iterator[tuple[str, Sequence[Word]]]:
        for one in self._script.commands:
            words = one.command.words
            if one.called[-1:] in (("for",), ("select",)) and words[one.heads[-1] + 1 :]:
                yield one.texts[one.heads[-1] + 1], words[one.heads[-1] + 2 :]
            for at, word in enumerate(words):
                if one.assigns(at) and (name := assigned_name(word.text)) is not None:
                    yield name, [word]
        for start, end in self._script.parameters:
            name, _, default = self._script.text[start:end].partition("=")
            if default and name.rstrip(":").isidentifier():
                word = Word()
                word.add(default.replace("$", DYNAMIC))
                yield name.rstrip(":"), [word]

    def _in(self, texts: Sequence[str]) -> Iterator[str]:
        yield from (name for text in texts for name in _NAME.findall(text) if name in self._script.functions)


def _items(word: Word) -> Iterator[str]:
    yield from (item.text for item in word.items)
