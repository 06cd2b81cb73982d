"""`accept COMMIT`: a person on the server lets the engine go on; recorded in the journal, taken in at the next look."""

import asyncio
import re

from journal import facts
from journal.clock import SystemClock
from journal.errors import Refused
from journal.store import Journal
from opsconductor.exits import UsageError
from opsconductor.settings import StateFolder
from reconciler.accepted import ACCEPTANCE
from reconciler.objects import Objects


def accept(state: StateFolder, commit: str) -> None:
    """Raises UsageError where the id is not whole or the folder no engine's, Refused for a commit it never saw."""
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        raise UsageError(f"{commit!r}: give the full commit id, as sync.yaml names it")
    if not state.journal.exists():
        raise UsageError(f"{state.root} is not an engine's state folder; name its --source or --state")
    if not Objects(state.mirror).has(commit):
        raise Refused(
            f"the engine has seen no commit {commit}; the one that waits is observedCommit in "
            "'opsconductor describe syncstatus sync'"
        )
    asyncio.run(_record(state, commit))


async def _record(state: StateFolder, commit: str) -> None:
    journal = Journal.open(f"sqlite:///{state.journal}", clock=SystemClock())
    try:
        await journal.write(lambda tx: facts.put(tx, ACCEPTANCE, commit))
    finally:
        await journal.close()
