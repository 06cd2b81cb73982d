"""Acts that the command line pushes over https with a token, and over ssh, to a repository that an engine serves."""

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.site import HERE, MAIN, Site, job
from tests.gitservers import TOKEN, Https, SshServer, https, ssh_server

__all__ = ["https", "ssh_server"]

JOBS = {
    "here.yaml": HERE,
    "greet.yaml": job(
        "greet", "- {id: greet, run: 'echo \"hello ${{ params.who }}\"'}", "params: {who: {type: string}}"
    ),
    "sleeps.yaml": job("sleeps", "- {id: nap, run: sleep 600}"),
}


@pytest.fixture
def served(bare: Site) -> Site:
    """A site whose repository may also be reached over https; its engine reads the path."""
    bare.create(JOBS)
    bare.git("config", "http.receivepack", "true")
    bare.pulled()
    bare.up()
    return bare


def over_https(site: Site, server: Https, login: str) -> str:
    site.environment["GIT_SSL_CAINFO"] = str(server.ca)
    return server.address(site.source.name, login)


def over_ssh(site: Site, server: SshServer) -> str:
    site.environment["GIT_SSH_COMMAND"] = server.command()
    return server.address(site.source)


@pytest.fixture(params=["https", pytest.param("ssh", marks=pytest.mark.slow)])
def remote(request: pytest.FixtureRequest, served: Site) -> Iterator[Site]:
    """The user's clone has this address as its origin."""
    server = request.getfixturevalue("https" if request.param == "https" else "ssh_server")
    address = over_https(served, server, f"ops:{TOKEN}@") if request.param == "https" else over_ssh(served, server)
    served._git(served.clone, "remote", "set-url", "origin", address)
    return served


def test_a_run_is_asked_for_followed_and_cancelled_from_a_clone(remote: Site) -> None:
    """`run --wait`, `get` and `cancel --wait` need the remote alone; the token of its address is seen nowhere."""
    done = remote.run("run", "greet", "-p", "who=you", "--wait")
    assert done.returncode == 0, done.stderr
    (run,) = remote.runs("greet")
    assert run["spec"]["params"] == {"who": "you"}
    assert "ann@example.org" in str(run["spec"]["cause"]["requestedBy"])
    assert [item["metadata"]["name"] for item in remote.json("get", "runs", "-o", "json")["items"]] == [
        run["metadata"]["name"]
    ]
    asked = remote.run("run", "sleeps")
    assert asked.returncode == 0, asked.stderr
    sleeping = remote.running("sleeps")["metadata"]["name"]
    ended = remote.run("cancel", "sleeps", "--wait")
    assert ended.returncode == 0, ended.stderr
    assert remote.run_file(sleeping)["status"]["state"] == "cancelled"
    assert remote.git("rev-list", "--count", MAIN) == "1", "acts go to the requests branch"
    for text in (done.stdout, done.stderr, asked.stderr, ended.stderr, *remote.tree().values()):
        assert TOKEN not in text


def test_an_address_will_do_without_a_clone(served: Site, https: Https, tmp_path: Path) -> None:
    """`--repo URL`: definitions, status and requests by git alone; a credential helper has the token."""
    address = over_https(served, https, "ops@")
    helper = f'!f() {{ test "$1" = get && echo password={TOKEN}; }}; f'
    served._git(None, "config", "--global", "credential.helper", helper)
    done = served.run("run", "greet", "-C", address, "--wait", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (listed,) = served.json("get", "runs", "-C", address, "-o", "json")["items"]
    assert listed["status"]["state"] == "succeeded"
    for file in (Path(served.environment["HOME"]) / ".cache").rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes()


@pytest.mark.slow
def test_a_push_that_is_refused_says_why_and_exits_1(served: Site, https: Https, ssh_server: SshServer) -> None:
    """A wrong token, a key that nobody knows, a repository without permission, a hook that says no."""
    hook = served.source / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'ask the ops team' >&2\nexit 1\n")
    hook.chmod(0o755)
    wrong = over_https(served, https, f"ops:x{TOKEN}@")
    stranger = f"ssh://{getpass.getuser()}@127.0.0.1:{ssh_server.port}{served.source}"
    for address, environment, said in (
        (over_ssh(served, ssh_server), {}, "ask the ops team"),
        (over_https(served, https, f"ops:{TOKEN}@"), {}, "ask the ops team"),
        (wrong, {"GIT_TERMINAL_PROMPT": "0"}, "Authentication failed"),
        (stranger, {"GIT_SSH_COMMAND": ssh_server.command(identity="stranger")}, "Permission denied"),
    ):
        served._git(served.clone, "remote", "set-url", "origin", address)
        done = served.run("run", "greet", env=environment)
        assert done.returncode == 1, done.stderr
        assert said in done.stderr
        assert TOKEN not in done.stderr
    assert served.runs() == []
