"""Steps that become another user, by real sudo behind a real OpenSSH server, and on this host."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from engine.runs.outcome import Cancelled, Failed, Outcome, Succeeded, TimedOut, Unknown, output_of
from engine.runs.pinned import PinnedTarget
from engine.states import RunState, StepState
from runners.bootstrap import Command
from runners.connections import Stop
from runners.connections.become import Becoming
from runners.connections.here import Here, here
from runners.connections.local import LocalSettings
from runners.connections.login import SshPlace
from runners.connections.ssh import SshSession
from runners.limits import Capture
from runners.masking import Masker
from runners.sessions import SshConnections
from runners.steps import ReadyStep
from runners.steps.script import Script
from schemas.credential import CredentialSpec
from schemas.job import Retry
from schemas.target import Become, Connections
from tests import openssh as servers
from tests.integration.test_runner_ssh import FAMILY, STUBBORN, sampled
from tests.openssh import OpenSsh, shared
from tests.running import Bench, Pipe, bench, ends, lives, script
from tests.running import here as this_host

__all__ = ["bench", "shared"]

PASSWORD = "sudo-Pferd 'Batterie' \"Heft\" $HOME \\n"
RULES = """Defaults:opsfree !use_pty
Defaults:opsask use_pty, lecture=always
opsfree ALL=(ALL:ALL) NOPASSWD: /bin/sh
opsask ALL=(ALL:ALL) /bin/sh
"""
ACCOUNTS = f"""
for user in opsfree opsask opsnone opsother; do
  useradd --no-create-home --home-dir / --shell /bin/sh --password '*' "$user"
