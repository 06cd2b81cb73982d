"""Where the engine listens, as a flag says it."""

from dataclasses import dataclass, field


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


DASHBOARD = Address("127.0.0.1", 8420)


@dataclass(frozen=True, slots=True)
class Pages:
    """Where the dashboard listens, and what its readers show; a token is needed past loopback.

    An address that nobody has chosen may be another engine's already: then this one has no pages, and says so.
    """

    address: Address
    chosen: bool = False
    token: str | None = field(default=None, repr=False)
