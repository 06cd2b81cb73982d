"""Commands whose name is a variable: what they are, where the script sets the variable to nothing but texts.

So are `${x}ctl get pods` and `"${command[@]}" x`, which are asked for each word that a value stands in.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product, zip_longest
from math import prod

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.arrays import Arrays
from engine.scripts.posix_shell.digits import ANY_NAME, set_by
from engine.scripts.posix_shell.followed import Followed
from engine.scripts.posix_shell.pieces import DYNAMIC, Command, Word
from engine.scripts.posix_shell.programs import OWN_SCRIPT
from engine.scripts.posix_shell.wrappers import array_of

_READ = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)
_DEFAULT = re.compile(r"([A-Za-z_]\w*):?=", re.ASCII)
_ARRAY = re.compile(r'"?\$\{[A-Za-z_]\w*\[', re.ASCII)
_PATTERN = re.compile(r"[*?\[\]{}~]")
_NAMING = (("declare",), ("local",), ("typeset",))
_MOST = 16
"""Commands that one may be."""
_MADE, _MADE_EACH = 500, 4
"""Words of all the different commands that those of one script may be: in any, and for each of its characters.

Each costs some microseconds. Scripts of people have not one for each character."""
_COMMAND = 8
"""Words that a command counts for beside its own."""


Shape = tuple[object, ...]
"""How a command, or a word of one, is written."""


class Alternatives:
    """What the variables of one script hold that stand where commands do."""

    def __init__(self, script: Followed) -> None:
        self._script = script
        self._texts = _texts(script)
        self._fills = _fills(script)
        self._left = _MADE + _MADE_EACH * len(script.text)
        self._begun = sorted(word.start for fills in self._fills.values() for _, word in fills)
        self._alike: dict[Shape, tuple[Arguments, ...] | None] = {}
        self._arrays = Arrays(script, self._fills, self._of_item)
        self._named: dict[int, tuple[Arguments, tuple[Arguments, ...] | None]] = {}

    def of(self, arguments: Arguments) -> tuple[Arguments, ...] | None:
        """The commands that one may be whose first words are variables; None where nobody can tell."""
        words = arguments.command.words
        held: list[frozenset[str]] = []
        for at in arguments.perhaps:
            match = _READ.fullmatch(self._script.text, words[at].start, words[at].end)
            texts = self._texts.get((match[1] or match[2]) if match is not None else ANY_NAME)
            if not texts:
                return None
            held.append(texts)
        begin = arguments.perhaps[-1] + 1
        number = 1
        for texts in held:
            number *= len(texts)
        if number > _MOST:
            return None
        before = ([_word(text) for one in chosen for text in one.split()] for chosen in product(*held))
        return tuple(Arguments(Command(words=[*one, *words[begin:]])) for one in before)

    def place(self, arguments: Arguments) -> int:
        """The first word where a command stands that holds a variable; otherwise after all words."""
        return next((at for at in arguments.heads if DYNAMIC in arguments.texts[at]), len(arguments.texts))

    def is_array(self, arguments: Arguments) -> bool:
        """Whether that word is of an array."""
        place, words = self.place(arguments), arguments.command.words
        return place < len(words) and _ARRAY.match(self._script.text, words[place].start, words[place].end) is not None

    def named(self, arguments: Arguments) -> tuple[Arguments, ...] | None:
        """The commands that one may be by that word; None where nobody can tell; none where it matters nothing.

        A name that is a variable and nothing else, of which nothing is known, is taken for a program's.
        """
        if id(arguments) not in self._named:
            self._named[id(arguments)] = arguments, self._by_name(arguments, self.place(arguments))
        return self._named[id(arguments)][1]

    def _by_name(self, arguments: Arguments, at: int) -> tuple[Arguments, ...] | None:
        """Of commands that are written alike the same ones, which are judged once."""
        command = arguments.command
        if command.pattern or at >= len(command.words):
            return ()
        shape = at, command.function, *map(self._like, command.words)
        if shape not in self._alike:
            self._alike[shape] = self._made(arguments, at)
        return self._alike[shape]

    def _like(self, word: Word) -> Shape:
        """All of a word that matters here: not what a variable is called of which nothing is known."""
        raw = self._script.text[word.start : word.end]
        if (match := _READ.fullmatch(raw.strip('"'))) is not None and (match[1] or match[2]) not in self._texts:
            return word.text, word.quoted
        filled = bisect_left(self._begun, word.start) if _ARRAY.match(raw) else 0
        return raw, word.text, word.quoted, filled

    def _made(self, arguments: Arguments, at: int) -> tuple[Arguments, ...] | None:
        words = arguments.command.words
        raw = self._script.text[words[at].start : words[at].end]
        ones: Sequence[Sequence[Word]] | None
        if _ARRAY.match(raw):
            ones = self._items(array_of(raw), words[at].start, arguments.command.function)
        elif DYNAMIC not in (name := words[at].text.rpartition("/")[2]):
            return ()
        else:
            ones = self._put_together(raw, quoted=words[at].quoted)
            if ones is None and (name == DYNAMIC or OWN_SCRIPT.fullmatch(words[at].text.replace(DYNAMIC, "x"))):
                return ()
        self._left -= sum(_COMMAND + len(one) + len(words) for one in ones or ())
        if ones is None or self._left < 0:
            return None
        return tuple(Arguments(Command(words=[*words[:at], *one, *words[at + 1 :]])) for one in ones)

    def _put_together(self, raw: str, *, quoted: bool) -> Sequence[Sequence[Word]] | None:
        """The words that one may be in which the values of variables are put."""
        text = raw.replace('"', "")
        names = [match[1] or match[2] for match in _READ.finditer(text)]
        literal = _READ.split(text)[::3]
        if any(mark in part for part in literal for mark in "$`'\\"):
            return None
        held = {name: self._texts.get(name, frozenset()) for name in names}
        if not 0 < prod(map(len, held.values())) <= _MOST:
            return None
        found = []
        for chosen in product(*held.values()):
            values = dict(zip(held, chosen, strict=True))
            pairs = zip_longest(literal, (values[name] for name in names), fillvalue="")
            whole = "".join(part for pair in pairs for part in pair)
            found.append([_word(one) for one in ([whole] if quoted else whole.split())])
        return found

    def _items(self, name: str | None, at: int, function: str) -> Sequence[Sequence[Word]] | None:
        """What an array may hold that is read at this place of the script; None where nobody can tell."""
        return self._arrays.held(name or ANY_NAME, at, function)

    def _of_item(self, raw: str, item: Word) -> Sequence[Sequence[Word]] | None:
        return self._put_together(raw, quoted=item.quoted)


def _word(text: str) -> Word:
    word = Word()
    word.add(text)
    return word


def _texts(script: Followed) -> dict[str, frozenset[str]]:
    """By variable the texts that it is set to; without those that are set to anything else."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    unknown: set[str] = set()
    for name, text in _set(script):
        if text is None:
            unknown.add(name)
        else:
            found[name].add(text)
    if ANY_NAME in unknown:
        return {}
    return {name: frozenset(texts) for name, texts in found.items() if name not in unknown}


