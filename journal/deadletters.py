"""Messages at their end: how long those that arrived and those that are dead are kept; dead ones sent again."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, delete, func, literal_column, or_, select, update

from journal import outbox
from journal.databases.noticetables import messages

KEPT = timedelta(days=7)
"""So long what was delivered is kept."""
DEAD_KEPT = timedelta(days=90)
"""So long dead letters can be sent again."""
DEAD_MOST = 10_000
"""So many are kept of a channel, the newest: one that nobody mends for weeks must not fill the disk."""

_DEAD = messages.c.state == literal_column("'dead'")


def replay(tx: Connection, *, channel: str | None = None, id: str | None = None) -> int:  # noqa: A002 - as it is called
    """Have dead messages sent again, as they were: all, those of a channel, or one (by a unique beginning of its id).

    Their time begins anew. The number of them.
    """
    chosen: list[ColumnElement[bool]] = [_DEAD]
    if channel is not None:
        chosen.append(messages.c.channel == channel)
    if id is not None:
        chosen.append(messages.c.id.startswith(id, autoescape=True))
    touched = tx.execute(select(messages.c.channel).where(*chosen).distinct()).scalars().all()
    again = {"state": "waiting", "attempts": 0, "first_at": None, "next_at": None, "hold_until": None}
    count = tx.execute(update(messages).where(*chosen).values(again)).rowcount
    if count:
        outbox.add_all(tx, tuple(("channel", name) for name in touched))
    return count


def trim(tx: Connection, now: datetime) -> int:
    """Remove what was delivered KEPT ago, the last of each channel apart, and dead letters DEAD_KEPT after they were
    written or beyond DEAD_MOST of their channel; how many."""
    delivered_ = messages.c.state == literal_column("'delivered'")
    last = select(func.max(messages.c.seq)).where(delivered_).group_by(messages.c.channel)
    given_up = and_(_DEAD, or_(messages.c.created_at < now - DEAD_KEPT, *_beyond(tx)))
    touched = tx.execute(select(messages.c.channel).where(given_up).distinct()).scalars().all()
    outbox.add_all(tx, tuple(("channel", name) for name in touched))
    old = or_(and_(delivered_, messages.c.delivered_at < now - KEPT, messages.c.seq.not_in(last)), given_up)
    return tx.execute(delete(messages).where(old)).rowcount


def _beyond(tx: Connection) -> Iterator[ColumnElement[bool]]:
    """The oldest dead letters of channels that have too many."""
    seq, channel = messages.c.seq, messages.c.channel
    for name in tx.execute(select(channel).where(_DEAD).distinct()).scalars().all():
        newest = select(seq).where(_DEAD, channel == name).order_by(seq.desc())
        if (first_too_many := tx.execute(newest.offset(DEAD_MOST).limit(1)).scalar()) is not None:
            yield and_(channel == name, seq <= first_too_many)
