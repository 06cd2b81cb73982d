"""The days ahead: which schedules fire when, and which due instants will be skipped (CONTRACT 3)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from engine.catalog import Catalog
from engine.schedules.admission import Admission, Admissions, Admitted, KeptOut
from engine.schedules.decide import SkipReason
from engine.schedules.windows import Blocked
from engine.times import recurrence, zones
from engine.times.recurrence import just_before
from schemas.quantities import format_instant
from schemas.schedule import Schedule, Suspension


@dataclass(frozen=True, slots=True)
class Fire:
    """A due instant before it is due. `local` has the offset of its own pass in a repeated hour."""

    schedule: str
    instant: datetime
    local: datetime
    time_zone: str
    decision: Literal["run", "skipped"]
    reason: SkipReason | None
    starts_at: datetime | None
    """After jitter, and after the windows that put it off; None where skipped."""
    held_by: tuple[str, ...] = ()
    """The calendars or windows that keep it out, or put it off, as in `Window/freeze`."""
    blocked: Blocked | None = None
    """What these windows say."""

    def to_json(self) -> dict[str, Any]:
        """The shape of `next -o json`."""
        return {
            "schedule": self.schedule,
            "instant": format_instant(self.instant),
            "local": self.local.isoformat(timespec="milliseconds" if self.local.microsecond else "seconds"),
            "timeZone": self.time_zone,
            "decision": self.decision,
            "reason": self.reason,
            "startsAt": self.starts_at and format_instant(self.starts_at),
            "heldBy": list(self.held_by),
        }


@dataclass(frozen=True, slots=True)
class Dropped:
    """A time of day that does not exist, since clocks go forward, and that `dst.gap: skip` leaves out.

    It is no due instant. `wall` is naive; `instant` is when its gap ends, where `gap: next` would have it.
    """

    schedule: str
    wall: datetime
    instant: datetime
    time_zone: str

    @property
    def message(self) -> str:
        return f"{self.wall:%H:%M} does not exist on {self.wall:%Y-%m-%d}: skipped"

    def to_json(self) -> dict[str, Any]:
        """The shape of `next -o json`."""
        return {
            "schedule": self.schedule,
            "local": self.wall.isoformat(timespec="seconds"),
            "timeZone": self.time_zone,
            "gapEndsAt": format_instant(self.instant),
            "message": self.message,
        }


def upcoming(catalog: Catalog, start: datetime, end: datetime) -> tuple[Fire, ...]:
    """Every due instant in [start, end), by instant, then schedule, as if the engine were always on time."""
    project, admissions = catalog.project.spec, Admissions(catalog)
    fires = (
        fire
        for name, schedule in catalog.live_schedules.items()
        for fire in fires_of(
            schedule,
            start,
            end,
            zone_default=project.defaults.time_zone,
            suspended=project.suspend,
            admission=admissions.of(name),
        )
    )
    return tuple(sorted(fires, key=lambda fire: (fire.instant, fire.schedule)))


def dropped(catalog: Catalog, start: datetime, end: datetime) -> tuple[Dropped, ...]:
    """The times that `gap: skip` leaves out and whose gap ends in [start, end), in the order of `upcoming`."""
    default = catalog.project.spec.defaults.time_zone
    after, until = just_before(start), just_before(end)
    found = (
        Dropped(schedule.name, wall, instant, recurrence.zone_of(schedule.spec, default))
        for schedule in catalog.live_schedules.values()
        for wall, instant in recurrence.dropped(schedule.spec, after, until, zone_default=default)
    )
    return tuple(sorted(found, key=lambda one: (one.instant, one.schedule, one.wall)))


def fires_of(
    schedule: Schedule,
    start: datetime,
    end: datetime,
    *,
    zone_default: str | None = None,
    suspended: bool = False,
    admission: Admission | None = None,
) -> Iterator[Fire]:
    """The due instants of one schedule in [start, end), oldest first. `admission`: what calendars and windows say."""
    said = admission or Admission(schedule)
    spec = schedule.spec
    time_zone = recurrence.zone_of(spec, zone_default)
    where = zones.zone(time_zone)
    for instant in recurrence.instants(spec, just_before(start), just_before(end), zone_default=zone_default):
        fire = Fire(schedule.name, instant, instant.astimezone(where), time_zone, "skipped", "suspended", None)
        if suspended or _is_suspended(spec.suspend, instant):
            yield fire
            continue
        match said.at(instant):
            case KeptOut(reason=reason, names=names, blocked=blocked):
                kind = "Window" if reason == "window" else "Calendar"
                held_by = tuple(f"{kind}/{name}" for name in names)
                yield replace(fire, reason=reason, held_by=held_by, blocked=blocked)
            case Admitted(starts_at=starts_at, deferred_by=blocked):
                held_by = tuple(f"Window/{name}" for name in blocked.windows) if blocked else ()
                yield replace(fire, decision="run", reason=None, starts_at=starts_at, held_by=held_by, blocked=blocked)


def _is_suspended(suspend: bool | Suspension, instant: datetime) -> bool:
    return suspend if isinstance(suspend, bool) else suspend.until is None or instant < suspend.until
