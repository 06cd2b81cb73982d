"""The way to an MCP server that is a program on the runner's host: one message a line, on its input and its output.

The program is ours to start, to bound and to end: the SDK's own way to start one ends it without proof, and takes
lines of any length.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import mcp_types as types
from mcp.shared.message import SessionMessage

from runners.connections.program import Running
from runners.mcp.measure import Measure, Message
from runners.steps.exchange import TooLong

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

WAITING = 10_000
"""Lines that wait to be read, at most."""


class Inbox:
    """What the server says, as lines. `feed` is called in the event loop; after `close` nothing more comes.

    It reads none of them: over_stdio does so, one at a time, as its other end takes them.
    """

    def __init__(self) -> None:
        self._give, self.lines = anyio.create_memory_object_stream[bytes](WAITING)
        self._rest = bytearray()
        self._measure, self._message = Measure(), Message()
        self.error: TooLong | None = None
        self.strange = 0
        """Lines that are no messages, such as what a program prints at its start."""

    def feed(self, data: bytes) -> None:
        if self.error is not None:
            return
        try:
            for piece in _pieces(data):
                self._message.add(len(piece), self._measure.take(piece))
                self._rest += piece
                if piece.endswith(b"\n"):
                    self._full()
        except TooLong as error:
            self.error = error
            self.close()

    def _full(self) -> None:
        line, self._rest, self._message = bytes(self._rest), bytearray(), Message()
        if not line.strip():
            return
        try:
            self._give.send_nowait(line)
        except anyio.WouldBlock:
            raise TooLong(f"the server says too much: {WAITING} messages wait to be read") from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody listens any more

    def close(self) -> None:
        self._give.close()

    def read(self, line: bytes) -> SessionMessage | None:
        try:
            return SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValueError:
            self.strange += 1
            return None


def _pieces(data: bytes) -> list[bytes]:
    """Lines with their ends, and what is left. Not `splitlines`: a carriage return ends no message."""
    *lines, rest = data.split(b"\n")
    return [line + b"\n" for line in lines] + ([rest] if rest else [])


@asynccontextmanager
async def over_stdio(running: Running, inbox: Inbox) -> AsyncIterator["TransportStreams"]:
    """The streams of a program that was started with `inbox.feed` for its output. Ending it is the caller's matter."""
    give, stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outbox, taken = anyio.create_memory_object_stream[SessionMessage](0)

    async def write() -> None:
        async with taken:
            async for message in taken:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                try:
                    await running.write(line.encode() + b"\n")
                except OSError:
                    inbox.close()  # it reads no more: whoever waits for an answer is told
                    return

    async def read() -> None:
        async with give, inbox.lines:
            async for line in inbox.lines:
                if (message := inbox.read(line)) is None:
                    await anyio.lowlevel.checkpoint()  # others have their turn
                    continue
                try:
                    await give.send(message)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return  # nobody listens any more

    async with outbox, stream, anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        tasks.start_soon(read)
        try:
            yield stream, outbox
        finally:
            tasks.cancel_scope.cancel()
