"""The door for webhooks of a running engine: opened before anything is claimed, served while it works."""

import asyncio
from collections.abc import Callable, Mapping
from socket import socket
from typing import TYPE_CHECKING

import structlog

from engine.catalog import Catalog
from journal.clock import Clock
from journal.store import Journal
from opsconductor.service.address import Address
from runners.secrets import Secrets
from schemas.trigger import Trigger

if TYPE_CHECKING:  # only who receives webhooks loads what that needs
    from runners.listener.receiver import Hook

log = structlog.get_logger(__name__)


class WebhookDoor:
    """Where webhooks are received, if anywhere. Raises Refused where nothing can listen there."""

    def __init__(self, address: Address | None) -> None:
        self._where: socket | None = None
        if address is None:
            return
        # Only who receives webhooks loads what that needs.
        from runners.listener.receiver import listening

        self._where = listening(address.host, address.port)

    def receive(
        self,
        journal: Journal,
        clock: Clock,
        secrets: Secrets,
        *,
        name: str | None = None,
        known: Callable[[], "Mapping[str, Hook]"],
        pushed: Callable[[], None],
    ) -> tuple[asyncio.Task[None], ...]:
        """Begin to receive: the task that does, to be cancelled. `name` is the runner's, `known` gives those in
        force, and `pushed` is called after every new push."""
        if self._where is None:
            return ()
        from runners.listener.receiver import Receiver

        receiver = Receiver(journal, secrets, clock, name=name, known=known, pushed=pushed)
        return (asyncio.create_task(receiver.serve(self._where)),)

    def close(self) -> None:
        if self._where is not None:
            self._where.close()

    @property
    def opens(self) -> bool:
        """Whether any are received."""
        return self._where is not None


def say_unheard(catalog: Catalog | None) -> None:
    """Warn of triggers that wait for webhooks where none are received."""
    triggers: Mapping[str, Trigger] = catalog.triggers if catalog is not None else {}
    waiting = [name for name, trigger in triggers.items() if trigger.spec.event.webhook is not None]
    if waiting:
        hint = "start the engine with --webhooks HOST:PORT"
        log.warning("triggers wait for webhooks, and none are received", triggers=waiting, hint=hint)
