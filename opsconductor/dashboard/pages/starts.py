"""What starts a job or workflow, when it is due next, and its text: all from the commit in force. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from engine.catalog import Catalog
from engine.schedules.admission import Admissions
from engine.schedules.fires import fires_of
from engine.status.yamltext import stamp
from opsconductor.dashboard.definitions import address, document_of
from opsconductor.dashboard.sources import Data
from schemas.job import Job
from schemas.quantities import format_duration
from schemas.schedule import Schedule
from schemas.trigger import Trigger
from schemas.workflow import Workflow

_STARTS = 5
_AHEAD = timedelta(days=400)
_MOST_LOOKS = 1000
_MOST_LINES = 500


@dataclass(frozen=True, slots=True)
class Subject:
    """A job or workflow; `document` is None where it is not defined any more."""

    name: str
    workflow: bool
    document: Job | Workflow | None = None

    @property
    def identity(self) -> str:
        """As in `Job/rotate`."""
        return f"{'Workflow' if self.workflow else 'Job'}/{self.name}"


def subject_of(catalog: Catalog | None, name: str, *, workflow: bool) -> Subject:
    """The job or workflow that has this name, or had it: addresses are kept in bookmarks and in old messages."""
    known: Mapping[str, Job | Workflow] = {}
    if catalog is not None:
        known = catalog.workflows if workflow else catalog.jobs
        name = catalog.name_now("Workflow" if workflow else "Job", name)
    return Subject(name, workflow, known.get(name))


def starters(catalog: Catalog, subject: Subject, at: datetime) -> Data:
    """The schedules, triggers and workflows that start it, and its next due instants."""
    return {
        "schedules": [_schedule(catalog, one) for one in schedules_of(catalog, subject)],
        "triggers": [{"trigger": one.name, "on": _event(one)} for one in _triggers_of(catalog, subject)],
        "workflows": sorted(_workflows_with(catalog, subject)),
        "next": _next(catalog, subject, at),
        "held": catalog.held.get(subject.identity),
    }


def schedules_of(catalog: Catalog, subject: Subject) -> Iterator[Schedule]:
    """The schedules that start it."""
    for schedule in catalog.schedules.values():
        if (schedule.spec.workflow_ref if subject.workflow else schedule.spec.job_ref) == subject.name:
            yield schedule


def _triggers_of(catalog: Catalog, subject: Subject) -> Iterator[Trigger]:
    for trigger in catalog.triggers.values():
        if (trigger.spec.workflow_ref if subject.workflow else trigger.spec.job_ref) == subject.name:
            yield trigger


def _workflows_with(catalog: Catalog, subject: Subject) -> Iterator[str]:
    if not subject.workflow:
        for workflow in catalog.workflows.values():
            if any(node.job_ref == subject.name for node in workflow.spec.jobs.values()):
                yield workflow.name


def _schedule(catalog: Catalog, schedule: Schedule) -> Data:
    spec = schedule.spec
    zone = spec.time_zone or catalog.project.spec.defaults.time_zone or "UTC"
    when = spec.cron or (spec.rrule and " ".join(spec.rrule.split()))
    if spec.every is not None:
        when = f"every {format_duration(spec.every)}"
    elif spec.at is not None:
        when = f"once, at {stamp(spec.at)}"
    suspended = spec.suspend if isinstance(spec.suspend, bool) else True
    return {
        "schedule": schedule.name,
        "when": when,
        "timeZone": zone if spec.cron or spec.rrule else None,
        "suspended": suspended or catalog.project.spec.suspend,
        "held": catalog.held_for(schedule),
    }


def _event(trigger: Trigger) -> str:
    event = trigger.spec.event
    if event.run is not None:
        names = ", ".join((*event.run.jobs, *event.run.workflows)) or "any job"
        return f"a run of {names} that ended {' or '.join(event.run.states)}"
    if event.definitions is not None:
        return f"an accepted commit that changes {', '.join(event.definitions.paths)}"
    return "a signed request to its webhook"


def _next(catalog: Catalog, subject: Subject, at: datetime) -> list[Data]:
    """The next due instants of all its schedules; of one that only skips, no more than were looked at."""
    project, admissions, found = catalog.project.spec, Admissions(catalog), []
    for schedule in schedules_of(catalog, subject):
        if catalog.held_for(schedule) is not None:
            continue
        fires = fires_of(
            schedule,
            at,
            at + _AHEAD,
            zone_default=project.defaults.time_zone,
            suspended=project.suspend,
            admission=admissions.of(schedule.name),
        )
        looked = list(islice(fires, _STARTS))
        if all(fire.decision == "skipped" for fire in looked):
            looked += [fire for fire in islice(fires, _MOST_LOOKS) if fire.decision == "run"][:1]
        found += looked
    return [fire.to_json() for fire in sorted(found, key=lambda fire: (fire.instant, fire.schedule))[: 2 * _STARTS]]


def definition(catalog: Catalog | None, subject: Subject, at: datetime) -> Data | None:
    """Its text in the commit in force, and where it is written; None where it is not defined any more."""
    kind, _, name = subject.identity.partition("/")
    found = None if catalog is None else document_of(catalog, kind, name, at)
    if catalog is None or found is None:
        return None
    return {
        "href": address(kind, name),
        "file": found["file"],
        "line": found["line"],
        "commit": catalog.commit,
        "graph": found["graph"],
        "lines": found["lines"][:_MOST_LINES],
        "more": len(found["lines"]) > _MOST_LINES,
    }
