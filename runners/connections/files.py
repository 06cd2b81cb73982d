"""What a session may offer beyond commands: the files of the place where it runs."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from runners.connections import Session

CHUNK = 256 * 1024
"""Bytes of a piece of content, at most, in either direction: content of any size passes in bounded memory."""

Kind = Literal["file", "folder", "link", "other"]


class FileRefused(Exception):  # noqa: N818 - named after what it means
    """The place said no: no such folder, no permission, no space. Nothing else was touched. The message is for people.

    Where the connection breaks instead, runners.connections.Unreached is raised, and what was done last is not known.
    """


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a place says about a file. None where it does not know such a thing, as Windows does not know modes."""

    name: str
    """The last part of its path."""
    kind: Kind
    size: int
    """In bytes."""
    modified: datetime | None = None
    mode: int | None = None
    """Permission bits, at most 0o7777."""
    owner: str | None = None
    """A name, or a number where the place gives no names."""
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a new file is. Names, or numbers; None: its writer's. With `must` False, a place that says no is obeyed."""

    name: str | None
    group: str | None
    must: bool = True


class Files(Protocol):
    """The files of a place, for one step. Calls come one after the other, never two at once.

    Paths are absolute and as the place writes them; what they may be is judged by the step type. Every call raises
    FileRefused where the place says no, and runners.connections.Unreached where it does not answer in time.
    """

    async def stat(self, path: str) -> FileFacts | None:
        """None where nothing is there. A link is told as a link, never followed."""
        ...

    def list(self, path: str) -> AsyncIterator[FileFacts]:
        """What lies in a folder, in any order, `.` and `..` apart."""
        ...

    def read(self, path: str) -> AsyncIterator[bytes]:
        """The content in pieces of at most CHUNK bytes. Nothing is fetched ahead of what is asked for."""
        ...

    async def write(self, path: str, content: AsyncIterator[bytes], *, mode: int, owner: Owner | None = None) -> int:
        """Make a new file, readable by its owner alone until all is written, then of this `owner` and `mode`.

        Both are set on the open file, and never by its path: whoever owns the folder may have put a link there
        meanwhile. Gives its size. Raises FileRefused where something is there already. What was half written is
        removed, as far as possible.
        """
        ...

    async def rename(self, old: str, new: str) -> None:
        """Move within one file system, at once; a file at `new` is replaced."""
        ...

    async def make_folder(self, path: str, *, mode: int) -> None:
        """The folder above it must be there."""
        ...

    async def remove(self, path: str) -> None:
        """A file, a link, or an empty folder."""
        ...

    async def own(self, path: str, *, mode: int | None, owner: str | None, group: str | None) -> None:
        """Set what is given. A link at the path is refused, and never followed."""
        ...


@runtime_checkable
class FileSession(Session, Protocol):
    """A session whose place has files that it can reach."""

    def files(self) -> AbstractAsyncContextManager[Files]:
        """Connects. Raises runners.connections.Unreached or Unusable. The order to end is heeded by who uses it."""
        ...
