"""What `target test` left in the state folder of this machine goes into the journal, and so to the status branch."""

import asyncio
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import Connection

from journal.store import Journal
from opsconductor.lasttests import LastTest, kept, last, note_again, noted


class TestResults:
    """Looks into the folder when it is told to. What lies there stays: it is noted once, however often it is seen."""

    __test__ = False  # it only sounds like one

    def __init__(self, journal: Journal, folder: Path) -> None:
        self._journal = journal
        self._folder = folder
        self._seen: dict[str, int] = {}
        """Of each target that was taken in, when its file was written, in nanoseconds."""

    async def take(self, targets: Collection[str]) -> None:
        """Take in what is new of these targets. Raises Unavailable and Refused."""
        written = await asyncio.to_thread(kept, self._folder)
        fresh = {name: at for name, at in written.items() if name in targets and self._seen.get(name) != at}
        if not fresh:
            return
        found = await asyncio.to_thread(self._read, list(fresh))
        await self._journal.write(lambda tx: _note(tx, found))
        self._seen |= fresh

    def _read(self, names: list[str]) -> dict[str, LastTest]:
        each = ((name, last(self._folder, name)) for name in names)
        return {name: found for name, found in each if found is not None}


def _note(tx: Connection, found: dict[str, LastTest]) -> None:
    for name, tested in sorted(found.items()):
        known = noted(tx, name)
        if known is None or known.at < tested.at:
            note_again(tx, name, tested)
