"""What hosts say when a scan asks them who they are: by real servers on loopback that say what no decent one does."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID, ObjectIdentifier

from engine.discovery.seen import Service
from runners.nmap import asking
from runners.nmap.asking import told

KEY = ec.generate_private_key(ec.SECP256R1())
PEM_KEY = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate(*extensions: tuple[str, bytes]) -> bytes:
    """DER. The extensions are object identifiers and what stands in them."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key()).serial_number(7)
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    for identifier, data in extensions:
        made = made.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(identifier), data), critical=False)
    return made.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def changed(data: bytes, before: str, after: str) -> bytes:
    assert bytes.fromhex(before) in data
    return data.replace(bytes.fromhex(before), bytes.fromhex(after))


HOSTILE = {
    "one extension twice": changed(
        certificate(("1.3.9.1", b"\x05\x00"), ("1.3.9.2", b"\x05\x00")), "06032b0902", "06032b0901"
    ),
    "a version that there is not": changed(certificate(), "a003020102", "a003020107"),
    "a name of a kind that nobody has": certificate(("2.5.29.17", bytes.fromhex("3004a3020500"))),
    "a name that is no text": certificate(("2.5.29.17", bytes.fromhex("30048202ffff"))),
}


@contextlib.asynccontextmanager
async def showing(der: bytes, folder: Path) -> AsyncIterator[int]:
    """A web server with this certificate; gives its port."""
    (folder / "certificate.pem").write_text(ssl.DER_cert_to_PEM_cert(der))
    (folder / "key.pem").write_bytes(PEM_KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(100)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("der", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_certificate_is_kept_and_names_nothing(der: bytes, tmp_path: Path) -> None:
    """One port of one host must not end the scan of a network."""
    async with showing(der, tmp_path) as port:
        found = await told("127.0.0.1", Service(port, tls=True), ())
    assert found.trouble is None
    assert found.answer is not None
    assert (found.answer.kind, found.answer.tls, found.answer.names) == ("http", True, ())
    assert ssl.PEM_cert_to_DER_cert(found.answer.certificate) == der


async def test_what_trips_over_a_bug_of_ours_costs_its_port_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(der: bytes) -> tuple[str, ...]:
        raise LookupError(f"{len(der)} bytes")

    monkeypatch.setattr(asking, "_names_in", broken)
    async with showing(certificate(), tmp_path) as port:
        found = await told("127.0.0.1", Service(port, tls=True), ())
    assert (found.answer, found.trouble) == (None, f"port {port} of 127.0.0.1: an error of ours: LookupError")
