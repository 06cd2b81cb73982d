"""This host as one that a session opens channels on, for local steps that run as another user.

The step must be ended by one who has the right to, so it is started as over SSH: by the bootstrap, behind sudo. When
the runner dies its end of the pipe closes, and the bootstrap ends the step.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import asyncssh

from runners.connections.local import LocalSettings
from runners.connections.login import SshPlace


class Here:
    """Lends channels to processes on this host, one instance for all sessions of a runner."""

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings

    @asynccontextmanager
    async def lease(self, place: SshPlace, *, fresh: bool = False) -> AsyncIterator[tuple["Here", bool]]:
        """See runners.connections.ssh.Connected. There is nothing to log in to."""
        yield self, False

    async def create_session(
        self, session_factory: Callable[[], asyncssh.SSHClientSession[bytes]], command: str, *, encoding: None
    ) -> tuple["_Pipes", asyncssh.SSHClientSession[bytes]]:
        """Start a shell for this command. Raises OSError."""
        session = session_factory()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.subprocess_exec(
            lambda: _Process(session),
            "/bin/sh",
            "-c",
            command,
            cwd=self._settings.folder,
            env=dict(self._settings.env),
            start_new_session=True,
        )
        return _Pipes(transport), session


def here(target: str) -> SshPlace:
    """The place that `target` stands for when its steps run on this host."""
    return SshPlace(target, "this host", 0, "", ())


class _Pipes:
    """The writing side of a channel."""

    def __init__(self, process: asyncio.SubprocessTransport) -> None:
        self._process = process

    def write(self, data: bytes) -> None:
        self._input().write(data)

    def write_eof(self) -> None:
        self._input().close()

    def close(self) -> None:
        """Close our ends. The process is not killed: that would end sudo, and leave to itself what it started."""
        for descriptor in (0, 1, 2):
            if (pipe := self._process.get_pipe_transport(descriptor)) is not None:
                pipe.close()

    def _input(self) -> asyncio.WriteTransport:
        return cast("asyncio.WriteTransport", self._process.get_pipe_transport(0))  # it is the one that writes


class _Process(asyncio.SubprocessProtocol):
    """Tells a channel's session what the process does."""

    def __init__(self, session: asyncssh.SSHClientSession[bytes]) -> None:
        self._session = session
        self._open = {1, 2}
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        assert isinstance(data, bytes)
        self._session.data_received(data, asyncssh.EXTENDED_DATA_STDERR if fd == 2 else None)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open:
            self._session.eof_received()

    def process_exited(self) -> None:
        assert self._transport is not None
        code = self._transport.get_returncode() or 0
        with contextlib.suppress(asyncio.InvalidStateError):
            self._session.exit_status_received(128 - code if code < 0 else code)

    def connection_lost(self, exc: Exception | None) -> None:
        self._session.connection_lost(exc)
