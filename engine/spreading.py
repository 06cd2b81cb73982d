"""How a function is asked about many items: in turn here, on several cores where the caller can offer them."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Every(Protocol):
    """Gives `[function(item) for item in items]`, in whatever way. The function has no effect but its results."""

    def __call__(self, function: Callable[[T], R], items: Sequence[T], /) -> Sequence[R]: ...


def in_turn(function: Callable[[T], R], items: Sequence[T], /) -> Sequence[R]:
    """One after another, in this thread."""
    return [function(item) for item in items]
