"""Secrets that a program of the runner's host prints: only those programs that its owner allows."""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from runners.secrets.file import CAP, text_of
from runners.secrets.sources import Settings

LONGEST = 20.0
"""Seconds that a program may take."""


class Commands:
    """The source `command`. See SecretSource."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def read(self, reference: Sequence[str]) -> str:
        name, *arguments = reference
        if self._settings.restricted:
            raise ValueError("this runner is restricted, and starts no programs")
        if not self._settings.host.programs:
            raise ValueError("this runner starts no programs for secrets; OPSCONDUCTOR_PROGRAMS says which it may")
        program = next((one for one in self._settings.host.programs if name in (str(one), one.name)), None)
        if program is None:
            raise ValueError(f"'{name[:80]}' is none of the programs that this runner may start for secrets")
        return text_of(_printed(program, arguments, self._settings.host.environ), f"what {program.name} prints")


def _printed(program: Path, arguments: Sequence[str], environ: Mapping[str, str]) -> bytes:
    """Its standard output. What it says on the other one is not looked at: it might quote the secret."""
    process = subprocess.Popen(
        [str(program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(environ),
        cwd="/",
        start_new_session=True,
    )
    timer = threading.Timer(LONGEST, _end, [process])
    timer.start()
    assert process.stdout is not None
    try:
        data = process.stdout.read(CAP + 1)
        if len(data) > CAP:
            _end(process)
            raise ValueError(f"{program.name} prints more than {CAP // 1024} KiB")
        code = process.wait()
    finally:
        timed_out = not timer.is_alive()
        timer.cancel()
        if process.poll() is None:
            _end(process)
            process.wait()
        process.stdout.close()
    if timed_out:
        raise ValueError(f"{program.name} did not end within {LONGEST:.0f} s")
    if code != 0:
        raise ValueError(f"{program.name} ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}")
    return data


def _end(process: "subprocess.Popen[bytes]") -> None:
    """It and all that it started in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
