"""What a source may be, and what git inherits and says."""

import traceback
from pathlib import Path

import pytest

from journal.errors import Refused, Unavailable
from reconciler.repository.gitprogram import Broken, Locked, RefMissing, environment_for_git, explain
from reconciler.repository.source import Login, git_folder, parse, redacted


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
        ("https://t0ken@host/ops.git", "https://host/ops.git"),
        ("HTTPS://t0ken@host/ops.git", "https://host/ops.git"),
        ("http://127.0.0.1:3000/ops.git", "http://127.0.0.1:3000/ops.git"),
        ("http://t0ken@[::1]:3000/ops.git", "http://[::1]:3000/ops.git"),
    ],
)
def test_addresses_that_are_taken(text: str, address: str) -> None:
    """What is given to git holds no login."""
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
    ("text", "login", "shown"),
    [
        ("https://t0ken@host/ops.git", Login("t0ken"), "https://***@host/ops.git"),
        ("https://t0ken:@host/ops.git", Login("t0ken", ""), "https://***@host/ops.git"),
        ("https://t0ken:x-oauth-basic@host/o", Login("t0ken", "x-oauth-basic"), "https://***@host/o"),
        ("https://:t0ken@host/ops.git", Login("", "t0ken"), "https://:***@host/ops.git"),
        ("https://oauth2:t0ken@host/ops.git", Login("oauth2", "t0ken"), "https://oauth2:***@host/ops.git"),
        ("https://@host/ops.git", None, "https://host/ops.git"),
        ("ssh://git@host/ops.git", None, "ssh://git@host/ops.git"),
    ],
)
def test_a_login_is_handed_over_apart_and_never_shown(text: str, login: Login | None, shown: str) -> None:
    """A user alone is how forges take a token, so it is as secret as a password."""
    source = parse(text)
    assert (source.login, source.shown) == (login, shown)
    assert "t0ken" not in repr(source)


@pytest.mark.parametrize("text", ["ssh://ops:t0ken@host/ops.git", "ops:t0ken@host:ops.git"])
def test_a_password_for_ssh_is_refused(text: str) -> None:
    """ssh does not use it, and git would put it into an argument list."""
    with pytest.raises(Refused, match=r"ssh takes no password from an address.*leave it out.*public key") as caught:
        parse(text)
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://ops:t0ken@/x",
        "https://t0ken@-host/x",
        "https://ops:t0ken/more@host/x",
        "https://t0ken@[host/x",
        "https://t0ken%0Ahost=evil@host/x",
        "ftp://ops:t0ken@host/x",
        "file://ops:t0ken@host/x",
        "-https://t0ken@host/x",
        "https://t0ken@host/x\n",
        "ext::https://t0ken@host/x",
        "http://t0ken@host/x",
    ],
)
def test_a_refusal_shows_no_login(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(text)
    assert "t0ken" not in "".join(traceback.format_exception(caught.value))


def test_logins_are_taken_out_of_any_text() -> None:
    said = "fatal: https://t0ken@h/x and https://u:t0ken@h: 'ssh://git:t0ken@h/x' at ssh://git@h/a@b, mail a@h"
    assert redacted(said) == ("fatal: https://***@h/x and https://***@h: 'ssh://git@h/x' at ssh://git@h/a@b, mail a@h")


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
        "file:///srv/%00",
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


def test_a_user_alone_is_handed_to_git_by_its_environment() -> None:
    """Git then asks the operator's helpers for this user's password."""
    found = environment_for_git({"GIT_CONFIG_COUNT": "7"}, Login("t0ken"))
    assert {name: value for name, value in found.items() if name.startswith(("GIT_CONFIG", "OC_"))} == {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "credential.username",
        "GIT_CONFIG_VALUE_0": "t0ken",
        "OC_GIT_USER": "t0ken",
        "OC_GIT_PASSWORD": "",
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
