"""Steps over SSH on a real OpenSSH server: what they are given, how they end, and what is known of them afterwards."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import pytest_asyncio

from engine.runs.outcome import Cancelled, Failed, Outcome, Succeeded, TimedOut, Unknown, Unreachable, output_of
from engine.runs.pinned import PinnedTarget
from engine.states import RunState, StepState
from runners.bootstrap import Command
from runners.connections import Refused, Stop, ssh
from runners.connections.become import Becoming
from runners.connections.login import SshPlace
from runners.connections.ssh import SshSession
from runners.limits import Capture
from runners.masking import Masker
from runners.sessions import SshConnections
from runners.steps import ReadyStep
from runners.steps.script import Script
from schemas.credential import CredentialSpec, Source
from schemas.target import Connections, SshConnection
from tests import openssh as servers
from tests.openssh import OpenSsh, openssh, own_openssh
from tests.running import Bench, Pipe, bench, end, ends, lives, script

__all__ = ["bench", "openssh", "own_openssh"]


def place_of(server: OpenSsh) -> SshPlace:
    return SshPlace("web-01", server.host, server.port, server.user, (server.host_key,), server.private_key)


class Hand:
    """Runs commands at a place, as a step of type `script` does."""

    def __init__(self) -> None:
        self.connections = SshConnections()
        self.pipes: list[Pipe] = []

    async def run(
        self, place: SshPlace, text: str, *, shell: Any = "sh", stop: Stop | None = None, **more: Any
    ) -> Outcome:
        session = SshSession(place, self.connections, Capture(Masker()), stop or Stop())
        return await Script().run(ReadyStep(script(text), command=Command(shell, text, **more)), session)


@pytest_asyncio.fixture
async def hand() -> AsyncIterator[Hand]:
    made = Hand()
    yield made
    await made.connections.close()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Callable[[str], Pipe]]:
    made: list[Pipe] = []

    def make(name: str) -> Pipe:
        made.append(Pipe(tmp_path / name))
        return made[-1]

    yield make
    for each in made:
        each.close()


# --- what a step is given, and what it gives -----------------------------------------------------------------------


@pytest.mark.parametrize(("text", "code"), [("exit 1", 1), ("exit 75", 75), ("exit 255", 255), ("kill -9 $$", 137)])
async def test_an_exit_code_comes_back_as_it_is(openssh: OpenSsh, hand: Hand, text: str, code: int) -> None:
    outcome = await hand.run(place_of(openssh), text)
    assert isinstance(outcome, Failed), outcome
    assert (outcome.error, outcome.output.exit_code) == (f"exit code {code}", code)


async def test_both_streams_come_back_apart_and_unchanged(openssh: OpenSsh, hand: Hand) -> None:
    outcome = await hand.run(place_of(openssh), "printf 'grün \\\\ %%s\\n\\n'; echo 'OC1 77'; echo no >&2")
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.output.stdout, outcome.output.stderr) == ("grün \\ %s\n\nOC1 77\n", "no\n")


ODD = "a b 'c' \"d\" $HOME `id` \\n \\0101 %s ! é\nsecond line\n\n"


@pytest.mark.parametrize("shell", ["sh", "bash"])
async def test_env_and_stdin_arrive_byte_for_byte(openssh: OpenSsh, hand: Hand, shell: str) -> None:
    text = 'printf %s "$ODD"; echo "|"; cat'
    outcome = await hand.run(place_of(openssh), text, shell=shell, env={"ODD": ODD}, stdin=ODD)
    assert output_of(outcome).stdout == f"{ODD}|\n{ODD}"


async def test_a_step_without_stdin_reads_nothing(openssh: OpenSsh, hand: Hand) -> None:
    """Least of all the line that ends it."""
    outcome = await hand.run(place_of(openssh), "cat; echo end")
    assert output_of(outcome).stdout == "end\n"


async def test_a_step_need_not_read_its_stdin(openssh: OpenSsh, hand: Hand) -> None:
    outcome = await hand.run(place_of(openssh), "echo done", stdin="x" * 300_000)
    assert isinstance(outcome, Succeeded), outcome


@pytest.mark.parametrize(
    ("shell", "text"),
    [
        ("sh", 'echo "$N"; read line; echo "$line"; pwd'),
        ("bash", 'a=(x "$N"); echo "${a[1]}"; read -r line; echo "$line"; pwd'),
        ("python3", "import os\nprint(os.environ['N'])\nprint(input())\nprint(os.getcwd())"),
    ],
)
async def test_every_shell_has_env_stdin_and_its_folder(openssh: OpenSsh, hand: Hand, shell: str, text: str) -> None:
    outcome = await hand.run(place_of(openssh), text, shell=shell, env={"N": "5"}, stdin="hello\n", working_dir="/usr")
    assert output_of(outcome).stdout.split() == ["5", "hello", "/usr"], outcome


async def test_a_folder_that_is_not_there_fails_the_step(openssh: OpenSsh, hand: Hand, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    outcome = await hand.run(place_of(openssh), f"touch {ran}", working_dir="/no/such")
    assert isinstance(outcome, Failed), outcome
    assert "/no/such" in outcome.error
    assert not ran.exists()


@pytest.mark.parametrize("become", [None, Becoming("root")], ids=["", "become"])
async def test_a_host_whose_shell_descends_from_pdksh_is_refused(tmp_path: Path, become: Becoming | None) -> None:
    server = servers.start(tmp_path / "sshd", options='SetEnv "KSH_VERSION=@(#)MIRBSD KSH R59 2020/10/31"')
    connections = SshConnections()
    try:
        session = SshSession(place_of(server), connections, Capture(Masker()), Stop(), become=become)
        refused = await session.execute(Command("sh", f"touch {tmp_path}/ran"))
    finally:
        await connections.close()
        server.stop()
    assert isinstance(refused, Refused)
    assert "make it dash, bash or busybox" in refused.error
    assert not (tmp_path / "ran").exists()


NOISES = {
    "no end": "printf 'web-01> '",
    "a title": r"printf '\033]0;web-01\007'",
    "lines": "printf 'hello\\n\\nworld\\n'",
}


@pytest.fixture
def forced(tmp_path: Path) -> Iterator[Callable[[str], SshPlace]]:
    """Places where this is what every login runs; the command is in SSH_ORIGINAL_COMMAND."""
    made: list[OpenSsh] = []

    def start(command: str) -> SshPlace:
        made.append(servers.start(tmp_path / f"sshd{len(made)}", options=f"ForceCommand {command}"))
        return place_of(made[-1])

    yield start
    for each in made:
        each.stop()


@pytest.mark.parametrize("noise", NOISES.values(), ids=list(NOISES))
async def test_what_a_login_prints_is_neither_a_start_nor_output(
    forced: Callable[[str], SshPlace], hand: Hand, tmp_path: Path, noise: str
) -> None:
    """Also where it has no newline at its end: the title of a terminal that a .bashrc sets, or a prompt."""
    place = forced(f'{noise}; eval "$SSH_ORIGINAL_COMMAND"')
    for become in (None, Becoming("root")):
        for text in ("printf 'a b\\n'", "printf 'a b\\n'; true"):
            session = SshSession(place, hand.connections, Capture(Masker()), Stop(), mark="m" * 32, become=become)
            outcome = await Script().run(ReadyStep(script(text), command=Command("sh", text)), session)
            assert isinstance(outcome, Succeeded), (become, outcome)
            assert outcome.output.stdout == "a b\n"
            assert await session.take_over() is None
    async with session.files() as files:  # of an sftp-server that sudo starts
        assert (await files.stat(str(tmp_path))) is not None


@pytest.mark.parametrize("become", [None, Becoming("root")], ids=["", "become"])
async def test_a_step_whose_start_nobody_heard_may_have_run(
    forced: Callable[[str], SshPlace], hand: Hand, tmp_path: Path, become: Becoming | None
) -> None:
    """So it is not repeated, whatever `retry` says."""
    place, ran = forced('eval "$SSH_ORIGINAL_COMMAND" >/dev/null'), tmp_path / "ran"
    session = SshSession(place, hand.connections, Capture(Masker()), Stop(), mark="m" * 32, become=become)
    text = f"echo paid >>{ran}; exit 3"
    outcome = await Script().run(ReadyStep(script(text), command=Command("sh", text)), session)
    assert isinstance(outcome, Unknown), outcome
    assert "it may have run" in outcome.error
    assert ran.read_text() == "paid\n"


async def test_a_login_that_finds_no_shell_has_run_nothing(forced: Callable[[str], SshPlace], hand: Hand) -> None:
    outcome = await hand.run(forced("exec /no/such/shell"), "echo ran")
    assert isinstance(outcome, Failed), outcome
    assert "could not be started on the host (exit code 127)" in outcome.error
    assert "/no/such/shell" in outcome.error


async def test_a_process_left_behind_does_not_hang_its_step(openssh: OpenSsh, hand: Hand) -> None:
    """Although it holds the streams open."""
    async with asyncio.timeout(10):
        outcome = await hand.run(place_of(openssh), "sleep 600 & echo $!; exit 3")
    try:
        assert isinstance(outcome, Failed), outcome
        assert outcome.error == "exit code 3"
    finally:
        end(int(output_of(outcome).stdout))


# --- ended on order ------------------------------------------------------------------------------------------------

FAMILY = """
echo $$ >{pids}
sh -c 'echo $$ >{pids}; sleep 600' &
(echo "$(exec sh -c 'echo $PPID')" >{pids}; while :; do sleep 600; done) | sleep 600 &
wait
"""
"""Three that tell their process ids: the step, a child, and one in a pipe."""


@pytest.mark.parametrize(("why", "kind"), [("timedOut", TimedOut), ("cancelled", Cancelled)])
async def test_the_order_to_end_ends_every_process_of_the_session(
    openssh: OpenSsh, hand: Hand, pipe: Callable[[str], Pipe], why: Any, kind: type[Outcome]
) -> None:
    pids, stop = pipe("pids"), Stop()
    work = asyncio.create_task(hand.run(place_of(openssh), FAMILY.format(pids=pids), stop=stop))
    family = await pids.pids(3)
    assert all(map(lives, family))
    stop.order(why, "because")
    outcome = await work
    assert isinstance(outcome, kind), outcome
    assert [pid for pid in family if lives(pid)] == []


STUBBORN = """
trap '' TERM HUP INT
python3 -c 'import os, time; os.setpgid(0, 0); open("{pids}", "w").write(str(os.getpid()) + chr(10)); time.sleep(600)' &
sh -c 'echo $$ >{pids}; while :; do sleep 1; done' &
echo $$ >{pids}
while :; do sleep 1; done
"""
"""Three that heed nothing but KILL; one of them is in a process group of its own, which TERM does not reach at all."""


@pytest.mark.parametrize("kill_after", [pytest.param(10.0, marks=pytest.mark.slow), 0.5])
async def test_processes_that_ignore_term_are_killed(
    openssh: OpenSsh, hand: Hand, pipe: Callable[[str], Pipe], kill_after: float
) -> None:
    """After ten seconds the host does it by itself; where it must be sooner, the runner comes back to do it."""
    pids, stop = pipe("pids"), Stop()
    work = asyncio.create_task(hand.run(place_of(openssh), STUBBORN.format(pids=pids), stop=stop))
    family = await pids.pids(3)
    stop.order("timedOut", "its time limit of 1s passed", kill_after=kill_after)
    outcome = await work
    assert isinstance(outcome, TimedOut), outcome
    assert [pid for pid in family if lives(pid)] == []


async def test_a_step_may_tidy_up_when_it_is_ended(
    openssh: OpenSsh, hand: Hand, pipe: Callable[[str], Pipe], tmp_path: Path
) -> None:
    pids, stop = pipe("pids"), Stop()
    text = f"trap 'echo bye; touch {tmp_path}/tidied; exit 4' TERM; echo $$ >{pids}; while :; do sleep 0.1; done"
    work = asyncio.create_task(hand.run(place_of(openssh), text, stop=stop))
    await pids.pids(1)
    stop.order("cancelled", "the run was cancelled")
    outcome = await work
    assert isinstance(outcome, Cancelled), outcome
    assert outcome.output.stdout == "bye\n"
    assert (tmp_path / "tidied").exists()


async def test_an_order_before_anything_was_sent_sends_nothing(openssh: OpenSsh, hand: Hand, tmp_path: Path) -> None:
    stop = Stop()
    stop.order("cancelled", "the run was cancelled")
    outcome = await hand.run(place_of(openssh), f"touch {tmp_path}/ran", stop=stop)
    assert isinstance(outcome, Cancelled), outcome
    assert not (tmp_path / "ran").exists()


async def test_a_runner_that_is_stopped_at_once_leaves_nothing_behind(
    openssh: OpenSsh, hand: Hand, pipe: Callable[[str], Pipe]
) -> None:
    pids = pipe("pids")
    work = asyncio.create_task(hand.run(place_of(openssh), STUBBORN.format(pids=pids)))
    family = await pids.pids(3)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await hand.connections.close()
    assert all([await asyncio.to_thread(ends, pid, 5) for pid in family]), "at once, not after the ten seconds of TERM"


# --- connections that break, or never come to be -------------------------------------------------------------------


async def test_a_connection_cut_in_the_middle_is_unknown(
    own_openssh: OpenSsh, hand: Hand, pipe: Callable[[str], Pipe]
) -> None:
    """The step may have done anything by then; that it goes no further is seen to over another connection."""
    pids = pipe("pids")
    work = asyncio.create_task(hand.run(place_of(own_openssh), STUBBORN.format(pids=pids)))
    family = await pids.pids(3)
    own_openssh.drop_connections()
    outcome = await work
    assert isinstance(outcome, Unknown), outcome
    assert "connection broke" in outcome.error
    assert "none of its processes is left" in outcome.error
    assert [pid for pid in family if lives(pid)] == []


async def test_a_host_that_is_gone_in_the_middle_is_unknown_and_not_proven(
    own_openssh: OpenSsh, hand: Hand, pipe: Callable[[str], Pipe]
) -> None:
    pids = pipe("pids")
    work = asyncio.create_task(hand.run(place_of(own_openssh), f"echo $$ >{pids}; sleep 600"))
    await pids.pids(1)
    own_openssh.stop()
    outcome = await work
    assert isinstance(outcome, Unknown), outcome
    assert "not proven" in outcome.error or "may have run" in outcome.error


@pytest.mark.slow
async def test_a_host_that_hangs_is_noticed_within_twenty_seconds(own_openssh: OpenSsh, hand: Hand) -> None:
    """Its kernel still takes what is sent, and nothing is ever closed."""
    with pytest.raises(asyncssh.ChannelOpenError, match="connection closed"):
        async with hand.connections.lease(place_of(own_openssh)) as (connection, _):
            own_openssh.freeze()
            async with asyncio.timeout(20):
                await connection.run("true", check=True)


async def test_a_warm_connection_that_died_unnoticed_is_replaced(own_openssh: OpenSsh, hand: Hand) -> None:
    assert isinstance(await hand.run(place_of(own_openssh), "exit 0"), Succeeded)
    own_openssh.drop_connections()
    outcome = await hand.run(place_of(own_openssh), "echo again")
    assert output_of(outcome).stdout == "again\n", outcome


async def test_a_wrong_host_key_is_unreachable_and_shown(openssh: OpenSsh, hand: Hand, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    outcome = await hand.run(replace(place_of(openssh), host_keys=(other,)), f"touch {tmp_path}/ran")
    assert isinstance(outcome, Unreachable), outcome
    shown = asyncssh.import_public_key(openssh.host_key).get_fingerprint()
    assert shown in outcome.error
    assert "hostKeys of Target web-01" in outcome.error
    assert not (tmp_path / "ran").exists()


async def test_a_host_that_never_opens_a_session_is_unreachable(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers keepalives, so that nothing else ends the waiting."""
    monkeypatch.setattr(ssh, "_SESSION", 0.5)
    opened: list[asyncssh.SSHServerConnection] = []

    class Never(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            opened.append(conn)

        def begin_auth(self, username: str) -> bool:
            return False

        async def session_requested(self) -> bool:  # type: ignore[override]
            await opened[-1].wait_closed()
            return False

    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Never, server_host_keys=[key])
    shown = key.export_public_key().decode().strip()
    outcome = await hand.run(SshPlace("web-01", "127.0.0.1", server.get_port(), "ops", (shown,)), "echo hello")
    assert outcome == Unreachable(f"ops@127.0.0.1:{server.get_port()} opened no session within 0 s")
    await opened[-1].wait_closed()
    server.close()
    await server.wait_closed()


