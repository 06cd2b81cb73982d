"""The command line's own door to git: acts are pushed without a lost race, wherever status and requests live."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from journal.errors import Refused, Unavailable
from opsconductor import acts
from opsconductor.exits import UsageError
from opsconductor.repository import Repository
from opsconductor.workspace import Workspace
from tests.signing import Keys

REQUESTS = "refs/heads/opsconductor/requests"
STATUS = "refs/heads/opsconductor/status"
Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Git with a home of its own, and a committer."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "home").mkdir()
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)

    def call(folder: Path, *arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", folder, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    subprocess.run(["git", "config", "--global", "user.name", "Ana"], check=True)
    subprocess.run(["git", "config", "--global", "user.email", "ana@example.org"], check=True)
    return call


@pytest.fixture
def remote(tmp_path: Path, git: Git) -> Path:
    folder = tmp_path / "ops.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", folder], check=True)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, remote: Path, git: Git) -> Path:
    folder = tmp_path / "ops"
    subprocess.run(["git", "clone", "-q", remote, folder], check=True, capture_output=True)
    (folder / "opsconductor.yaml").write_text("kind: Project\n")
    git(folder, "checkout", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "start")
    git(folder, "push", "-q", "-u", "origin", "main")
    return folder


def test_an_act_is_one_file_on_the_requests_branch_of_the_remote(checkout: Path, remote: Path, git: Git) -> None:
    repository = Repository.open(str(checkout))
    first = repository.push_act(REQUESTS, "requests/one.yaml", "one\n", "request: one")
    second = repository.push_act(REQUESTS, "requests/two.yaml", "two\n", "request: two")
    assert git(remote, "rev-parse", REQUESTS) == second
    assert git(remote, "rev-parse", f"{second}^") == first
    assert git(remote, "ls-tree", "-r", "--name-only", REQUESTS).split() == ["requests/one.yaml", "requests/two.yaml"]
    assert git(checkout, "status", "--porcelain") == ""
    assert git(remote, "log", "-1", "--format=%ce", REQUESTS) == "ana@example.org"


@pytest.mark.parametrize("by", ["the command line", "the commands of a page"])
def test_an_act_says_for_which_engine_it_is(by: str, checkout: Path, remote: Path, git: Git) -> None:
    """Of the claim in `sync.yaml`."""
    (checkout / "sync.yaml").write_text("kind: SyncStatus\nstatus:\n  engine:\n    id: '12ab'\n    host: here\n")
    git(checkout, "checkout", "-q", "-b", "other")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "status")
    git(checkout, "push", "-q", "origin", f"HEAD:{STATUS}")
    git(checkout, "checkout", "-q", "main")
    workspace = Workspace(Repository.open(str(checkout)), "main")
    for name in ("one", "two"):
        act = acts.Act("RunRequest", name, acts.started("greet"))
        if by == "the command line":
            workspace.push_act(name, act.text, on_branch=False)
        else:
            subprocess.run(["sh", "-c", acts.git_commands(act, REQUESTS)], cwd=checkout, check=True)
    said = git(remote, "log", "--reverse", "--format=%B", REQUESTS)
    assert said.split("\n\n") == [
        "request: one",
        "OpsConductor-Engine: 12ab",
        "request: two",
        "OpsConductor-Engine: 12ab",
    ]


@pytest.mark.parametrize("held_by", ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "an include", "the checkout"])
def test_an_act_is_signed_wherever_git_finds_its_settings(
    held_by: str, tmp_path: Path, checkout: Path, remote: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Keys(tmp_path).ssh("ana")
    settings = tmp_path / "settings"
    settings.write_text(f"[user]\nsigningKey = {key.path}\n[gpg]\nformat = ssh\n[commit]\ngpgSign = yes\n")
    if held_by.startswith("GIT_"):
        monkeypatch.setenv(held_by, str(settings))
        who = {"GIT_AUTHOR_NAME": "Ana", "GIT_AUTHOR_EMAIL": "ana@example.org"}
        for name, value in {**who, "GIT_COMMITTER_NAME": "Ana", "GIT_COMMITTER_EMAIL": "ana@example.org"}.items():
            monkeypatch.setenv(name, value)
    else:
        where = ["--global", "includeIf.gitdir:**.path"] if held_by == "an include" else ["include.path"]
        git(checkout, "config", *where, str(settings))
    commit = Repository.open(str(checkout)).push_act(REQUESTS, "requests/one.yaml", "one\n", "request: one")
    assert "\ngpgsig " in git(remote, "cat-file", "commit", commit)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "commit.gpgSign")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "off")
    plain = Repository.open(str(checkout)).push_act(REQUESTS, "requests/two.yaml", "two\n", "request: two")
    assert "\ngpgsig " not in git(remote, "cat-file", "commit", plain)
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "perhaps")
    with pytest.raises(Refused, match=r"git cannot read its configuration: .*commit\.gpgsign"):
        Repository.open(str(checkout)).push_act(REQUESTS, "requests/three.yaml", "three\n", "request: three")


def test_two_people_who_ask_at_once_are_both_heard(tmp_path: Path, checkout: Path, remote: Path, git: Git) -> None:
    """Whoever loses the race pushes again on top of the other."""
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "-q", remote, other], check=True)
    asking = [
        subprocess.Popen([sys.executable, "-c", _ASK, str(folder), f"requests/{folder.name}-{n}.yaml"])
        for n in range(3)
        for folder in (checkout, other)
    ]
    assert [process.wait(timeout=60) for process in asking] == [0] * 6
    assert len(git(remote, "ls-tree", "-r", "--name-only", REQUESTS).split()) == 6


_ASK = """
import sys
from opsconductor.repository import Repository
from opsconductor.workspace import Workspace
from tests.signing import Keys

