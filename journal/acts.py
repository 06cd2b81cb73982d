"""Acts: each is judged once, and consumed once by its name for ever."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update

from engine.identity import RunId
from journal import outbox, points
from journal.databases.portions import portions
from journal.databases.tables import AnyRow, acts, runs

ActState = Literal["accepted", "refused", "done"]
_AFTER: Mapping[str | None, frozenset[str]] = {
    None: frozenset({"accepted", "refused", "done"}),
    "accepted": frozenset({"done"}),
    "refused": frozenset(),
    "done": frozenset(),
}
"""Which answers may follow which; None is an act that was seen and not yet answered."""


@dataclass(frozen=True, slots=True)
class ActRow:
    """An answered act. `run` is the run it started, or the one it is about."""

    name: str
    state: ActState
    reason: str | None
    message: str | None
    action: str | None
    requested_by: str | None
    run: RunId | None
    digest: str | None
    first_seen: datetime
    settled_at: datetime


_OPEN_OF_RUN = select(acts.c.name).where(acts.c.run == bindparam("ended"), acts.c.state == "accepted")
_DONE = (
    update(acts)
    .where(acts.c.run == bindparam("ended"), acts.c.state == "accepted")
    .values(state="done", settled_at=bindparam("now", type_=acts.c.settled_at.type))
)
_HAS_ENDED = select(runs.c.seq).where(runs.c.id == bindparam("which"), runs.c.finished_at.is_not(None))


def seen(conn: Connection, names: Collection[str]) -> Mapping[str, ActRow]:
    """Those of the names that were ever answered."""
    found: dict[str, ActRow] = {}
    for part in portions(names):
        query = select(acts).where(acts.c.name.in_(part), acts.c.state.is_not(None))
        found.update({row.name: _act(row) for row in conn.execute(query)})
    return found


def recent(conn: Connection, limit: int = 1000) -> tuple[ActRow, ...]:
    """The acts answered last, newest first."""
    query = select(acts).where(acts.c.state.is_not(None)).order_by(acts.c.settled_at.desc(), acts.c.name).limit(limit)
    return tuple(_act(row) for row in conn.execute(query))


def _act(row: AnyRow) -> ActRow:
    return ActRow(**row._mapping)


def first_seen(tx: Connection, name: str, now: datetime, *, digest: str | None = None) -> datetime:
    """When the act was first seen: now, if never before."""
    known = tx.execute(select(acts.c.first_seen).where(acts.c.name == name)).first()
    if known is not None:
        return known.first_seen  # type: ignore[no-any-return]
    tx.execute(insert(acts), {"name": name, "first_seen": now, "digest": digest})
    return now


def settle(
    tx: Connection,
    name: str,
    *,
    state: ActState,
    now: datetime,
    reason: str | None = None,
    message: str | None = None,
    run: RunId | None = None,
    action: str | None = None,
    requested_by: str | None = None,
    digest: str | None = None,
) -> bool:
    """Answer an act. False, and nothing changes, where it has been answered so (or finally) before.

    An accepted act becomes done by itself when its run ends; it is so at once where the run has ended before.
    """
    first_seen(tx, name, now)
    known = tx.execute(select(acts).where(acts.c.name == name)).one()
    if state not in _AFTER[known.state]:
        return False
    if state == "accepted" and run is not None and tx.execute(_HAS_ENDED, {"which": run}).first() is not None:
        state = "done"
    points.record("settle")
    given = {"reason": reason, "message": message, "run": run, "action": action, "requested_by": requested_by}
    given |= {"digest": digest}
    values = {key: value for key, value in given.items() if value is not None}
    tx.execute(update(acts).where(acts.c.name == name).values(state=state, settled_at=now, **values))
    outbox.add(tx, "request", name)
    return True


def take_back(tx: Connection, run: RunId, now: datetime) -> None:
    """Refuse the acts that asked for a run which never began, and which another engine accounted for as lost."""
    for name in tx.execute(_OPEN_OF_RUN, {"ended": run}).scalars().all():
        said = "another engine took the status branch over before this was published; ask again"
        overrule(tx, name, state="refused", reason="storeLost", message=said, now=now)


def overrule(
    tx: Connection,
    name: str,
    *,
    state: ActState,
    now: datetime,
    reason: str | None = None,
    message: str | None = None,
    run: RunId | None = None,
    action: str | None = None,
    requested_by: str | None = None,
) -> bool:
    """Take in a final answer that another engine has published: it stands, also where this journal had another."""
    known = seen(tx, (name,)).get(name)
    if known is not None and known.state == state and known.reason == reason:
        return False
    first_seen(tx, name, now)
    points.record("settle")
    given = {"reason": reason, "message": message, "run": run, "action": action, "requested_by": requested_by}
    tx.execute(update(acts).where(acts.c.name == name).values(state=state, settled_at=now, **given))
    outbox.add(tx, "request", name)
    return True


def asks_for(run: ColumnElement[Any]) -> ColumnElement[bool]:
    """Of an act: whether it has asked for this run, or for its end, and waits for it."""
    return (acts.c.run == run) & (acts.c.state == "accepted")


def run_ended(tx: Connection, run: RunId, now: datetime) -> None:
    """Acts that asked for this run, or for its end, are done. Called with every end of a run that any `asks_for`."""
    names = tx.execute(_OPEN_OF_RUN, {"ended": run}).scalars().all()
    if names:
        tx.execute(_DONE, {"ended": run, "now": now})
        outbox.add_all(tx, tuple(("request", name) for name in names))
