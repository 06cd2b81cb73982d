"""The copy on the disk that a mirror works in: made, made again when broken, and swept after a git that was killed.

**The mirror is a cache.** Everything in it is either on the remote or can be computed again from the journal, so a
power cut may do to it what it likes:

- Objects and refs are written without waiting for the disk. A machine that has restarted since (its boot id says so)
  may hold truncated ones, which git would take for present for ever. The mirror is then made again: whatever of the old
  one passes git's own checks is copied over first, the rest comes from the remote. The same happens when a command
  finds it damaged. What only the mirror has, commits that were accepted and are gone from the remote since, is fetched
  with fsync and copied over as well.
- A git that was killed leaves lock files. Every git inherits a descriptor on which this process holds a shared lock;
  if the lock can be had exclusively, no such git is alive, and its lock files may go.
- A new mirror is built beside the old one and renamed.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import structlog

from journal.errors import Refused, Unavailable
from journal.points import reach
from reconciler.repository.gitprogram import SOON, Broken, Git, Locked
from reconciler.repository.mirrorfolder import (
    MARK,
    Mark,
    boot_id,
    disk,
    initialised,
    leftovers,
    read_mark,
    unlocked,
    write_durably,
)
from reconciler.repository.source import Source

log = structlog.get_logger(__name__)
T = TypeVar("T")

_LEFT_FOR = timedelta(seconds=5)
DURABLE = ("core.fsync=all", "core.fsyncMethod=batch")
"""Settings of a git that waits for the disk."""


class Copy:
    """The copy of one source at one place. Used by one process; who writes into it, does so while it is `held`."""

    def __init__(self, path: Path, source: Source, git: Git) -> None:
        self.path = path
        self.source = source
        self.git = git
        """The program; it inherits the lock from the first use on."""
        self._writing = asyncio.Lock()
        self._opened = False
        self._in_vain = False
        self._held: int | None = None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Open, and nobody else writes meanwhile."""
        async with self._writing:
            await self._open()
            yield

    def close(self) -> None:
        """Let go of the lock that says whose git processes are alive. The copy stays."""
        if self._held is not None:
            os.close(self._held)
        self._held, self._opened = None, False

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and nobody has condemned it since."""
        return self._opened and (self.path / MARK).exists()

    async def _open(self) -> None:
        """Make the copy if there is none, mend it if it may be damaged, sweep up after a git that was killed.

        For those who hold the lock.
        """
        if self.is_open:
            return
        with disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            new = self._beside("new")
            if not self.path.exists() and (new / MARK).exists():  # cut off between the two renames
                new.rename(self.path)
            mark = read_mark(self.path)
        if mark is None:
            await self._remake("there was none" if not self.path.exists() else "it could not be read", quiet=True)
        elif mark.source != _digest(self.source):
            await self._remake("it was of another source", salvage=False)
        elif mark.boot is None or mark.boot != boot_id():
            await self._remake("the machine has restarted since it was written", quiet=True)
        else:
            await asyncio.to_thread(self._sweep, timedelta(0))
        self._opened = True

    async def _remake(self, reason: str, *, salvage: bool = True, quiet: bool = False) -> None:
        new, old = self._beside("new"), self._beside("old")
        with disk(self.path):
            await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
            if self.path.exists():
                await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)
                suspect = self.path
            else:
                suspect = old
            await asyncio.to_thread(initialised, new)
            if salvage and suspect.is_dir():
                if not quiet:
                    log.warning("the mirror is made again", mirror=str(self.path), reason=reason)
                await self._salvage(suspect, new)
            write_durably(new / MARK, Mark(_digest(self.source), boot_id()).text())
            reach("mirror.built")
            if self.path.exists():
                self.path.rename(old)
                reach("mirror.moved")
            new.rename(self.path)
            await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)
        self._opened = True

    async def _salvage(self, suspect: Path, new: Path) -> None:
        """Copy every ref of a suspect mirror that is whole. Git checks each object on the way (fetch.fsckObjects)."""
        await asyncio.to_thread(unlocked, suspect)
        listed = await self.git.run("for-each-ref", "--format=%(refname)", "refs/opsconductor/", directory=suspect)
        refs = listed.stdout.split() if listed.code == 0 else []
        wanted = [[f"+{ref}:{ref}" for ref in refs], *[[f"+{ref}:{ref}"] for ref in refs]] if refs else []
        for refspecs in wanted:
            try:
                done = await self.git.run(
                    "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options", str(suspect),
                    *refspecs, directory=new, settings=DURABLE,
                )  # fmt: skip
            except (Unavailable, Refused) as error:
                log.warning("part of the mirror could not be kept", refs=refspecs, detail=str(error))
                continue
            if done.code == 0 and len(refspecs) == len(refs):
                return

    async def mended(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it; when the mirror turns out to be damaged, make it again and do it once more."""
        async with self.held():
            try:
                done = await self._without_locks(work)
            except Broken as error:
                if self._in_vain:  # making it again at every look would fetch everything at every look
                    raise self._damaged(error) from error
                await self._remake(str(error))
                self._in_vain = True
                try:
                    done = await self._without_locks(work)
                except Broken as again:
                    raise self._damaged(again) from again
            except Unavailable:
                await asyncio.to_thread(self._sweep)  # half a pack, perhaps of all that the disk would hold
                raise
            self._in_vain = False
            return done

    async def _without_locks(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except Locked:
            await asyncio.to_thread(self._sweep)
        try:
            return await work()
        except Locked as error:
            raise Unavailable(f"another git is at work in {self.path}: {error}", SOON) from error

    def _damaged(self, error: Broken) -> Refused:
        return Refused(f"{self.source.address} is damaged: {error}; run `git fsck` there and mend or replace it")

    def condemn(self) -> None:
        """Have the mirror made again at the next call, unless that has just been shown to be of no use."""
        if not self._in_vain:
            (self.path / MARK).unlink(missing_ok=True)

    def _take_lock(self) -> None:
        if self._held is None:
            self._held = os.open(self._beside("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._held, fcntl.LOCK_SH | fcntl.LOCK_NB)
            self.git = Git(self.git.environment, self.git.login, self.git.limit, self._held)

    def _sweep(self, age: timedelta = _LEFT_FOR) -> None:
        """Remove lock files and half-written objects of a git that was killed, if no git is left that owns them.

        All gits of this process share its hold on the lock, and none of those that write runs meanwhile. What pygit2
        writes is younger than `age`; at the start nobody writes.
        """
        assert self._held is not None
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("a git of an earlier engine is still at work; its lock files stay", mirror=str(self.path))
            return
        try:
            for leftover in leftovers(self.path, age.total_seconds()):
                leftover.unlink(missing_ok=True)
        finally:
            fcntl.flock(self._held, fcntl.LOCK_SH)

    def _beside(self, what: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{what}")


def _digest(source: Source) -> str:
    return hashlib.sha256(source.address.encode()).hexdigest()
