"""Steps that a bootstrap starts in each shell that may be /bin/sh somewhere, and what is asked of them from outside."""

import contextlib
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from runners.bootstrap import GREETING, READ, READ_AHEAD, Command, payload, proof, take_over
from tests.running import Pipe

SHELLS = {"dash": ["dash"], "bash": ["bash"], "bash as sh": ["bash", "--posix"], "busybox": ["busybox", "sh"]}


class Started:
    """A step in one shell, its control in the test's hand."""

    def __init__(
        self,
        shell: list[str],
        command: Command,
        mark: str = "",
        *,
        line: bytes | None = None,
        reads: str = READ_AHEAD,
        words: Sequence[str] = (),
    ) -> None:
        if shutil.which(shell[0]) is None:
            pytest.fail(f"no {shell[0]} here; `make test` installs it")
        self.process = subprocess.Popen(
            [*shell, "-c", reads, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.control = self.process.stdin
        self.control.write(payload(command, mark) if line is None else line)
        self.control.flush()
        before = self.process.stdout.readline()
        greeted = GREETING.match(self.process.stdout.readline().rstrip(b"\n")) if before == b"\n" else None
        self.group = int(greeted[1]) if greeted else 0

    def leads_alone(self) -> bool:
        """Whether the step had a session apart from its shell's."""
        self.result()
        return self.group != self.process.pid

    def result(self) -> tuple[int, bytes, bytes]:
        """Exit code and both streams, read side by side: either may be full."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        said: list[bytes] = []
        reader = threading.Thread(target=lambda: said.append(self.process.stderr.read()))  # type: ignore[union-attr]
        reader.start()
        out = self.process.stdout.read()
        reader.join(30)
        return self.process.wait(30), out, said[0]


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest) -> list[str]:
    return SHELLS[request.param]


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path / "pids")
    yield made
    made.close()


def run(shell: list[str], command: Command) -> tuple[int, bytes, bytes]:
    return Started(shell, command).result()


def proven(shell: list[str], group: int, *, kill: bool, patience: int = 0) -> str:
    asked = subprocess.run(
        [*shell, "-c", READ], input=proof(group, kill=kill, patience=patience), capture_output=True, timeout=40
    )
    return asked.stdout.decode().strip()


def children(of: int) -> list[int]:
    """The processes that a process has begun, and that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            number, rest = stat.read_text().split(" ", 1)
            state, parent = rest.rpartition(") ")[2].split()[:2]
            if int(parent) == of and state != "Z":
                found.append(int(number))
    return found


@pytest.fixture
def mark() -> str:
    """Of this test alone: whoever takes over ends what has the mark anywhere on the host."""
    return secrets.token_hex(16)


def taken_over(shell: list[str], mark: str, *, patience: int = 0) -> str:
    return told(shell, take_over(mark, patience=patience))


def told(shell: list[str], check: bytes) -> str:
    asked = subprocess.run([*shell, "-c", READ], input=check, capture_output=True, timeout=60)
    assert asked.stderr == b""
    return asked.stdout.decode().strip()
