"""A connection: a shell in a folder of the runner's host. Yours would connect to something."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from opsconductor.plugins import (
    Answered,
    Capture,
    Command,
    ConnectionSettings,
    Ended,
    Exited,
    Finish,
    Lost,
    NotSent,
    Probe,
    Refused,
    Site,
    Stop,
    Unusable,
)

_PROGRAMS = {"sh": "/bin/sh", "bash": "/bin/bash", "python3": "/usr/bin/python3"}


class Shell:
    """Opens sessions in the folder that the target names in `spec.connections.plugins`."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._restricted = settings.restricted

    def open(self, site: Site, capture: Capture, stop: Stop, *, mark: str) -> "ShellSession":
        return ShellSession(self._folder(site), capture, stop)

    async def probe(self, site: Site) -> Probe:
        folder = self._folder(site)
        return Answered(f"a shell in {folder}") if folder.is_dir() else NotSent(f"there is no folder {folder}")

    async def close(self) -> None:
        """Nothing stays open."""

    def _folder(self, site: Site) -> Path:
        if self._restricted:
            raise Unusable("this runner is restricted: it starts no programs")
        if site.become is not None:
            raise Unusable("connection 'sample.shell' cannot become another user")
        folder = site.settings("sample.shell").get("folder")
        if not isinstance(folder, str):
            raise Unusable(f"Target {site.name} has no 'folder' in spec.connections.plugins, sample.shell")
        return Path(folder)


class ShellSession:
    """One attempt of one step."""

    def __init__(self, folder: Path, capture: Capture, stop: Stop) -> None:
        self.folder = folder
        self.capture = capture
        self.stop = stop

    async def take_over(self) -> None:
        """Nothing can be left: the shell ends with its session."""

    async def execute(self, command: Command) -> Finish:
        if self.stop.why is not None:
            return NotSent("the order to end came before it was started")
        program = _PROGRAMS.get(command.shell)
        if program is None:
            return Refused(f"connection 'sample.shell' has no {command.shell}")
        if any("\0" in text for text in (command.script, *command.env.values())):
            return Refused("the script or its environment holds a NUL character, which no program can be given")
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                "-c",
                command.script,
                cwd=command.working_dir or self.folder,
                env={"PATH": "/usr/bin:/bin", **command.env},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return NotSent(f"cannot start a shell in {self.folder}: {error.strerror}")
        try:
            return await self._followed(process, command)
        except asyncio.CancelledError:
            _send(process.pid, signal.SIGKILL)
            raise

    async def _followed(self, process: asyncio.subprocess.Process, command: Command) -> Finish:
        over = asyncio.ensure_future(self._talked(process, command))
        if await self.stop.first(asyncio.shield(over)):
            return Exited(over.result())
        _send(process.pid, signal.SIGTERM)
        done, _ = await asyncio.wait({over}, timeout=self.stop.kill_after)
        if not done:
            _send(process.pid, signal.SIGKILL)
            done, _ = await asyncio.wait({over}, timeout=5)
        return Ended(over.result()) if done else Lost("it was ordered to end, and still runs")

    async def _talked(self, process: asyncio.subprocess.Process, command: Command) -> int:
        assert process.stdin and process.stdout and process.stderr
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write((command.stdin or "").encode())
            await process.stdin.drain()
        process.stdin.close()
        await asyncio.gather(self._took("stdout", process.stdout), self._took("stderr", process.stderr))
        code = await process.wait()
        return 128 - code if code < 0 else code

    async def _took(self, stream: str, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            self.capture.feed("stderr" if stream == "stderr" else "stdout", data)


def _send(group: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, what)
