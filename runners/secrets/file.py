"""Secrets from files below one folder, and from nowhere else."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from runners.secrets.sources import Settings

CAP = 64 * 1024
"""Bytes of the largest secret."""


def read(folder: Path | None, name: str, own: Iterable[Path] = ()) -> str:
    """The text of a file below `folder`. Raises ValueError or OSError; no message holds anything of the content.

    Symbolic links may point within the folder (as mounted secrets do), not out of it. What is `own` to the engine is
    not read, wherever it lies and by whatever name.
    """
    if folder is None:
        raise ValueError("this runner has no secret folder; start it with --secret-dir")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise ValueError(f"'{name}' is not a path below the secret folder")
    try:
        root = folder.resolve(strict=True)
        found = (root / path).resolve(strict=True)
    except FileNotFoundError as error:
        raise ValueError(
            f"there is no file '{name}' in the secret folder (--secret-dir, else 'secrets' in --state)"
        ) from error
    except RuntimeError as error:
        raise ValueError(f"'{name}' is a loop of links") from error
    if not found.is_relative_to(root):
        raise ValueError(f"'{name}' leads out of the secret folder")
    # NONBLOCK: a FIFO is refused below, it must not be waited for
    descriptor = os.open(found, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError(f"'{name}' is not a regular file")
        if any(_is_of(one, root, found, facts) for one in own):
            raise ValueError(f"'{name}' is the engine's own, and no document may have it read")
        data = stream.read(CAP + 1)
    if len(data) > CAP:
        raise ValueError(f"'{name}' is larger than {CAP // 1024} KiB")
    return text_of(data, name)


def _is_of(own: Path, root: Path, found: Path, facts: os.stat_result) -> bool:
    """Whether an open file is, or lies below, what is the engine's own; the secret folder may lie in its state."""
    try:
        if os.path.samestat(own.stat(), facts):
            return True
        there = own.resolve()
    except OSError:
        return False
    return found.is_relative_to(there) and there not in root.parents


def text_of(data: bytes, name: str) -> str:
    """Raises ValueError for what no program can be given as text."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        # without a cause: its text would quote the bytes
        raise ValueError(f"'{name}' is not UTF-8 text") from None
    if "\0" in text:
        raise ValueError(f"'{name}' holds a NUL character")
    return text


class Files:
    """The source `file`. See SecretSource."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.folder
        self._system = settings.host.system
        self._own = settings.own

    def read(self, reference: str) -> str:
        """From the secret folder; where that has none of the name, from what the system hands to the service."""
        if self._system is not None and (self._folder is None or not (self._folder / reference).exists()):
            return read(self._system, reference, self._own)
        return read(self._folder, reference, self._own)
