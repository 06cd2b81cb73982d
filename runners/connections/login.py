"""Logging in over SSH, by asyncssh. What is trusted comes from the target's document, who logs in from its credential.

No configuration file, agent, default key or known_hosts file of this host is read. A host key is accepted only when the
target's `hostKeys` have it, or its certificate is signed by one of their `@cert-authority` lines; nothing turns that
off.
"""

import asyncio
import socket
from dataclasses import dataclass, field
from functools import lru_cache

import asyncssh
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs


@dataclass(frozen=True, slots=True)
class SshLimits:
    """Seconds. A connection that carries nothing is noticed after (`alive_count` + 1) times `alive_every`."""

    connect: float = 10.0
    login: float = 20.0
    alive_every: float = 5.0
    alive_count: int = 3


@dataclass(frozen=True, slots=True)
class SshPlace:
    """Where and as whom. Equal places share connections. `target` is the document's name, for messages."""

    target: str
    host: str
    port: int
    user: str
    host_keys: tuple[str, ...]
    private_key: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


class Unreached(Exception):  # noqa: N818 - named after what it means: nothing was sent
    """No connection, or no login. The message is for people, and holds no secret."""


class Unusable(Exception):  # noqa: N818
    """The document or the credential cannot work, whatever the host does."""


async def connect(place: SshPlace, limits: SshLimits) -> asyncssh.SSHClientConnection:
    """Open a connection and log in. Raises Unreached or Unusable, both with a message that says what to do."""
    trusted, authorities = _host_keys(place.host_keys, place.target)
    keys = [_private_key(place.private_key)] if place.private_key else None
    seen = _Seen()
    algorithms = [*(algorithm for key in trusted for algorithm in key.sig_algorithms), *get_default_public_key_algs()]
    if authorities:
        algorithms = [*get_default_certificate_algs(), *algorithms]
    try:
        async with asyncio.timeout(limits.connect + limits.login):
            return await asyncssh.connect(
                place.host,
                place.port,
                config=None,
                client_factory=lambda: seen,
                known_hosts=(trusted, authorities, []),
                server_host_key_algs=[name.decode() for name in dict.fromkeys(algorithms)],
                username=place.user,
                client_keys=keys,
                password=place.password,
                public_key_auth=keys is not None,
                password_auth=place.password is not None,
                kbdint_auth=place.password is not None,
                host_based_auth=False,
                gss_host=None,
                gss_auth=False,
                gss_kex=False,
                agent_path=None,
                agent_forwarding=False,
                pkcs11_provider=None,
                x509_trusted_certs=None,
                connect_timeout=limits.connect,
                login_timeout=limits.login,
                keepalive_interval=limits.alive_every,
                keepalive_count_max=limits.alive_count,
                client_version="OpsConductor",
                compression_algs=None,
            )
    except (OSError, asyncssh.Error, TimeoutError, ValueError) as error:
        raise Unreached(_why(error, place, seen)) from error


def _why(error: Exception, place: SshPlace, seen: "_Seen") -> str:
    where = f"{place.host}:{place.port}"
    match error:
        case asyncssh.HostKeyNotVerifiable() if seen.key is not None and seen.authority:
            return (
                f"{where} shows a certificate by the {seen.key.get_algorithm()} authority "
                f"{seen.key.get_fingerprint()}, which is not in the definitions; if that authority is right, add its "
                f"key as '@cert-authority ...' to spec.connections.ssh.hostKeys of Target {place.target}"
            )
        case asyncssh.HostKeyNotVerifiable() if seen.key is not None:
            return (
                f"{where} shows the {seen.key.get_algorithm()} host key {seen.key.get_fingerprint()}, which is not in "
                f"the definitions; if that key is right (compare it on the host), add it to "
                f"spec.connections.ssh.hostKeys of Target {place.target}"
            )
        case asyncssh.HostKeyNotVerifiable():
            return f"{where} shows a host key that cannot be verified: {error.reason}"
        case asyncssh.PermissionDenied():
            means = " and ".join(
                name for name, given in (("key", place.private_key), ("password", place.password)) if given
            )
            return f"{where} refused the login of '{place.user}' with the {means or 'credential'} of its Credential"
        case socket.gaierror():
            return f"the name {place.host} cannot be resolved: {error.strerror or error}"
        case ConnectionRefusedError():
            return f"{where} refused the connection; is its SSH server running?"
        case asyncssh.ConnectionLost() if seen.connected:
            return f"{where} took the connection and ended it before the login was complete: {error.reason}"
        case TimeoutError() | asyncssh.ConnectionLost():
            stage = "took the connection and did not answer" if seen.connected else "did not answer"
            return f"{where} {stage} within the time limit"
        case asyncssh.DisconnectError():
            return f"{where} ended the connection: {error.reason}"
        case OSError():
            return f"cannot connect to {where}: {error.strerror or error}"
        case _:
            return f"cannot connect to {where}: {error}"


class _Seen(asyncssh.SSHClient):
    """Remembers what a server showed that was refused."""

    def __init__(self) -> None:
        self.key: asyncssh.SSHKey | None = None
        self.authority = False
        self.connected = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connected = True

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.key = key
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.key, self.authority = key, True
        return False


@lru_cache(maxsize=4096)
def _host_keys(lines: tuple[str, ...], target: str) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
    trusted: list[asyncssh.SSHKey] = []
    authorities: list[asyncssh.SSHKey] = []
    for line in lines:
        found = authorities if line.startswith("@cert-authority") else trusted
        try:
            found.append(asyncssh.import_public_key(line.removeprefix("@cert-authority").strip()))
        except (asyncssh.KeyImportError, ValueError) as error:
            raise Unusable(f"Target {target} has a host key that cannot be read ({error}): {line[:40]}") from error
    return trusted, authorities


@lru_cache(maxsize=256)
def _private_key(text: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(text)
    except asyncssh.KeyEncryptionError as error:
        raise Unusable("the private key has a passphrase; give one without, the secret folder protects it") from error
    except (asyncssh.KeyImportError, ValueError) as error:
        raise Unusable("the credential does not hold a private key that can be read") from error
