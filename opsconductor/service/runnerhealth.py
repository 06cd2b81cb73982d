"""Whether a runner apart lives, and whether it does its work: judged by whoever asks, from what it shows of itself.

As of an engine (`opsconductor.service.health`), the answers name what is wrong and nothing of anything else.
"""

from datetime import timedelta

from journal.leases import LEASE
from opsconductor.service.health import HANGS, STUCK, Part
from runners.pulse import Pulse

_UNHEARD = timedelta(seconds=20)
"""It looks for work every five seconds; the journal may take some of them to answer."""


def alive(pulse: Pulse | None, since_turn: float) -> tuple[Part, ...]:
    """Whether starting the process anew could help: its event loop turns, and its looks for work end.

    `since_turn` is how many seconds ago the loop turned last. `pulse` None: nothing has begun.
    """
    stuck = f"it has not turned for {since_turn:.0f} s" if since_turn > STUCK.total_seconds() else None
    tried = 0.0 if pulse is None else pulse.now - pulse.tried
    hangs = tried != float("inf") and tried > HANGS.total_seconds()
    return (
        Part("event loop", stuck),
        Part("work", f"no look for it has ended for {tried:.0f} s" if hangs else None),
    )


def ready(pulse: Pulse | None, since_turn: float, unwritable: str | None) -> tuple[Part, ...]:
    """Whether it takes runs now. `unwritable` says why the journal cannot be written."""
    return (
        *alive(pulse, since_turn),
        Part("runner", _begun(pulse)),
        Part("journal", _heard(pulse, unwritable)),
        Part("leases", _renewed(pulse)),
    )


def _begun(pulse: Pulse | None) -> str | None:
    if pulse is None or not pulse.begun:
        return "it waits until nothing of an earlier one runs on this host"
    return "it is stopping" if pulse.draining else None


def _heard(pulse: Pulse | None, unwritable: str | None) -> str | None:
    if unwritable is not None:
        return "it cannot be written; the runner's log says why"
    if pulse is None or not pulse.begun:
        return None
    age = pulse.now - pulse.heard
    if age == float("inf"):
        return "it has not been asked for work yet"
    return f"it was asked for work {age:.0f} s ago last" if age > _UNHEARD.total_seconds() else None


def _renewed(pulse: Pulse | None) -> str | None:
    if pulse is None or pulse.unrenewed <= LEASE.total_seconds():
        return None
    return f"they were not renewed for {pulse.unrenewed:.0f} s: others may have its runs"
