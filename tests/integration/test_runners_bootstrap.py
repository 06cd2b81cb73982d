"""The bootstrap in every shell that may be /bin/sh somewhere: what it starts, and that it can always end it."""

import asyncio
import os
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

from runners.bootstrap import (
    ENTRY,
    GREETING,
    KILL_NOW,
    READ,
    READ_AHEAD,
    Command,
    Unsendable,
    entry,
    payload,
    proof,
    take_over,
)
from tests.bootstrapped import SHELLS, Started, children, mark, pids, proven, run, shell, taken_over, told
from tests.running import PATIENCE, Pipe, end, ends, lives

__all__ = ["mark", "pids", "shell"]

EVERY_BYTE = bytes(range(1, 256)).decode("utf-8", "surrogateescape")


def test_every_byte_arrives(shell: list[str]) -> None:
    command = Command("sh", 'printf %s "$ODD"; cat; exit 3', {"ODD": EVERY_BYTE + "\n\n"}, stdin=EVERY_BYTE + "\n\n")
    code, out, said = run(shell, command)
    assert (code, said) == (3, b"")
    assert out == (bytes(range(1, 256)) + b"\n\n") * 2


@pytest.mark.parametrize("size", [1, 4095, 4096, 70_000, 250_000])
def test_scripts_and_data_of_any_size_arrive(shell: list[str], size: int) -> None:
    data = "x" * size
    code, out, said = run(shell, Command("sh", f": {data}\nwc -c", stdin=data))
    assert (code, out.strip(), said) == (0, str(size).encode(), b"")


def test_a_script_reads_its_data_and_nothing_of_the_control(shell: list[str]) -> None:
    code, out, _ = run(shell, Command("sh", "cat; cat <&3; cat <&4; echo end"))
    assert (code, out) == (0, b"end\n")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("sh", 'echo "$A"; pwd; exit 7'),
        ("bash", 'b=("$A"); echo "${b[0]}"; pwd; exit 7'),
        ("python3", "import os, sys\nprint(os.environ['A'])\nprint(os.getcwd())\nsys.exit(7)"),
    ],
)
def test_each_kind_of_script_has_its_environment_and_folder(shell: list[str], kind: str, text: str) -> None:
    code, out, said = run(shell, Command(kind, text, {"A": "it's"}, working_dir="/usr"))  # type: ignore[arg-type]
    assert (code, out, said) == (7, b"it's\n/usr\n", b"")


def test_a_hostile_environment_changes_the_step_and_not_the_bootstrap(shell: list[str]) -> None:
    env = {"PATH": "/nowhere", "IFS": "0123456789", "oc_group": "1", "oc_ending": "1", "CDPATH": "/", "LC_ALL": "x"}
    code, out, _ = run(shell, Command("sh", 'echo "$PATH $oc_group"; exit 5', env))
    assert (code, out) == (5, b"/nowhere 1\n")


def test_the_step_leads_a_session_of_its_own(shell: list[str]) -> None:
    step = Started(shell, Command("python3", "import os\nprint(os.getpid(), os.getpgrp(), os.getsid(0))"))
    code, out, _ = step.result()
    assert (code, out.split()) == (0, [str(step.group).encode()] * 3)


def test_a_host_without_proc_runs_steps(shell: list[str]) -> None:
    command = Command("sh", "exec python3 -c 'import os; print(os.getpid(), os.getpgrp(), os.getsid(0))'", {"A": "x"})
    step = Started(shell, command, line=payload(command, "m" * 32).replace(b"/proc/self", b"/none"))
    code, out, said = step.result()
    assert (code, out.split(), said) == (0, [str(step.group).encode()] * 3, b"")


def test_a_shell_that_descends_from_pdksh_says_so_and_runs_nothing(shell: list[str]) -> None:
    """mksh would show standard input in the arguments of a process. Its name is what it is known by."""
    named = {**os.environ, "KSH_VERSION": "@(#)MIRBSD KSH R59 2020/10/31"}
    asked = subprocess.run([*shell, "-c", READ], input=payload(Command("sh", "echo ran")), capture_output=True,
                           env=named, check=False)  # fmt: skip
    assert (asked.returncode, asked.stdout) == (127, b"\nOC1 ksh\n")


