"""One function over many items on all cores of the machine, by forked processes.

For a command that is about to end: its process has one thread, and what its children inherit costs nothing. Others
ask in turn (`engine.spreading.in_turn`).
"""

import gc
import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO, Generic, TypeVar

from engine.spreading import in_turn

T = TypeVar("T")
R = TypeVar("R")

WORTH_A_PROCESS = 400
"""Items a process should have at least: starting one costs as much as checking some dozens of documents."""
_PORTION = 32
"""Items that a process takes at a time: enough to make little of the taking, few enough that all end together."""
_MOST_PORTIONS = 1_000
_NUMBER = struct.Struct("=I")


def on_all_cores(function: Callable[[T], R], items: Sequence[T]) -> Sequence[R]:
    """`[function(item) for item in items]`, which must have no effect but its results; those must pickle.

    What a child could not answer, for whatever reason, is answered here: with the same result or the same error.
    """
    processes = min(_cores(), len(items) // WORTH_A_PROCESS)
    if processes < 2 or not hasattr(os, "fork"):
        return in_turn(function, items)
    gc.freeze()  # else a collection in a child would copy every page that they share
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        given = _Portions(len(items))
    except OSError:  # not one more file may be open
        return in_turn(function, items)
    with given as portions:
        children: list[_Child[T, R]] = []
        try:
            # A system that lets nobody start another process is no error: those that there are do the work.
            with suppress(OSError):
                for _ in range(1, processes):
                    children.append(_Child(function, items, portions))
            results = {portion.start: [function(items[at]) for at in portion] for portion in portions}
        except BaseException:
            for child in children:
                child.end()
            raise
        for child in children:
            results.update(child.results())
        for portion in portions.all:
            if portion.start not in results:
                results[portion.start] = [function(items[at]) for at in portion]
    return [result for portion in portions.all for result in results[portion.start]]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Portions:
    """Some neighbouring items at a time, each portion for whichever of the processes is the first to ask for it.

    Their numbers lie in a pipe, from which each takes the next: nobody waits for one that was given harder items, or
    less of a core.
    """

    def __init__(self, count: int) -> None:
        size = max(_PORTION, -(-count // _MOST_PORTIONS))
        self.all = [range(start, min(start + size, count)) for start in range(0, count, size)]
        self._numbers, writing = os.pipe()
        # At once and without waiting: a pipe takes 4 KiB, whatever the system's limits are.
        os.write(writing, b"".join(map(_NUMBER.pack, range(len(self.all)))))
        os.close(writing)

    def __enter__(self) -> "_Portions":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._numbers)

    def __iter__(self) -> Iterator[range]:
        while number := os.read(self._numbers, _NUMBER.size):
            yield self.all[_NUMBER.unpack(number)[0]]


class _Child(Generic[T, R]):
    """A process that answers portions of the items, and the end of the pipe on which it says so.

    Raises OSError where the system gives no more processes or pipes; nothing is left open then.
    """

    def __init__(self, function: Callable[[T], R], items: Sequence[T], portions: _Portions) -> None:
        parent = os.getpid()
        reading, writing = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if self._pid:
            os.close(writing)
            self._answers = os.fdopen(reading, "rb")
            return
        try:  # in the child, which never returns from here
            os.close(reading)
            with os.fdopen(writing, "wb") as answers:
                _answer(function, items, portions, answers, parent)
        finally:
            os._exit(0)

    def end(self) -> None:
        """Without its answer."""
        self._answers.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def results(self) -> dict[int, list[R]]:
        """What it found in its portions, by where each begins; of those that it has not ended, nothing."""
        found: dict[int, list[R]] = {}
        try:
            with self._answers:
                while True:
                    start, results = pickle.load(self._answers)  # noqa: S301 -- from our own child
                    found[start] = results
        except (EOFError, OSError, pickle.UnpicklingError):
            pass  # its end, whichever it was
        os.waitpid(self._pid, 0)
        return found


def _answer(
    function: Callable[[T], R], items: Sequence[T], portions: _Portions, answers: BinaryIO, parent: int
) -> None:
    found: list[bytes] = []
    with suppress(Exception):  # the parent asks again, and shows the error as its own
        for portion in portions:
            if os.getppid() != parent:
                return  # it was ended, and nobody would read the answers
            # Kept to the end: the parent has its own portions to look after, and reads nothing meanwhile.
            found.append(pickle.dumps((portion.start, [function(items[at]) for at in portion]), protocol=5))
    answers.writelines(found)
