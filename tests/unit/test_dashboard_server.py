"""Who says nothing keeps nobody else out."""

import http.client
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.responses import PlainTextResponse

from opsconductor.dashboard import server
from opsconductor.dashboard.access import Access, Guarded
from opsconductor.dashboard.server import Server, listener
from opsconductor.service.address import Address, Pages


@pytest.fixture
async def place() -> AsyncIterator[tuple[str, int]]:
    listening = listener(Pages(Address("127.0.0.1", 0), chosen=True, token="x" * 20))
    serving = Server(Guarded(PlainTextResponse("ok\n"), Access("x" * 20)), listening)
    serving.start()
    yield listening.getsockname()
    await serving.stop()


def asked(place: tuple[str, int]) -> int:
    connection = http.client.HTTPConnection(*place, timeout=30)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()


async def test_silent_connections_leave_room_for_probes(place: tuple[str, int]) -> None:
    held = [socket.create_connection(place) for _ in range(205)]
    assert asked(place) == 200
    for one in held:
        one.close()


async def test_for_one_connection_too_many_a_silent_one_goes(
    place: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 3)
    held = [socket.create_connection(place, timeout=30) for _ in range(8)]
    assert asked(place) == 200
    for one in held:
        one.close()


async def test_who_does_not_ask_in_time_is_let_go(place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the midst of its headers; others are answered as before."""
    monkeypatch.setattr(server, "_HEADERS_WITHIN", 0.2)
    for said in (b"", b"GET /healthz HTTP/1.1\r\nHost: loc"):
        with socket.create_connection(place, timeout=30) as silent:
            silent.sendall(said)
            assert silent.recv(1) == b""
    assert asked(place) == 200
