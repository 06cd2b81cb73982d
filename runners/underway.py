"""What a runner works on: of each run one execution, after the end of any that came before it here.

A runner may claim anew a run that was taken away from it: it was silent for too long, and is the first to look once it
is heard of again. What it had begun of the run may still go on, and would then go on beside its own repetition.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from engine.identity import RunId
from engine.runs.progress import Ending
from journal.fence import Fence
from runners.connections import PROOF
from runners.execute import Execution

ENDS_WITHIN = PROOF + 15.0
"""Seconds that an execution may take to end after it was abandoned: until it is proven that its steps have, and until
that is told as evidence. What has not ended by then is cancelled, which kills it."""


class Underway:
    """The executions of one runner. Used by one loop."""

    def __init__(
        self,
        work: Callable[[Execution], Awaitable[None]],
        over: Callable[[Execution], None],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """`work` executes a run to its end, and `over` is told when it is done with."""
        self._work = work
        self._over = over
        self._log = log
        self._current: dict[RunId, tuple[Execution, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """How many runs there are."""
        return len(self._current)

    def __contains__(self, run: RunId) -> bool:
        return run in self._current

    @property
    def runs(self) -> frozenset[RunId]:
        return frozenset(self._current)

    @property
    def executions(self) -> tuple[Execution, ...]:
        """The one of each run that counts: the last that was begun."""
        return tuple(execution for execution, _ in self._current.values())

    @property
    def fences(self) -> frozenset[Fence]:
        """Of each of them its claim."""
        return frozenset(execution.fence for execution in self.executions)

    def begin(self, execution: Execution) -> None:
        """Work on what was claimed. One before it of the same run is ended, and waited for."""
        before = self._current.get(execution.run_id)
        if before is not None:
            self._log.warning("run claimed anew; what still runs of it here ends first", run=execution.run_id)
            before[0].abandon()
        self._idle.clear()
        task = asyncio.create_task(
            self._executed(execution, before[1] if before else None), name=f"run {execution.run_id}"
        )
        self._current[execution.run_id] = (execution, task)
        self._tasks.add(task)
        # no `finally` of the task: one that is cancelled before its first move has none
        task.add_done_callback(partial(self._ended, execution))

    def hear(self, wishes: Mapping[RunId, Ending]) -> None:
        """Somebody wishes runs to end."""
        for run, ending in wishes.items():
            if run in self._current:
                self._current[run][0].wish(ending)

    def left(self, mine: tuple[Execution, ...], held: frozenset[Fence]) -> None:
        """Of these executions, end those whose claims are not held any more."""
        for execution in mine:
            if execution.fence not in held and not self._is_over(execution):
                execution.abandon()

    async def idle(self) -> None:
        """Wait until nothing of any run goes on."""
        await self._idle.wait()

    async def stop_at_once(self, patience: float) -> None:
        """Cancel everything; wait so many seconds for it at most."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=patience)

    async def _executed(self, execution: Execution, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await self._end(before, execution.run_id)
        await self._work(execution)

    async def _end(self, before: asyncio.Task[None], run: RunId) -> None:
        """Wait for the end of an execution that was abandoned. It has waited itself for any before it."""
        _, late = await asyncio.wait({before}, timeout=ENDS_WITHIN)
        if late:
            self._log.error("what ran of a lost run does not end; it is killed", run=run)
            before.cancel()
            await asyncio.wait({before})

    def _is_over(self, execution: Execution) -> bool:
        return self._current.get(execution.run_id, (None,))[0] is not execution

    def _ended(self, execution: Execution, task: asyncio.Task[None]) -> None:
        if not self._is_over(execution):
            del self._current[execution.run_id]
        self._tasks.discard(task)
        if not self._tasks:
            self._idle.set()
        self._over(execution)
