"""What the tests of the contract stand on: a loop with a limit, and this host."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from opsconductor.plugins import Opened, Sealed
from runners.connections.local import Guardian, LocalHost, LocalSettings

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds for one call that nothing holds up."""


def run(work: Awaitable[T], seconds: float = PATIENCE) -> T:
    """The result of the work, in a loop of its own. Raises TimeoutError."""

    async def limited() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(limited())


@asynccontextmanager
async def this_host(**settings: Any) -> AsyncIterator[LocalHost]:
    """This host, as steps may use it."""
    with tempfile.TemporaryDirectory(prefix="opsconductor-contract-") as folder:
        guardian = Guardian(Path(folder) / "lock")
        try:
            yield LocalHost(LocalSettings(**settings), guardian)
        finally:
            await guardian.close()


def sealed(name: str) -> Opened:
    """Opens no credential."""
    raise Sealed(f"there is no credential '{name}' here")
