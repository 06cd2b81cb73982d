"""The same promises over a path, over ssh with a real OpenSSH server, and over https with `git http-backend`."""

import asyncio
import getpass
import os
import shutil
import socket
import subprocess
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from journal.errors import Refused, Unavailable
from reconciler.repository.mirror import Mirror, PushRejected
from tests.gitservers import LOGINS, TOKEN, Https, SshServer, https, ssh_server

__all__ = ["https", "ssh_server"]

MAIN = "refs/heads/main"
STATUS = "refs/heads/opsconductor/status"


@dataclass
class Site:
    """A repository on this machine and one way to reach it."""

    repository: Path
    address: str
    environment: dict[str, str]
    state: Path
    mirrors: list[Mirror] = field(default_factory=list)

    def mirror(self, address: str | None = None, **environment: str) -> Mirror:
        made = Mirror(
            self.state / f"mirror{len(self.mirrors)}.git",
            address or self.address,
            environment=self.environment | environment,
        )
        self.mirrors.append(made)
        return made

    def commit(self, name: str) -> str:
        stream = f"commit {MAIN}\ncommitter A <a@x> 1700000000 +0000\ndata 1\nm\nM 100644 inline {name}\ndata 1\nx\n\n"
        subprocess.run(
            ["git", "-C", self.repository, "fast-import", "--quiet", "--force"], input=stream.encode(), check=True
        )
        return self.head(MAIN)

    def head(self, ref: str) -> str:
        done = subprocess.run(
            ["git", "-C", self.repository, "rev-parse", ref], capture_output=True, check=True, text=True
        )
        return done.stdout.strip()


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Site]:
    repository = tmp_path / "ops.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", repository], check=True)
    subprocess.run(["git", "-C", repository, "config", "http.receivepack", "true"], check=True)
    (tmp_path / "home").mkdir()
    site = Site(repository, str(repository), {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}, tmp_path)
    yield site
    for mirror in site.mirrors:
        mirror.close()


@pytest.fixture(params=["path", "ssh", "scp-like", "https"])
def site(request: pytest.FixtureRequest, base: Site) -> Site:
    if request.param in {"ssh", "scp-like"}:
        server: SshServer = request.getfixturevalue("ssh_server")
        base.address = server.address(base.repository)
        command = server.command()
        if request.param == "scp-like":
            base.address = f"{getpass.getuser()}@127.0.0.1:{base.repository}"
            command += f" -p {server.port}"
        base.environment["GIT_SSH_COMMAND"] = command
    elif request.param == "https":
        server_: Https = request.getfixturevalue("https")
        base.address = server_.address("ops.git")
        base.environment["GIT_SSL_CAINFO"] = str(server_.ca)
    return base


async def test_every_way_brings_and_pushes(site: Site) -> None:
    """Poll, fetch, a first push, a second one by compare-and-swap, and the answer to a lost race."""
    first = site.commit("a")
    mirror = site.mirror()

    assert await mirror.poll([MAIN, STATUS]) == {MAIN: first, STATUS: None}
    assert await mirror.fetch([MAIN, STATUS]) == {MAIN: first, STATUS: None}
    await mirror.push(first, STATUS, None)
    assert site.head(STATUS) == first
    second = site.commit("b")
    await mirror.fetch([MAIN])
    await mirror.push(second, STATUS, first)
    assert site.head(STATUS) == second
    with pytest.raises(PushRejected):
        await mirror.push(first, STATUS, first)
    with pytest.raises(PushRejected):
        await mirror.push(first, STATUS, None)
    await mirror.push(first, STATUS, second)  # rewinding is allowed where it is expected
    assert site.head(STATUS) == first
    assert mirror.source.is_path == (site.address == str(site.repository))


async def test_of_two_racers_one_wins(site: Site) -> None:
    start = site.commit("a")
    one, two = site.mirror(), site.mirror()
    await one.fetch([MAIN])
    other = site.commit("b")
    await two.fetch([MAIN])

    results = await asyncio.gather(one.push(start, STATUS, None), two.push(other, STATUS, None), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["NoneType", "PushRejected"]
    assert site.head(STATUS) == (start if results[0] is None else other)


async def test_a_repository_that_is_not_there(site: Site) -> None:
    mirror = site.mirror(site.address.replace("ops.git", "missing.git"))
    with pytest.raises(Refused, match=r"no git repository at .*missing\.git") as caught:
        await mirror.poll([MAIN])
    assert TOKEN not in str(caught.value)


async def test_a_push_that_the_remote_forbids(site: Site) -> None:
    first = site.commit("a")
    mirror = site.mirror()
    await mirror.fetch([MAIN])
    hook = site.repository / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho ask the ops team >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Refused, match=r"does not take refs/heads/opsconductor/status.*ask the ops team"):
        await mirror.push(first, STATUS, None)


async def test_ssh_refusals_say_what_to_do(base: Site, ssh_server: SshServer) -> None:
    address = ssh_server.address(base.repository)
    stranger = base.mirror(address, GIT_SSH_COMMAND=ssh_server.command(identity="stranger"))
    with pytest.raises(Refused, match="does not accept this user's ssh key"):
        await stranger.poll([MAIN])
    unknown = base.mirror(address, GIT_SSH_COMMAND=ssh_server.command(hosts="no_hosts"))
    with pytest.raises(Refused, match=r"host key of .* is not known or has changed; check it"):
        await unknown.poll([MAIN])


