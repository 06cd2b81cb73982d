"""Windows that begin or end while runs wait or work: what has not begun is judged again when its time comes. Pure.

A node of a workflow that has begun is not left out, whatever `blocked` says: it waits for the end of the window.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from engine.admission import Admissions, Admitted, KeptOut, judged
from engine.catalog import Catalog
from engine.identity import Cause, RunId
from engine.windows import Rules, Subject

_FAR = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Standing:
    """A run that has not ended; of workflows' nodes those that wait: what has begun belongs to the workflow's own run.

    `phase`: it waits for its time (`due_at`) or for its place, a runner may begin it at any moment, or it has begun.
    """

    run: RunId
    job: str
    cause: Cause
    targets: frozenset[str]
    workflow: bool
    phase: Literal["waits", "queued", "begun"]
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StartAt:
    """It starts then: later, or earlier than it was to, since no window holds it any more."""

    instant: datetime


@dataclass(frozen=True, slots=True)
class End:
    """It is not to begin, or not to go on. `reason` is for programs and people."""

    reason: str


def judged_again(run: Standing, admissions: Admissions, catalog: Catalog, now: datetime) -> StartAt | End | None:
    """What the windows in force make of a run now; None: nothing changes."""
    rules = _rules(run, admissions, catalog)
    match run.phase:
        case "waits":
            return _waiting(run, rules, admissions, now)
        case "queued":
            return None  # it has its place, and a runner is about to begin it
        case "begun":
            blocked = rules.at(now)
            if blocked is None or blocked.running != "cancel":
                return None
            return End(f"{_names(blocked.windows)}: no run may go on (running: cancel)")


def _waiting(run: Standing, rules: Rules, admissions: Admissions, now: datetime) -> StartAt | End | None:
    if run.cause.kind == "workflow":
        return _node(run, rules, now)
    if run.due_at is not None and run.due_at > now:
        return _sooner(run, run.due_at, admissions, now)
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


def _sooner(run: Standing, due_at: datetime, admissions: Admissions, now: datetime) -> StartAt | None:
    """A schedule's run that windows put off, where these have changed since."""
    schedule = admissions.schedule(run.cause.name) if run.cause.kind == "schedule" else None
    if schedule is None:
        return None
    verdict = schedule.at(run.cause.instant, now)
    return StartAt(verdict.starts_at) if isinstance(verdict, Admitted) and verdict.starts_at < due_at else None


def is_requested(cause: Cause) -> bool:
    """Whether a person asked for the run, or for the workflow that it is a part of."""
    return cause.kind == "request" or (cause.kind == "workflow" and cause.requested_by is not None)


def _rules(run: Standing, admissions: Admissions, catalog: Catalog) -> Rules:
    requested = is_requested(run.cause)
    windows = admissions.windows
    if run.workflow:
        workflow = catalog.workflows.get(run.job)
        own = (Subject(None, requested=requested),)
        return windows.of_all(windows.parts_of(workflow, requested=requested) if workflow is not None else own)
    job = catalog.jobs.get(run.job)
    return windows.of(Subject(run.job, job.metadata.labels if job is not None else {}, run.targets, requested))


def _names(windows: tuple[str, ...]) -> str:
    return ", ".join(f"Window/{name}" for name in windows)
