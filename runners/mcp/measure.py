"""How much an MCP server may say. Pure.

Messages are read in the event loop that renews the leases of all runs, so none may cost much: what is dear about JSON
is not its length but its parts, each of which becomes an object. A message at these limits is read in some 50 ms.
"""

from runners.steps.exchange import TooLong

MESSAGE = 1024 * 1024
"""Bytes of one message, at most."""
PARTS = 50_000
"""Of `[`, `{`, `,`, `:` and ends of lines in one message, at most, those in its texts included."""
TOTAL = 16 * 1024 * 1024
"""Bytes of all that a server says in one call, at most."""
ALL_PARTS = 500_000
"""Of the same in all of that."""


class Measure:
    """What one server said in one call."""

    def __init__(self) -> None:
        self._bytes = self._parts = 0

    def take(self, data: bytes) -> int:
        """The parts of some bytes that came. Raises TooLong where all that came is too much."""
        found = sum(data.count(mark) for mark in (b"[", b"{", b",", b":", b"\n"))
        self._bytes += len(data)
        self._parts += found
        if self._bytes > TOTAL or self._parts > ALL_PARTS:
            raise TooLong(f"the server says too much: a call may have at most {TOTAL >> 20} MiB and {ALL_PARTS} parts")
        return found


class Message:
    """One message that grows. `add` raises TooLong."""

    def __init__(self) -> None:
        self._bytes = self._parts = 0

    def add(self, size: int, parts: int) -> None:
        self._bytes += size
        self._parts += parts
        if self._bytes > MESSAGE or self._parts > PARTS:
            raise TooLong(f"the server says too much: a message may have at most {MESSAGE >> 20} MiB and {PARTS} parts")
