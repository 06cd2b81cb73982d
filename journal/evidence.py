"""Results from runners that had lost their lease: kept for people, without effect on anything settled."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from engine.identity import RunId
from engine.states import RunState
from journal.databases.tables import evidence
from journal.fence import Fence

Aftermath = Callable[[Connection], object]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A refused result: of a run, a target or a step."""

    run: RunId
    token: int
    what: str
    target: str | None
    phase: str | None
    step: str | None
    attempt: int | None
    state: str
    detail: Mapping[str, Any]
    at: datetime


def of_run(fence: Fence, state: RunState, reason: str | None, outputs: object, now: datetime) -> Aftermath:
    """Keep a run's end."""
    detail = {"reason": reason, "outputs": outputs}
    return keep(Evidence(fence.run, fence.token, "run", None, None, None, None, state.value, detail, now))


def keep(found: Evidence) -> Aftermath:
    """The write that keeps it."""

    def write(tx: Connection) -> None:
        tx.execute(insert(evidence), asdict(found))

    return write


def of(conn: Connection, run: RunId) -> tuple[Evidence, ...]:
    """What was refused about a run, oldest first."""
    rows = conn.execute(select(evidence).where(evidence.c.run == run).order_by(evidence.c.seq))
    return tuple(Evidence(**{k: v for k, v in row._mapping.items() if k != "seq"}) for row in rows)
