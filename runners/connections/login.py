"""Logging in over SSH, by asyncssh. What is trusted comes from the target's document, who logs in from its credential.

No configuration file, agent, default key or known_hosts file of this host is read. A host key is accepted only when the
target's `hostKeys` have it, or its certificate is signed by one of their `@cert-authority` lines; nothing turns that
off.
"""

import asyncio
import socket
from dataclasses import dataclass, field
from functools import cache, lru_cache

import asyncssh
from asyncssh.constants import MSG_IGNORE
from asyncssh.encryption import get_default_encryption_algs
from asyncssh.packet import SSHPacketLogger
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs

from runners.connections import Limits, Unreached, Unusable
from runners.connections.clientkeys import Unopened, client_keys
from runners.connections.lookup import Unanswered, connected


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
    passphrase: str | None = field(default=None, repr=False)
    """Of the private key."""
    certificate: str | None = field(default=None, repr=False)
    """An OpenSSH certificate of the private key, one line."""
    via: "SshPlace | None" = None
    """The host that the connection goes through."""

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


async def connect(place: SshPlace, limits: Limits) -> asyncssh.SSHClientConnection:
    """Open a connection and log in, hop by hop, each within its own limits.

    What carries it is closed with it. Raises Unreached or Unusable, both with a message that says what to do.
    """
    if place.via is None:
        return await _connect(place, limits, None)
    try:
        tunnel = await connect(place.via, limits)
    except (Unreached, Unusable) as error:
        raise type(error)(f"on the way to Target {place.target}, at Target {place.via.target}: {error}") from error
    try:
        return await _connect(place, limits, tunnel)
    except BaseException:
        tunnel.abort()
        raise


async def _connect(
    place: SshPlace, limits: Limits, tunnel: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    trusted, authorities = _host_keys(place.host_keys, place.target)
    seen = _Seen(tunnel)
    carrier: socket.socket | None = None
    algorithms = [*(algorithm for key in trusted for algorithm in key.sig_algorithms), *get_default_public_key_algs()]
    if authorities:
        algorithms = [*get_default_certificate_algs(), *algorithms]
    try:
        keys = await client_keys(place.private_key, place.passphrase, place.certificate)
        async with asyncio.timeout(limits.connect + limits.login):
            if tunnel is None:
                carrier = await connected(place.host, place.port, limits.connect)
            return await asyncssh.connect(
                place.host,
                place.port,
                config=None,
                tunnel=tunnel if tunnel is not None else (),
                sock=carrier,
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
                encryption_algs=_ciphers(),
            )
    except Unopened as error:
        raise Unusable(str(error)) from error
    except (OSError, asyncssh.Error, TimeoutError, ValueError) as error:
        raise Unreached(_why(error, place, seen)) from error
    finally:
        if carrier is not None and not seen.connected:
            carrier.close()


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
        case asyncssh.ChannelOpenError() if place.via is not None:
            return f"Target {place.via.target} could not connect on to {where}: {error.reason}"
        case socket.gaierror():
            return f"the name {place.host} cannot be resolved: {error.strerror or error}"
        case Unanswered():
            return str(error)
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


@cache
def _ciphers() -> list[str]:
    """Those of asyncssh, AES-GCM first: as safe as the others, and a third less work a packet in this library."""
    known = [name.decode() for name in get_default_encryption_algs()]
    return sorted(known, key=lambda name: "gcm" not in name)


class _Lean(asyncssh.SSHClientConnection):
    """Sends no packet without content before each packet, as asyncssh does.

    They protect ciphers in CBC mode (RFC 4251, section 9.3.1), which `_ciphers` has none of; each is a packet more to
    encrypt, to send, and to wake the server for.
    """

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        if pkttype != MSG_IGNORE:
            super().send_packet(pkttype, *args, handler=handler)


class _Seen(asyncssh.SSHClient):
    """Remembers what a server showed that was refused. Closes what carries the connection when that is over."""

    def __init__(self, tunnel: asyncssh.SSHClientConnection | None) -> None:
        self._tunnel = tunnel
        self.key: asyncssh.SSHKey | None = None
        self.authority = False
        self.connected = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connected = True
        conn.__class__ = _Lean  # asyncssh lets nobody choose the class

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tunnel is not None:
            self._tunnel.abort()

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
