"""What a schedule's due instants come to: each is decided once, to run or to be skipped for a reason. Pure."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Literal

from engine.schedules.admission import Admission, Admitted, KeptOut
from engine.times import recurrence
from engine.times.recurrence import TICK, just_before, next_due
from schemas.quantities import format_instant
from schemas.schedule import ScheduleSpec, Suspension

SkipReason = Literal["overlap", "window", "calendar", "suspended", "missed", "catchUpMax", "noTargets", "storeLost"]
__all__ = [
    "AHEAD", "ON_TIME", "Decided", "Due", "ScheduleClock", "SkipReason", "Skips", "decide", "fingerprint", "joined",
    "next_due", "restarts",
]  # fmt: skip
ON_TIME = timedelta(seconds=30)
"""An instant first looked at no later than this is on time; later ones go by `catchUp`."""
AHEAD = timedelta(hours=1)
"""A schedule that is decided further ahead than this was decided by a clock that was wrong."""
_MOST_LOOKS = 2_000
"""So often calendars and windows are asked about what is late; what is older than these looks reach is missed."""
_FIRST_REACH = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ScheduleClock:
    """How far a schedule was considered. Instants up to `considered_until` are decided.

    Instants up to `lost_until` may have run before the store was lost: they are skipped as storeLost.
    """

    considered_until: datetime
    lost_until: datetime | None = None
    ran: tuple[datetime, ...] = ()
    """Later instants, rising, that run all the same: decided before a clock was set back. They stay as they are."""

    def implausible(self, now: datetime) -> bool:
        """Whether it was set while the machine's clock was wrong: what is ahead of `now` is to be decided again."""
        return self.considered_until - now > AHEAD


@dataclass(frozen=True, slots=True)
class Due:
    """An instant that runs; later where jitter says so, or where windows put it off: then at `starts_at`."""

    schedule: str
    instant: datetime
    starts_at: datetime | None = None


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
    admission: Admission | None = None,
) -> Decided:
    """Decide every due instant in (clock.considered_until, now], each once.

    `suspended` says that the whole project is; `admission` is what calendars and windows say. Memory is bounded by the
    runs of `catchUp` and of the last 30 seconds, and by the days and windows that lie in between, however long nobody
    looked. Before another spec becomes active, decide the old one up to that moment.
    """
    if now <= clock.considered_until:  # the clock was set back: nothing is decided twice
        return Decided((), (), clock.considered_until)
    schedule = _Schedule(name, spec, zone_default, admission, clock.ran)
    lost = _clamped(clock.lost_until, clock.considered_until, now)
    held = _clamped(_suspended_until(spec, now, suspended), lost, now)
    skipped = [
        *schedule.skips(clock.considered_until, lost, "storeLost"),
        *schedule.skips(lost, held, "suspended"),
    ]
    late = _clamped(now - ON_TIME - TICK, held, now)
    caught, uncaught = schedule.caught_up(held, late, now)
    on_time = recurrence.instants(spec, late, now, zone_default=zone_default)
    runs, kept_out = [], []
    for instant, first_seen in chain(((one, now) for one in caught), ((one, None) for one in on_time)):
        if instant in clock.ran:
            continue
        match schedule.judged(instant, first_seen):
            case Due() as due:
                runs.append(due)
            case Skips() as skip:
                kept_out.append(skip)
    instants = [*clock.ran, *(due.instant for due in runs)]
    return Decided(tuple(runs), joined([*skipped, *uncaught, *kept_out], instants), now)


