"""When `up --once` is done: nothing is open, undecided, unpublished, or to be told that was not tried."""

from datetime import datetime

from sqlalchemy import Connection

from engine.identity import RunId
from engine.states import RunState
from journal import deliveries, events, history, notices, runs, workflows
from reconciler.publication.projection import unpublished


def is_idle(conn: Connection, now: datetime, *, telling: bool) -> bool:
    """Whether nothing is left to do before somebody asks, decides or changes something, or a later time comes.

    `telling`: whether there are rules that decide what is told.
    """
    waits = (run for run in runs.open_runs(conn) if not workflows.only_waits(conn, run))
    due = any(not _starts_later(conn, run, now) for run in waits)
    told = not (telling and notices.pending(conn, 1)) and not deliveries.untried(conn, now)
    return not due and not events.pending(conn, 1) and told and not unpublished(conn)


def failed_since(conn: Connection, since: datetime) -> bool:
    """Whether a run has ended since then and has not succeeded."""
    # What the failure of a node means, its workflow's run says.
    ended = [brief for brief in history.ended(conn, limit=1000) if brief.cause_kind != "workflow"]
    return any(b.finished_at and b.finished_at >= since and b.state is not RunState.SUCCEEDED for b in ended)


def _starts_later(conn: Connection, run: RunId, now: datetime) -> bool:
    view = runs.get(conn, run)
    return view is not None and view.starts_at is not None and view.starts_at > now
