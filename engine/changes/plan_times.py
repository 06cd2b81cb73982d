"""When schedules fire before and after a merge, with the clock changes that lie in their way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Literal

from engine.catalog import Catalog
from engine.changes.plan_documents import Documents
from engine.schedules.admission import Admissions
from engine.schedules.decide import fingerprint, next_due, restarts
from engine.schedules.fires import Dropped, Fire, fires_of
from engine.schedules.windows import Blocked
from engine.times import dst, recurrence, zones
from engine.times.recurrence import TICK, just_before
from schemas.schedule import Schedule

ClockChange = Literal["gap", "fold", "offset"]
"""`gap`: the wall time did not exist, this is the first instant after; `fold`: the wall time comes twice, the offset
says which; `offset`: clocks have changed since the fire before (the first: since the plan begins)."""
Clock = Literal["new", "restarts", "kept", "held", "gone"]
"""What becomes of a schedule's clock. `new` and `restarts` consider instants from acceptance on and catch none up;
`held` says that this version does not act on the schedule: it has no clock."""
MOST_FIRES = 1_440
"""So many fires of one schedule are listed at most: a day of minutes."""
_MOST_FIRES_OF_ALL = 50_000
_LEAST_FIRES = 24
_TIMELESS = frozenset(
    {
        "Schedule", "Workflow", "Trigger", "Credential", "RunnerPool", "Discovery", "NotificationChannel",
        "NotificationRule", "User", "Policy", "RunRequest", "Approval",
    }
)  # fmt: skip
"""Kinds that cannot move the fires of a schedule whose own document stays."""
_CHOSEN_BY_WINDOWS = frozenset({"Job", "Target", "TargetGroup"})
"""Kinds that can do so only where there are windows: these concern jobs and targets, also by their labels."""


@dataclass(frozen=True, slots=True)
class PlannedFire:
    """A due instant, and whether clocks change right there."""

    fire: Fire
    clock_change: ClockChange | None = None

    @property
    def blocked(self) -> Blocked | None:
        """The windows in which its run would start: they keep it out, or put it off."""
        return self.fire.blocked


@dataclass(frozen=True, slots=True)
class Fires:
    """Due instants, oldest first. `more` says that further ones lie in the time looked at."""

    listed: tuple[PlannedFire, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """A schedule that is not what it was. `name` is its new name, or the last it had; `former` its old one.

    `next_due` is the first due instant of all that comes, also beyond the time looked at; None where there is none.
    `dropped` are times of day that do not exist and that `dst.gap: skip` leaves out; they are in no fire.
    """

    name: str
    former: str | None
    clock: Clock
    before: Fires
    after: Fires
    next_due: datetime | None = None
    dropped: tuple[Dropped, ...] = ()
    held: str | None = None
    """Why this version does not act on it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A schedule with more fires than are looked at: the first `fires`, up to and with the instant `until`.

    Nothing is said of later ones, not even whether they are the same before and after.
    """

    schedule: str
    fires: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Compared:
    """The schedules that change, and those of which a part was looked at only: both by name."""

    changed: tuple[ScheduleChange, ...] = ()
    cut: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True)
class _Side:
    """A catalog with the schedules of it that are acted on."""

    catalog: Catalog
    live: Mapping[str, Schedule]
    admissions: Admissions

    @classmethod
    def of(cls, catalog: Catalog) -> "_Side":
        return cls(catalog, catalog.live_schedules, Admissions(catalog))

    @property
    def zone_default(self) -> str | None:
        return self.catalog.project.spec.defaults.time_zone

    @property
    def suspended(self) -> bool:
        return self.catalog.project.spec.suspend

    def fires(self, name: str | None, start: datetime, end: datetime, most: int) -> Fires:
        if name is None or name not in self.live:
            return Fires()
        schedule = self.live[name]
        found = fires_of(
            schedule,
            start,
            end,
            zone_default=self.zone_default,
            suspended=self.suspended,
            admission=self.admissions.of(name),
        )
        fires = tuple(islice(found, most + 1))
        return Fires(tuple(flagged(schedule, fires[:most], start)), more=len(fires) > most)

    def mark(self, name: str) -> str:
        return fingerprint(self.live[name].spec, zone_default=self.zone_default, suspended=self.suspended)

    def dropped(self, name: str, start: datetime, end: datetime) -> Iterator[Dropped]:
        spec, zone = self.live[name].spec, self.zone_default
        for wall, instant in recurrence.dropped(spec, just_before(start), just_before(end), zone_default=zone):
            yield Dropped(name, wall, instant, recurrence.zone_of(spec, zone))

    def held(self, name: str) -> str | None:
        return self.catalog.held_for(self.catalog.schedules[name])


def changes(base: Catalog, head: Catalog, documents: Documents, start: datetime, end: datetime) -> Compared:
    """The schedules whose document or whose fires in [start, end) change.

    Acceptance is the moment before `start`, so that what is due at `start` belongs to `head`.
    """
    old, new = _Side.of(base), _Side.of(head)
    touched = documents.names("Schedule") | (old.live.keys() ^ new.live.keys())
    timeless = _TIMELESS if base.windows or head.windows else _TIMELESS | _CHOSEN_BY_WINDOWS
    may_move_all = not documents.kinds <= timeless
    pairs = [pair for pair in _pairs(old, new) if may_move_all or not touched.isdisjoint(pair)]
    most = max(_LEAST_FIRES, min(MOST_FIRES, _MOST_FIRES_OF_ALL // max(1, len(pairs))))
    found = [_change(old, new, former, name, start, end, most) for former, name in pairs]
    return Compared(
        tuple(change for change in found if {change.name, change.former} & touched or change.before != change.after),
        tuple(cut for change in found if (cut := _cut(change, most)) is not None),
    )


def _cut(change: ScheduleChange, most: int) -> Cut | None:
    ends = [side.listed[-1].fire.instant for side in (change.before, change.after) if side.more]
    return Cut(change.name, most, min(ends)) if ends else None


def _pairs(old: _Side, new: _Side) -> Iterator[tuple[str | None, str | None]]:
    """Former and new names of each schedule, sorted by the one that is shown."""
    formers = {name: _former(old, schedule) for name, schedule in new.catalog.schedules.items()}
    taken = set(formers.values())
    pairs: list[tuple[str | None, str | None]] = [(former, name) for name, former in formers.items()]
    pairs += [(name, None) for name in old.catalog.schedules if name not in taken]
    return iter(sorted(pairs, key=lambda pair: pair[1] or pair[0] or ""))


def _former(old: _Side, schedule: Schedule) -> str | None:
    """The schedule whose clock it goes on with, found as the engine finds it; one without a clock where none has."""
    names = (schedule.name, *schedule.metadata.previous_names)
    with_clock = next((name for name in names if name in old.live), None)
    return with_clock or next((name for name in names if name in old.catalog.schedules), None)


def _change(
    old: _Side, new: _Side, former: str | None, name: str | None, start: datetime, end: datetime, most: int
) -> ScheduleChange:
    change = ScheduleChange(
        name=name or former or "",
        former=former,
        clock=_clock(old, new, former, name, just_before(start)),
        before=old.fires(former, start, end, most),
        after=new.fires(name, start, end, most),
    )
    if name is None:
        return change
    if name not in new.live:
        return replace(change, held=new.held(name))
    due = next_due(new.live[name].spec, just_before(start), zone_default=new.zone_default)
    return replace(change, next_due=due, dropped=tuple(new.dropped(name, start, end)))


def _clock(old: _Side, new: _Side, former: str | None, name: str | None, accepted: datetime) -> Clock:
    if name is None:
        return "gone"
    if name not in new.live:
        return "held"
    if former is None or former not in old.live:
        return "new"
    return "restarts" if restarts(old.mark(former), new.mark(name), accepted) else "kept"


def flagged(schedule: Schedule, fires: tuple[Fire, ...], start: datetime) -> Iterator[PlannedFire]:
    """The fires with the clock changes that touch them; `start` is where the plan begins."""
    for index, fire in enumerate(fires):
        before = fires[index - 1].instant if index else start
        yield PlannedFire(fire, clock_change(schedule, fire, before))


def clock_change(schedule: Schedule, fire: Fire, before: datetime) -> ClockChange | None:
    """Whether clocks change right at a fire, or have changed since the instant `before`."""
    where = zones.zone(fire.time_zone)
    wall = fire.local.replace(tzinfo=None)
    just_changed = dst.offset_at(fire.instant - TICK, where) < dst.offset_at(fire.instant, where)
    if just_changed and not recurrence.at_wall(schedule.spec, wall, fire.time_zone):
        return "gap"
    passes = {fire.local.replace(tzinfo=where, fold=fold).utcoffset() for fold in (0, 1)}
    if len(passes) > 1:
        return "fold"
    return "offset" if dst.offset_at(before, where) != dst.offset_at(fire.instant, where) else None
