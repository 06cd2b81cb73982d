"""How long a runner leaves to others what is their share: no run waits for a runner that does not come."""

import math

from journal.clock import Clock
from journal.shares import Share

PATIENCE = 1.0
"""Seconds for which the oldest run that waits is left to others."""
_KNOWN = 10.0
"""Seconds for which a runner takes it that it is alone, since it last asked: longer than it ever waits to ask again."""


class Fairness:
    """What one runner takes, look after look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: tuple[int, float] | None = None
        """The oldest run that was left to others, and since when."""
        self._alone_until = -math.inf

    @property
    def alone(self) -> bool:
        """Whether all that waits is its own, as far as is known: to ask first what its share is would only take time.
        Where it is not so any more, others have less to do for a moment."""
        return self._left is None and self._clock.monotonic() < self._alone_until

    @property
    def waits(self) -> bool:
        """Whether something is left to others: it is to be looked for again after PATIENCE."""
        return self._left is not None

    def taken(self, share: Share, free: int) -> int:
        """How many runs to take now, with so much room. What others have not taken in time is anybody's."""
        if free > 0:  # else nobody was asked
            self._alone_until = self._clock.monotonic() + _KNOWN if share.alone else -math.inf
        if share.oldest is None or share.take >= share.waiting:
            self._left = None
            return min(free, share.take)
        now = self._clock.monotonic()
        if self._left is None or self._left[0] != share.oldest:
            self._left = (share.oldest, now)
        return free if now - self._left[1] >= PATIENCE else min(free, share.take)
