"""The port between the journal and the runners. The journal is the truth; a message is a hint.

A dispatcher wakes runners when there may be something to claim. It promises nothing more: a wake may come late,
twice, or for nothing, and one may be lost, so that a runner asks the journal all the same after `timeout`. It never
says which run, and carries no data: what a runner works on is decided by its claim alone (journal.leases).
"""

from typing import Protocol


class Dispatch(Protocol):
    """Wakes the runners of one process.

    Each runner has its own. Called by one task at a time; cancelling a wait loses no wake.
    """

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 - how long to wait is the caller's
        """Return when something may have become claimable, or after `timeout` seconds."""
        ...