def test_setsid_is_found_where_the_path_has_it(
    shell: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = payload(Command("sh", "exit 5")).replace(b"/usr/bin/setsid", b"/none/setsid")
    assert Started(shell, Command("sh", ""), line=elsewhere).result() == (5, b"", b"")
    program = shutil.which(shell[0])
    assert program is not None
    monkeypatch.setenv("PATH", str(tmp_path))
    without = Started([program, *shell[1:]], Command("sh", ""), line=elsewhere)
    assert without.group == 0
    assert without.result()[0] == 127


@pytest.mark.parametrize("reads", [READ, READ_AHEAD], ids=["a byte at a time", "ahead"])
def test_a_shell_that_splits_words_in_its_own_way_reads_every_line(shell: list[str], reads: str) -> None:
    command = Command("sh", "echo a\necho b\n\nexit 3")
    assert b"printf %b" not in payload(command)
    step = Started(shell, command, reads=f"IFS=,; {reads}")
    assert step.group
    assert step.result() == (3, b"a\nb\n", b"")


BROKEN_OFF = [
    Command("sh", "echo >&2 ran"),
    Command("sh", "echo >&2 ran\necho 'it''s'\n", {"A": "'\n' >&2; echo >&2 ran\n"}, stdin="'\n'"),
    Command("sh", "echo >&2 ran é", {"A": "é'\n"}),
]


@pytest.mark.parametrize("command", BROKEN_OFF, ids=["plain", "with newlines", "escaped"])
@pytest.mark.parametrize(("reads", "apart"), [(READ, 97), (READ_AHEAD, 1)], ids=["a byte at a time", "ahead"])
def test_a_line_that_breaks_off_runs_nothing(command: Command, reads: str, apart: int) -> None:
    """Wherever the connection broke: no part of the line is a command, however its quotes stand."""
    line = payload(command, "m" * 32)
    for cut in range(0, len(line) - len(b"}\n"), apart):
        ran = subprocess.run(["dash", "-c", reads], input=line[:cut], capture_output=True, check=False, timeout=30)
        assert ran.stdout == b"", line[:cut]
        assert b"ran" not in ran.stderr
    whole = Started(["dash"], command, line=line, reads=reads)
    assert b"ran" in whole.result()[2]


@pytest.mark.parametrize("text", ["exec sleep 600", "sleep 600"], ids=["script", "plain command"])
@pytest.mark.parametrize("shell", [SHELLS["dash"], SHELLS["busybox"]], ids=["dash", "busybox"])
def test_a_shell_that_cannot_start_who_listens_tells_no_code(shell: list[str], text: str, mark: str) -> None:
    """Its user may have two processes: itself and the step, which would go on unwatched. 2 is not how that ended."""
    user = str(40_000 + secrets.randbelow(20_000))
    alone = ["setsid", "setpriv", "--reuid", user, "--clear-groups", "prlimit", "--nproc=2", *shell]
    step = Started(alone, Command("sh", text), mark, words=["sh", f"OPSCONDUCTOR_STEP={mark}"])
    assert step.group
    assert step.process.wait(30) == -9
    assert proven(["dash"], step.group, kill=True, patience=5) == "OC1 gone"
    step.result()


@pytest.mark.parametrize("name", ["wait", "kill", "read", "printf", "echo", "[", "test", "command", "sleep"])
def test_functions_that_a_login_exports_do_not_decide_how_a_step_ends(
    name: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bash takes them from its environment, also as `sh`."""
    monkeypatch.setenv(f"BASH_FUNC_{name}%%", "() { :; }")
    step = Started(SHELLS["bash as sh"], Command("sh", "/bin/sleep 0.2; exit 7"), mark)
    assert step.group
    assert step.result()[0] == 7
    assert proven(SHELLS["bash as sh"], step.group, kill=False) == "OC1 gone"
    ended = Started(["setsid", *SHELLS["bash as sh"]], Command("sh", "/bin/sleep 600"), mark,
                    words=["sh", f"OPSCONDUCTOR_STEP={mark}"])  # fmt: skip
    ended.control.write(KILL_NOW)
    ended.control.flush()
    assert ended.result()[0] == 137
    assert proven(SHELLS["bash as sh"], ended.group, kill=False) == "OC1 gone"


async def test_the_order_ends_what_does_not_lead_a_session_yet(shell: list[str], tmp_path: Path, pids: Pipe) -> None:
    """For a moment there is neither the group nor the session that the first line names."""
    slow = tmp_path / "setsid"
    slow.write_text(f"#!/bin/sh\necho $$ >{pids}\nexec sleep 600\n")
    slow.chmod(0o755)
    line = payload(Command("sh", f"touch {tmp_path}/ran")).replace(b"/usr/bin/setsid", str(slow).encode())
    step = Started(shell, Command("sh", ""), line=line)
    assert await pids.pids(1) == [step.group]
    assert proven(shell, step.group, kill=True) == "OC1 alive"
    step.control.close()
    assert step.result()[0] == 143
    assert proven(shell, step.group, kill=False) == "OC1 gone"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("text", "code"), [("exit 0", 0), ("exit 255", 255), ("kill -9 $$", 137), ("kill $$", 143)])
def test_the_exit_code_is_the_steps(shell: list[str], text: str, code: int) -> None:
    assert run(shell, Command("sh", text)) == (code, b"", b"")


def test_nothing_starts_in_a_folder_that_is_not_there(shell: list[str], tmp_path: Path) -> None:
    step = Started(shell, Command("sh", f"touch {tmp_path}/ran", working_dir=str(tmp_path / "no")))
    assert step.group == 0
    code, _, said = step.result()
    assert code == 126
    assert str(tmp_path / "no").encode() in said
    assert not (tmp_path / "ran").exists()


async def test_the_end_of_input_ends_the_whole_group(shell: list[str], pids: Pipe) -> None:
    step = Started(shell, Command("sh", f"(echo started; exec sleep 600) >{pids} & echo $! >{pids}; sleep 600"))
    lines = await pids.lines(2)
    child = int(next(line for line in lines if line.isdigit()))
    step.control.close()
    code, _, said = step.result()
    assert (code, said) == (143, b"")
    assert not lives(child)
    assert proven(shell, step.group, kill=False) == "OC1 gone"


@pytest.mark.slow
async def test_who_ignores_term_is_killed_after_ten_seconds(shell: list[str], pids: Pipe) -> None:
    deaf = (
        f"trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >{pids}; while :; do sleep 1; done' & while :; do sleep 1; done"
    )
    step = Started(shell, Command("sh", deaf))
    (child,) = await pids.pids(1)
    assert proven(shell, step.group, kill=False) == "OC1 alive"
    step.control.close()
    code, _, _ = step.result()
    assert code == 137
    assert not lives(child)


async def test_a_line_of_control_ends_the_step_at_once(shell: list[str], pids: Pipe) -> None:
    step = Started(shell, Command("sh", f"trap '' TERM; echo $$ >{pids}; while :; do sleep 1; done"))
    await pids.pids(1)
    step.control.write(KILL_NOW)
    step.control.flush()
    assert step.result()[0] == 137
    assert proven(shell, step.group, kill=False) == "OC1 gone"


async def test_a_bootstrap_that_is_killed_takes_the_step_along(shell: list[str], pids: Pipe) -> None:
    """As soon as its input ends, which the end of the connection brings about."""
    step = Started(shell, Command("sh", f"echo $$ >{pids}; exec sleep 600"))
    (leader,) = await pids.pids(1)
    # Who listens is begun right after the step: a shell that dies in between, in some milliseconds, leaves it alone.
    async with asyncio.timeout(PATIENCE):
        while len(children(step.process.pid)) < 2:
            await asyncio.sleep(0.005)
    step.process.kill()
    step.process.wait()
    step.control.close()
    assert ends(leader)


async def test_processes_left_behind_are_left_alone(shell: list[str], pids: Pipe) -> None:
    """A step may start a service; what ended normally is not tidied up after."""
    step = Started(shell, Command("sh", f"sleep 600 >/dev/null 2>&1 & echo $! >{pids}; exit 4"))
    (left,) = await pids.pids(1)
    try:
        assert step.result()[0] == 4
        assert lives(left)
        assert proven(shell, step.group, kill=False) == "OC1 alive"
        assert proven(shell, step.group, kill=True, patience=5) == "OC1 gone"
    finally:
        end(left)


MEMBER = """import ctypes, os, signal, time
if os.fork() == 0:
    {becomes}
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open('{pids}', 'w').write(str(os.getpid()) + '\\n')
    os.close(1), os.close(2)
    time.sleep(600)
os.wait()
"""


def ended(shell: list[str], group: int, member: int) -> None:
    """Whoever asks finds the one that is left, and ends it."""
    try:
        assert proven(shell, group, kill=False) == "OC1 alive"
        assert proven(shell, group, kill=True, patience=5) == "OC1 gone"
        assert not lives(member)
    finally:
        end(member)


async def test_a_member_that_left_the_group_is_found_by_its_session(shell: list[str], pids: Pipe) -> None:
    step = Started(shell, Command("python3", MEMBER.format(becomes="os.setpgid(0, 0)", pids=pids)))
    (member,) = await pids.pids(1)
    os.killpg(step.group, 9)
    step.result()
    ended(shell, step.group, member)


async def test_a_member_with_newlines_in_its_name_is_found(shell: list[str], pids: Pipe) -> None:
    """Where it is read by lines, all but the first are needed."""
    called = "ctypes.CDLL(None).prctl(15, b'a\\n) S\\n', 0, 0, 0)"
    step = Started(shell, Command("python3", MEMBER.format(becomes=called, pids=pids)))
    (member,) = await pids.pids(1)
    assert "\n" in Path(f"/proc/{member}/comm").read_text().removesuffix("\n")
    os.kill(step.group, 9)
    step.result()
    ended(shell, step.group, member)


# --- taking over from an earlier attempt ---------------------------------------------------------------------------


def test_a_step_carries_its_mark_and_the_number_of_its_session(shell: list[str], mark: str) -> None:
    step = Started(shell, Command("python3", "import os\nprint(os.environ['OPSCONDUCTOR_STEP'])"), mark)
    assert step.result() == (0, f"{mark}:{step.group}.\n".encode(), b"")


async def test_a_later_attempt_ends_the_earlier_and_nothing_else(shell: list[str], pids: Pipe, mark: str) -> None:
    """Not the same step elsewhere, and not what had left the session: that is not ended with a step either."""
    odd = {"A": "\n\nOPSCONDUCTOR_STEP=\n", "Z": EVERY_BYTE}
    earlier = Started(shell, Command("sh", f"sleep 600 & echo $$ >{pids}; echo $! >{pids}; wait", odd), mark)
    family = await pids.pids(2)
    other = Started(shell, Command("sh", f"echo $$ >{pids}; exec sleep 600"), mark[::-1])
    (stranger,) = await pids.pids(1)
    leaver = Started(shell, Command("sh", f"setsid sh -c 'echo $$ >{pids}; exec sleep 600' >/dev/null 2>&1 &"), mark)
    (left,) = await pids.pids(1)
    try:
        leaver.result()
        assert taken_over(shell, mark) == "OC1 gone"
        assert [pid for pid in family if lives(pid)] == []
        assert earlier.result()[0] == 143
        assert lives(stranger)
        assert lives(left)
    finally:
        end(left)
        other.control.close()
        other.result()


async def test_an_earlier_attempt_that_ends_in_time_is_not_asked_twice(shell: list[str], pids: Pipe, mark: str) -> None:
    """Its own bootstrap has asked already: a second TERM would come in the middle of its tidying up."""
    text = f"trap 'echo term; echo >{pids}; sleep 1; exit 3' TERM; echo $$ >{pids}; while :; do sleep 0.1; done"
    earlier = Started(shell, Command("sh", text), mark)
    await pids.pids(1)
    earlier.control.close()
    await pids.lines(1)
    assert taken_over(shell, mark, patience=12) == "OC1 gone"
    assert earlier.result()[:2] == (3, b"term\n")


@pytest.mark.slow
async def test_an_earlier_attempt_that_ignores_term_is_killed(shell: list[str], pids: Pipe, mark: str) -> None:
    earlier = Started(shell, Command("sh", f"trap '' TERM; echo $$ >{pids}; while :; do sleep 1; done"), mark)
    await pids.pids(1)
    assert taken_over(shell, mark) == "OC1 gone"
    assert earlier.result()[0] == 137


async def test_what_cannot_be_ended_is_not_called_gone(shell: list[str], pids: Pipe, mark: str) -> None:
    """A process of another user, as sudo makes it: without the mark, and deaf to our KILL. Its leader ends."""
    deaf = f"env -i /bin/sh -c \"trap '' TERM; echo \\$\\$ >{pids}; while :; do sleep 1; done\" >/dev/null 2>&1 &"
    earlier = Started(shell, Command("sh", f"{deaf} echo $$ >{pids}; exec sleep 600"), mark)
    family = set(await pids.pids(2))
    unable = take_over(mark, patience=0).replace(b"kill -KILL", b"true").replace(b"oc_wait 10", b"oc_wait 1")
    try:
        assert told(shell, unable) == "OC1 alive"
        assert not lives(earlier.group)
        assert [pid for pid in family if lives(pid)] == [*(family - {earlier.group})]
    finally:
        for pid in family - {earlier.group}:
            end(pid)
        earlier.result()


def test_a_host_without_proc_proves_nothing(shell: list[str], mark: str) -> None:
    blind = take_over(mark, patience=12).replace(b"/proc", b"/none")
    assert told(shell, blind) == "OC1 blind"


def test_where_there_was_no_earlier_attempt_there_is_nothing_to_wait_for(shell: list[str], mark: str) -> None:
    assert taken_over(shell, mark, patience=12) == "OC1 gone"


@pytest.mark.parametrize("group", [-1, 0, 1])
def test_nobody_is_asked_to_kill_everybody(group: int) -> None:
    """Whatever a host says that the number of a step's group is."""
    assert GREETING.match(f"OC1 {group}".encode()) is None
    with pytest.raises(ValueError, match="no group of a step"):
        proof(group, kill=True)


def test_a_group_that_never_was_is_gone(shell: list[str]) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert proven(shell, gone.pid, kill=False) == "OC1 gone"


@pytest.mark.parametrize(
    "command",
    [
        Command("sh", "echo \0"),
        Command("sh", "true", {"A": "\0"}),
        Command("sh", "true", stdin="\0"),
        Command("sh", "true", working_dir="\0"),
        Command("sh", "true", {"A-B": "x"}),
        Command("sh", "true", {"A=B": "x"}),
        Command("sh", "true", {"": "x"}),
        Command("sh", "true", {"A;id": "x"}),
        Command("powershell", "Get-Date"),
    ],
)
def test_what_no_shell_can_take_is_not_sent(command: Command) -> None:
    with pytest.raises(Unsendable):
        payload(command)


def test_the_payload_is_one_line_of_plain_ascii() -> None:
    line = payload(Command("sh", EVERY_BYTE, {"A": EVERY_BYTE}, stdin=EVERY_BYTE, working_dir="é\n"))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])


def test_the_command_is_fixed_text_that_every_login_shell_reads_alike() -> None:
    """In quotes csh looks for '!' and takes no new line, fish looks for backslashes."""
    assert f"exec /bin/sh -c '{READ}'" == ENTRY
    assert set(READ_AHEAD).isdisjoint("'!\\\n")
    assert entry(Command("sh", "echo ok")) == f"exec /bin/sh -c '{READ_AHEAD}'"
    assert entry(Command("sh", "echo ok"), "ab12") == f"exec /bin/sh -c '{READ_AHEAD}' sh OPSCONDUCTOR_STEP=ab12"