Repository.open(sys.argv[1]).push_act("refs/heads/opsconductor/requests", sys.argv[2], "x", "request")
"""


def test_a_checkout_into_which_an_engine_publishes_is_asked_itself(checkout: Path, git: Git) -> None:
    git(checkout, "update-ref", STATUS, "HEAD")
    repository = Repository.open(str(checkout))
    assert repository.remote == "."
    repository.push_act(REQUESTS, "requests/one.yaml", "one\n", "request: one")
    assert git(checkout, "show", f"{REQUESTS}:requests/one.yaml") == "one"


def test_a_local_copy_of_the_remotes_status_does_not_mislead(checkout: Path, remote: Path, git: Git) -> None:
    git(checkout, "push", "-q", "origin", f"HEAD:{STATUS}")
    git(checkout, "fetch", "-q")
    git(checkout, "branch", "-q", "--track", "opsconductor/status", "origin/opsconductor/status")
    assert Repository.open(str(checkout)).remote == "origin"


def test_on_the_branch_that_is_checked_out_it_is_a_commit_of_that_file_alone(tmp_path: Path, git: Git) -> None:
    folder = tmp_path / "alone"
    subprocess.run(["git", "init", "-q", "-b", "main", folder], check=True)
    (folder / "a.yaml").write_text("a\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "start")
    (folder / "a.yaml").write_text("half done\n")
    Repository.open(str(folder)).push_act("refs/heads/main", "definitions/requests/x.yaml", "x\n", "request: x")
    assert git(folder, "show", "--name-only", "--format=").split() == ["definitions/requests/x.yaml"]
    assert git(folder, "status", "--porcelain") == "M a.yaml"


def test_a_refused_push_says_what_the_server_said(checkout: Path, remote: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'ask the platform team for access' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Refused, match="cannot push to refs/heads/opsconductor/requests"):
        Repository.open(str(checkout)).push_act(REQUESTS, "requests/one.yaml", "one\n", "request: one")


def test_a_url_needs_no_checkout(remote: Path, checkout: Path, git: Git) -> None:
    repository = Repository.open(f"file://{remote}")
    assert repository.head_of("refs/heads/main") == git(checkout, "rev-parse", "main")


def test_where_there_is_no_repository_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="opsconductor init"):
        Repository.open(str(tmp_path))


def test_a_token_in_the_address_of_the_remote_is_not_shown(checkout: Path, git: Git) -> None:
    for login in ("t0ken-nobody-sees", "ops:t0ken-nobody-sees"):
        git(checkout, "remote", "set-url", "origin", f"https://{login}@127.0.0.1:1/ops.git")
        with pytest.raises(Unavailable, match=r"from https://\*\*\*@127.0.0.1:1/ops.git") as caught:
            Repository.open(str(checkout)).head_of(STATUS)
        assert "t0ken-nobody-sees" not in str(caught.value)


def test_a_checkout_whose_remote_no_engine_could_serve(checkout: Path, git: Git) -> None:
    """Its own commands go on; an engine of this machine can only be one that serves the checkout."""
    git(checkout, "remote", "set-url", "origin", "http://intranet.example.org/ops.git")
    assert Repository.open(str(checkout)).engine_source.path == checkout
