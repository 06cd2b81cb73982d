"""A program on the runner's own host that a step type drives through its pipes, such as a scanner or an MCP server.

Its arguments are an argv and never a shell's words. Like a local step it has a session of its own, is registered with
the guardian before it does anything, and is ended provably. It gets the environment of local steps, not the runner's.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from runners import guardian
from runners.connections import Exited, Finish, Lost, Session, Stop
from runners.connections.process import Feed, Process

if TYPE_CHECKING:
    from runners.connections.local import Guardian, LocalSettings

_BECOME = 'echo "+$$" >&0 || exit 126; exec <"$0"; exec "$@"'
RESTRICTED = "this runner is restricted: it starts no programs"


class NotStarted(Exception):  # noqa: N818 - named after the program
    """It cannot be started here; the message says why. Nothing ran."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start: the program, by an absolute path or a name to be found in PATH, and its arguments.

    `env` is added to what local steps get; it may hold secrets. `talks`: whether it is given an input to read.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    talks: bool = False


class Running:
    """A program that was started. `write` and `end` are for one task; leave it by `close` in any case."""

    def __init__(self, process: Process, guard: "Guardian", stdin: int | None) -> None:
        self._process = process
        self._guard = guard
        self._stdin = stdin

    async def write(self, data: bytes) -> None:
        """All of it, as fast as it is read. Raises OSError where nobody reads any more."""
        loop = asyncio.get_running_loop()
        view = memoryview(data)
        while view:
            if self._stdin is None:
                raise BrokenPipeError("its input was closed")
            try:
                view = view[os.write(self._stdin, view) :]
            except BlockingIOError:
                room = loop.create_future()
                loop.add_writer(self._stdin, _wake, room)
                try:
                    await room
                finally:
                    if self._stdin is not None:
                        loop.remove_writer(self._stdin)

    def end_of_input(self) -> None:
        if self._stdin is not None:
            stdin, self._stdin = self._stdin, None
            asyncio.get_running_loop().remove_writer(stdin)
            os.close(stdin)

    async def finish(self, stop: Stop) -> Finish:
        """Wait for its end; on order end it, with the proof that local steps have."""
        finish = await self._process.finish(stop)
        if finish == Exited(128 + signal.SIGPIPE) and not self._guard.works:
            return Lost("the guardian of local programs had died")
        if isinstance(finish, Exited) and bool(await asyncio.to_thread(guardian.members, self._process.group)):
            # what it started is of no use without it, and would outlive the step
            guardian.send(self._process.group, signal.SIGKILL)
        return finish

    def close(self) -> None:
        """What is left of it is killed, without proof where `finish` has not told its end."""
        self.end_of_input()
        if self._process.lives:
            guardian.send(self._process.group, signal.SIGKILL)
        self._process.close()
        if not self._process.unproven:
            self._guard.ended(self._process.group)


def _wake(room: asyncio.Future[None]) -> None:
    if not room.done():
        room.set_result(None)


@runtime_checkable
class ProgramSession(Session, Protocol):
    """A session of the runner's own host, on which step types may drive programs."""

    async def start(self, program: Program, feed: Feed) -> Running:
        """Start it. `feed` gets its output as it comes, in the event loop. Raises NotStarted."""
        ...


async def started(
    settings: "LocalSettings", guard: "Guardian", program: Program, feed: Feed, *, mark: str = ""
) -> Running:
    """See ProgramSession.start."""
    if settings.restricted:
        raise NotStarted(RESTRICTED)
    path = found(program.argv[0], settings)
    if any("\0" in text for text in (*program.argv, *program.env, *program.env.values())):
        raise NotStarted("a NUL character, which no program can be given")
    news = await guard.ready()
    try:
        process, stdin = _popen((path, *program.argv[1:]), program, settings, news, feed)
    except OSError as error:
        raise NotStarted(f"cannot start {path}: {error.strerror or error}") from error
    guard.started(process.group, mark)
    return Running(process, guard, stdin)


def found(name: str, settings: "LocalSettings") -> str:
    """The absolute path of a program. Raises NotStarted."""
    path = settings.env.get("PATH", "")
    if "/" in name and not name.startswith("/"):
        raise NotStarted(f"'{name[:200]}' is a relative path; write an absolute one, or a name to be found in PATH")
    where = shutil.which(name, path=path)
    if where is None:
        place = "" if name.startswith("/") else f" in its PATH ({path})"
        raise NotStarted(f"this runner's host has no program '{name[:200]}'{place}; install it there")
    return where


def _popen(
    argv: Sequence[str], program: Program, settings: "LocalSettings", news: int, feed: Feed
) -> tuple[Process, int | None]:
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        reads: list[int] = []
        writes: list[int] = []
        for _ in range(2):
            read, write = os.pipe()
            ours.callback(os.close, read)
            theirs.callback(os.close, write)
            reads.append(read)
            writes.append(write)
        stdin: int | None = None
        kept: tuple[int, ...] = ()
        given = "/dev/null"
        if program.talks:
            read, stdin = os.pipe()
            theirs.callback(os.close, read)
            ours.callback(os.close, stdin)
            os.set_blocking(stdin, False)
            kept, given = (read,), f"/dev/fd/{read}"
        popen = subprocess.Popen(
            ["/bin/sh", "-c", _BECOME, given, *argv],
            stdin=news,
            stdout=writes[0],
            stderr=writes[1],
            pass_fds=kept,
            cwd=settings.folder,
            env={**settings.env, **program.env},
            start_new_session=True,
        )
        ours.pop_all()
    return Process(popen, {"stdout": reads[0], "stderr": reads[1]}, feed), stdin
