"""A run in one line, and how long such a run usually takes."""

from statistics import median

from sqlalchemy import Connection

from engine.status.views import RunBrief
from engine.status.yamltext import stamp
from journal import history
from opsconductor.dashboard.sources import Data

_USUAL = 20


def brief_of(run: RunBrief) -> Data:
    """A run in one line."""
    took = run.finished_at - run.started_at if run.finished_at and run.started_at else None
    return {
        "run": run.id,
        "job": run.job,
        "workflow": run.workflow,
        "state": "dry run" if run.dry_run else str(run.state),
        "cause": {"kind": run.cause_kind, "name": run.cause_name, "instant": stamp(run.instant)},
        "queuedAt": stamp(run.queued_at),
        "startedAt": run.started_at and stamp(run.started_at),
        "finishedAt": run.finished_at and stamp(run.finished_at),
        "seconds": took and round(took.total_seconds(), 3),
        "reason": run.reason,
        "targets": run.targets,
        "failed": list(run.failed),
        "failures": run.failures,
    }


def usual_seconds(conn: Connection, name: str, *, workflow: bool) -> float | None:
    """The middle of how long the last successful runs of a job, or of a workflow, took."""
    taken = [
        (brief.finished_at - brief.started_at).total_seconds()
        for brief in history.succeeded(conn, name, workflow=workflow, limit=_USUAL)
        if brief.finished_at and brief.started_at
    ]
    return round(median(taken), 3) if taken else None
