"""A Linux host to change at will, over real SSH: an OpenSSH server in an overlay of this machine that is thrown away.

What steps do there (packages, users, files in /etc, services) is written to memory and gone with the server; processes
have a namespace of their own, and end with it. Needs root and mounts.
"""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs.pinned import PinnedTarget
from schemas.target import Connections, SshConnection
from tests import openssh
from tests.openssh import OpenSsh

_HOST = """#!/bin/sh
exec unshare --mount --propagation private --uts --pid --fork --kill-child sh -ec '
  base={folder}/overlay
  mkdir -p $base
  mount -t tmpfs none $base
  mkdir $base/upper $base/work $base/root
  root=$base/root
  mount -t overlay overlay -o lowerdir=/,upperdir=$base/upper,workdir=$base/work $root
  mount -t proc proc $root/proc
  mount --rbind /dev $root/dev
  mkdir -p $root{folder}
  mount --bind {folder} $root{folder}
  rm -f $root/usr/sbin/policy-rc.d
  exec chroot $root {sshd} "$@"
' sshd "$@"
"""


def started(folder: Path) -> OpenSsh:
    """The server of a host of its own. Its `folder` is shared with the tests, all else is the host's."""
    wrapper, before = folder / "host", openssh.SSHD
    folder.mkdir(parents=True, exist_ok=True)
    wrapper.write_text(_HOST.format(folder=folder, sshd=before))
    wrapper.chmod(0o755)
    openssh.SSHD = str(wrapper)
    try:
        return openssh.start(folder)
    finally:
        openssh.SSHD = before


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    """One host for a module's tests."""
    server = started(tmp_path_factory.mktemp("host"))
    yield server
    server.stop()


def target_of(server: OpenSsh, name: str = "web-01") -> PinnedTarget:
    """The host as a plan has it; its credential is `web-key`."""
    there = {"port": server.port, "user": server.user, "credentialRef": "web-key", "hostKeys": [server.host_key]}
    ssh = SshConnection.model_validate(there)
    return PinnedTarget(name, server.host, connections=Connections(ssh=ssh), default_connection="ssh")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def drop_connections(server: OpenSsh) -> None:
    """Kill what serves connections there; the server goes on."""
    served = [pid for pid in server.sessions() if _is_sshd(pid) and _is_sshd(_parent(pid))]
    for pid in served:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _is_sshd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    except OSError:
        return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def said(server: OpenSsh, command: str, *, check: bool = True) -> str:
    """What a command prints there, by the machine's own ssh."""
    key = server.folder / "client_key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(server.private_key)
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    there = ["ssh", *options, "-i", str(key), "-p", str(server.port), f"{server.user}@{server.host}", command]
    done = subprocess.run(there, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout
