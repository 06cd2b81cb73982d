"""Which credential a run used where, and what else uses one: names and places, never a value."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, bindparam, exists, func, insert, literal, select, update

from engine.identity import RunId
from journal.databases.sqlite import looked_into
from journal.databases.tables import runs, steady_uses, uses
from journal.fence import Fence, holds
from journal.slicetables import slices

MOST = 100
"""So many of the newest uses are told of one credential."""


@dataclass(frozen=True, slots=True)
class Use:
    """A credential that was opened for a target (`-`: the runner itself) of a run, first at `at` by this runner."""

    run: RunId
    target: str
    credential: str
    runner: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class SteadyUse:
    """A credential that is opened for what is no run, since `first`; `runner` was the one that did it last.

    `used_by`: `NotificationChannel/x`, `Trigger/x`, or `Project` for the statuses of commits.
    """

    credential: str
    used_by: str
    runner: str | None
    first: datetime
    last: datetime


_OF_SLICE = (
    select(slices.c.runner)
    .where(slices.c.run == runs.c.seq, slices.c.token == bindparam("held"))
    .correlate(runs)
    .scalar_subquery()
)
_NOTE = insert(uses).from_select(
    ["run", "target", "credential", "token", "runner", "at"],
    select(
        runs.c.seq,
        bindparam("at_target", type_=uses.c.target.type),
        bindparam("named", type_=uses.c.credential.type),
        bindparam("held", type_=uses.c.token.type),
        func.coalesce(_OF_SLICE, runs.c.runner),
        bindparam("instant", type_=uses.c.at.type),
    ).where(
        runs.c.id == bindparam("of"),
        holds(bindparam("held")),
        # again is harmless: a write that seemed to fail may have been done
        ~exists(literal(1)).where(
            uses.c.run == runs.c.seq,
            uses.c.target == bindparam("at_target"),
            uses.c.credential == bindparam("named"),
            uses.c.token == bindparam("held"),
        ),
    ),
)
_SEEN = (
    select(runs.c.id, uses.c.target, uses.c.credential, uses.c.runner, uses.c.at)
    .join_from(uses, runs, runs.c.seq == uses.c.run)
    .order_by(uses.c.run.desc(), uses.c.at.desc(), uses.c.target)
)
_STEADY = select(
    steady_uses.c.credential, steady_uses.c.used_by, steady_uses.c.runner, steady_uses.c.first, steady_uses.c.last
).order_by(steady_uses.c.last.desc(), steady_uses.c.used_by)
_STEADY_OF = _STEADY.where(steady_uses.c.credential == bindparam("named")).limit(MOST)
_STEADY_AGAIN = (
    update(steady_uses)
    .where(steady_uses.c.credential == bindparam("named"), steady_uses.c.used_by == bindparam("by"))
    .values(runner=bindparam("at_runner"), last=bindparam("instant", type_=steady_uses.c.last.type))
)
_OF_CREDENTIAL = _SEEN.where(uses.c.credential == bindparam("named")).limit(MOST)
_OF_RUN = _SEEN.where(runs.c.id == bindparam("of"))


def note(tx: Connection, fence: Fence, used: Iterable[tuple[str, str]], now: datetime) -> None:
    """Record that the run which is held used these, as (target, credential). Nothing where it is held no more: the
    write that goes along says so."""
    for target, credential in used:
        of = {"of": fence.run, "held": fence.token}
        tx.execute(_NOTE, of | {"at_target": target, "named": credential, "instant": now})


def note_steady(tx: Connection, used_by: str, credentials: Iterable[str], runner: str | None, now: datetime) -> None:
    """Record that these were opened for what is no run: each once, with when it was last."""
    for name in credentials:
        of = {"named": name, "by": used_by, "at_runner": runner, "instant": now}
        if tx.execute(_STEADY_AGAIN, of).rowcount == 0:
            row = {"credential": name, "used_by": used_by, "runner": runner, "first": now, "last": now}
            tx.execute(insert(steady_uses), row)


def steady(conn: Connection, name: str) -> tuple[SteadyUse, ...]:
    """What else uses a credential, at most MOST, the newest first."""
    return tuple(SteadyUse(*row) for row in conn.execute(_STEADY_OF, {"named": name}))


def of_credential(conn: Connection, name: str) -> tuple[Use, ...]:
    """The newest uses, at most MOST, the newest run first."""
    return tuple(Use(*row) for row in conn.execute(_OF_CREDENTIAL, {"named": name}))


def kept_in(path: Path, name: str) -> tuple[tuple[Use, ...], tuple[SteadyUse, ...]] | None:
    """As `of_credential` and `steady`, of a journal that an engine may have open now.

    None where there is none of this version.
    Nothing is written, not even an upgrade.
    """
    with looked_into(path) as conn:
        return None if conn is None else (of_credential(conn, name), steady(conn, name))


def of_run(conn: Connection, run: RunId) -> tuple[Use, ...]:
    """What a run has used so far."""
    return tuple(Use(*row) for row in conn.execute(_OF_RUN, {"of": run}))
