"""Timers of systemd and the services they start, as Jobs with Schedules (systemd.timer(5)).

Nothing is run, and systemd is not asked: the files are the whole of it. A service that several timers start is one Job
with several Schedules; a service that no timer starts is no Job.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from opsconductor.imports.calendarspec import duration, event, timing
from opsconductor.imports.crontime import CarryError, Timing
from opsconductor.imports.drafts import Draft, Place, Reading, Remark, document, one_line
from opsconductor.imports.machine import localhost
from opsconductor.imports.naming import Names
from opsconductor.imports.service import NothingToRunError, carried
from opsconductor.imports.unitfile import Setting, Unit, units

_LONGEST = "1d"
"""The time limit where the unit has none: an hour is ours."""
_AFTERWARDS = "366d"
"""How late Persistent= still runs what was missed: systemd asks no date."""
_ONCE = ("OnActiveSec", "OnBootSec", "OnStartupSec")
_AGAIN = ("OnUnitActiveSec", "OnUnitInactiveSec")
_CARRIED = frozenset({"OnCalendar", *_ONCE, *_AGAIN, "RandomizedDelaySec", "Persistent", "Unit"})
_OF_NO_MEANING = frozenset({"AccuracySec", "RemainAfterElapse", "FixedRandomDelay", "RandomizedOffsetSec"})
_OF_EVERY_UNIT = frozenset({"Description", "Documentation", "RefuseManualStart", "RefuseManualStop", "SourcePath"})


@dataclass(frozen=True, slots=True)
class Settings:
    """How the files are to be read. Without `targets` the jobs run on this machine."""

    time_zone: str
    targets: tuple[str, ...] = ()
    of_user: bool = False


@dataclass(frozen=True, slots=True)
class _Start:
    """A Schedule to be: of which timer, and when."""

    timer: Unit
    fields: Mapping[str, Any]


@dataclass
class _Reader:
    settings: Settings
    found: dict[str, Unit]
    remarks: list[Remark] = field(default_factory=list)
    starts: dict[str, list[_Start]] = field(default_factory=dict)
    """By the service that is started."""

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def note(self, place: Place, what: str, hint: str = "") -> None:
        self.remarks.append(Remark(place, what, hint, lost=False))

    def timer(self, timer: Unit) -> None:
        if not timer.settings:
            self.note(timer.place, f"{timer.name} is empty, which masks it", "nothing was made of it")
            return
        unit = timer.last("Unit")
        name = unit.value.replace("%i", timer.instance or "") if unit is not None else f"{timer.stem}.service"
        if timer.instance == "" or name.startswith("@"):
            what = f"{timer.name} is a template: its instances say what for"
            hint = "copy it to a file for each instance that is enabled, as in backup@home.timer"
            self.lose(timer.place, what, hint)
        elif not name.endswith(".service"):
            self.lose(unit.place if unit else timer.place, f"{timer.name} starts {name}", "a Job stands for a service")
        else:
            starts = [_Start(timer, fields) for fields in self._schedules(timer)]
            self.starts.setdefault(name, []).extend(starts)
            self._rest(timer)

    def _schedules(self, timer: Unit) -> list[dict[str, Any]]:
        made = [fields for one in timer.all("OnCalendar") if (fields := self._calendar(one)) is not None]
        again = [one for key in _AGAIN for one in timer.all(key)]
        made += [fields for one in again if (fields := self._every(one)) is not None]
        for key in _ONCE:
            for one in timer.all(key):
                what = f"{key}={one_line(one.value, 40)}: nothing here starts when a machine or a timer does"
                if made:
                    self.note(one.place, what, "the Schedule decides alone; ask for the first run by hand")
                else:
                    self.lose(one.place, what, "ask for the job with 'opsconductor run', or keep the timer")
        spread = self._spread(timer)
        late = self._late(timer) if timer.all("OnCalendar") else {}
        return [fields | spread | (late if "every" not in fields else {}) for fields in made]

    def _calendar(self, one: Setting) -> dict[str, Any] | None:
        try:
            when = event(one.value)
            zone = when.zone or self.settings.time_zone
            made: Timing = timing(when, zone)
        except CarryError as error:
            self.lose(one.place, f"OnCalendar={one_line(one.value, 80)}: {error}", error.hint)
            return None
        if made.note:
            self.note(one.place, f"OnCalendar={one_line(one.value, 80)}: {made.note}")
        fields = dict(made.fields)
        if "at" in fields:
            return fields
        first, *bounds = fields.items()
        return dict([first, ("timeZone", zone), *bounds])

    def _every(self, one: Setting) -> dict[str, Any] | None:
        try:
            every = duration(one.value, least=1)
        except CarryError as error:
            self.lose(one.place, f"{one.key}={one_line(one.value, 40)}: {error}", error.hint)
            return None
        since = "start" if one.key == "OnUnitActiveSec" else "end"
        what = f"{one.key}={one.value} counts from the last {since}; 'every' counts from a fixed instant"
        self.note(one.place, what, "a start while it still runs waits; 'startAt' shifts all of them")
        return {"every": every}

    def _spread(self, timer: Unit) -> dict[str, Any]:
        one = timer.last("RandomizedDelaySec")
        if one is None:
            return {}
        try:
            spread = duration(one.value)
        except CarryError as error:
            self.lose(one.place, f"{one.key}={one_line(one.value, 40)}: {error}", error.hint)
            return {}
        return {"jitter": spread} if spread != "0s" else {}

    def _late(self, timer: Unit) -> dict[str, Any]:
        one = timer.last("Persistent")
        return {"catchUp": {"policy": "latest", "window": _AFTERWARDS}} if one is not None and one.true else {}

    def _rest(self, timer: Unit) -> None:
        for one in timer.settings:
            said = f"{one.key}={one_line(one.value, 60)}"
            if not one.value or one.key in _CARRIED | _OF_EVERY_UNIT:
                continue
            if one.key in _OF_NO_MEANING:
                self.note(one.place, f"{said}: starts are to the second here, and 'jitter' alone shifts them")
                continue
            match one.section, one.key:
                case "Install", "WantedBy" if one.value in ("timers.target", "default.target", "multi-user.target"):
                    pass
                case "Unit", key if key.startswith(("Condition", "Assert")):
                    hint = "test it in the script, and exit 0 otherwise"
                    self.lose(one.place, f"{said} is a condition on the machine", hint)
                case "Unit", "Requires" | "Wants" | "After" | "Before" | "BindsTo" | "PartOf":
                    self.note(one.place, f"{said}: a Schedule waits for nothing but its time")
                case _, "WakeSystem" | "OnClockChange" | "OnTimezoneChange" if not one.true:
                    pass
                case _, "WakeSystem":
                    self.lose(one.place, f"{said}: nothing here wakes a machine", "keep it awake, or the timer")
                case _:
                    hint = "say it in the Schedule or the Job, if it can be said there; else keep the timer"
                    self.lose(one.place, f"{said} has no equal here", hint)


def read(files: Mapping[str, bytes], settings: Settings) -> Reading:
    """Units by what to call their files."""
    found, remarks = units(files)
    reader = _Reader(settings, found, list(remarks))
    for name in sorted(found):
        if name.endswith(".timer"):
            reader.timer(found[name])
    names, schedules = Names(), Names()
    drafts: list[Draft] = []
    for name, starts in sorted(reader.starts.items()):
        service = _service(name, found)
        if service is None:
            for place in dict.fromkeys(one.timer.place for one in starts):
                reader.lose(place, f"{name}, which it starts, is not among what was read", "name its file too")
        elif (made := _draft(reader, service, starts, names, schedules)) is not None:
            drafts.append(made)
    _unused(reader, reader.starts)
    if drafts and not settings.targets:
        drafts.append(localhost(drafts[0].place))
    return Reading(tuple(drafts), tuple(reader.remarks))


def _service(name: str, found: Mapping[str, Unit]) -> Unit | None:
    """The unit of that name; where it is an instance, the one that its template makes."""
    if name in found:
        return found[name]
    prefix, at, _ = name.partition("@")
    template = found.get(f"{prefix}@.service") if at else None
    return replace(template, name=name) if template is not None else None


def _draft(reader: _Reader, service: Unit, starts: list[_Start], names: Names, schedules: Names) -> Draft | None:
    settings = reader.settings
    try:
        made = carried(service, _LONGEST, of_user=settings.of_user)
    except NothingToRunError as error:
        what = f"no Job is made of {service.name}: {error.remark.what.removeprefix(f'{service.name}: ')}"
        reader.remarks.append(replace(error.remark, what=what))
        return None
    reader.remarks += made.remarks
    name = names.unique(service.stem, service.name)
    described = [one.value for unit in (service, *(one.timer for one in starts)) for one in unit.all("Description")]
    description = re.sub("%[iI]", lambda _: service.instance or "", described[0]) if described else ""
    spec = {"targets": {"names": list(settings.targets or ("localhost",))}, **made.spec}
    documents = [document("Job", name, spec, description=one_line(description, 300))]
    told: set[tuple[str, str]] = set()
    for one in starts:
        if (one.timer.name, str(one.fields)) in told:
            continue
        told.add((one.timer.name, str(one.fields)))
        schedule = schedules.unique(one.timer.stem, *map(str, one.fields.values()))
        documents.append(document("Schedule", schedule, {"jobRef": name, **one.fields}))
    timers = list(dict.fromkeys(one.timer.name for one in starts))
    above = [line for timer in timers for line in reader.found[timer].comments]
    above += [*service.comments, *(f"See {one.value}" for one in service.all("Documentation"))]
    return Draft(f"{name}.yaml", service.place, tuple(documents), tuple(above))


def _unused(reader: _Reader, started: Collection[str]) -> None:
    """Units that no timer starts; a template is started by the name of its instance."""
    templates = {f"{name.partition('@')[0]}@.service" for name in started if "@" in name}
    idle: list[str] = []
    for name, unit in sorted(reader.found.items()):
        if name.endswith((".path", ".socket")):
            hint = "a Trigger starts jobs on webhooks, on runs, and on commits"
            reader.lose(unit.place, f"{name} starts a service when something happens on the machine", hint)
        elif not name.endswith(".timer") and name not in started and name not in templates:
            idle.append(name)
    if idle:
        what = f"no timer starts {len(idle)} of the units: {', '.join(idle)}"
        reader.note(reader.found[idle[0]].place, one_line(what, 400), "nothing was made of them")
