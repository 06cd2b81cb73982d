"""What follows from every end of a run, in the transaction of the end.

One question asks what there is to do, since most ends have little: each statement is a way to the server and back, and
all other writers wait meanwhile.
"""

from datetime import datetime

from sqlalchemy import Connection, bindparam, case, exists, select

from engine.identity import RunId
from journal import acts, counts, events, happenings, outbox, places, tallies
from journal.databases.tables import runs

_KIND = case((runs.c.workflow, "Workflow"), else_="Job")
_STREAK = case((runs.c.workflow, "workflow"), else_="job")
_FOLLOWS = select(
    runs.c.job,
    runs.c.known_as,
    runs.c.workflow,
    runs.c.state,
    runs.c.reason,
    runs.c.cause,
    runs.c.pool,
    runs.c.queued_at,
    runs.c.starts_at,
    runs.c.started_at,
    runs.c.finished_at,
    runs.c.inline,
    runs.c.rehearsal.is_not(None).label("dry"),
    exists().where(acts.asks_for(runs.c.id)).label("asked"),
    exists().where(events.is_set_off_by(runs.c.workflow, runs.c.known_as, runs.c.state)).label("watched"),
    tallies.failures_of(_KIND, runs.c.known_as).label("failures"),
    counts.streak_of(_STREAK, runs.c.known_as).label("streak"),
).where(runs.c.id == bindparam("which"))


def ended(
    tx: Connection,
    run: RunId,
    known_as: str,
    group: str | None,
    now: datetime,
    *,
    workflow: bool = False,
    tells: bool = True,
) -> None:
    """What follows from every end of a run. `tells`: nobody was told of it before."""
    # What else has work from it on says so itself: a run that has its place now, an event that is looked at.
    outbox.add_all(tx, (("run", run), ("workflow" if workflow else "job", known_as)), work=False)
    row = tx.execute(_FOLLOWS, {"which": run}).first()
    assert row is not None, f"run {run} is not in the journal"
    if row.asked:
        acts.run_ended(tx, run, now)
    if tells:
        counts.run_ended(tx, row)
        happenings.run_ended(tx, run, row, now)
    if row.watched:
        events.run_ended(tx, run, now)
    places.admit_group(tx, group)
