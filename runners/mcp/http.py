"""The way to an MCP server by streamable HTTP, over connections whose addresses were judged.

The SDK speaks the protocol; every request of it goes through `Judged`, which resolves, judges and connects as
runners.steps.exchange does. It follows redirects only within the server's own origin.
"""

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2
from mcp.client.streamable_http import streamable_http_client

from runners.steps.exchange import CONNECT, Broken, TooLong
from runners.steps.reaching import Forbidden, Unreached, addresses_of

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

SILENCE = 300.0
"""Seconds of silence within an answer: a tool may think for long. The step's own `timeout` bounds the whole."""
TOTAL = 64 * 1024 * 1024
"""Bytes of all that a server says in one call."""
_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class Seen:
    """What happened on the wire, readable after the conversation failed."""

    sent: bool = False
    """Whether the first bytes of a call went out."""
    trouble: Exception | None = None
    """The first thing that went wrong with a message to the server."""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is, and whom one may reach there. Nothing of it may be logged: it has secrets."""

    url: str
    authored: Callable[[str], bool]
    networks: tuple[str, ...]
    tls: ssl.SSLContext
    headers: dict[str, str] = field(default_factory=dict, repr=False)


@asynccontextmanager
async def over_http(server: Server, seen: Seen) -> AsyncIterator["TransportStreams"]:
    """Streams as the SDK has them. What goes wrong with a message raises here, in a group, and is noted in `seen`."""
    limits = httpx2.Timeout(SILENCE, connect=CONNECT, pool=CONNECT)
    async with (
        httpx2.AsyncClient(
            transport=Judged(server, seen),
            headers={**server.headers, "accept-encoding": "identity", "user-agent": "opsconductor"},
            timeout=limits,
            trust_env=False,
        ) as client,
        streamable_http_client(server.url, http_client=client) as streams,
    ):
        yield streams


class Judged(httpx2.AsyncBaseTransport):
    """Connects to judged addresses only, each request anew, and bounds what comes back."""

    def __init__(self, server: Server, seen: Seen) -> None:
        self._server = server
        self._seen = seen
        self._inner = httpx2.AsyncHTTPTransport(
            verify=server.tls, trust_env=False, retries=0, limits=httpx2.Limits(max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return await self._over(request)
        except (Unreached, Forbidden, Broken, TooLong) as error:
            if request.method == "POST" and self._seen.trouble is None:
                self._seen.trouble = error
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _over(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        if url.scheme not in _PORTS or not url.host:
            raise Forbidden("it is no absolute URL of http or https")
        if url.userinfo:
            raise Forbidden("a URL may not hold a user name or password; name a Credential in 'credentialRef'")
        host = url.raw_host.decode("ascii")
        addresses = await addresses_of(
            host,
            url.port or _PORTS[url.scheme],
            authored=self._server.authored(host),
            networks=self._server.networks,
        )
        error = "no address"
        for address in addresses[:4]:
            try:
                return await self._at(request, host, address)
            except Unreached as problem:
                error = str(problem)
        raise Unreached(error)

    async def _at(self, request: httpx2.Request, host: str, address: str) -> httpx2.Response:
        sent = False
        calls = _is_call(request)

        async def trace(event: str, _: object) -> None:
            nonlocal sent
            if event.endswith("send_request_headers.started"):
                sent = True
                self._seen.sent = self._seen.sent or calls

        moved = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,  # with the Host that was asked for
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host, "trace": trace},
        )
        try:
            response = await self._inner.handle_async_request(moved)
        except (httpx2.HTTPError, httpx2.StreamError, ssl.SSLError, OSError) as error:
            said = str(error) or type(error).__name__
            if sent:
                raise Broken(f"the connection to {host} broke: {said}") from error
            raise Unreached(f"no connection to {host} ({address}): {said}") from error
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise Broken("the server sent a packed answer, which was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream, self._seen)
        return response


class _Bounded(httpx2.AsyncByteStream):
    """The bytes of an answer, as long as the server has not said too much."""

    def __init__(self, stream: httpx2.AsyncByteStream, seen: Seen) -> None:
        self._stream = stream
        self._seen = seen

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._seen.size += len(chunk)
            if self._seen.size > TOTAL:
                self._seen.trouble = TooLong(f"the server says too much: at most {TOTAL >> 20} MiB are taken")
                raise self._seen.trouble
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _is_call(request: httpx2.Request) -> bool:
    if request.method != "POST":
        return False
    try:
        return bool(json.loads(request.content).get("method") == "tools/call")
    except (ValueError, AttributeError, httpx2.RequestNotRead):
        return True  # at worst it is said to be unknown what became of it
