"""The commits of definitions that were looked at, and what came of each: the newest of them, for people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from engine.identity import RunId
from journal.databases.tables import commits, events, runs

Judgement = Literal["accepted", "rejected", "frozen"]
KEPT = 500
"""Commits that are remembered."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A commit and what came of it. `detail` is plain JSON of a bounded size: who made it, what it changes, why not."""

    commit: str
    at: datetime
    verdict: Judgement
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Caused:
    """What a commit set off: the trigger, and its run where it started one; else `reason` says why not."""

    trigger: str
    state: str
    run: RunId | None
    reason: str | None


_NEWEST = select(commits.c.seq, commits.c.commit, commits.c.verdict).order_by(commits.c.seq.desc()).limit(1)
_KNOWN = select(commits.c.seq).where(commits.c.commit == bindparam("which")).limit(1)
_RECENT = select(commits).order_by(commits.c.seq.desc()).limit(bindparam("most")).offset(bindparam("after"))
_SET_OFF = (
    select(events.c.key, events.c.trigger, events.c.state, events.c.run, events.c.reason)
    .where(events.c.trigger == bindparam("name"), events.c.kind == "definitions")
    .order_by(events.c.seq.desc())
    .limit(bindparam("most"))
)


_LAST_RUNS = select(runs.c.commit).order_by(runs.c.seq.desc()).limit(bindparam("most")).subquery()
_RUNS = select(_LAST_RUNS.c.commit, func.count().label("counted")).group_by(_LAST_RUNS.c.commit)


def record(tx: Connection, judged: Judged) -> bool:
    """Remember what came of a commit. Looked at again with the same end, as after a restart, it is no news: False."""
    newest = tx.execute(_NEWEST).first()
    if newest is not None and (newest.commit, newest.verdict) == (judged.commit, judged.verdict):
        return False
    row = {"commit": judged.commit, "at": judged.at, "verdict": judged.verdict, "detail": dict(judged.detail)}
    tx.execute(insert(commits), row)
    if newest is not None:
        tx.execute(delete(commits).where(commits.c.seq <= newest.seq + 1 - KEPT))
    return True


def last(conn: Connection) -> str | None:
    """The commit that was looked at last."""
    newest = conn.execute(_NEWEST).first()
    return None if newest is None else str(newest.commit)


def is_known(conn: Connection, commit: str) -> bool:
    """Whether a commit is among those that were looked at and are remembered."""
    return conn.execute(_KNOWN, {"which": commit}).first() is not None


def recent(conn: Connection, limit: int, after: int = 0) -> tuple[Judged, ...]:
    """The commits looked at last, newest first, without the first `after` of them."""
    rows = conn.execute(_RECENT, {"most": limit, "after": after})
    return tuple(Judged(row.commit, row.at, row.verdict, row.detail) for row in rows)


def caused(conn: Connection, triggers: Iterable[str], limit: int = 500) -> Mapping[str, tuple[Caused, ...]]:
    """By commit, what it set off of these triggers: the newest `limit` events of each trigger are looked at."""
    found: dict[str, list[Caused]] = {}
    for name in triggers:
        for row in conn.execute(_SET_OFF, {"name": name, "most": limit}):
            commit = row.key.split("/")[1]  # commit/<id>/<instant>, as reconciler.triggers writes it
            found.setdefault(commit, []).append(Caused(row.trigger, row.state, row.run and RunId(row.run), row.reason))
    return {commit: tuple(one) for commit, one in found.items()}


def runs_on(conn: Connection, most: int = 2000) -> Mapping[str, int]:
    """By commit, how many of the newest `most` runs were made of it."""
    return {row.commit: row.counted for row in conn.execute(_RUNS, {"most": most})}
