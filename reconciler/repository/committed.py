"""The files of a commit for those who run its steps: contents of any kind, not only documents."""

import threading
from dataclasses import dataclass
from pathlib import Path

import pygit2

from engine.entries import MAX_ENTRIES, MAX_FOLDERS
from reconciler.repository.mirrorfolder import OpenRepository, intact

_KIND, _TREE, _REGULAR = 0o170000, 0o040000, 0o100000


class NotThere(Exception):  # noqa: N818 - named after what it means
    """There is no such file, or it cannot be used. The message is for people."""


class NoCommit(NotThere):
    """The commit itself is not here: it was not fetched yet, or is gone."""


@dataclass(frozen=True, slots=True)
class CommittedFile:
    """A regular file. `path` is from the folder that was asked for."""

    path: str
    size: int
    executable: bool


class Committed:
    """Reads files of commits of the mirror at `path`, in any thread, one at a time.

    Raises NotThere, and journal.errors.Unavailable or Refused where the mirror cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = OpenRepository(path)
        self._lock = threading.Lock()

    def read(self, commit: str, path: str, *, most: int) -> bytes:
        """A regular file of at most so many bytes."""
        with self._lock, intact(self._path):
            found = self._found(commit, path)
            if int(found.filemode) & _KIND != _REGULAR or not isinstance(found, pygit2.Blob):
                raise NotThere(f"'{path}' is no regular file at commit {commit[:12]}")
            size = int(self._open.get().odb.read_header(found.id)[1])
            if size > most:
                raise NotThere(f"'{path}' has {size} bytes; at most {most} are possible")
            return found.data

    def listed(self, commit: str, folder: str) -> tuple[CommittedFile, ...]:
        """The regular files below a folder, by path; `.` is the root. What is neither file nor folder is refused."""
        with self._lock, intact(self._path):
            start = self._commit(commit).tree if folder.strip("/") in ("", ".") else self._found(commit, folder)
            if not isinstance(start, pygit2.Tree):
                raise NotThere(f"'{folder}' is no folder at commit {commit[:12]}")
            found: list[CommittedFile] = []
            pending = [("", start, 1)]
            while pending:
                above, tree, depth = pending.pop()
                for entry in tree:
                    path = f"{above}{entry.name}"
                    kind = int(entry.filemode) & _KIND
                    if kind == _REGULAR:
                        size = int(self._open.get().odb.read_header(entry.id)[1])
                        found.append(CommittedFile(path, size, bool(int(entry.filemode) & 0o111)))
                    elif isinstance(entry, pygit2.Tree) and depth < MAX_FOLDERS:
                        pending.append((f"{path}/", entry, depth + 1))
                    else:
                        raise NotThere(f"'{path}' below '{folder}' is no regular file and no folder that could be used")
                    if len(found) > MAX_ENTRIES:
                        raise NotThere(f"'{folder}' has more than {MAX_ENTRIES} files")
            return tuple(sorted(found, key=lambda one: one.path))

    def _commit(self, commit: str) -> pygit2.Commit:
        found: object = self._open.get().get(commit)
        if not isinstance(found, pygit2.Commit):
            raise NoCommit(f"commit {commit[:12]} is not here any more; ask for a new run, by today's definitions")
        return found

    def _found(self, commit: str, path: str) -> pygit2.Object:
        try:
            return self._commit(commit).tree / path.rstrip("/")
        except (KeyError, ValueError):
            raise NotThere(f"there is no '{path}' at commit {commit[:12]}") from None
