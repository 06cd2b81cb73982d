"""What is due soon is worked out before it is due: what ten thousand at one moment then wait for is the disk."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import perf_counter

from engine.judge import Launch
from engine.runs.refused import PlanRefused
from engine.schedules.decide import ON_TIME, Decided, ScheduleClock

HORIZON = timedelta(seconds=90)
"""What is due within this time is worked out."""
_LOOK_AGAIN = timedelta(seconds=20)
_LONGEST = 0.005
"""Seconds."""
_MOST = 20_000
"""Of more than these the rest is worked out when it is due; each takes some kilobytes."""
_BREATH, _IDLE = 0.005, 2.0
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The next decision of a schedule, where it is that one instant runs and nothing is skipped."""

    clock: ScheduleClock
    """From where on it was decided; it is of no use for another."""
    decided: Decided
    launch: Launch | PlanRefused
    next: datetime | None
    """The due instant after this one."""

    def at(self, clock: ScheduleClock, now: datetime) -> Decided | None:
        """What `decide` says at `now`; None where it has to be asked.

        Later looks see the same instant and no other one, until the next one is due or this one is late.
        """
        (due,) = self.decided.runs
        still = due.instant <= now <= due.instant + ON_TIME and (self.next is None or now < self.next)
        return replace(self.decided, considered_until=now) if still and clock == self.clock else None


class Beforehand:
    """Keeps what was foreseen. `work_out` gives a schedule's next decision, or None where it is not that simple."""

    def __init__(
        self, upcoming: Callable[[datetime, int], Sequence[str]], work_out: Callable[[str], Foreseen | None]
    ) -> None:
        self._upcoming = upcoming
        self._work_out = work_out
        self.forget()

    def forget(self) -> None:
        """Other definitions are in force."""
        self._known: dict[str, Foreseen] = {}
        self._left: deque[str] = deque()
        self._looked = _LONG_AGO

    def take(self, name: str) -> Foreseen | None:
        """What was foreseen of a schedule, once."""
        return self._known.pop(name, None)

    def work(self, now: datetime) -> float:
        """Work out some of what is due soon. Gives the seconds after which it wants to be called again.

        It stops after some milliseconds, in which nothing else of the engine goes on, and leaves others as long as it
        took: on a fleet of thousands one plan alone takes hundreds of them.
        """
        began = perf_counter()
        if not self._left and not self._looked <= now < self._looked + _LOOK_AGAIN:
            self._looked = now
            names = [name for name in self._upcoming(now + HORIZON, _MOST) if name not in self._known]
            self._left.extend(names[: _MOST - len(self._known)])
        while self._left and perf_counter() < began + _LONGEST:
            name = self._left.popleft()
            if (found := self._work_out(name)) is not None:
                self._known[name] = found
        return max(_BREATH, perf_counter() - began) if self._left else _IDLE
