"""Whether this source is the one that the controllers of a database have in common.

It goes by history and not by address, of which one repository has many: what is in force must be in it, or come from
the same first commits. A fork has the same history, and cannot be told from the repository that it is of.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection

from journal import facts
from journal.errors import Refused, Unavailable
from journal.store import Journal
from reconciler.accepted import ACCEPTANCE, ACCEPTED, Accepted, text_of
from reconciler.repository.mirrorfolder import OpenRepository, intact
from reconciler.repository.objects import Objects

log = structlog.get_logger(__name__)

SOURCE = "source"
"""The fact that names the source's first commits, and where it was when they were written down."""
_LOOK = 2.0


class OtherSource(Refused):
    """The database belongs to the controllers of another repository."""


class SameSource:
    """Of the mirror at `path` and the source at `address`. Each has Objects of its own: call it from any task."""

    def __init__(self, journal: Journal, path: Path, address: str) -> None:
        self._journal = journal
        self._path = path
        self._address = address

    async def check(self, head: str | None) -> bool:
        """Whether the source is the one whose commit is in force, by the branch as it was seen; False: not known yet.

        Raises OtherSource where it is another.
        """
        accepted, acceptance, known, where = await self._journal.read(_known)
        if accepted is None or head is None:
            return False
        if await asyncio.to_thread(self._has_any, accepted, acceptance):
            return True
        if known and not known & await asyncio.to_thread(roots, self._path, head):
            raise OtherSource(
                f"the database is used by controllers of another source, {where}: commit {accepted[:12]}, which is in "
                f"force, is not in {self._address}, and the two have no commit in common. Give this one a database of "
                "its own, or start it with the same source. If the history of this source was written anew, "
                f"'opsconductor accept {head} --source SOURCE --database URL' on this machine lets it go on from there"
            )
        return False  # a copy of the same repository that is behind

    def _has_any(self, *commits: str | None) -> bool:
        objects = Objects(self._path)
        return any(commit is not None and objects.has(commit) for commit in commits)

    async def remember(self, in_force: Callable[[], str | None]) -> None:
        """For who leads, until it is cancelled: write down of which history the commit in force is."""
        written: str | None = None
        while True:
            commit = in_force()
            if commit is not None and commit != written:
                try:
                    await self._written(commit, after=written)
                    written = commit
                except (Unavailable, Refused) as error:
                    log.debug("of which history the source is will be written down later", error=error.message)
            await asyncio.sleep(_LOOK)

    async def _written(self, commit: str, *, after: str | None) -> None:
        if after is not None and await asyncio.to_thread(self._follows, after, commit):
            return
        found = sorted(await asyncio.to_thread(roots, self._path, commit))
        said: dict[str, object] = {"roots": found, "address": self._address}
        await self._journal.write(partial(_put, said=said))

    def _follows(self, before: str, now: str) -> bool:
        return Objects(self._path).is_ancestor(before, now)


def roots(path: Path, commit: str) -> frozenset[str]:
    """The commits without a parent that a commit comes from."""
    repository = OpenRepository(path)
    with intact(path):
        return frozenset(str(one.id) for one in repository.get().walk(commit) if not one.parent_ids)


def _known(conn: Connection) -> tuple[str | None, str | None, frozenset[str], str]:
    accepted = Accepted.of(facts.get(conn, ACCEPTED, None))
    said = facts.get(conn, SOURCE, None) or {}
    acceptance = text_of(facts.get(conn, ACCEPTANCE, None))
    return accepted.applied, acceptance, frozenset(said.get("roots", ())), str(said.get("address", "elsewhere"))


def _put(tx: Connection, said: dict[str, object]) -> None:
    if facts.get(tx, SOURCE, None) != said:
        facts.put(tx, SOURCE, said)
