"""How long a runner leaves to others what is their share: no run waits for a runner that does not come."""

from journal.clock import Clock
from journal.shares import Share

PATIENCE = 1.0
"""Seconds for which the oldest run that waits is left to others."""


class Fairness:
    """What one runner takes, look after look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: tuple[int, float] | None = None
        """The oldest run that was left to others, and since when."""

    @property
    def waits(self) -> bool:
        """Whether something is left to others: it is to be looked for again after PATIENCE."""
        return self._left is not None

    def taken(self, share: Share, free: int) -> int:
        """How many runs to take now, with so much room. What others have not taken in time is anybody's."""
        if share.oldest is None or share.take >= share.waiting:
            self._left = None
            return min(free, share.take)
        now = self._clock.monotonic()
        if self._left is None or self._left[0] != share.oldest:
            self._left = (share.oldest, now)
        return free if now - self._left[1] >= PATIENCE else min(free, share.take)
