"""Commands whose name is a variable: what they are, where the script sets the variable to nothing but texts."""

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import product

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.digits import ANY_NAME, set_by
from engine.scripts.posix_shell.followed import Followed
from engine.scripts.posix_shell.pieces import DYNAMIC, Command, Word

_READ = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)
_DEFAULT = re.compile(r"([A-Za-z_]\w*):?=", re.ASCII)
_MOST = 16
"""Commands that one may be."""


class Alternatives:
    """What the variables of one script hold that stand where commands do."""

    def __init__(self, script: Followed) -> None:
        self._script = script
        self._texts = _texts(script)

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
