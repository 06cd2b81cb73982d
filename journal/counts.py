"""Counts that only grow, for whoever measures: kept in the transaction of what they count, so no restart loses one.

Retention removes runs and decisions, and with them what could be counted afterwards; so it is counted when it happens.
What is taken in from a status branch happened elsewhere: it sets times, and counts nothing.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    Integer,
    Table,
    bindparam,
    insert,
    select,
    update,
)

from engine.states import RunState
from journal.databases import trailing
from journal.databases.portions import portions
from journal.databases.tables import AnyRow, Characters, Instant, metadata
from journal.databases.upsert import Upsert

BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Upper edges of the classes of durations, in seconds. Their numbers are kept: a change of them needs a new version."""
NO_CLASS = -1
"""The class of a run that never started: it has no duration."""

counts = Table(
    "counts",
    metadata,
    Column("what", Characters, primary_key=True),
    Column("kind", Characters, primary_key=True),
    Column("name", Characters, primary_key=True),
    Column("detail", Characters, primary_key=True),
    Column("size", Integer, primary_key=True),
    Column("times", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("last", Instant),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened, and the sum of how long it took in seconds.

    `what`: `run` (kind job or workflow, its name, the state it ended in), `late` (of the pool `name`: from when a run
    was due until it started), `due` (kind run or skipped, the reason), `streak` (failures in a row up to now).
    `size` is the number of a class of BOUNDS, one more than the last for what took longer; or NO_CLASS.
    """

    what: str
    kind: str
    name: str
    detail: str
    size: int
    times: int
    seconds: float
    last: datetime | None


_NOT_FAILED = (RunState.SUCCEEDED.value, RunState.CANCELLED.value)
_KEY = (counts.c.what, counts.c.kind, counts.c.name, counts.c.detail, counts.c.size)
_THIS = [column == bindparam(f"of_{column.key}") for column in _KEY]
_GROW = Upsert(
    counts,
    lambda new: new.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={
            "times": counts.c.times + new.excluded.times,
            "seconds": counts.c.seconds + new.excluded.seconds,
            "last": new.excluded.last,
        },
    ),
)
_Key = tuple[str, str, str, str, int]
_SET = update(counts).where(*_THIS).values(times=bindparam("to"))
_MARK = (
    update(counts)
    .where(*_THIS, counts.c.last < bindparam("at", type_=Instant))
    .values(last=bindparam("at", type_=Instant))
)


_OF_PAST = counts.c.what.in_(("run", "streak"))
_COUNTED = (
    select(counts.c.kind, counts.c.name)
    .where(_OF_PAST, counts.c.name.in_(bindparam("names", expanding=True)))
    .distinct()
)
_RENAME = (
    update(counts)
    .where(_OF_PAST, counts.c.kind == bindparam("of"), counts.c.name == bindparam("old"))
    .values(name=bindparam("new"))
)


def size_of(seconds: float) -> int:
    """The number of the class that so many seconds fall into."""
    return bisect_left(BOUNDS, seconds)


def streak_of(kind: ColumnElement[str], name: ColumnElement[str]) -> ColumnElement[int | None]:
    """How many failures in a row are counted of a job's or a workflow's runs, as a part of another question."""
    key = ("streak", kind, name, "", 0)
    where = [column == value for column, value in zip(_KEY, key, strict=True)]
    return select(counts.c.times).where(*where).scalar_subquery()


def run_ended(tx: Connection, row: AnyRow) -> None:
    """Count an end that is recorded in this transaction, as `journal.runends` sees it. A dry run is none."""
    if row.dry:
        return
    kind = "workflow" if row.workflow else "job"
    took = _seconds(row.started_at, row.finished_at)
    size = NO_CLASS if took is None else size_of(took)
    grown = [_row(("run", kind, row.known_as, row.state, size), 1, took, row.finished_at)]
    streak = ("streak", kind, row.known_as, "", 0)
    if row.state not in _NOT_FAILED:
        grown.append(_row(streak, 1, None, row.finished_at))
    elif row.state == RunState.SUCCEEDED.value and row.streak:
        tx.execute(_SET, _of(streak) | {"to": 0})
    late = _seconds(_due(row), row.started_at)
    if late is not None and not row.workflow:
        grown.append(_row(("late", "", row.pool, "", size_of(late)), 1, late, row.finished_at))
    if row.state in _NOT_FAILED:
        trailing.add(tx, _GROW.on(tx), grown, _together)
        return
    # The next end in this transaction asks how many failures there were in a row.
    trailing.settle(tx)
    tx.execute(_GROW.on(tx), grown)


def _together(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """One row for each count that grows."""
    of: dict[_Key, dict[str, Any]] = {}
    for row in rows:
        key = (row["what"], row["kind"], row["name"], row["detail"], row["size"])
        same = of.setdefault(key, {**row, "times": 0, "seconds": 0.0})
        same |= {
            "times": same["times"] + row["times"], "seconds": same["seconds"] + row["seconds"], "last": row["last"],
        }  # fmt: skip
    return tuple(of.values())


def rename(tx: Connection, former: Mapping[tuple[str, str], str]) -> None:
    """The counts of a job's or workflow's runs go on under another name: `former` gives that of each kind and name."""
    trailing.settle(tx)
    named = {name for (_, old), new in former.items() for name in (old, new)}
    rows = (row for part in portions(named) for row in tx.execute(_COUNTED, {"names": part}))
    counted = {(row.kind, row.name) for row in rows}
    moves = []
    for (kind, old), new in former.items():
        if (kind, old) in counted and (kind, new) not in counted:
            counted.add((kind, new))
            moves.append({"of": kind, "old": old, "new": new})
    if moves:
        tx.execute(_RENAME, moves)


def run_known(tx: Connection, kind: str, job: str, state: RunState, at: datetime | None) -> None:
    """Remember when a run ended that is taken in from elsewhere. It is not counted."""
    if at is None:
        return
    trailing.settle(tx)
    key = ("run", kind, job, state.value, NO_CLASS)
    if tx.execute(_MARK, _of(key) | {"at": at}).rowcount == 0 and not _known(tx, key):
        tx.execute(insert(counts), _row(key, 0, None, at))


def decided(tx: Connection, rows: Iterable[Mapping[str, Any]], now: datetime) -> None:
    """Count due instants: `rows` are records of decisions with their verdict, reason and times."""
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        found[row["verdict"], row["reason"] or ""] += row["times"]
    if found:
        grown = [_row(("due", verdict, "", why, NO_CLASS), times, None, now) for (verdict, why), times in found.items()]
        tx.execute(_GROW.on(tx), sorted(grown, key=lambda row: (row["kind"], row["detail"])))


def every(conn: Connection) -> tuple[Count, ...]:
    """All of them: some ten a job."""
    trailing.settle(conn)
    return tuple(Count(*row) for row in conn.execute(select(*(counts.c[each.name] for each in fields(Count)))))


def _row(key: _Key, times: int, seconds: float | None, at: datetime) -> dict[str, Any]:
    named = dict(zip((column.key for column in _KEY), key, strict=True))
    return {**named, "times": times, "seconds": seconds or 0.0, "last": at}


def _known(tx: Connection, key: _Key) -> bool:
    return tx.execute(select(counts.c.times).where(*_THIS), _of(key)).first() is not None


def _of(key: _Key) -> dict[str, Any]:
    return {f"of_{column.key}": value for column, value in zip(_KEY, key, strict=True)}


def _due(row: AnyRow) -> datetime:
    if row.starts_at is not None:
        return row.starts_at  # type: ignore[no-any-return]
    # Of a request the instant is the committer's, by a clock that nobody has checked.
    return datetime.fromisoformat(row.cause["instant"]) if row.cause["kind"] == "schedule" else row.queued_at


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else max(0.0, (end - begin).total_seconds())
