"""What runs on Windows around a step: read by a grammar of PowerShell, since no PowerShell runs here."""

import base64

import pytest
import tree_sitter
import tree_sitter_powershell

from runners.connections.winrm import scripts
from runners.connections.winrm.errors import Garbled
from runners.connections.winrm.sealing import seal, unseal

NAMES = ("BOOTSTRAP", "VERSION", "STAT", "LIST", "READ", "CREATE", "APPEND", "RENAME", "MAKE_FOLDER", "REMOVE", "BATCH")


@pytest.mark.parametrize("name", NAMES)
def test_every_script_is_powershell(name: str) -> None:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    tree = parser.parse(getattr(scripts, name).encode())

    assert not tree.root_node.has_error, str(tree.root_node)


def test_the_command_line_fits_cmd() -> None:
    assert len(" ".join(scripts.STARTED)) < 8_000, "cmd takes 8,191 characters"


def test_a_line_is_plain_ascii_whatever_is_in_it() -> None:
    line = scripts.line_of("echo 'ü'\n", env={"A": "1,2", "B": "\r\n\0"}, stdin="", folder="C:\\")
    assert line.isascii()
    assert line.isprintable()
    fields = [base64.b64decode(one).decode() for one in line.split(",")]
    assert fields == ["echo 'ü'\n", "C:\\", "1", "", "A", "1,2", "B", "\r\n\0"]


class Plain:
    """Keys that do not encrypt, and tell whether they made what they are given."""

    def wrap_winrm(self, data: bytes) -> tuple[bytes, bytes, int]:
        return b"signature", data[::-1], 0

    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes:
        if header != b"signature":
            raise ValueError("not mine")
        return data[::-1]


@pytest.mark.parametrize(
    "message", [b"x", b"--Encrypted Boundary\r\n", b"--Encrypted Boundary--\r\n", bytes(range(256))]
)
def test_what_is_sealed_is_opened(message: bytes) -> None:
    """Also where the message looks like the form around it."""
    assert unseal(Plain(), seal(Plain(), message, "application/HTTP-SPNEGO-session-encrypted")) == message


SEALED = seal(Plain(), b"message", "application/HTTP-SPNEGO-session-encrypted")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<s:Envelope/>",
        b"<s:Envelope/>" + SEALED,
        SEALED + b"<s:Envelope/>",
        SEALED.replace(b"Length=7", b"Length=8"),
        SEALED.replace(b"signature", b"Signature"),
        SEALED.replace(b"\x09\x00\x00\x00", b"\xff\xff\xff\x7f"),
        SEALED.replace(b"\x09\x00\x00\x00", b"\xff\xff\xff\xff"),
        SEALED[: len(SEALED) // 2],
        SEALED + SEALED,
    ],
)
def test_what_is_sealed_in_another_way_is_refused(body: bytes) -> None:
    with pytest.raises(Garbled):
        unseal(Plain(), body)
