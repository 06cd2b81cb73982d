"""Which channels fail: from the first attempt in vain on, until a message gets there.

That no message waits any more says nothing of it: the last one may have been given up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from journal import facts as known
from journal.databases.noticetables import channels
from journal.databases.tables import facts
from journal.databases.upsert import Upsert

_PREFIX = "channel.failing/"
_ADD = Upsert(facts, lambda new: new.on_conflict_do_nothing(index_elements=[facts.c.key]))
_ALL = select(facts.c.key).where(facts.c.key >= _PREFIX, facts.c.key < _PREFIX[:-1] + chr(ord("/") + 1))
_DEFINED = select(channels.c.name).where(channels.c.name == bindparam("via"))
_FORGET = delete(facts).where(facts.c.key == bindparam("which"))


@dataclass(frozen=True, slots=True)
class Trouble:
    """`since`: when the first attempt in vain ended after the last that was not. `error`: what the last one said."""

    since: datetime
    error: str


def trouble(conn: Connection, name: str) -> Trouble | None:
    """Why a channel fails; None where nothing has failed since a message got there last."""
    found = known.get(conn, _PREFIX + name)
    return None if found is None else Trouble(datetime.fromisoformat(found["since"]), found["error"])


def failing(conn: Connection, limit: int | None = None) -> tuple[str, ...]:
    """The names of those that fail, in their order."""
    return tuple(key.removeprefix(_PREFIX) for key in conn.execute(_ALL.order_by(facts.c.key).limit(limit)).scalars())


def failed(tx: Connection, name: str, error: str, now: datetime) -> bool:
    """An attempt was in vain. Of a channel that is not defined (any more) nothing is kept. Whether that is news."""
    before = trouble(tx, name)
    if before is not None:
        if before.error != error:
            known.put(tx, _PREFIX + name, _as_json(Trouble(before.since, error)))
        return before.error != error
    if tx.execute(_DEFINED, {"via": name}).first() is None:
        return False
    # Of two that see it fail at once the first is right.
    tx.execute(_ADD.on(tx), {"key": _PREFIX + name, "value": _as_json(Trouble(now, error))})
    return True


def worked(tx: Connection, name: str) -> None:
    """A message got there."""
    tx.execute(_FORGET, {"which": _PREFIX + name})


def follow(tx: Connection, renamed: Mapping[str, str]) -> None:
    """What is known of channels that are defined no more is forgotten; of those that have a new name it is theirs.

    Called once the channels of the commit are set.
    """
    defined = set(tx.execute(select(channels.c.name)).scalars())
    for former in set(failing(tx)) - defined:
        found, now = trouble(tx, former), renamed.get(former)
        if found is not None and now in defined:
            tx.execute(_ADD.on(tx), {"key": _PREFIX + str(now), "value": _as_json(found)})
        worked(tx, former)


def _as_json(found: Trouble) -> dict[str, Any]:
    return {"since": found.since.isoformat(), "error": found.error}
