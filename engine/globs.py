"""Path globs: `*` and `?` within a name, `**` for any folders. Bounded: no pattern can make matching slow."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")


def matches(pattern: str, path: str) -> bool:
    """Whether a path from the root, with `/` between names, matches a glob."""
    return _wild(_parts(pattern), path.split("/"), "**", _name_matches)


def may_hold(pattern: str, folder: str) -> bool:
    """Whether files below a folder could match a glob."""
    names = folder.split("/")
    for part, name in zip(_parts(pattern), names, strict=False):
        if part == "**":
            return True
        if not _name_matches(part, name):
            return False
    return len(_parts(pattern)) > len(names)


def any_may_hold(patterns: Iterable[str], folder: str) -> bool:
    """Whether files below a folder could match one of the globs."""
    return any(may_hold(pattern, folder) for pattern in patterns)


def is_all_below(pattern: str, folder: str) -> bool:
    """Whether a glob can match nothing but files below a folder."""
    names = folder.split("/")
    return _parts(pattern)[: len(names)] == tuple(names) and len(_parts(pattern)) > len(names)


@lru_cache(maxsize=1024)
def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.removeprefix("./").split("/"))


def _name_matches(pattern: str, name: str) -> bool:
    if "?" in pattern:
        return _wild(pattern, name, "*", lambda wanted, found: wanted in ("?", found))
    first, *others = pattern.split("*")
    if not others:
        return pattern == name
    *between, last = others
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for piece in between:  # each where it is found first: that leaves most for the next ones
        if (found := name.find(piece, at, end)) < 0:
            return False
        at = found + len(piece)
    return True


def _wild(pattern: Sequence[T], text: Sequence[T], star: T, same: Callable[[T, T], bool]) -> bool:
    """The greedy walk: a star is tried at its shortest and, on a miss, the last one takes one more. O(n·m)."""
    at_pattern = at_text = 0
    last_star, resume = -1, 0
    while at_text < len(text):
        if at_pattern < len(pattern) and pattern[at_pattern] == star:
            last_star, resume = at_pattern, at_text
            at_pattern += 1
        elif at_pattern < len(pattern) and same(pattern[at_pattern], text[at_text]):
            at_pattern += 1
            at_text += 1
        elif last_star >= 0:
            resume += 1
            at_pattern, at_text = last_star + 1, resume
        else:
            return False
    return all(part == star for part in pattern[at_pattern:])
