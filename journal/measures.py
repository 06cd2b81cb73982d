"""What is measured of the journal at one moment: small answers, however much history there is."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from engine.states import RunState
from journal import facts, outbox
from journal.counts import Count, every
from journal.databases.noticetables import messages
from journal.databases.tables import cursors, nodes, runs

_OPEN = runs.c.finished_at.is_(None)
_DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """How many runs of a job or workflow (`kind`) are in a state that is not an end."""

    kind: str
    job: str
    state: str
    count: int


@dataclass(frozen=True, slots=True)
class Queue:
    """The runs that wait for a runner of a pool, and since when the oldest of them does."""

    pool: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of a channel in a state, and since when the oldest of them is there."""

    channel: str
    state: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Measures:
    counts: tuple[Count, ...]
    open: tuple[OpenRuns, ...]
    queues: tuple[Queue, ...]
    behind: tuple[tuple[str, int], ...]
    """Consumers of the outbox, each with how many entries it has not dealt with; and, once there were any, the runs
    whose logs are set aside (`logs.aside`) or could not yet be removed (`logs.gone`) where logs are kept."""
    gates: int
    messages: tuple[Messages, ...]
    dealt_with: tuple[tuple[str, int], ...] = ()
    """Consumers of the outbox, each with how many entries it has dealt with since the journal was made."""


def read(conn: Connection) -> Measures:
    """Measure now. Costs what the open runs and the kinds of counts cost, some milliseconds."""
    cursors_ = _cursors(conn)
    return Measures(
        every(conn), _open(conn), _queues(conn), _behind(conn, cursors_), _gates(conn), _messages(conn), cursors_
    )


def _open(conn: Connection) -> tuple[OpenRuns, ...]:
    query = select(runs.c.workflow, runs.c.known_as, runs.c.state, func.count()).where(_OPEN)
    rows = conn.execute(query.group_by(runs.c.workflow, runs.c.known_as, runs.c.state))
    return tuple(OpenRuns("workflow" if workflow else "job", job, state, count) for workflow, job, state, count in rows)


def _queues(conn: Connection) -> tuple[Queue, ...]:
    query = select(runs.c.pool, func.count(), func.min(runs.c.queued_at))
    queued = query.where(_OPEN, runs.c.state == RunState.QUEUED.value, ~runs.c.workflow)
    return tuple(Queue(*row) for row in conn.execute(queued.group_by(runs.c.pool)))


def _cursors(conn: Connection) -> tuple[tuple[str, int], ...]:
    rows = conn.execute(select(cursors.c.consumer, cursors.c.seq).order_by(cursors.c.consumer))
    return tuple((consumer, seq) for consumer, seq in rows)


def _behind(conn: Connection, cursors_: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    last = outbox.last(conn)
    lists = ((key, facts.get(conn, key)) for key in (facts.LOGS_ASIDE, facts.LOGS_GONE))
    left = tuple((key, len(runs_)) for key, runs_ in lists if runs_ is not None)
    return tuple((consumer, max(0, last - seq)) for consumer, seq in cursors_) + left


def _gates(conn: Connection) -> int:
    waiting = select(func.count()).where(nodes.c.digest.is_not(None), nodes.c.ended_at.is_(None))
    return conn.execute(waiting).scalar_one()


def _messages(conn: Connection) -> tuple[Messages, ...]:
    """Those that are still to be delivered, and those that never will be."""
    query = select(messages.c.channel, messages.c.state, func.count(), func.min(messages.c.created_at))
    rows = conn.execute(query.where(messages.c.state != _DELIVERED).group_by(messages.c.channel, messages.c.state))
    return tuple(Messages(*row) for row in rows)
