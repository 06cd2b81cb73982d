"""Keys with a passphrase or a certificate, and questions on the keyboard, on real OpenSSH servers."""

import asyncio
import binascii
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio

from runners.connections import Limits, Unreached, Unusable
from runners.connections.login import SshPlace
from runners.sessions import SshConnections
from tests import openssh as servers
from tests.integration.test_runner_ssh import place_of
from tests.openssh import OpenSsh, openssh

__all__ = ["openssh"]

PASSPHRASE = "Pferd 'Batterie' é"
PASSWORD = "korrekt-Pferd-Batterie"


@pytest_asyncio.fixture
async def connections() -> AsyncIterator[SshConnections]:
    made = SshConnections(Limits())
    yield made
    await made.close()


async def says(connections: SshConnections, place: SshPlace) -> str:
    """Who one is there. Raises Unreached or Unusable."""
    async with connections.lease(place) as (connection, _):
        return str((await connection.run("id -un")).stdout).strip()


def locked(key: str, rounds: int = 50) -> str:
    """The key as ssh-keygen writes it."""
    opened = asyncssh.import_private_key(key)
    return opened.export_private_key("openssh", passphrase=PASSPHRASE, rounds=rounds).decode()


def in_pem(key: str) -> str:
    return asyncssh.import_private_key(key).export_private_key("pkcs8-pem", passphrase=PASSPHRASE).decode()


@pytest.mark.parametrize("form", [locked, in_pem])
async def test_a_key_is_opened_by_its_passphrase(
    openssh: OpenSsh, connections: SshConnections, form: Callable[[str], str]
) -> None:
    place = replace(place_of(openssh), private_key=form(openssh.private_key), passphrase=PASSPHRASE)
    assert await says(connections, place) == openssh.user
    assert PASSPHRASE not in repr(place)


async def test_a_key_that_ssh_keygen_encrypted(openssh: OpenSsh, connections: SshConnections, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(openssh.private_key)
    file.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", PASSPHRASE, "-f", file], check=True, timeout=30)
    place = replace(place_of(openssh), private_key=file.read_text(), passphrase=PASSPHRASE)
    assert await says(connections, place) == openssh.user


async def test_a_key_that_would_take_for_ever_to_open_is_refused(openssh: OpenSsh, connections: SshConnections) -> None:
    key = locked(openssh.private_key, rounds=77)
    body = binascii.a2b_base64("".join(key.splitlines()[1:-1]))
    slow = body.replace((77).to_bytes(4, "big"), (2**31).to_bytes(4, "big"))
    text = "\n".join([key.splitlines()[0], binascii.b2a_base64(slow).decode().strip(), key.splitlines()[-1]])
    with pytest.raises(Unusable, match=r"2,147,483,648 rounds .* more than 1,000; write it anew"):
        await says(connections, replace(place_of(openssh), private_key=text, passphrase=PASSPHRASE))


async def test_a_certificate_of_another_key_is_told(openssh: OpenSsh, connections: SshConnections) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    other = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_user_certificate(other, "x").export_certificate().decode()
    with pytest.raises(Unusable, match="that can be read and is its key's"):
        await says(connections, replace(place_of(openssh), certificate=certificate))


async def test_a_connection_is_not_used_for_ever(openssh: OpenSsh) -> None:
    place = place_of(openssh)
    connections = SshConnections(Limits(total=0.5))
    try:
        async with connections.lease(place) as (first, _):
            pass
        async with connections.lease(place) as (again, warm):
            assert (warm, again) == (True, first)
            await asyncio.sleep(0.6)  # a lifetime has no event
        await asyncio.wait_for(first.wait_closed(), 10)
        async with connections.lease(place) as (_, warm):
            assert not warm
    finally:
        await connections.close()


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
