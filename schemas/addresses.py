"""Networks, and the public keys that secrets are encrypted for, refused where they are written if they are none."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

from schemas import patterns

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _network(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("not a network; write an address, or a network as in 10.1.0.0/24") from None
    try:
        ip_network(text)
    except ValueError:
        raise ValueError(f"not a network but an address in one; did you mean {network}?") from None
    return text


def _recipient(text: str) -> str:
    if not is_recipient(text):
        raise ValueError("not an age recipient: the line that begins with age1, as 'age-keygen' prints it")
    return text


def is_recipient(text: str) -> bool:
    """Whether it is an age X25519 recipient: Bech32 (BIP 173) of 32 bytes, its checksum included."""
    if len(text) != 62 or not text.startswith("age1") or not set(text[4:]) <= set(_BECH32):
        return False
    digits = [_BECH32.index(character) for character in text[4:]]
    prefix = [ord(character) >> 5 for character in "age"] + [0] + [ord(character) & 31 for character in "age"]
    return _polymod([*prefix, *digits]) == 1


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum


Network = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(_network),
    WithJsonSchema({"type": "string", "maxLength": 64, "pattern": patterns.NETWORK}),
]
Recipient = Annotated[
    str,
    StringConstraints(max_length=100),
    AfterValidator(_recipient),
    WithJsonSchema({"type": "string", "pattern": f"^age1[{_BECH32}]{{58}}$"}),
]
