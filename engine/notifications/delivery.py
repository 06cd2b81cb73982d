"""When a message is tried again, and when a channel is left alone. Pure.

The circuit of a channel opens after some failures in a row: from then on one message at a time asks, at growing
distances, whether it works again; all others wait without an attempt of their own.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FIRST = timedelta(seconds=5)
LONGEST = timedelta(minutes=15)
OPENS_AT = 3
"""Failures in a row."""
_FARTHEST = timedelta(hours=2)
"""Nobody is left alone for so long: who is, is so by a clock that has been set back since."""


def pause(attempts: int, chance: float, asked: timedelta | None = None) -> timedelta:
    """How long to wait after so many attempts (from 1 on): doubled each time, LONGEST at most, and never all at once.

    `chance` from 0 to 1 takes off up to half of it. `asked`: what the other side asked for is the least.
    """
    whole: timedelta = min(FIRST * 2 ** min(max(attempts - 1, 0), 20), LONGEST)
    return max(whole * (1 - chance / 2), asked or timedelta(0))


@dataclass(frozen=True, slots=True)
class Circuit:
    """What is known of a channel: how often in a row it failed, and until when nothing is sent."""

    failures: int = 0
    until: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it counts as away: only one message at a time asks."""
        return self.failures >= OPENS_AT

    def room(self, now: datetime, under_way: int, most: int) -> int:
        """How many more messages may be under way."""
        if self.until is not None and now < self.until <= now + _FARTHEST:
            return 0
        return max((1 if self.is_open else most) - under_way, 0)

    def failed(self, now: datetime, chance: float, asked: timedelta | None = None) -> "Circuit":
        """After one more failure; `asked` is when the other side wants to be asked again, from now."""
        failures = self.failures + 1
        rest = pause(failures - OPENS_AT + 1, chance, asked) if failures >= OPENS_AT else asked
        return Circuit(failures, self.until if rest is None else now + rest)

    def worked(self) -> "Circuit":
        """After a success."""
        return replace(self, failures=0, until=None)
