"""Functions that run their arguments as a command: `retry() { "$@" || "$@"; }`; and `set -- ls x; "$@"`.

Arrays that are run so: `command=(ls "$x"); command+=("$y"); "${command[@]}"`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.heads import after_options
from engine.scripts.posix_shell.pieces import DYNAMIC, Command, Word

Skips = frozenset[int] | None
"""How many arguments may stand before the command; None where nobody can tell."""

_ALL = re.compile(r'"?\$(?:[@*]|\{[@*](?::(?P<begin>[1-9][0-9]?))?\})"?')
_ARRAY = re.compile(r'"?\$\{([A-Za-z_][A-Za-z0-9_]*)\[[@*]\]\}"?')
_PASSES = 8


def is_all(raw: str) -> bool:
    """Whether a word is all arguments: `"$@"`, `${@:2}`."""
    return _ALL.fullmatch(raw) is not None


def array_of(raw: str) -> str | None:
    """The array whose items a word is all of: `"${name[@]}"`."""
    match = _ARRAY.fullmatch(raw)
    return match[1] if match else None


def filled(commands: Sequence[Arguments]) -> dict[str, Arguments]:
    """By array the command that its items are, from all that fills it; without those of which nobody can tell."""
    fills: defaultdict[str, list[Word]] = defaultdict(list)
    for one in commands:
        for word in one.command.words:
            if word.array:
                fills[word.text.rstrip("+=")].append(word)
    return {
        name: Arguments(Command(words=[item for word in words for item in word.items]))
        for name, words in fills.items()
        if all(word.text.endswith("+=") for word in words[1:]) and words[0].items and _is_written(words[0].items[0])
    }


def _is_written(item: Word) -> bool:
    return not item.text.startswith((DYNAMIC, "["))


def begins(arguments: Arguments, wrappers: dict[str, Skips]) -> tuple[int, ...] | None:
    """The words of a call from which on it is a command that the function runs; None where nobody can tell."""
    if not arguments.heads:
        return ()
    name, after = arguments.called[-1], arguments.heads[-1] + 1
    if name == "set":
        name, after = arguments.command.function, after_options(arguments.texts, after, 0, "o")
    skips = wrappers.get(name, frozenset())
    return None if skips is None else tuple(after + skip for skip in skips)


def wrappers(commands: Sequence[Arguments], text: str, known: Mapping[str, Skips]) -> dict[str, Skips]:
    """By function (`""`: outside of all) what stands before the command that its arguments hold.

    `known`: the same of functions of the script around this one.
    """
    return {**known, **_Wrappers(text, _shifted(commands), dict(known)).found()}


def _shifted(commands: Sequence[Arguments]) -> list[tuple[Arguments, int | None]]:
    """Each command, and by how much the arguments were shifted before it."""
    found: list[tuple[Arguments, int | None]] = []
    shifted: dict[str, int | None] = {}
    for one in commands:
        name = one.command.function
        before = shifted.get(name, 0)
        found.append((one, before))
        called = one.called[-1:]
        if called == ("set",) and before != 0:
            shifted[name] = None
        if called == ("shift",):
            by = _by(one)
            shifted[name] = None if before is None or by is None or not one.command.certain else before + by
    return found


def _by(shift: Arguments) -> int | None:
    operand = "".join(shift.texts[shift.heads[-1] + 1 : shift.heads[-1] + 2]) or "1"
    return int(operand) if DYNAMIC not in operand and re.fullmatch("[0-9]{1,3}", operand) else None


@dataclass
class _Wrappers:
    text: str
    commands: list[tuple[Arguments, int | None]]
    skips: dict[str, Skips] = field(default_factory=dict)

    def found(self) -> dict[str, Skips]:
        candidates = [(one, shifted, [*self._places(one)]) for one, shifted in self.commands]
        candidates = [candidate for candidate in candidates if candidate[2]]
        for _ in range(_PASSES):
            before = dict(self.skips)
            for one, shifted, places in candidates:
                for place, begin in places:
                    if self._runs(one, place):
                        self._add(one.command.function, None if shifted is None else shifted + begin)
            if self.skips == before:
                return self.skips
        return dict.fromkeys((one.command.function for one, _, _ in candidates), None)

    def _places(self, one: Arguments) -> Iterator[tuple[int, int]]:
        """Words that are all arguments, or all from one on."""
        for place, word in enumerate(one.command.words):
            match = _ALL.fullmatch(self.text, word.start, word.end) if word.end - word.start < 12 else None
            if match is not None:
                yield place, int(match["begin"] or 1) - 1

    def _runs(self, one: Arguments, place: int) -> bool:
        """Whether a command stands at this place."""
        if one.first is None or place < one.first or place in one.heads:
            return True
        begun = begins(one, self.skips)
        return one.called[-1] != "set" and (begun is None or place in begun)

    def _add(self, name: str, skip: int | None) -> None:
        before = self.skips.get(name, frozenset())
        self.skips[name] = None if skip is None or before is None else before | {skip}
