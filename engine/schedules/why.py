"""What was decided for an instant of a schedule, or will be, and why: from the definitions and the status branch. Pure.

Nothing is made up: what the branch does not say is `unknown`, with what it does say.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from engine.schedules.admission import Admission
from engine.schedules.decide import ON_TIME, SkipReason, Skips
from engine.schedules.dueness import fire_at, neighbours, rule, why_not
from engine.schedules.fires import Fire
from engine.status.readmodel import considered_until
from engine.status.views import ScheduleView
from engine.times import recurrence, zones
from schemas.quantities import format_duration, format_instant
from schemas.schedule import CatchUp, Schedule, Suspension

Decision = Literal["run", "skipped", "willRun", "willSkip", "pending", "notConsidered", "notDue", "unknown"]
"""`run` and `skipped` are facts. `willRun` and `willSkip` are what follows if nothing changes. `pending`: it is due and
no decision is published. `notConsidered`: it lies before the schedule's clock began. `unknown`: it must have been
decided and the branch no longer says how."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The run of an instant, as its file says."""

    id: str
    state: str
    commit: str
    queued_at: datetime
    reason: str | None = None
    message: str | None = None
    starts_at: datetime | None = None
    """Not before this: jitter, or a window."""
    waits: str | None = None
    """What it waits for, in words."""
    schedule: str = ""
    """The name that its schedule had then."""

    @property
    def kept_out(self) -> bool:
        """Whether it ended without a beginning, since another was in its way when its time had come."""
        return self.state == "cancelled" and self.reason == "overlap"


@dataclass(frozen=True, slots=True)
class Definition:
    """A schedule as a commit has it. `commit` is what that is called: an id, or words for files on disk."""

    schedule: Schedule
    commit: str
    zone_default: str | None = None
    suspended: bool = False
    """Whether the whole project is."""
    held: str | None = None
    """Why this version does not act on it."""
    admission: Admission | None = None
    """What its calendars and windows say."""
    in_force: bool = True
    """False where the definitions in force are known and do not have it."""


@dataclass(frozen=True, slots=True)
class Known:
    """All there is to go by. `then` is the definition by which the instant was decided, where that is known.

    `oldest` is the first day of which the status branch still has records; None where it has none.
    """

    name: str
    now: datetime
    current: Definition | None = None
    then: Definition | None = None
    clock: ScheduleView | None = None
    run: Ran | None = None
    skip: Skips | None = None
    skip_commit: str | None = None
    """The commit that was in force when the skip was published."""
    oldest: date | None = None
    published: bool = True
    """Whether there is a status branch at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one instant. `why` are sentences, the deciding one first; `rule` is by what it is due, if so."""

    schedule: str
    instant: datetime
    local: datetime
    time_zone: str
    decision: Decision
    reason: SkipReason | None
    why: tuple[str, ...]
    rule: str | None = None
    commit: str | None = None
    run: Ran | None = None
    before: datetime | None = None
    after: datetime | None = None


def answer(known: Known, instant: datetime) -> Answer:
    """What became of the instant, or will."""
    definition = known.then or known.current
    fire = _fire(definition, instant)
    found = _Found(known, definition, instant, fire)
    if known.run is not None:
        if known.run.kept_out:
            said = (_REASONS["overlap"], *_ran(known.run, definition, instant))
            return found.says("skipped", said, "overlap", commit=known.run.commit)
        return found.says("run", _ran(known.run, definition, instant), commit=known.run.commit)
    if known.skip is not None and (fire is not None or instant in (known.skip.first, known.skip.last)):
        return found.says(
            "skipped", _skipped(known.skip, definition, fire), known.skip.reason, commit=known.skip_commit
        )
    if definition is None or fire is None:
        return found.says("notDue", found.why_not())
    return _undecided(found, known, fire)


@dataclass(frozen=True, slots=True)
class _Found:
    known: Known
    definition: Definition | None
    instant: datetime
    fire: Fire | None

    def says(
        self, decision: Decision, why: tuple[str, ...], reason: SkipReason | None = None, *, commit: str | None = None
    ) -> Answer:
        definition = self.definition
        zone = recurrence.zone_of(definition.schedule.spec, definition.zone_default) if definition else "UTC"
        before, after = (
            neighbours(definition.schedule.spec, self.instant, zone_default=definition.zone_default)
            if definition is not None
            else (None, None)
        )
        return Answer(
            schedule=self.known.name,
            instant=self.instant,
            # Where no schedule is due it may be in no year by the clocks of the zone.
            local=self.instant.astimezone(zones.zone(zone)) if recurrence.is_within(self.instant) else self.instant,
            time_zone=zone,
            decision=decision,
            reason=reason,
            why=why,
            rule=rule(definition.schedule, self.fire) if definition and self.fire else None,
            commit=commit or (definition.commit if definition else None),
            run=self.known.run,
            before=before,
            after=after,
        )

    def why_not(self) -> tuple[str, ...]:
        if self.definition is None:
            return ("the definitions have no such schedule, and the status branch has no decision for this instant",)
        return why_not(self.definition.schedule, self.instant, zone_default=self.definition.zone_default)


