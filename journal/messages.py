"""Messages: what is to be delivered to whom, written by the rules and delivered by runners of the channel's pool."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, insert, select

from journal.noticetables import channels, messages


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
    """A channel as the commit in force has it: `spec` as documents write it, for the runner that delivers."""

    name: str
    pool: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    commit: str = ""


_KNOWN = select(exists().where(messages.c.id == bindparam("known")))
_ADD = insert(messages)


def write(tx: Connection, new: NewMessage) -> bool:
    """Write a message to be delivered. False, and nothing changes, where it was written before."""
    if tx.execute(_KNOWN, {"known": new.id}).scalar_one():
        return False
    row = {name: getattr(new, name) for name in new.__slots__}
    row |= {"context": dict(new.context), "notices": list(new.notices), "state": "waiting"}
    row["template"] = None if new.template is None else dict(new.template)
    tx.execute(_ADD, row)
    return True


def set_channels(tx: Connection, wanted: Iterable[Channel]) -> None:
    """From now on messages go to these channels, and to no others."""
    tx.execute(delete(channels))
    rows = [{"name": one.name, "pool": one.pool, "spec": dict(one.spec), "commit": one.commit} for one in wanted]
    if rows:
        tx.execute(insert(channels), rows)
