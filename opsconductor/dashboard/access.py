"""Who may read, and what every answer carries. A plain ASGI layer around the whole application.

There is no write route, and no method but GET and HEAD comes through. On loopback the only guard against other pages
in the same browser is the Host header: a name that was made to point here (DNS rebinding) is refused.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PORT = re.compile(r"[0-9]{0,5}")
"""Any: tunnels and containers give a listener another one than its own. None at all is said as `host:` (RFC 9110)."""
OPEN_TO_ALL = frozenset({"/healthz", "/readyz"})
"""What a probe may ask without a token: it tells nobody anything but that the engine lives."""


def host_of(public_url: str | None) -> str | None:
    """The host of an address of pages, as a Host header has it before its port."""
    if public_url is None:
        return None
    return _name(urlsplit(public_url).netloc).lower()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a listener on this host."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Access:
    """`token` None: everybody who reaches the listener may read, so it listens on loopback only.

    `public`: the host by which a proxy on this machine, which knows who may read, is asked for the pages.
    """

    token: str | None = None
    public: str | None = None

    def refusal(self, method: str, path: str, headers: Headers) -> Response | None:
        """The answer to a request that may not pass; None lets it pass."""
        if method not in ("GET", "HEAD"):
            return PlainTextResponse("this is read-only: act by commits\n", 405, {"Allow": "GET, HEAD"})
        if self.token is None:
            name = _name(headers.get("host", "")).lower()
            return None if is_loopback(name) or (name and name == self.public) else _misdirected()
        if path in OPEN_TO_ALL or _shows(headers.get("authorization", ""), self.token):
            return None
        return PlainTextResponse(
            "show the token: 'Authorization: Bearer TOKEN', or as the password of any user\n",
            401,
            {"WWW-Authenticate": 'Basic realm="OpsConductor", charset="UTF-8"'},
        )


def _misdirected() -> Response:
    said = "without a token this is for this machine alone: ask for it as localhost or 127.0.0.1\n"
    return PlainTextResponse(said, 421)


def _name(host: str) -> str:
    """The host of a Host header, without its port; nothing where what stands behind the colon is no port."""
    name, colon, port = host.rpartition(":") if ":" in host.rpartition("]")[2] else (host, "", "")
    return "" if colon and not _PORT.fullmatch(port) else name


def _shows(authorization: str, token: str) -> bool:
    kind, _, value = authorization.partition(" ")
    match kind.lower():
        case "bearer":
            shown = value.strip().encode()
        case "basic":
            try:
                shown = base64.b64decode(value, validate=True).partition(b":")[2]
            except ValueError:  # also what it says of a letter that is not ASCII
                return False
        case _:
            return False
    return hmac.compare_digest(shown, token.encode())


class Guarded:
    """The application behind `access`, with HEADERS on every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._access.refusal(scope["method"], scope["path"], Headers(scope=scope))
        await (refused or self._app)(scope, receive, answer)
