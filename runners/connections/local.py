"""Steps on the runner's own host: one process a step, in a session of its own, watched by a guardian.

The step's process is a shell that first registers with the guardian and then becomes the step, so that nothing of a
step can run that would survive a runner that was killed. No thread and no further process is spent on a step.
"""

import asyncio
import errno
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from journal import points
from runners import guardian
from runners.bootstrap import INTERPRETERS, Command, Unsendable
from runners.connections import PROOF, Exited, Finish, Lost, NotSent, Refused, Stop, localfiles
from runners.connections.files import Files
from runners.connections.process import Feed, Process
from runners.connections.program import Program, Running, started
from runners.limits import Capture
from schemas.job import Shell

_REGISTER = 'echo "+$$" >&0 || exit 126; exec <"$2"; '
_THEN: dict[Shell, str] = {
    "sh": 'eval "shift 2; . $1"',
    "bash": 'exec bash "$1"',
    "python3": 'exec python3 "$1"',
}
RESTRICTED = "this runner is restricted: it runs no local steps"
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What local steps are given. `env` is their whole environment, before the step's own."""

    env: Mapping[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin"})
    folder: str = "/"
    restricted: bool = False


class Guardian:
    """The runner's side of runners.guardian: the lock, the pipes, and the process, started with the first step.

    `acquire` waits until the guardian of an earlier runner has ended what that one left. One instance a runner.
    """

    def __init__(self, lock: Path) -> None:
        self._path = lock
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._life: int | None = None
        self._news: int | None = None
        self._groups: dict[int, str] = {}
        self._starting = asyncio.Lock()

    async def acquire(self) -> None:
        """Take the lock, however long that takes. Raises OSError where the file cannot be made."""
        if self._lock is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_POLL)
        except BaseException:
            os.close(file)
            raise
        self._lock = file

    async def ready(self) -> int:
        """The descriptor on which a step's shell registers. Starts the process where it is not running."""
        if self._process is not None and self._process.poll() is None and self._news is not None:
            return self._news
        async with self._starting:
            if self._process is None or self._process.poll() is not None or self._news is None:
                await self.acquire()
                await self._start()
            assert self._news is not None
            return self._news

    @property
    def works(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def started(self, group: int, mark: str = "") -> None:
        """Remember a group, for a guardian that must be started anew, and for whoever repeats the step of this mark."""
        self._groups[group] = mark

    def left(self, mark: str) -> tuple[int, ...]:
        """The groups of the step of this mark whose end is not proven."""
        return tuple(group for group, of in self._groups.items() if of == mark)

    def ended(self, group: int) -> None:
        self._groups.pop(group, None)
        self._tell(f"-{group}\n")

    async def close(self) -> None:
        """After the last step. The guardian ends by itself."""
        for end in (self._life, self._news):
            if end is not None:
                os.close(end)
        self._life = self._news = None
        if self._process is not None:
            # it lets half a second pass for late shells; there is nothing to wait for here
            process, self._process = self._process, None
            self._release()
            await asyncio.to_thread(process.wait)
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _start(self) -> None:
        for end in (self._life, self._news):
            if end is not None:
                os.close(end)
        life_read, self._life = os.pipe()
        news_read, self._news = os.pipe()
        os.set_blocking(self._news, False)
        assert self._lock is not None
        try:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - forks in a millisecond, once
                [sys.executable, "-I", "-S", guardian.__file__, str(life_read), str(news_read)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(life_read, news_read, self._lock),
                start_new_session=True,
                cwd="/",
                env={},
            )
        finally:
            os.close(life_read)
            os.close(news_read)
        assert self._process.stdout is not None
        await asyncio.to_thread(self._process.stdout.readline)
        self._process.stdout.close()
        for group in self._groups:
            self._tell(f"+{group}\n")

    def _tell(self, line: str) -> None:
        if self._news is None:
            return
        try:
            os.write(self._news, line.encode())
        except BlockingIOError:
            # the guardian is frozen: it will hear of it later
            asyncio.get_running_loop().call_later(1, self._tell, line)
        except BrokenPipeError:
            pass


class LocalHost:
    """Runs commands here. Serves many steps at once; shared by all sessions of a runner."""

    def __init__(self, settings: LocalSettings, guard: Guardian) -> None:
        self.settings = settings
        self.guard = guard

    async def take_over(self, mark: str) -> Finish | None:
        """See runners.connections.Session. What is left here has been sent KILL: its end is waited for."""
        until = asyncio.get_running_loop().time() + PROOF
        for group in self.guard.left(mark) if mark else ():
            while await asyncio.to_thread(guardian.alive, group):
                if asyncio.get_running_loop().time() >= until:
                    return Lost(
                        "it was not started again, because its earlier attempt is not proven to have ended: "
                        f"its processes (group {group}) may still live"
                    )
                await asyncio.sleep(_POLL)
            self.guard.ended(group)
        return None

    async def execute(self, command: Command, capture: Capture, stop: Stop, *, mark: str = "") -> Finish:
        """See runners.connections.Session."""
        if self.settings.restricted:
            return Refused(RESTRICTED)
        try:
            command.checked()
        except Unsendable as error:
            return Refused(str(error))
        if stop.why is not None:
            return NotSent("the order to end came before it was started")
        news = await self.guard.ready()
        try:
            process = _started(command, self.settings, news, capture)
        except OSError as error:
            return Refused(_why_not(command, error))
        self.guard.started(process.group, mark)
        points.reach("step.sent")
        try:
            finish = await process.finish(stop)
        finally:
            process.close()
            if not process.unproven:
                self.guard.ended(process.group)
        if finish == Exited(128 + signal.SIGPIPE) and not self.guard.works:
            return Refused("the guardian of local steps had died; nothing was run")
        return finish


class LocalSession:
    """A `Session` on this host."""

    def __init__(self, host: LocalHost, capture: Capture, stop: Stop, *, mark: str = "") -> None:
        """`mark` says which step of which run this is, and is the same for all its attempts."""
        self.capture = capture
        self.stop = stop
        self._host = host
        self._mark = mark

    async def take_over(self) -> Finish | None:
        """See Session. Steps of an earlier runner were ended by its guardian before this one got its lock; here it is
        about what this runner began itself, where the run was taken away from it and it has claimed it anew."""
        return await self._host.take_over(self._mark)

    async def execute(self, command: Command) -> Finish:
        return await self._host.execute(command, self.capture, self.stop, mark=self._mark)

    def files(self) -> AbstractAsyncContextManager[Files]:
        """See runners.connections.files.FileSession."""
        return localfiles.opened(refused=RESTRICTED if self._host.settings.restricted else None)

    async def start(self, program: Program, feed: Feed) -> Running:
        """See runners.connections.program.ProgramSession."""
        return await started(self._host.settings, self._host.guard, program, feed, mark=self._mark)


def _why_not(command: Command, error: OSError) -> str:
    if command.working_dir is not None and error.filename == command.working_dir:
        return f"cannot change to folder {command.working_dir}: {error.strerror}"
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM):
        return f"this host cannot start another process: {error.strerror}"
    return f"cannot start a process: {error}"


