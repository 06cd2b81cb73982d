"""The sample's machines: real SSH servers on loopback, inside the engine's own process, for `init` and `make demo`.

They log in nobody but the sample's own key, listen on 127.0.0.1 alone, and run commands as the user that runs the
engine. No system service, container or account is needed.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from journal.errors import Refused

_ADDRESS = "127.0.0.1"
_KEY_TYPE = "ssh-ed25519"
_SERVERS = "servers.json"
_CLIENT_KEY = "client_key.pub"
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class LoopbackServer:
    """One server: its port, and its public host key as a Target names it."""

    port: int
    host_key: str


def generate(folder: Path, names: Sequence[str], *, client_key: Path) -> Mapping[str, LoopbackServer]:
    """Make keys and choose free ports for servers with these names. `client_key` is where the private key goes."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    client = asyncssh.generate_private_key(_KEY_TYPE)
    _write_private(client_key, client.export_private_key())
    (folder / _CLIENT_KEY).write_bytes(client.export_public_key())
    servers = {}
    for name, port in zip(names, _free_ports(len(names)), strict=True):
        key = asyncssh.generate_private_key(_KEY_TYPE, comment="")
        _write_private(folder / f"{name}.key", key.export_private_key())
        servers[name] = LoopbackServer(port, key.export_public_key().decode("ascii").strip())
    (folder / _SERVERS).write_text(json.dumps({name: server.port for name, server in servers.items()}))
    return servers


@asynccontextmanager
async def serve(folder: Path) -> AsyncIterator[None]:
    """Run the servers that `generate` made until the block ends. Raises Refused where a port is taken."""
    ports: dict[str, int] = json.loads((folder / _SERVERS).read_text())
    listeners = []
    try:
        for name, port in ports.items():
            listeners.append(await _listen(folder, name, port))
        yield
    finally:
        for listener in listeners:
            listener.close()
        for listener in listeners:
            await listener.wait_closed()


async def _listen(folder: Path, name: str, port: int) -> asyncssh.SSHAcceptor:
    try:
        return await asyncssh.listen(
            _ADDRESS,
            port,
            server_host_keys=[str(folder / f"{name}.key")],
            authorized_client_keys=str(folder / _CLIENT_KEY),
            password_auth=False,
            kbdint_auth=False,
            gss_host=None,
            process_factory=_run,
            sftp_factory=True,
            encoding=None,
            line_editor=False,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
        )
    except OSError as error:
        raise Refused(
            f"the sample's target {name} needs port {port} on {_ADDRESS}, which is taken ({error.strerror}); "
            "stop what listens there, or make the sample again with 'opsconductor init'"
        ) from error


async def _run(process: "asyncssh.SSHServerProcess[bytes]") -> None:
    """Run a command as sshd does: through the shell, with its three streams joined to the channel."""
    if process.command is None:
        process.stderr.write(b"this server runs commands only\n")
        process.exit(1)
        return
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        process.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(Path.home()), "USER": "demo"},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    # When the connection goes, the command's input ends, which is how it learns of it; it is not waited for.
    feeding = asyncio.create_task(_feed(process, child.stdin))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(child.stdout, process.stdout))
            group.create_task(_copy(child.stderr, process.stderr))
        process.exit(await child.wait())
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(process: "asyncssh.SSHServerProcess[bytes]", stdin: asyncio.StreamWriter) -> None:
    try:
        while data := await process.stdin.read(_CHUNK):
            stdin.write(data)
            await stdin.drain()
    except (OSError, asyncssh.Error):
        pass  # either side is gone: there is nobody left to tell
    finally:
        stdin.close()


async def _copy(source: asyncio.StreamReader, sink: "asyncssh.SSHWriter[bytes]") -> None:
    while data := await source.read(_CHUNK):
        try:
            sink.write(data)
            await sink.drain()
        except (OSError, asyncssh.Error):
            return  # the connection is gone


def _write_private(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _free_ports(count: int) -> list[int]:
    """Ports that are free now; all are held open while they are chosen, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((_ADDRESS, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
