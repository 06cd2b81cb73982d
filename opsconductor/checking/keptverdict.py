"""What `validate` last said of a folder: said again at once, while nothing that it rests on has changed.

Editors, hooks and pipelines ask about the same files again and again, and loading the language takes ten times as long
as comparing their digests. What is kept is never believed where others could have written it: nobody may get a commit
past its check by committing an answer of his own.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsconductor.checking.basis import Basis
from opsconductor.checking.tree import top_of
from opsconductor.owncache import own_cache

_MOST = 100
"""Answers that are kept: one for each folder and format."""
_LONGEST = 1024 * 1024
"""Characters of an answer that is kept."""
_PACKAGES = ("opsconductor", "engine", "schemas", "step_libraries")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is printed, and the exit code."""

    said: str
    code: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The place of one answer about a folder."""

    root: Path
    file: Path
    program: str
    """Who answers now."""

    @classmethod
    def of(cls, root: Path, *asked: str) -> "Kept | None":
        """For a folder and what else was asked; None where no answer may be kept."""
        with suppress(OSError, RuntimeError):
            folder = (own_cache() / "validate").resolve()
            if not folder.is_relative_to(top_of(root)):
                name = hashlib.sha256(json.dumps([str(root), *asked]).encode()).hexdigest()
                return cls(root, folder / f"{name}.json", _program())
        return None

    def verdict(self) -> Verdict | None:
        """What was said, if it would be said again."""
        try:
            if not _is_own(self.file.parent):
                return None
            record = json.loads(self.file.read_bytes())
            known = record["program"] == self.program and _basis(record).stands(self.root)
            return Verdict(record["said"], record["code"]) if known else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # nothing there, or nothing of ours

    def keep(self, verdict: Verdict, basis: Basis) -> None:
        """For the next time. Nothing happens where that cannot be written."""
        if len(verdict.said) > _LONGEST:
            return
        record = {
            "program": self.program,
            "globs": basis.globs,
            "read": basis.read,
            "held": basis.held,
            "small": basis.small,
            "said": verdict.said,
            "code": verdict.code,
        }
        with suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if _is_own(self.file.parent):
                self._write(json.dumps(record).encode())

    def _write(self, data: bytes) -> None:
        made = self.file.with_suffix(f".{os.getpid()}")
        made.write_bytes(data)
        made.replace(self.file)
        others = sorted(self.file.parent.iterdir(), key=lambda file: file.lstat().st_mtime_ns)
        for old in others[:-_MOST]:
            old.unlink(missing_ok=True)


def _basis(record: Any) -> Basis:
    return Basis(tuple(record["globs"]), record["read"], dict(record["held"]), dict(record["small"]))


def _is_own(folder: Path) -> bool:
    """Whether nobody else may write there. A checkout never makes such a folder."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


def _program() -> str:
    """Who answers: this very code, and the packages it works with, by their versions."""
    known: list[object] = [sys.version]
    known += sorted(name for entry in sys.path for name in _names(entry) if name.endswith((".dist-info", ".egg-info")))
    known += (found for package in _PACKAGES for found in _files(f"{Path(__file__).parents[2]}/{package}"))
    return hashlib.sha256(repr(known).encode("utf-8", "surrogatepass")).hexdigest()


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    """The files below a folder, by what changes with their bytes."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if not entry.is_dir():
                found = entry.stat()
                yield entry.path, found.st_size, found.st_mtime_ns
            elif entry.name != "__pycache__":
                yield from _files(entry.path)
