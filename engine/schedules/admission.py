"""What keeps a due instant from running, and what puts its start off: calendars by its local day, windows by its start.

The engine decides by this, and `next`, `why` and `plan` show it. Pure.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Literal

from engine.catalog import Catalog
from engine.schedules.windows import Blocked, Rules, Windows
from engine.times import recurrence
from engine.times.calendars import Kept, kept
from engine.times.recurrence import TICK
from schemas.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Admitted:
    """It runs. `starts_at` is later than its instant where jitter says so, or the windows `deferred_by` end then."""

    starts_at: datetime
    deferred_by: Blocked | None = None


@dataclass(frozen=True, slots=True)
class KeptOut:
    """It does not run, because of these calendars or windows."""

    reason: Literal["calendar", "window"]
    names: tuple[str, ...]
    blocked: Blocked | None = None


Verdict = Admitted | KeptOut


def judged(start: datetime, rules: Rules) -> Verdict:
    """What windows make of a start."""
    blocked = rules.at(start)
    if blocked is None:
        return Admitted(start)
    if blocked.action == "defer" and blocked.until is not None:
        return Admitted(blocked.until, blocked)
    return KeptOut("window", blocked.windows, blocked)


@dataclass(frozen=True, slots=True)
class Admission:
    """Of one schedule. `calendars` is None where it names none.

    `drawn_by`: the name by which its jitter is drawn, where that is a former one.
    """

    schedule: Schedule
    calendars: Kept | None = None
    windows: Rules = field(default_factory=lambda: Rules((), ()))
    drawn_by: str | None = None

    def at(self, instant: datetime, now: datetime | None = None) -> Verdict:
        """What becomes of a due instant. One that is first looked at later, at `now`, cannot start before."""
        if self.calendars is not None and (names := self.calendars.why_not(self.calendars.day_of(instant))):
            return KeptOut("calendar", names)
        verdict = judged(
            recurrence.starts_at(self.drawn_by or self.schedule.name, self.schedule.spec, instant), self.windows
        )
        if now is not None and isinstance(verdict, Admitted) and verdict.starts_at < now:
            return judged(now, self.windows)
        return verdict

    @property
    def is_open(self) -> bool:
        """Whether there is nothing that could keep an instant out or put it off, jitter apart."""
        return self.calendars is None and not self.windows.windows

    def steady_until(self, instant: datetime) -> datetime | None:
        """The end (exclusive) of the time from a due instant on in which whatever is due has its verdict.

        That is, whether it is kept out, and for what reason. None: there is no end.
        """
        ends = []
        if self.calendars is not None:
            ends.append(self.calendars.end_of(self.calendars.day_of(instant)))
        if (change := self.windows.change_after(instant)) is not None:
            # Jitter lets some of what is due shortly before a change start after it.
            ends.append(change - self.schedule.spec.jitter)
        return max(min(ends), instant + TICK) if ends else None


class Admissions:
    """Those of a commit. Build it once for each: it keeps what it worked out."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._of: dict[str, Admission] = {}

    def of(self, name: str) -> Admission:
        """Of a schedule, by its name."""
        if name not in self._of:
            self._of[name] = self._made(self._catalog.schedules[name])
        return self._of[name]

    def schedule(self, name: str, at: int | None = None) -> Admission | None:
        """The same, also by a former name, which its jitter was drawn by; None where there is no such schedule.

        `at`: the generation of names that this one is of; None: it is that of who had it last.
        """
        today = self._catalog.name_now("Schedule", name, at)
        if today not in self._catalog.schedules:
            return None
        return self.of(today) if today == name else replace(self.of(today), drawn_by=name)

    @cached_property
    def windows(self) -> Windows:
        """The windows of the commit."""
        return Windows(self._catalog)

    def _made(self, schedule: Schedule) -> Admission:
        catalog = self._catalog
        zone = recurrence.zone_of(schedule.spec, catalog.project.spec.defaults.time_zone)
        calendars = kept(schedule.spec.calendars, catalog.calendars, catalog.calendar_files, zone)
        if not catalog.windows:
            return Admission(schedule, calendars)
        return Admission(schedule, calendars, self.windows.of_schedule(schedule))
