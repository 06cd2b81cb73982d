"""Schedules: how far each was considered, and what was decided."""

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC as _UTC
from datetime import date, datetime, time, timedelta
from typing import Any, cast

import structlog
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from engine.identity import RunId
from engine.schedules.decide import Decided, ScheduleClock, SkipReason, Skips
from engine.status.views import DecisionView
from journal import counts, happenings, outbox, points
from journal.databases.portions import portions
from journal.databases.tables import AnyRow, decisions, schedules

log = structlog.get_logger(__name__)

_SKIPPED_TOO = "a bug of ours: a run was started for an instant that is recorded as skipped"


@dataclass(frozen=True, slots=True)
class ClockRow:
    """A schedule's clock. `considered_from` is when it last started anew; `last` the newest decided instant."""

    fingerprint: str
    considered_from: datetime
    considered_until: datetime
    lost_until: datetime | None = None
    last: DecisionView | None = None
    mark: datetime | None = None
    """The newest decided instant that is not ahead of the clock (or where it began), where `last` is ahead of it."""

    @property
    def clock(self) -> ScheduleClock:
        return ScheduleClock(self.considered_until, self.lost_until)


_LONG_AGO = datetime(1970, 1, 1, tzinfo=_UTC)
_LAST = select(decisions).where(decisions.c.schedule == bindparam("name")).order_by(decisions.c.last.desc()).limit(1)
_ADD = insert(decisions)
_EXTEND = (
    update(decisions)
    .where(decisions.c.seq == bindparam("which"))
    .values(last=bindparam("to_last", type_=decisions.c.last.type), times=decisions.c.times + bindparam("more"))
)
_MOVE = (
    update(schedules)
    .where(schedules.c.name == bindparam("which"))
    .values(
        fingerprint=bindparam("to_fingerprint"),
        considered_from=bindparam("to_from", type_=schedules.c.considered_from.type),
        considered_until=bindparam("to_until", type_=schedules.c.considered_until.type),
        lost_until=bindparam("to_lost", type_=schedules.c.lost_until.type),
    )
)


_MOVE_ON = (
    update(schedules)
    .where(schedules.c.name == bindparam("which"))
    .values(
        fingerprint=bindparam("to_fingerprint"),
        considered_until=bindparam("to_until", type_=schedules.c.considered_until.type),
        lost_until=None,
    )
)


def clocks(conn: Connection) -> Mapping[str, ClockRow]:
    """The clocks of all known schedules, by name."""
    # One step into the index for each schedule: years of decisions are not looked at.
    one = decisions.alias()
    newest = select(one.c.seq).where(one.c.schedule == schedules.c.name).order_by(one.c.last.desc()).limit(1)
    query = select(decisions).join(schedules, decisions.c.seq == newest.scalar_subquery())
    last = {row.schedule: _decision(row, row.last) for row in conn.execute(query)}
    rows = {
        row.name: ClockRow(
            row.fingerprint, row.considered_from, row.considered_until, row.lost_until, last.get(row.name)
        )
        for row in conn.execute(select(schedules))
    }
    ahead = [name for name, row in rows.items() if row.last is not None and row.last.instant > row.considered_until]
    if ahead:
        behind = newest.where(one.c.last <= schedules.c.considered_until)
        marks = select(schedules.c.name, decisions.c.last).select_from(
            decisions.join(schedules, decisions.c.seq == behind.scalar_subquery())
        )
        come = {row.name: row.last for row in conn.execute(marks)}
        for name in ahead:
            rows[name] = replace(rows[name], mark=max(rows[name].considered_from, come.get(name, _LONG_AGO)))
    return rows


def considered_untils(conn: Connection, names: Collection[str]) -> Mapping[str, datetime]:
    """The same of each that has a clock."""
    query = select(schedules.c.name, schedules.c.considered_until)
    return {
        name: until for part in portions(names) for name, until in conn.execute(query.where(schedules.c.name.in_(part)))
    }


def move_clocks(tx: Connection, decided: Mapping[str, tuple[str, datetime]]) -> None:
    """Schedules that have a clock are decided up to these instants, each with its fingerprint; the loss is over."""
    if decided:
        rows = [
            {"which": name, "to_fingerprint": fingerprint, "to_until": until}
            for name, (fingerprint, until) in decided.items()
        ]
        tx.execute(_MOVE_ON, rows)


def put_clock(
    tx: Connection,
    name: str,
    *,
    fingerprint: str,
    considered_until: datetime,
    considered_from: datetime | None = None,
    lost_until: datetime | None = None,
) -> None:
    """Set a schedule's clock. Given `considered_from`, it starts anew there; a new one starts at `considered_until`."""
    known = tx.execute(select(schedules.c.considered_from).where(schedules.c.name == name)).first()
    if known is None:
        tx.execute(
            insert(schedules),
            {
                "name": name,
                "fingerprint": fingerprint,
                "considered_from": considered_from or considered_until,
                "considered_until": considered_until,
                "lost_until": lost_until,
            },
        )
    else:
        tx.execute(
            _MOVE,
            {
                "which": name,
                "to_fingerprint": fingerprint,
                "to_from": considered_from or known.considered_from,
                "to_until": considered_until,
                "to_lost": lost_until,
            },
        )
    if known is None or considered_from is not None:
        outbox.add(tx, "schedule", name)


