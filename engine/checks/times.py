"""Time zones and the times schedules name."""

from collections.abc import Iterator
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from engine.checks.scope import Scope
from engine.cron import Cron, CronError, idle_steps, parse
from schemas.diagnostic import Diagnostic
from schemas.project import Project
from schemas.reader import Authored
from schemas.schedule import Schedule, ScheduleSpec

# In the folder of zones, but not names that mean the same on every machine.
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
_ANY_YEAR = datetime(2000, 1, 1)  # noqa: DTZ001 -- wall time


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if isinstance(document, Project):
        yield from _zone(authored, document.spec.defaults.time_zone, "defaults", "timeZone")
    elif isinstance(document, Schedule):
        spec = document.spec
        yield from _zone(authored, spec.time_zone, "timeZone")
        clock = "cron" if spec.cron is not None else "rrule" if spec.rrule is not None else None
        if clock and spec.time_zone is None and scope.catalog.project.spec.defaults.time_zone is None:
            hint = "add timeZone, as in Europe/Chisinau or UTC; or set the Project's defaults.timeZone"
            span = authored.span("spec", clock, key=True)
            yield Diagnostic(span, "OC502", f"'{clock}' needs a 'timeZone'", hint)
        yield from _cron(authored, spec)
        yield from _never(authored, spec)


def _zone(authored: Authored, name: str | None, *path: str) -> Iterator[Diagnostic]:
    if name is None or is_zone(name):
        return
    folded = {zone.lower(): zone for zone in available_timezones() - _NO_ZONES}
    near = get_close_matches(name[:80].lower().replace(" ", "_"), folded, n=1, cutoff=0.7)
    hint = f"did you mean '{folded[near[0]]}'?" if near else "write an IANA name, as in Europe/Chisinau or UTC"
    yield Diagnostic(authored.span("spec", *path), "OC501", f"'{name}' is not a time zone", hint)


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """Whether a name is one of the IANA time zones."""
    if name in _NO_ZONES or name.startswith(("posix/", "right/")):
        return False
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


def _cron(authored: Authored, spec: ScheduleSpec) -> Iterator[Diagnostic]:
    if spec.cron is None:
        return
    try:
        cron = parse(spec.cron)
    except CronError as error:
        word = spec.cron[error.offset :].split(maxsplit=1)
        span = authored.span_within("spec", "cron", offset=error.offset, length=len(word[0]) if word else 1)
        yield Diagnostic(span, "OC503", error.message, error.hint)
        return
    for idle in idle_steps(spec.cron):
        message = f"a step of {idle.step} leads out of the {idle.field} field: '{idle.item}' means {idle.value} only"
        pace = {"minute": "m", "hour": "h"}.get(idle.field)
        hint = f"write {idle.value} if that is meant"
        if pace is not None:
            hint += f"; a steady pace is 'every: {idle.step}{pace}'"
        span = authored.span_within("spec", "cron", offset=idle.offset, length=len(idle.item))
        yield Diagnostic(span, "OC505", message, hint, "warning")
    if not _ever(cron):
        hint = "no month of the ones it names has such a day"
        yield Diagnostic(authored.span("spec", "cron"), "OC504", "the schedule never fires", hint, "warning")


@lru_cache(maxsize=4096)
def _ever(cron: Cron) -> bool:
    return next(cron.walls(_ANY_YEAR), None) is not None


def _never(authored: Authored, spec: ScheduleSpec) -> Iterator[Diagnostic]:
    """A past instant is no fault; an empty interval is."""
    if spec.start_at is not None and spec.end_at is not None and spec.end_at <= spec.start_at:
        message = "'endAt' is not after 'startAt': the schedule never fires"
        yield Diagnostic(authored.span("spec", "endAt"), "OC504", message, "the end is exclusive", "warning")
    elif spec.at is not None and (
        (spec.start_at is not None and spec.at < spec.start_at) or (spec.end_at is not None and spec.at >= spec.end_at)
    ):
        hint = "startAt is inclusive, endAt is exclusive"
        message = "'at' lies outside startAt and endAt: the schedule never fires"
        yield Diagnostic(authored.span("spec", "at"), "OC504", message, hint, "warning")
