"""Where a Windows host is reached, and as whom."""

import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from runners.connections import Unusable
from runners.steps.exchange import trusting, with_certificate

Transport = Literal["basic", "ntlm", "kerberos", "certificate"]


@dataclass(frozen=True, slots=True)
class WinrmLimits:
    """Seconds, and numbers of threads."""

    connect: float = 10.0
    """To connect, TLS included."""
    login: float = 20.0
    silence: float = 10.0
    """How much later than it was asked to a host may answer, before it counts as gone."""
    poll: int = 3
    """How long a host holds back an answer while a command says nothing: an order to end waits for as long."""
    operation: int = 20
    """How long a host may take for any other answer."""
    orphan: int = 60
    """After how long without us a host ends a shell, and what runs in it. Windows takes no less than 60."""
    idle: float = 15.0
    """How long a connection that nobody uses stays open."""
    total: float = 3600.0
    """After which a connection is not used for another step."""
    sessions: int = 256
    """Sessions that work at once, each in a thread; others wait."""


@dataclass(frozen=True, slots=True)
class WinrmPlace:
    """Equal places share connections. `target` is the document's name, for messages."""

    target: str
    host: str
    port: int
    protocol: Literal["psrp", "winrm"]
    scheme: Literal["https", "http"]
    transport: Transport
    user: str
    password: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)
    """PEM of the certificate that logs in, and of its key."""
    ca: str | None = None
    """PEM of the authorities to trust; those of the runner's host where there are none."""
    server_name: str | None = None
    """What the server's certificate must be for, and what Kerberos takes it for; the host where left out."""

    @property
    def name(self) -> str:
        return self.server_name or self.host

    @property
    def netloc(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def at(self, problem: Exception) -> str:
        """The problem, and where it is."""
        said = str(problem)
        return said if self.netloc in said else f"{self.netloc}: {said}"

    @property
    def sealed(self) -> bool:
        """Whether messages are encrypted by the login's own keys: always where TLS does not."""
        return self.scheme == "http"

    def checked(self) -> "WinrmPlace":
        """Itself. Raises Unusable for what would cross the network in the open, or lacks what it logs in with."""
        if self.scheme == "http" and self.transport in ("basic", "certificate"):
            raise Unusable(f"Target {self.target}: transport {self.transport} needs scheme https")
        if self.transport == "certificate" and not self.certificate:
            raise Unusable(f"Target {self.target}: transport certificate needs a Credential of type certificate")
        if self.transport != "certificate" and self.password is None:
            raise Unusable(f"Target {self.target}: transport {self.transport} needs a Credential with a password")
        if self.transport != "certificate" and not self.user:
            raise Unusable(f"Target {self.target}: the Credential has no username to log in as")
        if self.transport == "basic" and ":" in self.user:
            raise Unusable(f"Target {self.target}: a username with ':' cannot log in by transport basic")
        return self

    def tls(self) -> ssl.SSLContext:
        """Raises Unusable."""
        return _tls(self.ca, self.certificate if self.transport == "certificate" else None, self.target)


@lru_cache(maxsize=256)
def _tls(ca: str | None, certificate: str | None, target: str) -> ssl.SSLContext:
    try:
        return trusting(ca) if certificate is None else with_certificate(ca, certificate)
    except ValueError as error:
        raise Unusable(f"Target {target}: {error}") from error