async def test_https_refusals_say_what_to_do(base: Site, https: Https) -> None:
    base.commit("a")
    trusted = {"GIT_SSL_CAINFO": str(https.ca)}
    with pytest.raises(Refused, match=r"certificate of .* is not trusted .* http.sslCAInfo"):
        await base.mirror(https.address("ops.git")).poll([MAIN])
    with pytest.raises(Refused, match=r"certificate of .* is not trusted"):
        await base.mirror(https.address("ops.git"), GIT_SSL_NO_VERIFY="1").poll([MAIN])
    with pytest.raises(Refused, match="asks for a login"):
        await base.mirror(https.address("ops.git", ""), **trusted).poll([MAIN])
    with pytest.raises(Refused, match="asks for a login"):
        await base.mirror(https.address("ops.git", "ops:wrong@"), **trusted).poll([MAIN])
    subprocess.run(["git", "-C", base.repository, "config", "http.receivepack", "false"], check=True)
    mirror = base.mirror(https.address("ops.git"), **trusted)
    head = (await mirror.fetch([MAIN]))[MAIN]
    with pytest.raises(Refused, match="gives this user no permission"):
        await mirror.push(str(head), STATUS, None)


async def test_trouble_that_passes_comes_back_later(base: Site, https: Https) -> None:
    """A server that is down, overloaded, or not there yet."""
    trusted = {"GIT_SSL_CAINFO": str(https.ca)}
    mirror = base.mirror(https.address("ops.git"), **trusted)
    for code in (500, 503, 429):
        https.backend.answer = code
        with pytest.raises(Unavailable, match="cannot be reached"):
            await mirror.poll([MAIN])
    https.backend.answer = 0
    assert (await mirror.poll([MAIN])) == {MAIN: None}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        for address in (f"https://127.0.0.1:{port}/x", f"ssh://127.0.0.1:{port}/x"):
            with pytest.raises(Unavailable, match="cannot be reached"):
                await base.mirror(address).fetch([MAIN])
    with pytest.raises(Unavailable, match="cannot be reached"):
        await base.mirror("https://nowhere.invalid/x").poll([MAIN])


@pytest.mark.parametrize("login", [*LOGINS, TOKEN])
async def test_a_token_is_seen_nowhere(login: str, base: Site, https: Https, tmp_path: Path) -> None:
    """Not in an argument list, not in a file of the mirror, not in an address that is shown, not in a message."""
    base.commit("a")
    seen = tmp_path / "argv"
    real = shutil.which("git")
    (tmp_path / "bin").mkdir()
    spy = tmp_path / "bin" / "git"
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {seen}\nexec {real} "$@"\n')
    spy.chmod(0o755)
    environment = {"GIT_SSL_CAINFO": str(https.ca), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    mirror = base.mirror(https.address("ops.git", f"{login}@"), **environment)
    head = (await mirror.fetch([MAIN]))[MAIN]
    await mirror.push(str(head), STATUS, None)
    with pytest.raises(Refused, match="no git repository at") as missing:
        await base.mirror(https.address("missing.git", f"{login}@"), **environment).poll([MAIN])
    with pytest.raises(Refused, match="asks for a login") as wrong:
        await base.mirror(https.address("ops.git", f"x{login}@"), **environment).poll([MAIN])

    assert "push" in seen.read_text()
    for text in (seen.read_text(), mirror.source.address, mirror.source.shown, repr(mirror.source)):
        assert TOKEN not in text
    for caught in (missing, wrong):
        assert TOKEN not in "".join(traceback.format_exception(caught.value))
    for file in mirror.path.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes()


async def test_what_git_quotes_of_a_login_is_not_passed_on(base: Site, https: Https, tmp_path: Path) -> None:
    """A git, or a server behind it, may repeat the address, or the token, in its complaint."""
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "git"
    broken.write_text(f'#!/bin/sh\necho "fatal: nothing for {TOKEN} at https://{TOKEN}@host/x" >&2\nexit 128\n')
    broken.chmod(0o755)
    mirror = base.mirror(https.address("ops.git", f"{TOKEN}@"), PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(Unavailable, match=r"nothing for \*\*\* at https://\*\*\*@host/x"):
        await mirror.poll([MAIN])


async def test_the_password_of_a_user_alone_may_come_from_a_credential_helper(base: Site, https: Https) -> None:
    """As in the clone addresses that some forges give: https://name@host/..., with the password kept elsewhere."""
    base.commit("a")
    script = f'test "$1" = get && grep -q username=ops && echo password={TOKEN}'
    config = Path(base.environment["HOME"]) / ".gitconfig"
    subprocess.run(["git", "config", "-f", config, "credential.helper", f"!f() {{ {script}; }}; f"], check=True)
    mirror = base.mirror(https.address("ops.git", "ops@"), GIT_SSL_CAINFO=str(https.ca))
    assert (await mirror.poll([MAIN]))[MAIN] is not None
