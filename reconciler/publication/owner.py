"""One owner of the status branch: the claim is pushed before anything is decided, and closed when all is drained.

The claim needs no heartbeat. It is a word in `sync.yaml`, changed only by compare-and-swap, so of two engines that
start at once one finds the other's. An engine that was killed leaves its claim open; it knows it again by its id, which
comes from the machine and the state folder and so outlives a deleted store.
"""

import platform
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_never

import structlog

from engine.status.views import EngineView
from journal.clock import Clock
from journal.errors import Refused, Unavailable
from journal.points import reach
from reconciler.publication.claim import SYNC_FILE, Proceed, Refuse, Wait, claim_in, engine_id, judge, named, with_claim
from reconciler.publication.publish import BranchGone, OtherOwner, Publisher
from reconciler.repository.gitprogram import SOON

__all__ = ["Found", "Proceed", "Refuse", "Taken", "Wait", "claim", "close", "engine_id", "judge", "machine_id"]

log = structlog.get_logger(__name__)

_TRIES = 10
_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


class Taken(Refused):
    """The branch has another engine's open claim."""


@dataclass(frozen=True, slots=True)
class Found:
    """The branch is ours now. `before` is the claim that stood there, `commit` the branch that was taken in.

    `commit` is None for a branch that did not exist. What is lost, if the store is new too, follows from `before`:
    closed, nothing; open and by our own id, what was not published yet.
    """

    own: EngineView
    before: EngineView | None
    commit: str | None

    @property
    def drained(self) -> bool:
        """Whether whoever wrote the branch last stopped in order, so that the branch says everything."""
        return self.before is None or self.before.closed is not None


async def claim(
    publisher: Publisher,
    *,
    clock: Clock,
    take_over: bool,
    host: str,
    sleep: Callable[[float], Awaitable[None]],
    interval: timedelta | None = None,
    intending: Callable[[EngineView | None], Awaitable[None]] | None = None,
) -> Found:
    """Make the status branch ours before anything is decided (CONTRACT 4, "One owner").

    Raises Refused, naming the other engine, where another's claim is open and `take_over` is not given. With it the
    other has two intervals (its publish interval by default) to notice and to stop; then the branch is taken in.
    Doing it again after a crash at any point is harmless. `intending` is told the claim that was found, before ours
    hides it: what is to be taken in must be known also to the process after a crash.
    """
    for _ in range(_TRIES):
        commit = await publisher.open()
        before = claim_in(publisher.read(SYNC_FILE))
        match judge(before, publisher.engine_id, take_over):
            case Refuse() as refusal:
                raise Taken(refusal.message)
            case Proceed():
                if intending is not None:
                    await intending(before)
                if (
                    own := await _pushed(publisher, host, _since(clock.now(), before, publisher.engine_id))
                ) is not None:
                    reach("owner.claimed")
                    return Found(own, before, commit)
            case Wait(other=other):
                log.warning("taking over the status branch", other=named(other))
                await publisher.adopt()
                if intending is not None:
                    await intending(before)
                if (
                    own := await _pushed(publisher, host, _since(clock.now(), before, publisher.engine_id))
                ) is not None:
                    reach("owner.taken-over")
                    await sleep(2 * (interval or publisher.min_interval).total_seconds())
                    await publisher.look()  # OtherOwner, should somebody have taken it over from us meanwhile
                    reach("owner.claimed")
                    return Found(own, before, publisher.tip)
            case verdict:
                assert_never(verdict)
    raise Unavailable(f"{publisher.ref} kept moving while it was claimed", SOON)


async def close(publisher: Publisher, *, clock: Clock) -> None:
    """Say on the branch that this engine has drained: nothing is open, nothing unpublished. Call it last."""
    if publisher.claim is None:
        return
    reach("owner.closing")
    closed = replace(publisher.claim, closed=_second(clock.now()))
    await publisher.publish({SYNC_FILE: with_claim(publisher.read(SYNC_FILE), closed)}, "status: engine stopped")
    publisher.claim = None
    reach("owner.closed")


async def _pushed(publisher: Publisher, host: str, since: datetime) -> EngineView | None:
    """Push the claim; None where the branch moved under it, so that whoever moved it must be judged first."""
    own = EngineView(publisher.engine_id, host, since)
    publisher.claim = own
    try:
        await publisher.publish({SYNC_FILE: with_claim(publisher.read(SYNC_FILE), own)}, f"status: claimed by {host}")
    except (OtherOwner, BranchGone):
        publisher.claim = None
        return None
    return own


def machine_id() -> str:
    """What stays the same on this machine: its id, else its name."""
    for place in _MACHINE_IDS:
        try:
            if found := place.read_text().strip():
                return found
        except OSError:
            continue
    return platform.node()


def _since(now: datetime, before: EngineView | None, own_id: str) -> datetime:
    """Later than the claim of an earlier life, whatever its clock said: by that the earlier one knows its end."""
    since = _second(now)
    if before is None or before.id != own_id:
        return since
    return max(since, before.since + timedelta(seconds=1))


def _second(instant: datetime) -> datetime:
    """Claims are compared as the branch shows them: to the second."""
    return instant.replace(microsecond=0)
