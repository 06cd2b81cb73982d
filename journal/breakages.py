"""What broke and what works again: failures, and the first success after each. Read by an index of failures alone."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Boolean, Connection, bindparam, select

from engine.states import RunState
from engine.status.views import RunBrief
from journal import history
from journal.databases.tables import FAILED, AnyRow, runs

_LOOKED_AT = 1000
"""So many of the newest failures are looked through for jobs that work again since."""
_REAL = runs.c.rehearsal.is_(None)
_FAILURES = (
    select(runs.c.seq, runs.c.known_as, runs.c.workflow)
    .where(FAILED, _REAL)
    .order_by(runs.c.seq.desc())
    .limit(_LOOKED_AT)
)
_NEXT = (
    select(runs.c.seq, runs.c.state)
    .where(
        runs.c.known_as == bindparam("name"), runs.c.workflow == bindparam("workflow", type_=Boolean),
        runs.c.seq > bindparam("after"), runs.c.finished_at.is_not(None), _REAL,
        runs.c.state != RunState.CANCELLED.value,
    )
    .order_by(runs.c.seq)
    .limit(1)
)  # fmt: skip


def news(conn: Connection, limit: int) -> tuple[tuple[RunBrief, bool], ...]:
    """The newest failures, and runs that were the first to succeed after one (True), newest first.

    However many runs succeeded since. A dry run and a cancelled one say nothing.
    """
    failures = conn.execute(_FAILURES).all()
    asked = [*failures[:limit], *_newest_of_others(failures, limit)]
    recovered = {seq for one in asked if (seq := _recovery(conn, one)) is not None}
    told = sorted({*(one.seq for one in failures[:limit]), *recovered}, reverse=True)[:limit]
    found: Mapping[str, bool] = {
        run: seq in recovered for seq, run in conn.execute(select(runs.c.seq, runs.c.id).where(runs.c.seq.in_(told)))
    }
    briefs = history.briefs(conn, runs.c.seq.in_(told), limit=limit)
    return tuple((brief, found[brief.id]) for brief in briefs)


def _newest_of_others(failures: Sequence[AnyRow], shown: int) -> Iterator[AnyRow]:
    """Of each job that is not among the newest failures its last one: it may have recovered just now."""
    seen = {(one.known_as, one.workflow) for one in failures[:shown]}
    for one in failures[shown:]:
        if (one.known_as, one.workflow) not in seen:
            seen.add((one.known_as, one.workflow))
            yield one


def _recovery(conn: Connection, failure: AnyRow) -> int | None:
    """The run that came after a failure, where it succeeded."""
    asked = {"name": failure.known_as, "workflow": failure.workflow, "after": failure.seq}
    after = conn.execute(_NEXT, asked).first()
    return None if after is None or after.state != RunState.SUCCEEDED.value else int(after.seq)
