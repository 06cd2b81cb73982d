"""The test of `rdp`: what a host answers to the first message of the protocol, and what is said of it."""

import asyncio
from pathlib import Path

import pytest

from engine.runs.pinned import PinnedTarget
from runners.connections import Answered, Limits, NotSent, Probe, Refused, Site, Stop, Unusable
from runners.connections.local import Guardian, LocalHost, LocalSettings
from runners.connections.overrdp import OverRdp
from runners.connections.ways import Settings
from runners.limits import Capture
from runners.masking import Masker
from schemas.target import Connections, RdpConnection
from tests.rdphost import confirmed, serving


def site(port: int) -> Site:
    connections = Connections(rdp=RdpConnection(port=port))
    return Site(PinnedTarget("win-01", "127.0.0.1", "windows", connections=connections), lambda name: pytest.fail(name))


def over_rdp(folder: Path, **limits: float) -> OverRdp:
    return OverRdp(Settings(Limits(**limits), LocalHost(LocalSettings(), Guardian(folder / "lock"))))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (confirmed(2, 2), Answered("RDP by network level authentication over TLS")),
        (confirmed(2, 8), Answered("RDP by network level authentication over TLS")),
        (confirmed(2, 1), Answered("RDP by TLS, without network level authentication")),
        (confirmed(3, 3), Refused("it has no certificate for TLS")),
        (confirmed(3, 99), Refused("failure 99")),
        (confirmed(7, 1), Refused("RDP does not have")),
        (bytes.fromhex("03 00 00 0b 06 d0 00 00 12 34 00"), Answered("RDP by its old encryption")),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Refused("does not speak RDP")),
        (bytes.fromhex("03 00 ff ff") + b"x" * 600, Refused("does not speak RDP")),
        (bytes.fromhex("03 00 00 07 02 f0 80"), Refused("does not speak RDP")),
        (None, NotSent("ended the connection")),
    ],
)
async def test_what_a_host_answers(tmp_path: Path, answer: bytes | None, expected: Probe) -> None:
    asked: list[bytes] = []

    def answers(message: bytes) -> bytes | None:
        asked.append(message)
        return answer

    with serving(answers) as port:
        found = await over_rdp(tmp_path).probe(site(port))

    assert type(found) is type(expected)
    text = expected.said if isinstance(expected, Answered) else expected.error
    assert text in (found.said if isinstance(found, Answered) else found.error)
    # length, connection request, three fields; then the offer of TLS (1) and network level authentication (2 and 8)
    assert asked == [bytes.fromhex("0e e0 00 00 00 00 00 01 00 08 00 0b 00 00 00")]


async def test_a_host_that_says_nothing(tmp_path: Path) -> None:
    held = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        found = await over_rdp(tmp_path, login=0.2).probe(site(listening.sockets[0].getsockname()[1]))
        held.set()

    assert isinstance(found, NotSent)
    assert "did not answer" in found.error


async def test_nothing_runs_over_rdp(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="tested only"):
        over_rdp(tmp_path).open(site(1), Capture(Masker()), Stop(), mark="")
