"""The life of messages after they are written: claimed by a runner, tried until they are there, or dead.

Every claim raises the message's token; who holds an older one changes nothing any more. Messages of one channel and
key leave in their order: only the first of them that is neither delivered nor dead may be claimed. A message is sent
at least once, always with the same id and the same words.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from engine.notifications.channels import OF_PROJECT
from journal import channelhealth, letters, notices, outbox, points
from journal.databases import leaseclock
from journal.databases.noticetables import channels, messages
from journal.databases.tables import AnyRow, Instant
from journal.notices import Notice

LEASE = timedelta(minutes=2)
"""How long after a runner was last heard of a message that it holds may be claimed by another. It renews its own."""
DEADLINE = timedelta(hours=24)
"""A message that could not be delivered for so long after its first attempt is dead."""
_FARTHEST = timedelta(hours=2)
"""No attempt is put off for so long. What is, was put off by a clock that has been set back since."""
_LONGEST = 500
_HOUR = timedelta(hours=1)

# As literals: an index of some states is not used where a state is a parameter.
_WAITING = messages.c.state == literal_column("'waiting'")
_SENDING = messages.c.state == literal_column("'sending'")
_EARLIER = messages.alias("earlier")
_LATER = messages.alias("later")


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to say what became of a message."""

    seq: int
    token: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message to deliver. `text` None: it was not rendered yet. `pinned` None: its channel is not defined any more.

    `attempts` counts this one. `commit` is the one that the channel is read from.
    """

    hold: Hold
    id: str
    channel: str
    rule: str
    user: str | None
    attempts: int
    first_at: datetime
    context: Mapping[str, Any]
    template: Mapping[str, Any] | None
    subject: str | None
    text: str | None
    format: str | None
    pinned: Mapping[str, Any] | None
    commit: str | None
    reached: frozenset[str] = frozenset()
    """Of its recipients those who have it already."""


def _due() -> ColumnElement[bool]:
    """At `now`; `ahead` is what `_at` makes of it."""
    at, ahead = bindparam("now", type_=Instant), bindparam("ahead", type_=Instant)
    return and_(
        _WAITING,
        or_(messages.c.next_at.is_(None), messages.c.next_at <= at, messages.c.next_at > ahead),
        or_(messages.c.hold_until.is_(None), messages.c.hold_until <= at, messages.c.created_at > ahead),
    )


def _at(now: datetime) -> dict[str, Any]:
    return {"now": now, "ahead": now + _FARTHEST}


_EVER = literal(datetime(1970, 1, 1, tzinfo=UTC), Instant)
_FIRST_OF_ITS_KEY = ~exists(
    select(_EARLIER.c.seq).where(
        _EARLIER.c.channel == messages.c.channel,
        _EARLIER.c.order_key == messages.c.order_key,
        _EARLIER.c.seq < messages.c.seq,
        or_(_EARLIER.c.state == literal_column("'waiting'"), _EARLIER.c.state == literal_column("'sending'")),
    )
)
_WITH_CHANNELS = messages.outerjoin(channels, channels.c.name == messages.c.channel)
_POOL = func.coalesce(channels.c.pool, messages.c.pool)
"""A channel that moved to another pool takes along what waits for it."""
_CLAIMABLE = (
    select(messages, channels.c.spec.label("pinned"), channels.c.commit.label("as_of"))
    .select_from(_WITH_CHANNELS)
    .where(_due(), _FIRST_OF_ITS_KEY, messages.c.channel.not_in(bindparam("shut", expanding=True)))
    .order_by(messages.c.seq)
    .limit(bindparam("most"))
)
_CLAIMABLE_IN_POOLS = _CLAIMABLE.where(_POOL.in_(bindparam("pools", expanding=True)))
_CLAIM = (
    update(messages)
    .where(messages.c.seq == bindparam("which"), _WAITING)
    .values(
        state="sending",
        token=messages.c.token + 1,
        attempts=messages.c.attempts + 1,
        first_at=func.coalesce(messages.c.first_at, bindparam("now", type_=Instant)),
        runner=bindparam("by"),
        lease_until=bindparam("until"),
    )
)
_HELD = and_(messages.c.seq == bindparam("which"), messages.c.token == bindparam("held"), _SENDING)
_ERROR = select(messages.c.error).where(messages.c.seq == bindparam("which"))
_BACK = {"state": "waiting", "runner": None, "lease_until": None}
_RECLAIM = update(messages).where(_SENDING).values(_BACK)
_HASTEN = (
    update(messages)
    .where(messages.c.channel.in_(bindparam("via", expanding=True)), _WAITING, messages.c.next_at > _EVER)
    .values(next_at=None)
)
_DROP = delete(messages).where(
    _HELD,
    exists(
        select(_LATER.c.seq).where(
            _LATER.c.channel == messages.c.channel,
            _LATER.c.order_key == messages.c.order_key,
            _LATER.c.seq > messages.c.seq,
        )
    ),
)
# No lease ends at nought: but by a range that always holds SQLite takes the index of the leases, and never another.
_OVER = and_(
    messages.c.lease_until > 0,
    or_(messages.c.lease_until < bindparam("now"), messages.c.lease_until > bindparam("latest")),
)
_LOST = select(messages.c.seq).where(_SENDING, _OVER)
_NEXT_TRY, _NEXT_RELEASE = (
    select(func.min(at)).where(_WAITING, at > bindparam("now", type_=Instant))
    for at in (messages.c.next_at, messages.c.hold_until)
)


def claim(
    tx: Connection,
    runner: str,
    pools: Collection[str] | None,
    room: Mapping[str, int],
    limit: int,
    now: datetime,
    *,
    each: int,
) -> tuple[Claimed, ...]:
    """Take up to `limit` due messages of channels of the pools (None: of every pool), oldest first.

    `room` says for some channels how many more of them may be under way, `each` for all others.
    """
    if limit <= 0 or (pools is not None and not pools):
        return ()
    found: list[AnyRow] = []
    left = dict(room)
    while len(found) < limit:
        most = limit - len(found)
        rows = _claimable(tx, pools, [name for name, free in left.items() if free <= 0], most, now)
        taken = []
        for row in rows:
            left.setdefault(row.channel, each)
            if left[row.channel] > 0:
                left[row.channel] -= 1
                taken.append(row)
        if not taken:
            break
        points.record("message-claim")
        until = leaseclock.at(tx) + LEASE.total_seconds()
        tx.execute(_CLAIM, [{"which": row.seq, "by": runner, "until": until, "now": now} for row in taken])
        found += taken
        if len(rows) < most:  # all that may leave has been looked at
            break
    return tuple(_claimed(row, now) for row in found)


def _claimable(
    tx: Connection, pools: Collection[str] | None, shut: list[str], most: int, now: datetime
) -> list[AnyRow]:
    asked = _at(now) | {"shut": shut, "most": most}
    if pools is None:
        return list(tx.execute(_CLAIMABLE, asked).all())
    return list(tx.execute(_CLAIMABLE_IN_POOLS, asked | {"pools": sorted(pools)}).all())


def claimable(conn: Connection, pools: Collection[str] | None, shut: Iterable[str], now: datetime) -> bool:
    """Whether `claim` would find something in other channels than these."""
    asked = _at(now) | {"shut": sorted(shut), "most": 1}
    if pools is None:
        return conn.execute(_CLAIMABLE, asked).first() is not None
    return conn.execute(_CLAIMABLE_IN_POOLS, asked | {"pools": sorted(pools)}).first() is not None


def untried(conn: Connection, now: datetime) -> bool:
    """Whether a message is under way, or due, first of its key, and was neither tried nor put off with its channel."""
    next_ = and_(_due(), messages.c.first_at.is_(None), _FIRST_OF_ITS_KEY)
    query = select(messages.c.seq).where(or_(_SENDING, next_)).limit(1)
    return conn.execute(query, _at(now)).first() is not None


def next_due(conn: Connection, now: datetime) -> datetime | None:
    """When the next of those messages is due that are not due yet."""
    at = (conn.execute(query, {"now": now}).scalar_one() for query in (_NEXT_TRY, _NEXT_RELEASE))
    return min((one for one in at if one is not None), default=None)


def rendered(tx: Connection, hold: Hold, subject: str, text: str, form: str) -> bool:
    """Keep the words that every attempt sends. False: the message is not held any more."""
    points.record("message-words")
    values = {"subject": subject, "text": text, "format": form}
    return _of_hold(tx, hold, values)


def delivered(tx: Connection, hold: Hold, channel: str, now: datetime) -> bool:
    """It is there. What waits for its time in the same channel need not wait any longer. False: not held any more."""
    points.record("message-end")
    last, failed = letters.last_delivered(tx, channel), letters.is_failing(tx, channel)
    values = {"state": "delivered", "delivered_at": now, "error": None, "runner": None, "lease_until": None}
    if not _of_hold(tx, hold, values):
        return False
    hasten(tx, (channel,))
    channelhealth.worked(tx, channel)
    if failed or last is None or now - last >= _HOUR or now.hour != last.hour:  # its file names the hour
        outbox.add(tx, "channel", channel)
    outbox.tell(tx)
    return True


def later(
    tx: Connection,
    claimed: Claimed,
    error: str,
    now: datetime,
    next_at: datetime,
    *,
    spare: bool = False,
    reached: Collection[str] = (),
) -> bool:
    """It is tried again at `next_at`, or dead where its time is over. False: not held any more.

    `spare`: nobody may have tried it all that time, so it has more. `reached`: of its recipients those who have it; for
    the others it goes on in a line of its own, and what comes after it need not wait for them.
    """
    if now - claimed.first_at >= DEADLINE and not spare:
        return _given_up(tx, claimed, _too_late(error), now, said=error, reached=reached)
    points.record("message-end")
    before = tx.execute(_ERROR, {"which": claimed.hold.seq}).scalar()
    alone = {"reached": sorted(reached), "order_key": claimed.id} if reached else {}
    if not _of_hold(tx, claimed.hold, _BACK | alone | {"error": error[:_LONGEST], "next_at": next_at}):
        return False
    news = channelhealth.failed(tx, claimed.channel, error[:_LONGEST], now)
    if news or error[:_LONGEST] != before:
        outbox.add(tx, "channel", claimed.channel)
    return True


def dead(tx: Connection, claimed: Claimed, error: str, now: datetime, *, reached: Collection[str] = ()) -> bool:
    """It is not tried any more until somebody says so; rules are told, but of messages that tell of such. False and
    `reached`: as above."""
    return _given_up(tx, claimed, error, now, said=error, reached=reached)


def _given_up(
    tx: Connection, claimed: Claimed, error: str, now: datetime, *, said: str, reached: Collection[str]
) -> bool:
    points.record("message-end")
    values = _BACK | {"state": "dead", "error": error[:_LONGEST], "next_at": None}
    alone = {"reached": sorted(reached), "order_key": claimed.id} if reached else {}
    if not _of_hold(tx, claimed.hold, values | alone):
        return False
    channelhealth.failed(tx, claimed.channel, said[:_LONGEST], now)
    row = tx.execute(select(messages).where(messages.c.seq == claimed.hold.seq)).one()
    _told_all(tx, [(row, row.error)], now)
    return True


def _too_late(error: str) -> str:
    return f"not delivered within {DEADLINE.total_seconds() / 3600:.0f} h: {error}"


def _never_tried(error: str) -> str:
    return f"never tried, as nothing got there for {DEADLINE.total_seconds() / 3600:.0f} h: {error}"


def outdated(tx: Connection, claimed: Claimed) -> bool:
    """Drop a message that did not arrive where a newer one of its key waits behind it. False: there is none, or it is
    not held any more."""
    return bool(tx.execute(_DROP, {"which": claimed.hold.seq, "held": claimed.hold.token}).rowcount)


def give_back(tx: Connection, hold: Hold) -> bool:
    """The attempt was not made or its end is not known: anybody may make it again, at once."""
    return _of_hold(tx, hold, _BACK)


def away(tx: Connection, channel: str, error: str, now: datetime, *, spare: bool = False) -> int:
    """The channel cannot be reached: the time of all that would be sent now begins, and of who waited too long ends.

    So that they need not be tried one by one before they are dead. The number of those that are; `spare` as above.
    """
    due = and_(_due(), messages.c.channel == bindparam("via"))
    asked = _at(now) | {"via": channel}
    tx.execute(update(messages).where(due, messages.c.first_at.is_(None)).values(first_at=now), asked)
    if spare:
        return 0
    late = and_(due, messages.c.first_at <= now - DEADLINE)
    rows = tx.execute(select(messages).where(late).order_by(messages.c.seq), asked).all()
    if rows:
        points.record("message-end")
        why = _too_late(error)[:_LONGEST]
        said = [(row, why if row.attempts else _never_tried(error)[:_LONGEST]) for row in rows]
        ended = update(messages).where(messages.c.seq == bindparam("which"), _WAITING)
        ended = ended.values(state="dead", error=bindparam("said"), next_at=None)
        tx.execute(ended, [{"which": row.seq, "said": text} for row, text in said])
        _told_all(tx, said, now)
    return len(rows)


def renew(tx: Connection, holds: Collection[Hold]) -> None:
    """Who holds these messages goes on with them; of those that are held by another now nothing changes."""
    until = leaseclock.at(tx) + LEASE.total_seconds()
    for hold in holds:
        _of_hold(tx, hold, {"lease_until": until})


def reclaim(tx: Connection) -> int:
    """Let messages be claimed again whose lease is over; how many."""
    return tx.execute(_RECLAIM.where(_OVER), _moment(tx)).rowcount


def reclaim_all(tx: Connection) -> int:
    """As `reclaim`, of all that are under way: at the start of the one process that uses the journal."""
    return tx.execute(_RECLAIM).rowcount


def lost(conn: Connection) -> bool:
    """Whether `reclaim` would find something."""
    return conn.execute(_LOST.limit(1), _moment(conn)).first() is not None


def _moment(conn: Connection) -> dict[str, float]:
    at = leaseclock.at(conn)
    return {"now": at, "latest": leaseclock.latest(at, LEASE)}


def hasten(tx: Connection, names: Collection[str]) -> None:
    """What waits for its time in these channels need not wait any longer."""
    tx.execute(_HASTEN, {"via": list(names)})


def pinned(conn: Connection, names: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """The channels of these names, as the commit in force has them."""
    query = select(channels.c.name, channels.c.spec).where(channels.c.name.in_(names))
    return {row.name: row.spec for row in conn.execute(query)}


def _of_hold(tx: Connection, hold: Hold, values: Mapping[str, Any]) -> bool:
    asked = {"which": hold.seq, "held": hold.token}
    return bool(tx.execute(update(messages).where(_HELD).values(values), asked).rowcount)


def _told_all(tx: Connection, letters_: Sequence[tuple[AnyRow, str]], now: datetime) -> None:
    """Tell of messages that are dead, each with its last error."""
    outbox.add_all(tx, tuple(dict.fromkeys(("channel", row.channel) for row, _ in letters_)))
    notices.happened_all(tx, [found for row, error in letters_ if (found := _death(row, error, now)) is not None])


def _death(row: AnyRow, error: str, now: datetime) -> Notice | None:
    """A message about dead messages that is dead itself tells nobody: nobody would be told of that one either."""
    types = {one["type"] for one in (row.context.get("events") or [row.context.get("event") or {}]) if "type" in one}
    if types == {"notification.dead"}:
        return None
    data = {
        "message": row.id,
        "rule": row.rule,
        "subject": row.subject,
        "attempts": row.attempts,
        "error": error,
        "tells": sorted(types),
        "run": (row.context.get("run") or {}).get("id"),
    }
    occurrence = f"{row.id}/{row.token}"
    if row.channel in OF_PROJECT:  # no document of its own: the Project has it
        return Notice("notification.dead", now, "Project", row.context["event"]["name"], occurrence, data=data)
    return Notice("notification.dead", now, "NotificationChannel", row.channel, occurrence, data=data)


def _claimed(row: AnyRow, now: datetime) -> Claimed:
    return Claimed(
        hold=Hold(row.seq, row.token + 1),
        id=row.id,
        channel=row.channel,
        rule=row.rule,
        user=row.user,
        attempts=row.attempts + 1,
        first_at=row.first_at or now,
        context=row.context,
        template=row.template,
        subject=row.subject,
        text=row.text,
        format=row.format,
        pinned=row.pinned,
        commit=row.as_of,
        reached=frozenset(row.reached or ()),
    )
