"""What a step costs the host that it runs on, in processes, programs and bytes: counted, since time is anybody's."""

import logging
import re
import subprocess
from collections import Counter
from pathlib import Path

import asyncssh
import pytest

from runners.bootstrap import READ, READ_AHEAD, Command, entry, line_of, payload
from runners.connections import Exited, Stop
from runners.connections.become import Becoming
from runners.connections.login import SshPlace
from runners.connections.ssh import SshSession
from runners.limits import Capture
from runners.masking import Masker
from runners.sessions import SshConnections
from tests.openssh import OpenSsh, openssh

__all__ = ["openssh"]

MARK = "0123456789abcdef" * 2
ECHO = Command("sh", "echo ok")
SHELLS = {"dash": "dash", "bash": "bash --posix", "busybox": "busybox sh"}
_CALL = re.compile(r"^\d+ +(?P<name>\w+)\(")
_FORKS = ("fork", "vfork", "clone", "clone3")


def counted(folder: Path, *program: str, given: bytes) -> Counter[str]:
    """System calls of a program and of all that it starts; `fork` and `exec` are those that were done."""
    trace = folder / "trace"
    command = ["strace", "-f", "-qq", "-e", "trace=process,read", "-o", str(trace), *program]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": "/usr/bin:/bin"})
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given)
    process.stdin.flush()
    process.stdout.read()
    assert process.wait(60) == 0
    process.stdin.close()
    calls: Counter[str] = Counter()
    for line in trace.read_text().splitlines():
        if (found := _CALL.match(line)) is None or "ENOENT" in line:
            continue
        calls["fork" if found["name"] in _FORKS else found["name"]] += 1
    return calls


@pytest.mark.parametrize("shell", SHELLS.values(), ids=list(SHELLS))
def test_a_step_costs_two_processes_and_two_programs_beside_its_interpreter(shell: str, tmp_path: Path) -> None:
    """One process becomes the step and one listens; the shell itself is there already when it reads."""
    calls = counted(tmp_path, *shell.split(), "-c", READ_AHEAD, given=payload(ECHO, MARK))
    assert calls["fork"] == 2
    assert calls["execve"] == 3  # the shell, setsid, and the interpreter


@pytest.mark.parametrize("shell", SHELLS.values(), ids=list(SHELLS))
def test_a_plain_command_costs_two_processes_and_no_program_where_its_shell_leads(shell: str, tmp_path: Path) -> None:
    """As behind sshd, which starts the login shell in a session of its own. That shell is not counted, nor `echo`."""
    words = ["setsid", "bash", "-c", f"exec {shell} -c '{READ_AHEAD}' sh OPSCONDUCTOR_STEP={MARK}"]
    calls = counted(tmp_path, *words, given=payload(ECHO, MARK))
    assert calls["fork"] == 2
    assert calls["execve"] == 3  # setsid, which is sshd's part here, bash, and the shell that reads


@pytest.mark.parametrize("kind", ["bash", "python3"])
def test_no_other_interpreter_costs_more(kind: str, tmp_path: Path) -> None:
    """Nothing of its own is counted: it reads nothing but an empty script."""
    calls = counted(tmp_path, "dash", "-c", READ_AHEAD, given=payload(Command(kind, ""), MARK))  # type: ignore[arg-type]
    assert (calls["fork"], calls["execve"]) == (2, 3)


def test_a_login_shell_is_replaced_and_starts_nothing_else(tmp_path: Path) -> None:
    calls = counted(tmp_path, "bash", "-c", entry(ECHO), given=payload(ECHO, MARK))
    assert (calls["fork"], calls["execve"]) == (2, 4)


def test_values_that_are_not_plain_cost_one_process_more(tmp_path: Path) -> None:
    calls = counted(tmp_path, "dash", "-c", READ_AHEAD, given=payload(Command("sh", "true", {"A": "ü"}), MARK))
    assert (calls["fork"], calls["execve"]) == (3, 3)


def test_dash_reads_a_step_in_portions(tmp_path: Path) -> None:
    """Where nothing else may follow on its input: not behind sudo."""
    line = payload(Command("sh", f"echo {'x' * 60_000}"), MARK)
    assert counted(tmp_path, "dash", "-c", READ_AHEAD, given=line)["read"] < 600  # most of them of /proc/self/stat
    assert counted(tmp_path, "dash", "-c", READ, given=line)["read"] > 60_000


def test_what_is_read_for_a_step_stays_small() -> None:
    """Other shells read their input byte by byte, and each is a system call."""
    assert len(payload(ECHO, MARK)) < 2_700
    twice = Command("sh", "echo ok\n" * 1_000)
    assert len(payload(twice, MARK)) < 2_400 + 1_000 * len("echo ok\n") * 2


def test_becoming_another_user_starts_no_shell_twice(tmp_path: Path) -> None:
    """Beside sudo there is the one shell that sudo starts, which reads the step itself."""
    opening = Becoming("nobody").opening().decode()
    assert opening.count("/bin/sh") == 1
    assert counted(tmp_path, "dash", "-c", READ, given=line_of("exit 0"))["fork"] == 0


async def test_steps_on_one_connection_cost_a_channel_and_a_request_each(
    openssh: OpenSsh, caplog: pytest.LogCaptureFixture
) -> None:
    """No terminal and no environment is asked for, and nobody logs in again. asyncssh's own log is what is counted."""
    place = SshPlace("web-01", openssh.host, openssh.port, openssh.user, (openssh.host_key,), openssh.private_key)
    connections = SshConnections()

    async def step() -> None:
        assert await SshSession(place, connections, Capture(Masker()), Stop(), mark=MARK).execute(ECHO) == Exited(0)

    asyncssh.set_debug_level(3)
    asyncssh.set_log_level(logging.DEBUG)
    try:
        await step()
        caplog.clear()
        for _ in range(3):
            await step()
    finally:
        asyncssh.set_debug_level(1)
        asyncssh.set_log_level(logging.NOTSET)
        await connections.close()
    sent = Counter(found[1] for line in caplog.messages if (found := re.search(r"Sent MSG_(\w+)", line)))
    assert sent["CHANNEL_OPEN"] == sent["CHANNEL_REQUEST"] == sent["CHANNEL_DATA"] == 3
    assert sent.total() <= 4 * 3  # no packet without content among them
    assert not [name for name in sent if name.startswith(("KEX", "USERAUTH"))]
