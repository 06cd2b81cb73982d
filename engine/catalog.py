"""An accepted commit as values: every definition by kind and name, checked as a whole. Immutable."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from engine import builtin
from engine.names import NOTHING, Ledger
from engine.plugins import NO_PARTS
from engine.runs import runnerlabels
from engine.vendored import Library
from schemas.calendar import Calendar, Window
from schemas.credential import Credential
from schemas.discovery import Discovery
from schemas.envelope import Document
from schemas.job import Job, RunsOn
from schemas.notification import NotificationChannel, NotificationRule
from schemas.parts import Parts
from schemas.policy import Policy, User
from schemas.pool import RunnerPool
from schemas.project import Project
from schemas.reader import Authored
from schemas.schedule import Schedule
from schemas.steps import StepType
from schemas.steps.declared import NONE
from schemas.target import Target, TargetGroup
from schemas.trigger import Trigger
from schemas.workflow import Workflow

if TYPE_CHECKING:
    from engine.times.calendarfile import CalendarFile

DEFAULT_POOL = "default"
_USABLE = ("ssh", "winrm", "http", "local")


@dataclass(frozen=True)
class Catalog:
    """The definitions of one commit. `origin` holds where each was written, by identity (`Job/x`)."""

    commit: str
    project: Project
    jobs: Mapping[str, Job] = field(default_factory=dict)
    targets: Mapping[str, Target] = field(default_factory=dict)
    groups: Mapping[str, TargetGroup] = field(default_factory=dict)
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    pools: Mapping[str, RunnerPool] = field(default_factory=dict)
    workflows: Mapping[str, Workflow] = field(default_factory=dict)
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    discoveries: Mapping[str, Discovery] = field(default_factory=dict)
    channels: Mapping[str, NotificationChannel] = field(default_factory=dict)
    rules: Mapping[str, NotificationRule] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    calendar_files: Mapping[str, "CalendarFile"] = field(default_factory=dict, repr=False)
    """The iCalendar files that calendars name, by their paths: what the commit has of them."""
    windows: Mapping[str, Window] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    users: Mapping[str, User] = field(default_factory=dict)
    libraries: Mapping[str, Library] = field(default_factory=dict)
    """The step libraries that the repository holds; those the product brings are not among them."""
    plugged: Mapping[str, StepType] = field(default_factory=lambda: NONE)
    """The step types of plug-ins, as the lock file has them."""
    parts: Parts = field(default_factory=lambda: NO_PARTS)
    """What else plug-ins bring and the lock file knows, by kind and name."""
    origin: Mapping[str, Authored] = field(default_factory=dict, repr=False)
    held: Mapping[str, str] = field(default_factory=dict)
    """What this version must not run, by identity, with the reason: it would do other than what is written."""
    names: Ledger = field(default=NOTHING, repr=False)
    """What is known of the names that its documents had, where an engine keeps it: see `after`."""

    def after(self, names: Ledger) -> "Catalog":
        """The same as it comes into force where documents had these names until now."""
        return replace(self, names=names.following(self.by_kind, self.commit))

    @cached_property
    def renamed(self) -> Mapping[str, Mapping[str, str]]:
        """The former names of documents, by kind, each with the name that its document has now.

        A name that another document has is none of them.
        """
        found: dict[str, dict[str, str]] = {}
        for kind, documents in self.by_kind.items():
            for name, document in documents.items():
                for former in document.metadata.previous_names:
                    found.setdefault(kind, {})[former] = name
        for kind, name in self.names.known:
            today = self.names.known[kind, name][-1].today
            if name not in self.by_kind.get(kind, {}) and today in self.by_kind.get(kind, {}):
                found.setdefault(kind, {})[name] = today
        return found

    @cached_property
    def _former(self) -> Mapping[str, Mapping[str, list[str]]]:
        found: dict[str, dict[str, list[str]]] = {}
        for kind, names in self.renamed.items():
            for former, name in names.items():
                found.setdefault(kind, {}).setdefault(name, []).append(former)
        return found

    def former_names(self, kind: str, name: str) -> tuple[str, ...]:
        """The names that a document had and nobody else has now; first those that it says itself."""
        return tuple(self._former.get(kind, {}).get(name, ()))

    def names_then(self, kind: str, at: int | None) -> Mapping[str, str]:
        """The names that documents had in a generation of names and have not now, each with that of now, or with the
        last that it had where it is defined no more; None: all that nobody else has now."""
        free = self.renamed.get(kind, {})
        if at is None:
            return free
        unknown = {old: name for old, name in free.items() if (kind, old) not in self.names.known}
        return {**unknown, **self.names.today(kind, at)}

    def name_now(self, kind: str, name: str, at: int | None = None) -> str:
        """The name that a document has now, by one that it has or had; the same where there is no such document.

        `at`: the generation of names (`Ledger.generation`) that the name is of; None: it is that of who had it last.
        """
        if at is not None and (found := self.names.at(kind, name, at)) is not None:
            name = found
        return name if name in self.by_kind.get(kind, {}) else self.renamed.get(kind, {}).get(name, name)

    def job_now(self, name: str, at: int | None = None) -> Job | None:
        """The job that has this name, or had it: a run keeps the name that its job had when it began."""
        return self.jobs.get(self.name_now("Job", name, at))

    def workflow_now(self, name: str, at: int | None = None) -> Workflow | None:
        """The same of a workflow."""
        return self.workflows.get(self.name_now("Workflow", name, at))

    @cached_property
    def by_kind(self) -> Mapping[str, Mapping[str, Document]]:
        """The definitions by kind and name, the Project apart."""
        return {
            "Job": self.jobs,
            "Workflow": self.workflows,
            "Schedule": self.schedules,
            "Trigger": self.triggers,
            "Target": self.targets,
            "TargetGroup": self.groups,
            "Credential": self.credentials,
            "Discovery": self.discoveries,
            "NotificationChannel": self.channels,
            "NotificationRule": self.rules,
            "Calendar": self.calendars,
            "Window": self.windows,
            "RunnerPool": self.pools,
            "Policy": self.policies,
            "User": self.users,
        }

    def library(self, name: str) -> Library | None:
        """A step library: the repository's own, else the one that the product brings by that name."""
        return self.libraries.get(name) or builtin.library(name)

    def sealed(self, names: Iterable[str]) -> dict[str, str]:
        """Of these credentials the files of those that are encrypted in place, as they stand in the commit."""
        files = {name: self.origin[f"Credential/{name}"].places.layout.data for name in names if self._is_sealed(name)}
        return {name: data.decode() for name, data in files.items()}

    def _is_sealed(self, name: str) -> bool:
        return name in self.credentials and self.credentials[name].data is not None

    @property
    def live_schedules(self) -> Mapping[str, Schedule]:
        """The schedules this version acts on: neither they nor their jobs are held."""
        return {name: schedule for name, schedule in self.schedules.items() if self.held_for(schedule) is None}

    def held_for(self, schedule: Schedule) -> str | None:
        """Why this version does not act on a schedule: it is held itself, or what it starts."""
        spec = schedule.spec
        for identity in (
            schedule.identity,
            f"Job/{spec.job_ref}",
            f"Workflow/{spec.workflow_ref}",
            f"Discovery/{spec.discovery_ref}",
        ):
            if (reason := self.held.get(identity)) is not None:
                return reason
        return None

    def pool_of(self, job: Job) -> str:
        """The pool whose runners take the job: its own, else the project's, else `default`."""
        return job.spec.runs_on.pool or self.default_pool

    def needs_of(self, runs_on: RunsOn) -> dict[str, str]:
        """The labels that a runner must have, besides those that its pool has."""
        pool = self.pools.get(runs_on.pool or self.default_pool)
        return runnerlabels.left_to_ask(runs_on.labels, pool.spec.labels if pool is not None else {})

    def pool_of_trigger(self, trigger: Trigger) -> str:
        """The pool that proves what sets the trigger off: that of the job it starts, else the project's."""
        job = self.jobs.get(trigger.spec.job_ref or "")
        return self.pool_of(job) if job is not None else self.default_pool

    @property
    def default_pool(self) -> str:
        """The pool of jobs that name none, and of inline jobs."""
        return self.project.spec.defaults.pool or DEFAULT_POOL


def usable_connections(target: Target) -> list[str]:
    """The names of the connections that steps may use on a target."""
    given = target.spec.connections
    return [*(name for name in ("ssh", "winrm", "http", "local") if getattr(given, name) is not None), *given.plugins]


def connection_of(target: Target, named: str | None = None) -> str | None:
    """The connection a step uses: the one it names, else the target's default, else the only one, else ssh or winrm."""
    if named is not None:
        return named
    if target.spec.default_connection is not None:
        return target.spec.default_connection
    declared = usable_connections(target)
    if len(declared) == 1:
        return declared[0]
    return next((name for name in ("ssh", "winrm") if name in declared), None)
