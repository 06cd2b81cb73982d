"""A document reaches nothing of a runner's host but its secret folder and its OPSCONDUCTOR_SECRET_* variables."""

import os
from pathlib import Path

import pytest

from runners.secrets import Opened, Sealed, Secrets
from schemas.credential import CredentialSpec

NAME = "OPSCONDUCTOR_SECRET_TOKEN"


def spec(type_: str = "password", **source: str) -> CredentialSpec:
    return CredentialSpec.model_validate({"type": type_, "username": "ann", "from": source})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "secrets"
    (inner / "sub").mkdir(parents=True)
    (inner / "sub" / "password").write_text("hunter2 \n")
    (tmp_path / "outside").write_text("not for you")
    return inner


def opened(folder: Path | None, credential: CredentialSpec, environ: dict[str, str] | None = None) -> Opened:
    return Secrets(folder, environ or {}).open("web", credential)


@pytest.mark.parametrize(
    ("type_", "field", "text"),
    [
        ("password", "password", "hunter2 "),
        ("token", "token", "hunter2 "),
        ("generic", "value", "hunter2 "),
        ("certificate", "certificate", "hunter2 "),
        ("ssh", "privateKey", "hunter2 \n"),
    ],
)
def test_what_a_file_holds_by_type(folder: Path, type_: str, field: str, text: str) -> None:
    """One trailing newline belongs to the file, not to the secret; a key is kept as it is."""
    found = opened(folder, spec(type_, file="sub/password"))
    assert found.get(field) == text
    assert found.get("username") == "ann"
    assert found.secrets == (text,)


def test_a_variable_is_read(folder: Path) -> None:
    assert opened(folder, spec(env=NAME), {NAME: "t0ken"}).get("password") == "t0ken"


def test_only_variables_with_our_prefix_are_read(folder: Path) -> None:
    from runners.secrets import env

    with pytest.raises(ValueError, match="OPSCONDUCTOR_SECRET_"):
        env.read({"HOME": "/root"}, "HOME")


@pytest.mark.parametrize(
    "name", ["../outside", "sub/../../outside", "/etc/passwd", "", ".", "sub", "missing", "sub/password/x", "a\0b"]
)
def test_nothing_else_can_be_named(folder: Path, name: str) -> None:
    with pytest.raises(Sealed, match="web"):
        opened(folder, spec(file=name))


def test_links_lead_within_the_folder_only(folder: Path) -> None:
    (folder / "in").symlink_to("sub/password")
    (folder / "out").symlink_to("../outside")
    (folder / "far").symlink_to("/etc/passwd")
    (folder / "away").symlink_to("..")
    (folder / "loop").symlink_to("loop")
    assert opened(folder, spec(file="in")).get("password") == "hunter2 "
    for name in ("out", "far", "away/outside", "loop"):
        with pytest.raises(Sealed):
            opened(folder, spec(file=name))


def test_only_regular_files_are_read(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    with pytest.raises(Sealed, match="not a regular file"):
        opened(folder, spec(file="fifo"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"x" * (64 * 1024 + 1), "larger than 64 KiB"),
        (b"\xff\xfe\x00s3cret", "not UTF-8"),
        (b"s3\x00cret", "NUL"),
        (b"abc\n", "too short"),
        (b"\n\n\n\n\n\n", "too short"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_without_being_quoted(folder: Path, data: bytes, why: str) -> None:
    (folder / "bad").write_bytes(data)
    with pytest.raises(Sealed, match=why) as caught:
        opened(folder, spec(file="bad"))
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None or "cret" not in str(caught.value.__cause__)


def test_without_a_folder_no_file_is_read() -> None:
    with pytest.raises(Sealed, match="--secret-dir"):
        opened(None, spec(file="password"))


def test_a_credential_of_other_pools_stays_closed(folder: Path) -> None:
    credential = CredentialSpec.model_validate({"type": "token", "pools": ["dmz"], "from": {"file": "sub/password"}})
    assert Secrets(folder, {}, lambda: frozenset({"dmz", "default"})).open("web", credential).get("token") == "hunter2 "
    with pytest.raises(Sealed, match="dmz"):
        Secrets(folder, {}, lambda: frozenset({"default"})).open("web", credential)


def test_neither_the_opener_nor_what_it_opened_shows_a_secret(folder: Path) -> None:
    secrets = Secrets(folder, {NAME: "t0ken-canary"})
    shown = repr(secrets) + repr(secrets.open("web", spec(env=NAME)))
    assert "canary" not in shown


def test_a_field_that_the_type_has_not_is_refused(folder: Path) -> None:
    with pytest.raises(Sealed, match="has no token"):
        opened(folder, spec(file="sub/password")).get("token")
