"""Who is at work, and which messages could not be told: what people look at when something seems wrong."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from journal.databases.noticetables import messages
from journal.databases.tables import Instant, runners


@dataclass(frozen=True, slots=True)
class RunnerRow:
    """A runner that has begun: it takes runs of this pool, `*` of every pool."""

    name: str
    pool: str
    host: str
    since: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody tries to deliver any more. `error` is what the last attempt said."""

    id: str
    channel: str
    subject: str | None
    error: str | None
    at: datetime


_RUNNERS = (
    select(runners.c.name, runners.c.pool, runners.c.host, runners.c.since)
    .where(runners.c.since >= bindparam("begun", type_=Instant))
    .order_by(runners.c.since.desc(), runners.c.name)
    .limit(bindparam("most"))
)
_DEAD = (
    select(messages.c.id, messages.c.channel, messages.c.subject, messages.c.error, messages.c.created_at.label("at"))
    .where(messages.c.state == "dead")
    .order_by(messages.c.seq.desc())
    .limit(bindparam("most"))
)


def begun(conn: Connection, since: datetime, limit: int) -> tuple[RunnerRow, ...]:
    """The runners that have begun since then, the newest first."""
    return tuple(RunnerRow(*row) for row in conn.execute(_RUNNERS, {"begun": since, "most": limit}))


def dead_letters(conn: Connection, limit: int) -> tuple[DeadLetter, ...]:
    """The newest messages that were given up, newest first."""
    return tuple(DeadLetter(*row) for row in conn.execute(_DEAD, {"most": limit}))
