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
import mcp_types as types
from mcp.client.streamable_http import streamable_http_client

from runners.mcp.measure import MESSAGE, Measure, Message
from runners.steps.exchange import CONNECT, Broken, TooLong
from runners.steps.reaching import Forbidden, Unreached, addresses_of

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

SILENCE = 300.0
"""Seconds of silence within an answer: a tool may think for long. The step's own `timeout` bounds the whole."""
_PORTS = {"http": 80, "https": 443}


@dataclass(slots=True)
class Seen:
    """What happened on the wire, readable after the conversation failed."""

    sent: bool = False
    """Whether the first bytes of a call went out."""
    trouble: Exception | None = None
    """The first thing that went wrong with a message to the server."""
    measure: Measure = field(default_factory=Measure)
    answer: "Answer | None" = None
    """What came back for the call, the last time that it was sent or asked for again."""

    @property
    def answered(self) -> bool:
        """Whether the server itself answered the call: by a whole message of the protocol, or by a redirect."""
        return self.answer is not None and self.answer.whole


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is, and whom one may reach there. Nothing of it may be logged: it has secrets."""

    url: str
    authored: Callable[[str], bool]
    networks: tuple[str, ...]
    tls: ssl.SSLContext
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    auth: httpx2.Auth | None = field(default=None, repr=False)
    """What logs in, where that takes more than a header."""


@asynccontextmanager
async def over_http(server: Server, seen: Seen) -> AsyncIterator["TransportStreams"]:
    """Streams as the SDK has them. What goes wrong with a message raises here, in a group, and is noted in `seen`."""
    limits = httpx2.Timeout(SILENCE, connect=CONNECT, pool=CONNECT)
    async with (
        httpx2.AsyncClient(
            transport=Judged(server, seen),
            headers={**server.headers, "accept-encoding": "identity", "user-agent": "opsconductor"},
            auth=server.auth,
            timeout=limits,
            trust_env=False,
        ) as client,
        streamable_http_client(server.url, http_client=client, max_sse_event_size=MESSAGE) as streams,
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
        if _is_form(request) and url.scheme != "https":
            raise Forbidden("a secret is sent to an authorization server over https only")
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
        if calls:
            self._seen.answer = None

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
        answer = Answer(response.status_code, response.headers.get("content-type", ""))
        if calls or (self._seen.sent and "last-event-id" in request.headers):
            self._seen.answer = answer
        response.stream = _Bounded(response.stream, self._seen, answer)
        return response


def host_of(url: str) -> str:
    """The host of a URL as requests name it; empty for what is no URL, of which no request is made."""
    try:
        return httpx2.URL(url).raw_host.decode("ascii").strip("[]")
    except httpx2.InvalidURL:
        return ""


class Answer:
    """What came back for one request. It keeps one message, which is whole once it is read as one."""

    def __init__(self, status: int, kind: str) -> None:
        self._status = status
        self._events = kind.lower().startswith("text/event-stream")
        self._held = b""
        self._message = Message()
        self._kept = bytearray()
        self._last = b""

    def feed(self, data: bytes, measure: Measure) -> None:
        """Raises TooLong."""
        if not self._events:
            self._add(data, measure)
            return
        # A return may be half an end of a line: it waits for what follows.
        data, self._held = self._held + data, b""
        if data.endswith(b"\r"):
            data, self._held = data[:-1], b"\r"
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if data.startswith(b"\n") and self._kept.endswith(b"\n"):
            self._next()
        first, *more = data.split(b"\n\n")
        self._add(first, measure)
        for piece in more:
            self._next()
            self._add(piece, measure)

    def _add(self, data: bytes, measure: Measure) -> None:
        self._message.add(len(data), measure.take(data))
        self._kept += data

    def _next(self) -> None:
        if b"data:" in self._kept:
            self._last = bytes(self._kept)
        self._kept, self._message = bytearray(), Message()

    @property
    def whole(self) -> bool:
        if 300 <= self._status <= 399:
            return True  # it did nothing with the call
        text = bytes(self._kept)
        if self._events:
            lines = (line.removeprefix(b"data:") for line in self._last.split(b"\n") if line.startswith(b"data:"))
            text = b"\n".join(line.removeprefix(b" ") for line in lines)
        try:
            said = types.jsonrpc_message_adapter.validate_json(text, by_name=False)
        except ValueError:
            return False
        # A gateway that speaks for a server does so with a status of its own.
        return self._status < 500 and isinstance(said, types.JSONRPCResponse | types.JSONRPCError)


class _Bounded(httpx2.AsyncByteStream):
    """The bytes of an answer, as long as the server has not said too much."""

    def __init__(self, stream: httpx2.AsyncByteStream, seen: Seen, answer: Answer) -> None:
        self._stream = stream
        self._seen = seen
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            try:
                self._answer.feed(chunk, self._seen.measure)
            except TooLong as error:
                self._seen.trouble = error
                raise
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _is_form(request: httpx2.Request) -> bool:
    """Whether it asks an authorization server for a token; the protocol itself is JSON."""
    return bool(request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"))


def _is_call(request: httpx2.Request) -> bool:
    if request.method != "POST" or _is_form(request):
        return False
    try:
        return bool(json.loads(request.content).get("method") == "tools/call")
    except (ValueError, AttributeError, httpx2.RequestNotRead):
        return True  # at worst it is said to be unknown what became of it
