"""What a run is told while it runs: to end, to hand over, to let go. All walks of the run hear it at once."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from engine.runs.pinned import PlannedStep
from engine.runs.progress import Ending
from runners.connections import GRACE, Stop, Why

Key = tuple[str, str, str]
"""Target, phase and path of a running step."""


@dataclass(slots=True)
class Orders:
    """The orders given so far, and the running steps that they end. Its methods never wait."""

    ending: Ending | None = None
    draining: bool = False
    _running: dict[Key, tuple[PlannedStep, Stop, bool]] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def running(self, target: str, step: PlannedStep, stop: Stop, *, ending: bool = False) -> Iterator[None]:
        """While the step runs, orders reach it by `stop`; while it is `ending` as it is, those that its runner is to
        let go alone."""
        key = (target, step.phase, step.id)
        self._running[key] = (step, stop, ending)
        try:
            yield
        finally:
            del self._running[key]

    def stop(
        self,
        why: Why,
        message: str,
        *,
        only: Callable[[PlannedStep], bool] = lambda step: True,
        kill_after: float = GRACE,
    ) -> None:
        """End what runs now, and wake who waits."""
        for step, stop, ending in self._running.values():
            if only(step) and not (ending and why in ("cancelled", "timedOut")):
                stop.order(why, message, kill_after=kill_after)
        self.tell()

    def tell(self) -> None:
        """Wake who waits for a time: something has changed."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self) -> None:
        """Wait until something has changed."""
        await self._news.wait()

    async def pause(self, seconds: float) -> bool:
        """Wait; False where something has changed before the time was over."""
        if seconds <= 0:
            return True
        news = self._news
        try:
            async with asyncio.timeout(seconds):
                await news.wait()
        except TimeoutError:
            return True
        return False
