"""Full output of steps, in files: `<logs>/<yyyy>/<mm>/<dd>/<run>/<target>/<phase>.<step>.<attempt>.log`.

Whoever writes here has masked before. A file is created with the first output, so most steps have none. A disk that is
full, or a folder that cannot be written, costs the log and never the run: the note says what is missing.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from engine.identity import RunId
from engine.pinned import Phase

CAP = 64 * 1024 * 1024
"""Bytes of one step's log, notice apart."""

_NOTICE = b"\n[opsconductor: the log ends here; the step wrote more than %d MiB]\n"


def reference(run: RunId, instant: datetime, target: str, phase: Phase, step: str, attempt: int) -> str:
    """Where the log of a step lies, relative to the folder of logs. Every part is a name that was checked before."""
    day = instant.astimezone(UTC)
    return f"{day:%Y}/{day:%m}/{day:%d}/{run}/{target}/{phase}.{step}.{attempt}.log"


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
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self._path, flags, 0o640)
        view = memoryview(data)
        while view:
            written = os.write(self._file, view)
            view = view[written:]
            if counted:
                self._left -= written
