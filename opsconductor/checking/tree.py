"""A folder of definitions as it lies on disk, with or without git, and what in it is not read.

Walks in git's order and says what `engine.entries` says, so that the same content has the same findings. Loads neither
models nor YAML: whether anything has changed is asked more often than what it means.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.entries import (
    MAX_FOLDERS,
    PROJECT_FILE,
    Irregular,
    Told,
    beyond,
    not_regular,
    odd_name,
    spelled,
    too_deep,
    too_large,
    unread,
)
from engine.globs import matches, may_hold
from schemas.characters import MAX_BYTES
from schemas.diagnostic import Diagnostic
from schemas.span import start_of


def root_of(path: Path) -> Path | None:
    """The nearest folder upwards, the folder itself among them, that holds a Project; None where none does."""
    here = path.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / PROJECT_FILE).is_file()), None)


def top_of(root: Path) -> Path:
    """The root of the checkout around a folder; the folder itself outside of one."""
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)


def walked(root: Path, globs: tuple[str, ...]) -> "Tree":
    """What the globs choose below a folder, with the findings of the way there."""
    tree = Tree(root, globs)
    tree.walk("", 1)
    if tree.beyond is not None:
        tree.say(tree.beyond)
    return tree


def files_below(root: Path, globs: tuple[str, ...]) -> tuple[dict[str, bytes], tuple[Diagnostic, ...]]:
    """The regular files below a folder that the globs choose, and what is wrong with it. No link is followed."""
    tree = walked(root, globs)
    chosen = (path for path in sorted(tree.paths) if any(matches(glob, path) for glob in globs))
    files = {path: data for path in chosen if (data := tree.read(path)) is not None}
    return files, tree.findings


@dataclass
class Tree:
    """The files below a folder that the globs choose, by their path from it with `/` between names.

    Reads regular files only, opens no link, and stops at the limits.
    """

    root: Path
    globs: tuple[str, ...]
    paths: list[str] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    looked_at: int = 0
    size: int = 0

    @property
    def beyond(self) -> Diagnostic | None:
        """Which limit it passes, where it does: nothing further is looked at."""
        return beyond(files=len(self.paths), size=self.size, entries=self.looked_at)

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """What is said of it so far."""
        return self.told.findings

    def say(self, finding: Diagnostic) -> None:
        self.told.say(finding)

    def walk(self, folder: str, depth: int) -> None:
        """Collect the files below a folder; `folder` is empty or ends in `/`. No folder is opened without need."""
        for raw, entry in self._entries(folder):
            self.looked_at += 1
            if self.beyond is not None:
                return
            if raw.lower() != b".git":
                self._look(folder, raw, entry, depth)

    def holds(self, path: str) -> bool:
        """Whether a path from the root is a regular file, without following any link."""
        place = self.root.resolve()
        try:
            return Path(place, path).resolve() == place / path and stat.S_ISREG(os.lstat(place / path).st_mode)
        except (OSError, ValueError):
            return False

    def small(self, path: str) -> bytes | None:
        """A regular file of at most 1 MiB; None where it is none, without a finding."""
        try:
            fits = self.holds(path) and os.lstat(self.root / path).st_size <= MAX_BYTES
        except OSError:
            return None
        return self.read(path) if fits else None

    def read(self, path: str) -> bytes | None:
        """The bytes of a regular file; None, with a finding, where it is none or cannot be read."""
        try:
            # Not through links, and without waiting for the other end of a pipe.
            descriptor = os.open(f"{self.root}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._unreadable(path, error)
            return None
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                self.say(not_regular(path, "folder" if stat.S_ISDIR(found.st_mode) else "other", wanted=True))
                return None
            if found.st_size > MAX_BYTES:
                self.say(too_large(path, found.st_size))
                return None
            return os.read(descriptor, found.st_size + 1)
        except OSError as error:
            self._unreadable(path, error)
            return None
        finally:
            os.close(descriptor)

    def _look(self, folder: str, raw: bytes, entry: "os.DirEntry[str]", depth: int) -> None:
        name, odd = spelled(raw)
        path = f"{folder}{name}"
        wanted = path == PROJECT_FILE or any(matches(glob, path) for glob in self.globs)
        may_be_above = any(may_hold(glob, path) for glob in self.globs)
        is_folder = entry.is_dir(follow_symlinks=False)
        if odd is not None:
            if wanted or (is_folder and may_be_above):
                self.say(odd_name(path, odd))
        elif not is_folder and not entry.is_symlink():
            if wanted:
                self._take(path, entry)
            elif (warning := unread(path, self.globs)) is not None:
                self.say(warning)
        elif is_folder and not self._is_repository(path):
            self._descend(path, depth, may_be_above=may_be_above)
        elif wanted or may_be_above:
            what: Irregular = "submodule" if is_folder else "link"
            self.say(not_regular(path, what, wanted=wanted, globs=self.globs))

    def _take(self, path: str, entry: "os.DirEntry[str]") -> None:
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._unreadable(path, error)
            return
        if not stat.S_ISREG(found.st_mode):
            self.say(not_regular(path, "other", wanted=True))
        elif found.st_size > MAX_BYTES:
            self.say(too_large(path, found.st_size))
        else:
            self.size += found.st_size
            self.paths.append(path)

    def _descend(self, path: str, depth: int, *, may_be_above: bool) -> None:
        if path == PROJECT_FILE:
            self.say(not_regular(path, "folder", wanted=True))
        if not may_be_above:
            return
        if depth > MAX_FOLDERS:
            self.say(too_deep(path))
        else:
            self.walk(f"{path}/", depth + 1)

    def _is_repository(self, path: str) -> bool:
        """Whether git takes the folder for a submodule: it commits nothing in it."""
        return os.path.lexists(self.root / path / ".git")

    def _entries(self, folder: str) -> Iterator[tuple[bytes, "os.DirEntry[str]"]]:
        """In git's order, in which a folder's name ends in `/`."""
        try:
            with os.scandir(self.root / folder) as entries:
                named = [(os.fsencode(entry.name), entry) for entry in entries]
        except OSError as error:
            hint = "let the account that validates read it"
            shown = folder.rstrip("/") or "."
            message = f"the folder cannot be read: {error.strerror}"
            self.say(Diagnostic(start_of(shown), "OC125", message, hint))
            return
        yield from sorted(named, key=lambda one: one[0] + (b"/" if one[1].is_dir(follow_symlinks=False) else b""))

    def _unreadable(self, path: str, error: OSError) -> None:
        if error.errno == errno.ELOOP:
            self.say(not_regular(path, "link", wanted=True))
        elif error.errno in (errno.ENXIO, errno.ENODEV):
            self.say(not_regular(path, "other", wanted=True))
        else:
            hint = "let the account that validates read it"
            self.say(Diagnostic(start_of(path), "OC125", f"the file cannot be read: {error.strerror}", hint))
