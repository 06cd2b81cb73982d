"""`doctor`: what the engine needs on this machine and in this repository, each with what to do about it."""

import asyncio
import contextlib
import importlib.metadata
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.authority.trust import stricter
from engine.authority.trustfile import TrustFile
from engine.times import zones
from journal.errors import Refused, Unavailable
from opsconductor.settings import StateFolder
from reconciler.accepted import ACCEPTED, Accepted
from reconciler.authority.trust import TRUST_NOBODY, TrustSettings
from reconciler.repository.source import Source

_OLDEST_GIT = (2, 30)
_LITTLE_SPACE = 1 << 30


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `advice` says what to do where it is not good."""

    name: str
    good: bool
    found: str
    advice: str = ""


def examine(source: Source, state: StateFolder, branch: str, trust: TrustSettings = TRUST_NOBODY) -> tuple[Check, ...]:
    """Look at everything; a check that cannot be made is a check that failed."""
    return (
        *_programs(),
        *_plug_ins(),
        *_folder(state),
        *_secrets(state),
        *_repository(source, branch),
        *_trust(state, trust),
    )


def show(checks: tuple[Check, ...]) -> str:
    """One line a check, and a line of advice under each that is not good."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{'ok  ' if check.good else 'FAIL'}  {check.name.ljust(width)}  {check.found}")
        if not check.good and check.advice:
            lines.append(f"      {' ' * width}  -> {check.advice}")
    return "\n".join(lines)


def as_data(checks: tuple[Check, ...]) -> dict[str, Any]:
    """The same for programs."""
    return {"checks": [asdict(check) for check in checks]}


def _programs() -> Iterator[Check]:
    yield Check("python", sys.version_info >= (3, 11), sys.version.split()[0], "install Python 3.11 or newer")
    yield Check("opsconductor", True, importlib.metadata.version("opsconductor"))
    git = shutil.which("git")
    if git is None:
        yield Check("git", False, "not found", "install git 2.30 or newer and put it on PATH")
    else:
        words = subprocess.run(
            [git, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout.split()
        numbers = tuple(int(part) for part in words[2].split(".")[:2]) if len(words) > 2 else (0, 0)
        yield Check("git", numbers >= _OLDEST_GIT, " ".join(words[2:3]), "install git 2.30 or newer")
    yield Check("sqlite", sqlite3.sqlite_version_info >= (3, 35), sqlite3.sqlite_version, "needs SQLite 3.35 or newer")
    data = zones.source()
    yield Check("time zone data", data.origin != "system", data.text, "pip install tzdata: others have other data")
    shell = shutil.which("sh")
    yield Check("sh", shell is not None, shell or "not found", "local steps need a POSIX shell")


def _plug_ins() -> Iterator[Check]:
    from opsconductor.plugins.installed import faults, parts

    names = [f"{part.name} ({part.package} {part.version})" for part in parts()]
    wrong = faults()
    yield Check("plug-ins", True, ", ".join(names) or "none")
    for fault in wrong:
        advice = f"nothing else is affected; mend or uninstall {fault.source}"
        yield Check(f"plug-in {fault.name}", False, fault.problem, advice)


def _folder(state: StateFolder) -> Iterator[Check]:
    where = state.root
    existing = next(folder for folder in (where, *where.parents) if folder.exists())
    writable = os.access(existing, os.W_OK | os.X_OK)
    yield Check("state folder", writable, str(where), f"make {existing} writable, or name another with --state")
    free = shutil.disk_usage(existing).free
    yield Check("free space", free > _LITTLE_SPACE, f"{free >> 20} MiB", "logs and the store need room; free some")
    if where.exists() and where.stat().st_mode & 0o077:
        yield Check("state folder's mode", False, oct(where.stat().st_mode & 0o777), f"chmod 700 {where}")


def _secrets(state: StateFolder) -> Iterator[Check]:
    folder = state.secrets
    if not folder.is_dir():
        yield Check("secret folder", True, f"{folder} (none yet)")
        return
    loose = [file.name for file in folder.iterdir() if file.is_file() and file.stat().st_mode & 0o077]
    advice = f"chmod 600 {folder}/{{{','.join(loose)}}}" if loose else ""
    yield Check(
        "secret folder", not loose, f"{folder}: others may read {', '.join(loose)}" if loose else str(folder), advice
    )


def _trust(state: StateFolder, trust: TrustSettings) -> Iterator[Check]:
    """Whose commits come into force: the least that settings ask for, the trust file, and where trust began."""
    from reconciler.authority.keyfiles import KeyFiles
    from reconciler.authority.signingprograms import TrustUnavailable

    accepted = _accepted(state)
    mode = stricter(trust.mode, accepted.mode)
    unchecked = "; whoever can push is believed" if mode == "none" else ""
    yield Check("verify", True, f"{mode}{unchecked}")
    if mode != "none":
        found = shutil.which("ssh-keygen")
        yield Check("ssh-keygen", found is not None, found or "not found", "install the OpenSSH client, 8.9 or newer")
    if trust.file is not None:
        with tempfile.TemporaryDirectory(prefix="opsconductor-doctor-") as folder:
            try:
                said = _told(KeyFiles(trust.file, Path(folder)).keys().file)
                yield Check("trust file", True, f"{trust.file}: {said}")
            except TrustUnavailable as error:
                advice = "until it can be used no new commit comes into force"
                yield Check("trust file", False, str(error), advice)
    if accepted.root is not None:
        commit, _, proof = accepted.root.partition(" ")
        yield Check("trust root", True, f"{commit[:12]}, {proof}")
    elif accepted.trusted is not None:
        yield Check("trust root", True, "not known: it was before this version")


def _told(file: TrustFile) -> str:
    people = len(file.signers) + len(file.openpgp)
    revoked = len(file.revoked) + len(file.revoked_openpgp)
    return (
        f"{people} keys of people, {len(file.authorities)} authorities, {len(file.forges)} keys of forges, "
        f"{revoked} keys revoked"
    )


def _accepted(state: StateFolder) -> Accepted:
    """What the journal remembers, without a change to it."""
    if not state.journal.exists():
        return Accepted()
    try:
        with contextlib.closing(sqlite3.connect(f"{state.journal.as_uri()}?mode=ro", uri=True)) as journal:
            row = journal.execute("SELECT value FROM facts WHERE key = ?", (ACCEPTED,)).fetchone()
    except sqlite3.Error:
        return Accepted()
    return Accepted.of(json.loads(row[0]) if row and row[0] else None)


def _repository(source: Source, branch: str) -> Iterator[Check]:
    with tempfile.TemporaryDirectory(prefix="opsconductor-doctor-") as folder:
        try:
            heads = asyncio.run(_look(source, branch, Path(folder)))
        except (Refused, Unavailable) as error:
            yield Check("repository", False, source.shown, str(error))
            return
    yield Check("repository", True, source.shown)
    yield Check(
        f"branch {branch}",
        heads is not None,
        (heads or "not found")[:12],
        "push a commit to it, or name another branch with --branch",
    )


async def _look(source: Source, branch: str, folder: Path) -> str | None:
    from reconciler.repository.mirror import Mirror

    ref = f"refs/heads/{branch}"
    mirror = Mirror(folder / "mirror.git", source.text, environment=os.environ)
    heads = await mirror.poll([ref])
    return heads[ref]
