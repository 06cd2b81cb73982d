"""What the tests of the contract stand on: a loop with a limit, and this host."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from engine.userschema import faults_of
from opsconductor.plugins import Opened, Sealed
from opsconductor.plugins.installed import settings
from runners.connections.local import Guardian, LocalHost, LocalSettings
from schemas.parts import Kind

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


def assert_declared(kind: Kind, name: str, given: Any) -> None:
    """What a plug-in says of a part can be used, and what the test writes for the part fits it."""
    part = settings(kind, name)
    if part is None:
        return
    assert isinstance(given, Mapping), "settings are written by name"
    assert {*part.required} <= given.keys() <= part.settings.keys() | {"credentialRef"}
    for key, value in given.items():
        assert key not in part.settings or not faults_of(part.settings[key], value), key


def sealed(name: str) -> Opened:
    """Opens no credential."""
    raise Sealed(f"there is no credential '{name}' here")
