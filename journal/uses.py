"""Which credential a run used where: names and places, never a value."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, bindparam, exists, insert, literal, select

from engine.identity import RunId
from engine.states import RunState
from journal.fence import Fence
from journal.sqlite import looked_into
from journal.tables import runs, uses

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


_NOTE = insert(uses).from_select(
    ["run", "target", "credential", "token", "runner", "at"],
    select(
        runs.c.seq,
        bindparam("at_target", type_=uses.c.target.type),
        bindparam("named", type_=uses.c.credential.type),
        runs.c.token,
        runs.c.runner,
        bindparam("instant", type_=uses.c.at.type),
    ).where(
        runs.c.id == bindparam("of"),
        runs.c.token == bindparam("held"),
        runs.c.state == RunState.RUNNING.value,
        # again is harmless: a write that seemed to fail may have been done
        ~exists(literal(1)).where(
            uses.c.run == runs.c.seq,
            uses.c.target == bindparam("at_target"),
            uses.c.credential == bindparam("named"),
            uses.c.token == runs.c.token,
        ),
    ),
)
_SEEN = (
    select(runs.c.id, uses.c.target, uses.c.credential, uses.c.runner, uses.c.at)
    .join_from(uses, runs, runs.c.seq == uses.c.run)
    .order_by(uses.c.run.desc(), uses.c.at.desc(), uses.c.target)
)
_OF_CREDENTIAL = _SEEN.where(uses.c.credential == bindparam("named")).limit(MOST)
_OF_RUN = _SEEN.where(runs.c.id == bindparam("of"))


def note(tx: Connection, fence: Fence, used: Iterable[tuple[str, str]], now: datetime) -> None:
    """Record that the run which is held used these, as (target, credential). Nothing where it is held no more: the
    write that goes along says so."""
    for target, credential in used:
        of = {"of": fence.run, "held": fence.token}
        tx.execute(_NOTE, of | {"at_target": target, "named": credential, "instant": now})


def of_credential(conn: Connection, name: str) -> tuple[Use, ...]:
    """The newest uses, at most MOST, the newest run first."""
    return tuple(Use(*row) for row in conn.execute(_OF_CREDENTIAL, {"named": name}))


def kept_in(path: Path, name: str) -> tuple[Use, ...] | None:
    """As `of_credential`, of a journal that an engine may have open now; None where there is none of this version.

    Nothing is written, not even an upgrade.
    """
    with looked_into(path) as conn:
        return None if conn is None else of_credential(conn, name)


def of_run(conn: Connection, run: RunId) -> tuple[Use, ...]:
    """What a run has used so far."""
    return tuple(Use(*row) for row in conn.execute(_OF_RUN, {"of": run}))
