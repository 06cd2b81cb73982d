"""The connection `rdp`: tested only. A host is asked how it would take a login, and none is tried.

The first two messages of MS-RDPBCGR 1.3.1.1, connection request and confirm, in the clear as the protocol has it:
nothing of ours is in them, and nothing is trusted that comes back.
"""

import asyncio
import struct
from typing import NoReturn

from runners.connections import Answered, NotSent, Probe, Refused, Site, Stop, Unusable
from runners.connections.ways import Settings
from runners.limits import Capture

_TLS, _NLA, _NLA_EARLY = 1, 2, 8
_REQUEST, _RESPONSE, _FAILURE = 1, 2, 3
_CONFIRM = 0xD0
_LONGEST = 512
"""Bytes of a confirm, which has 19."""
_WAYS = {
    0: "its old encryption, which is weak; set it to ask for network level authentication",
    _TLS: "TLS, without network level authentication",
    _NLA: "network level authentication over TLS",
    _NLA_EARLY: "network level authentication over TLS",
}
_NO = {
    1: "it wants TLS, and says that this was not offered",
    2: "it is set to its old encryption only",
    3: "it has no certificate for TLS",
    4: "its flags do not fit together",
    5: "it wants network level authentication, and says that this was not offered",
    6: "it wants TLS with a certificate of the user",
}


class OverRdp:
    """See Connection."""

    def __init__(self, settings: Settings) -> None:
        self._limits = settings.limits

    def open(self, site: Site, capture: Capture, stop: Stop, *, mark: str) -> NoReturn:
        raise Unusable(f"nothing runs over rdp: it is tested only. Give Target {site.name} a connection winrm or ssh")

    async def probe(self, site: Site) -> Probe:
        target = site.target
        if target is None or target.connections.rdp is None or target.host is None:
            raise Unusable(f"{f'Target {target.name}' if target else 'the runner'} has no connection 'rdp'")
        where = f"{target.host}:{target.connections.rdp.port}"
        try:
            async with asyncio.timeout(self._limits.connect):
                reader, writer = await asyncio.open_connection(target.host, target.connections.rdp.port, limit=4096)
        except TimeoutError:
            return NotSent(f"{where} did not answer within the time limit")
        except OSError as error:
            return NotSent(f"cannot connect to {where}: {error.strerror or error}")
        try:
            async with asyncio.timeout(self._limits.login):
                writer.write(request())
                return said(await _answer(reader), where)
        except TimeoutError:
            return NotSent(f"{where} took the connection and did not answer within the time limit")
        except (OSError, asyncio.IncompleteReadError):
            return NotSent(f"{where} ended the connection when it was asked for RDP")
        finally:
            writer.transport.abort()

    async def close(self) -> None:
        """Nothing is kept."""


def request() -> bytes:
    """A connection request that offers TLS and network level authentication."""
    offer = struct.pack("<BBHI", _REQUEST, 0, 8, _TLS | _NLA | _NLA_EARLY)
    head = struct.pack(">BBHHB", 6 + len(offer), 0xE0, 0, 0, 0)
    return struct.pack(">BBH", 3, 0, 4 + len(head) + len(offer)) + head + offer


def said(answer: bytes | None, where: str) -> Probe:
    """What a host's answer means: the message without its first four bytes, None for what is no such message."""
    if answer is None or len(answer) < 7 or answer[1] & 0xF0 != _CONFIRM:
        return Refused(f"what is at {where} does not speak RDP")
    if len(answer) < 15:
        return Answered(f"RDP by {_WAYS[0]}")
    kind, _, _, value = struct.unpack("<BBHI", answer[7:15])
    if kind == _RESPONSE and value in _WAYS:
        return Answered(f"RDP by {_WAYS[value]}")
    if kind == _FAILURE:
        return Refused(f"{where} speaks RDP and refuses: {_NO.get(value, f'failure {value}')}")
    return Refused(f"{where} answers by what RDP does not have")


async def _answer(reader: asyncio.StreamReader) -> bytes | None:
    version, _, length = struct.unpack(">BBH", await reader.readexactly(4))
    if version != 3 or not 4 < length <= _LONGEST:
        return None
    return await reader.readexactly(length - 4)
