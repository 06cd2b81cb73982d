"""Long work on the loop, in short turns: meanwhile leases are renewed and webhooks answered."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from time import perf_counter
from typing import TypeVar

LONGEST = 0.02
"""Seconds of work after which others have their turn."""
T = TypeVar("T")


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """The same items; where working on some has taken longer than a turn, others of the loop have theirs first."""
    began = perf_counter()
    for item in items:
        yield item
        if perf_counter() > began + LONGEST:
            await asyncio.sleep(0)
            began = perf_counter()
