"""What is known of our commits on the status branch where several processes write it, one after another.

The mirror of each knows only what it pushed itself. So the journal remembers the commit that was pushed last, and those
that were tried after it: whoever writes next knows the commits of whoever wrote before from a stranger's. The journal's
door is that of the one who leads: who does not lead any more cannot record a try, and so pushes nothing.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from journal import facts
from journal.store import Journal


@dataclass(frozen=True, slots=True)
class Known:
    """Full ids: the commit pushed last, and those whose push may still arrive."""

    pushed: str | None = None
    tried: frozenset[str] = frozenset()


class Line:
    """Of one branch. Each call is one transaction; repeating any is harmless."""

    def __init__(self, journal: Journal, ref: str) -> None:
        self._journal = journal
        self._key = f"status.line:{ref}"

    async def recalled(self) -> Known:
        """What whoever wrote last has left."""
        return await self._journal.read(self._known)

    async def trying(self, commit: str) -> None:
        """Call it before a push of the commit."""

        def change(tx: Connection) -> None:
            known = self._known(tx)
            if commit not in known.tried:
                self._put(tx, Known(known.pushed, known.tried | {commit}))

        await self._journal.write(change)

    async def advanced(self, commit: str | None) -> None:
        """The branch is known to be there; what was tried before cannot arrive any more."""

        def change(tx: Connection) -> None:
            if self._known(tx) != Known(commit):
                self._put(tx, Known(commit))

        await self._journal.write(change)

    def _known(self, conn: Connection) -> Known:
        found = facts.get(conn, self._key, {})
        return Known(found.get("pushed"), frozenset(found.get("tried", ())))

    def _put(self, tx: Connection, known: Known) -> None:
        facts.put(tx, self._key, {"pushed": known.pushed, "tried": sorted(known.tried)})
