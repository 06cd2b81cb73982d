"""Long lists, a portion at a time: a statement takes a limited number of values."""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
MOST = 500


def portions(values: Collection[T]) -> Iterator[list[T]]:
    """The values in order, at most MOST at once."""
    rest = iter(values)
    while part := list(islice(rest, MOST)):
        yield part
