"""The running part: runs and messages of its pools, the door for webhooks, and the logs of what ran."""

import asyncio
import platform
from collections.abc import Callable, Mapping
from datetime import datetime
from secrets import token_hex
from typing import TYPE_CHECKING

from engine.catalog import DEFAULT_POOL
from journal.attendance import Runner as Sign
from journal.clock import Clock
from journal.store import Journal
from opsconductor import __version__
from opsconductor.service.health import Working
from opsconductor.service.logkeeping import LogKeeping
from opsconductor.service.webhooks import WebhookDoor
from opsconductor.settings import RunningSettings
from runners.connections.local import LocalSettings
from runners.messenger import Messenger
from runners.pool import Pools, Runner, RunnerSettings
from runners.pulse import Pulse
from runners.repository import Repository
from runners.secrets import Secrets

if TYPE_CHECKING:  # only who receives webhooks loads what that needs
    from runners.listener.receiver import Hook


class Running:
    """`start` what works until it is cancelled; to stop in order, `close_door`, `drain`, and `finish` at the end.

    `pools` gives the names of the pools that are served; None: all of them. Raises Refused where nothing can listen
    for webhooks, or logs cannot be kept where the settings say.
    """

    def __init__(
        self,
        settings: RunningSettings,
        journal: Journal,
        clock: Clock,
        *,
        pools: Pools | None,
        repository: Repository,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """`labels` are what runs may ask of it besides its pool; None: whatever they ask."""
        self._labels = labels
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._pools = pools
        self._repository = repository
        self._door = WebhookDoor(settings.webhooks)
        self._receiving: tuple[asyncio.Task[None], ...] = ()
        self._runner: Runner | None = None
        self._messenger: Messenger | None = None
        self.keeping = LogKeeping(settings.logs, settings.state.logs, journal, clock, shared=settings.shared)
        # Of many that share a journal no two may have one name.
        self._name = f"{min(settings.pools or {DEFAULT_POOL})}/{token_hex(4 if settings.shared else 2)}"

    @property
    def name(self) -> str:
        """As runs name who works on them."""
        return self._name

    def sign(self, now: datetime, *, since: datetime) -> Sign:
        """A sign of life, for whoever shares the journal."""
        working = self.working
        return Sign(
            name=self._name,
            pool="*" if self._settings.pools is None else ",".join(sorted(self._settings.pools)),
            host=platform.node(),
            version=__version__,
            since=since,
            seen_at=now,
            runs=0 if working is None else working.runs,
            capacity=self._settings.capacity,
            labels=self._labels or {},
        )

    @property
    def receives(self) -> bool:
        """Whether webhooks are received here."""
        return self._door.opens

    @property
    def working(self) -> Working | None:
        """What is worked on here; None: nothing has begun."""
        runner = self._runner
        return None if runner is None else Working(len(runner.active), runner.capacity)

    @property
    def pulse(self) -> Pulse | None:
        """How the runner here is; None: nothing has begun."""
        return None if self._runner is None else self._runner.pulse()

    def start(
        self,
        *,
        may_claim: Callable[[], bool] = lambda: True,
        known: Callable[[], "Mapping[str, Hook]"],
        pushed: Callable[[], None],
    ) -> tuple[asyncio.Task[None], ...]:
        """All of this part at once. `may_claim` is asked before anything is claimed; `known` gives what webhooks set
        off, and `pushed` is called after every push that one told of."""
        runner = self._runner = self._made_runner(may_claim)
        messenger = self._messenger = self._made_messenger(may_claim)
        self._receiving = self._door.receive(
            self._journal, self._clock, self._secrets(), name=self._name, known=known, pushed=pushed
        )
        return (
            asyncio.create_task(runner.run()),
            asyncio.create_task(messenger.run()),
            asyncio.create_task(self.keeping.keep_up()),
            *self._receiving,
        )

    async def close_door(self) -> None:
        """Receive no more webhooks; what was begun is answered."""
        for door in self._receiving:
            door.cancel()
        await asyncio.gather(*self._receiving, return_exceptions=True)

    async def drain(self) -> None:
        """Claim nothing more; what runs may end within the grace time, and is handed over then."""
        assert self._runner is not None
        assert self._messenger is not None
        await asyncio.gather(self._runner.drain(self._settings.grace), self._messenger.drain(self._settings.grace))

    async def finish(self) -> None:
        """Bring the logs that are left to their place, as far as there is time."""
        await self.keeping.finish(self._settings.grace)

    def close(self) -> None:
        """Let go of what listens. Call it also where nothing was begun."""
        self._door.close()

    def _secrets(self) -> Secrets:
        settings = self._settings
        return Secrets(
            settings.secrets,
            settings.secret_variables,
            self._pools,
            restricted=settings.restricted,
            host=settings.secret_host,
            identities=settings.identities,
            own=settings.own,
        )

    def _made_runner(self, may_claim: Callable[[], bool]) -> Runner:
        settings = self._settings
        return Runner(
            self._journal,
            pools=self._pools,
            clock=self._clock,
            secrets=self._secrets(),
            logs=settings.state.logs,
            may_claim=may_claim,
            repository=self._repository,
            settings=RunnerSettings(
                name=self._name,
                host=platform.node(),
                lock=settings.state.runner_lock,
                max_runs=settings.capacity,
                labels=self._labels,
                local=LocalSettings(restricted=settings.restricted),
            ),
        )

    def _made_messenger(self, may_claim: Callable[[], bool]) -> Messenger:
        return Messenger(
            self._journal,
            name=self._name,
            pools=self._pools,
            clock=self._clock,
            secrets=self._secrets(),
            restricted=self._settings.restricted,
            may_claim=may_claim,
            repository=self._repository,
        )
