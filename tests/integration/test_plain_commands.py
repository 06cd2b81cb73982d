"""Plain commands: the bootstrap runs them in a fork of the shell that leads the session, and still ends all of them."""

import os
from pathlib import Path

import pytest

from runners.bootstrap import KILL_NOW, Command, entry, payload
from tests.bootstrapped import Started, children, mark, pids, proven, run, shell, taken_over
from tests.running import Pipe, end, ends, lives

__all__ = ["mark", "pids", "shell"]


class Leads(Started):
    """A plain command whose shell leads a session, as it does behind sshd."""

    def __init__(self, shell: list[str], command: Command, mark: str) -> None:
        words = entry(command, mark).split("'")[2].split()
        assert words == ["sh", f"OPSCONDUCTOR_STEP={mark}"]
        super().__init__(["setsid", *shell], command, mark, words=words)


LOOKS = "import os; print(os.getpid(), os.getpgrp(), os.getsid(0), os.environ['OPSCONDUCTOR_STEP'])"


def test_a_plain_command_is_in_the_session_of_its_shell(shell: list[str], mark: str) -> None:
    step = Leads(shell, Command("sh", f'python3 -c "{LOOKS}"'), mark)
    code, out, said = step.result()
    pid, group, session, marked = out.decode().split()
    assert (code, said) == (0, b"")
    assert (int(group), int(session)) == (step.group, step.process.pid) == (step.process.pid,) * 2
    assert int(pid) != step.group
    assert marked == f"{mark}:{step.group}."


@pytest.mark.parametrize("without", ["session", "mark", "/proc"])
def test_it_has_a_session_of_its_own_where_its_shell_leads_none(shell: list[str], mark: str, without: str) -> None:
    looks = Command("sh", f'python3 -c "{LOOKS.replace("environ[", "environ.get(")[:-2]}))"')
    line = payload(looks, mark)
    line = line.replace(b"/proc/self/stat", b"/none") if without == "/proc" else line
    words = [] if without == "mark" else ["sh", f"OPSCONDUCTOR_STEP={mark}"]
    step = Started(shell if without == "session" else ["setsid", *shell], looks, line=line, words=words)
    code, out, said = step.result()
    assert (code, said) == (0, b"")
    assert out.split()[1:3] == [str(step.group).encode()] * 2
    assert step.group != step.process.pid


@pytest.mark.parametrize(
    ("text", "code", "out"),
    [
        ("exit 255", 255, b""),
        ('printf "%s|" "$A" "${B}" \'$C\'', 0, b"it's\n|b  b|$C|"),
        ("sh -c 'kill -9 $$'", 137, b""),
        ("sh -c 'kill 0'", 143, b""),
        ("sh -c 'kill -HUP 0; echo more'", 129, b""),
        ("sh -c 'kill -USR1 0; echo more'", 138, b""),
        ("pwd", 0, b"/usr\n"),
        ("cat", 0, b""),
        ("sh -c 'cat <&3 || cat <&4 || echo none'", 0, b"none\n"),
        ("no-such-program", 127, b""),
        ("test -t 0", 1, b""),
    ],
)
def test_a_plain_command_is_what_it_is_in_a_shell_of_its_own(
    shell: list[str], mark: str, text: str, code: int, out: bytes
) -> None:
    command = Command("sh", text, {"A": "it's\n", "B": "b  b", "IFS": "b"}, working_dir="/usr")
    assert Leads(shell, command, mark).result()[:2] == (code, out)
    assert run(shell, command)[:2] == (code, out)


def test_a_plain_command_does_not_start_in_a_folder_that_is_not_there(shell: list[str], mark: str) -> None:
    step = Leads(shell, Command("sh", "echo ran", working_dir="/no/such"), mark)
    code, out, said = step.result()
    assert (step.group, code, out) == (0, 126, b"")
    assert b"/no/such" in said


FAMILY = """
python3 -c 'import os, time; os.setpgid(0, 0); open("{pids}", "w").write(str(os.getpid()) + chr(10)); time.sleep(600)' &
sh -c 'echo $$ >{pids}; exec sleep 600 <&- >&- 2>&-' &
echo $$ >{pids}
sleep 600
"""


