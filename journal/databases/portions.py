"""Long lists, a portion at a time: a statement takes a limited number of values."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
MOST = 500


def portions(values: Collection[T]) -> Iterator[list[T]]:
    """The values in order, at most MOST at once."""
    rest = iter(values)
    while part := list(islice(rest, MOST)):
        yield part


def portions_alike(instants: Mapping[str, datetime], within: timedelta) -> Iterator[list[str]]:
    """The names by their instants, the earliest first: at most MOST at once, and none further than `within` from the
    first of its portion."""
    part: list[str] = []
    for name in sorted(instants, key=lambda name: instants[name]):
        if part and (len(part) == MOST or instants[name] > instants[part[0]] + within):
            yield part
            part = []
        part.append(name)
    if part:
        yield part
