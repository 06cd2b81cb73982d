"""What is measured of every queue of no-ops alike. Plain Python: the peers' own interpreters load it too.

A no-op says nothing but when it began. Times are seconds of the wall clock, which all processes of a machine share.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

_LONGEST = 120.0
_LOOK = 0.01
"""Seconds from one look to the next whether something has begun: more often would keep a processor busy."""


class Queue(Protocol):
    """Where no-ops are put; somebody else works on them."""

    async def put(self, names: Sequence[str], *, urgent: bool) -> None:
        """Have them done. It returns when they are queued. Urgent ones come before those that are not."""
        ...

    async def began(self) -> Mapping[str, float]:
        """When each began that has begun by now."""
        ...

    async def has_begun(self, name: str) -> bool:
        """Whether this one has begun by now."""
        ...

    async def ended(self) -> int:
        """How many have ended so far, on record where the queue keeps a record of ends."""
        ...


async def idle(queue: Queue, mark: str, count: int, pause: float) -> list[float]:
    """Seconds from being put to its beginning of each of so many, one after another, with nothing else to do."""
    return await _started(queue, await _put_at_intervals(queue, mark, count, pause, urgent=False))


async def behind(queue: Queue, mark: str, waiting: int, count: int, pause: float) -> list[float]:
    """The same of urgent ones that come while `waiting` others, which are not, have been queued and are worked on."""
    others = [f"{mark}w{number}" for number in range(waiting)]
    await queue.put(others, urgent=False)
    sent = await _put_at_intervals(queue, mark, count, pause, urgent=True)
    began = await _all_begun(queue, {*sent, *others})
    last = max(began[other] for other in others)
    return [began[name] - at for name, at in sent.items() if at < last]


async def rate(queue: Queue, mark: str, count: int) -> float:
    """No-ops a second: so many are put at once, and counted from the first one's beginning to the last one's end."""
    before = await queue.ended()
    names = [f"{mark}r{number}" for number in range(count)]
    await queue.put(names, urgent=False)
    began = await _all_begun(queue, set(names))
    async with asyncio.timeout(_LONGEST):
        while await queue.ended() < before + count:
            await asyncio.sleep(0.01)
    return count / (time.time() - min(began[name] for name in names))


async def _put_at_intervals(queue: Queue, mark: str, count: int, pause: float, *, urgent: bool) -> dict[str, float]:
    """When each was put: so long after the one before as it took to begin, and `pause` seconds at least."""
    sent = {}
    async with asyncio.timeout(_LONGEST):
        for number in range(count):
            name = f"{mark}{'u' if urgent else 'i'}{number}"
            sent[name] = time.time()
            await queue.put([name], urgent=urgent)
            await asyncio.sleep(pause)
            while not await queue.has_begun(name):
                await asyncio.sleep(_LOOK)
    return sent


async def _started(queue: Queue, sent: Mapping[str, float]) -> list[float]:
    began = await _all_begun(queue, set(sent))
    return [began[name] - at for name, at in sent.items()]


async def _all_begun(queue: Queue, names: set[str]) -> Mapping[str, float]:
    async with asyncio.timeout(_LONGEST):
        while not names <= (began := await queue.began()).keys():
            await asyncio.sleep(0.05)
    return began


class Notes:
    """A file of lines, one a no-op: what it is called and when it began. Any number of processes add to it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._lines = open(path, encoding="utf-8")  # noqa: SIM115 - as long as the process lives
        self._read: dict[str, float] = {}

    def add(self, name: str) -> None:
        os.write(self._file, f"{name} {time.time()}\n".encode())

    def read(self) -> dict[str, float]:
        """All of them; what was read before is not read again."""
        self._read.update((name, float(at)) for name, at in (line.split() for line in self._lines))
        return self._read


class Noted:
    """What of a queue notes alone can tell; one that keeps no record of ends takes beginnings for them."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    async def began(self) -> Mapping[str, float]:
        return self._notes.read()

    async def has_begun(self, name: str) -> bool:
        return name in self._notes.read()

    async def ended(self) -> int:
        return len(self._notes.read())


async def serve(queue: Queue) -> None:
    """Answer lines of JSON, `[measure, argument, ...]`, each with a line: what came of it."""
    measures: dict[str, Any] = {"idle": idle, "behind": behind, "rate": rate}
    loop = asyncio.get_running_loop()
    print(json.dumps("ready"), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        what, *arguments = json.loads(line)
        print(json.dumps(await measures[what](queue, *arguments)), flush=True)
