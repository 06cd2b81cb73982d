"""What the walks of a run share: what its runner has to execute runs with, and what belongs to the run itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog

from engine.expressions.contexts import RunFacts
from journal.clock import Clock
from journal.leases import Claim
from journal.store import Journal
from runners import logs
from runners.attempt import Reach
from runners.connections.ways import Ways
from runners.keyring import Keyring
from runners.masking import Masker
from runners.orders import Orders
from runners.record import Record
from runners.repository import NoRepository, Repository, RunFiles
from runners.secrets import Secrets

FINALLY_LIMIT = timedelta(minutes=5)
"""How long the steps of `finally` may take on one target, all together."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What a runner has to execute runs with; shared by all of them."""

    journal: Journal
    clock: Clock
    secrets: Secrets
    logs: Path
    ways: Ways
    repository: Repository = field(default_factory=NoRepository)
    restricted: bool = False
    finally_limit: timedelta = FINALLY_LIMIT


@dataclass(frozen=True, slots=True)
class Work:
    """What all walks of one run share."""

    claim: Claim
    tools: Tools
    orders: Orders
    record: Record
    facts: RunFacts
    reach: Reach
    keys: Keyring
    masker: Masker
    log: structlog.stdlib.BoundLogger
    abandon: Callable[[], None]
    """The run is another runner's."""

    def read(self, path: str) -> bytes:
        """A file of the repository at the run's commit. Blocks. Raises NoFile."""
        return self.tools.repository.read(self.claim.spec.commit, path)

    def files(self, target: str) -> RunFiles:
        """The same, and where files go that steps bring back from a target."""
        folder = self.tools.logs / logs.files_of(self.claim.fence.run, self.claim.cause.instant, target)
        return RunFiles(self.tools.repository, self.claim.spec.commit, folder)
