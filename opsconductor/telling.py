"""`notify test` and `notify replay`: a channel tried from this machine, and dead letters sent again by its engine."""

import asyncio
import secrets as chance
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, assert_never

from engine.catalog import Catalog
from engine.notifications.channels import pinned
from journal import deadletters, letters
from journal.clock import SystemClock
from journal.letters import Letter
from journal.store import Journal
from opsconductor.exits import UsageError
from opsconductor.settings import StateFolder
from runners.deliveries import Delivered, Later, Message, Never
from runners.repository import Read
from runners.secrets import Secrets
from runners.sending import sent
from schemas.quantities import format_instant


@dataclass(frozen=True, slots=True)
class Tried:
    """How a test went. `said` is one line, without secrets; `seconds` is how long it took."""

    channel: str
    type: str
    good: bool
    said: str
    id: str
    seconds: float

    def as_data(self) -> dict[str, Any]:
        return {
            "channel": self.channel,
            "type": self.type,
            "ok": self.good,
            "message": self.said,
            "id": self.id,
            "seconds": self.seconds,
        }


def try_channel(catalog: Catalog, name: str, secrets: Secrets, read: Read, *, restricted: bool) -> Tried:
    """Send one message that says what it is. Raises KeyError for a channel that is not defined."""
    found = pinned(catalog, name)
    message = _test_message(name)
    began = time.monotonic()
    delivery = asyncio.run(sent(message, found, secrets, read, restricted=restricted))
    took = round(time.monotonic() - began, 3)
    match delivery:
        case Delivered():
            said = "delivered"
        case Later(error=error) | Never(error=error):
            said = " ".join(error.split())
        case _:
            assert_never(delivery)
    return Tried(name, str(found.spec["type"]), isinstance(delivery, Delivered), said, message.id, took)


def _test_message(channel: str) -> Message:
    event = {
        "type": "opsconductor.test",
        "source": f"/notificationchannels/{channel}",
        "subject": channel,
        "time": format_instant(datetime.now(UTC).replace(microsecond=0)),
        "data": {"test": True},
    }
    text = f"A test of channel {channel} by 'opsconductor notify test'. Nothing has happened; nothing is to be done."
    return Message(chance.token_hex(16), f"Test of channel {channel}", text, event=event)


def store_of(state: StateFolder) -> str:
    """The URL of the journal that an engine keeps in this folder. Raises UsageError where it keeps none."""
    if not state.journal.exists():
        raise UsageError(
            f"{state.root} is not an engine's state folder; name its --source or --state, or the --database of several"
        )
    return f"sqlite:///{state.journal}"


def dead_letters(store: str, *, channel: str | None, id: str | None) -> tuple[Letter, ...]:  # noqa: A002
    """What could not be delivered, oldest first. `store` is the URL of a journal."""
    return asyncio.run(_with_journal(store, partial(_listed, channel=channel, id=id)))


def replay(store: str, *, channel: str | None, id: str | None) -> tuple[Letter, ...]:  # noqa: A002
    """Have the engine of this store send them again; what they are."""
    return asyncio.run(_with_journal(store, partial(_replayed, channel=channel, id=id)))


async def _with_journal(store: str, do: Any) -> tuple[Letter, ...]:
    journal = Journal.open(store, clock=SystemClock())
    try:
        found: tuple[Letter, ...] = await do(journal)
        return found
    finally:
        await journal.close()


async def _listed(journal: Journal, *, channel: str | None, id: str | None) -> tuple[Letter, ...]:  # noqa: A002
    return await journal.read(lambda conn: letters.dead(conn, channel=channel, id=id, limit=None))


async def _replayed(journal: Journal, *, channel: str | None, id: str | None) -> tuple[Letter, ...]:  # noqa: A002
    def change(tx: Any) -> tuple[Letter, ...]:
        found = letters.dead(tx, channel=channel, id=id, limit=None)
        deadletters.replay(tx, channel=channel, id=id)
        return found

    return await journal.write(change)
