"""Files of the repository for who has none: a runner asks for one by a row, and a controller answers in it.

Answers are kept for whoever asks again, the runners of a whole fleet among them, and go when nobody has for a while.
Large ones are written and read in parts, each by itself: all who write take turns, and none may take long.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, or_, select, update

from journal.databases.controltables import file_parts as parts
from journal.databases.controltables import files as table

MOST_KEPT = 256 * 1024 * 1024
"""Bytes of all answers together, but for the newest one."""
PART = 256 * 1024
"""Bytes of the largest part; a file that is not larger is in one piece, in its answer."""
_FOR_OLDER = f"a file of more than {PART // 1024} KiB is not given to a runner of an older version; upgrade this one"
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
    """Either the bytes, or in how many parts they are, or why there are none."""

    data: bytes | None
    trouble: str | None
    parts: int = 0


def ask(tx: Connection, wanted: Wanted, now: datetime) -> None:
    """Have it answered; where it is already, it is kept a while longer."""
    old = and_(table.c.trouble.is_not(None), table.c.parts.is_(None), table.c.used_at < now - _TROUBLE)
    again = {"answered": False, "trouble": None, "used_at": now}
    if tx.execute(update(table).where(_is(wanted), old).values(again)).rowcount:
        return
    good = or_(table.c.trouble.is_(None), table.c.parts.is_not(None))
    if tx.execute(update(table).where(_is(wanted), good).values(used_at=now)).rowcount:
        return
    if tx.execute(select(table.c.path).where(_is(wanted))).first() is None:
        row = {"commit": wanted.commit, "folder": wanted.folder, "path": wanted.path}
        tx.execute(insert(table), {**row, "used_at": now, "answered": False, "size": 0})


def found(conn: Connection, wanted: Wanted) -> Answer | None:
    """The answer; None where there is none yet."""
    query = select(table.c.data, table.c.trouble, table.c.parts).where(_is(wanted), table.c.answered)
    row = conn.execute(query).first()
    if row is None:
        return None
    return Answer(row.data, row.trouble) if row.parts is None else Answer(None, None, row.parts)


def part(conn: Connection, wanted: Wanted, number: int) -> bytes | None:
    """One part of what was answered in parts, from 0 on; None where it is gone, and has to be asked for again."""
    query = select(parts.c.data).where(_is(wanted, parts), parts.c.number == number)
    found: bytes | None = conn.execute(query).scalar()
    return found


def unanswered(conn: Connection, most: int) -> tuple[Wanted, ...]:
    """What somebody waits for, the oldest first."""
    query = select(table.c.commit, table.c.path, table.c.folder).where(~table.c.answered).order_by(table.c.used_at)
    return tuple(Wanted(row.commit, row.path, row.folder) for row in conn.execute(query.limit(most)))


def in_parts(data: bytes) -> tuple[bytes, ...]:
    """What is to be put one by one before it is answered; none where it is small enough for one piece."""
    return tuple(data[at : at + PART] for at in range(0, len(data), PART)) if len(data) > PART else ()


def put_part(tx: Connection, wanted: Wanted, number: int, data: bytes) -> bool:
    """Write one, the first of them first. Whether anybody waits for it still."""
    if number == 0:  # another may have begun, and died
        tx.execute(delete(parts).where(_is(wanted, parts)))
    if tx.execute(select(table.c.path).where(_is(wanted), ~table.c.answered)).first() is None:
        return False
    row = {"commit": wanted.commit, "folder": wanted.folder, "path": wanted.path, "number": number, "data": data}
    tx.execute(insert(parts), row)
    return True


def answer(tx: Connection, wanted: Wanted, said: Answer) -> None:
    """Answer it, for all who asked; what has parts, after they were put. Where one is missing it stays unanswered."""
    mine = update(table).where(_is(wanted))
    if not said.parts:
        size = len(said.data) if said.data is not None else 0
        values = {"answered": True, "data": said.data, "trouble": said.trouble, "size": size, "parts": None}
        tx.execute(mine.values(values))
        return
    sizes = select(func.count(), func.sum(func.length(parts.c.data))).where(_is(wanted, parts))
    count, size = tx.execute(sizes).one()
    if count == said.parts:
        values = {"answered": True, "data": None, "trouble": _FOR_OLDER, "size": int(size), "parts": count}
        tx.execute(mine.values(values))


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


def _is(wanted: Wanted, of: Table = table) -> ColumnElement[bool]:
    return and_(of.c.commit == wanted.commit, of.c.path == wanted.path, of.c.folder == wanted.folder)
