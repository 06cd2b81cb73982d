"""Files of a Windows host, by small PowerShell scripts in one shell. See runners.connections.files."""

import asyncio
import base64
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from runners.connections import Unreached
from runners.connections.files import CHUNK, FileFacts, FileRefused, Owner
from runners.connections.winrm import scripts
from runners.connections.winrm.place import WinrmPlace
from runners.connections.winrm.shells import Fault, Process, Runspace, Shell
from runners.connections.winrm.wire import Wire, wsman_over
from runners.connections.winrm.work import BROKEN, aside

if TYPE_CHECKING:
    from runners.connections.winrm.session import WinrmConnections

PORTION = 2 * 1024 * 1024
"""Bytes that one script writes or reads: a host takes no object of more than 10 MiB by default, encoded twice."""
_PATIENCE = 5.0
_NO_OWNERS = "mode, owner and group cannot be set over winrm"
_EPOCH = datetime(1, 1, 1, tzinfo=UTC)
_DRIVE = re.compile(r"/([A-Za-z]:)/?(.*)", re.DOTALL)
T = TypeVar("T")


class RemoteFiles:
    """`Files` of one step. `connect` first, `close` in any case."""

    def __init__(self, place: WinrmPlace, connections: "WinrmConnections", shell: str, session: str) -> None:
        self._place = place
        self._connections = connections
        self._id = shell
        self._session = session
        self._wire: Wire | None = None
        self._shell: Shell | None = None

    async def connect(self) -> None:
        """Log in and open a shell. Raises Unreached and Unusable."""
        self._wire = self._connections.taken(self._place)
        await self._in_thread(self._open)

    async def close(self) -> None:
        """Delete the shell, if that is possible still."""
        wire, shell = self._wire, self._shell
        self._wire = self._shell = None
        if wire is None:
            return
        if shell is not None and wire.works:
            with contextlib.suppress(*BROKEN, Fault, Unreached):
                await self._connections.begin(shell.remove)
        if wire.works:
            self._connections.give_back(wire)
        else:
            wire.close()

    async def stat(self, path: str) -> FileFacts | None:
        said = await self._asked(scripts.STAT, path)
        return None if said.strip() == b"none" else _facts(said.decode().strip())

    async def list(self, path: str) -> AsyncIterator[FileFacts]:
        for line in (await self._asked(scripts.LIST, path)).decode().splitlines():
            if line.strip():
                yield _facts(line.strip())

    async def read(self, path: str) -> AsyncIterator[bytes]:
        at = 0
        while True:
            said = await self._asked(scripts.READ, path, str(at), str(PORTION))
            data = _decoded(b"".join(said.split()))
            for start in range(0, len(data), CHUNK):
                yield data[start : start + CHUNK]
            at += len(data)
            if len(data) < PORTION:
                return

    async def write(self, path: str, content: AsyncIterator[bytes], *, mode: int, owner: Owner | None = None) -> int:
        """See Files. Windows knows no modes: a file has the rights of its folder, from the beginning."""
        if owner is not None and owner.must:
            raise FileRefused(_NO_OWNERS)
        await self._asked(scripts.CREATE, path)
        try:
            return await self._fill(path, content)
        except BaseException:
            with contextlib.suppress(FileRefused, Unreached):
                await self._asked(scripts.REMOVE, path)
            raise

    async def rename(self, old: str, new: str) -> None:
        await self._asked(scripts.RENAME, old, new)

    async def make_folder(self, path: str, *, mode: int) -> None:
        await self._asked(scripts.MAKE_FOLDER, path)

    async def remove(self, path: str) -> None:
        await self._asked(scripts.REMOVE, path)

    async def own(self, path: str, *, mode: int | None, owner: str | None, group: str | None) -> None:
        """Nothing where nothing is given: a host of this kind has neither modes nor groups."""
        if mode is not None or owner is not None or group is not None:
            raise FileRefused(_NO_OWNERS)

    async def _fill(self, path: str, content: AsyncIterator[bytes]) -> int:
        size, held = 0, bytearray()
        async for piece in content:
            held += piece
            size += len(piece)
            if len(held) >= PORTION:
                await self._append(path, held)
        if held:
            await self._append(path, held)
        return size

    async def _append(self, path: str, held: bytearray) -> None:
        await self._asked(scripts.APPEND, path, base64.b64encode(held).decode())
        held.clear()

    async def _asked(self, script: str, *given: str) -> bytes:
        """What one of our scripts says. Raises FileRefused and Unreached."""
        for one in given:
            if "\n" in one or "\r" in one or "\0" in one:
                raise FileRefused("a path holds a line break or a NUL")
        line = scripts.line_of(script, stdin=scripts.arguments(*map(_native, given)))
        shell = self._shell
        if shell is None:
            raise Unreached("the connection is closed")
        told = await self._in_thread(lambda: aside(shell, line))
        if told.problem is not None:
            raise FileRefused(told.problem)
        return told.said

    async def _in_thread(self, work: Callable[[], T]) -> T:
        done = self._connections.begin(work)
        try:
            return await asyncio.shield(done)
        except (*BROKEN, Fault) as error:
            raise Unreached(self._place.at(error)) from error
        except asyncio.CancelledError:
            # what is under way may end, so that what is half written can be removed
            await asyncio.wait({done}, timeout=_PATIENCE)
            if not done.done() and self._wire is not None:
                self._wire.abort()
            done.add_done_callback(_dropped)
            raise

    def _open(self) -> None:
        try:
            self._open_over(self._wire or self._fresh())
        except BROKEN:
            if self._wire is not None and self._wire.fresh:
                raise
            self._open_over(self._fresh())

    def _fresh(self) -> Wire:
        self._wire = Wire(self._place, self._connections.limits)
        self._wire.open()
        return self._wire

    def _open_over(self, wire: Wire) -> None:
        wsman, limits = wsman_over(wire, self._connections.limits, self._session), self._connections.limits
        kind: Any = Runspace if self._place.protocol == "psrp" else Process
        shell = kind(wsman, self._id, limits, lambda stream, data: None)
        wire.until = time.monotonic() + limits.login
        shell.open()
        wire.until = None
        self._shell = shell


def _native(path: str) -> str:
    """`/C:/a/b`, as steps with files write paths, as Windows does."""
    found = _DRIVE.fullmatch(path)
    return path if found is None else f"{found[1]}\\{found[2].replace('/', chr(92))}"


def _facts(line: str) -> FileFacts:
    try:
        kind, size, ticks, name = line.split(" ")
        if kind not in ("file", "folder", "link"):
            raise ValueError(kind)
        modified = _EPOCH + timedelta(microseconds=int(ticks) // 10)
        return FileFacts(_decoded(name.encode()).decode(), kind, int(size), modified)  # type: ignore[arg-type]
    except (ValueError, OverflowError) as error:
        raise Unreached("the host says of a file what cannot be understood") from error


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Unreached("the host sends of a file what cannot be understood") from error


def _dropped(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
