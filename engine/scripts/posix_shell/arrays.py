"""What arrays may hold that are commands: `command=(rsync -a); [ x ] && command+=(-z); "${command[@]}" a b:`.

Each word that fills one counts where it stands: `+=` extends all that the array may hold there. What is in a branch may
not run, what is in a loop may run twice, and what is in another function at any time.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, product

from engine.scripts.posix_shell.blocks import Block
from engine.scripts.posix_shell.followed import Followed
from engine.scripts.posix_shell.pieces import Command, Word
from engine.scripts.posix_shell.wrappers import array_of, is_all

Fill = tuple[Command, Word]
"""A word such as `name=( ... )`, and the command that it stands in."""
Held = tuple[Word, ...]

_MOST = 64
"""Commands that one may be: six words that may be added, or not."""
_MOST_ITEMS = 128
"""Words that an array may hold which is looked into where it is a command: it is read anew at each such place."""
_WORK, _WORK_EACH = 20_000, 20
"""Words that are put together for all arrays of one script: in any, and for each of its characters."""
_DEEPEST = 4
"""Arrays within arrays."""
_REPEATS = frozenset({"do", "while", "until", "for", "select"})
_BRACED = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}")
_ONE_WORD = re.compile(
    r"(?:[^$`]|\$(?:[A-Za-z0-9_?*#$!]|\{\w+(?:\[[0-9]+\])?(?::?-(?!-)[\w./:@-]*)?\}|\())*", re.ASCII | re.DOTALL
)
"""Of a quoted word: what it holds is one word, and does not stand in the script as an option."""


class Arrays:
    """The arrays of one script of which all is known that fills them."""

    def __init__(
        self,
        script: Followed,
        fills: Mapping[str, Sequence[Fill]],
        texts: Callable[[str, Word], Sequence[Sequence[Word]] | None],
    ) -> None:
        """`texts`: what a word may be that holds variables, as it is written; None where nobody can tell."""
        self._script = script
        self._fills = fills
        self._texts = texts
        self._left = _WORK + _WORK_EACH * len(script.text)

    def held(self, name: str, at: int, function: str, depth: int = 0) -> Sequence[Held] | None:
        """What an array may hold that is read at this place, in this function; None where nobody can tell."""
        fills = self._fills.get(name, ())
        if depth >= _DEEPEST or sum(len(word.items) + 1 for _, word in fills) > _MOST_ITEMS:
            return None
        sure, anytime = self._divided(fills, at, function)
        found: list[Held] = []
        for fill, surely in sure:
            after = self._filled(name, fill, found, at, depth)
            if after is None:
                return None
            if not (surely or found) and _extends(fill):
                found = [()]
            found = _different(after if surely else [*found, *after])
            for _ in range(2):
                for other in anytime:
                    if (more := self._filled(name, other, found, at, depth)) is None:
                        return None
                    found = _different([*found, *more])
            if len(found) > _MOST:
                return None
        return found or None

    def _divided(self, fills: Sequence[Fill], at: int, function: str) -> tuple[list[tuple[Fill, bool]], list[Fill]]:
        """What fills it in order, and whether it surely does so; and what may do so between any of these."""
        own = [fill for fill in fills if fill[0].function in ("", function)]
        others = [fill for fill in fills if fill[0].function not in ("", function)]
        if all(_extends(fill) for fill in own):
            own, others = list(fills), []  # another function fills it before
        ordered: list[tuple[Fill, bool]] = []
        for loop, those in groupby(own, self._loop_of):
            group = list(those)
            for _ in range(1 if loop is None else 2):
                ordered += ((fill, self._is_sure(fill, at, function)) for fill in group)
        return ordered, others

    def _is_sure(self, fill: Fill, at: int, function: str) -> bool:
        command, word = fill
        return command.certain and command.function in ("", function) and word.start < at

    def _loop_of(self, fill: Fill) -> Block | None:
        """The outermost loop that it stands in."""
        around = [block for block in self._script.blocks.at(fill[1].start).chain() if block.kind in _REPEATS]
        return around[-1] if around else None

    def _filled(self, name: str, fill: Fill, before: Sequence[Held], at: int, depth: int) -> list[Held] | None:
        """What it may hold after that; None where nobody can tell."""
        word = fill[1]
        parts: list[Sequence[Held] | None] = [None] if _extends(fill) else []
        for item in word.items:
            raw = self._script.text[item.start : item.end]
            if array_of(raw) == name:
                parts.append(None)
            elif (held := self._item(item, raw, at, fill[0].function, depth)) is not None:
                parts.append(held)
            else:
                return None
        if None not in parts:
            return self._joined([part for part in parts if part is not None])
        if not before and not _extends(fill):
            return None
        found: list[Held] = []
        for one in before or [()]:
            joined = self._joined([[one] if part is None else part for part in parts])
            if joined is None:
                return None
            found += joined
        return found

    def _joined(self, parts: Sequence[Sequence[Held]]) -> list[Held] | None:
        """All that may stand one after another."""
        number = 1
        for part in parts:
            number *= len(part)
        if number > _MOST:
            return None
        found = [tuple(word for part in chosen for word in part) for chosen in product(*parts)]
        self._left -= sum(len(one) + 1 for one in found)
        return found if self._left > 0 else None

    def _item(self, item: Word, raw: str, at: int, function: str, depth: int) -> Sequence[Held] | None:
        if (name := array_of(raw)) is not None:
            held = self.held(name, at, function, depth + 1)
            split = item.split and any(" " in word.text or word.split for one in held or () for word in one)
            return None if split else held
        if is_all(raw) or (not item.quoted and _BRACED.search(item.text)):
            return None
        if "$" in raw and not item.holes and (texts := self._texts(raw, item)) is not None:
            return [tuple(words) for words in texts]
        if item.split or _ONE_WORD.fullmatch(raw) is None:
            return None
        return [(item,)]


def _extends(fill: Fill) -> bool:
    return fill[1].text.endswith("+=")


def _different(held: Sequence[Held]) -> list[Held]:
    """Without those that are written alike."""
    return list({_like(one): one for one in held}.values())


def _like(held: Held) -> tuple[tuple[str, bool, bool], ...]:
    return tuple((word.text, word.quoted, bool(word.split)) for word in held)
