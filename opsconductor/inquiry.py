"""Asking why: brings together the definitions in force, those of the time, and what the status branch has."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from engine.catalog import Catalog
from engine.schedules.admission import Admissions
from engine.schedules.why import Answer, Definition, Known, answer
from engine.status.readmodel import considered_until
from engine.times.recurrence import next_due
from opsconductor.checking.validation import ALONE, SHARED, Process, validate_commit
from opsconductor.evidence import Evidence
from opsconductor.repository import Refs, Repository
from opsconductor.workspace import Workspace

_ON_DISK = "the files on disk, since it is not known what is in force"
_NOT_IN_FORCE = "the files on disk; not in force"


@dataclass
class Inquiry:
    """One look at the repository; answers questions about its schedules."""

    repository: Repository
    evidence: Evidence | None
    now: datetime
    catalog: Catalog | None
    """The definitions in force, where they can be read; else those at hand."""
    called: str
    at_hand: Catalog | None = None
    process: Process = SHARED
    _catalogs: dict[str, Catalog | None] = field(default_factory=dict)

    @classmethod
    def open(cls, where: str, *, remote: str | None, branch: str, offline: bool, now: datetime) -> "Inquiry":
        """For the one thread of a command: all cores are used."""
        repository = Repository.open(where, remote=remote)
        workspace = Workspace(repository, branch, offline=offline)
        tip = repository.head_of(workspace.refs().status, fetch=not offline)
        evidence = Evidence(repository.git_dir, tip) if tip else None
        sync = evidence.sync() if evidence else None
        applied = sync.applied if sync else None
        if applied is not None and repository.resolve(applied) is None and not offline:
            repository.head_of(Refs(branch=branch).definitions)  # fetches it
        at_hand = workspace.definitions().catalog
        found = cls(repository, evidence, now, at_hand, _ON_DISK, at_hand, ALONE)
        in_force = found._of(applied) if applied else None
        if applied is not None and in_force is not None:
            found.catalog, found.called = in_force, applied
        return found

    @property
    def names(self) -> list[str]:
        """The schedules that are defined, in force or at hand."""
        catalogs = [catalog for catalog in (self.catalog, self.at_hand) if catalog is not None]
        return sorted({name for catalog in catalogs for name in catalog.schedules})

    def now_called(self, schedule: str) -> str:
        """The name that the schedule has now, where a former one is given; its history goes on under the new one."""
        for catalog in (self.catalog, self.at_hand):
            if catalog is None or schedule in catalog.schedules:
                continue
            named = catalog.schedules.items()
            renamed = next((name for name, one in named if schedule in one.metadata.previous_names), None)
            if renamed is not None:
                return renamed
        return schedule

    def knows(self, schedule: str) -> bool:
        """Whether it is defined, or was: then the branch may have decisions of it."""
        return schedule in self.names or bool(self.evidence and self.evidence.clock(schedule))

    def answer(self, schedule: str, instant: datetime) -> Answer:
        current = self._current(schedule)
        evidence = self.evidence
        if evidence is None:
            return answer(Known(schedule, self.now, current, published=False), instant)
        clock = evidence.clock(schedule)
        said = current.schedule.metadata.previous_names if current else ()
        names = tuple(dict.fromkeys((schedule, *said, *(clock.former_names if clock else ()))))
        run = evidence.run_of(names, instant)
        skip, skip_commit = (None if run else evidence.skip_of(names, instant)) or (None, None)
        found = run or skip
        by = schedule if found is None else found.schedule  # another may have had one of its other names then
        known = Known(
            name=schedule,
            now=self.now,
            current=current,
            then=self._then((by, *names), run.commit if run else skip_commit),
            clock=clock,
            run=run,
            skip=skip,
            skip_commit=skip_commit,
            oldest=evidence.oldest(),
        )
        return answer(known, instant)

    def last_and_next(self, schedule: str) -> tuple[Answer, ...]:
        """The last decided instant and the next due one, as far as there are any."""
        clock = self.evidence.clock(schedule) if self.evidence else None
        current = self._current(schedule)
        instants = [clock.last.instant] if clock is not None and clock.last is not None else []
        if current is not None:
            after = considered_until(clock) if clock is not None else self.now
            due = next_due(current.schedule.spec, after, zone_default=current.zone_default)
            instants += [due] if due is not None else []
        return tuple(self.answer(schedule, instant) for instant in instants)

    def _current(self, schedule: str) -> Definition | None:
        found = _definition(self.catalog, (schedule,), self.called)
        if found is None and (other := _definition(self.at_hand, (schedule,), _NOT_IN_FORCE)) is not None:
            return replace(other, in_force=False)
        return found

    def _then(self, names: tuple[str, ...], commit: str | None) -> Definition | None:
        return _definition(self._of(commit), names, commit) if commit is not None else None

    def _of(self, commit: str) -> Catalog | None:
        """The definitions of a commit, where this repository has it."""
        if commit not in self._catalogs:
            known = self.repository.resolve(commit) is not None
            found = validate_commit(self.repository.git_dir, commit, process=self.process) if known else None
            self._catalogs[commit] = found.compiled.catalog if found is not None else None
        return self._catalogs[commit]


def _definition(catalog: Catalog | None, names: tuple[str, ...], called: str) -> Definition | None:
    if catalog is None:
        return None
    schedule = next((catalog.schedules[name] for name in names if name in catalog.schedules), None)
    if schedule is None:
        return None
    project = catalog.project.spec
    held = catalog.held_for(schedule)
    admission = Admissions(catalog).of(schedule.name)
    return Definition(schedule, called, project.defaults.time_zone, project.suspend, held, admission)
