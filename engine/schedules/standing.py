"""Windows that begin or end while runs wait or work: what has not begun is judged again when its time comes. Pure.

A node of a workflow that has begun is not left out, whatever `blocked` says: it waits for the end of the window.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from engine.catalog import Catalog
from engine.identity import Cause, RunId
from engine.schedules.admission import Admissions, Admitted, KeptOut, Verdict, judged
from engine.schedules.windows import Rules, Subject

_FAR = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Standing:
    """A run that has not ended; a workflow's node that has begun is none, and belongs to the workflow's own run.

    `job` is the name that its job or workflow has today; its cause is written in the names of the generation `naming`
    (None: nobody knows which that was).

    `phase`: it waits for its time (`due_at`) or for its place, a runner may begin it at any moment, or it has begun.
    `inline`: its steps stood in a request, and so did its labels, which are not known here.
    """

    run: RunId
    job: str
    cause: Cause
    targets: frozenset[str]
    workflow: bool
    phase: Literal["waits", "queued", "begun"]
    due_at: datetime | None = None
    inline: bool = False
    naming: int | None = None


@dataclass(frozen=True, slots=True)
class StartAt:
    """It starts then: later, or earlier than it was to, since no window holds it any more."""

    instant: datetime


@dataclass(frozen=True, slots=True)
class End:
    """It is not to begin, or not to go on. `reason` is for programs and people."""

    reason: str


def judged_again(run: Standing, admissions: Admissions, catalog: Catalog, now: datetime) -> StartAt | End | None:
    """What the windows in force make of a run now; None: nothing changes.

    One that no runner has begun is held like one whose time comes now, though it has its place: where no runner is
    free, that may be hours before it begins.
    """
    rules = _rules(run, admissions, catalog)
    match run.phase:
        case "waits":
            return _waiting(run, rules, admissions, catalog, now)
        case "queued":
            return _node(run, rules, now) if run.cause.kind == "workflow" else _held(rules, now)
        case "begun":
            blocked = rules.at(now)
            if blocked is None or blocked.running != "cancel":
                return None
            return End(f"{_names(blocked.windows)}: no run may go on (running: cancel)")


def _waiting(
    run: Standing, rules: Rules, admissions: Admissions, catalog: Catalog, now: datetime
) -> StartAt | End | None:
    if run.cause.kind == "workflow":
        return _node(run, rules, now)
    if run.due_at is not None and run.due_at > now:
        return _sooner(run, run.due_at, rules, admissions, catalog, now)
    return _held(rules, now)


def _held(rules: Rules, now: datetime) -> StartAt | End | None:
    """What becomes of a run that would begin now."""
    match judged(now, rules):
        case Admitted(starts_at=starts_at):
            return StartAt(starts_at) if starts_at > now else None
        case KeptOut(names=names):
            return End(f"window: {_names(names)}")


def _node(run: Standing, rules: Rules, now: datetime) -> StartAt | None:
    starts_at = opens(rules, now)
    if starts_at is None:  # where it waits for its time, that was for a window
        return StartAt(now) if run.due_at is not None and run.due_at > now else None
    return StartAt(starts_at) if run.due_at is None or run.due_at != starts_at else None


def opens(rules: Rules, now: datetime) -> datetime | None:
    """When windows let a node's run start; None: at once. One that has no end is waited for until it is changed."""
    blocked = rules.at(now)
    return None if blocked is None else blocked.until or now.replace(microsecond=0) + _FAR


def _sooner(
    run: Standing, due_at: datetime, rules: Rules, admissions: Admissions, catalog: Catalog, now: datetime
) -> StartAt | None:
    """A run that windows put off, where these have changed since. When it was to start without them, its cause says."""
    verdict: Verdict | None
    if run.cause.kind == "schedule":  # its jitter is the schedule's to say
        schedule = admissions.schedule(run.cause.name, run.naming)
        verdict = schedule.at(run.cause.instant, now) if schedule is not None else None
    else:
        verdict = judged(max(run.cause.instant, now), rules) if _is_known(run, catalog) else None
    return StartAt(verdict.starts_at) if isinstance(verdict, Admitted) and verdict.starts_at < due_at else None


def _is_known(run: Standing, catalog: Catalog) -> bool:
    """Whether it is certain which windows concern the run. One that others may hold too waits as it was told to."""
    if run.workflow:
        return catalog.workflow_now(run.job) is not None
    by_labels = (one.spec.jobs is not None and one.spec.jobs.selector is not None for one in catalog.windows.values())
    return not (run.inline and any(by_labels))


def is_requested(cause: Cause) -> bool:
    """Whether a person asked for the run, or for the workflow that it is a part of."""
    return cause.kind == "request" or (cause.kind == "workflow" and cause.requested_by is not None)


def _rules(run: Standing, admissions: Admissions, catalog: Catalog) -> Rules:
    requested = is_requested(run.cause)
    windows = admissions.windows
    if run.workflow:
        workflow = catalog.workflow_now(run.job)
        own = (Subject(None, requested=requested),)
        return windows.of_all(windows.parts_of(workflow, requested=requested) if workflow is not None else own)
    job = None if run.inline else catalog.job_now(run.job)
    if job is None:
        return windows.of(Subject(run.job, {}, run.targets, requested))
    return windows.of(Subject(job.name, job.metadata.labels, run.targets, requested))


def _names(windows: tuple[str, ...]) -> str:
    return ", ".join(f"Window/{name}" for name in windows)