def joined(skips: Iterable[Skips], runs: Iterable[datetime] = ()) -> tuple[Skips, ...]:
    """Consecutive skips of one schedule with one reason as one record, unless a run lies between them."""
    result: list[Skips] = []
    between = sorted(runs)
    for skip in sorted(skips, key=lambda skip: (skip.schedule, skip.first)):
        before = result[-1] if result else None
        if (
            before is not None
            and (before.schedule, before.reason) == (skip.schedule, skip.reason)
            and bisect_right(between, before.last) == bisect_right(between, skip.first)
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
    admission: Admission | None = None
    ran: tuple[datetime, ...] = ()

    def skips(self, after: datetime, until: datetime, reason: SkipReason) -> Iterator[Skips]:
        """All due instants in (after, until], as at most one record, and one more for each that ran in between."""
        for ran in self.ran:
            if after < ran <= until:
                yield from self._skips(after, ran - TICK, reason)
                after = ran
        yield from self._skips(after, until, reason)

    def _skips(self, after: datetime, until: datetime, reason: SkipReason) -> Iterator[Skips]:
        if after < until and (found := recurrence.span(self.spec, after, until, zone_default=self.zone_default)):
            yield Skips(self.name, found.first, found.last, found.count, reason)

    def caught_up(self, after: datetime, until: datetime, now: datetime) -> tuple[tuple[datetime, ...], list[Skips]]:
        """The late instants in (after, until]: those that run all the same, and the others."""
        if next(recurrence.instants(self.spec, after, until, zone_default=self.zone_default), None) is None:
            return (), []  # most are on time, and the rest of this costs several walks
        policy = self.spec.catch_up
        window = _clamped(now - policy.window - TICK, after, until)
        seen, open_, skipped = self.reached(after, until)
        skipped += self.skips(after, seen, "missed")
        runs: tuple[datetime, ...] = ()
        if policy.policy != "none":
            runs = self.newest(open_, window, 1 if policy.policy == "latest" else policy.max)
        late = runs[0] - TICK if runs else until
        beyond: SkipReason = "catchUpMax" if policy.policy == "all" else "missed"
        for begin, end in open_:
            skipped += self.skips(begin, min(end, window), "missed")
            skipped += self.skips(max(begin, window), min(end, late), beyond)
        return runs, skipped

    def reached(
        self, after: datetime, until: datetime
    ) -> tuple[datetime, list[tuple[datetime, datetime]], list[Skips]]:
        """The parts of (after, until] as `opened` has them, and the instant from which on they were looked at.

        Where jitter is longer than the time between two changes every instant is a part of its own, and of a long
        outage there are more than can be looked at. Then only the newest are.
        """
        if self.admission is None or self.admission.is_open:
            return after, [(after, until)], []
        seen, parts, skipped = until, list[tuple[datetime, datetime]](), list[Skips]()
        reach = _FIRST_REACH
        while seen > after:
            begin = max(after, until - reach)
            found = self.opened(self.admission, begin, until)
            if found is None:
                break
            seen, (parts, skipped) = begin, found
            reach = min(4 * reach, until - after)
        return seen, parts, skipped

    def opened(
        self, admission: Admission, after: datetime, until: datetime
    ) -> tuple[list[tuple[datetime, datetime]], list[Skips]] | None:
        """The parts of (after, until] in which instants may run, oldest first, and what is kept out of the others.

        None where that takes more than so many looks.
        """
        parts: list[tuple[datetime, datetime]] = []
        skipped: list[Skips] = []
        end, open_ = after, False
        ahead = recurrence.instants(self.spec, after, until, zone_default=self.zone_default)
        for _ in range(_MOST_LOOKS):
            if (due := next(ahead, None)) is not None and due <= end:  # a long part is not walked through
                ahead = recurrence.instants(self.spec, end, until, zone_default=self.zone_default)
                due = next(ahead, None)
            if due is None:
                return parts, skipped
            steady = admission.steady_until(due)
            end = until if steady is None else min(until, steady - TICK)
            match admission.at(due):
                case KeptOut(reason=reason):
                    skipped += self.skips(due - TICK, end, reason)
                    open_ = False
                case Admitted():
                    begin = parts.pop()[0] if open_ else due - TICK
                    parts.append((begin, end))
                    open_ = True
        return None

    def newest(self, parts: list[tuple[datetime, datetime]], after: datetime, count: int) -> tuple[datetime, ...]:
        """The newest `count` instants of these parts that come after `after`, oldest first."""
        found: tuple[datetime, ...] = ()
        for begin, end in reversed(parts):
            if max(begin, after) < end and len(found) < count:
                most = count - len(found)
                more = recurrence.newest(self.spec, max(begin, after), end, most, zone_default=self.zone_default)
                found = (*more, *found)
        return found

    def judged(self, instant: datetime, first_seen: datetime | None) -> Due | Skips:
        """What becomes of an instant that is not missed. `first_seen` where it is late: it cannot start before."""
        if self.admission is None:
            return Due(self.name, instant)
        match self.admission.at(instant, first_seen):
            case KeptOut(reason=reason):
                return Skips(self.name, instant, instant, 1, reason)
            case Admitted(starts_at=starts_at):
                later = starts_at > max(instant, first_seen or instant)
                return Due(self.name, instant, starts_at if later else None)


def _suspended_until(spec: ScheduleSpec, now: datetime, project: bool) -> datetime | None:
    """The last moment at which an instant is suspended; None where nothing is."""
    if project or spec.suspend is True:
        return now
    if isinstance(spec.suspend, Suspension):
        return now if spec.suspend.until is None else just_before(spec.suspend.until)
    return None


def _clamped(moment: datetime | None, low: datetime, high: datetime) -> datetime:
    return low if moment is None else min(max(moment, low), high)
