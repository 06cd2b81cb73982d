"""Patterns of names as OpenSSH has them: `*`, `?`, and `!` before what must not match (ssh_config(5))."""

from collections.abc import Sequence


def matches(patterns: Sequence[str], name: str) -> bool:
    """Whether one of the patterns matches, and none of those with `!` does."""
    found = False
    for pattern in patterns:
        if _fits(pattern.removeprefix("!"), name):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def is_wild(pattern: str) -> bool:
    """Whether it stands for no single name."""
    return pattern.startswith("!") or "*" in pattern or "?" in pattern


def _fits(pattern: str, name: str) -> bool:
    """In time that grows with the product of the lengths: a regular expression would go back and forth."""
    at = star = here = 0
    held = -1
    while here < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, held, at = at, here, at + 1
        elif at < len(pattern) and pattern[at] in ("?", name[here]):
            at, here = at + 1, here + 1
        elif held >= 0:
            held += 1
            at, here = star + 1, held
        else:
            return False
    return not pattern[at:].strip("*")
