"""Runs that a runner has claimed, and of which nothing is on record yet: more of them at once begin no sooner."""

from engine.identity import RunId
from journal.clock import Clock

AT_ONCE = 16
"""So many are in a runner's hands at most. An urgent run that comes meanwhile would wait for all of them, and the other
runners have places for them too."""
FOR_URGENT = 4
"""So many more are claimed beside them, of a priority above 0: what is urgent waits for none that is not."""
SLOW = 1.0
"""Seconds after which one keeps no other waiting: a source of its secrets may take its time."""


class Beginnings:
    """What one runner has claimed and has not begun."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[RunId, float] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._since)

    def claimed(self, run: RunId) -> None:
        """It is to begin."""
        self._since[run] = self._clock.monotonic()

    def done(self, run: RunId) -> bool:
        """Something of it is on record, or it is not ours any more. False: that was known."""
        return self._since.pop(run, None) is not None

    @property
    def room_for_urgent(self) -> int:
        """The same of urgent ones, where there is no room for others."""
        return max(0, AT_ONCE + FOR_URGENT - self._held())

    @property
    def room(self) -> int:
        """How many more may be claimed now."""
        return max(0, AT_ONCE - self._held())

    def _held(self) -> int:
        since = self._clock.monotonic() - SLOW
        return sum(at > since for at in self._since.values())
