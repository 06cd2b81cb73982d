"""`accept COMMIT`: a person on the server lets the engine go on; recorded in the journal, taken in at the next look."""

import asyncio
import re

from sqlalchemy import Connection

from journal import commits, facts
from journal.clock import SystemClock
from journal.errors import Refused
from journal.store import Journal
from opsconductor.exits import UsageError
from opsconductor.settings import StateFolder
from opsconductor.telling import store_of
from reconciler.accepted import ACCEPTANCE, OBSERVED
from reconciler.repository.objects import Objects


def accept(state: StateFolder, commit: str, *, database: str | None = None) -> None:
    """`database` is the URL of a journal that several share; without it the journal is the one of the state folder.

    Raises UsageError where the id is not whole or the folder no engine's, Refused for a commit that no engine saw, and
    Unavailable.
    """
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        raise UsageError(f"{commit!r}: give the full commit id, as sync.yaml names it")
    store = database or store_of(state)
    mirrored = state.mirror.is_dir() and Objects(state.mirror).has(commit)
    asyncio.run(_record(store, commit, mirrored=mirrored))


async def _record(store: str, commit: str, *, mirrored: bool) -> None:
    journal = Journal.open(store, clock=SystemClock())
    try:
        if not mirrored and not await journal.read(lambda conn: _seen(conn, commit)):
            raise Refused(
                f"the engine has seen no commit {commit}; the one that waits is observedCommit in "
                "'opsconductor describe syncstatus sync'"
            )
        await journal.write(lambda tx: facts.put(tx, ACCEPTANCE, commit))
    finally:
        await journal.close()


def _seen(conn: Connection, commit: str) -> bool:
    """On a machine without a mirror: what controllers wrote down of the commits that they looked at."""
    return facts.get(conn, OBSERVED, None) == commit or commits.is_known(conn, commit)
