"""One daemon a state folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from journal.errors import Refused


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the folder's lock until the block ends; the kernel lets go of it when the process dies.

    Raises Refused, naming the folder and the process, where another daemon holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise Refused(
                f"another opsconductor (process {owner}) already uses the state folder {path.parent}; "
                "stop it first, or give this one a folder of its own with --state"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
