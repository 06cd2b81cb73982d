"""An accepted commit as values: every definition by kind and name, checked as a whole. Immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.credential import Credential
from schemas.job import Job
from schemas.pool import RunnerPool
from schemas.project import Project
from schemas.reader import Authored
from schemas.schedule import Schedule
from schemas.target import Target, TargetGroup

DEFAULT_POOL = "default"
_USABLE = ("ssh", "winrm", "http", "local")


@dataclass(frozen=True, slots=True)
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
    origin: Mapping[str, Authored] = field(default_factory=dict, repr=False)

    def pool_of(self, job: Job) -> str:
        """The pool whose runners take the job: its own, else the project's, else `default`."""
        return job.spec.runs_on.pool or self.default_pool

    @property
    def default_pool(self) -> str:
        """The pool of jobs that name none, and of inline jobs."""
        return self.project.spec.defaults.pool or DEFAULT_POOL


def connection_of(target: Target, named: str | None = None) -> str | None:
    """The connection a step uses: the one it names, else the target's default, else the only one, else ssh or winrm."""
    if named is not None:
        return named
    if target.spec.default_connection is not None:
        return target.spec.default_connection
    declared = [
        name for name in ("ssh", "winrm", "http", "local") if getattr(target.spec.connections, name) is not None
    ]
    if len(declared) == 1:
        return declared[0]
    return next((name for name in ("ssh", "winrm") if name in declared), None)