async def test_no_host_keys_trust_nobody(openssh: OpenSsh, hand: Hand) -> None:
    outcome = await hand.run(replace(place_of(openssh), host_keys=()), "exit 0")
    assert isinstance(outcome, Unreachable), outcome


async def test_a_wrong_key_is_unreachable_and_names_the_user(openssh: OpenSsh, hand: Hand) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    outcome = await hand.run(replace(place_of(openssh), private_key=other), "exit 0")
    assert isinstance(outcome, Unreachable), outcome
    assert f"refused the login of '{openssh.user}' with the key" in outcome.error


async def test_a_refused_port_is_unreachable(openssh: OpenSsh, hand: Hand) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and not listening
        port = int(held.getsockname()[1])
        outcome = await hand.run(replace(place_of(openssh), port=port), "exit 0")
    assert isinstance(outcome, Unreachable), outcome
    assert f"127.0.0.1:{port} refused the connection" in outcome.error


# --- secrets -------------------------------------------------------------------------------------------------------


class Sampler(threading.Thread):
    """Reads the arguments of every process of this host, over and over. `looks` counts whole rounds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.looks = 0
        self._round = threading.Condition()
        self._over = False

    def run(self) -> None:
        while not self._over:
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(entry.read_bytes())
                except OSError:
                    continue
            with self._round:
                self.looks += 1
                self._round.notify_all()

    def look_again(self) -> None:
        """Return after two more whole rounds."""
        with self._round:
            upto = self.looks + 3
            assert self._round.wait_for(lambda: self.looks >= upto, 20)

    def close(self) -> None:
        self._over = True
        self.join()


@contextmanager
def sampled() -> Iterator[Sampler]:
    sampler = Sampler()
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.close()


@pytest.mark.parametrize("shell", ["sh", "bash", "python3"])
async def test_nothing_of_a_step_stands_in_the_arguments_of_any_process(
    openssh: OpenSsh, hand: Hand, pipe: Callable[[str], Pipe], shell: str
) -> None:
    pids, go = pipe("pids"), pipe("go")
    text = f"X=k3yInScript; echo $$ >{pids}; read line <{go}; cat >/dev/null"
    if shell == "python3":
        text = (
            f"x='k3yInScript'\nimport os\nopen('{pids}','w').write(str(os.getpid())+chr(10))\nopen('{go}').readline()"
        )
    with sampled() as sampler:
        work = asyncio.create_task(
            hand.run(place_of(openssh), text, shell=shell, env={"P": "k3yInEnv"}, stdin="k3yInStdin")
        )
        await pids.pids(1)
        await asyncio.to_thread(sampler.look_again)
        go.let_go()
        outcome = await work
    assert isinstance(outcome, Succeeded), outcome
    assert any(b"eval" in line and b"IFS=" in line for line in sampler.seen), "the step's shell was looked at"
    assert [line for line in sampler.seen if b"k3yIn" in line] == []


# --- through the journal -------------------------------------------------------------------------------------------


def over_ssh(server: OpenSsh, name: str) -> PinnedTarget:
    ssh = SshConnection.model_validate(
        {"port": server.port, "user": server.user, "credentialRef": "key", "hostKeys": [server.host_key]}
    )
    return PinnedTarget(name, host=server.host, connections=Connections(ssh=ssh), default_connection="ssh")


def with_key(bench: Bench, server: OpenSsh) -> dict[str, CredentialSpec]:
    (bench.secrets / "key").write_text(server.private_key)
    return {"key": CredentialSpec(type="ssh", **{"from": Source(file="key")})}


async def test_a_time_limit_ends_the_work_on_the_host(openssh: OpenSsh, bench: Bench) -> None:
    pids = bench.pipe("pids")
    ran = await bench.execute(
        script(FAMILY.format(pids=pids), timeout=timedelta(seconds=2)),
        targets=(over_ssh(openssh, "web-01"),),
        credentials=with_key(bench, openssh),
    )
    step = ran.steps()["only"]
    assert (ran.state, step.state) == (RunState.TIMED_OUT, StepState.TIMED_OUT)
    assert step.error == "its time limit of 2s passed"
    assert [pid for pid in await pids.pids(3) if lives(pid)] == []


@pytest.mark.parametrize("why", ["drained", "unrenewed"])
async def test_what_was_not_sent_begins_anew_when_its_runner_must_stop(
    own_openssh: OpenSsh, bench: Bench, why: str
) -> None:
    """Be it here or with the next runner: the target is not unreachable, and the step has not failed."""
    own_openssh.freeze()
    run = await bench.enqueue(
        script("echo hello"), targets=(over_ssh(own_openssh, "web-01"),), credentials=with_key(bench, own_openssh)
    )
    bench.start()
    await bench.until(run, lambda ran: ran.states() == {"only": StepState.RUNNING})
    if why == "drained":
        await bench.drain(timedelta(0))
        left = await bench.see(run)
        assert (left.state, left.states()) == (RunState.QUEUED, {})
        bench.start()
    else:
        (execution,) = bench.runner._underway.executions
        execution.give_way(5.0)
    own_openssh.thaw()
    ran = await bench.ended(run)
    step = ran.steps()["only"]
    assert (ran.state, step.state, step.attempts) == (RunState.SUCCEEDED, StepState.SUCCEEDED, 1)


async def test_twenty_targets_work_at_the_same_time(openssh: OpenSsh, bench: Bench) -> None:
    """None of them goes on before all have begun."""
    began, go = bench.pipe("began"), bench.pipe("go")
    text = f'echo "$OC1" >{began}; read line <{go}; echo "$OC1"'
    names = [f"web-{number:02}" for number in range(20)]
    run = await bench.enqueue(
        replace(script('OC1="$NAME"; ' + text, env={"NAME": "${{ target.name }}"}), outputs={"me": "${{ stdout }}"}),
        targets=tuple(over_ssh(openssh, name) for name in names),
        credentials=with_key(bench, openssh),
        max_parallel=20,
    )
    bench.start()
    assert sorted(await began.lines(20)) == names
    go.let_go(20)
    ran = await bench.ended(run)
    assert ran.state is RunState.SUCCEEDED
    assert [ran.steps(name)["only"].outputs["me"] for name in names] == names


async def test_the_key_of_a_login_is_masked_like_any_secret(openssh: OpenSsh, bench: Bench) -> None:
    ran = await bench.execute(
        script(f"sed -n 3p {bench.secrets}/key; exit 1"),
        targets=(over_ssh(openssh, "web-01"),),
        credentials=with_key(bench, openssh),
    )
    step = ran.steps()["only"]
    assert step.stdout_tail == "***\n"
    assert step.log is not None
    assert (bench.logs / step.log).read_text() == "***\n"
