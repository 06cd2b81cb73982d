"""Many targets on loopback: one real OpenSSH server, which every address of 127.0.0.0/8 leads to."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import openssh
from tests.catalogs import HEAD, PROJECT
from tests.openssh import OpenSsh

FORKS = 50
"""How many targets each contestant works on at once."""
COMMAND = "echo ok"
STEPS = 10
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The server, and what each contestant needs to reach it."""

    server: OpenSsh
    key: Path
    known_hosts: Path

    def processor(self) -> float:
        """Seconds that the processors have worked for the server: logins, shells and commands so far."""
        return sum(map(_worked, [self.server.process.pid, *self.server.sessions()]))

    def hosts(self, count: int) -> list[str]:
        return [f"127.{1 + number // 60_000}.{number // 240 % 250}.{1 + number % 240}" for number in range(count)]


def _worked(pid: int) -> float:
    """Seconds of a process and of those that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0  # it has ended: who waited for it counts it
    return sum(int(fields[number]) for number in (11, 12, 13, 14)) / _TICKS


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """A server for logins from this machine alone."""
    # the level keeps bash from reading somebody's .bashrc for every command: it may take longer than all the rest
    options = "SetEnv SHLVL=2\nAllowUsers *@127.0.0.0/8\nMaxStartups 2000:30:4000\nPerSourceMaxStartups none\n"
    try:
        server = openssh.start(folder / "sshd", options=f"{options}PerSourcePenalties no\n", address="0.0.0.0")
    except RuntimeError:  # before 9.8 it knows no penalties
        server = openssh.start(folder / "older", options=options, address="0.0.0.0")
    key, known = folder / "key", folder / "known_hosts"
    key.touch(mode=stat.S_IRUSR | stat.S_IWUSR)
    key.write_text(server.private_key)
    known.write_text(f"* {server.host_key}\n")
    try:
        yield Fleet(server, key, known)
    finally:
        server.stop()


def definitions(found: Fleet, count: int) -> dict[str, str]:
    """So many targets; a job of one step, and one of ten for fifty of them."""
    server = found.server
    login = f"{{port: {server.port}, user: {server.user}, credentialRef: fleet, hostKeys: ['{server.host_key}']}}"
    targets = {
        f"definitions/t{number:04}.yaml": f"{HEAD}kind: Target\n"
        f"metadata: {{name: t{number:04}, labels: {{all: 'yes'}}}}\n"
        f"spec: {{host: {host}, connections: {{ssh: {login}}}}}\n"
        for number, host in enumerate(found.hosts(count))
    }
    credential = f"{HEAD}kind: Credential\nmetadata: {{name: fleet}}\nspec: {{type: ssh, from: {{file: fleet}}}}\n"
    return {
        "opsconductor.yaml": PROJECT,
        "definitions/fleet.yaml": credential,
        **targets,
        "definitions/one.yaml": _job("one", 1),
        "definitions/ten.yaml": _job("ten", STEPS),
    }


def _job(name: str, steps: int) -> str:
    return (
        f"{HEAD}kind: Job\nmetadata: {{name: {name}}}\nspec:\n"
        "  targets: {selector: {matchLabels: {all: 'yes'}}}\n"
        f"  strategy: {{maxParallel: {FORKS}}}\n  steps:\n" + f"    - {{run: {COMMAND}}}\n" * steps
    )


def limits() -> list[int]:
    """How many targets are tried; OPSCONDUCTOR_BENCH_FLEET=10,50 makes it a smaller try."""
    return [int(count) for count in os.environ.get("OPSCONDUCTOR_BENCH_FLEET", "50,200,500").split(",")]
