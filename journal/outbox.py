"""The outbox: which objects have changed, written in the transaction of the change.

A consumer reads the distinct objects after its cursor, does its work, and moves the cursor; doing it again is
harmless. Order is the order of commits, since writers take turns (`journal.databases.database`). Topics: run job
workflow gate schedule target request trigger decision sync.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, literal, select, update

from journal import points
from journal.databases import trailing
from journal.databases.tables import cursors, outbox


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects that changed, oldest first, each once. `last_seq` is what `advance` takes when they are dealt with."""

    last_seq: int
    objects: tuple[tuple[str, str], ...]
    firsts: tuple[int, ...] = field(default=(), repr=False, compare=False)
    """The number of the first entry of each object."""

    def head(self, count: int) -> "Batch":
        """The oldest `count` objects; its `last_seq` leaves the others to be dealt with. `count` is at least 1."""
        if count >= len(self.objects):
            return self
        return Batch(self.firsts[count] - 1, self.objects[:count], self.firsts[:count])


TOLD = "outbox.told"
"""In the `info` of a connection whose transaction has told of something: the store wakes those who wait for objects. It
is true where somebody who works, on runs or on messages, may have something new to do."""

_ADD = insert(outbox).inline()
_NO_END = 2**63 - 1
_CURSOR = select(cursors.c.seq).where(cursors.c.consumer == bindparam("consumer"))
_AFTER = (
    select(outbox.c.seq, outbox.c.topic, outbox.c.key)
    .where(outbox.c.seq > bindparam("after"), outbox.c.seq <= bindparam("until"))
    .order_by(outbox.c.seq)
    .limit(bindparam("most"))
)


def add(tx: Connection, topic: str, key: str) -> None:
    """Say that an object has changed."""
    add_all(tx, ((topic, key),))


def add_all(tx: Connection, objects: tuple[tuple[str, str], ...], *, work: bool = True) -> None:
    """Say that several objects have changed. `work`: as of `tell`."""
    if not objects:
        return
    tell(tx, work=work)
    trailing.add(tx, _ADD, [{"topic": topic, "key": key} for topic, key in objects])


def tell(tx: Connection, *, work: bool = True) -> None:
    """Have those woken who wait for objects.

    Without `work` those sleep on who work on runs or messages: only where it is certain that nothing was queued, or
    wished of one, or is to be delivered.
    """
    tx.info[TOLD] = work or tx.info.get(TOLD, False)


def add_selected(tx: Connection, topic: str, keys: Select[tuple[str]]) -> None:
    """Say that every object has changed whose key the query gives, in its order. The database does it by itself."""
    tell(tx)
    trailing.settle(tx)
    tx.execute(insert(outbox).from_select(["key", "topic"], keys.add_columns(literal(topic))))


def pending(conn: Connection, consumer: str, limit: int = 10_000, *, until: int = _NO_END) -> Batch:
    """What the consumer has not dealt with: at most `limit` entries, fewer objects. Empty: no objects.

    `until` leaves out later entries. A new consumer starts at what is left of the outbox; it should register with
    `advance(tx, consumer, last(conn))` and look at the whole journal once.
    """
    trailing.settle(conn)
    after = position(conn, consumer)
    rows = conn.execute(_AFTER, {"after": after, "until": until, "most": limit}).all()
    if not rows:
        return Batch(after, ())
    firsts: dict[tuple[str, str], int] = {}
    for row in rows:
        firsts.setdefault((row.topic, row.key), row.seq)
    return Batch(rows[-1].seq, tuple(firsts), tuple(firsts.values()))


def position(conn: Connection, consumer: str) -> int:
    """The number of the last entry that the consumer has dealt with; 0 for a new one."""
    return conn.execute(_CURSOR, {"consumer": consumer}).scalar_one_or_none() or 0


def last(conn: Connection) -> int:
    """The number of the newest entry."""
    trailing.settle(conn)
    return conn.execute(select(func.max(outbox.c.seq))).scalar_one() or 0


def advance(tx: Connection, consumer: str, seq: int) -> None:
    """Everything up to `seq` is dealt with. A cursor never moves back."""
    points.record("consume")
    known = tx.execute(_CURSOR, {"consumer": consumer}).scalar_one_or_none()
    if known is None:
        tx.execute(insert(cursors), {"consumer": consumer, "seq": seq})
    elif seq > known:
        tx.execute(update(cursors).where(cursors.c.consumer == consumer).values(seq=seq))


def forget(tx: Connection, consumer: str) -> None:
    """The consumer is gone for ever and holds nothing back any more."""
    tx.execute(delete(cursors).where(cursors.c.consumer == consumer))


def trim(tx: Connection) -> int:
    """Remove what all consumers have dealt with; the number of entries removed."""
    trailing.settle(tx)
    done = tx.execute(select(func.min(cursors.c.seq))).scalar_one()
    if done is None:
        return 0
    return tx.execute(delete(outbox).where(outbox.c.seq <= done)).rowcount
