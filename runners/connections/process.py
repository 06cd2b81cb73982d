"""A process of this host that the event loop follows: its output as it comes, its end, and the proof of that."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable

from runners import guardian
from runners.connections import DRAIN, PROOF, Ended, Exited, Finish, Lost, Stop
from runners.limits import Stream

Feed = Callable[[Stream, bytes], None]
"""Takes output as it comes, and has done its work when it returns."""
_READ = 1 << 16
_POLL = 0.05


class Process:
    """One child process, the first of a session of its own, and the pipes that its output comes through."""

    def __init__(self, popen: subprocess.Popen[bytes], pipes: dict[Stream, int], feed: Feed) -> None:
        self.group = popen.pid
        self.unproven = False
        self._popen = popen
        self._feed = feed
        self._open: dict[Stream, int] = {}
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._drained: asyncio.Future[None] = self._loop.create_future()
        self._pidfd: int | None = None
        for stream, pipe in pipes.items():
            os.set_blocking(pipe, False)
            self._open[stream] = pipe
            self._loop.add_reader(pipe, self._read, stream, pipe)
        self._follow()

    async def finish(self, stop: Stop) -> Finish:
        try:
            if not self._exited.done():
                await stop.first(asyncio.shield(self._exited))
            if self._exited.done():
                await self._drain()
                return Exited(self._code())
            return await self._end(stop)
        except asyncio.CancelledError:
            guardian.send(self.group, signal.SIGKILL)
            raise

    async def _end(self, stop: Stop) -> Finish:
        """TERM, the grace, KILL, and the proof."""
        began = self._loop.time()
        guardian.send(self.group, signal.SIGTERM)
        killed = False
        while True:
            if self._exited.done() and not await asyncio.to_thread(guardian.alive, self.group):
                await self._drain()
                return Ended(self._code())
            passed = self._loop.time() - began
            if passed >= PROOF:
                self.unproven = True
                return Lost(f"it was ordered to end, and its processes (group {self.group}) may still live")
            if not killed and passed >= stop.kill_after:
                guardian.send(self.group, signal.SIGKILL)
                killed = True
            await asyncio.sleep(_POLL if passed > 0.5 else 0.005)

    async def _drain(self) -> None:
        if not self._open:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await asyncio.shield(self._drained)

    @property
    def lives(self) -> bool:
        """Whether the process itself has not ended; what it started may outlive it."""
        return not self._exited.done()

    def close(self) -> None:
        for stream in list(self._open):
            self._hang_up(stream)
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        self._popen.poll()

    def _read(self, stream: Stream, pipe: int) -> None:
        try:
            data = os.read(pipe, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._feed(stream, data)
        else:
            self._hang_up(stream)

    def _hang_up(self, stream: Stream) -> None:
        pipe = self._open.pop(stream)
        self._loop.remove_reader(pipe)
        os.close(pipe)
        if not self._open and not self._drained.done():
            self._drained.set_result(None)

    def _follow(self) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                self._pidfd = os.pidfd_open(self.group)
        if self._pidfd is not None:
            self._loop.add_reader(self._pidfd, self._reap)
            return
        waiting = asyncio.ensure_future(asyncio.to_thread(self._popen.wait))
        waiting.add_done_callback(self._reaped)

    def _reap(self) -> None:
        if self._popen.poll() is None:
            return
        assert self._pidfd is not None
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = None
        self._reaped(None)

    def _reaped(self, _: object) -> None:
        if not self._exited.done():
            self._exited.set_result(None)

    def _code(self) -> int:
        code = self._popen.returncode
        return 128 - code if code < 0 else code
