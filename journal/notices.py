"""Notices: what happened that somebody may want to be told of. Recorded with the change that they are about, once.

Who records is not asked whether anybody wants to know: the rules of the commit in force decide that afterwards, in
the order of the notices (`reconciler.notices`), each exactly once.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, func, select

from engine.identity import RunId
from journal import facts, outbox, points
from journal.databases import trailing
from journal.databases.noticetables import notices
from journal.databases.tables import AnyRow, runs
from journal.databases.upsert import Upsert
from schemas.notification import EventName

Kind = Literal[
    "Job", "Workflow", "Schedule", "Target", "RunnerPool", "Credential", "Project", "Discovery", "NotificationChannel"
]
CURSOR = "notices.decided"
"""The fact that says up to which notice the rules have decided."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to an object. `occurrence` tells this time from any other: a run's id, an instant.

    `data` is plain JSON without secrets, a few KiB at most.
    """

    type: EventName
    at: datetime
    kind: Kind
    name: str
    occurrence: str
    run: RunId | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same occurrence, in whatever process and after whatever crash: 32 hex digits."""
        parts = (self.type, self.kind, self.name, self.occurrence)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A notice as the journal has it."""

    seq: int
    id: str
    type: EventName
    at: datetime
    kind: Kind
    name: str
    run: RunId | None
    data: Mapping[str, Any]
    known_as: str | None = None
    """Of a run that is kept: the name that its job or workflow has today."""
    naming: int | None = None
    """Of such a run: the generation of names that its cause is written in."""


_OF_RUN = {"known_as", "naming"}
_COLUMNS = tuple(notices.c[each.name] for each in fields(NoticeRow) if each.name not in _OF_RUN)
_ADD = Upsert(notices, lambda new: new.on_conflict_do_nothing(index_elements=[notices.c.id]))
_AFTER = (
    select(*_COLUMNS, runs.c.known_as, runs.c.naming)
    .select_from(notices.outerjoin(runs, runs.c.id == notices.c.run))
    .where(notices.c.seq > bindparam("after"))
    .order_by(notices.c.seq)
    .limit(bindparam("most"))
)


def happened(tx: Connection, notice: Notice) -> bool:
    """Record it, in the transaction of the change that it is about. False, and nothing changes, where it is known."""
    return happened_all(tx, (notice,)) == 1


def happened_all(tx: Connection, found: Sequence[Notice]) -> int:
    """As `happened` of each; how many are new."""
    rows = {notice.id: _values(notice) for notice in found}
    if not rows:
        return 0
    points.record("notice")
    trailing.settle(tx)
    added: int = tx.execute(_ADD.on(tx), list(rows.values())).rowcount
    if added:
        outbox.tell(tx, work=False)
    return added


def note_all(tx: Connection, found: Sequence[Notice]) -> None:
    """As `happened_all`, at the end of the transaction, where nobody asks which of them are new."""
    if not found:
        return
    points.record("notice")
    outbox.tell(tx, work=False)
    trailing.add(tx, _ADD.on(tx), [_values(notice) for notice in found])


def _values(notice: Notice) -> dict[str, Any]:
    told = {"type": notice.type, "at": notice.at, "kind": notice.kind, "name": notice.name, "run": notice.run}
    return {"id": notice.id, **told, "data": dict(notice.data)}


def pending(conn: Connection, limit: int = 500) -> tuple[NoticeRow, ...]:
    """What the rules have not decided, oldest first."""
    trailing.settle(conn)
    return tuple(_row(row) for row in conn.execute(_AFTER, {"after": decided(conn), "most": limit}))


def decided(conn: Connection) -> int:
    """The number of the last notice that the rules have decided; 0 where there is none."""
    return int(facts.get(conn, CURSOR, 0))


def advance(tx: Connection, seq: int) -> None:
    """The rules have decided everything up to `seq`. The cursor never moves back."""
    if seq > decided(tx):
        facts.put(tx, CURSOR, seq)


def last(conn: Connection) -> int:
    """The number of the newest notice; 0 where there is none."""
    trailing.settle(conn)
    return conn.execute(select(func.max(notices.c.seq))).scalar_one() or 0


def recent(conn: Connection, limit: int = 50) -> tuple[NoticeRow, ...]:
    """The newest notices, newest first."""
    trailing.settle(conn)
    return tuple(_row(row) for row in conn.execute(select(*_COLUMNS).order_by(notices.c.seq.desc()).limit(limit)))


def trim(tx: Connection, keep: int, before: datetime) -> int:
    """Remove decided notices that are older than `before`, and of the others all but the newest `keep`; how many."""
    newest = last(tx)
    done = notices.c.seq <= decided(tx)
    old = (notices.c.at < before) | (notices.c.seq <= newest - keep)
    return tx.execute(delete(notices).where(done, old)).rowcount


def _row(row: AnyRow) -> NoticeRow:
    return NoticeRow(**row._mapping)
