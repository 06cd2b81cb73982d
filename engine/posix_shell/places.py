"""Places of words in a command, as numbers from 0."""

from bisect import bisect_left
from collections.abc import Sequence

from engine.posix_shell.pieces import ASSIGNMENT, DYNAMIC, Word

NOWHERE = -1
_GIT_VALUED = ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path")


def git_command(texts: Sequence[str], head: int) -> int:
    """The word that says what git is to do, after its options."""
    at = head + 1
    while at < len(texts) and texts[at].startswith("-"):
        at += 2 if texts[at] in _GIT_VALUED else 1
    return at


def vanishes(word: Word) -> bool:
    """Whether the command may be the word after this one: an assignment, or `$x`, which may be empty."""
    empty = not word.quoted and not word.holes and not word.text.replace(DYNAMIC, "")
    return empty or ASSIGNMENT.match(word.text) is not None


def last_of(places: list[int]) -> int:
    """The last place, or NOWHERE."""
    return places[-1] if places else NOWHERE


def last_before(places: list[int], at: int) -> int:
    """The last of the places before `at`."""
    index = bisect_left(places, at)
    return places[index - 1] if index else NOWHERE
