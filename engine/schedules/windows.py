"""Which windows keep a run from starting at an instant, until when, and what then (DEFINITIONS 6). Pure.

A deny window blocks while it is open. Where allow windows concern a run, it may start only while one of them is open.
Deny wins. A run starts as a whole: what blocks it on one of its targets blocks it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from engine.catalog import Catalog
from engine.identity import scan_name
from engine.members import Members, Targets
from engine.runs.pinned import PinnedSpec
from engine.selection import matches
from engine.times.openings import Openings
from engine.workflows.workflowplan import NodeJob, PinnedWorkflow
from schemas.calendar import JobSelection, WindowSpec
from schemas.job import Job
from schemas.schedule import Schedule
from schemas.selector import Selection
from schemas.workflow import Workflow

_MOST_STEPS = 1_000
"""So many openings are looked at for the end of a block."""
_NOBODY = Selection()


@dataclass(frozen=True, slots=True)
class Subject:
    """What would start. `job` is None for what is no job: only windows that leave out `jobs` concern it.

    `targets` is empty for a job on the runner: only windows that leave out `targets` concern it. `requested` says that
    a person asked for the run, so that `requests` counts.
    """

    job: str | None
    labels: Mapping[str, str] = field(default_factory=dict)
    targets: Set[str] = frozenset()
    requested: bool = False


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a run may not start at an instant: the windows by name, sorted; open deny windows, closed allow windows.

    `action` is `defer` only where all of them say so, and `running` is `cancel` where one of them says so. `until` is
    the first instant at which nothing blocks, by these windows or by others that come meanwhile; None where none is
    found.
    """

    windows: tuple[str, ...]
    action: Literal["skip", "defer"]
    running: Literal["finish", "cancel"]
    until: datetime | None


