"""Whether the engine lives, and whether it does its work: judged by whoever asks, from what the engine shows of itself.

The probes' answers name what is wrong and no path, address or message of anything else: they need no token.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

TURN = 0.5
"""Seconds between two signs that an event loop turns."""
STUCK = timedelta(seconds=15)
"""An event loop that has not turned for so long is stuck: its runs' leases are over."""
HANGS = timedelta(minutes=5)
"""A pass that takes longer than this hangs: the largest commits take a minute."""
UNPUBLISHED = timedelta(minutes=2)
"""What happened is on the status branch within 15 s; for so long it may stay away, as over a host that restarts."""
_INTERVALS = 3
_SLACK = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Working:
    """What the runner in this process does: the runs that it works on, and how many it takes at once."""

    runs: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Rank:
    """Of a controller among those of its database: its name, whether it leads, and who leads as far as it knows."""

    name: str
    leads: bool
    leader: str | None


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the engine shows of itself. Without another word these are seconds of one monotonic clock.

    A moment that has not come yet is minus infinity.
    """

    now: float
    started_at: datetime
    turned: float
    """When the event loop turned last."""
    tried: float
    """When the last pass ended, whole or not."""
    passed: float
    """When the last whole pass ended."""
    seen: float
    """When the source was seen last."""
    pace: timedelta
    """How often the source is looked at."""
    commit: str | None
    """The commit in force."""
    paused: bool
    claimed: bool
    """Whether the status branch is ours, as far as is known."""
    stopping: bool
    working: Working | None
    """None: no runner has begun here."""
    rank: Rank | None = None
    """None: it is alone."""
    published: float = float("-inf")
    """When the status branch last had all that it was to have, or got a part of it; counted from the claim on."""
    unpublished: str | None = None
    """What the last try to publish met, where it did not get through. For pages: it may name paths and addresses."""

    @property
    def never_began(self) -> bool:
        """Whether no engine is at work: it is of what somebody exported."""
        return self.paused and self.tried == float("-inf")

    def since(self, moment: float) -> float:
        """Seconds from a moment until now; infinity where it has not come."""
        return max(0.0, self.now - moment)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that must be well. `trouble` is None where it is."""

    name: str
    trouble: str | None


def alive(pulse: Pulse) -> tuple[Part, ...]:
    """Whether starting the process anew could help: it turns, and its passes end."""
    turn, tried = pulse.since(pulse.turned), pulse.since(pulse.tried)
    stuck = f"it has not turned for {turn:.0f} s" if turn > STUCK.total_seconds() else None
    hangs = tried != float("inf") and tried > HANGS.total_seconds()
    return (
        Part("event loop", stuck),
        Part("reconciler", f"no pass has ended for {tried:.0f} s" if hangs else None),
    )


def ready(pulse: Pulse, unwritable: str | None) -> tuple[Part, ...]:
    """Whether it does its work now. `unwritable` says why the journal cannot be written."""
    return (
        *alive(pulse),
        Part("definitions", "no commit is in force yet" if pulse.commit is None else None),
        Part("journal", None if unwritable is None else "it cannot be written; the engine's log says why"),
        Part("status branch", _claim(pulse)),
        Part("source", _old("it was seen", pulse, pulse.seen)),
        Part("reconcile", _old("a whole pass was made", pulse, pulse.passed)),
        Part("engine", "it is stopping" if pulse.stopping else None),
    )


def _claim(pulse: Pulse) -> str | None:
    if pulse.rank is not None and not pulse.rank.leads:
        return None if pulse.rank.leader is not None or pulse.paused else "no controller leads"
    if pulse.paused:
        return None
    if not pulse.claimed:
        return "it is not ours, or that is not known"
    age = pulse.since(pulse.published)
    if age == float("inf") or age <= UNPUBLISHED.total_seconds():
        return None
    return f"nothing could be published for {age:.0f} s; jobs go on, and the engine's log says why"


def _old(done: str, pulse: Pulse, moment: float) -> str | None:
    most = _INTERVALS * pulse.pace + _SLACK
    age = pulse.since(moment)
    if age <= most.total_seconds():
        return None
    if age == float("inf"):
        return f"not once yet that {done}"
    return f"{age:.0f} s ago that {done} last, more than {_INTERVALS} intervals"


def in_short(parts: tuple[Part, ...]) -> str | None:
    """What is not well, in one line; None where all is."""
    return "; ".join(f"{part.name}: {part.trouble}" for part in parts if part.trouble is not None) or None


def text(parts: tuple[Part, ...], *, whole: bool) -> str:
    """`ok`, or what is not; with `whole`, every part."""
    bad = [part for part in parts if part.trouble is not None]
    shown = parts if whole else bad
    lines = [f"{part.name}: {part.trouble or 'ok'}" for part in shown]
    return "\n".join([*(["ok"] if not bad else []), *lines]) + "\n"
