"""Logins of a runner on real OpenSSH servers: by password, under a host authority, and where they never come about."""

import asyncio
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from engine.runs.pinned import PinnedTarget
from engine.states import RunState, StepState
from runners.connections import Limits
from schemas.credential import CredentialSpec
from schemas.selector import Selector
from schemas.target import Connections
from tests import openssh as servers
from tests.openssh import OpenSsh, openssh, own_openssh
from tests.running import Bench, Ran, bench, script

__all__ = ["bench", "openssh", "own_openssh"]

SOON = Limits(connect=0.5, login=0.5)
PASSWORD = "korrekt-Pferd 'Batterie' \"Heft\" $HOME"


def over_ssh(server: OpenSsh, *host_keys: str, port: int | None = None, user: str | None = None) -> PinnedTarget:
    ssh = {"port": port or server.port, "user": user, "credentialRef": "login", "hostKeys": host_keys}
    connections = Connections.model_validate({"ssh": ssh})
    return PinnedTarget("web-01", host=server.host, connections=connections, default_connection="ssh")


def login(bench: Bench, kind: str, secret: str, username: str) -> dict[str, CredentialSpec]:
    (bench.secrets / "login").write_text(secret)
    given = {"type": kind, "username": username, "from": {"file": "login"}}
    return {"login": CredentialSpec.model_validate(given)}


def with_key(bench: Bench, server: OpenSsh) -> dict[str, CredentialSpec]:
    return login(bench, "ssh", server.private_key, server.user)


async def tried(bench: Bench, target: PinnedTarget, credentials: dict[str, CredentialSpec], **settings: Any) -> Ran:
    """A run of one step that says who it is, on this target."""
    run = await bench.enqueue(
        script(f"touch {bench.folder}/ran; id -un", outputs={"me": "${{ stdout }}"}),
        targets=(target,),
        credentials=credentials,
    )
    bench.start(**settings)
    return await bench.ended(run)


def unreached(bench: Bench, ran: Ran) -> str:
    """Why: nothing was sent, and the run says so."""
    step = ran.steps()["only"]
    assert (ran.state, step.state) == (RunState.FAILED, StepState.UNREACHABLE), step
    assert not (bench.folder / "ran").exists()
    return step.error or ""


# --- passwords -----------------------------------------------------------------------------------------------------

ADDED = "useradd --no-create-home --home-dir / --shell /bin/sh opsrunner; chpasswd"


@pytest.fixture
def with_passwords(tmp_path: Path) -> Iterator[OpenSsh]:
    """A server that lets `opsrunner` in by a password. Needs root, as every server that takes passwords does."""
    with servers.in_its_own_etc(tmp_path, ADDED, f"opsrunner:{PASSWORD}\n"):
        server = servers.start(tmp_path / "sshd", passwords=True)
        yield server
        server.stop()


async def test_a_password_logs_in_and_is_masked_like_any_secret(with_passwords: OpenSsh, bench: Bench) -> None:
    bench.folder.chmod(0o755)
    run = await bench.enqueue(
        script('id -un; printf "%s\\n" "$P"; exit 3', env={"P": "${{ secrets.login.password }}"}),
        targets=(over_ssh(with_passwords, with_passwords.host_key),),
        credentials=login(bench, "password", PASSWORD + "\n", "opsrunner"),
    )
    bench.start()
    step = (await bench.ended(run)).steps()["only"]
    assert (step.state, step.exit_code, step.stdout_tail) == (StepState.FAILED, 3, "opsrunner\n***\n")
    assert step.log is not None
    assert (bench.logs / step.log).read_text() == "opsrunner\n***\n"


async def test_a_wrong_password_is_unreachable_and_not_shown(with_passwords: OpenSsh, bench: Bench) -> None:
    target = over_ssh(with_passwords, with_passwords.host_key)
    ran = await tried(bench, target, login(bench, "password", "guess-guess-guess", "opsrunner"))
    assert unreached(bench, ran).endswith("refused the login of 'opsrunner' with the password of its Credential")
    assert "guess-guess" not in repr(ran.view)


