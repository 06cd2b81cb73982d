"""Commands that a script in another language starts."""

from collections.abc import Callable, Sequence
from functools import cache, partial

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.inputs import made_of_input
from engine.scripts.posix_shell.judged import given_to_script
from engine.scripts.posix_shell.pieces import DYNAMIC, HOLE, Command, Dialect, Refusal, Word, dialect_of
from engine.scripts.posix_shell.scan import is_harmless, readings


def evaluates(words: Sequence[str]) -> dict[int, Refusal]:
    """Of the words of a command, by their places: those with HOLE that it would evaluate."""
    arguments = _read(words)
    judged = partial(_judged, arguments, harmless=cache(is_harmless))
    found = ((at, judged(at)) for at, text in enumerate(words) if HOLE in text)
    return {at: refusal for at, refusal in found if refusal is not None}


def takes_data(words: Sequence[str]) -> bool:
    """Whether a command is known to take what is in its input for data."""
    return made_of_input(_read(words), frozenset()) == "data"


def text_takes_data(text: str) -> bool:
    """The same of a script for sh: of what reads its input first, and of all that may read it."""
    fed = (f"echo {HOLE} | {text}", f"echo {HOLE} | {{ {text}\n}}")
    return all(isinstance(found, str) for one in fed for found in readings(one, [one.index(HOLE)], "sh").values())


def heads(words: Sequence[str]) -> tuple[int, ...]:
    """The words where a command stands, as in `heads.heads`."""
    return _read(words).heads


def _read(words: Sequence[str]) -> Arguments:
    command = Command()
    for at, text in enumerate(words):
        word = Word(quoted=True, holes=[at] if HOLE in text else [])
        word.add(text.replace(HOLE, DYNAMIC))
        command.words.append(word)
    return Arguments(command)


def _judged(arguments: Arguments, place: int, *, harmless: Callable[[str, Dialect], bool]) -> Refusal | None:
    """As where a script for sh starts the command, by what a shell that it starts makes of its arguments as well."""
    refusal, given = arguments.evaluate(place), arguments.gives(place)
    if refusal is not None or given is None or not given.by_shell:
        return refusal
    if given.code is not None and harmless(arguments.texts[given.code], dialect_of(given.reader, "sh")):
        return None
    return given_to_script(given.reader)
