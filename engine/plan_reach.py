"""What jobs may touch before and after a merge: the targets they choose and the credentials they come to."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.catalog import Catalog
from engine.members import Members
from engine.plan_documents import Documents
from engine.planning import ways
from engine.reach import Given, Path, Way, given_by
from schemas.selector import Selection

_HARMLESS = frozenset(
    {
        "Schedule", "Job", "Workflow", "Trigger", "Calendar", "Window", "NotificationChannel", "NotificationRule",
        "User", "Policy", "Discovery", "RunRequest", "Approval",
    }
)  # fmt: skip
"""Kinds whose change lets no job reach another credential but the job that is changed itself."""


@dataclass(frozen=True, slots=True)
class TargetsChange:
    """Targets gained and lost, sorted: by a job, or where `schedule` is set by its runs with that schedule's limit."""

    job: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    schedule: str | None = None


@dataclass(frozen=True, slots=True)
class CredentialGain:
    """A credential that runs of a job can come to and could not before, with every way that leads there."""

    job: str
    credential: str
    ways: tuple[Way, ...]


class Reach:
    """What the jobs of both sides reach, each computed once."""

    def __init__(self, base: Catalog, head: Catalog, documents: Documents) -> None:
        self._base = base
        self._head = head
        self._former_jobs = _formers(documents, "Job")
        self._former_schedules = _formers(documents, "Schedule")
        self._changed_jobs = documents.names("Job")
        self._anything_else = not documents.kinds <= _HARMLESS
        self._before = Members(base.targets, base.groups)
        self._after = Members(head.targets, head.groups)

    def targets(self) -> tuple[TargetsChange, ...]:
        """By job, then by schedule; jobs and limits that choose as before are left out."""
        return tuple(sorted((*self._of_jobs(), *self._of_limits()), key=lambda one: (one.job, one.schedule or "")))

    def credentials(self) -> tuple[CredentialGain, ...]:
        """By job, then by credential."""
        gains = {(gain.job, gain.credential): gain for name in self._head.jobs for gain in self._gains(name)}
        for gain in self._handed_over():
            known = gains.get((gain.job, gain.credential))
            gains[gain.job, gain.credential] = gain if known is None else replace(known, ways=(*known.ways, *gain.ways))
        return tuple(gains[key] for key in sorted(gains))

    def _handed_over(self) -> Iterator[CredentialGain]:
        """By secret params, of documents that start the job."""
        before = {(one.job, one.credential) for _, one in _given(self._base)}
        for identity, one in _given(self._head):
            if one.job in self._head.jobs and (self._former_jobs.get(one.job, one.job), one.credential) not in before:
                yield CredentialGain(
                    one.job, one.credential, (Way(one.credential, f"{identity}: {_dotted(one.path)}"),)
                )

    def _of_jobs(self) -> Iterator[TargetsChange]:
        taken = {self._former_jobs.get(name, name) for name in self._head.jobs}
        for name in self._head.jobs:
            before = _chosen(self._base, self._before, self._former_jobs.get(name, name))
            yield from _changed(name, before, _chosen(self._head, self._after, name))
        for name in self._base.jobs.keys() - taken:
            yield from _changed(name, _chosen(self._base, self._before, name), frozenset())

    def _of_limits(self) -> Iterator[TargetsChange]:
        for name, schedule in self._head.schedules.items():
            old = self._base.schedules.get(self._former_schedules.get(name, name))
            job, was = schedule.spec.job_ref, old.spec.job_ref if old else None
            limits = (old.spec.limit if old else None, schedule.spec.limit)
            if job is None or (limits == (None, None) and was in (None, job, self._former_jobs.get(job, job))):
                continue
            before = _chosen(self._base, self._before, was, limits[0])
            yield from _changed(job, before, _chosen(self._head, self._after, job, limits[1]), name)

    def _gains(self, name: str) -> Iterator[CredentialGain]:
        former = self._former_jobs.get(name, name)
        if not self._may_differ(former, name):
            return
        known = {way.credential for way in _ways(self._base, self._before, former)}
        found = _ways(self._head, self._after, name)
        for credential in sorted({way.credential for way in found} - known):
            yield CredentialGain(name, credential, tuple(way for way in found if way.credential == credential))

    def _may_differ(self, former: str, name: str) -> bool:
        return self._anything_else or not self._changed_jobs.isdisjoint((former, name))


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


def _chosen(catalog: Catalog, members: Members, job: str | None, limit: Selection | None = None) -> frozenset[str]:
    known = catalog.jobs.get(job or "")
    if known is None or known.spec.targets is None:
        return frozenset()
    chosen = members.chosen(known.spec.targets)
    return frozenset(chosen if limit is None else chosen & members.chosen(limit))


def _ways(catalog: Catalog, members: Members, job: str) -> tuple[Way, ...]:
    known = catalog.jobs.get(job)
    return ways(catalog, known, _chosen(catalog, members, job)) if known is not None else ()


def _changed(
    job: str, before: frozenset[str], after: frozenset[str], schedule: str | None = None
) -> Iterator[TargetsChange]:
    if before != after:
        yield TargetsChange(job, tuple(sorted(after - before)), tuple(sorted(before - after)), schedule)