async def test_a_server_that_takes_no_password_says_so(openssh: OpenSsh, bench: Bench) -> None:
    target = over_ssh(openssh, openssh.host_key)
    ran = await tried(bench, target, login(bench, "password", PASSWORD, openssh.user))
    assert f"refused the login of '{openssh.user}' with the password" in unreached(bench, ran)


async def test_a_key_that_is_not_allowed_for_the_job_logs_nobody_in(openssh: OpenSsh, bench: Bench) -> None:
    """Although the plan has it. The host sees no login."""
    given = with_key(bench, openssh)["login"]
    only_web = given.model_copy(update={"allowed_for": Selector.model_validate({"matchLabels": {"team": "web"}})})
    logins = openssh.log.count("Accepted")
    ran = await tried(bench, over_ssh(openssh, openssh.host_key), {"login": only_web})
    step = ran.steps()["only"]
    assert step.state is StepState.FAILED
    assert "credential 'login' is not allowed for this job" in (step.error or "")
    assert openssh.log.count("Accepted") == logins


# --- host keys and host authorities --------------------------------------------------------------------------------


class Authority:
    """Signs the keys of hosts, by ssh-keygen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.line = f"@cert-authority {self._key('authority')}"

    def certified(self, name: str, *how: str) -> str:
        """The options of a server whose key has a certificate. `how`: further arguments of ssh-keygen."""
        self._key(name)
        key = self._folder / name
        sign = ["ssh-keygen", "-q", "-s", str(self._folder / "authority"), "-I", name, "-h", *how, f"{key}.pub"]
        subprocess.run(sign, check=True, capture_output=True)
        return f"HostKey {key}\nHostCertificate {key}-cert.pub"

    def _key(self, name: str) -> str:
        key = self._folder / name
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
        subprocess.run(make, check=True, capture_output=True)
        return key.with_name(f"{name}.pub").read_text().strip()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], OpenSsh]]:
    with ExitStack() as running:

        def start(options: str) -> OpenSsh:
            server = servers.start(tmp_path / "sshd", options=options)
            running.callback(server.stop)
            return server

        yield start


async def test_one_authority_speaks_for_every_host_it_signed(
    authority: Authority, serve: Callable[[str], OpenSsh], bench: Bench
) -> None:
    server = serve(authority.certified("host", "-n", "127.0.0.1,web-01"))
    ran = await tried(bench, over_ssh(server, authority.line), with_key(bench, server))
    assert ran.steps()["only"].outputs == {"me": server.user}, ran.view


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (("-n", "elsewhere.example"), "principal"),
        (("-n", "127.0.0.1", "-V", "20200101:20200102"), "expired"),
        (("-n", "127.0.0.1", "-V", "20990101:20990102"), "not yet valid"),
    ],
    ids=["another host", "expired", "not yet"],
)
async def test_a_certificate_that_does_not_hold_is_refused(
    authority: Authority, serve: Callable[[str], OpenSsh], bench: Bench, how: tuple[str, ...], why: str
) -> None:
    server = serve(authority.certified("host", *how))
    ran = await tried(bench, over_ssh(server, authority.line), with_key(bench, server))
    assert why in unreached(bench, ran)


async def test_an_authority_that_is_not_in_the_definitions_is_refused_and_named(
    authority: Authority, serve: Callable[[str], OpenSsh], bench: Bench, tmp_path: Path
) -> None:
    server = serve(authority.certified("host", "-n", "127.0.0.1"))
    ran = await tried(bench, over_ssh(server, Authority(tmp_path / "other").line), with_key(bench, server))
    error = unreached(bench, ran)
    shown = asyncssh.import_public_key(authority.line.removeprefix("@cert-authority ")).get_fingerprint()
    assert shown in error
    assert "'@cert-authority" in error


async def test_an_authority_does_not_vouch_for_a_key_without_a_certificate(
    authority: Authority, openssh: OpenSsh, bench: Bench
) -> None:
    ran = await tried(bench, over_ssh(openssh, authority.line), with_key(bench, openssh))
    assert asyncssh.import_public_key(openssh.host_key).get_fingerprint() in unreached(bench, ran)


async def test_a_wrong_host_key_gets_no_login(openssh: OpenSsh, bench: Bench) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    ran = await tried(bench, over_ssh(openssh, other), with_key(bench, openssh))
    assert "add it to spec.connections.ssh.hostKeys of Target web-01" in unreached(bench, ran)


# --- logins that hang ----------------------------------------------------------------------------------------------


class Mute:
    """Takes connections, says `greeting` on each, and nothing more."""

    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._taken.append(peer)
            peer.sendall(self._greeting)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for peer in self._taken:
            peer.close()


@pytest.mark.parametrize(
    "greeting", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"SSH-2.0-"], ids=["nothing", "banner", "half a banner"]
)
async def test_a_server_that_falls_silent_is_unreachable_in_time(
    openssh: OpenSsh, bench: Bench, greeting: bytes
) -> None:
    with closing(Mute(greeting)) as mute:
        target = over_ssh(openssh, openssh.host_key, port=mute.port)
        ran = await tried(bench, target, with_key(bench, openssh), limits=SOON)
    where = f"127.0.0.1:{mute.port}"
    assert unreached(bench, ran) == f"{where} took the connection and did not answer within the time limit"


async def test_a_frozen_host_is_unreachable_in_time(own_openssh: OpenSsh, bench: Bench) -> None:
    own_openssh.freeze()
    target = over_ssh(own_openssh, own_openssh.host_key)
    ran = await tried(bench, target, with_key(bench, own_openssh), limits=SOON)
    assert "did not answer within the time limit" in unreached(bench, ran)


SLOW_TO_JUDGE = "AuthorizedKeysCommand /usr/bin/sleep 600\nAuthorizedKeysCommandUser {user}"


async def test_a_login_that_is_never_judged_is_unreachable_in_time(
    openssh: OpenSsh, serve: Callable[[str], OpenSsh], bench: Bench
) -> None:
    """The host has shown its key and looks for the user's: a folder on a dead server is enough."""
    server = serve(SLOW_TO_JUDGE.format(user=openssh.user))
    other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    target = over_ssh(server, server.host_key)
    ran = await tried(bench, target, login(bench, "ssh", other, server.user), limits=SOON)
    assert "did not answer within the time limit" in unreached(bench, ran)


