"""Message encryption of WinRM over http (MS-WSMV 2.2.9.1): each SOAP message sealed by the keys of the login.

What is opened is checked to the last byte: nothing that is not sealed by the host itself is ever taken for its answer.
"""

import re
import struct
from typing import Protocol

from runners.connections.winrm.errors import Garbled

SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
KERBEROS = "application/HTTP-Kerberos-session-encrypted"
_BOUNDARY = b"--Encrypted Boundary"
_HEAD = re.compile(
    rb"--\s?Encrypted Boundary\r\n"
    rb"[ \t]*Content-Type: (application/HTTP-[A-Za-z]+-session-encrypted)\r\n"
    rb"[ \t]*OriginalContent: type=[^\r\n]{1,100};Length=([0-9]{1,9})\r\n"
    rb"--\s?Encrypted Boundary\r\n"
    rb"[ \t]*Content-Type: application/octet-stream\r\n",
    re.IGNORECASE,
)
_END = re.compile(rb"--\s?Encrypted Boundary--(?:\r\n)?$")


class Sealer(Protocol):
    """What is needed of a login's context."""

    def wrap_winrm(self, data: bytes) -> tuple[bytes, bytes, int]: ...
    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes: ...


def content_type(protocol: str) -> str:
    return f'multipart/encrypted;protocol="{protocol}";boundary="Encrypted Boundary"'


def seal(context: Sealer, message: bytes, protocol: str) -> bytes:
    """The body of the request that carries `message`."""
    signature, sealed, padding = context.wrap_winrm(message)
    head = (
        f"--Encrypted Boundary\r\n\tContent-Type: {protocol}\r\n"
        f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={len(message) + padding}\r\n"
        "--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
    )
    return head.encode() + struct.pack("<i", len(signature)) + signature + sealed + _BOUNDARY + b"--\r\n"


def unseal(context: Sealer, body: bytes) -> bytes:
    """The message in an answer's body. Raises Garbled where it was not sealed by the host for this login."""
    head, end = _HEAD.match(body), _END.search(body, max(0, len(body) - 64))
    if head is None or end is None or end.start() < head.end() + 4:
        raise Garbled("an answer that is not encrypted as it must be")
    data = body[head.end() : end.start()]
    (length,) = struct.unpack("<i", data[:4])
    if not 0 < length <= 1024 or length > len(data) - 4:
        raise Garbled("an encrypted answer of the wrong form")
    try:
        opened = context.unwrap_winrm(data[4 : 4 + length], data[4 + length :])
    except Exception as error:  # whatever the login's library says of a forged message
        raise Garbled(f"an answer whose signature is not the host's ({type(error).__name__})") from error
    if len(opened) != int(head[2]):
        raise Garbled("an encrypted answer of the wrong length")
    return opened
