"""Spreading a run over its targets: batch after batch, so many at once, target by target or step by step.

The decisions are in `engine.runs.strategy`; here they are waited for.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from heapq import heappop, heappush
from typing import Protocol

from engine.runs.pinned import PinnedSpec, PlannedStep
from engine.runs.strategy import Halt, batches_of, halts
from engine.states import StepState
from runners.orders import Orders

Visit = Callable[[str], Awaitable[None]]
"""Does what is to be done on a target."""
Told = Callable[[str], None]
"""Hears that a target will not succeed."""


class Places:
    """So many may run at once. They are served in the order in which they ask; those who are to be `first`, before."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._numbers = itertools.count()
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def hold(self, *, first: bool = False) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[None] = loop.create_future()
        heappush(self._waiting, (not first, next(self._numbers), mine))
        self._serve()
        try:
            await mine
            yield
        finally:
            if mine.done() and not mine.cancelled():
                self._free += 1
                # not at once: a target that failed asks for its rescue before anybody else is served
                loop.call_soon(self._serve)

    def _serve(self) -> None:
        while self._free and self._waiting:
            _, _, one = heappop(self._waiting)
            if not one.done():
                one.set_result(None)
                self._free -= 1


class Turns(Protocol):
    """When the steps of a target may start."""

    halted: Halt | None
    """Why no further step starts on any target; None as long as they do."""

    def turn(
        self, name: str, step: PlannedStep, *, begun: bool = False, repeats: bool = False
    ) -> AbstractAsyncContextManager[bool]:
        """Wait for the turn of a step, and hold it. False where something has changed: ask again what comes next.

        One that has `begun` gets its turn also where no further step starts; one that only `repeats` does not.
        """
        ...

    def failed(self, name: str) -> None:
        """The target will not succeed, whatever is still done on it. To be said before its turn is given on."""
        ...


class AtOnce:
    """Every step may start when the one before has ended."""

    halted: Halt | None = None

    def __init__(self, failed: Told = lambda _: None) -> None:
        self._failed = failed

    @asynccontextmanager
    async def turn(
        self, name: str, step: PlannedStep, *, begun: bool = False, repeats: bool = False
    ) -> AsyncIterator[bool]:
        yield True

    def failed(self, name: str) -> None:
        self._failed(name)


class StepByStep:
    """Every target of a batch ends a step before any of them starts the next one. `places` is how many run at once.

    A failure counts as soon as it is certain, before the place of its target is given on: so what may still mend it, a
    rescue or another attempt, comes before steps of other targets. The next step waits until all of that target has
    ended, `finally` included.
    """

    def __init__(self, plan: Sequence[PlannedStep], places: Places, orders: Orders, failed: Told) -> None:
        self.halted: Halt | None = None
        self._failed = failed
        self._position = {step.id: n for n, step in enumerate(step for step in plan if step.phase == "steps")}
        self._places = places
        self._orders = orders
        self._at: dict[str, int] = {}

    def begin(self, names: Sequence[str]) -> None:
        """These targets go step by step from now on."""
        self._at = dict.fromkeys(names, 0)

    def leave(self, name: str) -> None:
        """Nothing is left to do on the target."""
        self._at.pop(name, None)
        self._orders.tell()

    def halt(self, why: Halt) -> None:
        """No further step starts."""
        self.halted = why
        self._orders.tell()

    def failed(self, name: str) -> None:
        self._failed(name)

    @asynccontextmanager
    async def turn(
        self, name: str, step: PlannedStep, *, begun: bool = False, repeats: bool = False
    ) -> AsyncIterator[bool]:
        position = self._position.get(step.id) if step.phase == "steps" else None
        if position is not None and self._at.get(name, position) != position:
            self._at[name] = position
            self._orders.tell()
        anyway = begun or step.phase == "finally"
        if not anyway and not await self._all_at(position):
            yield False
            return
        async with self._places.hold(first=begun or repeats or position is None):
            yield not (self._orders.draining or (self._over and not anyway))

    @property
    def _over(self) -> bool:
        return self._orders.ending is not None or self.halted is not None

    async def _all_at(self, position: int | None) -> bool:
        """Wait until no target is behind. False where the run is ended, or another runner is to go on, meanwhile."""
        while position is not None and min(self._at.values(), default=position) < position:
            if self._over or self._orders.draining:
                return False
            await self._orders.news()
        return not self._over


class Spread:
    """The targets of a run, taken in their turn.

    `ended` and `begun` are shared with whoever visits them, and grow. A target that has begun, here or at an earlier
    runner, is worked on to its end whatever becomes of the others. `failed` are those that will not succeed, as far as
    earlier runners have recorded it.
    """

    def __init__(
        self,
        spec: PinnedSpec,
        names: Sequence[str],
        ended: Mapping[str, StepState],
        begun: Set[str],
        failed: Set[str],
        orders: Orders,
    ) -> None:
        self._spec = spec
        self._names = names
        self._ended = ended
        self._begun = begun
        self._orders = orders
        self._places = Places(max(1, spec.max_parallel))
        self._failed = dict.fromkeys(failed, StepState.FAILED)
        self._steps = StepByStep(spec.steps, self._places, orders, self._fails) if spec.order == "stepFirst" else None
        self.turns: Turns = self._steps or AtOnce(self._fails)

    async def run(self, visit: Visit) -> Halt | None:
        """Visit the targets, batch by batch. Gives why no other target begins, where that is so."""
        self._heed()
        halt: Halt | None = None
        for number, batch in enumerate(batches_of(self._names, self._spec.batches)):
            left = [name for name in batch if name not in self._ended]
            if halt is not None:  # which may rest on what an earlier runner recorded of this batch: it has begun then
                await self._visit_all([name for name in left if name in self._begun], visit)
                continue
            if number and left and self._begun.isdisjoint(batch) and not await self._pause():
                return None
            await self._visit_all(left, visit)
            if self._orders.ending is not None:  # some may have had their turn before that, when nothing else began
                await self._visit_all([name for name in left if name not in self._begun], visit)
            halt = self._halts(batch)
            if halt is None and any(name not in self._ended for name in batch):
                return None  # handed over, or lost
        return halt

    def _halts(self, batch: Sequence[str] = ()) -> Halt | None:
        if self._orders.ending is not None:
            return None  # what does not begin then is cancelled, or out of time
        known = {**self._failed, **self._ended}
        return halts(known, batch, self._spec.max_failures, len(self._names))

    def _fails(self, name: str) -> None:
        self._failed[name] = StepState.FAILED
        self._heed()

    def _heed(self) -> None:
        """Where too many have failed, no further step starts."""
        if self._steps is not None and self._steps.halted is None and (why := self._halts()) is not None:
            self._steps.halt(why)

    async def _visit_all(self, names: Sequence[str], visit: Visit) -> None:
        if self._steps is not None:
            self._steps.begin(names)
        if len(names) == 1:
            await self._visit(names[0], visit)
            return
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self._visit(name, visit))

    async def _visit(self, name: str, visit: Visit) -> None:
        if self._steps is None:
            async with self._places.hold():
                if name in self._begun or self._halts() is None:
                    await visit(name)
            return
        await visit(name)
        self._heed()
        self._steps.leave(name)

    async def _pause(self) -> bool:
        """Wait between two batches, or until the run is to end. False where another runner is to go on."""
        until = asyncio.get_running_loop().time() + self._spec.pause_between.total_seconds()
        while not self._orders.draining and self._orders.ending is None:
            if await self._orders.pause(until - asyncio.get_running_loop().time()):
                break
        return not self._orders.draining