async def test_a_cancelled_run_does_not_wait_for_a_login(openssh: OpenSsh, bench: Bench) -> None:
    with closing(Mute(b"SSH-2.0-OpenSSH_9.2\r\n")) as mute:
        target = over_ssh(openssh, openssh.host_key, port=mute.port)
        run = await bench.enqueue(script("true"), targets=(target,), credentials=with_key(bench, openssh))
        bench.start()
        watch = bench.journal.watch()
        while (await bench.see(run)).state is not RunState.RUNNING:
            await watch.changed(1.0)
        watch.close()
        await bench.cancel(run)
        async with asyncio.timeout(Limits().connect / 2):
            ran = await bench.ended(run)
    assert ran.state is RunState.CANCELLED


# --- cut in the middle ---------------------------------------------------------------------------------------------


async def test_a_connection_cut_in_the_middle_makes_the_run_unknown(own_openssh: OpenSsh, bench: Bench) -> None:
    """What follows on that target is `finally` alone, over a connection of its own."""
    began, go = bench.pipe("began"), bench.pipe("go")
    run = await bench.enqueue(
        script(f"echo one >>{bench.folder}/ran; echo $$ >{began}; read line <{go}", "cut", idempotent=True),
        script("true", "next"),
        script('test "$OC1" = unknown', "tidy", phase="finally", holes=("steps.cut.state",)),
        targets=(over_ssh(own_openssh, own_openssh.host_key),),
        credentials=with_key(bench, own_openssh),
    )
    bench.start()
    await began.lines(1)
    own_openssh.drop_connections()
    ran = await bench.ended(run)
    assert ran.state is RunState.UNKNOWN
    assert ran.states() == {"cut": StepState.UNKNOWN, "tidy": StepState.SUCCEEDED}
    assert "the connection broke while it ran" in (ran.steps()["cut"].error or "")
    assert (bench.folder / "ran").read_text() == "one\n", "a lost connection is no lost runner: nothing is repeated"
