"""An HTTP server on loopback that says what a test wants, and remembers what it was asked."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpServer:
    """Paths: /status/N, /to/URL (302), /keep/URL (307), /hang, /break, /big/N, all else echoes what it was asked."""

    port: int = 0
    tls: bool = False
    asked: list[Asked] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    statuses: list[int] = field(default_factory=list)
    """The next statuses of /next, the last one for ever."""
    says: dict[str, bytes] = field(default_factory=dict)
    """What paths answer that are to say something of their own."""

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in head[1:-2])}
            asked = Asked(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))
            self.asked.append(asked)
            self.arrived.set()
            await self._answer(asked, reader, writer)
            await writer.drain()
        writer.close()

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, first, rest = (*asked.path.split("/", 2), "", "")[:3]
        status, extra, body = 200, "", b""
        match first:
            case "hang":
                await reader.read()
                return
            case _ if asked.path in self.says:
                body = self.says[asked.path]
            case "break":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                return
            case "big":
                body = b"x" * int(rest)
            case "status":
                status = int(rest)
            case "next":
                status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            case "to" | "keep":
                status, extra = (302 if first == "to" else 307), f"Location: {rest}\r\n"
            case _:
                said = {"method": asked.method, "path": asked.path, "headers": asked.headers}
                body = json.dumps({**said, "body": asked.body.decode()}).encode()
        head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\nX-Kind: test\r\n{extra}\r\n"
        writer.write(head.encode() + body)


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpServer]:
    made = HttpServer(tls=tls is not None)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@dataclass(frozen=True)
class Authority:
    """A private authority: its certificate as PEM, and certificates with their keys by it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def made(cls) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(_certificate("authority", key, None, "authority", key), key)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def signed(self, name: str) -> str:
        """PEM of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, name, "authority", self.key)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    address: str | None,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
    )
    if address is not None:
        try:
            names: list[x509.GeneralName] = [x509.IPAddress(ip_address(address))]
        except ValueError:
            names = [x509.DNSName(address)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())