def _started(command: Command, settings: LocalSettings, news: int, capture: Capture) -> Process:
    """Raises OSError; then nothing runs."""
    ours: list[int] = []
    theirs: list[int] = []
    try:
        for _ in range(2):
            read, write = os.pipe()
            ours.append(read)
            theirs.append(write)
        script = _content(command.script, theirs)
        given = "/dev/null" if command.stdin is None else f"/dev/fd/{_content(command.stdin, theirs)}"
        shell = command.shell
        popen = subprocess.Popen(
            ["/bin/sh", "-c", _REGISTER + _THEN[shell], INTERPRETERS[shell], f"/dev/fd/{script}", given],
            stdin=news,
            stdout=theirs[0],
            stderr=theirs[1],
            pass_fds=theirs[2:],
            cwd=command.working_dir or settings.folder,
            env={**settings.env, **command.env},
            start_new_session=True,
        )
    except BaseException:
        for end in ours:
            os.close(end)
        raise
    finally:
        for end in theirs:
            os.close(end)
    return Process(popen, {"stdout": ours[0], "stderr": ours[1]}, capture.feed)


def _content(text: str, opened: list[int]) -> int:
    """A descriptor of a nameless file with this content; noted in `opened`."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("step", os.MFD_CLOEXEC)
    else:
        file, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108 - a descriptor, not a path, is what is kept
    opened.append(file)
    view = memoryview(text.encode("utf-8", "surrogateescape"))
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file
