"""What a schedule's due instants come to: each is decided once, to run or to be skipped for a reason. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

SkipReason = Literal[
    "overlap", "window", "calendar", "suspended", "missed", "catchUpMax", "noTargets", "storeLost"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScheduleClock:
    """How far a schedule was considered. Instants up to `considered_until` are decided.

    Instants up to `lost_until` may have run before the store was lost: they are skipped as storeLost.
    """

    considered_until: datetime
    lost_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """An instant that runs."""

    schedule: str
    instant: datetime


@dataclass(frozen=True, slots=True)
class Skips:
    """Consecutive skipped instants of one schedule for one reason: the first, the last, and how many."""

    schedule: str
    first: datetime
    last: datetime
    count: int
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Decided:
    """The answer for (considered_until, now]. `considered_until` is where the next look begins."""

    runs: tuple[Due, ...]
    skips: tuple[Skips, ...]
    considered_until: datetime
