"""Connections: how a step reaches the place where it runs.

A connection opens sessions. A step type sees a `Session` and nothing of what is behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

from engine.runs.pinned import RUNNER, PinnedTarget
from runners.bootstrap import Command
from runners.limits import Capture
from runners.secrets import Opened
from schemas.target import Become

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
        self._waiting: set[asyncio.Future[None]] = set()
        self._hurried = asyncio.Event()

    def order(self, why: Why, message: str, *, kill_after: float = GRACE) -> None:
        """`message` says to people why it was ended."""
        if self.why is None:
            self.why, self.message, self.kill_after = why, message, kill_after
        elif kill_after < self.kill_after:
            self.kill_after = kill_after
            self._hurried.set()
        self._given.set()
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def given(self) -> None:
        await self._given.wait()

    async def hurried(self) -> None:
        """Returns when the time to KILL was shortened after the order."""
        await self._hurried.wait()

    async def first(self, work: Awaitable[T]) -> bool:
        """Wait for `work` or the order. True when the work is done; it is not cancelled otherwise."""
        task = asyncio.ensure_future(work)
        # a future and no task that waits for the event: every command waits here several times
        order: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._given.is_set():
            order.set_result(None)
        self._waiting.add(order)
        try:
            await asyncio.wait((task, order), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(order)
        return task.done()


class Session(Protocol):
    """One attempt of one step, at its place. Handed to a step type, which may execute any number of commands in turn.

    `execute` returns when the command's end is proven, or cannot be. Output goes to the step's capture, masked. The
    order to end the step ends the running command; later ones are refused. When the task is cancelled, the command is
    killed at once, without proof.

    A session may have more than this: step types reach its attributes by their names, as far as these begin with no
    underscore. They are not handed the session itself but one that stands before it, so `isinstance` knows no class of
    a plug-in; and of what goes out by such an attribute no note is taken: whoever uses it says himself that something
    was sent.
    """

    capture: Capture
    stop: Stop

    async def take_over(self) -> Finish | None:
        """End what an earlier attempt of the step left at this place. Called once, before a repetition does anything.

        None when nothing of it runs any more. Otherwise the step must not be executed, and this is what became of it.
        """
        ...

    async def execute(self, command: Command) -> Finish: ...


# --- what opens sessions ---------------------------------------------------------------------------------------------


class Unreached(Exception):  # noqa: N818 - named after what it means: nothing was sent
    """No connection, or no login. The message is for people, and holds no secret."""


class Unusable(Exception):  # noqa: N818
    """The document or the credential cannot work, whatever the host does. The message is as that of Unreached."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. A connection that carries nothing is noticed after (`alive_count` + 1) times `alive_every`."""

    connect: float = 10.0
    login: float = 20.0
    alive_every: float = 4.0
    alive_count: int = 3
    idle: float = 15.0
    """How long a connection that nobody uses stays open."""
    total: float = 3600.0
    """After which a connection is not used for another step: who logs in is asked anew at least so often."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a step runs, and by what right. `target` is None on the runner's own side.

    `opened` opens a credential of the run, and raises runners.secrets.Sealed; `jumps` are the targets that others are
    reached through, by name.
    """

    target: PinnedTarget | None
    opened: Callable[[str], Opened] = field(repr=False)
    become: Become | None = None
    """The user that the step itself names; else the connection's settings may name one."""
    jumps: Mapping[str, PinnedTarget] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def name(self) -> str:
        return self.target.name if self.target is not None else RUNNER

    def settings(self, connection: str) -> Mapping[str, Any]:
        """What the target says in `spec.connections.plugins` for a plug-in's connection; it is not checked."""
        return self.target.connections.plugins.get(connection, {}) if self.target is not None else {}


@dataclass(frozen=True, slots=True)
class Answered:
    """The place was reached and has answered. `said` is one line for people."""

    said: str


Probe = Answered | NotSent | Refused


class Connection(Protocol):
    """One way to reach places. Made once by a runner, and serves all its runs at once until `close`.

    Nothing that it is given may be logged.
    """

    def open(self, site: Site, capture: Capture, stop: Stop, *, mark: str) -> Session:
        """A session for one attempt of one step. Connects to nothing yet.

        `mark` is 32 characters that say which step of which run this is, the same for all its attempts. Raises Unusable
        and runners.secrets.Sealed where the place can never be reached as it stands in the documents.
        """
        ...

    async def probe(self, site: Site) -> Probe:
        """Log in and do something harmless, or negotiate as far as there is no login. Ends within 90 seconds.

        Raises the same as `open`.
        """
        ...

    async def close(self) -> None:
        """Let go of everything. Called once, after the last session has ended."""
        ...
