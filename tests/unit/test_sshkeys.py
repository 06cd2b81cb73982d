"""Keys whose structure is not that of a key are refused before anybody relies on them."""

import base64
import struct
import subprocess
from pathlib import Path

import pytest

from engine.checks.sshkeys import host_key_problem, public_key_problem

N256 = b"\x04" + b"x" * 64
DAMAGED = "the host key is cut off or damaged"


def key(kind: str, *fields: bytes) -> str:
    return f"{kind} {base64.b64encode(b''.join(struct.pack('>I', len(one)) + one for one in fields)).decode()}"


def rsa(bits: int, exponent: bytes = b"\x01\x00\x01") -> tuple[bytes, bytes, bytes]:
    return b"ssh-rsa", exponent, b"\x00" + (1 << bits - 1).to_bytes(bits // 8, "big")


@pytest.mark.parametrize(
    ("kind", "bits"), [("ed25519", 0), ("rsa", 1024), ("rsa", 2048), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521)]
)
def test_what_ssh_keygen_makes_is_a_key(kind: str, bits: int, tmp_path: Path) -> None:
    size = ["-b", str(bits)] if bits else []
    command = ["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "a comment", "-f", str(tmp_path / "key")]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    text = (tmp_path / "key.pub").read_text()

    assert host_key_problem(text) is None
    assert host_key_problem(f"@cert-authority {text}") is None
    assert public_key_problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        key("sk-ssh-ed25519@openssh.com", b"sk-ssh-ed25519@openssh.com", b"x" * 32, b"ssh:"),
        key("sk-ecdsa-sha2-nistp256@openssh.com", b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", N256, b"ssh:"),
    ],
)
def test_a_key_of_a_hardware_token_is_a_key(text: str) -> None:
    assert public_key_problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        key("ssh-ed25519", b"ssh-ed25519"),
        key("ssh-ed25519", b"ssh-ed25519", b"x" * 31),
        key("ssh-ed25519", b"ssh-ed25519", b"x" * 33),
        key("ssh-ed25519", b"ssh-ed25519", b"x" * 32, b"more"),
        key("ssh-ed25519", b"ssh-ed25519", b"x" * 32) + "AAAA",
        key("ssh-rsa", b"ssh-rsa", b"", b""),
        key("ssh-rsa", b"ssh-rsa", b"\x03", b""),
        key("ssh-rsa", *rsa(1016)),
        key("ssh-rsa", *rsa(2048, b"\x01")),
        key("ssh-rsa", *rsa(2048, b"\xff\xff")),
        key("ssh-rsa", b"ssh-rsa", b"\x03", b"\x80" + b"x" * 255),
        key("ssh-rsa", *rsa(2048), b"more"),
        key("ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp256", b"nistp521", N256),
        key("ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp256", b"nistp256", b""),
        key("ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp256", b"nistp256", N256 + b"x"),
        key("ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp256", b"nistp256", b"\x02" + N256[1:]),
        key("ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp384", b"nistp384", N256),
        key("ecdsa-sha2-nistp521", b"ecdsa-sha2-nistp521", b"nistp521", N256),
        key("sk-ssh-ed25519@openssh.com", b"sk-ssh-ed25519@openssh.com", b"x" * 32, b""),
        key("sk-ssh-ed25519@openssh.com", b"sk-ssh-ed25519@openssh.com", b"ssh:"),
    ],
)
def test_what_only_looks_like_a_key_is_refused(text: str) -> None:
    assert host_key_problem(text) == DAMAGED


def test_a_key_is_of_the_type_it_says() -> None:
    text = key("ssh-ed25519", b"ssh-rsa", b"x" * 32)

    assert host_key_problem(text) == "the host key is not of the type ssh-ed25519 it says"
