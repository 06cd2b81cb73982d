"""The files of the repository, as a runner sees them: at the commit of a run, and at no other."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MOST = 64 * 1024 * 1024
"""Bytes of the largest file that a step may use."""


class NoFile(Exception):  # noqa: N818 - named after what it means
    """There is no such file at the commit, or it cannot be used. The message is for people."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file. `path` is from the folder that was asked for."""

    path: str
    size: int
    executable: bool = False


class Repository(Protocol):
    """Reads the files of commits; the commit is a full id. All of it blocks, and may be called from any thread."""

    def read(self, commit: str, path: str) -> bytes:
        """At most MOST bytes. Raises NoFile."""
        ...

    def listed(self, commit: str, folder: str) -> tuple[Entry, ...]:
        """The regular files below a folder, by path; `.` is the root. Raises NoFile, also for links below it."""
        ...


class NoRepository:
    """Stands for the files where a runner has none."""

    def read(self, commit: str, path: str) -> bytes:
        raise NoFile(f"this runner has no files of the repository, and '{path}' is one")

    def listed(self, commit: str, folder: str) -> tuple[Entry, ...]:
        raise NoFile(f"this runner has no files of the repository, and '{folder}' is a folder of it")


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of the repository at a run's commit, and where those go that a run brings back."""

    repository: Repository
    commit: str
    folder: Path | None = None

    def read(self, path: str) -> bytes:
        """At most MOST bytes. Blocks. Raises NoFile."""
        return self.repository.read(self.commit, path)

    async def listing(self, folder: str) -> tuple[Entry, ...]:
        """The regular files below a folder. Raises NoFile."""
        return await asyncio.to_thread(self.repository.listed, self.commit, folder)

    def kept(self, name: str) -> Path:
        """Where a file that was brought back goes; `name` is a path that leads nowhere else."""
        assert self.folder is not None
        return self.folder / name


Read = Callable[[str], bytes]
"""Gives a file of the repository by its path. Blocks. Raises NoFile."""
