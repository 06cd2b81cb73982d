"""One function over many items on all cores of the machine, by forked processes.

For a command that is about to end: its process has one thread, and what its children inherit costs nothing.
"""

import gc
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORTH_A_PROCESS = 400
"""Items a process should have at least: starting one costs as much as checking some dozens of documents."""
_BLOCK = 32
"""Neighbours are alike, so each process takes small blocks of them in turn and all have as much to do."""


def on_all_cores(function: Callable[[T], R], items: Sequence[T]) -> Sequence[R]:
    """`[function(item) for item in items]`, which must have no effect but its results; those must pickle.

    What a child could not answer, for whatever reason, is answered here: with the same result or the same error.
    """
    processes = min(_cores(), len(items) // WORTH_A_PROCESS)
    if processes < 2 or not hasattr(os, "fork"):
        return [function(item) for item in items]
    gc.freeze()  # else a collection in a child would copy every page that they share
    sys.stdout.flush()
    sys.stderr.flush()
    children = [_Child(function, items, _share(len(items), number, processes)) for number in range(1, processes)]
    try:
        results: dict[int, R] = {at: function(items[at]) for at in _share(len(items), 0, processes)}
    except BaseException:
        for child in children:
            child.end()
        raise
    for child in children:
        results.update(child.results())
    return [results[at] if at in results else function(item) for at, item in enumerate(items)]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _share(count: int, number: int, processes: int) -> Iterator[int]:
    return (at for at in range(count) if at // _BLOCK % processes == number)


class _Child(Generic[T, R]):
    """A process that answers a share of the items, and the end of the pipe on which it says so."""

    def __init__(self, function: Callable[[T], R], items: Sequence[T], share: Iterator[int]) -> None:
        reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(writing)
            self._answers = os.fdopen(reading, "rb")
            return
        try:  # in the child, which never returns from here
            os.close(reading)
            with os.fdopen(writing, "wb") as answers:
                _answer(function, items, share, answers)
        finally:
            os._exit(0)

    def end(self) -> None:
        """Without its answer."""
        self._answers.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def results(self) -> dict[int, R]:
        """What it found by index; nothing where it ended too early."""
        try:
            with self._answers:
                found = pickle.load(self._answers)  # noqa: S301 -- from our own child
        except (EOFError, OSError, pickle.UnpicklingError):
            found = {}
        os.waitpid(self._pid, 0)
        return found if isinstance(found, dict) else {}


def _answer(function: Callable[[T], R], items: Sequence[T], share: Iterator[int], answers: BinaryIO) -> None:
    try:
        pickle.dump({at: function(items[at]) for at in share}, answers, protocol=5)
    except Exception:  # noqa: BLE001 -- the parent asks again, and shows the error as its own
        return
