"""Full output of steps, in files: `<logs>/<yyyy>/<mm>/<dd>/<run>/<target>/<phase>.<step>.<attempt>.log`.
Beside them, in `files`, lies what a run has brought back from the target.

Whoever writes here has masked before. A file is created with the first output, so most steps have none. A disk that is
full, or a folder that cannot be written, costs the log and never the run: the note says what is missing. What
retention has removed from the journal is removed here by `remove`.
"""

import contextlib
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import structlog

from engine.identity import RunId
from engine.runs.pinned import Phase

log = structlog.get_logger(__name__)

CAP = 64 * 1024 * 1024
"""Bytes of one step's log, notice apart."""

FETCHED = "files"
"""The folder, within a target's, of what a run has brought back; no log is called so."""

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*-(\d{4})(\d{2})(\d{2})T\d{6}Z-[0-9a-f]{10}", re.ASCII)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOTICE = b"\n[opsconductor: the log ends here; the step wrote more than %d MiB]\n"


def reference(run: RunId, instant: datetime, target: str, phase: Phase, step: str, attempt: int) -> str:
    """Where the log of a step lies, relative to the folder of logs. Every part is a name that was checked before."""
    day = instant.astimezone(UTC)
    return f"{day.year:04}/{day:%m}/{day:%d}/{run}/{target}/{phase}.{step}.{attempt}.log"


def files_of(run: RunId, instant: datetime, target: str) -> str:
    """The folder of the files that a run has brought back from a target, relative to the folder of logs."""
    day = instant.astimezone(UTC)
    return f"{day.year:04}/{day:%m}/{day:%d}/{run}/{target}/{FETCHED}"


def folder_of(run: RunId) -> str | None:
    """The folder of a run's logs, relative to the folder of logs; None for what is no name of a run."""
    named = _RUN.fullmatch(run)
    return "/".join((*named.groups(), run)) if named is not None else None


def files_in(root: Path, run: RunId) -> tuple[str, ...]:
    """The logs of a run, relative to `root`, sorted; what it has fetched from its targets lies beside them."""
    folder = folder_of(run)
    if folder is None:
        return ()
    found = (file.relative_to(root) for file in (root / folder).glob("*/**/*.log") if file.is_file())
    return tuple(sorted(name.as_posix() for name in found if name.parts[5] != FETCHED))


def remove(root: Path, run: RunId) -> bool:
    """Remove a run's logs, and the folders of its day, month and year where they are empty then. False: there are none.

    Nothing outside `root` is touched, whatever the name says and whatever was linked in the way. A fault of the disk
    is logged and not raised; calling it again is harmless.
    """
    named = _RUN.fullmatch(run)
    if named is None:
        return False
    with contextlib.ExitStack() as open_folders:
        try:
            folders = [os.open(root, _FOLDER)]
            open_folders.callback(os.close, folders[-1])
            for part in named.groups():
                folders.append(os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folders[-1]))
                open_folders.callback(os.close, folders[-1])
            shutil.rmtree(run, dir_fd=folders[-1])
            with contextlib.suppress(OSError):  # not empty: another run's logs are there
                for above, part in zip(folders[-2::-1], reversed(named.groups()), strict=True):
                    os.rmdir(part, dir_fd=above)
        except FileNotFoundError:
            return False
        except OSError as error:
            log.warning("the logs of a run cannot be removed", run=run, error=error.strerror or str(error))
            return False
    return True


class LogFile:
    """One step's log. Not for several threads. `full` says that no more will be written, for whatever reason."""

    def __init__(self, root: Path, name: str, *, cap: int = CAP) -> None:
        self._path = root / name
        self._name = name
        self._cap = cap
        self._left = cap
        self._file: int | None = None
        self.full = False
        self.note: str | None = None

    @property
    def name(self) -> str | None:
        """The reference, None while nothing was written."""
        return self._name if self._file is not None or self._left < self._cap else None

    def write(self, data: bytes) -> None:
        """Append. Never raises for a fault of the disk: it stops writing and leaves a note."""
        if self.full or not data:
            return
        over = len(data) > self._left
        try:
            self._append(data[: self._left])
            if over:
                self._append(_NOTICE % (self._cap >> 20), counted=False)
        except OSError as error:
            self.full = True
            self.note = f"the log is incomplete: {error.strerror or error}"
            return
        self.full = over

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, data: bytes, *, counted: bool = True) -> None:
        if self._file is None:
            try:
                self._file = self._opened()
            except FileNotFoundError:  # `remove` took the empty folder of the day just then
                self._file = self._opened()
        view = memoryview(data)
        while view:
            written = os.write(self._file, view)
            view = view[written:]
            if counted:
                self._left -= written

    def _opened(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        with contextlib.suppress(FileNotFoundError):  # only the first step of a target finds no folder
            return os.open(self._path, flags, 0o640)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self._path, flags, 0o640)