def put_clocks(tx: Connection, changed: Mapping[str, ClockRow]) -> None:
    """Set the clocks of many schedules that are new, or whose definition changed; `last` stays as it is recorded."""
    known = set(tx.execute(select(schedules.c.name)).scalars()) if changed else set()
    added = [
        {
            "name": name,
            "fingerprint": clock.fingerprint,
            "considered_from": clock.considered_from,
            "considered_until": clock.considered_until,
            "lost_until": clock.lost_until,
        }
        for name, clock in changed.items()
        if name not in known
    ]
    moved = [
        {
            "which": name,
            "to_fingerprint": clock.fingerprint,
            "to_from": clock.considered_from,
            "to_until": clock.considered_until,
            "to_lost": clock.lost_until,
        }
        for name, clock in changed.items()
        if name in known
    ]
    if added:
        tx.execute(insert(schedules), added)
    if moved:
        tx.execute(_MOVE, moved)
    outbox.add_all(tx, tuple(("schedule", name) for name in changed))


def forget(tx: Connection, name: str) -> None:
    """The schedule is gone; should it come back, its clock starts anew. Its decisions stay."""
    if tx.execute(delete(schedules).where(schedules.c.name == name)).rowcount:
        outbox.add(tx, "schedule", name)


def record(tx: Connection, decided: Decided, runs: Mapping[datetime, RunId], now: datetime) -> None:
    """Keep what was decided for one schedule; `runs` gives the run of each instant that runs.

    Consecutive skips for one reason are one record, also with those recorded before. An instant that is decided
    already stays as it is. The clock is moved by `put_clock`, in the same transaction.
    """
    record_all(tx, ((decided, runs),), now)


def record_all(tx: Connection, every: Collection[tuple[Decided, Mapping[datetime, RunId]]], now: datetime) -> None:
    """As `record` of each; no schedule is among them twice, and where there are several each has a clock."""
    rows = {schedule: found for decided, runs in every for schedule, found in _rows_of(decided, runs).items()}
    last = _newest(tx, tuple(rows))
    began = _began(tx, tuple(rows))
    added: list[dict[str, Any]] = []
    told: dict[tuple[str, str], None] = {}
    fresh: list[dict[str, Any]] = []
    for schedule, found in rows.items():
        before, ahead = _around(tx, last.get(schedule), found[0]["first"])
        for row in found:
            while ahead and ahead[0]["last"] < row["first"]:
                before = ahead.popleft()
            if ahead and ahead[0]["first"] <= row["last"]:
                if (row["verdict"], ahead[0]["verdict"]) == ("run", "skipped"):
                    log.warning(_SKIPPED_TOO, schedule=schedule, instant=row["first"].isoformat(), run=row["run"])
                continue
            points.record("decide")
            fresh.append(dict(row))
            if before is not None and _joins(before, row, began.get(schedule)):
                _extend(tx, before, row)
            else:
                before = row | {"decided_at": now}
                added.append(before)
            told[("schedule", schedule)] = None
            if row["verdict"] == "skipped":
                told[("decision", before["first"].astimezone(_UTC).date().isoformat())] = None
    if added:
        tx.execute(_ADD, added)
    for row in fresh:
        if row["verdict"] == "skipped":
            happenings.skipped(tx, row["schedule"], row["first"], row["last"], row["times"], row["reason"], now)
    counts.decided(tx, fresh, now)
    outbox.add_all(tx, tuple(told))


def _rows_of(decided: Decided, runs: Mapping[datetime, RunId]) -> dict[str, list[dict[str, Any]]]:
    """By schedule, oldest first; those of one that has nothing to keep are none."""
    rows = [_run_row(due.schedule, due.instant, runs.get(due.instant)) for due in decided.runs]
    rows += [_skip_row(skip) for skip in decided.skips]
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: cast(datetime, row["first"])):
        found.setdefault(row["schedule"], []).append(row)
    return found


