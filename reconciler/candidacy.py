"""What a controller does next about the lead: a pure decision, of what the database says and when it was seen."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias

from journal.databases import leaseclock
from journal.databases.leaseclock import STEADY
from journal.leadership import LEASE, Leader

LOOK = timedelta(seconds=1)
"""How often a controller that stands by looks whether somebody leads."""


@dataclass(frozen=True, slots=True)
class Take:
    """Nobody leads: try to."""


@dataclass(frozen=True, slots=True)
class StandBy:
    """Look again after `pause`. `led`: by whom, if anybody still does."""

    pause: timedelta
    led: Leader | None


Step: TypeAlias = Take | StandBy


@dataclass(frozen=True, slots=True)
class Patience:
    """From when on another may be taken for lost, in seconds of this process's own clock.

    Who could not reach the database must not take over at once when it can: the leader could not reach it either.
    """

    until: float = 0.0
    ahead: float | None = None
    """How far the lease clock was before our own when it was last seen."""

    def failed(self, now: float) -> "Patience":
        """The database could not be used at `now`; that counts from the last time that it could not."""
        return replace(self, until=now + LEASE.total_seconds())

    def seen(self, at: float, now: float) -> "Patience":
        """The lease clock showed `at` at `now`. Where it has jumped, the leader is given time to renew by it."""
        ahead = at - now
        jumped = self.ahead is not None and abs(ahead - self.ahead) > STEADY
        return replace(self.failed(now) if jumped else self, ahead=ahead)


def step(leader: Leader | None, own: str, *, at: float, patience: Patience, now: float) -> Step:
    """What to do at `at` of the lease clock, which is `now` of our own; `leader` is what the database holds.

    The lead that was given up is taken at once, and so is our own, left behind by an earlier life under this name.
    """
    if leader is None or leader.until is None or leader.name == own:
        return Take()
    if not leaseclock.over(leader.until, at, LEASE):
        return StandBy(min(LOOK, timedelta(seconds=leader.until - at)), leader)
    if now < patience.until:
        return StandBy(min(LOOK, timedelta(seconds=patience.until - now)), None)
    return Take()
