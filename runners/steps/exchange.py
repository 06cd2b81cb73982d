"""One HTTP request and its answer, over connections whose addresses were judged.

httpx2 speaks the protocol; the client library is imported when the first request is made. Nothing of the environment
counts: no proxy variables, no .netrc. Every hop of a redirect is judged like the first.
"""

import asyncio
import os
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from runners.connections import Stop
from runners.steps.reaching import Forbidden, Unreached, addresses_of

if TYPE_CHECKING:
    import httpx2

CONNECT = 10.0
"""Seconds to connect, TLS included."""
SILENCE = 60.0
"""Seconds of silence within an answer. The step's own `timeout` bounds the whole."""
_OF_PYTHON = re.compile(r"bytearray\(b(.*)\)")
"""How h11 quotes what it could not read."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEPS_METHOD = frozenset({307, 308})
_PORTS = {"http": 80, "https": 443}
_FOR_ANYBODY = frozenset({"accept", "accept-language", "user-agent"})
"""Headers that another host gets as well."""


class Broken(Exception):  # noqa: N818 - named after the exchange
    """It was sent, and no full answer came."""


class TooLong(Exception):  # noqa: N818 - named after the answer
    """The answer is longer than is taken."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, and whom it may reach. Nothing of it may be logged: it has secrets.

    `authored(host)`: whether the host was written by the step's author. `ok` None: any of 200 to 299.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    authored: Callable[[str], bool] = lambda host: False
    networks: tuple[str, ...] = ()
    public: bool = False
    """Whether any address of the public internet may be reached, whoever wrote the host."""
    ok: frozenset[int] | None = None
    max_redirects: int = 5
    max_size: int = 1024 * 1024
    tls: ssl.SSLContext | None = None

    def is_ok(self, status: int) -> bool:
        return status in self.ok if self.ok is not None else 200 <= status <= 299

    @property
    def is_safe(self) -> bool:
        """Whether asking changes nothing (RFC 9110, 9.2.1), so that the lack of an answer leaves nothing unknown."""
        return self.method in {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A full answer. Names of headers are in small letters."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class Progress:
    """How far an exchange has come, readable after it was cancelled. `open`: sent, and not fully answered."""

    open: bool = False
    answered: int = 0
    head: "Answer | None" = None
    """The answer without its body, as soon as its status and headers are there."""


async def exchange(request: Request, progress: Progress) -> Answer:
    """Send it and follow its redirects to the answer that is judged.

    Raises Unreached (nothing was sent), Forbidden, Broken and TooLong.
    """
    import httpx2

    authored = request.authored
    followed = 0
    while True:
        url = _url(httpx2, request.url)
        port = url.port or _PORTS[url.scheme]
        host = url.raw_host.decode("ascii")
        addresses = await addresses_of(
            host, port, authored=authored(host), networks=request.networks, public=request.public
        )
        answer = await _over(httpx2, request, url, addresses, progress)
        progress.answered += 1
        location = dict(answer.headers).get("location")
        judged = answer.status not in _REDIRECTS or location is None or request.max_redirects == 0
        if judged or (request.ok is not None and answer.status in request.ok):
            return answer
        if followed == request.max_redirects:
            raise Forbidden(f"more than {request.max_redirects} redirects")
        followed += 1
        request = _redirected(httpx2, request, url, answer.status, str(location))
        after = _url(httpx2, request.url)
        if not _same_place(url, after):
            authored = _nobody


def _nobody(host: str) -> bool:
    return False


def _url(httpx2: Any, text: str) -> "httpx2.URL":
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise Forbidden(f"it is no URL: {error}") from error
    if url.scheme not in _PORTS or not url.host:
        raise Forbidden("it is no absolute URL of http or https")
    if url.userinfo:
        raise Forbidden("a URL may not hold a user name or password; name a Credential in 'credentialRef'")
    return url  # type: ignore[no-any-return]  # the module is Any here: it is imported late


def _same_place(one: "httpx2.URL", other: "httpx2.URL") -> bool:
    """The same host and port; from http to https at their usual ports is the same as well."""
    if one.raw_host != other.raw_host:
        return False
    ports = tuple(url.port or _PORTS[url.scheme] for url in (one, other))
    return ports[0] == ports[1] or ports == (80, 443)


def _redirected(httpx2: Any, request: Request, url: "httpx2.URL", status: int, location: str) -> Request:
    try:
        to = url.join(location)
    except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
        raise Forbidden(f"a redirect to what is no URL: {error}") from error
    if url.scheme == "https" and to.scheme != "https":
        raise Forbidden("a redirect from https to http is not followed")
    keeps = status in _KEEPS_METHOD or request.method in {"GET", "HEAD"}
    after = replace(request, url=str(to)) if keeps else replace(request, url=str(to), method="GET", body=None)
    if not keeps:
        after = replace(after, headers=tuple(one for one in after.headers if one[0].lower() != "content-type"))
    if _same_place(url, to):
        return after
    if after.body is not None:
        raise Forbidden("a redirect would send the body to another host")
    return replace(after, headers=tuple(one for one in after.headers if one[0].lower() in _FOR_ANYBODY))


async def _over(httpx2: Any, request: Request, url: "httpx2.URL", addresses: list[str], progress: Progress) -> Answer:
    """The answer of the first address that takes a connection."""
    error = "no address"
    for address in addresses[:4]:
        try:
            return await _at(httpx2, request, url, address, progress)
        except Unreached as problem:
            error = str(problem)
    raise Unreached(error)


async def _at(httpx2: Any, request: Request, url: "httpx2.URL", address: str, progress: Progress) -> Answer:
    host = url.raw_host.decode("ascii")

    async def trace(event: str, _: object) -> None:
        if event.endswith("send_request_headers.started"):
            progress.open = True

    own = {"host": url.netloc.decode("ascii"), "accept-encoding": "identity", "connection": "close"}
    given = {name.lower() for name, _ in request.headers}
    defaults = {"accept": "*/*", "user-agent": "opsconductor"}
    headers = [*own.items(), *((name, value) for name, value in defaults.items() if name not in given)]
    headers += [(name, value) for name, value in request.headers if name.lower() not in own]
    limits = {"connect": CONNECT, "read": SILENCE, "write": SILENCE, "pool": CONNECT}
    asked = httpx2.Request(
        request.method,
        url.copy_with(host=address),
        headers=headers,
        content=request.body,
        extensions={"timeout": limits, "sni_hostname": host, "trace": trace},
    )
    tls = request.tls or trusting(None)
    transport = httpx2.AsyncHTTPTransport(verify=tls, trust_env=False, retries=0)
    try:
        async with transport:
            response = await transport.handle_async_request(asked)
            progress.head = Answer(response.status_code, _headers(response), b"")
            try:
                body = await _body(response, request)
            finally:
                await response.aclose()
    except TooLong:
        progress.open = False
        raise
    except (httpx2.HTTPError, httpx2.StreamError, ssl.SSLError, OSError) as error:
        said = _OF_PYTHON.sub(r"\1", str(error)) or type(error).__name__
        if progress.open:
            raise Broken(f"the connection to {host} broke before the whole answer was there: {said}") from error
        raise Unreached(f"no connection to {host} ({address}): {said}") from error
    progress.open = False
    return Answer(response.status_code, _headers(response), body)


def _headers(response: "httpx2.Response") -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in response.headers.items())


