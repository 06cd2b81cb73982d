"""Where the engine listens, and where others reach it, as flags say it."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> Address | None:
    """HOST:PORT, or `off` for None. Raises ValueError that says what to write."""
    if text == "off":
        return None
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError("write HOST:PORT, as in 127.0.0.1:8420, or off")
    return Address(host, int(port))


def parse_public(text: str) -> str:
    """http(s)://HOST[:PORT] without a slash at its end, where people open the dashboard.

    Raises ValueError that says what to write: a login or a query would stand in every message, and pages that link to
    each other from the root can be below no path.
    """
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise ValueError(_PUBLIC)
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - it is read here, or refused
    except ValueError as error:
        raise ValueError(_PUBLIC) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(_PUBLIC)
    if "@" in parts.netloc or parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError(f"{_PUBLIC}, without a login, a query or a fragment")
    if parts.path not in ("", "/"):
        raise ValueError(f"{_PUBLIC}, without a path: the dashboard's pages link to each other from the root")
    return f"{parts.scheme}://{parts.netloc.lower()}"


_PUBLIC = "write https://HOST or https://HOST:PORT"


DASHBOARD = Address("127.0.0.1", 8420)


@dataclass(frozen=True, slots=True)
class Pages:
    """Where the dashboard listens, and what its readers show; a token is needed past loopback.

    An address that nobody has chosen may be another engine's already: then this one has no pages, and says so.
    """

    address: Address
    chosen: bool = False
    token: str | None = field(default=None, repr=False)
