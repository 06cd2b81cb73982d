"""Keys with a passphrase or a certificate, and questions on the keyboard, on real OpenSSH servers."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio

from runners.connections.login import SshLimits, SshPlace, Unreached, Unusable
from runners.sessions import SshConnections
from tests import openssh as servers
from tests.integration.test_runner_ssh import place_of
from tests.openssh import OpenSsh, openssh

__all__ = ["openssh"]

PASSPHRASE = "Pferd 'Batterie' é"
PASSWORD = "korrekt-Pferd-Batterie"


@pytest_asyncio.fixture
async def connections() -> AsyncIterator[SshConnections]:
    made = SshConnections(SshLimits())
    yield made
    await made.close()


async def says(connections: SshConnections, place: SshPlace) -> str:
    """Who one is there. Raises Unreached or Unusable."""
    async with connections.lease(place) as (connection, _):
        return str((await connection.run("id -un")).stdout).strip()


def locked(key: str) -> str:
    return asyncssh.import_private_key(key).export_private_key("pkcs8-pem", passphrase=PASSPHRASE).decode()


async def test_a_key_is_opened_by_its_passphrase(openssh: OpenSsh, connections: SshConnections) -> None:
    place = replace(place_of(openssh), private_key=locked(openssh.private_key), passphrase=PASSPHRASE)
    assert await says(connections, place) == openssh.user
    assert PASSPHRASE not in repr(place)


@pytest.mark.parametrize(
    ("passphrase", "why"),
    [(None, "has a passphrase, and the credential has none"), ("another one", "that its passphrase opens")],
)
async def test_a_key_that_stays_closed_is_told_before_anything_is_sent(
    openssh: OpenSsh, connections: SshConnections, passphrase: str | None, why: str
) -> None:
    place = replace(place_of(openssh), private_key=locked(openssh.private_key), passphrase=passphrase)
    with pytest.raises(Unusable, match=why):
        await says(connections, place)


@pytest.fixture
def by_certificate(tmp_path: Path) -> Iterator[tuple[OpenSsh, Path]]:
    """A server that takes whom its authority signed, and nobody else; the folder of the authority."""
    for name in ("authority", "user"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(tmp_path / name)]
        subprocess.run(make, check=True, capture_output=True)
    server = servers.start(tmp_path / "sshd", options=f"TrustedUserCAKeys {tmp_path}/authority.pub")
    yield server, tmp_path
    server.stop()


def signed(folder: Path, *how: str) -> str:
    sign = ["ssh-keygen", "-q", "-s", str(folder / "authority"), "-I", "user", *how, str(folder / "user.pub")]
    subprocess.run(sign, check=True, capture_output=True)
    return (folder / "user-cert.pub").read_text()


async def test_a_certificate_logs_in(by_certificate: tuple[OpenSsh, Path], connections: SshConnections) -> None:
    server, folder = by_certificate
    bare = replace(place_of(server), private_key=(folder / "user").read_text())
    with pytest.raises(Unreached, match="refused the login"):
        await says(connections, bare)
    assert await says(connections, replace(bare, certificate=signed(folder, "-n", server.user))) == server.user


async def test_a_certificate_that_has_expired_does_not(
    by_certificate: tuple[OpenSsh, Path], connections: SshConnections
) -> None:
    server, folder = by_certificate
    given = signed(folder, "-n", server.user, "-V", "20200101:20200102")
    with pytest.raises(Unreached, match="refused the login"):
        await says(connections, replace(place_of(server), private_key=(folder / "user").read_text(), certificate=given))


async def test_what_is_no_certificate_is_told(openssh: OpenSsh, connections: SshConnections) -> None:
    with pytest.raises(Unusable, match="does not hold an OpenSSH certificate"):
        await says(connections, replace(place_of(openssh), certificate="ssh-ed25519 nonsense"))


async def test_a_password_is_given_to_a_question_on_the_keyboard(tmp_path: Path, connections: SshConnections) -> None:
    """As PAM asks for it, where the server takes no other password."""
    added = "useradd --no-create-home --home-dir / --shell /bin/sh opsrunner; chpasswd"
    with servers.in_its_own_etc(tmp_path, added, f"opsrunner:{PASSWORD}\n"):
        options = "Match User opsrunner\nKbdInteractiveAuthentication yes\nAuthenticationMethods keyboard-interactive"
        server = servers.start(tmp_path / "sshd", options=options, pam=True)
        try:
            place = replace(place_of(server), user="opsrunner", private_key=None, password=PASSWORD)
            assert await says(connections, place) == "opsrunner"
            with pytest.raises(Unreached, match="refused the login of 'opsrunner' with the password"):
                await says(connections, replace(place, password="another one"))
        finally:
            server.stop()
