"""What is signed in a commit, and by which key it says: read from the raw object, as git writes it. Pure.

Git signs the object without its `gpgsig` header (gitformat-signature(5)). What does not look exactly as git writes it
is refused: two readers of an odd object could see two things in it, and only one of them would be signed.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import Literal

_ORDER = re.compile(rb"tree (parent )*author committer ((encoding|gpgsig|mergetag) )*", re.ASCII)
_ID = re.compile(rb"[0-9a-f]{40}")
_ARMOR = re.compile(rb"-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)-----END SSH SIGNATURE-----\n?")
_PGP = re.compile(rb"-----BEGIN PGP SIGNATURE-----\n[^-]*(?:-[^-]+)*-----END PGP SIGNATURE-----\n?")
_PACKETS = re.compile(
    rb"-----BEGIN PGP SIGNATURE-----\n(?:[A-Za-z]+: [^\n]*\n)*[ \t]*\n"
    rb"((?:[A-Za-z0-9+/]+\n)*[A-Za-z0-9+/]+={0,2}\n)(?:=[A-Za-z0-9+/]{4}\n)?-----END PGP SIGNATURE-----\n?"
)
_SIGNATURE_PACKET = 2
MOST_BYTES = 1024 * 1024
"""Of a commit object whose signature is looked at."""
_MOST_SIGNATURE = 64 * 1024
_CERTIFICATE = b"-cert-v01@openssh.com"


class OddError(ValueError):
    """The object is not as git writes it; the message says what is odd, for people."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, and the signature as it stands in the commit."""

    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SshKey:
    """The key that an SSH signature says it is by. Nothing is proven yet."""

    type: str
    blob: bytes
    namespace: str

    @property
    def is_certificate(self) -> bool:
        return self.type.encode().endswith(_CERTIFICATE)

    @property
    def text(self) -> str:
        """As it stands in a file of public keys."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.blob)


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` shows a public key."""
    return "SHA256:" + base64.b64encode(sha256(blob).digest()).decode().rstrip("=")


def signed(raw: bytes, commit: str) -> Signed | None:
    """The signed part of a commit object and its signature; None where it carries none.

    Raises OddError for what git does not write, and for bytes that are not those of this commit id.
    """
    if len(raw) > MOST_BYTES:
        raise OddError(f"the commit object has {len(raw)} bytes")
    if sha1(b"commit %d\0%s" % (len(raw), raw), usedforsecurity=False).hexdigest() != commit:
        raise OddError("the object is not what its id says")
    head, gap, message = raw.partition(b"\n\n")
    if not gap:
        head, message = raw.rstrip(b"\n"), b""
    fields = _fields(head)
    if not _ORDER.fullmatch(b"".join(name + b" " for name, _ in fields)):
        raise OddError("the headers of the commit are not in the order that git writes")
    if b"\0" in head or any(not _ID.fullmatch(text) for name, text in fields if name in (b"tree", b"parent")):
        raise OddError("a header of the commit is not as git writes it")
    found = [text for name, text in fields if name == b"gpgsig"]
    if not found:
        return None
    if len(found) > 1:
        raise OddError("the commit carries two signatures")
    signature = found[0].replace(b"\n ", b"\n")
    if len(signature) > _MOST_SIGNATURE:
        raise OddError("the signature is far too long")
    kept = b"\n".join(name + b" " + text for name, text in fields if name != b"gpgsig")
    rest = raw[len(head) :] if gap else b"\n\n" + message
    return Signed(kept + rest, signature if signature.endswith(b"\n") else signature + b"\n")


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values; lines that continue a value stay as they are."""
    found: list[tuple[bytes, bytes]] = []
    for line in head.split(b"\n"):
        if line.startswith(b" ") and found:
            name, text = found[-1]
            found[-1] = name, text + b"\n" + line
        else:
            name, blank, text = line.partition(b" ")
            if not blank:
                raise OddError("a header of the commit is not as git writes it")
            found.append((name, text))
    return found


Kind = Literal["ssh", "openpgp", "other"]


def kind_of(signature: bytes) -> Kind:
    """Who can check it. Two signatures after each other, or anything beside one, are of no kind."""
    if _ARMOR.fullmatch(signature):
        return "ssh"
    return "openpgp" if _PGP.fullmatch(signature) else "other"


def ssh_key(signature: bytes) -> SshKey:
    """The key an SSH signature names (OpenSSH, PROTOCOL.sshsig). Raises OddError where it is none."""
    armored = _ARMOR.fullmatch(signature)
    try:
        blob = base64.b64decode(b"".join(armored[1].split()) if armored else b"", validate=True)
    except (binascii.Error, ValueError) as error:
        raise OddError("the signature is not base64") from error
    if blob[:10] != b"SSHSIG\0\0\0\1":
        raise OddError("the signature is not of a version that is known")
    key, after = _string(blob, 10)
    namespace, _ = _string(blob, after)
    kind, _ = _string(key, 0)
    try:
        return SshKey(kind.decode("ascii"), key, namespace.decode("ascii"))
    except UnicodeDecodeError as error:
        raise OddError("the signature names no type of key") from error


def openpgp_packets(signature: bytes) -> bytes:
    """What an OpenPGP signature holds, without its armor. Raises OddError for all but packets of signatures.

    Else whoever may push has gpg unpack gigabytes from 300 bytes: it reads compressed packets within a signature, too.
    """
    armored = _PACKETS.fullmatch(signature)
    try:
        blob = base64.b64decode(b"".join(armored[1].split()) if armored else b"", validate=True)
    except (binascii.Error, ValueError) as error:
        raise OddError("the signature is not base64") from error
    at = 0
    while at < len(blob):
        kind, at = _packet(blob, at)
        if kind != _SIGNATURE_PACKET:
            raise OddError("the signature holds something that is no signature")
    if not blob or at != len(blob):
        raise OddError("the signature is cut off, or not as gpg writes it")
    return blob


def _packet(blob: bytes, at: int) -> tuple[int, int]:
    """The kind of the packet that begins there (RFC 9580 4.2), and where it ends; one without a length has none."""
    head, one, two = blob[at], *(blob[at + 1 : at + 3].ljust(2, b"\0"))
    if head & 0xC0 == 0xC0:
        kind = head & 0x3F
        if one < 192:
            return kind, at + 2 + one
        if one < 224:
            return kind, at + 3 + ((one - 192) << 8) + two + 192
        return (kind, at + 6 + int.from_bytes(blob[at + 2 : at + 6], "big")) if one == 0xFF else (-1, at + 1)
    if not head & 0x80 or head & 3 == 3:
        return -1, at + 1
    size = 1 << (head & 3)
    return head >> 2 & 0xF, at + 1 + size + int.from_bytes(blob[at + 1 : at + 1 + size], "big")


def _string(blob: bytes, at: int) -> tuple[bytes, int]:
    """A length-prefixed string (RFC 4251 5), and where it ends."""
    end = at + 4 + int.from_bytes(blob[at : at + 4], "big")
    if len(blob) < max(end, at + 4):
        raise OddError("the signature is cut off")
    return blob[at + 4 : end], end
