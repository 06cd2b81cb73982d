"""Connections: how a step's command reaches the place where it runs.

`ssh` and `local` are here. A step type sees a `Session` and nothing of what is behind it.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from runners.bootstrap import Command
from runners.limits import Capture

GRACE = 10.0
"""Seconds between TERM and KILL."""

PROOF = 20.0
"""Seconds after the order to end within which the end must be proven."""

DRAIN = 2.0
"""Seconds to wait for the rest of the output after the exit status: a process left behind may hold the streams open."""

Why = Literal["timedOut", "cancelled", "drained", "lost"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exited:
    """It ended by itself."""

    code: int


@dataclass(frozen=True, slots=True)
class Ended:
    """It was ended on order, and no process of it is left. `code` is the exit code, where one came."""

    code: int | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing of it was sent: no connection, no login. Repeating is safe."""

    error: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It cannot be run as it is, here. Nothing ran."""

    error: str


@dataclass(frozen=True, slots=True)
class Lost:
    """It was sent, and what became of it is not known."""

    error: str


Finish = Exited | Ended | NotSent | Refused | Lost


class Stop:
    """The order to end a step. The first one counts; a later one may only shorten the time between TERM and KILL."""

    def __init__(self) -> None:
        self.why: Why | None = None
        self.message = ""
        self.kill_after = GRACE
        self._given = asyncio.Event()
        self._hurried = asyncio.Event()

    def order(self, why: Why, message: str, *, kill_after: float = GRACE) -> None:
        """`message` says to people why it was ended."""
        if self.why is None:
            self.why, self.message, self.kill_after = why, message, kill_after
        elif kill_after < self.kill_after:
            self.kill_after = kill_after
            self._hurried.set()
        self._given.set()

    async def given(self) -> None:
        await self._given.wait()

    async def hurried(self) -> None:
        """Returns when the time to KILL was shortened after the order."""
        await self._hurried.wait()

    async def first(self, work: Awaitable[T]) -> bool:
        """Wait for `work` or the order. True when the work is done; it is not cancelled otherwise."""
        task = asyncio.ensure_future(work)
        order = asyncio.ensure_future(self.given())
        try:
            await asyncio.wait({task, order}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            order.cancel()
        return task.done()


class Session(Protocol):
    """One attempt of one step, at its place. Handed to a step type, which may execute any number of commands in turn.

    `execute` returns when the command's end is proven, or cannot be. Output goes to the step's capture, masked. The
    order to end the step ends the running command; later ones are refused. When the task is cancelled, the command is
    killed at once, without proof.
    """

    capture: Capture
    stop: Stop

    async def take_over(self) -> Finish | None:
        """End what an earlier attempt of the step left at this place. Called once, before a repetition does anything.

        None when nothing of it runs any more. Otherwise the step must not be executed, and this is what became of it.
        """
        ...

    async def execute(self, command: Command) -> Finish: ...
