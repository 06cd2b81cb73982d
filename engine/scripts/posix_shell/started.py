"""Commands that a script in another language starts."""

from collections.abc import Sequence

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.pieces import DYNAMIC, HOLE, Command, Refusal, Word


def evaluates(words: Sequence[str]) -> dict[int, Refusal]:
    """Of the words of a command, by their places: those with HOLE that it would evaluate."""
    command = Command()
    for at, text in enumerate(words):
        word = Word(quoted=True, holes=[at] if HOLE in text else [])
        word.add(text.replace(HOLE, DYNAMIC))
        command.words.append(word)
    arguments = Arguments(command)
    found = ((at, arguments.evaluate(at)) for at, text in enumerate(words) if HOLE in text)
    return {at: refusal for at, refusal in found if refusal is not None}
