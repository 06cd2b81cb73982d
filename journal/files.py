"""Files of the repository for who has none: a runner asks for one by a row, and a controller answers in it.

Answers are kept for whoever asks again, the runners of a whole fleet among them, and go when nobody has for a while.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from journal.controltables import files as table

MOST_KEPT = 256 * 1024 * 1024
"""Bytes of all answers together, but for the newest one."""
_UNUSED = timedelta(hours=1)
_TROUBLE = timedelta(seconds=30)
"""How long nobody looks again for what was not there: a commit may have been fetched meanwhile."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file of a commit, or with `folder` what lies below one."""

    commit: str
    path: str
    folder: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Either the bytes, or why there are none."""

    data: bytes | None
    trouble: str | None


def ask(tx: Connection, wanted: Wanted, now: datetime) -> None:
    """Have it answered; where it is already, it is kept a while longer."""
    old = and_(table.c.trouble.is_not(None), table.c.used_at < now - _TROUBLE)
    again = {"answered": False, "trouble": None, "used_at": now}
    if tx.execute(update(table).where(_is(wanted), old).values(again)).rowcount:
        return
    if tx.execute(update(table).where(_is(wanted), table.c.trouble.is_(None)).values(used_at=now)).rowcount:
        return
    if tx.execute(select(table.c.path).where(_is(wanted))).first() is None:
        row = {"commit": wanted.commit, "folder": wanted.folder, "path": wanted.path}
        tx.execute(insert(table), {**row, "used_at": now, "answered": False, "size": 0})


def found(conn: Connection, wanted: Wanted) -> Answer | None:
    """The answer; None where there is none yet."""
    row = conn.execute(select(table.c.data, table.c.trouble).where(_is(wanted), table.c.answered)).first()
    return None if row is None else Answer(row.data, row.trouble)


def unanswered(conn: Connection, most: int) -> tuple[Wanted, ...]:
    """What somebody waits for, the oldest first."""
    query = select(table.c.commit, table.c.path, table.c.folder).where(~table.c.answered).order_by(table.c.used_at)
    return tuple(Wanted(row.commit, row.path, row.folder) for row in conn.execute(query.limit(most)))


def answer(tx: Connection, wanted: Wanted, said: Answer) -> None:
    """Answer it, for all who asked."""
    size = len(said.data) if said.data is not None else 0
    values = {"answered": True, "data": said.data, "trouble": said.trouble, "size": size}
    tx.execute(update(table).where(_is(wanted)).values(values))


def prune(tx: Connection, now: datetime) -> None:
    """Remove what nobody has asked for in an hour, and the oldest of what is too much."""
    tx.execute(delete(table).where(table.c.used_at < now - _UNUSED))
    total = int(tx.execute(select(func.coalesce(func.sum(table.c.size), 0))).scalar_one())
    if total <= MOST_KEPT:
        return
    rows = tx.execute(
        select(table.c.commit, table.c.path, table.c.folder, table.c.size)
        .where(table.c.answered)
        .order_by(table.c.used_at)
    ).all()
    for row in rows[:-1]:
        if total <= MOST_KEPT:
            break
        tx.execute(delete(table).where(_is(Wanted(row.commit, row.path, row.folder))))
        total -= row.size


def _is(wanted: Wanted) -> ColumnElement[bool]:
    return and_(table.c.commit == wanted.commit, table.c.path == wanted.path, table.c.folder == wanted.folder)
