"""The way to an MCP server that is a program on the runner's host: one message a line, on its input and its output.

The program is ours to start, to bound and to end: the SDK's own way to start one ends it without proof, and takes
lines of any length.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage

from runners.connections.program import Running

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

LINE = 4 * 1024 * 1024
"""Bytes of one message, at most."""
TOTAL = 64 * 1024 * 1024
"""Bytes of all that a server says in one call."""


class TooMuch(Exception):  # noqa: N818 - named after what came
    """The server says more than is taken."""


class Inbox:
    """What the server says, as messages. `feed` is called in the event loop; after `close` nothing more comes."""

    def __init__(self) -> None:
        self._give, self.stream = anyio.create_memory_object_stream[SessionMessage | Exception](math.inf)
        self._rest = bytearray()
        self._total = 0
        self.error: TooMuch | None = None
        self.strange = 0
        """Lines that are no messages, such as what a program prints at its start."""

    def feed(self, data: bytes) -> None:
        if self.error is not None:
            return
        self._total += len(data)
        *lines, rest = (bytes(self._rest) + data).split(b"\n") if b"\n" in data else [data]
        if b"\n" in data:
            self._rest = bytearray(rest)
        else:
            self._rest += data
        if self._total > TOTAL or len(self._rest) > LINE or any(len(line) > LINE for line in lines):
            self.error = TooMuch(
                f"the server says too much: at most {LINE >> 20} MiB a message and {TOTAL >> 20} MiB a call are taken"
            )
            self.close()
            return
        for line in lines:
            self._take(line)

    def close(self) -> None:
        self._give.close()

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            self.strange += 1
            return
        try:
            self._give.send_nowait(SessionMessage(message))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody listens any more


@asynccontextmanager
async def over_stdio(running: Running, inbox: Inbox) -> AsyncIterator["TransportStreams"]:
    """The streams of a program that was started with `inbox.feed` for its output. Ending it is the caller's matter."""
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

    async with outbox, inbox.stream, anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        try:
            yield inbox.stream, outbox
        finally:
            tasks.cancel_scope.cancel()