def _undecided(found: _Found, known: Known, fire: Fire) -> Answer:
    """A due instant without a record."""
    instant = found.instant
    clock = known.clock
    if found.definition is not None and found.definition.held is not None:
        return found.says("notConsidered", (f"this version does not act on the schedule: {found.definition.held}",))
    if found.definition is not None and not found.definition.in_force:
        return found.says("notConsidered", ("the schedule is not in force: its commit is not accepted yet",))
    if instant > known.now:
        if fire.decision == "skipped":
            return found.says("willSkip", (_foretold(found),), fire.reason)
        return found.says("willRun", _will_run(fire, instant))
    if not known.published:
        return found.says("unknown", ("no engine has published any status here",))
    if clock is None:
        return found.says("notConsidered", ("the status branch has no clock of this schedule: it is not in force yet",))
    if instant <= clock.considered_from:
        began = format_instant(clock.considered_from)
        why = f"its clock began at {began}, with the commit that brought or changed it: nothing before is caught up"
        return found.says("notConsidered", (why, "if an earlier clock decided it, the status branch no longer says so"))
    if instant > considered_until(clock):
        mark = format_instant(considered_until(clock))
        why = f"no decision is published yet: the last one is of {mark}, and the engine may be stopped"
        return found.says("pending", (why,))
    kept = f"its oldest record is of {known.oldest}" if known.oldest else "it has no records at all"
    why = "it was decided, and the status branch no longer says how: results are kept by number and by days"
    return found.says("unknown", (f"{why} (spec.status.retention of the Project); {kept}",))


def _fire(definition: Definition | None, instant: datetime) -> Fire | None:
    if definition is None:
        return None
    return fire_at(
        definition.schedule,
        instant,
        zone_default=definition.zone_default,
        suspended=definition.suspended,
        admission=definition.admission,
    )


def _will_run(fire: Fire, instant: datetime) -> tuple[str, ...]:
    holds = "this holds unless the definitions change before"
    if fire.held_by and fire.starts_at is not None:
        put_off = f"{', '.join(fire.held_by)}: its run starts at {format_instant(fire.starts_at)}, when that ends"
        return (f"it is due then; {holds}", put_off)
    return (f"it is due then; {holds}", *_jitter(fire.starts_at, instant))


def _ran(run: Ran, definition: Definition | None, instant: datetime) -> tuple[str, ...]:
    late = run.queued_at - instant
    said = f"run {run.id} is {run.state}" + (f" ({run.reason})" if run.reason else "")
    about = [one for one in (run.message, run.waits) if one is not None]
    said = ": ".join([said, *about])
    spread = _jitter(run.starts_at, instant) if definition and definition.schedule.spec.jitter else ()
    if late <= ON_TIME:
        return (said, "it was looked at on time", *(_put_off(definition, instant) or spread))
    policy = f" by catchUp: {_catch_up(definition.schedule.spec.catch_up)}" if definition else ""
    return (said, f"it was looked at {format_duration(late)} late, and still ran{policy}", *spread)


def _jitter(starts_at: datetime | None, instant: datetime) -> tuple[str, ...]:
    if starts_at is None or starts_at <= instant:
        return ()
    return (f"it starts {format_duration(starts_at - instant)} later, at {format_instant(starts_at)}: its jitter",)


def _put_off(definition: Definition | None, instant: datetime) -> tuple[str, ...]:
    fire = _fire(definition, instant)
    if fire is None or not fire.held_by or fire.starts_at is None:
        return ()
    return (f"{', '.join(fire.held_by)} put its start off to {format_instant(fire.starts_at)}",)


def _skipped(skip: Skips, definition: Definition | None, fire: Fire | None) -> tuple[str, ...]:
    said = _reason(skip.reason, definition)
    if fire is not None and fire.held_by and fire.reason == skip.reason:
        said = f"{said}: {', '.join(fire.held_by)}"
    if skip.count == 1:
        return (said,)
    span = f"{format_instant(skip.first)} to {format_instant(skip.last)}"
    return (said, f"one of {skip.count} instants in a row that were skipped for this: {span}")


def _reason(reason: SkipReason, definition: Definition | None) -> str:
    match reason:
        case "missed":
            policy = f": catchUp is {_catch_up(definition.schedule.spec.catch_up)}" if definition else ""
            return f"it was looked at more than {format_duration(ON_TIME)} late, and was not caught up{policy}"
        case "suspended":
            return f"the schedule was suspended{_suspension(definition)}"
        case _:
            return _REASONS[reason]


def _foretold(found: _Found) -> str:
    definition = found.definition
    if definition is not None and found.fire is not None and found.fire.reason == "suspended":
        return f"the schedule is suspended{_suspension(definition)}"
    if found.fire is None:
        return "it will be skipped"
    by = f": {', '.join(found.fire.held_by)}" if found.fire.held_by else ""
    return _REASONS.get(str(found.fire.reason), "it will be skipped") + by


_REASONS = {
    "overlap": "a run of the same concurrency group was in its way (onConflict of the job)",
    "window": "a window blocks it",
    "calendar": "its calendars leave this day out",
    "catchUpMax": "more instants had been missed than catchUp.max runs; the newest ran",
    "noTargets": "there was no run to make: the job chose no target, or its params or credentials were refused",
    "storeLost": "the engine's store was lost, and it cannot be proven that it had not run",
}


def _suspension(definition: Definition | None) -> str:
    if definition is None:
        return ""
    if definition.suspended:
        return ": the whole project is (spec.suspend of the Project)"
    match definition.schedule.spec.suspend:
        case Suspension(reason=reason, until=until):
            ends = f" until {format_instant(until)}" if until else ""
            return f"{ends}: {reason}" if reason else ends
        case _:
            return ""


def _catch_up(catch_up: CatchUp) -> str:
    if catch_up.policy == "none":
        return "{policy: none}"
    most = f", max: {catch_up.max}" if catch_up.policy == "all" else ""
    return f"{{policy: {catch_up.policy}, window: {format_duration(catch_up.window)}{most}}}"
