"""The mirror's folder on the disk: its mark, what a git that was killed leaves in it, and how damage is told.

The rules behind it stand in `reconciler.repository.mirrorcopy`.
"""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

import pygit2
from pygit2.enums import RepositoryOpenFlag

from journal.errors import Refused, Unavailable
from reconciler.repository.gitprogram import LATER, SOON, Broken

MARK = "opsconductor.json"
_LAYOUT = 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NOT_DAMAGE = r"no space left|disk quota|read-only file|permission denied|too many open files|input/output error"


class OpenRepository:
    """The mirror's repository for pygit2, opened once; anew when the mirror was made again under it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: tuple[int, pygit2.Repository] | None = None

    def get(self) -> pygit2.Repository:
        """Raises GitError or OSError when there is none: call it within `intact`."""
        inode = self._path.stat().st_ino
        if self._opened is None or self._opened[0] != inode:
            flags = RepositoryOpenFlag.NO_SEARCH | RepositoryOpenFlag.BARE
            self._opened = (inode, pygit2.Repository(str(self._path), flags))
        return self._opened[1]


@dataclass(frozen=True, slots=True)
class Mark:
    """What the mirror says about itself: whose copy it is, and since which start of the machine it is in use."""

    source: str
    boot: str | None
    layout: int = _LAYOUT

    def text(self) -> str:
        return json.dumps({"layout": self.layout, "source": self.source, "boot": self.boot})


def boot_id() -> str | None:
    """Which start of the machine this is. None where the system does not say: what was written before is suspect."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def read_mark(path: Path) -> Mark | None:
    """The mark of a mirror that can be opened and is of this layout; else None."""
    try:
        said = json.loads((path / MARK).read_text())
        pygit2.Repository(str(path), RepositoryOpenFlag.NO_SEARCH | RepositoryOpenFlag.BARE)
        mark = Mark(said["source"], said["boot"], said["layout"])
    except (OSError, ValueError, KeyError, TypeError, pygit2.GitError):
        return None
    return mark if mark.layout == _LAYOUT else None


def initialised(path: Path) -> None:
    """Make an empty mirror, without a mark."""
    repository = pygit2.init_repository(str(path), bare=True)
    repository.set_head("refs/heads/none")  # no branch of ours is ever "current"
    shutil.rmtree(path / "hooks", ignore_errors=True)


def leftovers(path: Path, age: float) -> list[Path]:
    """Locks, and objects that were being written. Folders of loose objects hold no locks. Packs are git's alone."""
    found = [*path.glob("*.lock"), *(path / "refs").rglob("*.lock"), *path.glob("objects/info/**/*.lock")]
    found += [*path.glob("objects/??/tmp_*"), *path.glob("objects/tmp_*"), *path.glob("gc.pid")]
    before = time.time() - age
    old = [one for one in found if _written(one) <= before]
    return [*old, *path.glob("objects/pack/tmp_*"), *path.glob("objects/pack/*.lock")]


def _written(path: Path) -> float:
    """When a file was last written; never, for one that is gone meanwhile or is a folder."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return float("inf")
    return found.st_mtime if S_ISREG(found.st_mode) else float("inf")


def unlocked(path: Path) -> None:
    """Remove every lock file of a mirror that nobody uses."""
    for lock in path.rglob("*.lock"):
        lock.unlink(missing_ok=True)


def write_durably(path: Path, text: str) -> None:
    """Write a file, and wait for the disk."""
    path.write_text(text)
    synced(path)


def synced(path: Path) -> None:
    """Wait until a file and its name are on the disk."""
    for place, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(place, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_partial(path: Path) -> bool:
    """Whether git fetches objects of this repository when it needs them, which nothing here does."""
    try:
        config = pygit2.Config(str(path / "config"))
        return any(re.fullmatch(r"remote\..*\.promisor|extensions\.partialclone", entry.name) for entry in config)
    except (pygit2.GitError, OSError):
        return False


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """Faults of the disk around the mirror at `path`, in words."""
    try:
        yield
    except PermissionError as error:
        raise Refused(f"this user may not write the mirror in {path.parent}; change its permissions") from error
    except OSError as error:
        raise Unavailable(f"the mirror in {path.parent} cannot be written: {error.strerror}", LATER) from error


@contextlib.contextmanager
def intact(path: Path) -> Iterator[None]:
    """Reads of the mirror at `path`: damage found on the way condemns it, and is raised as Broken.

    A condemned mirror is made again by the next call of `Mirror`. A full disk is no damage, and is Unavailable; nor is
    what a partial clone of a user leaves out, and is Refused.
    """
    try:
        yield
    except (pygit2.GitError, OSError, KeyError) as error:  # libgit2's own errors come as either of the first two
        if _is_partial(path):
            raise Refused(
                f"{path} is a partial clone, and lacks objects that are needed ({error}); complete it with "
                "`git fetch --refetch --no-filter`, or clone without --filter"
            ) from error
        if isinstance(error, KeyError):
            raise
        if re.search(_NOT_DAMAGE, str(error).lower()):
            raise Unavailable(f"the mirror in {path} cannot be used: {error}", LATER) from error
        (path / MARK).unlink(missing_ok=True)
        raise Broken(f"the mirror in {path} is damaged: {error}", SOON) from error
