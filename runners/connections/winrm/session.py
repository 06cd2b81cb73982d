"""Steps over WinRM: the event loop's side. Each command has a thread; a bounded number of them works at once."""

import asyncio
import contextlib
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from runners.bootstrap import Command, Unsendable
from runners.connections import PROOF, Finish, Lost, NotSent, Refused, Stop
from runners.connections.files import Files
from runners.connections.winrm.files import RemoteFiles
from runners.connections.winrm.place import WinrmLimits, WinrmPlace
from runners.connections.winrm.wire import Wire
from runners.connections.winrm.work import Work
from runners.limits import Capture

SHELLS = ("powershell", "cmd")
_HOPELESS = PROOF + 5.0
T = TypeVar("T")


class WinrmConnections:
    """Threads and warm connections of one runner. Equal places, credentials included, share connections."""

    def __init__(self, limits: WinrmLimits | None = None) -> None:
        self.limits = limits or WinrmLimits()
        self._threads = ThreadPoolExecutor(self.limits.sessions, "winrm")
        self._warm: dict[WinrmPlace, list[tuple[Wire, asyncio.TimerHandle]]] = {}
        self._closed = False

    def begin(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Do it in a thread, when one is free."""
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def taken(self, place: WinrmPlace) -> Wire | None:
        """A warm connection, now its taker's alone."""
        wires = self._warm.get(place, [])
        while wires:
            wire, timer = wires.pop()
            timer.cancel()
            if not wires:
                self._warm.pop(place, None)
            if wire.works and time.monotonic() - wire.since < self.limits.total:
                return wire
            wire.close()
        return None

    def give_back(self, wire: Wire) -> None:
        if self._closed or self.limits.idle <= 0:
            wire.close()
            return
        timer = asyncio.get_running_loop().call_later(self.limits.idle, self._expire, wire)
        self._warm.setdefault(wire.place, []).append((wire, timer))

    async def close(self) -> None:
        self._closed = True
        for wires in self._warm.values():
            for wire, timer in wires:
                timer.cancel()
                wire.close()
        self._warm.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _expire(self, wire: Wire) -> None:
        kept = [pair for pair in self._warm.get(wire.place, []) if pair[0] is not wire]
        if kept:
            self._warm[wire.place] = kept
        else:
            self._warm.pop(wire.place, None)
        wire.close()


class WinrmSession:
    """A `FileSession` over WinRM. Connects when the first command is executed."""

    def __init__(
        self, place: WinrmPlace, connections: WinrmConnections, capture: Capture, stop: Stop, *, mark: str = ""
    ) -> None:
        """`mark` says on the host which step of which run this is, and is the same for all its attempts."""
        self.capture = capture
        self.stop = stop
        self._place = place
        self._connections = connections
        self._shell = shell_id(mark)
        self._session = str(uuid.uuid4())

    async def take_over(self) -> Finish | None:
        """See Session. Needs a mark."""
        work = self._work(warm=False)
        done = self._connections.begin(work.end_earlier)
        try:
            if not await self.stop.first(asyncio.shield(done)):
                work.abort()
                return NotSent("the order to end came before it was sent")
            return done.result()
        finally:
            self._let_go(work, done)

    async def execute(self, command: Command) -> Finish:
        """See Session. An order to end that comes before anything was sent gives NotSent."""
        try:
            checked(command)
        except Unsendable as error:
            return Refused(str(error))
        if self.stop.why is not None:
            return NotSent("the order to end came before it was sent")
        work = self._work(warm=True)
        done = self._connections.begin(lambda: work.run(command, self.capture.feed))
        try:
            if await self.stop.first(asyncio.shield(done)):
                return done.result()
            return await self._ended(work, done)
        except asyncio.CancelledError:
            work.orders.end(0.0)
            work.abort()
            raise
        finally:
            self._let_go(work, done)

    @asynccontextmanager
    async def files(self) -> AsyncIterator[Files]:
        """See FileSession."""
        files = RemoteFiles(self._place, self._connections, self._shell, self._session)
        try:
            await files.connect()
            yield files
        finally:
            await files.close()

    def _work(self, *, warm: bool) -> Work:
        wire = self._connections.taken(self._place) if warm else None
        return Work(self._place, self._connections.limits, self._shell, self._session, wire)

    async def _ended(self, work: Work, done: "asyncio.Future[Finish]") -> Finish:
        if work.orders.end(self.stop.kill_after):
            work.abort()
            return NotSent("the order to end came before it was sent")
        hurried = asyncio.ensure_future(self.stop.hurried())
        awaited: set[asyncio.Future[Any]] = {done, hurried}
        try:
            await asyncio.wait(awaited, timeout=_HOPELESS, return_when=asyncio.FIRST_COMPLETED)
            if hurried.done():
                work.orders.end(0.0)
                await asyncio.wait({done}, timeout=_HOPELESS)
        finally:
            hurried.cancel()
        if done.done():
            return done.result()
        work.abort()
        return Lost(f"it was ordered to end, and its end is not proven: no answer within {_HOPELESS:.0f} s")

    def _let_go(self, work: Work, done: "asyncio.Future[Any]") -> None:
        def over(future: "asyncio.Future[Any]") -> None:
            if not future.cancelled():
                future.exception()
            if work.wire is not None:
                self._connections.give_back(work.wire)

        if done.done():
            over(done)
        else:
            done.add_done_callback(over)


def shell_id(mark: str) -> str:
    """The id of the shell that all attempts of one step have; of a session without a mark, one of its own."""
    if not mark:
        return str(uuid.uuid4()).upper()
    return str(uuid.UUID(bytes=hashlib.sha256(mark.encode()).digest()[:16], version=4)).upper()


def checked(command: Command) -> None:
    """Raises Unsendable for what no Windows host can be given."""
    if command.shell not in SHELLS:
        raise Unsendable(
            f"shell '{command.shell}' cannot run over winrm; use powershell or cmd, or say os: windows of the Target"
        )
    texts = {"the script": command.script, "stdin": command.stdin or "", "workingDir": command.working_dir or ""}
    for place, text in {**texts, **{f"env {name}": value for name, value in command.env.items()}}.items():
        if "\0" in text:
            raise Unsendable(f"{place} contains a NUL character, which no Windows shell can take")
        with contextlib.suppress(UnicodeEncodeError):
            text.encode()
            continue
        raise Unsendable(f"{place} contains characters that are no Unicode")
