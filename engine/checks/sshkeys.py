"""Public keys as OpenSSH writes them: whether their structure is sound. Whether a key is any good is not looked at."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence

_Sound = Callable[[Sequence[bytes]], bool]
_LEAST_BITS = 1024
"""Of a modulus. A shorter one is no key that anything takes."""


def host_key_problem(text: str) -> str | None:
    """Why a text is no host key; None where its structure is sound."""
    words = text.split()
    if words and words[0].startswith("@"):
        if words[0] != "@cert-authority":
            return f"'{words[0][:40]}' is not a mark that is known"
        words = words[1:]
    return _problem(words, "host key")


def public_key_problem(text: str) -> str | None:
    """Why a text is no public key of a person; None where its structure is sound."""
    return _problem(text.split(), "public key")


def _problem(words: list[str], what: str) -> str | None:
    if not words:
        return f"an empty {what}"
    if words[0] not in _SOUND:
        if len(words) > 1 and words[1] in _SOUND:
            before = "a host name" if what == "host key" else "an option"
            return f"'{words[0][:80]}' before the key is {before}, which does not belong here"
        return f"'{words[0][:80]}' is not a type of {what}"
    if len(words) < 2:
        return f"a type of {what} without the key"
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        return f"the {what} is not base64"
    fields = _fields(blob)
    if not fields:
        return f"the {what} is cut off or damaged"
    if fields[0] != words[0].encode():
        return f"the {what} is not of the type {words[0]} it says"
    if not _SOUND[words[0]](fields[1:]):
        return f"the {what} is cut off or damaged"
    return None


def _fields(blob: bytes) -> list[bytes] | None:
    """The length-prefixed strings that make up a key (RFC 4251 5)."""
    fields: list[bytes] = []
    place = 0
    while place < len(blob):
        length = int.from_bytes(blob[place : place + 4], "big")
        if len(blob) < place + 4 + length:
            return None
        fields.append(blob[place + 4 : place + 4 + length])
        place += 4 + length
    return fields


def _rsa(fields: Sequence[bytes]) -> bool:
    """Exponent and modulus, both positive (RFC 4253 6.6)."""
    numbers = [int.from_bytes(field, "big", signed=True) for field in fields]
    return len(numbers) == 2 and numbers[0] >= 3 and numbers[1] > 0 and numbers[1].bit_length() >= _LEAST_BITS


def _edwards(fields: Sequence[bytes]) -> bool:
    """A point of 32 bytes (RFC 8709 4)."""
    return [len(field) for field in fields] == [32]


def _on(curve: str, size: int) -> _Sound:
    """The name of the curve, which the type names as well, and a point on it with both coordinates (RFC 5656 3.1)."""

    def sound(fields: Sequence[bytes]) -> bool:
        named = len(fields) == 2 and fields[0] == curve.encode()
        return named and len(fields[1]) == 2 * size + 1 and fields[1][0] == 4

    return sound


def _for_an_application(key: _Sound) -> _Sound:
    """Of a hardware token: the key, and what it is for (OpenSSH, PROTOCOL.u2f)."""
    return lambda fields: len(fields) > 1 and fields[-1] != b"" and key(fields[:-1])


_SOUND: Mapping[str, _Sound] = {
    "ssh-ed25519": _edwards,
    "ssh-rsa": _rsa,
    "ecdsa-sha2-nistp256": _on("nistp256", 32),
    "ecdsa-sha2-nistp384": _on("nistp384", 48),
    "ecdsa-sha2-nistp521": _on("nistp521", 66),
    "sk-ssh-ed25519@openssh.com": _for_an_application(_edwards),
    "sk-ecdsa-sha2-nistp256@openssh.com": _for_an_application(_on("nistp256", 32)),
}
"""By type, whether the fields after its name are those of a key."""
