"""Files of the runner's own host, as its own user."""

import asyncio
import contextlib
import grp
import os
import pwd
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from runners.connections import Unusable
from runners.connections.files import CHUNK, FileFacts, FileRefused, Kind, Owner

P = ParamSpec("P")
T = TypeVar("T")


@asynccontextmanager
async def opened(*, refused: str | None) -> AsyncIterator["LocalFiles"]:
    """The files of this host; `refused` says why not. Raises Unusable."""
    if refused is not None:
        raise Unusable(refused)
    yield LocalFiles()


class LocalFiles:
    """See Files. Each call works in a thread: a disk may be slow."""

    async def stat(self, path: str) -> FileFacts | None:
        try:
            return await asyncio.to_thread(_facts, path, path.rstrip("/").rpartition("/")[2])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise FileRefused(f"{path}: {error.strerror or error}") from error

    async def list(self, path: str) -> AsyncIterator[FileFacts]:
        for name in await _said(path, os.listdir, path):
            if not name.isprintable():
                raise FileRefused(f"{path}: it has an entry {name!r}, which is no name that can be used")
            yield await _said(path, _facts, f"{path.rstrip('/')}/{name}", name)

    async def read(self, path: str) -> AsyncIterator[bytes]:
        # without waiting for somebody who writes into a pipe
        descriptor = await _said(path, os.open, path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileRefused(f"{path}: it is no regular file")
            while chunk := await _said(path, os.read, descriptor, CHUNK):
                yield chunk
        finally:
            os.close(descriptor)

    async def write(self, path: str, content: AsyncIterator[bytes], *, mode: int, owner: Owner | None = None) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = await _said(path, os.open, path, flags, 0o600)
        size, done = 0, False
        try:
            async for chunk in content:
                size += await _said(path, _whole, descriptor, chunk)
            await _said(path, os.fsync, descriptor)
            if owner is not None:
                await self._give(path, descriptor, owner)
            await _said(path, os.fchmod, descriptor, mode)  # after it: chown takes setuid away
            done = True
        finally:
            os.close(descriptor)
            if not done:
                _gone(path)
        return size

    async def rename(self, old: str, new: str) -> None:
        await _said(new, os.rename, old, new)

    async def _give(self, path: str, descriptor: int, owner: Owner) -> None:
        try:
            uid, gid = await _numbers(owner.name, owner.group)
            await _said(path, os.fchown, descriptor, uid, gid)
        except FileRefused:
            if owner.must:
                raise

    async def make_folder(self, path: str, *, mode: int) -> None:
        await _said(path, os.mkdir, path, mode)
        await _said(path, _set, path, mode, -1, -1)

    async def remove(self, path: str) -> None:
        facts = await self.stat(path)
        if facts is not None:
            await _said(path, os.rmdir if facts.kind == "folder" else os.unlink, path)

    async def own(self, path: str, *, mode: int | None, owner: str | None, group: str | None) -> None:
        await _said(path, _set, path, mode, *await _numbers(owner, group))


def _gone(path: str) -> None:
    with contextlib.suppress(OSError):
        Path(path).unlink()


async def _numbers(owner: str | None, group: str | None) -> tuple[int, int]:
    uid = -1 if owner is None else await asyncio.to_thread(_user, owner)
    gid = -1 if group is None else await asyncio.to_thread(_group, group)
    return uid, gid


def _set(path: str, mode: int | None, uid: int, gid: int) -> None:
    """On what is there now, whatever somebody puts in its place meanwhile; a link is refused."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISLNK(os.fstat(descriptor).st_mode):
            raise FileRefused(f"{path}: a link is there")
        itself = f"/proc/self/fd/{descriptor}"
        if (uid, gid) != (-1, -1):
            os.chown(itself, uid, gid)
        if mode is not None:
            Path(itself).chmod(mode)
    finally:
        os.close(descriptor)


def _whole(descriptor: int, chunk: bytes) -> int:
    left = memoryview(chunk)
    while left:
        left = left[os.write(descriptor, left) :]
    return len(chunk)


def _facts(path: str, name: str) -> FileFacts:
    found = os.lstat(path)
    return FileFacts(
        name=name,
        kind=_kind(found.st_mode),
        size=found.st_size,
        modified=datetime.fromtimestamp(found.st_mtime, UTC),
        mode=stat.S_IMODE(found.st_mode),
        owner=str(found.st_uid),
        group=str(found.st_gid),
    )


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"


def _user(name: str) -> int:
    try:
        return int(name) if name.isascii() and name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        raise FileRefused(f"this host knows no user '{name}'") from None


def _group(name: str) -> int:
    try:
        return int(name) if name.isascii() and name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise FileRefused(f"this host knows no group '{name}'") from None


async def _said(path: str, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """What the host says. Raises FileRefused."""
    with _translated(path):
        return await asyncio.to_thread(work, *given, **named)
    raise AssertionError("unreachable")


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileRefused(f"{path}: {error.strerror or error}") from error
