"""Putting a file in place: it appears whole, by a rename, or not at all."""

import hashlib
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runners.connections import Unreached
from runners.connections.files import CHUNK, FileFacts, FileRefused, Files, Owner
from runners.steps import paths

_NEW_FILE = 0o644
_NEW_FOLDER = 0o755


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a file is to be. None: as it is, or as usual for a new one."""

    content: bytes = field(repr=False)
    mode: int | None = None
    owner: str | None = None
    group: str | None = None
    create_folders: bool = False
    backup: bool = False
    new_mode: int = _NEW_FILE

    @property
    def checksum(self) -> str:
        return checksum(self.content)


@dataclass(slots=True)
class Progress:
    """How far it has come, readable after it was cancelled. `renaming`: whether it is in place is not known."""

    renaming: bool = False
    open: bool = False
    """Whether a change was asked for that the place has not answered."""
    begun: bool = False
    """Whether anything was sent that could change the place."""
    put: int = 0
    """Of a step with many files: those that it has put, or given their mode and owner."""
    made: int = 0
    """Folders, likewise."""
    removed: int = 0

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around what changes the place. Broken off in it, nobody knows whether the change was made, or will be."""
        self.begun = self.open = True
        try:
            yield
        except FileRefused:
            self.open = False
            raise
        self.open = False

    @property
    def so_far(self) -> str:
        """What stays of a step that broke off, for people."""
        of = (("put", self.put, "file"), ("made", self.made, "folder"), ("removed", self.removed, "file or folder"))
        parts = [f"{count} {_plural(what, count)} {how}" for how, count, what in of if count]
        if not parts:
            return "nothing half done is in place"
        return f"until then {' and '.join(parts)}, each file whole; run the step again for the rest"


def _plural(what: str, count: int) -> str:
    return what if count == 1 else what.replace("file", "files").replace("folder", "folders")


def checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


async def place(files: Files, path: str, wanted: Wanted, progress: Progress) -> bool:
    """Make the file so; whether anything had to change. Raises FileRefused and Unreached.

    A link at the path is replaced, and never followed.
    """
    there = await files.stat(path)
    if there is not None and there.kind not in ("file", "link"):
        raise FileRefused(f"{path}: a {there.kind} is there, which no file replaces")
    if there is not None and there.kind == "file" and await _holds(files, path, there, wanted.content):
        return await _owned(files, path, there, wanted, progress)
    progress.begun = True
    if there is None:
        await _folder_above(files, path, progress, create=wanted.create_folders)
    elif wanted.backup and there.kind == "file":
        await _kept(files, path, there)
    await _replace(files, path, there, wanted, progress)
    return True


async def _replace(files: Files, path: str, there: FileFacts | None, wanted: Wanted, progress: Progress) -> None:
    known = there if there is not None and there.kind == "file" else None
    mode = wanted.mode if wanted.mode is not None else known.mode if known is not None else None
    made = paths.beside(path, secrets.token_hex(4))
    new_mode = wanted.new_mode if mode is None else mode
    size = await files.write(made, pieces(wanted.content), mode=new_mode, owner=_owner(known, wanted))
    placed = False
    try:
        if size != len(wanted.content):
            raise FileRefused(f"{path}: {size} of {len(wanted.content)} bytes were written")
        progress.renaming = True
        await files.rename(made, path)
        placed = True
        progress.renaming = False
        after = await files.stat(path)
        if after is None or (after.kind, after.size) != ("file", size):
            raise FileRefused(f"{path}: something else was put there meanwhile; who may write into its folder?")
    except FileRefused:
        progress.renaming = False
        raise
    finally:
        if not placed and not progress.renaming:
            await _removed(files, made)


def _owner(known: FileFacts | None, wanted: Wanted) -> Owner | None:
    """Whose it is to be: as asked for, else as it was. Who may not give files away puts them there as his own."""
    if wanted.owner is not None or wanted.group is not None:
        return Owner(wanted.owner, wanted.group)
    return None if known is None or known.owner is None else Owner(known.owner, known.group, must=False)


async def _holds(files: Files, path: str, there: FileFacts, content: bytes) -> bool:
    """Whether that is the content already. What the server says about the size only spares a look."""
    if there.size != len(content):
        return False
    digest, seen = hashlib.sha256(), 0
    async for chunk in files.read(path):
        digest.update(chunk)
        seen += len(chunk)
        if seen > len(content):
            return False
    return digest.digest() == hashlib.sha256(content).digest()


async def _owned(files: Files, path: str, there: FileFacts, wanted: Wanted, progress: Progress) -> bool:
    """Mode and owner of a file whose content is right already."""
    mode = wanted.mode if wanted.mode is not None and wanted.mode != there.mode else None
    named = wanted.owner is not None or wanted.group is not None
    if mode is None and not named:
        return False
    if named:
        with progress.changing():
            await files.own(path, mode=wanted.mode or there.mode, owner=wanted.owner, group=wanted.group)
        after = await files.stat(path)
        return after is None or (after.mode, after.owner, after.group) != (there.mode, there.owner, there.group)
    with progress.changing():
        await files.own(path, mode=mode, owner=None, group=None)
    return True


async def _kept(files: Files, path: str, there: FileFacts) -> None:
    """A copy with the instant after its name."""
    name = f"{path}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if await files.stat(name) is None:
        mode = _NEW_FILE if there.mode is None else there.mode
        await files.write(name, files.read(path), mode=mode, owner=Owner(there.owner, there.group, must=False))


async def _folder_above(files: Files, path: str, progress: Progress, *, create: bool) -> None:
    folder, _ = paths.split(path)
    if await files.stat(folder) is not None:
        return
    if not create:
        raise FileRefused(f"{folder}: there is no such folder; 'createFolders: true' makes it")
    missing = [folder]
    while (above := paths.split(missing[-1])[0]) != "/" and await files.stat(above) is None:
        missing.append(above)
    for one in reversed(missing):
        with progress.changing():
            await files.make_folder(one, mode=_NEW_FOLDER)


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    """The content in pieces that a connection takes."""
    for start in range(0, len(content), CHUNK):
        yield content[start : start + CHUNK]


async def _removed(files: Files, path: str) -> None:
    try:
        await files.remove(path)
    except (FileRefused, Unreached):
        return