def _set(script: Followed) -> Iterator[tuple[str, str | None]]:
    for one in script.commands:
        if (items := _items_of_loop(one)) is not None:
            yield from ((one.texts[1], item) for item in items)
            continue
        for name, _, word in set_by(script, one):
            whole = (
                word is not None and not word.array and word.text.startswith(f"{name}=") and DYNAMIC not in word.text
            )
            yield name, word.text.partition("=")[2] if word is not None and whole else None
            if one.declares and word is None:
                yield ANY_NAME, None
    for start, end in script.parameters:
        if (match := _DEFAULT.match(script.text, start, end)) is not None:
            yield match[1], None


def _items_of_loop(one: Arguments) -> list[str] | None:
    """`for x in start stop`; None where something else is walked."""
    if one.heads != (0,) or one.called != ("for",) or one.texts[2:3] != ["in"]:
        return None
    words = one.command.words[3:]
    return None if any(DYNAMIC in word.text or _PATTERN.search(word.text) for word in words) else one.texts[3:]


def _fills(script: Followed) -> dict[str, list[tuple[Command, Word]]]:
    """By array what fills it, in order; without those that anything else may set, or that have items with numbers."""
    found: defaultdict[str, list[tuple[Command, Word]]] = defaultdict(list)
    unknown: set[str] = set()
    for one in script.commands:
        if one.called[-1:] in _NAMING and any(text.startswith("-") and "n" in text for text in one.texts):
            return {}  # another name for any of them
        for name, _, word in set_by(script, one):
            if word is None or not word.array or any(item.text.startswith("[") for item in word.items):
                unknown.add(name)
            else:
                found[name].append((one.command, word))
    return {} if ANY_NAME in unknown else {name: fills for name, fills in found.items() if name not in unknown}
