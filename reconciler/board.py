"""What is known of the source now, and who is told when it changes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reconciler.sync import Sync


class Board:
    """Holds what SyncStatus shows. `told` is called after every change of it."""

    def __init__(self, sync: Sync, told: Callable[[], None]) -> None:
        self.sync = sync
        self.told = told

    def say(self, **changed: Any) -> None:
        """These facts of `Sync` are so from now on."""
        sync = replace(self.sync, **changed)
        if sync != self.sync:
            self.sync = sync
            self.told()
