"""Secrets from programs that the owner of the host allows, and from what systemd hands to a service."""

import os
from pathlib import Path

import pytest

from opsconductor.exits import UsageError
from opsconductor.settings import secret_host
from runners.secrets import Sealed, Secrets, command
from runners.secrets.sources import Host, VaultServer
from schemas.credential import CredentialSpec

SECRET = "correct horse"
PROGRAM = """#!/bin/sh
case "$1" in
  show) echo "correct horse"; echo "correct horse is the secret" >&2 ;;
  fail) echo "correct horse"; exit 3 ;;
  die) kill -9 $$ ;;
  flood) head -c 70000 /dev/zero | tr '\\0' x; exec sleep 600 ;;
  hang) echo $$ > "$2"; exec sleep 600 ;;
  env) env | sed 's/=.*//' | sort | tr '\\n' ' '; pwd; cat ;;
  raw) printf '\\377\\376\\000\\001\\377' ;;
esac
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "store"
    file.write_text(PROGRAM)
    file.chmod(0o755)
    return file


def read(*words: str, host: Host, restricted: bool = False) -> str:
    spec = CredentialSpec.model_validate({"type": "generic", "from": {"command": list(words)}})
    return Secrets(None, {}, restricted=restricted, host=host).open("db", spec).get("value")


def test_an_allowed_program_gives_what_it_prints(program: Path) -> None:
    host = Host(programs=(program,), environ={"PATH": os.environ["PATH"]})
    assert read(str(program), "show", host=host) == read("store", "show", host=host) == SECRET


def test_it_has_nothing_of_the_engine(program: Path) -> None:
    host = secret_host({**os.environ, "OPSCONDUCTOR_PROGRAMS": str(program), "OPSCONDUCTOR_SECRET_X": SECRET, "K": "v"})
    found = read("store", "env", host=host).split()
    assert found[-1] == "/"
    assert not [name for name in found if name.startswith("OPSCONDUCTOR") or name == "K"]
    assert "PATH" in found


@pytest.mark.parametrize("name", ["/bin/sh", "sh", "../store", "./store", "stor", "store/../store", ""])
def test_no_other_program_is_started(program: Path, name: str) -> None:
    with pytest.raises(Sealed, match="none of the programs"):
        read(name, "show", host=Host(programs=(program,)))


def test_none_is_started_unless_the_owner_allows_it(program: Path) -> None:
    with pytest.raises(Sealed, match="OPSCONDUCTOR_PROGRAMS"):
        read(str(program), "show", host=Host())
    with pytest.raises(Sealed, match="restricted"):
        read(str(program), "show", host=Host(programs=(program,)), restricted=True)


@pytest.mark.parametrize(
    ("word", "why"),
    [("fail", "exit code 3"), ("die", "signal 9"), ("flood", "more than 64 KiB"), ("raw", "not UTF-8")],
)
def test_what_goes_wrong_is_said_without_what_was_printed(program: Path, word: str, why: str) -> None:
    with pytest.raises(Sealed, match=why) as refused:
        read("store", word, host=Host(programs=(program,), environ={"PATH": os.environ["PATH"]}))
    assert SECRET not in repr(refused.value) + repr(refused.value.__cause__)


def test_one_that_hangs_is_ended(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LONGEST", 1.0)
    pid = tmp_path / "pid"
    with pytest.raises(Sealed, match="did not end within 1 s"):
        read("store", "hang", str(pid), host=Host(programs=(program,), environ={"PATH": os.environ["PATH"]}))
    assert not Path("/proc", pid.read_text().strip()).exists()


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Sealed, match="No such file"):
        read("none", host=Host(programs=(tmp_path / "none",)))


def test_what_systemd_hands_over_is_a_second_folder(tmp_path: Path) -> None:
    """The secret folder goes first; neither is left."""
    system, folder = tmp_path / "system", tmp_path / "folder"
    for where, names in ((system, "one two"), (folder, "two three")):
        where.mkdir()
        for name in names.split():
            (where / name).write_text(f"{name} of {where.name}")
    (tmp_path / "outside").write_text("not to be read")
    host = secret_host({"CREDENTIALS_DIRECTORY": str(system)})

    def file(name: str, secrets: Path | None = folder) -> str:
        spec = CredentialSpec.model_validate({"type": "generic", "from": {"file": name}})
        return Secrets(secrets, {}, host=host, restricted=True).open("db", spec).get("value")

    assert [file(name) for name in ("one", "two", "three")] == ["one of system", "two of folder", "three of folder"]
    assert file("one", None) == "one of system"
    for name in ("../outside", "../folder/three", "four"):
        with pytest.raises(Sealed):
            file(name, None)
        with pytest.raises(Sealed):
            file(name)


def test_the_vault_is_asked_over_https_or_on_this_machine(tmp_path: Path) -> None:
    given = {
        "OPSCONDUCTOR_VAULT_TOKEN": "/run/token",
        "OPSCONDUCTOR_VAULT_CA": "",
        "OPSCONDUCTOR_VAULT_NAMESPACE": "ops",
    }
    assert secret_host({**given, "OPSCONDUCTOR_VAULT_URL": "https://vault.example:8200/"}).vault == VaultServer(
        "https://vault.example:8200", Path("/run/token"), None, "ops"
    )
    assert secret_host({**given, "OPSCONDUCTOR_VAULT_URL": "http://127.0.0.1:8200"}).vault is not None
    assert secret_host(given).vault is None
    for url in ("http://vault.example:8200", "vault.example", "ftp://127.0.0.1", "http://127.0.0.1.evil.example"):
        with pytest.raises(UsageError, match="https"):
            secret_host({**given, "OPSCONDUCTOR_VAULT_URL": url})
    with pytest.raises(UsageError, match="OPSCONDUCTOR_VAULT_TOKEN"):
        secret_host({"OPSCONDUCTOR_VAULT_URL": "https://vault.example"})
    with pytest.raises(UsageError, match="absolute"):
        secret_host({"OPSCONDUCTOR_PROGRAMS": "pass"})
