"""Windows in combination: such as leave no time at all, or none to a schedule.

No clock is read. Where a time to look from is needed it is a fixed day, or what the documents themselves say.
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from itertools import islice
from typing import Literal

from engine.catalog import Catalog
from engine.checks.nameddays import Left, left
from engine.checks.scope import Path, Scope
from engine.checks.times import LOOKED_AT, is_readable
from engine.schedules.windows import Rules, Windows
from engine.times import dst, recurrence, zones
from engine.times.coverage import covers, ever
from engine.times.cron import parse
from engine.times.recurrence import TICK
from schemas.calendar import JobSelection, Window, WindowSpec
from schemas.diagnostic import Diagnostic, Related
from schemas.reader import Authored
from schemas.schedule import Calendars, Schedule, ScheduleSpec

REFERENCE = datetime(2028, 1, 1, tzinfo=UTC)
"""Where a look begins if no document says: a leap year, in which recent rules of time zones hold."""
_FIRST = datetime(1000, 1, 1, tzinfo=UTC)
_LAST = datetime(9900, 1, 1, tzinfo=UTC)
_YEAR = timedelta(days=366)
_LONGEST = 28 * _YEAR
"""After so long the days of the week fall on the same days of the year again."""
_MOST_LOOKS = 800
MOST_ASKED = 200_000
"""Windows asked in the looks of all schedules of a commit together; of the schedules after that nothing is said."""
_A_LOOK = 20
"""What the next instant of a schedule costs, in windows asked."""
_TOLD_APART = 10
"""Windows that cost as much as one that is asked, where it is only told whether they concern a schedule."""
_TARGETS_AT_ONCE = 10_000
"""As sets of bits so many are compared as quickly as the names of a few."""
_FEW = 20
_MOST_WINDOWS = 30
_MOST_NAMED = 5
_ENOUGH_PAUSES = 4
_LONGEST_PAUSE = timedelta(hours=3)

Nothing = Literal["nothing", "hardly anything"]


@dataclass(slots=True)
class _Purse:
    """What may still be asked."""

    left: int


@dataclass(frozen=True)
class Readable:
    """The windows whose times can be read, with what is worked out once for all of them."""

    windows: Mapping[str, Window]
    rules: Windows
    zone_default: str | None
    purse: _Purse = field(default_factory=lambda: _Purse(MOST_ASKED), compare=False)
    _endless: dict[Rules, "Nothing | None"] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, catalog: Catalog) -> "Readable":
        default = catalog.project.spec.defaults.time_zone
        windows = {name: one for name, one in sorted(catalog.windows.items()) if is_readable(one.spec, default)}
        return cls(windows, Windows(replace(catalog, windows=windows)), default)

    @cached_property
    def pausing(self) -> Mapping[str, WindowSpec]:
        """Those that end before they begin anew: of the others that is said of each alone."""
        return {name: one.spec for name, one in self.windows.items() if not _is_endless(one.spec)}

    @cached_property
    def _by_selection(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name, spec in self.pausing.items():
            key = repr((spec.jobs, spec.targets))
            found[key] = (*found.get(key, ()), name)
        return found

    def alike(self, spec: WindowSpec) -> dict[str, WindowSpec]:
        """By name, those that surely concern whatever this one concerns; no allow window where others could allow."""
        pairs = {repr((jobs, targets)) for jobs in (None, spec.jobs) for targets in (None, spec.targets)}
        names = sorted(name for key in pairs for name in self._by_selection.get(key, ()))
        found = {name: self.pausing[name] for name in names}
        others = (self.windows[name].spec for name in self._allowing - found.keys())
        if all(_apart(spec.jobs, one.jobs) for one in others):
            return found
        return {name: one for name, one in found.items() if one.effect == "deny"}

    @cached_property
    def _allowing(self) -> frozenset[str]:
        return frozenset(name for name, one in self.windows.items() if one.spec.effect == "allow")

    def always(self, rules: Rules, windows: Collection[WindowSpec]) -> "Nothing | None":
        """Whether the rules of a schedule, which are of these windows, block for ever. Most have the same as others."""
        if rules not in self._endless:
            self._endless[rules] = _always(rules, windows, self.zone_default)
        return self._endless[rules]

    def leave_nothing(self, windows: Mapping[str, WindowSpec]) -> "Nothing | None":
        """Whether these alone block whoever they concern for ever."""
        return _always(self.rules.together(windows), windows.values(), self.zone_default)


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    if isinstance(authored.document, Window):
        yield from _window(authored, authored.document, scope)


def _apart(one: JobSelection | None, other: JobSelection | None) -> bool:
    """Whether surely no job is in both: both go by names, and have none in common."""
    if one is None or other is None or one.selector is not None or other.selector is not None:
        return False
    return not set(one.names) & set(other.names)


def _is_endless(spec: WindowSpec) -> bool:
    if spec.cron is None or spec.duration is None:
        return False
    read = parse(spec.cron)
    return ever(read) and covers(read, spec.duration)


# --- a schedule among windows ---


@dataclass(frozen=True, slots=True)
class _Held:
    """Instants that are all blocked, in a time that was looked at. `all` says that there are no others.

    `seldom` says that some are free, all of them within two days of a change of clocks.
    """

    first: datetime
    last: datetime
    all: bool
    windows: frozenset[str]
    seldom: bool

    @property
    def message(self) -> str:
        span = "" if self.all else f" in the years looked at, {self.first:%Y-%m-%d} to {self.last:%Y-%m-%d},"
        but = ", but for some when clocks change," if self.seldom else ""
        runs = "hardly ever runs" if self.seldom else "never runs"
        return (
            f"each of its instants{span}{but} falls into a time in which windows block its start: the schedule {runs}"
        )


def about_schedule(authored: Authored, schedule: Schedule, scope: Scope) -> Iterator[Diagnostic]:
    """What windows leave of a schedule. Asked by the checks of its times, where there are windows at all."""
    spec, default = schedule.spec, scope.readable.zone_default
    if not is_readable(spec, default):
        return
    purse = scope.readable.purse
    if purse.left <= 0:
        return
    told = scope.readable.rules.told
    rules = scope.readable.rules.of_schedule(schedule)
    told = max(scope.readable.rules.told - told, len(scope.readable.windows))
    purse.left -= told * (1 + len(scope.catalog.targets) // _TARGETS_AT_ONCE) // _TOLD_APART
    known = {name: scope.readable.windows[name].spec for name in rules.windows}
    endless = any(one.effect == "deny" and name not in scope.readable.pausing for name, one in known.items())
    if not known or endless or _blocks_everybody(rules, known.values(), scope.readable):
        return
    days = left(spec.calendars, scope.catalog.calendars) if spec.calendars != Calendars() else None
    held = _held(schedule, rules, scope.readable, days)
    if held is None:
        return
    given = {"cron": spec.cron, "rrule": spec.rrule, "every": spec.every, "at": spec.at}
    clock = next(field for field, value in given.items() if value is not None)
    hint = "choose another time, or say with 'jobs' or 'targets' whom the window means, or let it 'blocked: defer'"
    hint += "" if held.all else LOOKED_AT
    related = _related(sorted(held.windows), scope)
    yield Diagnostic(authored.span("spec", clock), "OC504", held.message, hint, "warning", related)


def _blocks_everybody(rules: Rules, windows: Collection[WindowSpec], readable: Readable) -> bool:
    """Whether it is the windows that leave no time to anybody: said of them, and not of each schedule."""
    for_all = all(spec.jobs is None and spec.targets is None for spec in windows)
    return for_all and readable.always(rules, windows) is not None


def _held(schedule: Schedule, rules: Rules, readable: Readable, days: Left | None) -> _Held | None:
    """What is known where every instant is blocked and none deferred; None where one runs, or nobody can tell.

    Instants on other days than `days` become no run.
    """
    spec, zone_default, purse = schedule.spec, readable.zone_default, readable.purse
    windows = [readable.windows[name].spec for name in rules.windows]
    local = zones.zone(recurrence.zone_of(spec, zone_default))
    begin = max(spec.start_at or spec.at or _begin(windows), _FIRST)
    end = max([begin, *(one.until for one in windows if one.until is not None)])
    if end > _LAST:
        return None
    end += _LONGEST
    ends = spec.at is not None or (spec.start_at is not None and spec.end_at is not None and spec.end_at <= end)
    places = _zones((spec, *windows), zone_default)
    first = last = None
    names: set[str] = set()
    seldom = False
    block: tuple[datetime, datetime] | None = None
    """Whatever is due in it starts in the block that was looked at last."""
    after = begin - TICK
    instants = _seeking(spec, end, zone_default, after)
    next(instants)
    for _ in range(_MOST_LOOKS):
        if purse.left <= 0:
            return None
        purse.left -= _A_LOOK
        due = instants.send(after)
        if due is None:
            break
        if block is not None and block[0] <= due < block[1]:
            first, last, after = first or due, due, block[1] - TICK
            continue
        day = due.astimezone(local).date()
        if days is not None and days.from_year < day.year < days.to_year and not days.holds(day):
            after = max(due, datetime.combine(day + timedelta(days=1), time.min, tzinfo=local).astimezone(UTC) - TICK)
            continue
        starts = recurrence.starts_at(schedule.name, spec, due)
        before = rules.asked
        blocked = rules.at(starts)
        purse.left -= rules.asked - before
        if blocked is None and first is not None and _clocks_change(due, places):
            seldom, after = True, due
            continue
        if blocked is None or (blocked.action == "defer" and blocked.until is not None):
            return None
        first, last = first or due, due
        names.update(blocked.windows)
        if blocked.until is None:
            break
        # Jitter lets what is due early in a block start before it, and late in one after it.
        block, after = (starts, blocked.until - spec.jitter), due
        if not spec.jitter:
            after = blocked.until - TICK
    else:
        if first is None or last is None or last - first < _YEAR:
            return None
        return _Held(first, last, False, frozenset(names), seldom)
    return _Held(first, end, ends, frozenset(names), seldom) if first is not None else None


def _seeking(
    spec: ScheduleSpec, end: datetime, zone_default: str | None, after: datetime
) -> Generator[datetime | None, datetime, None]:
    """Sent an instant, gives the first due one after it, None where there is none until `end`. They must rise."""
    found = recurrence.instants(spec, after, end, zone_default=zone_default)
    due: datetime | None = None
    while True:
        after = yield due
        due = next((one for one in islice(found, _FEW) if one > after), None)
        if due is None:  # far ahead, or at the end: to begin there costs less than to walk
            found = recurrence.instants(spec, after, end, zone_default=zone_default)
            due = next(found, None)


def _clocks_change(instant: datetime, places: Iterable[str]) -> bool:
    """Whether they do within two days, in one of the zones: `duration` is elapsed time, so windows shift then."""
    two = timedelta(days=2)
    where = [zones.zone(place) for place in places]
    return any(dst.offset_at(instant - two, one) != dst.offset_at(instant + two, one) for one in where)


# --- windows among each other ---


def _window(authored: Authored, window: Window, scope: Scope) -> Iterator[Diagnostic]:
    """Said at the last by name of the windows that it takes, and that mean the same jobs and targets."""
    alike = scope.readable.alike(window.spec)
    if window.name not in alike or not 2 <= len(alike) <= _MOST_WINDOWS:
        return
    left = scope.readable.leave_nothing(alike)
    if left is None:
        return
    needed = _needed(alike, scope)
    same = [
        name for name, spec in needed.items() if (spec.jobs, spec.targets) == (window.spec.jobs, window.spec.targets)
    ]
    if len(needed) < 2 or window.name not in same or window.name != max(same):
        return
    others = [name for name in needed if name != window.name]
    named = ", ".join(f"Window/{name}" for name in others[:_MOST_NAMED])
    if all(spec.effect == "deny" for spec in needed.values()):
        message = f"with {named} it blocks all the time"
    elif window.spec.effect == "deny":
        message = f"nothing may ever start: with {named} it leaves no time"
    else:
        message = f"nothing may ever start: whenever this window allows it, {named} is in the way"
    if left == "hardly anything":
        message += ", except for a while when clocks change"
    hint = "leave some time in which runs may start, or say with 'jobs' or 'targets' whom each window means"
    yield Diagnostic(authored.span(*_clock(window.spec)), "OC506", message, hint, "warning", _related(others, scope))


def _needed(windows: Mapping[str, WindowSpec], scope: Scope) -> dict[str, WindowSpec]:
    """As few of them as still leave nothing."""
    needed = dict(windows)
    for name in windows:
        rest = {other: spec for other, spec in needed.items() if other != name}
        if rest and scope.readable.leave_nothing(rest):
            needed = rest
    return needed


def _always(rules: Rules, windows: Collection[WindowSpec], zone_default: str | None) -> Nothing | None:
    """Whether these rules block for ever, or with no pause but some short ones when clocks change."""
    instant, pauses = _begin(windows), 0
    while pauses < _ENOUGH_PAUSES:
        blocked = rules.at(instant)
        if blocked is None:
            return None
        if blocked.until is None or blocked.until >= recurrence.END_OF_TIME:
            break
        if not _clocks_change(blocked.until, _zones(windows, zone_default)):
            return None
        instant, pauses = blocked.until + _LONGEST_PAUSE, pauses + 1
    return "hardly anything" if pauses else "nothing"


def _zones(specs: Iterable[ScheduleSpec | WindowSpec], zone_default: str | None) -> frozenset[str]:
    return frozenset(spec.time_zone or zone_default or "UTC" for spec in specs)


def _begin(windows: Collection[WindowSpec]) -> datetime:
    """Before all that the windows say."""
    return max(min([REFERENCE, *(spec.from_ for spec in windows if spec.from_ is not None)]), _FIRST) - TICK


def _clock(spec: WindowSpec) -> Path:
    return ("spec", "cron") if spec.cron is not None else ("spec", "from")


def _related(names: Collection[str], scope: Scope) -> tuple[Related, ...]:
    def place(name: str) -> Related:
        spec = scope.catalog.windows[name].spec
        return Related(scope.authored("Window", name).span(*_clock(spec)), f"Window/{name}: {spec.effect}")

    return tuple(place(name) for name in list(names)[:_MOST_NAMED])
