"""Changes to files as patches that `git apply` takes, with the commands for a person. Pure: nothing is written."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

import pygit2

from opsconductor.acts import delimiter


@dataclass(frozen=True, slots=True)
class Change:
    """A file before and after; None: there is none."""

    before: str | None
    after: str | None


def patch(changes: Mapping[str, Change]) -> str:
    """The changes as one patch, by path. Files that stay as they are, are left out."""
    return "".join(_of(path, one) for path, one in sorted(changes.items()) if one.before != one.after)


def _of(path: str, change: Change) -> str:
    before, after = (None if text is None else text.encode() for text in (change.before, change.after))
    found = pygit2.Patch.create_from(before, after, path, path)
    return (found.data or b"").decode()


def commands(text: str, *, base: str, branch: str, message: str) -> str:
    """A block for a POSIX shell in a clean clone: a branch from the base with this patch, pushed for review."""
    end = delimiter(text)
    return f"""git switch --create {shlex.quote(branch)} {shlex.quote(base)} &&
git apply --index <<'{end}' &&
{text.removesuffix(chr(10))}
{end}
git commit --message {shlex.quote(message)} &&
git push --set-upstream origin {shlex.quote(branch)}
"""
