"""A file of the user's checkout, replaced whole or not at all, whatever happens meanwhile."""

import os
import stat
import tempfile
from pathlib import Path

_MODE = 0o644
"""Of a file that is new."""


def create(file: Path, data: bytes) -> bool:
    """Make a file that is not there yet, whole; False and nothing is done where something is by now. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        made.chmod(_MODE)
        # a rename would take the place of what was made meanwhile
        os.link(made, file, follow_symlinks=False)
    except FileExistsError:
        return False
    finally:
        made.unlink(missing_ok=True)
    return True


def replace(file: Path, data: bytes, *, instead_of: bytes | None = None) -> bool:
    """Put the data in the file's place; its mode stays. They are on the disk before the file has its name.

    With `instead_of`, False and nothing is done where something else stands there by now. Raises OSError.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if instead_of is not None and (file.is_symlink() or file.read_bytes() != instead_of):
            return False
        made.chmod(stat.S_IMODE(file.stat().st_mode) if file.exists() else _MODE)
        made.replace(file)
    finally:
        made.unlink(missing_ok=True)
    return True
