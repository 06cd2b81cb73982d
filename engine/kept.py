"""Answers that are kept while the process lives, in bounds: a daemon of many months asks about very many texts."""

from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Concatenate, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

SHORT = 4_096
"""Code points, or bytes, of a text that may be held for the life of the process."""


class OfShort(Generic[P, R]):
    """A pure function whose last `most` answers are kept: those about texts of at most `short` code points.

    An exception is not kept.
    """

    def __init__(self, answer: Callable[Concatenate[str, P], R], most: int, *, short: int = SHORT) -> None:
        self._short = short
        self._answer = answer
        self._kept: Callable[Concatenate[str, P], R] = lru_cache(maxsize=most)(answer)

    def __call__(self, text: str, *args: P.args, **kwargs: P.kwargs) -> R:
        return (self._kept if len(text) <= self._short else self._answer)(text, *args, **kwargs)


class OfLong(Generic[R]):
    """The last answers about texts of any length, which are known by their SHA-256 and not held themselves.

    An answer that is not `small` is not kept.
    """

    def __init__(self, most: int, *, small: Callable[[R], bool] = lambda _: True) -> None:
        self._cell: Callable[[bytes], list[R]] = lru_cache(maxsize=most)(lambda _: [])
        self._small = small

    def answer(self, text: bytes, find: Callable[[], R]) -> R:
        """What `find` gives for this text, which is all that the answer depends on."""
        cell = self._cell(sha256(text).digest())
        if cell:
            return cell[0]
        found = find()
        if self._small(found):
            cell.append(found)
        return found
