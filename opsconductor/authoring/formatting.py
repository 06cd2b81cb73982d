"""Files of documents brought into their canonical form, on disk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.canonical import Sealed, canonical
from engine.commented import NotFormatted
from engine.compile import PROJECT_FILE, included, looked_at, project_to_read_by
from engine.vendored import is_apart
from opsconductor.authoring.wholefile import replace
from opsconductor.checking.tree import files_below
from opsconductor.exits import UsageError
from schemas.characters import MAX_BYTES
from schemas.reader import read


@dataclass(frozen=True, slots=True)
class Formatted:
    """A file and its canonical form, which may be what it is already."""

    file: Path
    before: bytes
    after: bytes

    @property
    def changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that stays as it is, and why; `sealed` where it is meant to."""

    file: Path
    why: str
    sealed: bool = False


def formatted(paths: Sequence[Path]) -> Iterator[Formatted | Kept]:
    """The canonical form of files, and of all documents of folders that have a Project. Nothing is written.

    Files of libraries stay as they were brought: their digests are locked. Raises UsageError where there is no such
    file or folder.
    """
    for path in paths:
        for file, data in _files(path):
            try:
                yield Formatted(file, data, canonical(data))
            except NotFormatted as error:
                yield Kept(file, str(error), isinstance(error, Sealed))


def write(made: Formatted) -> bool:
    """Put the canonical form in the file's place, whole or not at all. False where it was changed meanwhile."""
    return replace(made.file, made.after, instead_of=made.before)


def _files(path: Path) -> Iterator[tuple[Path, bytes]]:
    if path.is_dir():
        yield from documents_below(path)
    elif path.is_symlink() or not path.is_file():
        raise UsageError(f"{path}: neither a file nor a folder with {PROJECT_FILE}")
    elif path.stat().st_size > MAX_BYTES:
        raise UsageError(f"{path}: a file of documents has at most {MAX_BYTES} bytes")
    else:
        yield path, path.read_bytes()


def documents_below(root: Path) -> Iterator[tuple[Path, bytes]]:
    """The files of documents of a folder that has a Project, libraries left out. Raises UsageError."""
    found, _ = files_below(root, (PROJECT_FILE,))
    data = found.get(PROJECT_FILE)
    if data is None:
        raise UsageError(f"{root}: there is no {PROJECT_FILE}; name the files, or the folder with it")
    project = project_to_read_by(read(data, PROJECT_FILE))
    found, findings = files_below(root, (PROJECT_FILE, *looked_at(project)))
    if wrong := next((one for one in findings if one.severity == "error"), None):
        raise UsageError(f"{root}: {wrong.message}; 'opsconductor validate' says more")
    for path in included(found, project):
        if not is_apart(path):
            yield root / path, found[path]
