"""The files of the repository, as a runner sees them: at the commit of a run, and at no other."""

from collections.abc import Callable
from dataclasses import dataclass
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


Read = Callable[[str], bytes]
"""Gives a file of the repository by its path. Blocks. Raises NoFile."""
