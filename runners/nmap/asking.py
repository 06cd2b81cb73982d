"""Asking open ports who is there: each is spoken to as far as its protocol goes without a login.

SSH shows its host keys in a key exchange, which proves that it has them; TLS its certificate; RDP and WS-Management
what they would take. Nothing is believed: what comes back is kept as what the host says, for a person to judge.
"""

import asyncio
import re
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from engine.discovery.seen import LONGEST_CERTIFICATE, Answer, Service, host_key, names_of
from runners.connections import Answered
from runners.connections.overrdp import request as rdp_request
from runners.connections.overrdp import said as rdp_said

log = structlog.get_logger(__name__)

PATIENCE = 15.0
"""Seconds for one port."""
_CONNECT, _GREETING, _ANSWER = 5.0, 1.5, 5.0
_MOST = 16 * 1024
_RDP, _WINRM = frozenset({3389}), frozenset({5985, 5986})
_SSH_KEYS = (("ssh-ed25519",), ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"), ("rsa-sha2-512",))
_BANNER = re.compile(rb"SSH-[0-9.]{3}-([\x21-\x7e]{1,200})")
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")
_SERVER = re.compile(rb"\r\n[Ss]erver:[ \t]*([\x20-\x7e]{1,200})")
_WSMAN = re.compile(
    rb"\r\n[Ww][Ww][Ww]-[Aa]uthenticate:[ \t]*(?:Negotiate|Kerberos|NTLM|Basic realm=\"WSMAN\")|wsmanidentity"
)
_IDENTIFY = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    b'xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
    b"<s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a port said: the connection that answers there, if any, and what software it says that it is.

    `trouble` is a line for the log, where what it said could not be looked at.
    """

    answer: Answer | None = None
    product: str = ""
    trouble: str | None = None


async def told(address: str, service: Service, names: tuple[str, ...]) -> Told:
    """What is at an open port. `names` are the host's in the DNS. Gives an empty answer where nothing is understood."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await _told(address, service, names)
    except (TimeoutError, OSError, ssl.SSLError, ValueError, asyncio.IncompleteReadError, struct.error):
        return Told()
    except Exception as error:  # what a stranger's port says must not end the scan of all the others
        log.exception("a bug of ours: what a port says cannot be read", address=address, port=service.port)
        return Told(trouble=f"port {service.port} of {address}: an error of ours: {type(error).__name__}")


async def _told(address: str, service: Service, names: tuple[str, ...]) -> Told:
    port = service.port
    if port in _RDP or service.name == "ms-wbt-server":
        return Told(Answer("rdp", port) if await _speaks_rdp(address, port) else None)
    if service.tls or port in (443, 5986, 8443) or "https" in service.name:
        return await _over_tls(address, port, names)
    greeting = await _greeting(address, port)
    if (banner := _BANNER.match(greeting)) is not None:
        keys = await _host_keys(address, port)
        return Told(Answer("ssh", port, keys=keys) if keys else None, banner[1].decode())
    if greeting:
        return Told()  # it speaks first, and no protocol of ours
    found = await _over_http(address, port, None)
    return found if found.answer is not None else await _over_tls(address, port, names)


@asynccontextmanager
async def _connected(
    address: str, port: int, context: ssl.SSLContext | None = None, name: str | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(_CONNECT):
        reader, writer = await asyncio.open_connection(
            address, port, ssl=context, server_hostname=name if context is not None else None, limit=_MOST
        )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _greeting(address: str, port: int) -> bytes:
    """What a server says unasked."""
    async with _connected(address, port) as (reader, _):
        try:
            async with asyncio.timeout(_GREETING):
                return await reader.read(512)
        except TimeoutError:
            return b""


# --- SSH ------------------------------------------------------------------------------------------------------------


async def _host_keys(address: str, port: int) -> tuple[str, ...]:
    """One of each type that it has, proven by a key exchange each."""
    found = [await _host_key(address, port, algorithms) for algorithms in _SSH_KEYS]
    return tuple(key for key in found if key is not None)


async def _host_key(address: str, port: int, algorithms: tuple[str, ...]) -> str | None:
    import asyncssh

    try:
        async with asyncio.timeout(_CONNECT):
            key = await asyncssh.get_server_host_key(
                address, port, config=None, server_host_key_algs=list(algorithms), client_version="OpsConductor"
            )
    except (OSError, asyncssh.Error, TimeoutError):
        return None
    return None if key is None else host_key(key.export_public_key("openssh").decode("ascii", "replace"))


# --- HTTP, with TLS and without -------------------------------------------------------------------------------------


async def _over_tls(address: str, port: int, names: tuple[str, ...]) -> Told:
    der = await _certificate(address, port)
    found = await _over_http(address, port, _any_certificate())
    if found.answer is None:
        return found
    trusted = await _is_vouched_for(address, port, names[0] if names else address)
    answer = Answer(found.answer.kind, port, tls=True, certificate=_pem(der), names=_names_in(der), trusted=trusted)
    return Told(answer, found.product)


def _any_certificate() -> ssl.SSLContext:
    """To look at a certificate, not to trust it: nothing is sent that anybody might not read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _certificate(address: str, port: int) -> bytes:
    async with _connected(address, port, _any_certificate(), address) as (_, writer):
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
    return der if len(der) < LONGEST_CERTIFICATE // 2 else b""


async def _is_vouched_for(address: str, port: int, name: str) -> bool:
    """Whether the runner's own authorities vouch for it."""
    try:
        async with _connected(address, port, ssl.create_default_context(), name):
            return True
    except (OSError, ssl.SSLError, TimeoutError, ValueError):
        return False


def _pem(der: bytes) -> str:
    return ssl.DER_cert_to_PEM_cert(der) if der else ""


def _names_in(der: bytes) -> tuple[str, ...]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_der_x509_certificate(der)
        common = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        try:
            alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            named = alternative.get_values_for_type(x509.DNSName)
        except x509.ExtensionNotFound:
            named = []
    except (ValueError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType):
        return ()
    return names_of((*named[:64], *common[:4]))


async def _over_http(address: str, port: int, context: ssl.SSLContext | None) -> Told:
    place = f"[{address}]" if ":" in address else address
    if port in _WINRM:
        head = await _asked(address, port, context, _post(f"{place}:{port}"))
        if _STATUS.match(head) and _WSMAN.search(head):
            return Told(Answer("winrm", port, tls=context is not None), _software(head))
    ask = f"GET / HTTP/1.1\r\nHost: {place}:{port}\r\nUser-Agent: OpsConductor\r\nConnection: close\r\n\r\n"
    head = await _asked(address, port, context, ask.encode())
    if not _STATUS.match(head):
        return Told()
    return Told(Answer("http", port, tls=context is not None), _software(head))


def _post(place: str) -> bytes:
    head = (
        f"POST /wsman HTTP/1.1\r\nHost: {place}\r\nUser-Agent: OpsConductor\r\nWSMANIDENTIFY: unauthenticated\r\n"
        f"Content-Type: application/soap+xml;charset=UTF-8\r\nContent-Length: {len(_IDENTIFY)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + _IDENTIFY


async def _asked(address: str, port: int, context: ssl.SSLContext | None, ask: bytes) -> bytes:
    """The beginning of an answer; empty where none came."""
    try:
        async with _connected(address, port, context, address) as (reader, writer):
            writer.write(ask)
            async with asyncio.timeout(_ANSWER):
                return await _head(reader)
    except (TimeoutError, OSError, ssl.SSLError):
        return b""


async def _head(reader: asyncio.StreamReader) -> bytes:
    read = b""
    while len(read) < _MOST and (part := await reader.read(4096)):
        read += part
        if not _STATUS.match(read) and len(read) > 16:
            break
        if b"\r\n\r\n" in read:
            break
    return read


def _software(head: bytes) -> str:
    found = _SERVER.search(head.partition(b"\r\n\r\n")[0])
    return found[1].decode() if found else ""


# --- RDP ------------------------------------------------------------------------------------------------------------


async def _speaks_rdp(address: str, port: int) -> bool:
    async with _connected(address, port) as (reader, writer), asyncio.timeout(_ANSWER):
        writer.write(rdp_request())
        version, _, length = struct.unpack(">BBH", await reader.readexactly(4))
        answer = await reader.readexactly(length - 4) if version == 3 and 4 < length <= 512 else None
    return isinstance(rdp_said(answer, f"{address}:{port}"), Answered)
