"""Files of the repository: those of a commit in a mirror, for runners and pages, and those that stand in a folder."""

import threading
from pathlib import Path

from journal.errors import Refused, Unavailable
from reconciler.repository.committed import Committed, NotThere
from reconciler.repository.objects import Objects
from runners.repository import MOST, Entry, NoFile


class MirroredFiles:
    """A runners.repository.Repository over the mirror at `path`.

    What was read last is kept, MOST bytes of it: a file that goes to many targets at once is in memory once.
    """

    def __init__(self, path: Path) -> None:
        self._committed = Committed(path)
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], bytes] = {}

    def read(self, commit: str, path: str) -> bytes:
        with self._lock:
            data = self._kept.pop((commit, path), None)
            if data is None:
                try:
                    data = self._committed.read(commit, path, most=MOST)
                except (NotThere, Unavailable, Refused) as error:
                    raise NoFile(str(error)) from error
            self._kept[commit, path] = data
            while sum(map(len, self._kept.values())) > MOST:
                del self._kept[next(iter(self._kept))]
            return data

    def listed(self, commit: str, folder: str) -> tuple[Entry, ...]:
        try:
            found = self._committed.listed(commit, folder)
        except (NotThere, Unavailable, Refused) as error:
            raise NoFile(str(error)) from error
        return tuple(Entry(one.path, one.size, one.executable) for one in found)


class CommittedDocuments:
    """The files of documents of commits in the mirror at `path`, for threads that ask beside the loop's own reading."""

    def __init__(self, path: Path) -> None:
        self._objects = Objects(path)  # they have one caller at a time
        self._lock = threading.Lock()

    def file(self, commit: str, path: str) -> bytes | None:
        """A file as a commit has it; None where it has none, or either is not there now."""
        with self._lock:
            try:
                return self._objects.file(commit, path)
            except (Refused, Unavailable):
                return None


def file_below(folder: Path, path: str) -> bytes:
    """A file below a folder, through no link that leads out of it. Raises NoFile."""
    try:
        root = folder.resolve(strict=True)
        found = (root / path).resolve(strict=True)
        if not found.is_relative_to(root) or not found.is_file():
            raise NoFile(f"'{path}' is no file of the repository")
        with found.open("rb") as stream:
            data = stream.read(MOST + 1)
    except (OSError, ValueError, RuntimeError) as error:
        raise NoFile(f"'{path}' cannot be read: {error}") from error
    if len(data) > MOST:
        raise NoFile(f"'{path}' is larger than {MOST} bytes")
    return data
