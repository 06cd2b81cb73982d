"""What a schedule's due instants come to: each is decided once, to run or to be skipped for a reason. Pure."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from engine import recurrence
from engine.recurrence import TICK, next_due
from schemas.quantities import format_instant
from schemas.schedule import ScheduleSpec, Suspension

SkipReason = Literal["overlap", "window", "calendar", "suspended", "missed", "catchUpMax", "noTargets", "storeLost"]
__all__ = [
    "ON_TIME", "Decided", "Due", "ScheduleClock", "SkipReason", "Skips", "decide", "fingerprint", "joined", "next_due",
    "restarts",
]  # fmt: skip
ON_TIME = timedelta(seconds=30)
"""An instant first looked at no later than this is on time; later ones go by `catchUp`."""


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
    """The answer for (considered_until, now]. `considered_until` is where the next look begins.

    `runs` and `skips` are sorted by instant. Every due instant is one of `runs` or lies in exactly one of `skips`.
    """

    runs: tuple[Due, ...]
    skips: tuple[Skips, ...]
    considered_until: datetime


def decide(
    name: str,
    spec: ScheduleSpec,
    clock: ScheduleClock,
    now: datetime,
    *,
    zone_default: str | None = None,
    suspended: bool = False,
) -> Decided:
    """Decide every due instant in (clock.considered_until, now], each once.

    `suspended` says that the whole project is. Memory is bounded by the runs of `catchUp` and of the last 30 seconds,
    however long nobody looked. Before another spec becomes active, decide the old one up to that moment.
    """
    if now <= clock.considered_until:  # the clock was set back: nothing is decided twice
        return Decided((), (), clock.considered_until)
    schedule = _Schedule(name, spec, zone_default)
    lost = _clamped(clock.lost_until, clock.considered_until, now)
    held = _clamped(_suspended_until(spec, now, suspended), lost, now)
    skipped = [
        *schedule.skips(clock.considered_until, lost, "storeLost"),
        *schedule.skips(lost, held, "suspended"),
    ]
    late = _clamped(now - ON_TIME - TICK, held, now)
    caught, uncaught = schedule.caught_up(held, late, now)
    runs = (*caught, *recurrence.instants(spec, late, now, zone_default=zone_default))
    return Decided(tuple(Due(name, instant) for instant in runs), joined([*skipped, *uncaught], runs), now)


def joined(skips: Iterable[Skips], runs: Iterable[datetime] = ()) -> tuple[Skips, ...]:
    """Consecutive skips of one schedule with one reason as one record, unless a run lies between them."""
    result: list[Skips] = []
    between = sorted(runs)
    for skip in sorted(skips, key=lambda skip: (skip.schedule, skip.first)):
        before = result[-1] if result else None
        if (
            before is not None
            and (before.schedule, before.reason) == (skip.schedule, skip.reason)
            and not any(before.last < run < skip.first for run in between)
        ):
            result[-1] = replace(before, last=skip.last, count=before.count + skip.count)
        else:
            result.append(skip)
    return tuple(result)


def fingerprint(spec: ScheduleSpec, *, zone_default: str | None = None, suspended: bool = False) -> str:
    """What a schedule's clock depends on, to be kept beside it and given to `restarts`.

    A digest of the time fields, and after a slash whether it is suspended and until when.
    """
    digest = hashlib.sha256(recurrence.time_fields(spec, zone_default).encode()).hexdigest()[:16]
    if suspended or spec.suspend is True:
        return f"{digest}/suspended"
    if isinstance(spec.suspend, Suspension):
        until = spec.suspend.until
        return f"{digest}/suspended/{format_instant(until)}" if until else f"{digest}/suspended"
    return digest


def restarts(before: str, after: str, now: datetime) -> bool:
    """Whether a schedule's clock starts anew at `now`, when its fingerprint changes from `before` to `after`.

    It does when the time fields changed, or when the change ended a suspension; not when it began one, since instants
    that were due before must still be accounted for.
    """
    (digest, _, was), (new_digest, _, is_) = before.partition("/"), after.partition("/")
    return digest != new_digest or (_holds(was, now) and not _holds(is_, now))


def _holds(suspension: str, now: datetime) -> bool:
    _, _, until = suspension.partition("/")
    return bool(suspension) and (not until or now < datetime.fromisoformat(until))


@dataclass(frozen=True, slots=True)
class _Schedule:
    name: str
    spec: ScheduleSpec
    zone_default: str | None

    def skips(self, after: datetime, until: datetime, reason: SkipReason) -> Iterator[Skips]:
        """All due instants in (after, until], as at most one record."""
        if after < until and (found := recurrence.span(self.spec, after, until, zone_default=self.zone_default)):
            yield Skips(self.name, found.first, found.last, found.count, reason)

    def caught_up(self, after: datetime, until: datetime, now: datetime) -> tuple[tuple[datetime, ...], list[Skips]]:
        """The late instants in (after, until]: those that run all the same, and the others."""
        policy = self.spec.catch_up
        window = _clamped(now - policy.window - TICK, after, until)
        missed = [*self.skips(after, window, "missed")]
        if policy.policy == "none":
            return (), [*missed, *self.skips(window, until, "missed")]
        most = 1 if policy.policy == "latest" else policy.max
        beyond: SkipReason = "missed" if policy.policy == "latest" else "catchUpMax"
        runs = recurrence.newest(self.spec, window, until, most, zone_default=self.zone_default)
        if not runs:
            return (), missed
        return runs, [*missed, *self.skips(window, runs[0] - TICK, beyond)]


def _suspended_until(spec: ScheduleSpec, now: datetime, project: bool) -> datetime | None:
    """The last moment at which an instant is suspended; None where nothing is."""
    if project or spec.suspend is True:
        return now
    if isinstance(spec.suspend, Suspension):
        return now if spec.suspend.until is None else spec.suspend.until - TICK
    return None


def _clamped(moment: datetime | None, low: datetime, high: datetime) -> datetime:
    return low if moment is None else min(max(moment, low), high)