@pytest.mark.parametrize("how", ["end of input", "order", "shell killed"])
async def test_every_member_of_a_plain_command_is_ended(
    shell: list[str], mark: str, tmp_path: Path, pids: Pipe, how: str
) -> None:
    """One left the group, which TERM does not reach: in ten seconds it would be killed, here it is done with before."""
    (tmp_path / "family").write_text(FAMILY.format(pids=pids))
    step = Leads(shell, Command("sh", f"sh {tmp_path}/family"), mark)
    family = await pids.pids(3)
    if how == "order":
        step.control.write(KILL_NOW)
        step.control.flush()
    else:
        end(next(pid for pid in family if os.getpgid(pid) == pid))
    if how == "shell killed":
        step.process.kill()
        step.process.wait()
    if how != "order":
        step.control.close()
    assert [pid for pid in family if not ends(pid)] == []
    assert step.process.wait(30) == {"order": 137, "end of input": 143, "shell killed": -9}[how]
    assert proven(shell, step.group, kill=False, patience=5) == "OC1 gone"


async def test_a_plain_command_that_ignores_term_is_killed_and_its_code_is_told(
    shell: list[str], mark: str, pids: Pipe
) -> None:
    step = Leads(shell, Command("sh", f"sh -c 'trap \"\" TERM; echo $$ >{pids}; while :; do sleep 1; done'"), mark)
    (deaf,) = await pids.pids(1)
    assert proven(shell, step.group, kill=False) == "OC1 alive"
    step.control.write(KILL_NOW)
    step.control.flush()
    assert step.result()[0] == 137
    assert not lives(deaf)
    assert proven(shell, step.group, kill=False) == "OC1 gone"


@pytest.mark.parametrize(("name", "code"), [("HUP", 129), ("PIPE", 141), ("ALRM", 142), ("TERM", 143), ("USR1", 138)])
def test_what_a_program_tells_its_group_at_once_does_not_end_its_shell(
    shell: list[str], mark: str, name: str, code: int
) -> None:
    """However late that shell comes to itself after the fork: here by a second."""
    command = Command("sh", f"sh -c 'kill -{name} 0; sleep 600'")
    line, fork = payload(command, mark), b"& oc_c=$!; "
    assert line.count(fork) == 1
    words = entry(command, mark).split("'")[2].split()
    step = Started(["setsid", *shell], command, mark, line=line.replace(fork, fork + b"sleep 1; "), words=words)
    assert step.result()[0] == code


async def test_what_a_program_tells_its_group_does_not_end_who_listens(
    shell: list[str], mark: str, tmp_path: Path, pids: Pipe
) -> None:
    """The fork does not heed it either: as whatever a shell begins in the background."""
    (tmp_path / "program").write_text(f"trap '' INT QUIT; kill -INT 0; kill -QUIT 0; echo $$ >{pids}; exec sleep 600\n")
    step = Leads(shell, Command("sh", f"sh {tmp_path}/program"), mark)
    await pids.pids(1)
    step.control.close()
    assert step.result()[0] == 143


async def test_a_program_that_kills_its_group_kills_its_shell(shell: list[str], mark: str) -> None:
    """So the shell tells a signal and no code: what the step had done by then is not known."""
    step = Leads(shell, Command("sh", "sh -c 'kill -9 0'"), mark)
    assert step.result()[0] == -9
    assert proven(shell, step.group, kill=False, patience=5) == "OC1 gone"


async def test_a_later_attempt_finds_a_plain_command(shell: list[str], mark: str, pids: Pipe) -> None:
    """By the arguments of its shell: of what runs in the fork itself no environment tells it."""
    earlier = Leads(shell, Command("sh", "sleep 600"), mark)
    assert taken_over(shell, mark) == "OC1 gone"
    assert earlier.result()[0] == 143
    assert proven(shell, earlier.group, kill=False) == "OC1 gone"


async def test_a_fork_that_starts_no_program_is_found_too(shell: list[str], mark: str, pids: Pipe) -> None:
    earlier = Leads(shell, Command("sh", f"echo {'x' * 200_000}"), mark)
    (fork,) = [pid for pid in children(earlier.process.pid) if not Path(f"/proc/{pid}/fd/4").exists()]
    assert b"OPSCONDUCTOR_STEP=" not in Path(f"/proc/{fork}/environ").read_bytes()
    assert taken_over(shell, mark) == "OC1 gone"
    assert not lives(fork)
    earlier.result()


@pytest.mark.parametrize(
    "command",
    [Command("sh", "echo $$"), Command("sh", "cat", stdin=""), Command("bash", "echo ok"), Command("python3", "print")],
)
def test_what_is_not_plain_is_never_forked(command: Command, mark: str) -> None:
    """Also where its shell would lead the session."""
    assert entry(command, mark) == entry(command)
    assert Started(["setsid", "dash"], command, mark, words=["sh", f"OPSCONDUCTOR_STEP={mark}"]).leads_alone()