def _newest(conn: Connection, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """The newest record of each schedule that has one. Several are asked for together where they have clocks."""
    if len(names) == 1:
        rows = conn.execute(_LAST, {"name": next(iter(names))})
        return {row.schedule: dict(row._mapping) for row in rows}
    one = decisions.alias()
    seq = select(one.c.seq).where(one.c.schedule == schedules.c.name).order_by(one.c.last.desc()).limit(1)
    query = select(decisions).select_from(decisions).join(schedules, decisions.c.seq == seq.scalar_subquery())
    return {
        row.schedule: dict(row._mapping)
        for part in portions(names)
        for row in conn.execute(query.where(schedules.c.name.in_(part)))
    }


def _around(
    conn: Connection, newest: dict[str, Any] | None, first: datetime
) -> tuple[dict[str, Any] | None, deque[dict[str, Any]]]:
    """The record before an instant, and those from it on, oldest first: there are some where a clock was set back."""
    if newest is None or newest["last"] < first:
        return newest, deque()
    mine = select(decisions).where(decisions.c.schedule == newest["schedule"])
    before = conn.execute(mine.where(decisions.c.last < first).order_by(decisions.c.last.desc()).limit(1)).first()
    later = conn.execute(mine.where(decisions.c.last >= first).order_by(decisions.c.last))
    return None if before is None else dict(before._mapping), deque(dict(row._mapping) for row in later)


def _began(conn: Connection, names: Collection[str]) -> dict[str, datetime]:
    """Since when the clock of each goes by one definition."""
    query = select(schedules.c.name, schedules.c.considered_from)
    return {
        row.name: row.considered_from
        for part in portions(names)
        for row in conn.execute(query.where(schedules.c.name.in_(part)))
    }


def _joins(before: Mapping[str, Any], row: Mapping[str, Any], began: datetime | None) -> bool:
    """Skips for one reason are one record, unless the clock started anew between them: no record has two meanings."""
    alike = row["verdict"] == before["verdict"] == "skipped" and row["reason"] == before["reason"]
    return bool(alike and (began is None or not before["first"] <= began < row["first"]))


def _extend(tx: Connection, before: dict[str, Any], row: Mapping[str, Any]) -> None:
    """A record of skips goes on; one that is not written yet is written longer."""
    before["last"] = row["last"]
    before["times"] += row["times"]
    if "seq" in before:
        tx.execute(_EXTEND, {"which": before["seq"], "to_last": row["last"], "more": row["times"]})


def take_back(tx: Connection, run: RunId) -> None:
    """The run never began, and another engine has accounted for its instant otherwise."""
    tx.execute(delete(decisions).where(decisions.c.run == run))


def _run_row(schedule: str, instant: datetime, run: RunId | None) -> dict[str, Any]:
    return {
        "schedule": schedule,
        "first": instant,
        "last": instant,
        "times": 1,
        "verdict": "run",
        "reason": None,
        "run": run,
    }


def _skip_row(skip: Skips) -> dict[str, Any]:
    return {
        "schedule": skip.schedule,
        "first": skip.first,
        "last": skip.last,
        "times": skip.count,
        "verdict": "skipped",
        "reason": skip.reason,
        "run": None,
    }


def day(conn: Connection, on: date) -> tuple[Skips, ...]:
    """The skips whose first instant is of that day in UTC, by instant, then schedule."""
    begins = datetime.combine(on, time(), _UTC)
    query = (
        select(decisions)
        .where(
            decisions.c.verdict == "skipped",
            decisions.c.first >= begins,
            decisions.c.first < begins + timedelta(days=1),
        )
        .order_by(decisions.c.first, decisions.c.schedule)
    )
    return tuple(
        Skips(row.schedule, row.first, row.last, row.times, cast(SkipReason, row.reason)) for row in conn.execute(query)
    )


def days(conn: Connection) -> tuple[date, ...]:
    """The days in UTC that have skips, oldest first."""
    found = conn.execute(select(decisions.c.first).where(decisions.c.verdict == "skipped")).scalars()
    return tuple(sorted({instant.astimezone(_UTC).date() for instant in found if instant is not None}))


def decided(conn: Connection, schedule: str, limit: int = 100) -> tuple[DecisionView, ...]:
    """What was decided last for a schedule, newest first; a record of several skips is shown by its last instant."""
    query = select(decisions).where(decisions.c.schedule == schedule).order_by(decisions.c.last.desc()).limit(limit)
    return tuple(_decision(row, row.last) for row in conn.execute(query))


def decision(conn: Connection, schedule: str, instant: datetime) -> DecisionView | None:
    """What was decided for one due instant; None where it was not decided (or long ago)."""
    row = conn.execute(
        select(decisions)
        .where(decisions.c.schedule == schedule, decisions.c.first <= instant, decisions.c.last >= instant)
        .limit(1)
    ).first()
    return None if row is None else _decision(row, instant)


def _decision(row: AnyRow, instant: datetime) -> DecisionView:
    return DecisionView(row.schedule, instant, row.verdict, row.reason, None if row.run is None else RunId(row.run))


def import_skips(tx: Connection, skips: tuple[Skips, ...], now: datetime) -> None:
    """Take in skips from the status branch, in any order. A known record is extended by what the branch adds."""
    for skip in skips:
        known = select(decisions).where(decisions.c.schedule == skip.schedule, decisions.c.first == skip.first)
        row = tx.execute(known).first()
        if row is None:
            points.record("import")
            tx.execute(_ADD, _skip_row(skip) | {"decided_at": now})
        elif row.verdict == "skipped" and row.last < skip.last:
            points.record("import")
            longer = {"last": skip.last, "times": skip.count, "reason": skip.reason}
            tx.execute(update(decisions).where(decisions.c.seq == row.seq).values(**longer))


def import_last(tx: Connection, last: DecisionView, now: datetime) -> None:
    """Take in a schedule's newest decision from the status branch."""
    known = tx.execute(_LAST, {"name": last.schedule}).first()
    if known is None or known.last < last.instant:
        row = _run_row(last.schedule, last.instant, last.run)
        tx.execute(_ADD, row | {"verdict": last.decision, "reason": last.reason, "decided_at": now})
