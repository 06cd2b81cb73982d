"""What is known of messages, for pages and the status branch: what waits, what is dead, and how channels do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, literal_column, select

from engine.notifications.noticewords import says
from engine.status.views import ChannelView, DeadLettersView
from journal import channelhealth
from journal.databases.noticetables import messages
from journal.databases.tables import AnyRow

_WAITING = messages.c.state == literal_column("'waiting'")
_SENDING = messages.c.state == literal_column("'sending'")
_DEAD = messages.c.state == literal_column("'dead'")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message, as people are shown it. `tells` are the events that it is about. Of one that was never tried `subject`
    is what it would have said of its event; None where that are several."""

    id: str
    channel: str
    rule: str
    user: str | None
    subject: str | None
    tells: tuple[str, ...]
    run: str | None
    count: int
    state: str
    attempts: int
    error: str | None
    created_at: datetime
    first_at: datetime | None
    next_at: datetime | None
    delivered_at: datetime | None


def dead(
    conn: Connection,
    *,
    channel: str | None = None,
    id: str | None = None,  # noqa: A002 - as it is called
    limit: int | None = 50,
) -> tuple[Letter, ...]:
    """Dead letters, oldest first: all, those of a channel, or those whose id begins so."""
    chosen: list[ColumnElement[bool]] = [_DEAD]
    if channel is not None:
        chosen.append(messages.c.channel == channel)
    if id is not None:
        chosen.append(messages.c.id.startswith(id, autoescape=True))
    return _letters(conn.execute(select(messages).where(*chosen).order_by(messages.c.seq).limit(limit)).all())


def dead_by_channel(conn: Connection) -> tuple[DeadLettersView, ...]:
    """How many dead letters each channel has, by its name; of a hundred channels at most."""
    newest = func.max(messages.c.seq).label("newest")
    query = select(
        messages.c.channel, func.count().label("many"), func.min(messages.c.created_at).label("since"), newest
    )
    rows = conn.execute(query.where(_DEAD).group_by(messages.c.channel).order_by(messages.c.channel).limit(100)).all()
    errors = select(messages.c.seq, messages.c.error).where(messages.c.seq.in_([row.newest for row in rows]))
    said = {row.seq: row.error for row in conn.execute(errors)}
    return tuple(DeadLettersView(row.channel, row.many, row.since, said.get(row.newest)) for row in rows)


def waiting(conn: Connection, limit: int = 50) -> tuple[Letter, ...]:
    """Messages that wait or are under way, oldest first."""
    query = select(messages).where(_WAITING | _SENDING).order_by(messages.c.seq).limit(limit)
    return _letters(conn.execute(query).all())


def recent(conn: Connection, limit: int = 50) -> tuple[Letter, ...]:
    """The newest messages, newest first."""
    return _letters(conn.execute(select(messages).order_by(messages.c.seq.desc()).limit(limit)).all())


def counts(conn: Connection) -> dict[str, int]:
    """How many messages wait (those under way with them) and are dead."""
    query = select(func.count()).select_from(messages)
    return {
        "waiting": conn.execute(query.where(_WAITING | _SENDING)).scalar_one(),
        "dead": conn.execute(query.where(_DEAD)).scalar_one(),
    }


_MOST = 100
_OPEN = _WAITING | _SENDING
_OF_CHANNEL = messages.c.channel == bindparam("via")
_FAILING = (
    select(messages.c.first_at, messages.c.error)
    .where(_OF_CHANNEL, _OPEN, messages.c.error.is_not(None), messages.c.first_at.is_not(None))
    .order_by(messages.c.first_at, messages.c.seq)
    .limit(1)
)
_LAST = (
    select(messages.c.delivered_at)
    .where(_OF_CHANNEL, messages.c.state == literal_column("'delivered'"))
    .order_by(messages.c.seq.desc())
    .limit(1)
)
_BEHIND = (
    select(func.count())
    .select_from(messages)
    .where(_OF_CHANNEL, _OPEN, messages.c.hold_until.is_(None) | (messages.c.attempts > 0))
)
_GIVEN_UP = select(func.count()).select_from(messages).where(_OF_CHANNEL, _DEAD)


def view(conn: Connection, name: str) -> ChannelView | None:
    """How a channel does, for its file; None where it has no messages. It changes as `outbox` says, and not with each
    message: what is under way in a channel that works is not counted."""
    asked = {"via": name}
    in_vain, last = conn.execute(_FAILING, asked).first(), conn.execute(_LAST, asked).scalar()
    trouble = channelhealth.trouble(conn, name)
    dead_letters = conn.execute(_GIVEN_UP, asked).scalar_one()
    found = [] if in_vain is None else [(in_vain.first_at, in_vain.error)]
    found += [] if trouble is None else [(trouble.since, trouble.error)]
    if not found:
        return ChannelView(name, 0, dead_letters, last) if last is not None or dead_letters else None
    waiting, since = conn.execute(_BEHIND, asked).scalar_one(), min(at for at, _ in found)
    return ChannelView(name, waiting, dead_letters, last, since, found[0][1])


def failing(conn: Connection) -> tuple[ChannelView, ...]:
    """The channels that fail, by name; a hundred at most."""
    tried = select(messages.c.channel).where(_OPEN, messages.c.error.is_not(None), messages.c.first_at.is_not(None))
    names = set(conn.execute(tried.distinct().order_by(messages.c.channel).limit(_MOST)).scalars())
    names.update(channelhealth.failing(conn, _MOST))
    return tuple(seen for name in sorted(names)[:_MOST] if (seen := view(conn, name)) is not None)


def is_failing(conn: Connection, name: str) -> bool:
    """Whether a message of the channel was tried in vain and is tried again, or none got there since one was."""
    in_vain = conn.execute(_FAILING, {"via": name}).first()
    return in_vain is not None or channelhealth.trouble(conn, name) is not None


def last_delivered(conn: Connection, name: str) -> datetime | None:
    """When the newest message that got there got there."""
    found: datetime | None = conn.execute(_LAST, {"via": name}).scalar()
    return found


def _letters(rows: Iterable[AnyRow]) -> tuple[Letter, ...]:
    return tuple(map(_letter, rows))


def _would_say(context: Mapping[str, Any]) -> str | None:
    event = context.get("event") or {}
    return says(event) if {"type", "kind", "name", "data"} <= event.keys() else None


def _letter(row: AnyRow) -> Letter:
    events = row.context.get("events") or [row.context.get("event") or {}]
    run = row.context.get("run") or {}
    return Letter(
        id=row.id,
        channel=row.channel,
        rule=row.rule,
        user=row.user,
        subject=row.subject or _would_say(row.context),
        tells=tuple(sorted({str(one["type"]) for one in events if "type" in one})),
        run=run.get("id"),
        count=row._mapping["count"],
        state=row.state,
        attempts=row.attempts,
        error=row.error,
        created_at=row.created_at,
        first_at=row.first_at,
        next_at=row.next_at,
        delivered_at=row.delivered_at,
    )