class Rules:
    """The windows that concern one subject. Empty ones block nothing."""

    def __init__(
        self, denying: Iterable["Known"], allowing: Iterable[frozenset["Known"]], *, requested: bool = False
    ) -> None:
        self.denying = tuple(one for one in denying if one.spec.requests == "deny" or not requested)
        self.allowing = tuple(
            group for group in allowing if not requested or any(one.spec.requests == "deny" for one in group)
        )
        self.requested = requested
        self._block: tuple[datetime, datetime | None] | None = None
        """The last block looked at: from where, and its end."""
        self.asked = 0
        """Windows that were asked so far, each as often as it was: what the answers cost."""

    @property
    def windows(self) -> tuple[str, ...]:
        """The names of all that can block, sorted."""
        return tuple(sorted({one.name for one in self._all}))

    def at(self, instant: datetime) -> Blocked | None:
        """What blocks a start at the instant."""
        blocking = set(self._blocking(instant))
        if not blocking:
            return None
        return Blocked(
            windows=tuple(sorted(one.name for one in blocking)),
            action="defer" if all(one.spec.blocked == "defer" for one in blocking) else "skip",
            running="cancel" if any(one.spec.running == "cancel" for one in blocking) else "finish",
            until=self._free(instant),
        )

    def change_after(self, instant: datetime) -> datetime | None:
        """The first later instant at which one of the windows opens or closes; None where none does."""
        moments = [one.openings.change_after(instant) for one in self._all]
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def _all(self) -> Iterator["Known"]:
        yield from self.denying
        for group in self.allowing:
            yield from group

    @cached_property
    def _cost(self) -> int:
        return len(self.denying) + sum(map(len, self.allowing))

    def _blocking(self, instant: datetime) -> Iterator["Known"]:
        self.asked += self._cost
        yield from (one for one in self.denying if one.openings.at(instant) is not None)
        for group in self._closed(instant):
            yield from (one for one in group if one.spec.requests == "deny" or not self.requested)

    def _closed(self, instant: datetime) -> Iterator[frozenset["Known"]]:
        return (group for group in self.allowing if not any(one.openings.at(instant) for one in group))

    def _free(self, instant: datetime) -> datetime | None:
        """The first instant from this one on at which nothing blocks. Asked often within one block, it looks once."""
        if self._block is not None:
            begin, end = self._block
            if begin <= instant and (end is None or instant < end):
                return end
        begin = instant
        for _ in range(_MOST_STEPS):
            later = self._later(instant)
            if later is None or later == instant:
                self._block = (begin, later)
                return later
            instant = later
        return None  # not kept: an end that was not found from here may be found from later on

    def _later(self, instant: datetime) -> datetime | None:
        """The same instant where nothing blocks; else a later one before which something surely does."""
        self.asked += self._cost
        moments = [instant]
        for one in self.denying:
            if (opening := one.openings.at(instant)) is not None:
                if opening.end is None:
                    return None
                moments.append(opening.end)
        for group in self._closed(instant):
            starts = [opening.start for one in group if (opening := one.openings.after(instant)) is not None]
            if not starts:
                return None
            moments.append(min(starts))
        return max(moments)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A window with its openings, shared by all that it concerns."""

    name: str
    spec: WindowSpec
    openings: Openings


class Windows:
    """The windows of a catalog. Build it once for a commit: it keeps what it worked out.

    Their cron texts and zones can be read: validation has found the others before.
    """

    def __init__(self, catalog: Catalog) -> None:
        zone = catalog.project.spec.defaults.time_zone
        self._catalog = catalog
        self._known = tuple(
            Known(name, window.spec, Openings(window.spec, zone_default=zone))
            for name, window in sorted(catalog.windows.items())
        )

        self._rules: dict[tuple[frozenset[Known], frozenset[frozenset[Known]], bool], Rules] = {}
        """By what they are made of: most subjects are concerned by the same windows as others."""
        self._started: dict[tuple[str | None, str | None, str | None], Rules] = {}
        """By what a schedule starts without a limit: many start the same."""
        self.told = 0
        """Windows that were told apart so far, each as often as it was: what it costs to say which concern somebody."""

    def of(self, subject: Subject) -> Rules:
        """Those that concern a subject."""
        self.told += len(self._known)
        concerned = [one for one in self._known if _names(one.spec.jobs, subject)]
        for_all = [one for one in concerned if one.spec.targets is None]
        for_some = [one for one in concerned if one.spec.targets is not None]
        if not concerned:
            return Rules((), ())
        targets, elsewhere = self._places(subject) if for_some else (None, True)
        reached = [] if targets is None else [one for one in for_some if not targets.isdisjoint(self._reach(one))]
        denying = [one for one in (*for_all, *reached) if one.spec.effect == "deny"]
        of_all = frozenset(one for one in for_all if one.spec.effect == "allow")
        groups = {of_all} if elsewhere else set()
        if targets:
            allowing = [one for one in reached if one.spec.effect == "allow"]
            groups.update(of_all.union(group) for group in self._told_apart(targets, allowing))
        return self._made((frozenset(denying), frozenset(group for group in groups if group), subject.requested))

    def _places(self, subject: Subject) -> tuple[Targets, bool]:
        """The targets that the catalog has, and whether there is another place: the runner of a job that has none.

        So is a target that is gone: no window can choose it, and those that leave out `targets` concern it.
        """
        targets = self._members.of(subject.targets)
        return targets, not targets or len(targets) < len(subject.targets)

    def _reach(self, one: Known) -> Targets:
        """The targets that a window concerns; of one that leaves them out, none."""
        return self._members.chosen(one.spec.targets or _NOBODY)

    def _told_apart(self, targets: Targets, windows: Sequence[Known]) -> set[frozenset[Known]]:
        """The windows that concern a target, of each of the targets.

        Those that the same windows concern stay together, so that it takes as many steps as there are such parts.
        """
        found: set[frozenset[Known]] = set()
        waiting: list[tuple[Targets, int, frozenset[Known]]] = [(targets, 0, frozenset())]
        while waiting:
            left, begin, group = waiting.pop()
            self.told += len(windows) - begin
            concerned = set(group)
            for at in range(begin, len(windows)):
                inside = left & self._reach(windows[at])
                if not inside:
                    continue
                if outside := left - inside:
                    waiting.append((outside, at + 1, frozenset(concerned)))
                left = inside
                concerned.add(windows[at])
            found.add(frozenset(concerned))
        return found

    def _made(self, key: tuple[frozenset[Known], frozenset[frozenset[Known]], bool]) -> Rules:
        if key not in self._rules:
            self._rules[key] = Rules(key[0], key[1], requested=key[2])
        return self._rules[key]

    def change_after(self, instant: datetime) -> datetime | None:
        """The first later instant at which any of the windows opens or closes; None where none does."""
        moments = (one.openings.change_after(instant) for one in self._known)
        return min((moment for moment in moments if moment is not None), default=None)

    def together(self, names: Iterable[str]) -> Rules:
        """The rules of these windows, as if all of them concerned one subject."""
        wanted = frozenset(names)
        chosen = [one for one in self._known if one.name in wanted]
        allowing = frozenset(one for one in chosen if one.spec.effect == "allow")
        return Rules((one for one in chosen if one.spec.effect == "deny"), [allowing] if allowing else ())

    def of_schedule(self, schedule: Schedule) -> Rules:
        """Those that concern the runs that a schedule starts. Of a workflow, those that concern one of its jobs."""
        if schedule.spec.limit is not None:
            return self._of_schedule(schedule)
        started = (schedule.spec.workflow_ref, schedule.spec.job_ref, schedule.spec.discovery_ref)
        if started not in self._started:
            self._started[started] = self._of_schedule(schedule)
        return self._started[started]

    def _of_schedule(self, schedule: Schedule) -> Rules:
        workflow = self._catalog.workflows.get(schedule.spec.workflow_ref or "")
        return self.of(self.started_by(schedule)) if workflow is None else self.of_all(self.parts_of(workflow))

    def parts_of(self, workflow: Workflow, *, requested: bool = False) -> tuple[Subject, ...]:
        """What a workflow starts: itself, which is no job, and its jobs."""
        nodes = (node for node in workflow.spec.jobs.values() if node.job_ref is not None)
        jobs = (job for node in nodes if (job := self._catalog.jobs.get(node.job_ref or "")) is not None)
        parts = (Subject(job.name, job.metadata.labels, self.targets_of(job), requested) for job in jobs)
        return (Subject(None, requested=requested), *parts)

    def of_all(self, subjects: Iterable[Subject]) -> Rules:
        """Those that concern one of several that start as a whole."""
        every = [self.of(subject) for subject in subjects]
        if len(every) == 1:
            return every[0]
        denying = {one for rules in every for one in rules.denying}
        allowing = {group for rules in every for group in rules.allowing}
        return self._made((frozenset(denying), frozenset(allowing), any(rules.requested for rules in every)))

    def started_by(self, schedule: Schedule) -> Subject:
        """What a schedule starts: its job on the targets that its limit leaves."""
        job = self._catalog.jobs.get(schedule.spec.job_ref or "")
        if schedule.spec.discovery_ref is not None:
            return Subject(scan_name(schedule.spec.discovery_ref))
        if job is None:
            return Subject(schedule.spec.job_ref)
        targets = self.targets_of(job)
        if schedule.spec.limit is not None:
            targets = targets & self._members.chosen(schedule.spec.limit)
        return Subject(job.name, job.metadata.labels, targets)

    def targets_of(self, job: Job) -> Targets:
        """The targets that a job chooses."""
        return self._members.chosen(job.spec.targets or _NOBODY)

    @cached_property
    def _members(self) -> Members:
        return Members(self._catalog.targets, self._catalog.groups)


def subjects_of(
    spec: PinnedSpec | PinnedWorkflow,
    catalog: Catalog,
    *,
    requested: bool,
    labels: Mapping[str, str] = MappingProxyType({}),
    today: str | None = None,
    naming: int | None = None,
) -> tuple[Subject, ...]:
    """What a run starts. `labels` are those of a job that stands in a request.

    `naming`: the generation of names that the plan is written in, None where that is the one in force or nobody knows;
    `today`: what is known to be its job's name today, or the last that it had.
    """
    if isinstance(spec, PinnedWorkflow):
        plans = [node.action.plan for node in spec.nodes if isinstance(node.action, NodeJob)]
        names = [(plan, catalog.name_now("Job", plan.job, naming)) for plan in plans]
        nodes = (_of_plan(plan, name, catalog, requested, {}) for plan, name in names)
        return (Subject(None, requested=requested), *nodes)
    name = catalog.name_now("Job", spec.job, naming) if today is None else today
    return (_of_plan(spec, name, catalog, requested, labels),)


def _of_plan(plan: PinnedSpec, name: str, catalog: Catalog, requested: bool, labels: Mapping[str, str]) -> Subject:
    """By the name of today, also of a job that is gone: the one in the plan may be another's by now."""
    job = catalog.jobs.get(name)
    targets = frozenset(target.name for target in plan.targets)
    return Subject(name, labels if job is None else job.metadata.labels, targets, requested)


def _names(jobs: JobSelection | None, subject: Subject) -> bool:
    if jobs is None:
        return True
    if subject.job is None:
        return False
    return subject.job in jobs.names or (jobs.selector is not None and matches(jobs.selector, subject.labels))
