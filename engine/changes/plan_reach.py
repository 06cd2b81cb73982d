"""What jobs may touch before and after a merge: the targets they choose and the credentials they come to."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from engine.catalog import Catalog
from engine.changes.plan_documents import Documents
from engine.expressions.expression import has_expression
from engine.members import Members
from engine.reach import Given, Path, Way, given_by
from engine.runs.planning import ways
from schemas.selector import Selection

EVERY_POOL = "*"
_HARMLESS = frozenset(
    {
        "Schedule", "Job", "Workflow", "Trigger", "Calendar", "Window", "NotificationChannel", "NotificationRule",
        "User", "Policy", "Discovery", "RunRequest", "Approval",
    }
)  # fmt: skip
"""Kinds whose change lets no job reach another credential but the job that is changed itself."""


@dataclass(frozen=True, slots=True)
class TargetsChange:
    """Targets gained and lost, sorted: by a job, or by those of its runs that a limit narrows.

    Where `schedule` is set, its limit; where `node` of `workflow` is, the node's; where all are, both.
    """

    job: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    schedule: str | None = None
    workflow: str | None = None
    node: str | None = None

    @property
    def starts(self) -> tuple[str, ...]:
        """What starts the runs that are meant, the outermost first; nothing where all runs of the job are."""
        schedule = (f"Schedule/{self.schedule}",) if self.schedule else ()
        return (*schedule, f"Workflow/{self.workflow} ({self.node})") if self.workflow else schedule

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        where = {"schedule": self.schedule, "workflow": self.workflow, "node": self.node}
        return {"job": self.job, **where, "gained": list(self.gained), "lost": list(self.lost)}


@dataclass(frozen=True, slots=True)
class CredentialGain:
    """A credential that runs of a job can come to and could not before, with every way that leads there.

    `pool`: they could, in another pool; now the runners of this one open it. Where `job` is None, no job is meant: the
    credential lets the runners of the pool open it that might not before, whatever they run; `EVERY_POOL` for all.
    """

    job: str | None
    credential: str
    ways: tuple[Way, ...]
    pool: str | None = None


class Reach:
    """What the jobs of both sides reach, each computed once."""

    def __init__(self, base: Catalog, head: Catalog, documents: Documents) -> None:
        self._base = base
        self._head = head
        self._former_jobs = _formers(documents, "Job")
        self._former_schedules = _formers(documents, "Schedule")
        self._former_workflows = _formers(documents, "Workflow")
        self._former_credentials = _formers(documents, "Credential")
        self._changed_jobs = documents.names("Job")
        self._anything_else = not documents.kinds <= _HARMLESS
        self._before = Members(base.targets, base.groups)
        self._after = Members(head.targets, head.groups)

    def targets(self) -> tuple[TargetsChange, ...]:
        """By job, then by what starts it; jobs and limits that choose as before are left out."""
        return tuple(sorted((*self._of_jobs(), *self._of_limits()), key=_order))

    def credentials(self) -> tuple[CredentialGain, ...]:
        """Those of pools first, then by job and by credential."""
        gains = {(gain.job, gain.credential): gain for name in self._head.jobs for gain in self._gains(name)}
        for gain in self._handed_over():
            known = gains.get((gain.job, gain.credential))
            gains[gain.job, gain.credential] = gain if known is None else replace(known, ways=(*known.ways, *gain.ways))
        return (*self._opened_to(), *(gains[key] for key in sorted(gains, key=lambda key: (key[0] or "", key[1]))))

    def _opened_to(self) -> Iterator[CredentialGain]:
        """Pools that a credential which was there before names anew."""
        for name, credential in sorted(self._head.credentials.items()):
            former = self._base.credentials.get(self._former_credentials.get(name, name))
            if former is None or not former.spec.pools:
                continue  # a new one is told of by the jobs that reach it; of any pool nobody is kept out
            now = credential.spec.pools or (EVERY_POOL,)
            for pool in sorted(set(now) - set(former.spec.pools)):
                yield CredentialGain(None, name, (Way(name, "spec.pools"),), pool)

    def _moved_to(self, name: str) -> str | None:
        """The pool of a job that was in another one before."""
        former = self._base.jobs.get(self._former_jobs.get(name, name))
        now = self._head.pool_of(self._head.jobs[name])
        return now if former is not None and self._base.pool_of(former) != now else None

    def _handed_over(self) -> Iterator[CredentialGain]:
        """By secret params, of documents that start the job."""
        before = {(one.job, one.credential) for _, one in _given(self._base)}
        for identity, one in _given(self._head):
            if one.job not in self._head.jobs:
                continue
            known = (self._former_jobs.get(one.job, one.job), one.credential) in before
            pool = self._moved_to(one.job) if known else None
            if pool is not None or not known:
                way = Way(one.credential, f"{identity}: {_dotted(one.path)}")
                yield CredentialGain(one.job, one.credential, (way,), pool)

    def _of_jobs(self) -> Iterator[TargetsChange]:
        taken = {self._former_jobs.get(name, name) for name in self._head.jobs}
        for name in self._head.jobs:
            before = _chosen(self._base, self._before, self._former_jobs.get(name, name))
            yield from _changed(name, before, _chosen(self._head, self._after, name))
        for name in self._base.jobs.keys() - taken:
            yield from _changed(name, _chosen(self._base, self._before, name), frozenset())

    def _of_limits(self) -> Iterator[TargetsChange]:
        known = dict(_starts(self._base))
        for where, start in _starts(self._head):
            old = known.get(self._former(where))
            if not start.narrows and not (old and old.narrows) and (where.twice or self._is_same(old, start)):
                continue
            before = _chosen(self._base, self._before, old.job, *old.limits) if old else frozenset()
            after = _chosen(self._head, self._after, start.job, *start.limits)
            for change in _changed(start.job, before, after):
                yield replace(change, schedule=where.schedule, workflow=where.workflow, node=where.node)

    def _is_same(self, old: "_Start | None", new: "_Start") -> bool:
        return old is None or old.job in (new.job, self._former_jobs.get(new.job, new.job))

    def _former(self, where: "_Where") -> "_Where":
        schedule = where.schedule and self._former_schedules.get(where.schedule, where.schedule)
        workflow = where.workflow and self._former_workflows.get(where.workflow, where.workflow)
        return _Where(schedule, workflow, where.node)

    def _gains(self, name: str) -> Iterator[CredentialGain]:
        former = self._former_jobs.get(name, name)
        if not self._may_differ(former, name):
            return
        known = {way.credential for way in _ways(self._base, self._before, former)}
        found = _ways(self._head, self._after, name)
        moved = self._moved_to(name)
        for credential in sorted({way.credential for way in found}):
            if moved is not None or credential not in known:
                pool = moved if credential in known else None
                ways = tuple(way for way in found if way.credential == credential)
                yield CredentialGain(name, credential, ways, pool)

    def _may_differ(self, former: str, name: str) -> bool:
        return self._anything_else or not self._changed_jobs.isdisjoint((former, name))


@dataclass(frozen=True, slots=True)
class _Where:
    """What starts a job: a schedule, a node of a workflow, or a node of the workflow that a schedule starts."""

    schedule: str | None = None
    workflow: str | None = None
    node: str | None = None

    @property
    def twice(self) -> bool:
        """It adds nothing of its own but its limit to what the workflow says."""
        return self.schedule is not None and self.workflow is not None


@dataclass(frozen=True, slots=True)
class _Start:
    """The job that is started there, with all limits that narrow it. `narrows`: one of them stands there itself."""

    job: str
    limits: tuple[Selection, ...]
    narrows: bool


def _starts(catalog: Catalog) -> Iterator[tuple[_Where, _Start]]:
    for name, schedule in catalog.schedules.items():
        limits = _given_limits(schedule.spec.limit)
        if schedule.spec.job_ref is not None:
            yield _Where(name), _Start(schedule.spec.job_ref, limits, bool(limits))
        for node, start in _nodes(catalog, schedule.spec.workflow_ref):
            both = replace(start, limits=start.limits + limits, narrows=bool(limits))
            yield _Where(name, schedule.spec.workflow_ref, node), both
    for name in catalog.workflows:
        for node, start in _nodes(catalog, name):
            yield _Where(None, name, node), start


def _nodes(catalog: Catalog, workflow: str | None) -> Iterator[tuple[str, _Start]]:
    known = catalog.workflows.get(workflow or "")
    for name, node in known.spec.jobs.items() if known is not None else ():
        if node.job_ref is not None:
            limits = _given_limits(node.limit)
            yield name, _Start(node.job_ref, limits, bool(limits))


def _given_limits(limit: Selection | None) -> tuple[Selection, ...]:
    """None where its expressions decide, which may leave any of the targets."""
    return () if limit is None or has_expression(limit.to_json()) else (limit,)


def _order(change: TargetsChange) -> tuple[str, ...]:
    return (change.job, change.schedule or "", change.workflow or "", change.node or "")


def _given(catalog: Catalog) -> Iterator[tuple[str, Given]]:
    for kind in ("Schedule", "Trigger", "Workflow"):
        for name, document in catalog.by_kind[kind].items():
            for one in given_by(document):
                yield f"{kind}/{name}", one


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _formers(documents: Documents, kind: str) -> dict[str, str]:
    """Former names by new ones."""
    pairs = ((one.after.partition("/"), one.before.partition("/")) for one in documents.renamed)
    return {after[2]: before[2] for after, before in pairs if after[0] == kind}


def _chosen(catalog: Catalog, members: Members, job: str | None, *limits: Selection) -> frozenset[str]:
    known = catalog.jobs.get(job or "")
    if known is None or known.spec.targets is None:
        return frozenset()
    chosen = frozenset(members.chosen(known.spec.targets))
    return chosen.intersection(*(members.chosen(limit) for limit in limits))


def _ways(catalog: Catalog, members: Members, job: str) -> tuple[Way, ...]:
    known = catalog.jobs.get(job)
    return ways(catalog, known, _chosen(catalog, members, job)) if known is not None else ()


def _changed(job: str, before: frozenset[str], after: frozenset[str]) -> Iterator[TargetsChange]:
    if before != after:
        yield TargetsChange(job, tuple(sorted(after - before)), tuple(sorted(before - after)))
