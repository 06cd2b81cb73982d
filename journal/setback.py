"""Clocks of schedules that were ahead of the time: what they recorded of instants that have not come is taken back."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, select, text, update

from journal import outbox
from journal.databases.portions import portions, portions_alike
from journal.databases.tables import AnyRow, decisions, schedules

Kept = Callable[[datetime], tuple[datetime, int]]
"""The last instant up to some moment, and the number, of a record of skips that begins at an instant before it."""

# CROSS JOIN, since SQLite then goes by the clocks: there are few, and years of runs. PostgreSQL reads it as any join.
RAN_AHEAD = text(
    "SELECT decisions.schedule, decisions.first FROM schedules CROSS JOIN decisions"
    " WHERE decisions.schedule = schedules.name AND decisions.last > schedules.considered_until"
    " AND decisions.verdict = 'run'"
).columns(decisions.c.schedule, decisions.c.first)


_ALIKE = timedelta(days=1)
"""Clocks that are no further apart are asked for together: one that lags has nobody read what ran since then of all."""
_RAN = (decisions.c.schedule, decisions.c.first, decisions.c.last)


def set_back(tx: Connection, names: Sequence[str], to: datetime, kept: Kept | None) -> None:
    """The clock of a schedule goes back to `to`, where it is further: skips of what has not come yet are taken back.

    Runs stay. `names` are the schedule's and its former ones. What is left of a record that began before `to` is as
    `kept` says; where nobody knows by which definition it was made (`kept` is None, or it began before the clock did),
    it is as though its instants lay equally far apart.
    """
    mine = schedules.c.name.in_(names)
    began = max(tx.execute(select(schedules.c.considered_from).where(mine)).scalars(), default=to)
    for row in tx.execute(select(decisions).where(*_skips_beyond(names, to))).all():
        this = decisions.c.seq == row.seq
        if row.first > to:
            tx.execute(delete(decisions).where(this))
        else:
            last, times = _share(row, to) if kept is None or row.first <= began else kept(row.first)
            tx.execute(update(decisions).where(this).values(last=last, times=times))
        outbox.add(tx, "decision", row.first.astimezone(UTC).date().isoformat())
    further = (mine, schedules.c.considered_until > to)
    for name in tx.execute(select(schedules.c.name).where(*further)).scalars().all():
        outbox.add(tx, "schedule", name)
    tx.execute(update(schedules).where(*further).values(considered_until=to, lost_until=None))
    tx.execute(update(schedules).where(mine, schedules.c.considered_from > to).values(considered_from=to))


def _skips_beyond(names: Collection[str], to: datetime) -> tuple[ColumnElement[bool], ...]:
    return decisions.c.schedule.in_(names), decisions.c.verdict == "skipped", decisions.c.last > to


def _share(row: AnyRow, to: datetime) -> tuple[datetime, int]:
    step = (row.last - row.first) / (row.times - 1) if row.times > 1 else row.last - row.first
    whole = (to - row.first) // step
    return max(row.first, (row.first + whole * step).replace(microsecond=0)), whole + 1


def skipped_beyond(conn: Connection, names: Collection[str], to: datetime) -> Sequence[tuple[str, datetime]]:
    """Of these names the records of skips that reach beyond `to`: whose, and from when on."""
    query = select(decisions.c.schedule, decisions.c.first)
    return [
        (row.schedule, row.first)
        for part in portions(names)
        for row in conn.execute(query.where(*_skips_beyond(part, to)))
    ]


def ran_ahead(conn: Connection) -> Mapping[str, tuple[datetime, ...]]:
    """The instants that run beyond what their schedules are considered until, rising: a clock was set back."""
    found: dict[str, list[datetime]] = {}
    for name, instant in conn.execute(RAN_AHEAD):
        found.setdefault(name, []).append(instant)
    return {name: tuple(sorted(instants)) for name, instants in found.items()}


def ran_after(conn: Connection, since: Mapping[str, datetime]) -> Mapping[str, tuple[datetime, ...]]:
    """The instants of these names that run after the one that is given for each, rising."""
    found: dict[str, list[datetime]] = {}
    for part in portions_alike(since, _ALIKE):
        beyond = (decisions.c.schedule.in_(part), decisions.c.verdict == "run", decisions.c.last > since[part[0]])
        for row in conn.execute(select(*_RAN).where(*beyond).order_by(decisions.c.first)):
            if row.last > since[row.schedule]:
                found.setdefault(row.schedule, []).append(row.first)
    return {name: tuple(instants) for name, instants in found.items()}
