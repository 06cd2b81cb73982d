"""Names computed from causes: the same cause gives the same run id, so doing it again is harmless."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NewType

RunId = NewType("RunId", str)

CauseKind = Literal["schedule", "request", "trigger", "workflow"]
_MAX_ID = 100


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run exists. `name` is the schedule's or the act's, or the id of a workflow's run; `instant` is aware, UTC.

    Instant: a schedule's due time before jitter; a request's committer time or its notBefore; an event's arrival; that
    of a workflow's run for the runs of its nodes. `node` and, where it is done for each of several, `item` (from 0) say
    which node.
    """

    kind: CauseKind
    name: str
    instant: datetime
    requested_by: str | None = None
    reason: str | None = None
    node: str | None = None
    item: int | None = None
    event: str | None = None
    """Of a trigger: which of its events, by a key that no other one has."""
    chain: tuple[str, ...] = ()
    """The triggers that came before, one after another: each was set off by a run of the one before it."""

    @property
    def triggers(self) -> tuple[str, ...]:
        """All triggers that led to the run, the last one its own where it has one."""
        return (*self.chain, self.name) if self.kind == "trigger" else self.chain

    @property
    def key(self) -> str:
        """Unique per cause, for ever: an act is its name alone, a schedule fires once an instant, a node an item,
        a trigger an event."""
        if self.kind == "request":
            return f"request/{self.name}"
        if self.kind == "workflow":
            return f"workflow/{self.name}/{self.node}" + ("" if self.item is None else f"/{self.item}")
        if self.kind == "trigger":
            return f"trigger/{self.name}/{self.event}"
        return f"{self.kind}/{self.name}/{compact(self.instant)}"


@lru_cache(maxsize=256)  # thousands may be due at one instant
def compact(instant: datetime) -> str:
    """`20261121T020000Z`."""
    at = instant.astimezone(UTC)
    return f"{at.year:04}{at:%m%dT%H%M%SZ}"  # %Y writes the year 1 as 1 on some systems


def scan_name(discovery: str) -> str:
    """What the runs of a Discovery are named after, as those of a job are after the job."""
    return f"discover-{discovery}"


def run_id(job: str, cause: Cause) -> RunId:
    """`<job>-<instant>-<10 hex of the cause>`, at most 100 characters."""
    digest = hashlib.sha256(f"{job}\n{cause.key}".encode()).hexdigest()[:10]
    return RunId(f"{job[: _MAX_ID - 28]}-{compact(cause.instant)}-{digest}")
