"""The source `vault`, against a real OpenBao."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opsconductor.plugins.contract import SecretContract
from runners.secrets import Sealed, Secrets
from runners.secrets.sources import Host, Settings, VaultServer
from runners.secrets.vault import Vault
from schemas.credential import CredentialSpec
from tests.openbao import OpenBao, started

SECRET = "correct horse battery"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with started(tmp_path_factory.mktemp("bao")) as server:
        server.write("secret/data/web", {"data": {"password": SECRET, "username": "ann"}})
        server.write("secret/data/team/token", {"data": {"token": SECRET}})
        server.write("secret/data/odd", {"data": {"value": {"a": 1}, "number": 3}})
        server.write("secret/data/hidden", {"data": {"value": SECRET}})
        server.write("sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
        server.write("old/web", {"value": SECRET})
        yield server


@pytest.fixture
def host(bao: OpenBao, tmp_path: Path) -> Host:
    (tmp_path / "token").write_text(
        bao.token("secret/data/web", "secret/data/team/*", "secret/data/odd", "old/*") + "\n"
    )
    return Host(vault=VaultServer(bao.url, tmp_path / "token"))


class TestVault(SecretContract):
    name = "vault"

    @pytest.fixture(autouse=True)
    def _served(self, host: Host) -> None:
        self.host = host

    def settings(self) -> Settings:
        return Settings(None, {}, host=self.host)

    def known(self) -> tuple[Any, str]:
        return {"path": "secret/data/web", "field": "password"}, SECRET

    def unknown(self) -> tuple[Any, ...]:
        paths = (
            "secret/data/none",
            "secret/data/hidden",
            "secret/web",
            "nowhere/x",
            "sys/mounts",
            "auth/token/lookup-self",
        )
        odd = (
            "secret/data/../data/web",
            "/secret/data/web",
            "secret/data/web?version=1",
            "secret",
            "",
            "a//b",
            "secret/data/odd",
        )
        return (*({"path": path} for path in (*paths, *odd)), {"path": "secret/data/web", "field": "none"})


def opened(host: Host, kind: str, **vault: str) -> dict[str, str]:
    spec = CredentialSpec.model_validate({"type": kind, "from": {"vault": vault}})
    found = Secrets(None, {}, host=host).open("web", spec)
    return {**found.fields, **({"username": found.username} if found.username else {})}


def test_all_fields_of_a_secret_or_one(host: Host) -> None:
    assert opened(host, "password", path="secret/data/web") == {"password": SECRET, "username": "ann"}
    assert opened(host, "token", path="secret/data/web", field="password") == {"token": SECRET}
    assert opened(host, "token", path="secret/data/team/token") == {"token": SECRET}
    assert opened(host, "generic", path="old/web") == {"value": SECRET}
    with pytest.raises(Sealed, match="has no password"):
        opened(host, "token", path="secret/data/web")


def test_a_new_token_and_a_new_secret_are_read_without_a_restart(bao: OpenBao, host: Host) -> None:
    assert host.vault is not None
    good = host.vault.token.read_text()
    host.vault.token.write_text("no token of it")
    with pytest.raises(Sealed, match="its token has ended, or may not read it"):
        opened(host, "password", path="secret/data/web")
    host.vault.token.write_text(good)
    bao.write("secret/data/team/token", {"data": {"token": "another one"}})
    assert opened(host, "token", path="secret/data/team/token") == {"token": "another one"}
    bao.write("secret/data/team/token", {"data": {"token": SECRET}})


@pytest.mark.parametrize(("path", "field"), [("secret/data/hidden", None), ("secret/data/odd", None)])
def test_what_is_refused_names_no_secret(host: Host, path: str, field: str | None) -> None:
    with pytest.raises(ValueError, match=path) as refused:
        Vault(Settings(None, {}, host=host)).read({"path": path, "field": field})
    assert host.vault is not None
    assert host.vault.token.read_text().strip() not in repr(refused.value) + repr(refused.value.__context__)


def test_without_a_server_it_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(Sealed, match="OPSCONDUCTOR_VAULT_URL"):
        opened(Host(), "token", path="secret/data/web")
    (tmp_path / "token").write_text("x")
    with pytest.raises(Sealed, match="does not answer"):
        opened(Host(vault=VaultServer("http://127.0.0.1:1", tmp_path / "token")), "token", path="secret/data/web")
    with pytest.raises(Sealed, match="No such file"):
        opened(Host(vault=VaultServer("http://127.0.0.1:1", tmp_path / "none")), "token", path="secret/data/web")
