"""What became of the items of a forEach, in words: how many ended in which way, and how many never began."""

from collections import Counter
from collections.abc import Iterable

_FIRST = ("succeeded", "rescued", "skipped")
"""What went well stands before the rest, and the rest in the order in which it happened."""


def counted(ends: Iterable[str], total: int) -> str:
    """`4 items: 1 succeeded, 1 cancelled, 2 did not begin`. `ends` are the states of those that began."""
    found = Counter(ends)
    ways = [*(way for way in _FIRST if way in found), *(way for way in found if way not in _FIRST)]
    parts = [f"{found[way]} {way}" for way in ways]
    if left := total - found.total():
        parts.append(f"{left} did not begin")
    return f"{total} {'item' if total == 1 else 'items'}: {', '.join(parts)}"
