"""The key that logs in: opened by its passphrase, with its certificate beside it."""

import asyncio
import binascii
from functools import lru_cache

import asyncssh
from asyncssh.packet import PacketDecodeError, SSHPacket

MOST_ROUNDS = 1_000
"""Rounds of bcrypt that a key's file may ask for: about ten seconds. ssh-keygen takes 24 unless told otherwise."""

_BEGIN, _END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"


class Unopened(Exception):  # noqa: N818 - named after what it means
    """The credential's key cannot be used. The message is for people, and holds nothing of the key."""


async def client_keys(
    key: str | None, passphrase: str | None, certificate: str | None
) -> list[asyncssh.SSHKeyPair] | None:
    """The key pairs to log in with; None where the credential has no key. Raises Unopened.

    A passphrase is slow to try by design, so that happens beside the event loop, and once a key.
    """
    if not key:
        return None
    opened = _opened(key, None) if passphrase is None else await asyncio.to_thread(_opened, key, passphrase)
    if certificate is None:
        return list(asyncssh.load_keypairs([opened]))
    try:
        return list(asyncssh.load_keypairs([(opened, asyncssh.import_certificate(certificate))]))
    except (asyncssh.KeyImportError, ValueError) as error:
        raise Unopened(
            "the credential does not hold an OpenSSH certificate that can be read and is its key's"
        ) from error


@lru_cache(maxsize=256)
def _opened(text: str, passphrase: str | None) -> asyncssh.SSHKey:
    if (rounds := _rounds(text)) > MOST_ROUNDS:
        raise Unopened(
            f"the private key asks for {rounds:,} rounds to try its passphrase, more than {MOST_ROUNDS:,}; write it "
            "anew: ssh-keygen -p -a 100 -f KEY"
        )
    try:
        return asyncssh.import_private_key(text, passphrase)
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError, ValueError) as error:
        raise Unopened(_why(str(error).lower(), passphrase)) from error


def _why(error: str, passphrase: str | None) -> str:
    if passphrase is not None:
        return "the credential does not hold a private key that its passphrase opens"
    if "passphrase" in error:
        return "the private key has a passphrase, and the credential has none"
    return "the credential does not hold a private key that can be read"


def _rounds(text: str) -> int:
    """How often the file of a key wants bcrypt repeated; 0 where it wants none, or is in another form."""
    _, begun, rest = text.partition(_BEGIN)
    body, ended, _ = rest.partition(_END)
    try:
        data = binascii.a2b_base64(body)
        if not begun or not ended or not data.startswith(_MAGIC):
            return 0
        packet = SSHPacket(data[len(_MAGIC) :])
        packet.get_string()  # the cipher
        if packet.get_string() != b"bcrypt":
            return 0
        options = SSHPacket(packet.get_string())
        options.get_string()  # the salt
        return options.get_uint32()
    except (binascii.Error, PacketDecodeError):
        return 0  # asyncssh says what is wrong with it
