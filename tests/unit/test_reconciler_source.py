"""What a source may be, and what git inherits and says."""

from pathlib import Path

import pytest

from journal.errors import Refused, Unavailable
from reconciler.gitprogram import Broken, Locked, Login, RefMissing, environment_for_git, explain
from reconciler.source import git_folder, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/srv/ops.git", "/srv/ops.git"),
        ("/srv/with space:and colon", "/srv/with space:and colon"),
        ("file:///srv/a%20b.git", "/srv/a b.git"),
        ("ssh://git@host:2222/ops.git", "ssh://git@host:2222/ops.git"),
        ("git@host:team/ops.git", "git@host:team/ops.git"),
        ("host:ops.git", "host:ops.git"),
        ("git@[::1]:ops.git", "git@[::1]:ops.git"),
        ("https://host/ops.git", "https://host/ops.git"),
        ("https://ops:pa%40ss@host:8443/ops.git", "https://host:8443/ops.git"),
        ("http://127.0.0.1:3000/ops.git", "http://127.0.0.1:3000/ops.git"),
    ],
)
def test_addresses_that_are_taken(text: str, address: str) -> None:
    """What is shown and given to git holds no password."""
    assert parse(text).address == address


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse("ops").path == tmp_path / "ops"
    (tmp_path / "a:b").mkdir()
    assert parse("a:b").path == tmp_path / "a:b"


def test_a_login_is_taken_out_of_the_address() -> None:
    source = parse("https://ops:pa%40ss@host/ops.git")
    assert source.login == Login("ops", "pa@ss")
    assert "pa@ss" not in repr(source)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-oProxyCommand=x",
        "--upload-pack=x",
        "ext::sh -c id",
        "fd::3",
        "git://host/ops.git",
        "http://host/ops.git",
        "http://127.0.0.1.example.org/ops.git",
        "ftp://host/ops.git",
        "ssh://-oProxyCommand=x/ops.git",
        "ssh://-x@host/ops.git",
        "-oProxyCommand=x:ops.git",
        "git@-oProxyCommand=x:ops.git",
        "file://host/ops.git",
        "https:///ops.git",
        "/srv/ops\n.git",
        "/srv/ops\0.git",
    ],
)
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse(text)


def test_what_git_inherits() -> None:
    """How a remote is reached stays the operator's; what leads git elsewhere, asks, or is secret, stays behind."""
    inherited = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "SSH_AUTH_SOCK": "/s",
        "HTTPS_PROXY": "p",
        "GIT_SSH_COMMAND": "ssh -i k",
        "GIT_DIR": "/x",
        "GIT_CONFIG_PARAMETERS": "'a=b'",
        "GIT_SSL_NO_VERIFY": "1",
        "GIT_ASKPASS": "/bin/evil",
        "SSH_ASKPASS": "/bin/evil",
        "GIT_TRACE": "1",
        "OPSCONDUCTOR_SECRET_DB": "x",
        "LC_ALL": "de_DE",
    }
    found = environment_for_git(inherited, Login("u", "p"))
    assert {name: found.pop(name) for name in ("PATH", "HOME", "SSH_AUTH_SOCK", "HTTPS_PROXY", "GIT_SSH_COMMAND")}
    assert found == {
        "LC_ALL": "C",
        "LANGUAGE": "",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "OC_GIT_USER": "u",
        "OC_GIT_PASSWORD": "p",
    }


@pytest.mark.parametrize(
    ("stderr", "kind", "words"),
    [
        ("fatal: detected dubious ownership in repository at '/x'", Refused, "safe.directory"),
        ("fatal: couldn't find remote ref refs/heads/x", RefMissing, ""),
        ("error: object file ./objects/ab/cd is empty", Broken, ""),
        ("fatal: not a git repository: '/m'", Broken, ""),
        ("fatal: not a git repository (or any of the parent directories): .git", Refused, "no git repository"),
        ("fatal: bad config line 3 in file /m/config", Broken, ""),
        ("fatal: bad config line 3 in file /home/x/.gitconfig", Refused, "/home/x/.gitconfig"),
        ("fatal: Unable to create '/m/packed-refs.lock': File exists.", Locked, ""),
        ("fatal: write error: No space left on device", Unavailable, "disk is full"),
        ("fatal: unable to access 'https://h/': Could not resolve host: h", Unavailable, "cannot be reached"),
        ("ssh: connect to host h port 22: Connection refused\nfatal: Could not read", Unavailable, "refused"),
        ("fatal: mismatched algorithms: client sha1; server sha256", Refused, "SHA-256"),
        ("fatal: attempt to fetch/clone from a shallow repository\nshallow update not allowed", Refused, "--unshallow"),
        ("error: object 1234: zeroPaddedFilemode: contains zero-padded file modes\nfatal: fsck error", Refused, "fsck"),
        ("fatal: transport 'ext' not allowed", Refused, "not allowed"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", Refused, "no git repository"),
        ("remote: You are not allowed to push code\nfatal: ... returned error: 403", Refused, "no permission"),
        ("fatal: something nobody has seen", Unavailable, "something nobody has seen"),
        ("", Unavailable, "git gave no reason"),
    ],
)
def test_what_git_says_in_our_words(stderr: str, kind: type[Exception], words: str) -> None:
    """Who must act, and on what."""
    found = explain("git could not fetch", stderr, "SOURCE", Path("/m"))
    assert type(found) is kind
    assert words in str(found)


def test_where_the_refs_of_a_repository_are(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    for folder in (bare, tmp_path / "tree" / ".git"):
        (folder / "refs").mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/main\n")
    linked = tmp_path / "tree" / ".git" / "worktrees" / "linked"
    linked.mkdir(parents=True)
    (linked / "commondir").write_text("../..\n")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".git").write_text(f"gitdir: {linked}\n")

    assert git_folder(bare) == bare
    assert git_folder(tmp_path / "tree") == tmp_path / "tree" / ".git"
    assert git_folder(tmp_path / "linked") == tmp_path / "tree" / ".git"
    assert git_folder(tmp_path) is None
    assert git_folder(tmp_path / "nothing") is None
