"""Real OpenSSH servers on loopback, for tests: own host keys, own configuration, a port chosen by the system."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

_INSTALLED = shutil.which("sshd") or "/usr/sbin/sshd"
SSHD = _INSTALLED


@dataclass
class OpenSsh:
    """A running server. `private_key` logs in as `user`; `log` is what it wrote."""

    folder: Path
    port: int
    user: str
    private_key: str = field(repr=False)
    host_key: str
    process: subprocess.Popen[bytes] = field(repr=False)
    host: str = "127.0.0.1"

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def sessions(self) -> list[int]:
        """Processes of this server that serve connections."""
        return _descendants(self.process.pid)

    def drop_connections(self) -> None:
        """Kill whatever serves a connection now; the server goes on."""
        for pid in self.sessions():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().startswith("sshd"):
                    os.kill(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop the server and its sessions without closing anything: as a host that hangs."""
        for pid in [*self.sessions(), self.process.pid]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in [self.process.pid, *self.sessions()]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        self.thaw()
        for pid in self.sessions():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


def start(
    folder: Path, *, options: str = "", passwords: bool = False, pam: bool = False, address: str = "127.0.0.1"
) -> OpenSsh:
    """Start a server that accepts the current user with a key made for it. Raises RuntimeError with its log."""
    if not Path(SSHD).exists():
        raise RuntimeError("no OpenSSH server here; `make test` installs it (package openssh-server)")
    folder.mkdir(parents=True, exist_ok=True)
    user = pwd.getpwuid(os.getuid()).pw_name
    host = asyncssh.generate_private_key("ssh-ed25519")
    client = asyncssh.generate_private_key("ssh-ed25519", comment="test")
    _private(folder / "host_key", host.export_private_key())
    _private(folder / "authorized_keys", client.export_public_key())
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    for _ in range(20):
        port = _free_port()
        (folder / "sshd_config").write_text(
            f"""
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
PubkeyAuthentication yes
PasswordAuthentication {"yes" if passwords else "no"}
KbdInteractiveAuthentication no
PermitRootLogin yes
UsePAM {"yes" if pam else "no"}
StrictModes no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 500:30:1000
MaxSessions 20
LogLevel VERBOSE
{options}
"""
        )
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(folder / "sshd.log").open("wb"),
            start_new_session=True,
        )
        if _listening(process, port):
            return OpenSsh(
                folder,
                port,
                user,
                client.export_private_key().decode(),
                host.export_public_key().decode().strip(),
                process,
            )
        process.kill()
        process.wait()
    raise RuntimeError(f"sshd does not start:\n{(folder / 'sshd.log').read_text()}")


@pytest.fixture(scope="module")
def openssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    """One server for a module's tests."""
    server = start(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def own_openssh(tmp_path: Path) -> Iterator[OpenSsh]:
    """A server of the test's own, to be frozen or killed."""
    server = start(tmp_path / "sshd")
    yield server
    server.stop()


def _private(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listening(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as peer:
            # another program may have taken the port in between: only our server greets
            if peer.recv(8).startswith(b"SSH-2.0"):
                return process.poll() is None
        time.sleep(0.02)
    return False


def _descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, front = [], [root]
    while front:
        front = [child for parent in front for child in parents.get(parent, [])]
        found += front
    return found


_SERVED = """#!/bin/sh
# The server sees an /etc of its own; the machine's own accounts and rules stay as they are.
exec unshare --mount --propagation private sh -ec '
  mount --bind "{etc}" /etc
  exec {sshd} "$@"
' sshd "$@"
"""


@contextlib.contextmanager
def in_its_own_etc(folder: Path, made_by: str, given: str = "") -> Iterator[Path]:
    """Servers that are started within see a copy of /etc with what `made_by`, a shell script, changed in it.

    The script reads `given` on standard input. Gives the copy. Needs root. Where others have changed how servers are
    started, that does not hold within: another /etc of theirs would hide this one.
    """
    global SSHD
    etc, wrapper, before = folder / "etc", folder / "in-its-own-etc", SSHD
    ignored = shutil.ignore_patterns("*.lock", "ssl", "alternatives")
    shutil.copytree("/etc", etc, symlinks=True, ignore=ignored)
    isolated = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'mount --bind "$1" /etc\n{made_by}']
    subprocess.run([*isolated, "sh", str(etc)], input=given.encode(), check=True, capture_output=True)
    wrapper.write_text(_SERVED.format(etc=etc, sshd=_INSTALLED))
    wrapper.chmod(0o755)
    SSHD = str(wrapper)
    try:
        yield etc
    finally:
        SSHD = before


def started_for_all(etc: Path, folder: Path, options: str) -> OpenSsh:
    """A server within `in_its_own_etc`, which gave `etc`.

    Its `options` let users of the test log in by /etc/opskeys: with the key of the server's own user.
    """
    made = start(folder, options=options)
    keys = etc / "opskeys"
    shutil.copy(folder / "authorized_keys", keys)
    keys.chmod(0o644)
    return made


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder in which every user may write."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)
