"""Why a source does not do what git asked of it, in words that say what to change."""

import os
import re
from pathlib import Path

import pygit2

from journal.errors import Refused, Unavailable
from reconciler.repository.gitprogram import LATER
from reconciler.repository.source import Source


class PushRejected(Exception):  # noqa: N818 - a normal answer
    """The remote ref is not what was expected: a normal answer. Fetch, look, and decide anew."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def of_push(ref: str, verdict: str, said_by_git: str, source: Source) -> Exception:
    """Why one ref was not taken: somebody else was there first, or somebody forbids it."""
    said = f"{verdict}\n{said_by_git}".lower()
    if re.search(r"no space left|disk quota", said):
        return Unavailable(f"the disk of {source.address} is full; free some space there", LATER)
    if re.search(r"stale info|fetch first|cannot lock ref|failed to lock|already exists|incorrect old", said):
        return PushRejected(verdict)
    where = f"{source.address} does not take {ref}"
    if "unpacker error" in said or "permission denied" in said or "insufficient permission" in said:
        return Refused(f"{where}: {verdict}; give this user permission to write there")
    if "branch is currently checked out" in said:
        return Refused(f"{where} because it is checked out there; check out another branch in that work tree")
    if "shallow" in said:
        return Refused(f"{where}: it is a shallow clone; complete it with `git fetch --unshallow` there")
    told = " ".join(re.findall(r"(?mi)^remote: (?:error: )?(.+)$", said_by_git))[:300]
    return Refused(
        f"{where}: {verdict}{': ' + told if told else ''}; allow this user to push it (a hook or a protected "
        "branch refuses it), or choose another branch in the Project's status.ref"
    )


def no_repository(path: Path) -> Refused:
    """What to tell where a path that should be a repository is none."""
    try:
        exists = path.exists()
    except OSError as error:
        return Refused(f"this user may not read {path}: {error.strerror}")
    if not exists:
        return Refused(f"there is no git repository at {path}: the path does not exist")
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        return Refused(f"this user may not read {path}; change its permissions")
    found = pygit2.discover_repository(str(path))
    if found is not None:
        root = Path(found).parent if Path(found).name == ".git" else Path(found)
        return Refused(f"{path} is a folder inside a git repository; give the repository itself: {root}")
    return Refused(f"{path} is not a git repository; make one there with `git init`, or give another path")
