"""opsconductor.lock at the root of a repository: what it was reviewed with. Written whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from engine.vendored import LOCK_FILE
from schemas.guard import load

_HEAD = "# What this repository was reviewed with; 'opsconductor library' and 'opsconductor plugin lock' write it.\n"


def parsed(text: bytes | None) -> dict[str, Any]:
    """What a lock says, by its top keys; nothing where there is none. Raises ValueError, saying where it is wrong."""
    if text is None:
        return {}
    loaded = load(text, LOCK_FILE)
    if loaded.findings:
        raise ValueError(f"{loaded.findings[0].span}: {loaded.findings[0].message}")
    whole = loaded.documents[0] if len(loaded.documents) == 1 else {}
    if not isinstance(whole, dict):
        raise ValueError(f"{LOCK_FILE} is not a mapping")
    return whole


def read(root: Path) -> dict[str, Any]:
    """The lock of a repository. Raises ValueError as `parsed` does."""
    file = root / LOCK_FILE
    return parsed(file.read_bytes() if file.is_file() else None)


def text_of(whole: Mapping[str, Any]) -> bytes:
    """The lock as a file; empty where it says nothing."""
    said = yaml.safe_dump(dict(whole), sort_keys=False, allow_unicode=True, width=1 << 20)
    return (_HEAD + said).encode() if whole else b""


def write(root: Path, text: bytes) -> None:
    """Put a lock into its place: whoever looks sees the former one or this one, also after a power cut."""
    file = root / LOCK_FILE
    half = file.with_name(f".{LOCK_FILE}.{os.getpid()}")
    try:
        with half.open("wb") as open_file:
            open_file.write(text)
            open_file.flush()
            os.fsync(open_file.fileno())
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)
    durable(root)


def durable(folder: Path) -> None:
    """Wait until the disk holds what was renamed into a folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
