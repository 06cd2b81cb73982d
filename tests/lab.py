"""A network of its own with hosts on it, in namespaces that end with the test: hosts appear, move and vanish.

Nothing of it touches the machine's own network. Needs root.
"""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PLACE = ("unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity")


def _place() -> subprocess.Popen[bytes]:
    """A process in a network namespace of its own."""
    process = subprocess.Popen(_PLACE, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n", "no network namespace: it needs root"
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@dataclass
class Place:
    """A namespace: what runs in it, and the command that puts a program there."""

    process: subprocess.Popen[bytes]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def within(self) -> tuple[str, ...]:
        return ("nsenter", f"--net=/proc/{self.process.pid}/ns/net")

    def ip(self, *words: str) -> None:
        """`ip`, in there."""
        subprocess.run([*self.within, "ip", *words], check=True, timeout=20)

    def serves(self, argv: Sequence[str]) -> None:
        """Start a program that says a line once it listens."""
        process = subprocess.Popen(
            [*self.within, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n", argv

    def ends(self) -> None:
        for process in (*self.running, self.process):
            _end(process)
        self.running.clear()


@dataclass
class Host(Place):
    """A host: `mac` stays its own wherever it moves. `port` is where its cable ends."""

    address: str = ""
    mac: str = ""
    port: str = ""

    def sits_at(self, address: str) -> None:
        """Have this address, and none before it."""
        self.ip("addr", "flush", "dev", "eth0")
        self.ip("addr", "add", f"{address}/24", "dev", "eth0")
        self.ip("link", "set", "eth0", "up")
        self.address = address

    def speaks(self, what: str, *more: str) -> None:
        """Start one of `tests.labhost`'s services on all addresses."""
        self.serves([sys.executable, "-m", "tests.labhost", what, *more])

    def ssh(self, folder: Path) -> str:
        """Start a real OpenSSH server on port 22: its host key."""
        folder.mkdir(parents=True, exist_ok=True)
        key = folder / "host_key"
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20)
        self.speaks("ssh", str(folder))
        return " ".join((folder / "host_key.pub").read_text().split()[:2])


@dataclass
class Lab(Place):
    """The network 10.77.0.0/24, and a place on it (10.77.0.1) for who scans."""

    hosts: list[Host] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def host(self, address: str) -> Host:
        """A host that appears there."""
        number = next(self.numbers)
        mac = f"52:54:00:77:00:{number:02x}"
        made = Host(_place(), mac=mac, port=f"port{number}")
        self.hosts.append(made)
        peer = ("peer", "name", "eth0", "address", mac, "netns", str(made.process.pid))
        self.ip("link", "add", f"port{number}", "type", "veth", *peer)
        self.ip("link", "set", f"port{number}", "master", "wire", "up")
        made.sits_at(address)
        return made

    def cut(self, host: Host) -> None:
        """Nothing comes from it or to it any more, and neither side is told: connections are half open."""
        self.ip("link", "set", host.port, "nomaster")

    def mend(self, host: Host) -> None:
        self.ip("link", "set", host.port, "master", "wire")

    def vanishes(self, host: Host) -> None:
        """Pull its plug."""
        host.ends()
        self.hosts.remove(host)


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    made = Lab(_place())
    try:
        made.ip("link", "add", "wire", "type", "bridge")
        made.ip("addr", "add", "10.77.0.1/24", "dev", "wire")
        made.ip("link", "set", "wire", "up")
        yield made
    finally:
        for host in [*made.hosts]:
            host.ends()
        made.ends()