done
chpasswd
cat >/etc/sudoers.d/test <<'END'
{RULES}END
chmod 440 /etc/sudoers.d/test
"""
FREE, ASKED, WRONG = Becoming("root"), Becoming("root", PASSWORD), Becoming("root", "not-the-password")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    """A host on which `opsfree` becomes anybody, `opsask` anybody with a password, and `opsnone` nobody."""
    folder = tmp_path_factory.mktemp("sudo")
    setup = ACCOUNTS.replace("chpasswd", "chpasswd <<'END'\n" + f"opsask:{PASSWORD}\n" + "END")
    with servers.in_its_own_etc(folder, setup) as etc:
        keys = "Match User opsfree,opsask,opsnone\nAuthorizedKeysFile /etc/opskeys"
        made = servers.started_for_all(etc, folder / "sshd", keys)
        yield made
        made.stop()


@pytest.fixture
def pipe(shared: Path) -> Iterator[Callable[[str], Pipe]]:
    made: list[Pipe] = []

    def make(name: str) -> Pipe:
        made.append(Pipe(shared / name))
        (shared / name).chmod(0o666)
        return made[-1]

    yield make
    for each in made:
        each.close()


class Hand:
    """Runs commands as another user, as a step of type `script` does."""

    def __init__(self, server: OpenSsh) -> None:
        self.connections = SshConnections()
        self.server = server

    def session(self, login: str, become: Becoming, stop: Stop | None = None, mark: str = "") -> SshSession:
        at = self.server
        place = SshPlace("web-01", at.host, at.port, login, (at.host_key,), at.private_key)
        capture = Capture(Masker())
        return SshSession(place, self.connections, capture, stop or Stop(), mark=mark, become=become)

    async def run(self, login: str, become: Becoming, text: str, stop: Stop | None = None, **more: object) -> Outcome:
        command = replace(Command("sh", text), **more)  # type: ignore[arg-type]
        return await Script().run(ReadyStep(script(text), command=command), self.session(login, become, stop))


@pytest_asyncio.fixture
async def hand(server: OpenSsh) -> AsyncIterator[Hand]:
    made = Hand(server)
    yield made
    await made.connections.close()


WAYS = [("opsfree", FREE), ("opsask", ASKED), ("opsfree", ASKED)]
"""Without a password, with one, and with one for which sudo does not ask."""


@pytest.mark.parametrize(("login", "become"), WAYS)
async def test_env_stdin_and_streams_are_those_of_the_step(hand: Hand, login: str, become: Becoming) -> None:
    text = 'id -un; printf "%s|" "$ODD"; cat; echo no >&2; exit 3'
    odd = "a 'b' \"c\" $HOME \\n é\nsecond\n"
    outcome = await hand.run(login, become, text, env={"ODD": odd}, stdin=odd)
    assert isinstance(outcome, Failed), outcome
    assert outcome.output.stdout == f"root\n{odd}|{odd}"
    assert (outcome.output.exit_code, outcome.output.stderr) == (3, "no\n")


async def test_any_user_may_be_become_and_has_its_own_home(hand: Hand) -> None:
    outcome = await hand.run("opsfree", Becoming("opsother"), 'id -un; echo "$HOME"; pwd', working_dir="/usr")
    assert output_of(outcome).stdout == "opsother\n/\n/usr\n", outcome


@pytest.mark.parametrize(
    ("login", "become", "why"),
    [
        ("opsask", FREE, "a password is required; name a Credential of type password in become.credentialRef"),
        ("opsask", WRONG, "sudo refused the password of its Credential"),
        ("opsnone", FREE, "a password is required"),
        ("opsfree", Becoming("nobody-of-this-name"), "unknown user"),
        ("opsfree", Becoming("-x"), "'-x' is not the name of a user to become"),
        ("opsask", Becoming("root", "two\nlines"), "more than one line"),
    ],
    ids=["no password", "wrong password", "no rule", "no such user", "no name", "two lines"],
)
async def test_who_may_not_become_it_is_told_before_anything_ran(
    hand: Hand, shared: Path, login: str, become: Becoming, why: str
) -> None:
    async with asyncio.timeout(20):
        outcome = await hand.run(login, become, f"touch {shared}/ran")
    assert isinstance(outcome, Failed), outcome
    assert why in outcome.error
    assert not (shared / "ran").exists()


async def test_a_wrong_password_does_not_end_the_connection_for_others(hand: Hand) -> None:
    refused = await hand.run("opsask", WRONG, "true")
    assert isinstance(refused, Failed), refused
    assert output_of(await hand.run("opsask", ASKED, "id -un")).stdout == "root\n"


async def test_a_host_without_sudo_says_so(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    here_only = LocalSettings(env={"PATH": "/nowhere"})
    session = SshSession(here("x"), Here(here_only), Capture(Masker()), Stop(), become=FREE)
    outcome = await Script().run(ReadyStep(script("true"), command=Command("sh", "true")), session)
    assert isinstance(outcome, Failed), outcome
    assert outcome.error == "cannot become 'root' on the host: the host has no sudo"


# --- ended on order ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("why", "kind"), [("timedOut", TimedOut), ("cancelled", Cancelled)])
@pytest.mark.parametrize(("login", "become"), WAYS[:2])
async def test_the_processes_of_the_other_user_are_ended(
    hand: Hand, pipe: Callable[[str], Pipe], login: str, become: Becoming, why: str, kind: type[Outcome]
) -> None:
    """Who logged in could not have done it."""
    pids, stop = pipe("pids"), Stop()
    work = asyncio.create_task(hand.run(login, become, FAMILY.format(pids=pids), stop))
    family = await pids.pids(3)
    assert all(Path(f"/proc/{pid}").stat().st_uid == 0 for pid in family)
    stop.order(why, "because")  # type: ignore[arg-type]
    outcome = await work
    assert isinstance(outcome, kind), outcome
    assert [pid for pid in family if lives(pid)] == []


async def test_processes_that_ignore_term_are_killed(hand: Hand, pipe: Callable[[str], Pipe]) -> None:
    pids, stop = pipe("pids"), Stop()
    work = asyncio.create_task(hand.run("opsask", ASKED, STUBBORN.format(pids=pids), stop))
    family = await pids.pids(3)
    stop.order("timedOut", "its time limit of 1s passed", kill_after=0.5)
    outcome = await work
    assert isinstance(outcome, TimedOut), outcome
    assert [pid for pid in family if lives(pid)] == []


async def test_a_runner_that_is_stopped_at_once_leaves_nothing_behind(hand: Hand, pipe: Callable[[str], Pipe]) -> None:
    pids = pipe("pids")
    work = asyncio.create_task(hand.run("opsfree", FREE, STUBBORN.format(pids=pids)))
    family = await pids.pids(3)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await hand.connections.close()
    assert all([await asyncio.to_thread(ends, pid, 5) for pid in family])


async def test_a_cut_connection_is_followed_up_as_the_other_user(
    server: OpenSsh, hand: Hand, pipe: Callable[[str], Pipe]
) -> None:
    pids = pipe("pids")
    work = asyncio.create_task(hand.run("opsask", ASKED, STUBBORN.format(pids=pids)))
    family = await pids.pids(3)
    server.drop_connections()
    outcome = await work
    assert isinstance(outcome, Unknown), outcome
    assert "none of its processes is left" in outcome.error
    assert [pid for pid in family if lives(pid)] == []


async def test_an_earlier_attempt_is_found_and_ended_as_the_other_user(hand: Hand, pipe: Callable[[str], Pipe]) -> None:
    pids = pipe("pids")
    lost = hand.session("opsask", ASKED, mark="a1b2")
    command = Command("sh", f"trap '' TERM; echo $$ >{pids}; while :; do sleep 1; done")
    work = asyncio.create_task(lost.execute(command))
    (pid,) = await pids.pids(1)
    again = asyncio.create_task(hand.session("opsask", ASKED, mark="a1b2").take_over())
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert await again is None
    assert not lives(pid)


# --- the password --------------------------------------------------------------------------------------------------


async def test_the_password_stands_in_no_argument_and_no_environment(hand: Hand, pipe: Callable[[str], Pipe]) -> None:
    pids, go = pipe("pids"), pipe("go")
    with sampled() as sampler:
        work = asyncio.create_task(hand.run("opsask", ASKED, f"echo $$ >{pids}; read line <{go}; env"))
        await pids.pids(1)
        await asyncio.to_thread(sampler.look_again)
        go.let_go()
        outcome = await work
    assert isinstance(outcome, Succeeded), outcome
    assert "Pferd" not in outcome.output.stdout
    assert any(b"sudo" in line for line in sampler.seen)
    assert [line for line in sampler.seen if b"Pferd" in line] == []


def credentials(bench: Bench, server: OpenSsh, **secrets: str) -> dict[str, CredentialSpec]:
    found: dict[str, CredentialSpec] = {}
    for name, text in {"login": server.private_key, **secrets}.items():
        (bench.secrets / name).write_text(text)
        kind = "ssh" if name == "login" else "password"
        found[name] = CredentialSpec.model_validate({"type": kind, "from": {"file": name}})
    return found


def over_ssh(server: OpenSsh, user: str, become: object = None) -> PinnedTarget:
    ssh = {"port": server.port, "user": user, "credentialRef": "login", "hostKeys": [server.host_key], "become": become}
    connections = Connections.model_validate({"ssh": ssh})
    return PinnedTarget("web-01", host=server.host, connections=connections, default_connection="ssh")


async def test_a_run_becomes_who_the_connection_says_and_the_step_wins(server: OpenSsh, bench: Bench) -> None:
    by_password = {"user": "root", "credentialRef": "sudo"}
    ran = await bench.execute(
        script("id -un", "one", outputs={"me": "${{ stdout }}"}),
        script("id -un", "two", outputs={"me": "${{ stdout }}"}, become=Become(user="opsother", credentialRef="sudo")),
        script('printf "%s\\n" "$P"; exit 1', "three", env={"P": "${{ secrets.sudo.password }}"}),
        targets=(over_ssh(server, "opsask", by_password),),
        credentials=credentials(bench, server, sudo=PASSWORD),
    )
    steps = ran.steps()
    assert (steps["one"].outputs, steps["two"].outputs) == ({"me": "root"}, {"me": "opsother"}), ran.view
    assert steps["three"].stdout_tail == "***\n"


async def test_a_step_that_names_the_user_of_its_connection_has_that_ones_credential(
    server: OpenSsh, bench: Bench
) -> None:
    """For anybody else it names its own."""
    ran = await bench.execute(
        script("id -un", "same", outputs={"me": "${{ stdout }}"}, become=Become(user="root")),
        script("id -un", "another", become=Become(user="opsother")),
        targets=(over_ssh(server, "opsask", {"user": "root", "credentialRef": "sudo"}),),
        credentials=credentials(bench, server, sudo=PASSWORD),
    )
    steps = ran.steps()
    assert steps["same"].outputs == {"me": "root"}, steps
    assert "a password is required; name a Credential" in (steps["another"].error or "")


@pytest.mark.parametrize("step", [None, "opsother"])
async def test_nobody_is_become_with_a_credential_of_another_pool(
    server: OpenSsh, bench: Bench, step: str | None
) -> None:
    by_password = {"user": "root", "credentialRef": "sudo"}
    given = credentials(bench, server, sudo=PASSWORD)
    given["sudo"] = given["sudo"].model_copy(update={"pools": ("dmz",)})
    bench.serves = frozenset({"default"})
    become = None if step is None else Become(user=step, credentialRef="sudo")
    ran = await bench.execute(
        script(f"touch {bench.folder}/ran", become=become),
        targets=(over_ssh(server, "opsask", by_password),),
        credentials=given,
    )
    assert ran.state is RunState.FAILED, ran.view
    refusal = "credential 'sudo' may not be opened by pool 'default', which this is for: it names the pools dmz"
    assert refusal in (ran.steps()["only"].error or "")
    assert not (bench.folder / "ran").exists()


async def test_a_wrong_password_fails_the_step_and_is_not_shown(server: OpenSsh, bench: Bench) -> None:
    ran = await bench.execute(
        script("true", become=Become(user="root", credentialRef="sudo")),
        targets=(over_ssh(server, "opsask"),),
        credentials=credentials(bench, server, sudo="guess-guess-guess"),
    )
    step = ran.steps()["only"]
    assert (ran.state, step.state) == (RunState.FAILED, StepState.FAILED)
    assert step.error == "cannot become 'root' on the host: sudo refused the password of its Credential"
    assert "guess-guess" not in repr(ran.view)


# --- on this host --------------------------------------------------------------------------------------------------


async def test_a_local_step_becomes_another_user(bench: Bench, shared: Path) -> None:
    ran = await bench.execute(
        script('id -un; cat; echo "$N"', outputs={"me": "${{ stdout }}"}, stdin="in\n", env={"N": "5"}, become=NOBODY),
        targets=(this_host("here"),),
    )
    assert ran.steps()["only"].outputs == {"me": "nobody\nin\n5"}, ran.view


async def test_a_local_step_that_became_another_user_is_ended_in_time(
    bench: Bench, pipe: Callable[[str], Pipe]
) -> None:
    pids = pipe("pids")
    ran = await bench.execute(
        script(FAMILY.format(pids=pids), timeout=timedelta(seconds=1), become=NOBODY), targets=(this_host("here"),)
    )
    assert ran.state is RunState.TIMED_OUT, ran.view
    assert [pid for pid in await pids.pids(3) if lives(pid)] == []


async def test_a_local_step_of_another_user_may_be_repeated(bench: Bench) -> None:
    ran = await bench.execute(script("exit 1", retry=Retry(maxAttempts=2), become=NOBODY), targets=(this_host("here"),))
    step = ran.steps()["only"]
    assert (step.state, step.attempts, step.error) == (StepState.FAILED, 2, "exit code 1"), step


NOBODY = Become(user="nobody")