async def _body(response: Any, request: Request) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > request.max_size:
            raise TooLong(f"status {response.status_code}, and the answer is longer than {request.max_size} bytes")
    return bytes(body)


@lru_cache(maxsize=16)
def trusting(ca: str | None) -> ssl.SSLContext:
    """TLS that trusts the authorities of a PEM text, or those of the host where there is none. Raises ValueError."""
    return _context(ca)


def with_certificate(ca: str | None, pem: str) -> ssl.SSLContext:
    """The same, and shows a certificate: PEM of the certificate and its key. Raises ValueError."""
    context = _context(ca)
    # memory, not a disk: the library reads files only
    memory = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(memory, "wb", closefd=False) as stream:
            stream.write(pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{memory}", password=_no_passphrase)
    except (ssl.SSLError, OSError):
        # without a cause: it might quote the secret
        raise ValueError("the certificate and its key cannot be read as PEM without a passphrase") from None
    finally:
        os.close(memory)
    return context


def _no_passphrase() -> str:
    return ""


def _context(ca: str | None) -> ssl.SSLContext:
    if ca is not None and not ca.isascii():  # a TypeError of the library
        raise ValueError("caCert cannot be read as PEM: it is not ASCII")
    try:
        context = ssl.create_default_context(cadata=ca)
    except ssl.SSLError as error:
        raise ValueError(f"caCert cannot be read as PEM: {error.reason or error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def heeding(stop: Stop, work: "asyncio.Task[Any]") -> bool:
    """Wait for work until it is done, or the order to end has come; then it is ended. Whether it is done."""
    try:
        return await stop.first(work)
    finally:
        if not work.done():
            await until_stopped(work)


async def until_stopped(work: "asyncio.Task[Any]") -> None:
    """End work that was begun, and wait for that."""
    work.cancel()
    await asyncio.wait({work})
