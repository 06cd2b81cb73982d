"""The tables of what may have to be told, and of the messages that tell it."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, and_, or_

from journal.databases.tables import Characters, Instant, Seq, json_value, metadata

notices = Table(
    # What happened that somebody may want to be told of, in the order in which it was recorded.
    "notices",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    # Of what happened, to what, and which time it was: recorded again it is the same notice.
    Column("id", Characters, nullable=False, unique=True),
    Column("type", Characters, nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", Characters, nullable=False),
    Column("name", Characters, nullable=False),
    Column("run", Characters),
    Column("data", json_value(), nullable=False),
    sqlite_autoincrement=True,
)

tallies = Table(
    # What a rule has to remember of an object: how often in a row it failed, and whether that was told.
    "tallies",
    metadata,
    Column("rule", Characters, primary_key=True),
    Column("kind", Characters, primary_key=True),
    Column("name", Characters, primary_key=True),
    Column("failures", Integer, nullable=False, default=0),
    Column("matched", Integer, nullable=False, default=0),
    Column("told", Boolean, nullable=False, default=False),
    sqlite_with_rowid=False,
)

messages = Table(
    # What is to be delivered, and what became of it.
    "messages",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Characters, nullable=False, unique=True),
    Column("channel", Characters, nullable=False),
    Column("pool", Characters, nullable=False),
    Column("rule", Characters, nullable=False),
    Column("user", Characters),
    # Messages of one channel and key leave in their order.
    Column("order_key", Characters, nullable=False),
    # Events that make one message have this in common, while it is held.
    Column("group_key", Characters),
    Column("hold_until", Instant),
    Column("context", json_value(), nullable=False),
    Column("template", json_value()),
    # Set once, by the first attempt: later ones and replays send the same words.
    Column("subject", Characters),
    Column("text", Characters),
    Column("format", Characters),
    Column("notices", json_value(), nullable=False),
    Column("count", BigInteger, nullable=False, default=1),
    Column("state", Characters, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("first_at", Instant),
    Column("delivered_at", Instant),
    Column("error", Characters),
    Column("runner", Characters),
    Column("lease_until", Float),
    Column("token", Integer, nullable=False, default=0),
    # Of several recipients those who have it, where others were refused.
    Column("reached", json_value()),
    Index("messages_by_channel", "channel", "seq"),
    sqlite_autoincrement=True,
)
_UNDELIVERED = or_(messages.c.state == "waiting", messages.c.state == "sending")
Index("messages_open", messages.c.seq, sqlite_where=_UNDELIVERED, postgresql_where=_UNDELIVERED)
Index(
    "messages_in_line",
    messages.c.channel,
    messages.c.order_key,
    messages.c.seq,
    sqlite_where=_UNDELIVERED,
    postgresql_where=_UNDELIVERED,
)
_DEAD = messages.c.state == "dead"
Index("messages_dead", messages.c.channel, messages.c.seq, sqlite_where=_DEAD, postgresql_where=_DEAD)
_DELIVERED = messages.c.state == "delivered"
_SENDING = messages.c.state == "sending"
_TRIED_IN_VAIN = and_(_UNDELIVERED, messages.c.error.is_not(None))
_LATER = and_(messages.c.state == "waiting", messages.c.next_at.is_not(None))
_HELD = and_(messages.c.state == "waiting", messages.c.hold_until.is_not(None))
# What is asked at each delivery is found beside a long backlog without going through it. SQLite knows nothing of how
# many rows there are: so of each of these more columns fit what is asked than of any other index.
BESIDE_A_BACKLOG = tuple(
    Index(name, *columns, sqlite_where=where, postgresql_where=where)
    for name, where, *columns in (
        ("messages_delivered", _DELIVERED, messages.c.channel, messages.c.state, messages.c.seq),
        ("messages_sending", _SENDING, messages.c.lease_until),
        ("messages_in_vain", _TRIED_IN_VAIN, messages.c.channel, messages.c.first_at, messages.c.seq),
        ("messages_later", _LATER, messages.c.channel, messages.c.next_at),
        ("messages_next", _LATER, messages.c.next_at),
        ("messages_held", _HELD, messages.c.hold_until),
    )
)
_GATHERING = messages.c.group_key.is_not(None)
Index("messages_by_group", messages.c.group_key, sqlite_where=_GATHERING, postgresql_where=_GATHERING)

channels = Table(
    # Where messages go, as the commit in force says.
    "channels",
    metadata,
    Column("name", Characters, primary_key=True),
    Column("pool", Characters, nullable=False),
    Column("spec", json_value(), nullable=False),
    Column("commit", Characters, nullable=False),
    sqlite_with_rowid=False,
)
