"""A wall clock that jumps: for a process and what it starts, by a small preloaded library. Monotonic clocks stay.

libfaketime moves all clocks, or breaks waiting where it is told to leave the monotonic one alone.
"""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

_SOURCE = Path(__file__).with_name("wallclock.c")
_MICROSECOND = timedelta(microseconds=1)


class WallClock:
    """`environment` puts a process under it; `set` moves the clock of all of them at once."""

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "wallclock.so", folder / "wallclock.offset"
        command = ["cc", "-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library), str(_SOURCE)]
        subprocess.run(command, check=True, timeout=60)
        self.ahead = timedelta(0)
        self._write()
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "WALLCLOCK_OFFSET": str(self._file)}

    @property
    def now(self) -> datetime:
        """What its processes take for now."""
        return datetime.now(UTC) + self.ahead

    def set(self, ahead: timedelta) -> None:
        """Be so far ahead of the true time; behind it where that is below zero."""
        self.ahead = ahead
        self._write()

    def _write(self) -> None:
        nanoseconds = self.ahead // _MICROSECOND * 1_000
        with self._file.open("r+b" if self._file.exists() else "w+b") as file:  # in its place: it is mapped
            file.write(nanoseconds.to_bytes(8, "little", signed=True))
