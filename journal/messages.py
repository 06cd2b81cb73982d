"""Messages: what is to be delivered to whom, written by the rules and delivered by runners of the channel's pool."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, insert, literal_column, or_, select, update

from journal import channelhealth, letters, outbox, points
from journal.databases.noticetables import channels, messages
from journal.databases.tables import Instant

MOST_NOTICES = 1_000
"""Of a message that tells many events, so many are kept by their ids."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be delivered. `id` is stable: whoever decides again writes nothing twice.

    `context` is what its template sees; `template` None: the built-in words. It is held until `hold_until`; until then
    events with the same `group_key` are added to it.
    """

    id: str
    channel: str
    pool: str
    rule: str
    order_key: str
    context: Mapping[str, Any]
    notices: tuple[str, ...]
    created_at: datetime
    user: str | None = None
    template: Mapping[str, Any] | None = None
    group_key: str | None = None
    hold_until: datetime | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as the commit in force has it: `spec` is an `engine.notifications.channels.PinnedChannel` as JSON."""

    name: str
    pool: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    commit: str = ""


_KNOWN = select(exists().where(messages.c.id == bindparam("known")))
_ADD = insert(messages)
_GATHERING = (
    select(messages.c.seq, messages.c.context, messages.c.notices, messages.c.count)
    .where(
        messages.c.group_key == bindparam("grp"),
        messages.c.state == "waiting",
        messages.c.attempts == 0,
        messages.c.hold_until > bindparam("now", type_=Instant),
    )
    .order_by(messages.c.seq.desc())
    .limit(1)
)
_IN_LINE = (
    select(messages.c.seq)
    .where(
        messages.c.channel == bindparam("via"),
        messages.c.order_key == bindparam("key"),
        or_(messages.c.state == literal_column("'waiting'"), messages.c.state == literal_column("'sending'")),
        or_(messages.c.hold_until.is_(None), messages.c.hold_until <= bindparam("now", type_=Instant)),
    )
    .limit(1)
)
_ALONE = update(messages).where(
    messages.c.channel == bindparam("via"),
    messages.c.rule == bindparam("by"),
    messages.c.user.is_not_distinct_from(bindparam("whom")),
    messages.c.group_key.is_(None),
    messages.c.reached.is_(None),  # those of its recipients who were refused keep nobody else waiting
    or_(messages.c.state == literal_column("'waiting'"), messages.c.state == literal_column("'sending'")),
)
_ADD_TO = (
    update(messages)
    .where(messages.c.seq == bindparam("which"))
    .values(
        context=bindparam("seen", type_=messages.c.context.type),
        notices=bindparam("told", type_=messages.c.notices.type),
        count=bindparam("many"),
    )
)
_OUTDATED = delete(messages).where(
    messages.c.channel == bindparam("via"),
    messages.c.order_key == bindparam("key"),
    messages.c.state.in_(("waiting", "dead")),
)
_NEWEST = (
    select(messages.c.rule, messages.c.group_key, messages.c.created_at)
    .where(messages.c.channel == bindparam("via"))
    .order_by(messages.c.seq.desc())
    .limit(200)
)


def known(conn: Connection, id: str) -> bool:  # noqa: A002 - as it is called
    """Whether a message of that id was written, and is kept still."""
    return bool(conn.execute(_KNOWN, {"known": id}).scalar_one())


def write(tx: Connection, new: NewMessage) -> bool:
    """Write a message to be delivered. False, and nothing changes, where it was written before."""
    if known(tx, new.id):
        return False
    points.record("message")
    row = {name: getattr(new, name) for name in new.__slots__}
    row |= {"context": dict(new.context), "notices": list(new.notices), "state": "waiting"}
    row["template"] = None if new.template is None else dict(new.template)
    tx.execute(_ADD, row)
    if letters.is_failing(tx, new.channel):  # its file counts what waits
        outbox.add(tx, "channel", new.channel)
    outbox.tell(tx)  # whoever delivers need not wait for its next look
    return True


def supersede(tx: Connection, channel: str, order_key: str) -> int:
    """Drop what waits or is dead of a key: something newer of it will be said. What is under way stays; how many."""
    dropped = tx.execute(_OUTDATED, {"via": channel, "key": order_key}).rowcount
    if dropped:
        outbox.add(tx, "channel", channel)
    return dropped


def is_gathering(conn: Connection, group: str, now: datetime) -> bool:
    """Whether a message of the group is held still."""
    return conn.execute(_GATHERING, {"grp": group, "now": now}).first() is not None


def is_in_line(conn: Connection, channel: str, order_key: str, now: datetime) -> bool:
    """Whether a message of the channel and key is neither there nor dead, nor held (by quiet hours of a former commit:
    nobody is kept from hearing by them)."""
    return conn.execute(_IN_LINE, {"via": channel, "key": order_key, "now": now}).first() is not None


def line_up(tx: Connection, new: NewMessage) -> int:
    """Let what the rule told of single events by the channel, and is not there yet, leave before this one; how many."""
    asked = {"via": new.channel, "by": new.rule, "whom": new.user}
    return tx.execute(_ALONE.values(order_key=new.order_key), asked).rowcount


def gather(tx: Connection, new: NewMessage, context: Callable[[Mapping[str, Any], int], dict[str, Any]]) -> bool:
    """Add what the message tells to one of its group that is held still. False: there is none.

    `context` makes the context of a message that tells one more event; it is given the number of all.
    """
    row = tx.execute(_GATHERING, {"grp": new.group_key, "now": new.created_at}).first()
    if row is None:
        return False
    if not set(row.notices).isdisjoint(new.notices):
        return True
    points.record("message")
    count = row._mapping["count"] + new.count
    known = [*row.notices, *new.notices][:MOST_NOTICES]
    tx.execute(_ADD_TO, {"which": row.seq, "told": known, "many": count, "seen": context(row.context, count)})
    return True


def lately(conn: Connection, channel: str, rule: str, since: datetime) -> int:
    """How many messages of a rule, held ones apart, were written for a channel since; of the newest some hundred."""
    newest = conn.execute(_NEWEST, {"via": channel}).all()
    return sum(1 for row in newest if row.rule == rule and row.group_key is None and row.created_at > since)


def set_channels(tx: Connection, wanted: Iterable[Channel]) -> None:
    """From now on messages go to these channels, and to no others."""
    tx.execute(delete(channels))
    rows = [{"name": one.name, "pool": one.pool, "spec": dict(one.spec), "commit": one.commit} for one in wanted]
    if rows:
        tx.execute(insert(channels), rows)


def follow(tx: Connection, renamed: Mapping[str, str]) -> None:
    """What was written for channels by these former names is theirs by the names that they have now.

    Called once the channels of the commit are set: a name that a channel has is no former one.
    """
    channelhealth.follow(tx, renamed)
    taken = set(tx.execute(select(channels.c.name)).scalars()) if renamed else set()
    for former, now in renamed.items():
        if former in taken:
            continue
        if tx.execute(update(messages).where(messages.c.channel == former).values(channel=now)).rowcount:
            outbox.add_all(tx, (("channel", former), ("channel", now)))
